"""Formulas as text, LaTeX and entries of tables."""
