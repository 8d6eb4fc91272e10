"""Spectra of population blocks and of the matrices of samples."""
