"""Liao and Mahoney (2021): Hessian eigenspectra of generalised linear models."""
