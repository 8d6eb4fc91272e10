"""Covariances of the noise in the proportional limit: bands, and groups of nodes that share one."""
