"""Spectra in the proportional limit M/d -> phi: bulk, outliers, emergence times, phase diagrams."""
