"""Gaussian expectations: the law of the pre-activations, Stein and projection routes, closed forms,
limits.
"""
