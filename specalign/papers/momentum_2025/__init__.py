"""Momentum and normalised gradients in high dimension (arXiv 2511.03952)."""
