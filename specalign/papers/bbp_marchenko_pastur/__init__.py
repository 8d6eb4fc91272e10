"""Marchenko and Pastur (1967), Baik, Ben Arous and Péché (2005): bulk and spike of covariances."""
