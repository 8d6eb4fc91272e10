"""Functions that neither math nor SciPy has, and arithmetic with a bound of its rounding."""
