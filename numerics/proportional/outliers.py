r"""Outliers beyond the support: roots of det(zI - F(z)), and their eigenvectors on the span.

.. math:: F(z)=E[\tilde w^T A\,\tilde w],\qquad \tilde w=\mathrm{diag}(I_k\otimes w,\,I_q)

A of :mod:`numerics.proportional.resolvent`; for first-layer blocks F = E[A (x) w w^T].  On every
branch outside the support F decreases, so that each of its sorted eigenvalues gives one outlier or
none (mathematics.md section 7).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from numerics.core.covariance.token_arrays import repeated
from numerics.core.errors import ResolventError
from numerics.core.packed_symmetric import Array, pack, positions, unpack

from .nodes.node_weights import packed_products
from .resolvent import Resolvent
from .support import Branch, Edge

# a Newton step this small, relative to the trace of S, is the last one: its error is the square
LAST_STEP, STEPS = 1e-10, 80
# outliers this close, relative to their place, have one eigenspace
MULTIPLET = 1e-8
# e^T (I - F') e is at least 1, up to this
ROUNDING = 1e-9
# outliers closer to an atom at zero than this share of the largest weight are part of it
ABOVE_ZERO = 1e-6
# rounding of an eigenvalue of F, relative to the terms F is the sum of: each of them, and the
# eigenvalue solver's, which is that of the largest eigenvalue however small this one is
LEVEL = 16 * float(np.finfo(float).eps)


@dataclass(frozen=True)
class Outlier:
    """A root on one branch.

    Attributes
    ----------
    side : int
        1 right of the bulk, -1 left of it, 0 in a gap.
    place, trace : float
        z and the trace of S there.
    solution : array, shape (B, k, k)
        S there.
    index : int
        Of the eigenvalue of F, in decreasing order.
    vector : array, shape (C rank + q,)
        Projection of the unit eigenvector on the span and the readout; overlap = its squared
        length.
    distance : float
        From the nearest edge, relative to it.
    rounding : float
        Of the eigenvalue of F, and with it of z: F decreases beyond the edges.
    mixing : float
        Of the eigenvector: the sine of the angle by which rounding turns it towards the others.
    """

    side: int
    place: float
    trace: float
    solution: Array
    index: int
    vector: Array
    distance: float
    rounding: float = 0.0
    mixing: float = 0.0

    @property
    def overlap_rounding(self) -> float:
        """Rounding of the squared length of the projection, at most 1.

        With overlap 1 / (1 + c), c varies with z over the distance to the edge.
        """
        away = abs(self.place) / (1 + 1 / self.distance) if self.distance else 0.0
        if away <= self.rounding:
            return 1.0
        overlap = float(self.vector @ self.vector)
        moved = 2 * overlap * max(1 - overlap, 0.0) * self.rounding / away
        return min(1.0, moved + 2 * self.mixing)


class Field:
    """F and what follows from it, at one resolvent."""

    def __init__(self, resolvent: Resolvent) -> None:
        self.resolvent = resolvent
        law, p, rank = resolvent.law, resolvent.weight.shape[1], resolvent.law.basis.rank
        self._size, self._rank, places = p, rank, law.place.shape[1]
        self._moment = law.packed_moment * law.probability[:, None]
        self._free_roots = [_root(free) for free in law.free]
        # of (row of K, coordinate of (w, 1)) the features' rows have w, the readout's rows 1
        kept = np.zeros((p, places), dtype=bool)
        units = np.ones((resolvent.rows, rank), dtype=bool)
        kept[: resolvent.seeing, :-1] = repeated(units, law.tokens)
        kept[resolvent.seeing :, -1] = True
        self._kept = np.flatnonzero(kept)
        # the rows of F that these are: every token adds to those of its unit
        own, beside = resolvent.rows * rank, p - resolvent.seeing
        rows = np.concatenate([np.tile(np.eye(own), (law.tokens, 1)), np.zeros((beside, own))])
        self._fold = np.concatenate([rows, np.eye(len(rows), beside, -law.tokens * own)], axis=1)
        at_rows, at_coordinates = positions(p), positions(places)
        whole = (
            at_rows[:, None, :, None] * (self._moment.shape[1]) + at_coordinates[None, :, None, :]
        )
        whole = whole.reshape(p * places, p * places)
        self._gather = np.ascontiguousarray(whole[np.ix_(self._kept, self._kept)])

    def at(self, s: Array) -> Array:
        """F, with rows (first-layer row, coordinate of w), then readout parameters."""
        return self._whole(self.resolvent.propagate_all(s).T @ self._moment)

    def rounding(self, s: Array) -> float:
        """Of F's eigenvalues: the norm of the sum of its terms' sizes, times the machine's."""
        sizes = np.abs(self.resolvent.propagate_all(s)).T @ self._moment_sizes
        return LEVEL * float(np.linalg.norm(self._whole(sizes)))

    @cached_property
    def _moment_sizes(self) -> Array:
        return np.abs(self._moment)

    def _whole(self, packed: Array) -> Array:
        found = np.take(packed, self._gather)
        if self.resolvent.law.tokens == 1:
            return np.asarray(found)
        return np.asarray(self._fold.T @ found @ self._fold)

    def levels(self, s: Array) -> Array:
        """Eigenvalues of F, decreasing."""
        return np.asarray(np.linalg.eigvalsh(self.at(s))[::-1])

    def slope_along(self, e: Array, s: Array, change: Array) -> float:
        r"""Derivative of e^T F e when S changes: minus :math:`E[e^T\tilde w^TA\,d\Sigma\,A\tilde
        we]`.
        """
        resolvent, law, k = self.resolvent, self.resolvent.law, self.resolvent.seeing
        rows = np.zeros(self._size * law.place.shape[1])
        rows[self._kept] = self._fold @ e
        rows = rows.reshape(self._size, -1)
        a = resolvent.propagate_all(s)

        def mapped(x: Array) -> Array:
            """The first k rows of A x at every node."""
            out = np.empty((len(a), k))
            packed_products(a, np.ascontiguousarray(x), k, out)
            return out

        # w w^T is that of the node's place, and a constant
        seen = mapped(law.place @ rows.T)
        unseen = self._unseen(rows, s, mapped)
        total = 0.0
        groups = zip(resolvent.slices, unseen, resolvent.couplings(change), strict=True)
        for nodes, inner, moved in groups:
            here = seen[nodes]
            inner = inner + (here * law.probability[nodes, None]).T @ here
            total -= float(np.sum(inner * moved))
        return total

    def _unseen(self, rows: Array, s: Array, mapped: Callable[[Array], Array]) -> list[Array]:
        """E[A x x^T A] of every group over the coordinates x that the fields do not see."""
        resolvent, law, k = self.resolvent, self.resolvent.law, self.resolvent.seeing
        if self._size == k:
            forms = pack(rows @ law.free @ rows.T)
            sums = zip(resolvent.node_sums, resolvent.couplings(s), forms, strict=True)
            operators = ((each.at(c[None], True)[1], form) for each, c, form in sums)
            return [unpack(o[0] @ form, k) for o, form in operators if o is not None]
        out = []
        for nodes, root in zip(resolvent.slices, self._free_roots, strict=True):
            inner, probability = np.zeros((k, k)), law.probability[nodes, None]
            for column in (rows @ root).T:
                one = mapped(np.broadcast_to(column, (len(law.probability), len(column))))[nodes]
                inner += (one * probability).T @ one
            out.append(inner)
        return out

    def projection(self, e: Array, s: Array) -> Array:
        """Projection of the unit eigenvector, e / sqrt(e^T (I - F') e), in all rows."""
        square = 1 - self.slope_along(e, s, self.resolvent.derivative(s))
        # at an edge S' diverges, to either sign by rounding, and nothing is left on the span
        return self.embed(e / np.sqrt(square) if square >= 1 - ROUNDING else 0 * e)

    def embed(self, e: Array) -> Array:
        """A vector of F's space in the rows of the law's weight, (noisy, rank) and then readout."""
        first = e[: self.resolvent.rows * self._rank].reshape(self.resolvent.rows, self._rank)
        return np.append(self.resolvent.range.T @ first, e[first.size :])


