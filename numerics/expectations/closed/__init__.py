"""Expectations by closed forms, with the rounding of every one of them."""
