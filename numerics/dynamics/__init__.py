"""Curves of the effective dynamics, fixed points, their stability, fluctuations around curves."""