def _root(covariance: Array) -> Array:
    """A matrix of few columns whose product with its transpose a covariance is."""
    values, vectors = np.linalg.eigh(covariance)
    some = values > 1e-14 * max(float(values[-1]), 1e-300)
    return np.asarray(vectors[:, some] * np.sqrt(values[some]))


def find_outliers(
    branch: Branch,
    field: Field,
    like: Sequence[Outlier] | None = None,
    settled: Sequence[Outlier] = (),
) -> tuple[list[Outlier], float]:
    """Outliers on a branch, and how far beyond its edges the next candidate lies, relative to the
    larger edge.

    Parameters
    ----------
    branch : Branch
    field : Field
        Of its resolvent.
    like : sequence of Outlier, optional
        Those of a similar law: Newton's method starts from them.
    settled : sequence of Outlier, optional
        Taken as they are where this law has one of the same side and index.
    """
    low, high = (
        None if edge is None else excess_at(branch, field, edge)
        for edge in (branch.low, branch.high)
    )
    size = next(values.size for values in (low, high) if values is not None)
    first = 0 if high is None else int(np.sum(high > 0))
    last = size if low is None else int(np.sum(low > 0))
    # with z the trace runs over this interval; at infinity it is 0
    ends = tuple(0.0 if edge is None else edge.trace for edge in (branch.low, branch.high))
    scanned = (
        [t for t in map(float, branch.path) if ends[0] < t < ends[1]]
        if first < last and like is None
        else []
    )
    scan = [(t, _excess(branch, field, t)) for t in scanned]
    starts = {o.index: o for o in like or ()}
    known = {o.index: o for o in settled if o.side == branch.side}
    found = []
    for i in range(first, last):
        if i in known:
            continue
        inner = max((t for t, values in scan if values[i] > 0), default=ends[0])
        outer = min((t for t, values in scan if values[i] <= 0), default=ends[1])
        found.append(_outlier(branch, field, i, (inner, outer), scan, starts.get(i)))
    found = _with_multiplets(field, found)
    found += [known[i] for i in range(first, last) if i in known]
    edges = [edge.place for edge in (branch.low, branch.high) if edge]
    rest = [] if low is None else list(-low[low <= 0])
    rest += [] if high is None else list(high[high > 0])
    widest = max(map(abs, edges))
    return found, float(min(rest, default=np.inf) / widest) if widest else np.inf


