"""Covariances of the noise that are not isotropic, as arrays."""
