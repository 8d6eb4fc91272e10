"""Gaussian expectations: the law of the pre-activations, two routes, closed forms, limits."""
