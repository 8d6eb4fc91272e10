"""Principal angles between subspaces, and the share of a vector in an eigenspace."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from numerics.core.geometry import orthonormal_rows
from numerics.core.validation import Array, as_array
from theory import InputError
from theory.keywords import with_known_keywords


@with_known_keywords
def eigenspace_share(vectors: ArrayLike, x: ArrayLike) -> Array:
    r"""Share of a vector in a subspace E given by orthonormal rows, :math:`\|P_Ex\|^2/\|x\|^2`.

    Parameters
    ----------
    vectors : array, shape (k, d)
        Rows that span E (eigenvectors, or anything else).
    x : array, shape (d,) or (n, d)

    Returns
    -------
    array, shape () or (n,)
        In [0, 1]; 1 for a zero vector, which lies in every subspace.

    Examples
    --------
    >>> round(float(eigenspace_share([[1.0, 0.0]], [3.0, 4.0])), 12)
    0.36
    """
    given = as_array("x", x, np.ndim(x) if np.ndim(x) in (1, 2) else 2)
    rows = orthonormal_rows(vectors)
    _check_columns("vectors", rows, given.shape[-1])
    square = np.sum(given**2, axis=-1)
    inside = np.sum((given @ rows.T) ** 2, axis=-1)
    return np.minimum(np.where(square > 0, inside / np.where(square > 0, square, 1.0), 1.0), 1.0)


@with_known_keywords
def principal_angles(a: ArrayLike, b: ArrayLike) -> Array:
    """Principal angles between the spans of two sets of rows, in radians, largest first.

    Parameters
    ----------
    a, b : array, shapes (k, d) and (l, d)

    Returns
    -------
    array, shape (min(rank a, rank b),)

    Examples
    --------
    >>> flat, tilted = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]], [[1.0, 0.0, 0.0], [0.0, 1.0, 1.0]]
    >>> principal_angles(flat, tilted).round(6)
    array([0.785398, 0.      ])
    """
    first, second = orthonormal_rows(a), orthonormal_rows(b)
    _check_columns("b", second, first.shape[1])
    if not first.size or not second.size:
        raise InputError(
            "basis", "only zero rows", "at least one non-zero row", "an angle needs two subspaces"
        )
    # scipy.linalg.subspace_angles takes the arccosine of cosines next to 1 where small and large
    # angles meet (SciPy 1.17: an angle of 0 beside one of 1 came out as 4e-8); sine and cosine
    # together are accurate everywhere
    small, large = sorted((first, second), key=len)
    sines = np.linalg.svd(small - (small @ large.T) @ large, compute_uv=False)[: len(small)]
    cosines = np.linalg.svd(small @ large.T, compute_uv=False)[::-1]
    return np.asarray(np.arctan2(sines, np.clip(cosines, 0.0, None)))


def _check_columns(name: str, rows: Array, size: int) -> None:
    if rows.shape[1] != size:
        raise InputError(
            name,
            f"{rows.shape[1]} columns",
            f"{size}, the dimension of the vectors",
            "give vectors as rows",
        )
