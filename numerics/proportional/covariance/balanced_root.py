"""Rows in which a known resolvent is of size one, and sizes without overflow."""

from __future__ import annotations

import numpy as np

from numerics.core.packed_symmetric import Array

# eigenvalues of S within this factor are no obstacle to Newton's method
PLAIN = 1e-3


def balanced_root(s: Array) -> tuple[Array, Array]:
    """B and B^-1 with B B^T the mean of |Re S_g| + Im S_g over bands, for Im S >= 0;
    of S with any axes in front of (B, k, k).

    Examples
    --------
    >>> balanced_root(np.array([[[-4.0]]]))
    (array([[2.]]), array([[0.5]]))
    """
    roots, vectors = _balanced(s)
    scaled = vectors / roots[..., None, :]
    return np.asarray(vectors * roots[..., None, :]), np.asarray(np.swapaxes(scaled, -1, -2))


def is_plain(s: Array) -> Array:
    """Whether no eigenvalue of |Re S| + Im S is much smaller than the largest: no frame is needed.

    Examples
    --------
    >>> [bool(is_plain(np.diag([1.0, small])[None])) for small in (0.5, 1e-5)]
    [True, False]
    """
    if s.shape[-1] == 1:
        return np.ones(s.shape[:-3], dtype=bool)
    try:  # a condition number bounds the ratio, and is cheaper
        large, small = (
            np.abs(each).sum(axis=-1).max(axis=(-2, -1), initial=0.0)
            for each in (s, np.linalg.inv(s))
        )
        if np.all(large * small < 1 / PLAIN):
            return np.ones(s.shape[:-3], dtype=bool)
    except np.linalg.LinAlgError:
        pass
    roots, _ = _balanced(s)
    return np.asarray(roots[..., 0] ** 2 > PLAIN * roots[..., -1] ** 2)


def _balanced(s: Array) -> tuple[Array, Array]:
    values, vectors = np.linalg.eigh(s.real)
    several = (vectors * np.abs(values)[..., None, :]) @ np.swapaxes(vectors, -1, -2)
    if np.iscomplexobj(s):
        several = several + s.imag
    positive = several.mean(axis=-3)
    values, vectors = np.linalg.eigh((positive + np.swapaxes(positive, -1, -2)) / 2)
    least = 1e-30 * np.maximum(values[..., -1:], 1e-270)
    return np.sqrt(np.maximum(values, least)), vectors


def largest_entry(matrix: Array) -> float:
    """In absolute value."""
    return float(np.abs(matrix).max(initial=0.0))


def damping(change: Array, s: Array) -> Array:
    """Let S change by at most half its size in one step: the equation has poles. Of matrices (...,
    B, k, k), as (..., 1, 1, 1).
    """
    axes = (-3, -2, -1)
    largest, present = np.abs(change).max(axis=axes), np.abs(s).max(axis=axes, initial=1e-270)
    if np.all(2 * largest * np.sqrt(np.prod(s.shape[-3:])) <= present):  # norms tell no more
        return np.ones((*s.shape[:-3], 1, 1, 1))
    # over the largest entry, against overflow of squares near a pole
    both = np.maximum(largest, present)
    scale = both[..., None, None, None]
    size, step = (
        np.sqrt((np.abs(matrix / scale) ** 2).sum(axis=axes, keepdims=True))
        for matrix in (s, change)
    )
    return np.asarray(np.minimum(1.0, 0.5 * size / np.maximum(step, 1e-300)))
