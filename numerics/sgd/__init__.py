"""Simulation of SGD: all d coordinates, or the exact chain of the summary statistics."""
