"""The density of a limiting spectrum inside its support, and the mass at zero."""
