"""Networks of any width in matrix form: a witness that shares nothing with derived formulas."""
