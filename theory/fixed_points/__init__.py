"""Fixed points of the effective dynamics in closed or implicit form."""
