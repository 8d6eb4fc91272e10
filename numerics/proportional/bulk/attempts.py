"""The density by the first of several ways that finds all of its mass.

A Gauss rule that stands for thousands of weights, and a stretch of z towards zero, serve nearly
every law. Where eigenvalues spread over many decades above zero the rule is too coarse for the
least of them, and the stretch too weak: then z is exponential down to a floor, or all weights are
taken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np

from numerics.core.errors import ResolventError
from numerics.proportional.resolvent import Resolvent
from numerics.proportional.support import Branch

from .bulk_density import SCATTERED, Piece, Resolution, bulk_pieces, repeat_pieces
from .compressed_law import compressed
from .smoothed_mass import Witness, misplaced, smoothed_masses

# mass that a way may miss before the next one is tried
MISSED = 1e-2
# lower ends of exponential intervals, as shares of the upper end
FLOORS = (1e-4, 1e-8, 1e-12)

Found = tuple[list[Piece], list[Branch], float, Witness]


def density_pieces(
    resolvent: Resolvent,
    branches: dict[int, Branch],
    inner_atom: float,
    resolution: Resolution,
    known: Sequence[Piece],
    known_gaps: Sequence[Branch],
    known_witness: Witness | None = None,
) -> Found:
    """Pieces of the density, the gaps between them, the mass that may stand elsewhere, and its
    witness.

    Parameters
    ----------
    resolvent, branches, resolution
        As for :func:`bulk_pieces`.
    inner_atom : float
        Mass at zero of the rows that are not null, per such row.
    known : sequence of Piece
        Those of a similar law that fills its support; empty if there is none.
    known_gaps : sequence of Branch
        Those of a similar law.
    known_witness : Witness, optional
        That of a similar law.

    Raises
    ------
    ResolventError
        No way found any density.
    """
    rows = resolvent.rows / resolvent.law.noisy
    witness = smoothed_masses(resolvent, rows * inner_atom, known_witness)
    best: Found | None = None
    least, last = np.inf, ResolventError(0.0, np.inf)
    for way in _ways(resolvent, branches, inner_atom, resolution, known, known_gaps):
        try:
            pieces, gaps = way()
        except ResolventError as error:
            last = error
            continue
        elsewhere = misplaced(pieces, rows * inner_atom, witness)
        mass = sum(piece.mass for piece in pieces)
        missed = max(abs(mass - rows * (1 - inner_atom)), elsewhere)
        if missed < least:
            best, least = (pieces, gaps, elsewhere, witness), missed
        if least <= MISSED:
            break
    if best is None:
        raise last
    return best


def _ways(
    resolvent: Resolvent,
    branches: dict[int, Branch],
    inner_atom: float,
    resolution: Resolution,
    known: Sequence[Piece],
    known_gaps: Sequence[Branch],
) -> Iterator[Callable[[], tuple[list[Piece], list[Branch]]]]:
    """From the cheapest to the most careful."""
    ends = [(branches[-1].edge.place, branches[1].edge.place)]
    less = compressed(resolvent)
    if known:
        yield lambda: (repeat_pieces(known, less, ends), [])
    yield partial(bulk_pieces, less, branches, inner_atom, resolution, known_gaps)
    if "zero" not in (branch.edge.kind for branch in branches.values()):
        return
    for law in (less,) if less is resolvent else (less, resolvent):
        for floor in (0.0, *FLOORS):
            yield partial(bulk_pieces, law, branches, inner_atom, SCATTERED, floor=floor)
