"""Vectors of R^d that realise a point: directions, weights, what is seen of a sample along them.

A sample of several tokens is one vector in R^(P d), of which unit a at token p sees the p-th part;
with bands the coordinates of R^d are those of the first band, then those of the second.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from theory import InputError
from verify.random_points.exact import Point

Array = NDArray[np.float64]

# coordinates of R^d, or of a band, beyond the span of directions and weights
SPARE = 4
# an eigenvalue of the Gram matrix of a band below this share of the largest is rounding
RANK_SHARE = 1e-12


@dataclass
class RawFrame:
    """Vectors of R^d with the inner products of a point of full rank."""

    point: Point
    directions: Array  # d x r
    x: Array  # d x C
    band_of: NDArray[np.intp]  # of every coordinate

    @classmethod
    def of(cls, point: Point, rng: np.random.Generator) -> RawFrame:
        """Draw a frame at random, band after band."""
        r, rank = point.model.directions, point.rank
        size = r + rank + SPARE
        along, weights = [], []
        for c, n, gamma in point.bands:
            basis = np.linalg.qr(rng.standard_normal((size, r + rank)))[0]
            e = basis[:, :r] @ _root(_numbers(gamma)).T
            own = basis[:, r:] @ np.linalg.cholesky(_numbers(n)).T
            along.append(e)
            weights.append((e @ _numbers(c).T + own) @ _numbers(point.mixing).T)
        places = np.repeat(np.arange(len(along)), size)
        return cls(point, np.vstack(along), np.vstack(weights), places)

    @property
    def bands(self) -> int:
        return int(self.band_of[-1]) + 1

    @cached_property
    def slices(self) -> list[slice]:
        """The coordinates of every band."""
        size = len(self.x) // self.bands
        return [slice(g * size, (g + 1) * size) for g in range(self.bands)]

    @property
    def tokens(self) -> int:
        return self.point.model.tokens

    def parts(self, vectors: Array) -> Array:
        """The parts of vectors in every band, those of the first before those of the second."""
        inside = self.band_of[:, None] == np.arange(self.bands)
        return np.hstack([np.where(inside[:, g : g + 1], vectors, 0.0) for g in range(self.bands)])

    def of_tokens(self, vectors: Array) -> Array:
        """The vectors at every token, in R^(P d)."""
        return np.asarray(np.kron(np.eye(self.tokens), vectors)) if self.tokens > 1 else vectors

    @cached_property
    def direction_parts(self) -> Array:
        return self.parts(self.directions)

    @cached_property
    def direction_basis(self) -> list[Array]:
        """Orthonormal vectors that span the parts of the directions in each band."""
        if self.bands == 1:
            return [np.linalg.qr(self.directions)[0]]
        found = []
        for g in range(self.bands):
            part = self.directions * (self.band_of[:, None] == g)
            left, sizes, _ = np.linalg.svd(part, full_matrices=False)
            found.append(left[:, sizes > RANK_SHARE**0.5 * max(sizes.max(), 1e-300)])
        return found

    def off_directions(self, vectors: Array) -> Array:
        """Vectors (columns) without their parts along the directions' parts."""
        basis = np.hstack(self.direction_basis)
        return vectors - basis @ (basis.T @ vectors)

    @cached_property
    def perpendicular(self) -> Array:
        """x without its parts along the directions, in every band."""
        if self.bands == 1:
            return self.x - self.directions @ np.linalg.lstsq(self.directions, self.x)[0]
        return self.parts(self.off_directions(self.x))

    @cached_property
    def span(self) -> Array:
        """V = [e, x], with bands [P_1 e..P_B e, P_1 x..P_B x]."""
        return np.hstack([self.direction_parts, self.parts(self.x)])

    @cached_property
    def gram_inverse(self) -> Array:
        """(V^T V)^-1; entries of two bands are zero."""
        gram = self.span.T @ self.span
        values = np.linalg.eigvalsh(gram)
        if values[0] < RANK_SHARE * values[-1]:
            got = "a band that holds nothing of some direction"
            remedy = "the coefficients of a block on dependent vectors are not unique"
            raise InputError("directions_gram", got, "parts that are independent", remedy)
        return np.asarray(np.linalg.inv(gram))

    def band_of_vector(self, position: int) -> int:
        """The band of a vector of V."""
        r = self.bands * self.point.model.directions
        inside, size = (position, self.point.model.directions)
        if position >= r:
            inside, size = position - r, self.point.model.units
        return inside // size

    @cached_property
    def dual(self) -> Array:
        """T with T^T V = 1: T^T (V B V^T + c) T = B + c W^-1."""
        return self.span @ self.gram_inverse

    @cached_property
    def complements(self) -> list[Array]:
        """Orthonormal vectors orthogonal to V, of every band."""
        if self.bands == 1:
            return [np.linalg.svd(self.span)[0][:, self.span.shape[1] :]]
        found = []
        for g in range(self.bands):
            rows = self.band_of == g
            left, sizes, _ = np.linalg.svd(self.span[rows])
            own = np.zeros((len(rows), left.shape[1]))
            own[rows] = left
            rank = int((sizes > RANK_SHARE**0.5 * sizes.max()).sum())
            found.append(own[:, rank:])
        return found


def _numbers(matrix: sp.MatrixBase) -> Array:
    return np.array(matrix.tolist(), dtype=float).reshape(matrix.shape)


def _root(gram: Array) -> Array:
    """A with A A^T the Gram matrix, which may be singular in a band."""
    try:
        return np.asarray(np.linalg.cholesky(gram))
    except np.linalg.LinAlgError:
        values, vectors = np.linalg.eigh(gram)
        return np.asarray(vectors * np.sqrt(np.clip(values, 0.0, None)))
