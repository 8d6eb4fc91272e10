"""Rules that look at the integrand: its scales, panels graded to them, and what Hermite misses."""
