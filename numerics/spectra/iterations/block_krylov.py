r"""Block Krylov iteration for a few eigenpairs at one end of the spectrum of a symmetric operator.

The basis grows by the residuals of all pairs that have not converged, which spans the block Krylov
space of the start (exactly, as a residual is the part of M v off the basis), and is orthogonalised
in full, twice, in double precision. Ritz pairs come from the stored products, so nothing depends on
a three-term recurrence.

Where products in single precision are cheaper they build the basis, and double precision corrects:
products of the wanted Ritz vectors are taken anew in double precision, which gives their true
residuals, and take the place of the stored ones.  The rest of the basis then enters only with
coefficients of the size of that residual, so that errors of 1e-6 in its products are worth 1e-6 of
it.  What is returned is always measured in double precision.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from numerics.core.validation import Array

Product = Callable[[Array, bool], Array]
Flags = NDArray[np.bool_]

# products in single precision are trusted to about this relative to the norm
SINGLE_FLOOR = 4e-6
# columns of the basis beyond which it is compressed to its leading Ritz vectors
MOST_COLUMNS = 160
# Ritz vectors kept beside the wanted ones when it is compressed
SPARE = 24
# residual of the first pair within an edge, relative to its distance from it, that settles on which
# side it is
WATCHED = 0.02
# residuals, relative to the norm, below which rounding is all there is
ROUNDING = 1e-13


@dataclass(frozen=True)
class KrylovResult:
    """Ritz pairs, the wanted end of the spectrum first.

    Attributes
    ----------
    values : array, shape (count,)
    vectors : array, shape (count, size)
        Orthonormal rows.
    residuals : array, shape (count,)
        |M v - theta v| in double precision.
    converged : array of bool, shape (count,)
    passes : int
        Products with a block of vectors.
    columns : int
        Vectors multiplied in total.
    complete : bool
        With ``edge``: whether nothing beyond it can have been missed among the Ritz pairs.
    """

    values: Array
    vectors: Array
    residuals: Array
    converged: Flags
    passes: int
    columns: int
    complete: bool = True


class _Basis:
    """Orthonormal rows, their products with the operator, and the compression of the operator on
    them.
    """

    def __init__(self, capacity: int, size: int, product: Product) -> None:
        self._vectors, self._products = np.empty((capacity, size)), np.empty((capacity, size))
        self.small = np.zeros((0, 0))
        self.product = product
        self.passes = self.columns = 0
        # leading rows whose products are those of double precision
        self.exact = 0

    def __len__(self) -> int:
        return len(self.small)

    @property
    def vectors(self) -> Array:
        return self._vectors[: len(self)]

    @property
    def products(self) -> Array:
        return self._products[: len(self)]

    def ritz(self) -> tuple[Array, Array]:
        """Ritz values, largest first, and their coefficients in columns."""
        values, coefficients = np.linalg.eigh(self.small)
        return values[::-1], coefficients[:, ::-1]

    def residuals(self, values: Array, coefficients: Array) -> tuple[Array, Array]:
        """Residual vectors of Ritz pairs from the stored products, and their norms."""
        rows = coefficients.T @ self.products
        rows -= values[:, None] * (coefficients.T @ self.vectors)
        return rows, np.linalg.norm(rows, axis=1)

    def rotate(self, coefficients: Array) -> None:
        """Take combinations of the rows, given as orthonormal columns, as the new basis.

        Those that become the leading rows are the wanted Ritz vectors: nearly the old ones, so that
        as many as before have products of double precision.
        """
        n, m = len(self), coefficients.shape[1]
        for stored in (self._vectors, self._products):
            stored[:m] = coefficients.T @ stored[:n]
        small = coefficients.T @ self.small @ coefficients
        self.small = (small + small.T) / 2

    def extend(self, rows: Array, single: bool) -> None:
        """Multiply new rows, orthonormal to the basis, and take them into it."""
        products = self._multiply(rows, single)
        n, m = len(self), len(self) + len(rows)
        cross, corner = products @ self.vectors.T, products @ rows.T
        cross[:, : self.exact] = rows @ self.products[: self.exact].T
        self._vectors[n:m], self._products[n:m] = rows, products
        self.small = np.block([[self.small, cross.T], [cross, (corner + corner.T) / 2]])

    def refresh(self, coefficients: Array, wanted: int) -> tuple[Array, Array]:
        """Make the wanted Ritz vectors the first rows, with products in double precision: values,
        true residuals.
        """
        self.rotate(coefficients)
        self._products[:wanted] = self._multiply(self.vectors[:wanted], False)
        self.exact = wanted
        cross = self.products[:wanted] @ self.vectors.T
        self.small[:wanted], self.small[:, :wanted] = cross, cross.T
        corner = cross[:, :wanted]
        self.small[:wanted, :wanted] = (corner + corner.T) / 2
        values, turn = np.linalg.eigh(self.small[:wanted, :wanted])
        whole = np.eye(len(self))
        whole[:wanted, :wanted] = turn[:, ::-1]
        self.rotate(whole)
        return values[::-1], self.residuals(values[::-1], np.eye(len(self), wanted))[1]

    def _multiply(self, rows: Array, single: bool) -> Array:
        self.passes += 1
        self.columns += len(rows)
        return self.product(rows, single)


def block_krylov(
    product: Product,
    start: Array,
    count: int,
    *,
    tolerance: float,
    block: int | None = None,
    max_passes: int = 500,
    single: bool = False,
    edge: float | None = None,
    relative_to_norm: bool = False,
) -> KrylovResult:
    r"""Return the largest eigenvalues of a symmetric operator and their eigenvectors.

    Parameters
    ----------
    product : callable
        (rows, single) -> M v for every row v, in single precision where that is asked.
    start : array, shape (n, size)
        Rows whose span holds good guesses; at least one.
    count : int
        Pairs wanted; with ``edge`` the number to begin with.
    tolerance : float
        A pair has converged when its residual is at most ``tolerance`` times its |eigenvalue|, or
        down to rounding.
    block : int, optional
        Most vectors multiplied at a time; all pairs that have not converged when omitted.
    max_passes : int
        Products after which the iteration ends, converged or not.
    single : bool
        Build the basis with products in single precision.
    edge : float, optional
        Find all eigenvalues above it: ``count`` then follows the Ritz values, and one pair more is
        watched until it is certain to lie on either side.
    relative_to_norm : bool
        Take the tolerance relative to the largest |Ritz value| instead: for eigenvalues that may be
        zero.

    Returns
    -------
    KrylovResult

    Examples
    --------
    >>> matrix = np.diag([1.0, 5.0, 3.0])
    >>> product = lambda rows, single: rows @ matrix
    >>> block_krylov(product, np.ones((1, 3)), 2, tolerance=1e-12).values.round(9)
    array([5., 3.])
    """
    size = start.shape[1]
    target = min(count, size)
    rows = orthonormalise(start, np.zeros((0, size)))
    capacity = (
        min(size, max(MOST_COLUMNS, 4 * target, 2 * len(rows) + 2 * target)) + len(rows) + target
    )
    basis = _Basis(capacity, size, product)
    basis.extend(rows, single)
    exact, history = not single, []
    while True:
        values, coefficients = basis.ritz()
        if edge is not None:
            target = min(int(np.sum(values > edge)) + 1, size, capacity // 4)
        wanted = min(target, len(basis))
        residual_rows, norms = basis.residuals(values[:wanted], coefficients[:, :wanted])
        scale = float(np.abs(values).max())
        floor = max(ROUNDING, tolerance if relative_to_norm else 0.0) * scale
        limit = _limits(values[:wanted], floor, tolerance, edge)
        # the last steps in single precision aim below what double precision is to confirm
        goal = (
            np.maximum(limit, SINGLE_FLOOR * scale) if not exact else limit / 2 if single else limit
        )
        # the goal of a matrix of zeros is zero, as its residuals are
        goal = np.maximum(goal, np.finfo(float).tiny)
        history.append(float((norms / goal).max()))
        spent = basis.passes >= max_passes - 1 or len(basis) == size
        if spent or (wanted == target and (history[-1] <= 1 or (not exact and _stalled(history)))):
            values, norms = basis.refresh(coefficients, wanted)
            limit = _limits(values, floor, tolerance, edge)
            if spent or np.all(norms <= limit):
                return _result(basis, values, norms, norms <= limit, edge)
            exact = True
            continue
        order = np.argsort(-norms / goal, kind="stable")
        new = orthonormalise(residual_rows[order[: np.sum(norms > goal)][:block]], basis.vectors)
        if not len(new):
            # too few Ritz pairs, or an invariant basis: go on with a direction that it does not
            # have
            new = orthonormalise(
                np.random.default_rng(len(basis)).standard_normal((1, size)), basis.vectors
            )
        if len(basis) + len(new) + wanted > capacity:
            basis.rotate(coefficients[:, : max(2 * wanted, wanted + SPARE)])
        basis.extend(new[: capacity - len(basis)], single)


def orthonormalise(rows: Array, basis: Array) -> Array:
    """Orthonormal rows with the span of ``rows`` orthogonal to ``basis``, twice; what vanishes in
    it is dropped.
    """
    lengths = np.linalg.norm(rows, axis=1)
    rows = rows[lengths > 0] / lengths[lengths > 0, None]
    for _ in range(2):
        rows = rows - (rows @ basis.T) @ basis
        frame, upper = np.linalg.qr(rows.T)
        rows = frame.T[np.abs(np.diag(upper)) > 1e-10]
    return np.asarray(rows)


def _limits(values: Array, floor: float, tolerance: float, edge: float | None) -> Array:
    """Residuals at which pairs have converged."""
    limit = np.maximum(tolerance * np.abs(values), floor)
    if edge is not None and len(limit):
        # the last pair only has to lie on one side of the edge; loosely converged pairs may still
        # rise across it
        limit[-1] = max(limit[-1], WATCHED * abs(edge - values[-1]))
    return limit


def _stalled(history: list[float]) -> bool:
    """Whether single precision has stopped to help."""
    return history[-1] < 30 and len(history) > 8 and min(history[-4:]) > 0.5 * min(history[:-4])


def _result(
    basis: _Basis, values: Array, norms: Array, good: Flags, edge: float | None
) -> KrylovResult:
    keep, complete = np.arange(len(values)), True
    if edge is not None:
        keep = np.flatnonzero(values > edge)
        complete = bool(keep.size < len(values) and values[keep.size] + norms[keep.size] <= edge)
    vectors = basis.vectors[: len(values)][keep]
    return KrylovResult(
        values[keep], vectors, norms[keep], good[keep], basis.passes, basis.columns, complete
    )
