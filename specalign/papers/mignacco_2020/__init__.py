"""Mignacco, Krzakala, Urbani and Zdeborová (2020): SGD on two Gaussian clusters."""
