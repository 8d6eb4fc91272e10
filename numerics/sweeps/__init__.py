"""Grids of parameters run on processes or a cluster into one store."""
