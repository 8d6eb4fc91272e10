"""How smooth a loss is: kinks in canonical form, and where it is no finite real function."""
