"""Moments of smooth integrands from rows of values: code that processors evaluate side by side."""
