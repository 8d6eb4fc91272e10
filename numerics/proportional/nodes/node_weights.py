r"""The weights K of a law at its nodes, and what the equation for S asks of each of them.

G-matrices and Hessians of a loss of one output have weights of rank one, K = s f f^T, for which
:math:`(I+K\Sigma)^{-1}K=\frac{s}{1+s\,f^T\Sigma f}\,ff^T` needs no elimination.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numba
import numpy as np
from numpy.typing import NDArray

from numerics.core.packed_symmetric import Array

# what a weight may differ from rank one, relative to its largest entry
RANK_ONE = 1e-13
# directions at this distance are one: they stand for an event of positive probability
SAME = 1e-9
# norms of inverses are known to this factor, also next to a pole
ROOM = 4.0


class NodeWeights(Protocol):
    """Symmetric p x p matrices at N nodes."""

    def propagate(self, coupling: Array) -> Array:
        """The packed (I + K Sigma)^-1 K at every node, shape (N, p(p+1)/2); Sigma is ``coupling``
        in its first rows and zero beyond.
        """

    def congruent(self, b: Array) -> NodeWeights:
        """B^T K B at every node."""

    @property
    def count(self) -> int:
        """N."""

    def part(self, nodes: slice) -> NodeWeights:
        """Those of some nodes."""

    def determinants(self, coupling: Array) -> Array:
        """det(I + Sigma K) at every node, for a real Sigma of full size."""

    def margin(self, coupling: Array) -> float:
        """Least singular value of I + Sigma K over all nodes, for a real Sigma of full size."""


def node_weights(matrices: Array) -> NodeWeights:
    """Weights in the cheapest form that they have.

    Examples
    --------
    >>> type(node_weights(np.ones((1, 2, 2)))).__name__
    'RankOne'
    >>> type(node_weights(np.eye(2)[None])).__name__
    'Full'
    """
    if not matrices.size:
        return Full(np.ascontiguousarray(matrices))
    nodes = np.arange(len(matrices))
    diagonal = np.einsum("nii->ni", matrices)
    pivot = np.abs(diagonal).argmax(axis=1)
    size = diagonal[nodes, pivot]
    direction = matrices[nodes, :, pivot] / np.where(size == 0, 1.0, size)[:, None]
    rest = matrices - size[:, None, None] * direction[:, :, None] * direction[:, None, :]
    allowed = RANK_ONE * np.abs(matrices).max(axis=(1, 2), initial=0.0)
    if np.all(np.abs(rest).max(axis=(1, 2), initial=0.0) <= allowed):
        return RankOne(np.ascontiguousarray(size), np.ascontiguousarray(direction))
    return Full(np.ascontiguousarray(matrices))


@dataclass(frozen=True)
class RankOne:
    """K = size f f^T.

    Attributes
    ----------
    size : array, shape (N,)
    direction : array, shape (N, p)
        f; where size is 0 it does not matter.
    """

    size: Array
    direction: Array

    def propagate(self, coupling: Array) -> Array:
        p = self.direction.shape[1]
        out = np.empty((self.size.size, p * (p + 1) // 2), dtype=coupling.dtype)
        _rank_one_nodes(self.size, self.direction, np.ascontiguousarray(coupling), out)
        return out

    def congruent(self, b: Array) -> RankOne:
        return RankOne(self.size, np.ascontiguousarray(self.direction @ b))

    @property
    def count(self) -> int:
        return len(self.size)

    def part(self, nodes: slice) -> RankOne:
        return RankOne(self.size[nodes], self.direction[nodes])

    def margin(self, coupling: Array) -> float:
        if not self.size.size:
            return np.inf
        # I + a f^T, a = size Sigma f: two singular values differ from 1, with this product and sum
        # of squares
        a = self.size[:, None] * (self.direction @ coupling)
        product = np.abs(self.determinants(coupling))
        if self.direction.shape[1] == 1:
            return float(product.min())
        lengths = np.sum(a**2, axis=1) * np.sum(self.direction**2, axis=1)
        squares = 2 + 2 * np.sum(a * self.direction, axis=1) + lengths
        larger = (squares + np.sqrt(np.maximum(squares**2 - 4 * product**2, 0))) / 2
        return float((product / np.sqrt(larger)).min())

    def determinants(self, coupling: Array) -> Array:
        form = np.sum((self.direction @ coupling) * self.direction, axis=1)
        return np.asarray(1 + self.size * form)


def distinct_directions(weights: RankOne) -> tuple[Array, Array]:
    """Unit directions of the weights that are not zero, and which of them each weight has."""
    direction = weights.direction[weights.size != 0]
    unit = direction / np.linalg.norm(direction, axis=1)[:, None]
    pivot = np.abs(unit).argmax(axis=1)
    unit *= np.sign(unit[np.arange(len(unit)), pivot])[:, None]
    rows = np.round(unit / SAME).astype(np.int64)
    order = np.lexsort(rows.T[::-1])
    new = np.append(True, np.any(rows[order[1:]] != rows[order[:-1]], axis=1))[: len(rows)]
    which = np.empty(len(rows), dtype=np.intp)
    which[order] = np.cumsum(new) - 1
    return unit[order[new]], which


@dataclass(frozen=True)
class Full:
    """K as it is, shape (N, p, p)."""

    matrix: Array

    def propagate(self, coupling: Array) -> Array:
        p = self.matrix.shape[1]
        out = np.empty((len(self.matrix), p * (p + 1) // 2), dtype=coupling.dtype)
        _full_nodes(self.matrix, np.ascontiguousarray(coupling), out)
        return out

    def congruent(self, b: Array) -> Full:
        return Full(np.ascontiguousarray(b.T @ self.matrix @ b))

    @property
    def count(self) -> int:
        return len(self.matrix)

    def part(self, nodes: slice) -> Full:
        return Full(self.matrix[nodes])

    def determinants(self, coupling: Array) -> Array:
        return np.asarray(np.linalg.det(self._inner(coupling)))

    def margin(self, coupling: Array) -> float:
        inner = self._inner(coupling)
        least = np.linalg.svd(inner[_least_singular(inner)], compute_uv=False)[:, -1]
        return float(least.min(initial=np.inf))

    def _inner(self, coupling: Array) -> Array:
        return np.asarray(np.eye(len(coupling)) + coupling @ self.matrix)


def _least_singular(matrices: Array) -> NDArray[np.bool_]:
    """Which of many matrices, shape (N, p, p), may have the least singular value of all.

    It is between 1 / |inverse| and sqrt(p) / |inverse|, which costs less to know; the room of a
    factor is for the rounding of inverses.
    """
    try:
        inverse = np.linalg.inv(matrices)
    except np.linalg.LinAlgError:
        return np.ones(len(matrices), dtype=bool)
    bound = 1 / np.linalg.norm(inverse, axis=(1, 2))
    room = ROOM * np.sqrt(matrices.shape[-1]) * bound.min(initial=np.inf)
    return np.asarray(~(bound > room))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _rank_one_nodes(size, direction, coupling, out):  # type: ignore[no-untyped-def]
    """out[n] = packed size f f^T / (1 + size f^T Sigma f)."""
    k = coupling.shape[0]
    for n in range(size.size):
        form = out.dtype.type(0)
        for i in range(k):
            row = out.dtype.type(0)
            for j in range(k):
                row += coupling[i, j] * direction[n, j]
            form += direction[n, i] * row
        factor = size[n] / (1.0 + size[n] * form)
        at = 0
        for i in range(direction.shape[1]):
            for j in range(i, direction.shape[1]):
                out[n, at] = factor * (direction[n, i] * direction[n, j])
                at += 1


@numba.njit(cache=True, nogil=True, error_model="numpy")
def packed_products(packed, vectors, rows, out):  # type: ignore[no-untyped-def]
    """out[n] = the first rows of A_n x_n, of packed A (N, p(p+1)/2) and x (N, p)."""
    p = vectors.shape[1]
    for n in range(vectors.shape[0]):
        for i in range(rows):
            out[n, i] = 0.0
        at = 0
        for i in range(p):
            for j in range(i, p):
                a = packed[n, at]
                at += 1
                if i < rows:
                    out[n, i] += a * vectors[n, j]
                if j < rows and j != i:
                    out[n, j] += a * vectors[n, i]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _full_nodes(weight, coupling, out):  # type: ignore[no-untyped-def]
    """out[n] = packed (I + K Sigma)^-1 K, by elimination with partial pivoting.

    Sigma has k rows, so that I + K Sigma is the unit matrix beyond its first k columns.
    """
    nodes, p = weight.shape[0], weight.shape[1]
    k = coupling.shape[0]
    left = np.empty((p, k), dtype=out.dtype)
    right = np.empty((p, p), dtype=out.dtype)
    for n in range(nodes):
        for i in range(p):
            for j in range(p):
                right[i, j] = weight[n, i, j]
            for j in range(k):
                total = out.dtype.type(0)
                for m in range(k):
                    total += weight[n, i, m] * coupling[m, j]
                left[i, j] = total + 1.0 if i == j else total
        for j in range(k):
            best = j
            for i in range(j + 1, k):
                if abs(left[i, j]) > abs(left[best, j]):
                    best = i
            if best != j:
                for m in range(k):
                    left[j, m], left[best, m] = left[best, m], left[j, m]
                for m in range(p):
                    right[j, m], right[best, m] = right[best, m], right[j, m]
            for i in range(j + 1, p):
                factor = left[i, j] / left[j, j]
                for m in range(j + 1, k):
                    left[i, m] -= factor * left[j, m]
                for m in range(p):
                    right[i, m] -= factor * right[j, m]
        for i in range(k - 1, -1, -1):
            for m in range(p):
                total = right[i, m]
                for j in range(i + 1, k):
                    total -= left[i, j] * right[j, m]
                right[i, m] = total / left[i, i]
        at = 0
        for i in range(p):
            for j in range(i, p):
                out[n, at] = right[i, j]
                at += 1
