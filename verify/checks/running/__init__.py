"""How checks are run: one of them, and many on several processes."""
