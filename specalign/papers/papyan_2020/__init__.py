"""Papyan (2020): class and cross-class structure of spectra."""
