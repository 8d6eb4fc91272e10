"""Formulas of a user: read, proved, compared in digits and by samples, repaired."""
