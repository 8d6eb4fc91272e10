r"""A witness of a density: its mass near zero against the resolvent on the imaginary axis.

.. math:: \int\frac{\eta^2}{x^2+\eta^2}\,\rho(dx)=\eta\,\mathrm{Im}\,\tfrac1k\mathrm{tr}\,S(i\eta)

holds for every eta > 0.  Nothing is singular on this axis, so that S is found for all weights and
without knowledge of edges, gaps or the shape of the density: mass at a wrong decade is seen, also
where the total is right.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from numerics.core.errors import ResolventError
from numerics.core.packed_symmetric import Array
from numerics.proportional.resolvent import Resolvent

from .bulk_density import Piece

# of eta, relative to the largest weight: one a decade
DECADES = 10.0 ** np.arange(1, -13, -1)
# of no account
LEFT = 1e-4
# points of a piece
POINTS = 2048


def smoothed_masses(resolvent: Resolvent, atom: float) -> tuple[Array, Array]:
    """Values of eta, decreasing, and the mass within about eta of zero, per row of the matrix; down
    to where only the atom, of that mass, is left.
    """
    found: list[float] = []
    heights = resolvent.scale * DECADES
    s = resolvent.multiple(1j / heights[0])
    for before, height in zip(np.append(heights[0], heights), heights, strict=False):
        try:
            s = _on_axis(resolvent, float(before), float(height), s)
        except (ResolventError, np.linalg.LinAlgError):
            break
        found.append(height * float(resolvent.trace(s).imag) / resolvent.law.noisy)
        if found[-1] - atom < LEFT:
            break
    return heights[: len(found)], np.array(found)


def _on_axis(resolvent: Resolvent, before: float, height: float, s: Array) -> Array:
    """S at i eta from that at a larger eta, in smaller steps where Newton's method needs them."""
    for parts in (1, 3, 9):
        at = s
        try:
            for x in np.geomspace(before, height, parts + 1)[1:]:
                at = resolvent.solve_at(1j * float(x), at)
                if not np.linalg.eigvalsh(at.imag).min() > 0:
                    raise ResolventError(1j * float(x), np.inf)
        except (ResolventError, np.linalg.LinAlgError):
            continue
        return at
    raise ResolventError(1j * height, np.inf)


def misplaced(pieces: Sequence[Piece], atom: float, witness: tuple[Array, Array]) -> float:
    """The largest difference of the smoothed mass of a density, with its atom, from the witness."""
    heights, masses = witness
    theta = np.pi * (np.arange(POINTS) + 0.5) / POINTS
    seen = np.full(heights.shape, atom)
    for piece in pieces:
        at, weight = piece.interval.place(theta)[0], piece.masses(theta)
        seen += (heights[:, None] ** 2 / (at**2 + heights[:, None] ** 2)) @ weight
    return float(np.abs(seen - masses).max(initial=0.0))
