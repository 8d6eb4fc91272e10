"""What `verify` judges besides the checks of the two systems: wrong formulas, laws of a model."""
