"""Rows in which a known resolvent is of size one, and sizes without overflow."""

from __future__ import annotations

import numpy as np

from numerics.core.packed_symmetric import Array


def balanced_root(s: Array) -> tuple[Array, Array]:
    """B and B^-1 with B B^T the mean of |Re S_g| + Im S_g over bands, for Im S >= 0.

    Examples
    --------
    >>> balanced_root(np.array([[[-4.0]]]))
    (array([[2.]]), array([[0.5]]))
    """
    values, vectors = np.linalg.eigh(s.real)
    several = (vectors * np.abs(values)[:, None]) @ np.swapaxes(vectors, 1, 2)
    if np.iscomplexobj(s):
        several = several + s.imag
    positive = several.sum(axis=0) / len(s)
    values, vectors = np.linalg.eigh((positive + positive.T) / 2)
    roots = np.sqrt(np.maximum(values, 1e-30 * max(float(values[-1]), 1e-270)))
    return np.asarray(vectors * roots), np.asarray((vectors / roots).T)


def largest_entry(matrix: Array) -> float:
    """In absolute value."""
    return float(np.abs(matrix).max(initial=0.0))


def damping(change: Array, s: Array) -> float:
    """Let S change by at most half its size in one step: the equation has poles."""
    return min(1.0, 0.5 * frobenius(s) / max(frobenius(change), 1e-300))


def frobenius(matrix: Array) -> float:
    """Frobenius norm without overflow of the squares: near a pole steps are huge."""
    largest = largest_entry(matrix)
    scaled = 0.0 < largest < np.inf
    return largest * float(np.linalg.norm(matrix / largest)) if scaled else largest
