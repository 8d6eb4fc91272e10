r"""A witness of a density: its mass near zero against the resolvent on the imaginary axis.

.. math:: \int\frac{\eta^2}{x^2+\eta^2}\,\rho(dx)=\eta\,\mathrm{Im}\,\tfrac1k\mathrm{tr}\,S(i\eta)

holds for every eta > 0.  Nothing is singular on this axis, so that S is found for all weights and
without knowledge of edges, gaps or the shape of the density: mass at a wrong decade is seen, also
where the total is right.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from numerics.core.errors import ResolventError
from numerics.core.packed_symmetric import Array
from numerics.proportional.resolvent import Resolvent

from .bulk_density import Piece
from .continuation import CLOSE

# of eta, relative to the largest weight: one a decade
DECADES = 10.0 ** np.arange(1, -13, -1)
# of no account
LEFT = 1e-4
# points of a piece, no fewer than a series is long
POINTS = 2048


@dataclass(frozen=True)
class Witness:
    """What the resolvent says of the mass near zero.

    Attributes
    ----------
    heights : array, shape (n,)
        Values of eta, decreasing.
    masses : array, shape (n,)
        Within about eta of zero, per row of the matrix.
    solutions : array, shape (n, B, k, k)
        S(i eta).
    """

    heights: Array
    masses: Array
    solutions: Array


def smoothed_masses(resolvent: Resolvent, atom: float, known: Witness | None = None) -> Witness:
    """The witness, down to where only the atom, of that mass, is left.

    Parameters
    ----------
    resolvent : Resolvent
    atom : float
    known : Witness, optional
        Of a similar law.
    """
    found: list[float] = []
    solutions: list[Array] = []
    heights = resolvent.scale * DECADES
    s = resolvent.multiple(1j / heights[0])
    for i, (before, height) in enumerate(
        zip(np.append(heights[0], heights), heights, strict=False)
    ):
        try:
            again = None if known is None else _again(resolvent, float(height), known, i)
            s = _on_axis(resolvent, float(before), float(height), s) if again is None else again
        except (ResolventError, np.linalg.LinAlgError):
            break
        solutions.append(s)
        found.append(height * float(resolvent.trace(s).imag) / resolvent.law.noisy)
        if found[-1] - atom < LEFT:
            break
    shape = (len(found), *s.shape)
    return Witness(heights[: len(found)], np.array(found), np.array(solutions).reshape(shape))


def _again(resolvent: Resolvent, height: float, known: Witness, i: int) -> Array | None:
    """S at i eta from that of a similar law, or None."""
    if i >= len(known.heights) or known.solutions.shape[-1] != resolvent.rows:
        return None
    try:
        s = resolvent.solve_at(1j * height, known.solutions[i], CLOSE)
    except (ResolventError, np.linalg.LinAlgError):
        return None
    return s if np.linalg.eigvalsh(s.imag).min() > 0 else None


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


def misplaced(pieces: Sequence[Piece], atom: float, witness: Witness) -> float:
    """The largest difference of the smoothed mass of a density, with its atom, from the witness."""
    heights, masses = witness.heights, witness.masses
    theta = np.pi * (np.arange(POINTS) + 0.5) / POINTS
    seen = np.full(heights.shape, atom)
    for piece in pieces:
        at, weight = piece.interval.place(theta)[0], piece.masses(POINTS)
        seen += (heights[:, None] ** 2 / (at**2 + heights[:, None] ** 2)) @ weight
    return float(np.abs(seen - masses).max(initial=0.0))
