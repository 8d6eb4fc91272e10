"""Second-moment matrices of data, (1/M) sum_i D_i (x) Y_i Y_i^T, as operators that keep Y and
nothing larger.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse.linalg import LinearOperator

from numerics.core.packed_symmetric import positions
from numerics.core.validation import Array, Floats
from numerics.data.one_pass import combine, copy_single, row_blocks, weighted_sum
from numerics.data.samples import resident
from numerics.data.sources import Source
from theory import InputError

# numbers of a block that a dense matrix is summed over
DENSE_NUMBERS = 2**22


class SecondMoment(LinearOperator):
    r"""The symmetric operator of an empirical Hessian or G-matrix.

    .. math:: M = \frac1N\sum_{i=1}^N D_i\otimes Y_iY_i^T + \text{shift}\cdot I
              + \beta(nx^T+xn^T) + \beta^2xx^T

    with D_i of size k x k; a product reads Y once, however many columns it has
    (:mod:`numerics.data.one_pass`).  Vectors are unit-major: entry a d + j is coordinate j in the
    row of x^a.  Products are taken in double precision, also of float32 data, which are converted
    number by number.

    Parameters
    ----------
    features : array, shape (N, d), or Source
        Y, kept by reference.
    weight : array
        D: shape (N, k, k), symmetric in its last two axes; or its upper triangles by rows, shape (k
        (k + 1) / 2, N); or g of shape (k, N) with D_i = g_i g_i^T, where ``rank_one``.
    shift : float
        Multiple of the identity (the ridge of a Hessian).
    ridge : float
        beta of the rank-two part (the ridge in the gradients of G); 0 for none.
    mean_gradient, parameters : array, shape (k d,), optional
        n and x of the rank-two part.
    rank_one : bool

    Attributes
    ----------
    passes : int
        How often the data were read.

    Examples
    --------
    >>> operator = SecondMoment(np.array([[1.0, 2.0]]), np.ones((1, 1, 1)))
    >>> operator @ np.array([1.0, 0.0])
    array([1., 2.])
    """

    def __init__(
        self,
        features: Floats | Source,
        weight: Array,
        shift: float = 0.0,
        ridge: float = 0.0,
        mean_gradient: Array | None = None,
        parameters: Array | None = None,
        rank_one: bool = False,
    ) -> None:
        source = (
            features if isinstance(features, Source) else resident(np.ascontiguousarray(features))
        )
        self.source = source
        self.rank_one = rank_one
        self.weights, self.blocks = _packed(weight, source.samples, rank_one)
        self.shift_value = shift
        self.passes = 0
        self._single: Floats | None = source.array if source.dtype == np.float32 else None
        size = self.blocks * source.dimension
        self.left, self.right = rank_two(size, ridge, mean_gradient, parameters)
        super().__init__(dtype=np.dtype(float), shape=(size, size))

    @property
    def has_single(self) -> bool:
        """Whether products in single precision are cheaper: float32 data, or a float32 copy of
        them.
        """
        return self._single is not None or self.source.dtype == np.float32

    def copy_single(self) -> None:
        """Keep a float32 copy of resident float64 data, half as large, for products in single
        precision.
        """
        if (
            self._single is None
            and self.source.kind == "resident"
            and self.source.array is not None
        ):
            self._single = copy_single(self.source.array)

    def rows_product(self, rows: Array, single: bool = False) -> Array:
        """M v for every row v; in single precision to about 1e-6 of the norm, where that is
        cheaper.
        """
        b, k, d = len(rows), self.blocks, self.source.dimension
        kind: type[np.floating[Any]] = np.float32 if single and self.has_single else np.float64
        # row a b + c is what vector c has in block row a
        v: Floats = np.ascontiguousarray(
            rows.reshape(b, k, d).transpose(1, 0, 2), dtype=kind
        ).reshape(k * b, d)
        if kind == np.float32 and self._single is not None:
            total = weighted_sum(self._single, self.weights, v, k, self.rank_one)
        else:
            total = np.zeros((k * b, d))
            for start, block in self.source.blocks():
                part = self.weights[:, start : start + len(block)]
                total += weighted_sum(block, part, v, k, self.rank_one)
        self.passes += 1
        out = total.reshape(k, b, d).transpose(1, 0, 2).reshape(b, k * d) / self.source.samples
        if self.shift_value:
            out += self.shift_value * rows
        if self.left.size:
            out += (rows @ self.right) @ self.left.T
        return out

    def _matmat(self, v: Array) -> Array:
        return self.rows_product(np.ascontiguousarray(v.T, dtype=float)).T

    def _matvec(self, v: Array) -> Array:
        return self.rows_product(np.ascontiguousarray(v.reshape(1, -1), dtype=float)).ravel()

    def _rmatmat(self, v: Array) -> Array:
        return self._matmat(v)

    def _adjoint(self) -> SecondMoment:
        return self

    def weight(self, a: int, b: int) -> Array:
        """D_ab of every sample, shape (N,)."""
        if self.rank_one:
            return self.weights[a] * self.weights[b]
        return np.asarray(self.weights[positions(self.blocks)[a, b]])

    def compressed(self, projections: Array, basis: Array) -> Array:
        """The matrix on C^k (x) span(basis), shape (k rank, k rank): no pass over the data.

        ``basis`` are orthonormal rows and ``projections`` = basis Y^T, shape (rank, N).
        """
        k, rank = self.blocks, len(basis)
        out = np.empty((k, rank, k, rank))
        for a in range(k):
            for b in range(a, k):
                block = (projections * self.weight(a, b)) @ projections.T / self.source.samples
                out[a, :, b], out[b, :, a] = block, block
        small = out.reshape(k * rank, k * rank)
        small[np.diag_indices_from(small)] += self.shift_value
        if self.left.size:
            sides = [
                np.einsum("rd,adc->arc", basis, part.reshape(k, -1, part.shape[1])).reshape(
                    k * rank, -1
                )
                for part in (self.left, self.right)
            ]
            small += sides[0] @ sides[1].T
        return (small + small.T) / 2

    def dense(self) -> Array:
        """The matrix itself, for small sizes."""
        d, k = self.source.dimension, self.blocks
        out = np.zeros((k, d, k, d))
        for start, block in self.source.blocks():
            for rows in row_blocks(len(block), max(1, DENSE_NUMBERS // d)):
                y = np.asarray(block[rows], dtype=float)
                at = slice(start + rows.start, start + rows.stop)
                for a in range(k):
                    for b in range(a, k):
                        out[a, :, b] += y.T @ (self.weight(a, b)[at, None] * y)
        self.passes += 1
        out /= self.source.samples
        for a in range(k):
            for b in range(a):
                out[a, :, b] = out[b, :, a]
        matrix = out.reshape(k * d, k * d)
        matrix[np.diag_indices_from(matrix)] += self.shift_value
        return matrix + self.left @ self.right.T if self.left.size else matrix


class BorderedMoment(LinearOperator):
    """A first layer with its mixed and its readout block: rows of v stand behind those of x.

    Parameters
    ----------
    first : SecondMoment
        Without rank-two part.
    mixed : array, shape (C d, q)
    readout : array, shape (q, q)
    ridge : float
        beta of the rank-two part of G; 0 for none.
    mean_gradient, parameters : array, shape (C d + q,), optional
    """

    def __init__(
        self,
        first: SecondMoment,
        mixed: Array,
        readout: Array,
        ridge: float = 0.0,
        mean_gradient: Array | None = None,
        parameters: Array | None = None,
    ) -> None:
        self.first, self.mixed, self.readout = first, mixed, readout
        size = sum(mixed.shape)
        self.left, self.right = rank_two(size, ridge, mean_gradient, parameters)
        super().__init__(dtype=np.dtype(float), shape=(size, size))

    @property
    def passes(self) -> int:
        """How often the data were read."""
        return self.first.passes

    def _matmat(self, v: Array) -> Array:
        x, w = v[: len(self.mixed)], v[len(self.mixed) :]
        out = np.concatenate([self.first @ x + self.mixed @ w, self.mixed.T @ x + self.readout @ w])
        return out + self.left @ (self.right.T @ v)

    def _matvec(self, v: Array) -> Array:
        return self._matmat(v.reshape(-1, 1)).ravel()

    def _rmatmat(self, v: Array) -> Array:
        return self._matmat(v)

    def _adjoint(self) -> BorderedMoment:
        return self

    def dense(self) -> Array:
        """The matrix itself, for small sizes."""
        out = np.block([[self.first.dense(), self.mixed], [self.mixed.T, self.readout]])
        return out + self.left @ self.right.T


def rank_two(
    size: int, ridge: float, mean: Array | None, parameters: Array | None
) -> tuple[Array, Array]:
    """Factors A, B of A B^T = beta (n x^T + x n^T) + beta^2 x x^T; without columns where there is
    no ridge.
    """
    if not ridge or mean is None or parameters is None:
        return np.zeros((size, 0)), np.zeros((size, 0))
    n, x = mean, parameters
    return np.column_stack([n, x]), np.column_stack([ridge * x, ridge * n + ridge**2 * x])


def mean_products(source: Source, coefficients: Array) -> Array:
    """(1/N) sum_i c_i Y_i for rows of coefficients, shape (n, d)."""
    total = np.zeros((len(coefficients), source.dimension))
    for start, block in source.blocks():
        total += combine(block, np.ascontiguousarray(coefficients[:, start : start + len(block)]))
    return total / source.samples


def _packed(weight: Array, samples: int, rank_one: bool) -> tuple[Array, int]:
    """Weights as rows over samples, and k."""
    if (
        weight.ndim == 3
        and weight.shape[0] == samples
        and weight.shape[1] == weight.shape[2]
        and not rank_one
    ):
        k = int(weight.shape[1])
        i, j = np.triu_indices(k)
        return np.ascontiguousarray(weight[:, i, j].T), k
    if weight.ndim == 2 and weight.shape[1] == samples:
        k = len(weight) if rank_one else round(((8 * len(weight) + 1) ** 0.5 - 1) / 2)
        if rank_one or k * (k + 1) // 2 == len(weight):
            return np.ascontiguousarray(weight, dtype=float), k
    raise InputError(
        "weight", f"shape {weight.shape}", f"shape ({samples}, k, k)", "give one matrix per sample"
    )
