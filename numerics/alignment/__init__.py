"""Angles between weights, eigenspaces and the span of the means."""
