"""Summary statistics of the weights at a record, compiled once for the kernels of all losses."""

from __future__ import annotations

import numba
import numpy as np

from numerics.core.random_numbers.words import compiled
from numerics.core.validation import Array


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract"})
def record_weights(x: Array, basis: Array, factor: Array, overlap: Array, gram_perp: Array) -> None:
    """Overlaps with the directions, and the Gram matrix of the rest of the weights.

    Parameters
    ----------
    x : array, shape (C, d)
        Weights.
    basis : array, shape (r, w)
        The first w coordinates, beyond which there are none, of an orthonormal basis of the span of
        the directions.
    factor : array, shape (r, r)
        Lower Cholesky factor of Gamma.
    overlap, gram_perp : array, shapes (C, r) and (C, C)
        Written.
    """
    units = x.shape[0]
    r, w = basis.shape
    along = np.empty((units, r))
    for a in range(units):
        for q in range(r):
            along[a, q] = 0.0
            for i in range(w):
                along[a, q] += x[a, i] * basis[q, i]
        for t in range(r):
            overlap[a, t] = 0.0
            for q in range(t + 1):
                overlap[a, t] += along[a, q] * factor[t, q]
    rest = np.empty(units)
    gram_perp[:] = 0.0
    for i in range(w):
        for a in range(units):
            rest[a] = x[a, i]
            for q in range(r):
                rest[a] -= along[a, q] * basis[q, i]
        for a in range(units):
            for b in range(a + 1):
                gram_perp[a, b] += rest[a] * rest[b]
    for a in range(units):
        for b in range(a + 1):
            total = 0.0
            for i in range(w, x.shape[1]):
                total += x[a, i] * x[b, i]
            gram_perp[a, b] += total
            gram_perp[b, a] = gram_perp[a, b]


@compiled
def record_factor(m: Array, a_perp: Array, factor: Array, overlap: Array, gram_perp: Array) -> None:
    """Overlaps = (orthonormal coordinates) factor^T, and R_perp = A A^T, of the recorded units.

    Parameters
    ----------
    m : array, shape (C', r)
        Weights in orthonormal coordinates of the span of the directions; rows beyond the C that are
        recorded are velocities of a chain with momentum.
    a_perp : array, shape (C', at least C')
        Lower triangular factor A of R_perp.
    factor : array, shape (r, r)
        Lower Cholesky factor of Gamma.
    overlap, gram_perp : array, shapes (C, r) and (C, C)
        Written.
    """
    for a in range(overlap.shape[0]):
        for t in range(factor.shape[0]):
            overlap[a, t] = 0.0
            for q in range(t + 1):
                overlap[a, t] += m[a, q] * factor[t, q]
        for b in range(a + 1):
            total = 0.0
            for c in range(b + 1):
                total += a_perp[a, c] * a_perp[b, c]
            gram_perp[a, b] = total
            gram_perp[b, a] = total
