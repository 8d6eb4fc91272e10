"""Symmetric matrices as the vectors of their upper triangles, and operators on them."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray


@lru_cache(maxsize=64)
def _upper(size: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Row and column indices of an upper triangle; an integrator asks for them at every step."""
    rows, columns = np.triu_indices(size)
    rows.flags.writeable = columns.flags.writeable = False
    return rows, columns


# real or complex
Array = NDArray[Any]


@lru_cache(maxsize=32)
def triangle(size: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows and columns of the packed entries."""
    return np.triu_indices(size)


@lru_cache(maxsize=32)
def positions(size: int) -> NDArray[np.intp]:
    """Position in the packed vector of entry (i, j), shape (size, size)."""
    rows, columns = triangle(size)
    out = np.empty((size, size), dtype=np.intp)
    out[rows, columns] = out[columns, rows] = np.arange(rows.size)
    return out


def pack(matrices: Array) -> Array:
    """Upper triangles of symmetric matrices (..., size, size), row by row."""
    rows, columns = triangle(matrices.shape[-1])
    return np.ascontiguousarray(matrices[..., rows, columns])


def unpack(vectors: Array, size: int) -> Array:
    """The symmetric matrices (..., size, size) of packed vectors.

    Examples
    --------
    >>> unpack(np.array([1.0, 2.0, 3.0]), 2)
    array([[1., 2.],
           [2., 3.]])
    """
    return np.asarray(vectors[..., positions(size)])


@lru_cache(maxsize=32)
def _sandwiched(size: int) -> tuple[NDArray[np.intp], ...]:
    """Where the operator X -> (A_ij B_kl)_il X_jk takes its entries from packed A and B."""
    (i, k), (j, m) = triangle(size), triangle(size)
    at, rows, columns = positions(size), (i[:, None], k[:, None]), (j[None], m[None])
    return (
        at[rows[0], columns[0]],
        at[columns[1], rows[1]],
        at[rows[0], columns[1]],
        at[columns[0], rows[1]],
        (j != m).astype(np.intp),
    )


def sandwich(products: Array, size: int) -> Array:
    """The operator X -> E[A X B] on packed symmetric X, from E[A_ij B_kl] of packed A and B; of
    several, (..., n, n), each.

    Examples
    --------
    X -> S X S:

    >>> s, x = np.array([[1.0, 2.0], [2.0, 5.0]]), np.array([[0.0, 1.0], [1.0, 3.0]])
    >>> bool(np.allclose(congruence(s) @ pack(x), pack(s @ x @ s)))
    True
    """
    first, second, third, fourth, off = _sandwiched(size)
    return np.asarray(products[..., first, second] + products[..., third, fourth] * off)


def congruence(s: Array) -> Array:
    """The operator X -> S X S on packed X, of symmetric S (..., size, size)."""
    packed = pack(s)
    return sandwich(packed[..., :, None] * packed[..., None, :], s.shape[-1])
