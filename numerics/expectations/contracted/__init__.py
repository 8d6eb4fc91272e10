"""Contractions of tensors of moments, as numbers."""
