r"""Measures of alignment: vectors and matrices in a subspace up to epsilon, eigenspace shares,
principal angles.

Vectors are rows throughout, as x^a are the rows of the weights.  Subspaces are given by any
spanning rows. Source: mathematics.md section 8.
"""

from __future__ import annotations

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh

from numerics.core.geometry import orthonormal_rows
from numerics.core.validation import Array, as_array, kind_of
from theory import InputError
from theory.keywords import with_known_keywords

from .eigenspace_angles import _check_columns

# operators up to this size are handled densely: cheaper than any iteration
SMALL = 300
# relative accuracy of the Ritz vector behind an operator norm; the norm itself is good to its
# square
NORM_TOLERANCE = 1e-6


@with_known_keywords
def vector_misalignment(x: ArrayLike, basis: ArrayLike) -> Array:
    r"""Smallest epsilon for which a vector lies in a subspace B up to epsilon.

    .. math:: \varepsilon(x) = \frac{\|x - P_Bx\|}{\|x\|} \in [0, 1]

    (mathematics.md section 8; arXiv 2310.03010, section 2).  A zero vector lies in every subspace:
    0.

    Parameters
    ----------
    x : array, shape (d,) or (n, d)
        One vector, or one per row.
    basis : array, shape (k, d)
        Rows that span B, not necessarily orthonormal.

    Returns
    -------
    array, shape () or (n,)

    Raises
    ------
    theory.InputError
        Shapes that disagree, NaN.

    Examples
    --------
    >>> round(float(vector_misalignment([3.0, 4.0], [[2.0, 0.0]])), 12)
    0.8
    """
    if isinstance(x, xr.Dataset):
        raise InputError("x", kind_of(x), "an array", "give one variable of it, or its values")
    vectors = as_array("x", x, np.ndim(x) if np.ndim(x) in (1, 2) else 2)
    rows = orthonormal_rows(basis)
    _check_columns("basis", rows, vectors.shape[-1])
    rest = vectors - (vectors @ rows.T) @ rows
    norm = np.linalg.norm(vectors, axis=-1)
    return np.linalg.norm(rest, axis=-1) / np.where(norm > 0, norm, 1.0)


@with_known_keywords
def matrix_misalignment(matrix: ArrayLike | LinearOperator, basis: ArrayLike) -> float:
    r"""Smallest epsilon for which a symmetric matrix lies in a subspace B up to epsilon.

    .. math:: \varepsilon(M)
              = \min_{\mathrm{image}(M_1)\subseteq B}\frac{\|M-M_1\|_{op}}{\|M\|_{op}}
              = \frac{\|P_{B^\perp}M\|_{op}}{\|M\|_{op}}

    (mathematics.md section 8).  The minimum is at :math:`M_1 = P_BM`: for every M_1 with image in
    B, :math:`P_{B^\perp}(M-M_1) = P_{B^\perp}M`, and a projection does not increase the norm, so
    :math:`\|M-M_1\| \ge \|P_{B^\perp}M\| = \|M-P_BM\|`.

    Parameters
    ----------
    matrix : array or scipy LinearOperator, shape (d, d)
        Symmetric.
    basis : array, shape (k, d)
        Rows that span B, not necessarily orthonormal.

    Returns
    -------
    float
        In [0, 1], accurate to about 1e-8; 0 for a zero matrix.

    Raises
    ------
    theory.InputError
        A matrix that is not square or not symmetric, or shapes that disagree.

    Examples
    --------
    >>> matrix_misalignment([[2.0, 0.0], [0.0, 1.0]], [[1.0, 0.0]])
    0.5
    """
    operator = matrix if isinstance(matrix, LinearOperator) else _symmetric(matrix)
    rows = orthonormal_rows(basis)
    _check_columns("basis", rows, operator.shape[0])
    norm = operator_norm(operator)
    if norm == 0:
        return 0.0

    def project(v: Array) -> Array:
        return v - rows.T @ (rows @ v)

    def squared(v: Array) -> Array:
        return project(operator @ (operator @ project(v)))

    size = operator.shape[0]
    if size <= SMALL:
        rest = float(np.linalg.norm(project(operator @ np.eye(size)), 2))
    else:
        # P M M^T P is positive semidefinite with the squared norm as its largest eigenvalue
        square = LinearOperator((size, size), matvec=squared, matmat=squared, dtype=float)
        rest = float(np.sqrt(operator_norm(square)))
    return min(rest / norm, 1.0)


def operator_norm(matrix: Array | LinearOperator) -> float:
    """Largest |eigenvalue| of a symmetric matrix or operator.

    Raises
    ------
    ArithmeticError
        The Lanczos iteration did not converge.

    Examples
    --------
    >>> operator_norm(np.diag([1.0, -3.0]))
    3.0
    """
    size = matrix.shape[0]
    if size <= SMALL:
        dense = matrix @ np.eye(size)
        return float(np.abs(np.linalg.eigvalsh((dense + dense.T) / 2)).max(initial=0.0))
    start = np.random.default_rng(0).standard_normal(size)
    if not np.any(matrix @ start):
        return 0.0
    try:
        value = eigsh(
            matrix, k=1, which="LM", v0=start, tol=NORM_TOLERANCE, return_eigenvectors=False
        )
    except ArpackNoConvergence as error:
        raise ArithmeticError(
            f"the norm of a {size} x {size} operator did not converge: {error}"
        ) from error
    return float(np.abs(value[0]))


def _symmetric(matrix: ArrayLike) -> Array:
    dense = as_array("matrix", matrix, 2)
    if dense.shape[0] != dense.shape[1] or np.abs(dense - dense.T).max(initial=0.0) > 1e-8 * np.abs(
        dense
    ).max(initial=0.0):
        raise InputError(
            "matrix",
            f"shape {dense.shape}, not symmetric",
            "a symmetric matrix",
            "symmetrise it: (M + M.T) / 2",
        )
    return dense
