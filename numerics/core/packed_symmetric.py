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


def restrict(operator: Array) -> Array:
    """An operator on vec(X) that maps symmetric matrices to symmetric ones, on packed vectors.

    Examples
    --------
    X -> S X S:

    >>> s, x = np.array([[1.0, 2.0], [2.0, 5.0]]), np.array([[0.0, 1.0], [1.0, 3.0]])
    >>> bool(np.allclose(restrict(np.kron(s, s)) @ pack(x), pack(s @ x @ s)))
    True
    """
    size = round(operator.shape[0] ** 0.5)
    rows, columns = triangle(size)
    kept = operator[rows * size + columns]
    out = kept[:, rows * size + columns].copy()
    off = rows != columns
    out[:, off] += kept[:, (columns * size + rows)[off]]
    return np.asarray(out)
