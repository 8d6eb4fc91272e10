"""The limiting spectrum of one law: branches, outliers on them, density and atom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from numerics.core.errors import ResolventError
from numerics.core.packed_symmetric import Array
from numerics.proportional.bulk.attempts import density_pieces
from numerics.proportional.bulk.bulk_density import FINE, SCATTERED, Piece, Resolution
from numerics.proportional.bulk.smoothed_mass import Witness
from numerics.proportional.bulk.zero_atom import atom_at_zero

from .line_panels import ended_at_cuts
from .line_rule import LineRule
from .outliers import ABOVE_ZERO, Field, Outlier, excess_at, find_outliers
from .resolvent import Resolvent
from .rule_choice import PlacedRule
from .support import Branch, Edge, outer_branch
from .weight_nodes import WeightNodes

# relative difference of edges above which two tensor rules are not trusted; and where rare weights
# were left out, which a rule does by whole nodes
DISAGREEMENT, DISAGREEMENT_CUT = 2e-3, 3e-2
# one in a thousand: what data of some thousand samples hardly show
DATA_TAIL = 1e-3


@dataclass(frozen=True)
class LimitingSpectrum:
    """What one law implies.

    Attributes
    ----------
    resolvent : Resolvent
    branches : dict
        Outer branches by side; empty if nothing multiplies features.
    outliers : tuple of Outlier
        Farthest right first.
    missed : float
        The next candidate for an outlier lies inside the edge by this share of it.
    pieces : tuple of Piece
        The density, interval by interval (empty if not asked for).
    gaps : tuple of Branch
        Between the pieces.
    tail : float
        Share of the samples left out at either end.
    whole : Resolvent, optional
        Of the law before they were left out: the atom is that of all samples.
    misplaced : float
        Mass of the density that stands at a wrong place, by an independent witness.
    counted : float, optional
        ``inner_atom`` where it is known.
    known_field : Field, optional
        ``field`` where it is known.
    witness : Witness, optional
        Of the density.
    """

    resolvent: Resolvent
    branches: dict[int, Branch]
    outliers: tuple[Outlier, ...]
    missed: float
    pieces: tuple[Piece, ...] = ()
    gaps: tuple[Branch, ...] = ()
    tail: float = 0.0
    whole: Resolvent | None = None
    misplaced: float = 0.0
    counted: float | None = None
    known_field: Field | None = None
    witness: Witness | None = None

    @cached_property
    def field(self) -> Field:
        """F at this resolvent."""
        return self.known_field or Field(self.resolvent)

    @property
    def edges(self) -> tuple[Edge, ...]:
        """Outermost edges, left and right; empty without bulk."""
        return tuple(self.branches[side].edge for side in (-1, 1) if self.branches)

    @property
    def contains_zero(self) -> bool:
        """Whether zero lies between the outermost edges, or is one."""
        left, right = self.edges
        return left.place <= 0 <= right.place

    @cached_property
    def inner_atom(self) -> float:
        """Mass at zero of the rows that are not null, per such row."""
        if self.counted is not None:
            return self.counted
        return atom_at_zero(self.resolvent) if self.branches and self.contains_zero else 0.0

    @cached_property
    def atom(self) -> float:
        """Mass at zero of all samples, per row of the matrix."""
        whole = self.whole
        if whole is None or not self.branches or not self.contains_zero:
            return _per_row(self.resolvent, self.inner_atom)
        return _per_row(whole, atom_at_zero(whole))

    @property
    def mass(self) -> float:
        """Of atom and density; 1 up to errors when the density was asked for."""
        own = _per_row(self.resolvent, self.inner_atom)
        return own + sum(piece.mass for piece in self.pieces)

    @property
    def is_one_interval(self) -> bool:
        """Whether the density fills the support without a gap."""
        ends = [(piece.interval.left, piece.interval.right) for piece in self.pieces]
        return ends == [tuple(edge.place for edge in self.edges)]

    def excess_at_edge(self, side: int) -> Array:
        """Eigenvalues of F beyond the edge of that side (positive: an outlier), over the edge,
        outermost first.
        """
        branch = self.branches[side]
        beyond = side * excess_at(branch, self.field, branch.edge)[::side]
        return np.asarray(beyond / max(abs(branch.edge.place), ABOVE_ZERO * self.resolvent.scale))

    def nearest_inside(self, place: float) -> float:
        """How far inside an edge of the support the next candidate for an outlier lies, over the
        edge; infinite at the atom.
        """
        for branch in (*self.branches.values(), *self.gaps):
            for edge, sign in ((branch.low, -1), (branch.high, 1)):
                if edge is None or edge.place != place or edge.kind == "zero":
                    continue
                inside = sign * excess_at(branch, self.field, edge)
                return float(inside[inside >= 0].min(initial=np.inf) / abs(place))
        return np.inf


def _per_row(resolvent: Resolvent, inner_atom: float) -> float:
    """Mass at zero per row, from that of the rows that are not null."""
    noisy = resolvent.law.noisy
    return (len(resolvent.null) + resolvent.rows * inner_atom) / noisy if noisy else 0.0


def solve_spectrum(
    resolvent: Resolvent,
    like: LimitingSpectrum | None = None,
    *,
    density: Resolution | None = None,
    settled: Sequence[Outlier] = (),
) -> LimitingSpectrum:
    """Edges and outliers, and the density if asked for, of one law.

    Parameters
    ----------
    resolvent : Resolvent
    like : LimitingSpectrum, optional
        Of a similar law, from which Newton's method starts.
    density : Resolution, optional
    settled : sequence of Outlier, optional
        Of the law before its tail was cut off: taken as they are.
    """
    field = Field(resolvent)
    if like is not None and like.resolvent.rows != resolvent.rows:
        like = None
    if not resolvent.rows:
        return _without_bulk(resolvent, field)
    branches = {
        side: outer_branch(resolvent, side, like.branches[side] if like and like.branches else None)
        for side in (1, -1)
    }
    found: list[Outlier] = []
    missed = np.inf
    for side, branch in branches.items():
        known = None if like is None else [o for o in like.outliers if o.side == side]
        here, next_one = find_outliers(branch, field, known, settled)
        found, missed = found + here, min(missed, next_one)
    found.sort(key=lambda o: -o.place)
    spectrum = LimitingSpectrum(resolvent, branches, tuple(found), missed, known_field=field)
    return with_density(spectrum, density, like) if density else spectrum


def with_density(
    spectrum: LimitingSpectrum, resolution: Resolution, like: LimitingSpectrum | None = None
) -> LimitingSpectrum:
    """The same law with its density, the gaps inside the support and the outliers in them."""
    if not spectrum.branches:
        return spectrum
    resolvent, branches = spectrum.resolvent, spectrum.branches
    if like is not None and like.resolvent.rows != resolvent.rows:
        like = None
    known = like.pieces if like is not None and like.is_one_interval else ()
    known_gaps = () if like is None else like.gaps
    witness = None if like is None else like.witness
    pieces, gaps, elsewhere, witness = density_pieces(
        resolvent, branches, spectrum.inner_atom, resolution, known, known_gaps, witness
    )
    outliers = list(spectrum.outliers)
    for gap in gaps:
        outliers += find_outliers(gap, spectrum.field)[0]
    return replace(
        spectrum,
        outliers=tuple(sorted(outliers, key=lambda o: -o.place)),
        pieces=tuple(pieces),
        gaps=tuple(gaps),
        misplaced=elsewhere,
        witness=witness,
        counted=spectrum.inner_atom,
    )


def _without_bulk(resolvent: Resolvent, field: Field) -> LimitingSpectrum:
    """Nothing multiplies features: F is the whole matrix, a constant."""
    nothing = np.zeros((resolvent.law.covariances.bands, 0, 0))
    if not resolvent.weight.shape[1]:  # the second derivative is zero almost everywhere
        return LimitingSpectrum(resolvent, {}, (), np.inf)
    values, vectors = np.linalg.eigh(field.at(nothing))
    decreasing = enumerate(zip(values[::-1], vectors.T[::-1], strict=True))
    found = [
        Outlier(1, float(z), 0.0, nothing, i, field.embed(e), np.inf) for i, (z, e) in decreasing
    ]
    return LimitingSpectrum(resolvent, {}, tuple(found), np.inf)


def rules_agree(runs: Sequence[LimitingSpectrum]) -> bool:
    """Whether two tensor rules see the same outliers, and edges at the same place.

    Where the pre-activations are much wider than the nonlinearity they do not: few of their nodes
    have any weight.
    """
    if len({len(run.outliers) for run in runs}) > 1:
        return False
    allowed = DISAGREEMENT_CUT if any(run.tail for run in runs) else DISAGREEMENT
    for pair in zip(*(run.edges for run in runs), strict=True):
        places = [edge.place for edge in pair]
        if max(places) - min(places) > allowed * max(map(abs, places)):
            return False
    return True


def solve_all(
    nodes: WeightNodes,
    rules: Sequence[PlacedRule],
    ratio: float,
    tail: float | None = 0.0,
    density: bool = False,
    like: LimitingSpectrum | None = None,
) -> list[LimitingSpectrum]:
    """The spectrum with every rule; each helps the next.

    A tail of None is 0 where the spectrum ends where data show it, and DATA_TAIL where weights that
    hardly any sample has would move its end.
    """
    if tail is not None:
        return _solve_all(nodes, rules, ratio, tail, density, like)
    cut = like if like is not None and like.tail else None
    if nodes.unbounded_sides:
        return _solve_all(nodes, rules, ratio, DATA_TAIL, density, cut)
    whole = _solve_all(nodes, rules, ratio, 0.0, False, None if cut else like)
    if any(edge.kind == "essential" for run in whole for edge in run.edges):
        seen = _solve_all(nodes, rules, ratio, DATA_TAIL, density, cut, whole)
        # one whose cut was moved has the nodes of the last
        like_seen = [whole[-1]] * (len(seen) - len(whole)) + whole
        return [_with_outliers_of(*pair) for pair in zip(seen, like_seen, strict=True)]
    return _with_densities(whole, rules, like) if density else whole


def _with_outliers_of(seen: LimitingSpectrum, whole: LimitingSpectrum) -> LimitingSpectrum:
    """Outliers that stand beyond the thin tail too are those of the whole law: rare samples move
    them.
    """
    known = {(o.side, o.index): o for o in whole.outliers if o.side}

    def nearest(place: float) -> float:
        return min(
            (abs(place - e.place) / abs(e.place) for e in seen.edges if e.place), default=np.inf
        )

    outliers = [
        replace(o, distance=nearest(o.place))
        for o in (known.get((o.side, o.index), o) for o in seen.outliers)
    ]
    return replace(seen, outliers=tuple(sorted(outliers, key=lambda o: -o.place)))


def _solve_all(
    nodes: WeightNodes,
    rules: Sequence[PlacedRule],
    ratio: float,
    tail: float,
    density: bool,
    like: LimitingSpectrum | None,
    whole: Sequence[LimitingSpectrum] = (),
) -> list[LimitingSpectrum]:
    """With one tail, or after the spectra of the whole law, whose outliers are taken."""
    runs: list[LimitingSpectrum] = []
    for i, (rule, replicate) in enumerate(rules):
        law = nodes.law(rule, replicate)
        cut = ended_at_cuts(nodes, rule, tail) if tail and isinstance(rule, LineRule) else rule
        kept = nodes.law(cut, replicate) if cut is not rule else law
        resolvent = Resolvent(kept.without_tail(tail), ratio)
        known = runs[-1] if runs else like
        settled = whole[i].outliers if whole else ()
        try:
            run = solve_spectrum(resolvent, known, settled=settled)
        except ResolventError:
            if known is None:
                raise
            run = solve_spectrum(resolvent, settled=settled)
        runs.append(replace(run, tail=tail, whole=Resolvent(law, ratio) if tail else None))
    if tail and len(rules) == 2 and rules[-1][0].kind == "gauss-hermite":
        runs.insert(0, _with_moved_cut(runs[-1], tail))
    return _with_densities(runs, rules, like) if density else runs


def _with_moved_cut(run: LimitingSpectrum, tail: float) -> LimitingSpectrum:
    """The spectrum where the border of the tail lies one node further in.

    A tensor rule cuts by whole nodes, so that the tail is known to the probability of one at the
    border alone; two rules may err alike.
    """
    assert run.whole is not None
    law, ratio = run.whole.law, run.whole.aspect_ratio
    moved = min(2 * tail, tail + law.border(tail))
    resolvent = Resolvent(law.without_tail(moved), ratio)
    try:
        return replace(solve_spectrum(resolvent, run), tail=tail, whole=run.whole)
    except ResolventError:
        return replace(solve_spectrum(resolvent), tail=tail, whole=run.whole)


def _with_densities(
    runs: Sequence[LimitingSpectrum], rules: Sequence[PlacedRule], like: LimitingSpectrum | None
) -> list[LimitingSpectrum]:
    resolution = SCATTERED if rules[0][0].kind == "sobol" else FINE
    found: list[LimitingSpectrum] = []
    for run in runs:
        known = found[-1] if found else like
        try:
            found.append(with_density(run, resolution, known))
        except ResolventError:
            if known is None:
                raise
            found.append(with_density(run, resolution))
    return found


def agreed_gaps(runs: Sequence[LimitingSpectrum]) -> list[NDArray[np.float64]]:
    """Gaps inside the support that every run has, each an array (run, end): the best run's, last,
    and its likes.
    """

    def gaps(run: LimitingSpectrum) -> list[tuple[float, float]]:
        """Between intervals, and between one and an atom at the end of the support."""
        if not run.pieces:
            return []
        left, right = (edge.place for edge in run.edges)
        inner = [x for piece in run.pieces for x in (piece.interval.left, piece.interval.right)]
        ends = [left, *inner, right]
        return [(a, b) for a, b in zip(ends[::2], ends[1::2], strict=True) if b > a]

    kept = []
    for a, b in gaps(runs[-1]):
        rows = []
        for run in runs:
            overlaps = [(min(b, q) - max(a, p), (p, q)) for p, q in gaps(run)]
            share, gap = max(overlaps, default=(0.0, (0.0, 0.0)))
            if share < 0.5 * (b - a):
                break
            rows.append(gap)
        else:
            kept.append(np.array(rows))
    return kept
