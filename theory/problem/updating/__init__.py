"""What a step of SGD does where it is not the plain gradient: its statement, and its rule."""
