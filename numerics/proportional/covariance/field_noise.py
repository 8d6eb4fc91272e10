"""What moves the fields of a loss in the components of one group."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from numerics.core.packed_symmetric import Array

# singular values of the pre-activations' map below this, relative to the largest, are directions u
# does not move in
RANK = 1e-10


@dataclass(frozen=True)
class FieldNoise:
    """Normal coordinates of u, and what w is beside them.

    u up to its gauge is rows^T t, t = (rows x) w: what moves t are the right singular vectors of
    that map, in units of the deviations of w.

    Attributes
    ----------
    spread : array, shape (gauge, n)
        What u is moved by, up to its gauge, by every normal coordinate.
    along : array, shape (n, rank [+ 1])
        These coordinates as unit vectors of those of unit variance.
    deviations : array, shape (rank [+ 1],)
    """

    spread: Array
    along: Array
    deviations: Array

    @classmethod
    def of(cls, map_: Array, deviations: Array) -> FieldNoise:
        """From the map of coordinates to t."""
        left, sizes, right = np.linalg.svd(map_ * deviations, full_matrices=False)
        kept = sizes > RANK * sizes.max(initial=0.0)
        return cls(left[:, kept] * sizes[kept], right[kept], deviations)

    def moved(self, rank: int) -> Array:
        """The coordinates w, moved by every normal coordinate."""
        return (self.along * self.deviations)[:, :rank]

    def unseen(self, rank: int) -> Array:
        """Covariance of w given u."""
        moved = self.moved(rank)
        return np.asarray(np.diag(self.deviations[:rank] ** 2) - moved.T @ moved)
