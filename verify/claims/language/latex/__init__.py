"""LaTeX as in manuscripts: tokens, macros, displays, and a grammar of formulas."""
