"""Random parameters and states, exact for proofs and floating for numbers."""
