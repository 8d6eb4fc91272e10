"""Densities where a series of cosines is cut: the equation for S is solved at every place asked
for, from a polynomial through the nearest nodes of the series.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from numerics.core.packed_symmetric import Array
from numerics.proportional.resolvent import Resolvent

from .bulk_density import Piece
from .continuation import on_axis_many

# of the largest density: what a series lacks below this is left to it
RESOLVED = 1e-10


def densities(
    pieces: Sequence[Piece], resolvent: Resolvent, z: Array, *, solved: bool
) -> tuple[Array, Array]:
    """Density at points, and what it may lack where it is a series that was cut.

    Parameters
    ----------
    pieces : sequence of Piece
    resolvent : Resolvent
        Whose density the pieces are.
    z : array
    solved : bool
        Solve the equation where the series is cut, and does not leave a thin tail out.
    """
    density, lacking = np.zeros(z.size), np.zeros(z.size)
    for piece in pieces:
        own, left = piece.density(z), piece.unresolved(z)
        if solved:
            cut = np.flatnonzero(left > RESOLVED * own.max(initial=0.0))
            found = _solved(piece, resolvent, z[cut])
            known = np.isfinite(found)
            own[cut[known]], left[cut[known]] = found[known], 0.0
        density += own
        lacking += left
    return density, lacking


def _solved(piece: Piece, resolvent: Resolvent, z: Array) -> Array:
    """Not a number where Newton's method from the nodes does not arrive."""
    starts = piece.solutions_at(piece.interval.angle(z))
    s = on_axis_many(resolvent, z, starts, trusted=True)
    return np.asarray(np.maximum(resolvent.trace(s.imag), 0) / (np.pi * resolvent.law.noisy))