def _with_multiplets(field: Field, outliers: list[Outlier]) -> list[Outlier]:
    """Vectors of outliers at one place from one basis of their eigenspace: separately found they
    are not orthogonal.

    With E the eigenvectors of F, the projections are E (E^T (I - F') E)^(-1/2).
    """
    out: list[Outlier] = []
    groups: list[list[Outlier]] = []
    for o in outliers:
        last = groups[-1][-1] if groups else None
        if last is not None and abs(o.place - last.place) <= MULTIPLET * abs(o.place):
            groups[-1].append(o)
        else:
            groups.append([o])
    for group in groups:
        if len(group) == 1:
            out += group
            continue
        s = group[0].solution
        slope = field.resolvent.derivative(s)
        e = np.linalg.eigh(field.at(s))[1][:, [-1 - o.index for o in group]]

        def form(x: Array, s: Array = s, slope: Array = slope) -> float:
            return field.slope_along(x, s, slope)

        pairs = [[(form(a + b) - form(a - b)) / 4 for b in e.T] for a in e.T]
        squares, axes = np.linalg.eigh(np.eye(len(group)) - np.array(pairs))
        factors = np.where(squares >= 1 - ROUNDING, 1 / np.sqrt(np.maximum(squares, 1)), 0.0)
        projected = e @ ((axes * factors) @ axes.T)
        out += [replace(o, vector=field.embed(v)) for o, v in zip(group, projected.T, strict=True)]
    return out


def _excess(branch: Branch, field: Field, trace: float) -> Array:
    """Eigenvalues of F minus z, decreasing; each decreases with the trace."""
    z, s = branch.at_trace(trace)
    return field.levels(s) - z


def excess_at(branch: Branch, field: Field, edge: Edge) -> Array:
    """Eigenvalues of F minus z at one edge of a branch, decreasing; positive above and negative
    below: an outlier.
    """
    beyond = _excess(branch, field, edge.trace)
    if edge.kind != "zero":
        return beyond
    # eigenvalues of F that vanish are the atom's
    return beyond + (ABOVE_ZERO if edge is branch.high else -ABOVE_ZERO) * branch.resolvent.scale


def _outlier(
    branch: Branch,
    field: Field,
    index: int,
    bracket: tuple[float, float],
    scan: list[tuple[float, Array]],
    like: Outlier | None,
) -> Outlier:
    """Newton's method in the trace of S, kept within a bracket; levels on the way are added to the
    scan.
    """
    resolvent, (low, high) = branch.resolvent, bracket
    trace, guess = _start(low, high, {t: float(values[index]) for t, values in scan}), None
    if like is not None and low < like.trace < high:
        trace, guess = like.trace, like.solution
    for _ in range(STEPS):
        try:
            z, s = branch.at_trace(trace) if guess is None else resolvent.solve_trace(trace, guess)
        except (ResolventError, np.linalg.LinAlgError):
            z, s = branch.at_trace(trace)
        levels, vectors = np.linalg.eigh(field.at(s))
        e, excess = vectors[:, -1 - index], float(levels[-1 - index] - z)
        scan.append((trace, levels[::-1] - z))
        slope, change = resolvent.along_trace(s)
        step = -excess / (field.slope_along(e, s, change) - slope)
        if abs(step) <= LAST_STEP * abs(trace):
            trace, z, s = trace + step, z + slope * step, s + step * change
            break
        low, high = (trace, high) if excess > 0 else (low, trace)
        if low < trace + step < high:
            trace, guess = trace + step, s + step * change
        else:
            trace, guess = 0.5 * (low + high), None
    else:
        raise ResolventError(z, abs(excess))
    edges = [edge.place for edge in (branch.low, branch.high) if edge]
    distance = min(abs(z - place) / abs(place) if place else np.inf for place in edges)
    rounding = field.rounding(s)
    vector, mixing = field.projection(e, s), _mixing(levels, index, rounding)
    return Outlier(branch.side, z, trace, s, index, vector, distance, rounding, mixing)


def _mixing(levels: Array, index: int, rounding: float) -> float:
    """Angle by which a symmetric perturbation turns an eigenvector, from increasing eigenvalues.

    A multiplet's vectors are taken from one basis of their eigenspace: it alone counts.
    """
    gaps = np.abs(levels - levels[-1 - index])
    apart = gaps[gaps > MULTIPLET * abs(levels[-1 - index])]
    return min(1.0, rounding / float(apart.min(initial=np.inf)))


def _start(low: float, high: float, known: dict[float, float]) -> float:
    """Where the line through the ends of a bracket crosses zero, or its middle."""
    if low in known and high in known and known[low] != known[high]:
        crossing = low + (high - low) * known[low] / (known[low] - known[high])
        if low < crossing < high:
            return crossing
    return 0.5 * (low + high)
