"""Goldt, Advani, Saxe, Krzakala and Zdeborová (2019): dynamics of SGD for two-layer networks."""
