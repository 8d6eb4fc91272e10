"""Refinetti, Goldt, Krzakala and Zdeborová (2021): XOR mixtures, where kernels fail."""
