r"""Density of a limiting spectrum, interval by interval of its support.

On an interval [a, b] with :math:`z(\vartheta)=c-r\cos\vartheta` the solution S(z + i0) is smooth in
:math:`\vartheta\in[0,\pi]` up to square-root edges, and so is :math:`g=\rho(z)\,|dz/d\vartheta|`.
Cosine series give density and distribution function at every point with spectral accuracy.  S is
found by Newton's method, continued from the upper half-plane at one point of the interval and from
node to node beyond.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from numerics.core.errors import ResolventError
from numerics.core.packed_symmetric import Array
from numerics.proportional.resolvent import Resolvent
from numerics.proportional.support import Branch, gap_branch, is_physical

from .continuation import CLOSE, descend, on_axis, on_axis_many
from .interval import Interval

# nodes the cosine series starts with
FIRST_NODES = 32
# densities below this share of mass / length are thin tails, set to zero
THIN = 1e-7
# a step from node to node may be halved so often
HALVINGS = 8
# where density is looked for first, as shares of the nodes
PROBES = (1 / 2, 3 / 4, 1 / 4, 7 / 8, 5 / 8, 3 / 8, 1 / 8)
# a pole of I + Sigma K as close as this tells the nodes of a continuous law apart
BETWEEN_NODES = 0.05
# over which a density's slope is measured
ANGLE = 1e-3
# nodes of the polynomial from which Newton's method starts between nodes; where the series is cut
# at less than the second number most starts are solutions already
NEAREST, TRUSTED = 8, 1e-5
# series whose eighths fall more slowly are not resolved at all
SLOWEST = 0.95
# more gaps than this are not those of a law
MOST_GAPS = 30


@dataclass(frozen=True)
class Resolution:
    """Of cosine series: nodes double until the last eighth of the series is below the accuracy, or
    to the limit.
    """

    accuracy: float
    most: int


# for laws known to rounding, and for one scrambling among several
FINE, SCATTERED = Resolution(1e-11, 1024), Resolution(1e-5, 64)


@dataclass(frozen=True)
class Piece:
    """The spectrum on one interval of the support.

    Attributes
    ----------
    interval : Interval
    series, profile : array
        Cosine coefficients of g, and of the density over its behaviour at the ends.
    nodes, solutions : array
        theta and S(z + i0) where they were computed; rows of NaN in thin tails.
    """

    interval: Interval
    series: Array
    profile: Array
    nodes: Array
    solutions: Array

    @property
    def mass(self) -> float:
        """Of the interval."""
        return float(np.pi * self.series[0])

    @property
    def truncation(self) -> float:
        """Size of the last eighth of the series: error of distribution functions."""
        return float(np.abs(self.series[-len(self.series) // 8 :]).sum())

    def solutions_at(self, theta: Array) -> Array:
        """S at other angles, by a polynomial through the nearest nodes; not a number beside nodes
        without one.
        """
        first = np.searchsorted(self.nodes, theta) - NEAREST // 2
        near = np.clip(first, 0, len(self.nodes) - NEAREST)[:, None] + np.arange(NEAREST)
        x = self.nodes[near]
        apart = x[:, :, None] - x[:, None, :] + np.eye(NEAREST)
        weights = 1 / (apart.prod(axis=2) * (theta[:, None] - x))
        weights /= weights.sum(axis=1, keepdims=True)
        return np.asarray(np.einsum("tn,tnbij->tbij", weights, self.solutions[near]))

    def density(self, z: Array) -> Array:
        """At points z; 0 outside the interval."""
        theta = self.interval.angle(z)
        solved = self.nodes[np.isfinite(self.solutions[:, 0, 0, 0])]
        inside = (z > self.interval.left) & (z < self.interval.right)
        if len(solved) < len(self.nodes):  # thin tails at either end
            low, high = solved.min(initial=np.pi), solved.max(initial=0.0)
            inside &= ((theta >= low) | (low == self.nodes[0])) & (
                (theta <= high) | (high == self.nodes[-1])
            )
        theta = np.where(inside, theta, np.pi / 2)
        waves = np.cos(np.multiply.outer(theta, np.arange(len(self.profile))))
        return np.where(
            inside, np.maximum(waves @ self.profile, 0) * self.interval.ends(theta), 0.0
        )

    def unresolved(self, z: Array) -> Array:
        """What the density may lack where its series was cut off: it goes on as its last two
        eighths fall, and nodes take higher orders for lower ones.
        """
        theta, eighth = self.interval.angle(z), len(self.profile) // 8
        sizes = np.abs(self.profile[-2 * eighth :]).reshape(2, eighth)
        before, last = sizes.sum(axis=1).tolist()
        ratio = min(last / before, SLOWEST) if before > 0 else 0.0
        left = last + 2 * last * ratio / (1 - ratio)
        inside = (z > self.interval.left) & (z < self.interval.right)
        return np.where(inside, left * self.interval.ends(np.where(inside, theta, np.pi / 2)), 0.0)

    def slope(self, z: Array) -> Array:
        """Size of the derivative of the density, from its change over a small angle."""
        theta = self.interval.angle(z)
        low, high = np.maximum(theta - ANGLE, 0), np.minimum(theta + ANGLE, np.pi)
        ends = self.interval.place(low)[0], self.interval.place(high)[0]
        change = np.abs(self.density(ends[1]) - self.density(ends[0]))
        inside = (z > self.interval.left) & (z < self.interval.right)
        return np.where(inside, change / np.maximum(ends[1] - ends[0], 1e-300), 0.0)

    def masses(self, count: int) -> Array:
        """Of so many equal steps of the angle about midpoints, no fewer than the series is long."""
        halved = np.append(self.series[:1], self.series[1:] / 2)
        return np.asarray(scipy.fft.dct(halved, type=3, n=count) * np.pi / count)

    def cumulative(self, z: Array) -> Array:
        """Mass of the interval below z."""
        theta, orders = self.interval.angle(z), np.arange(1, len(self.series))
        waves = np.sin(np.multiply.outer(theta, orders)) / orders
        return np.asarray(self.series[0] * theta + waves @ self.series[1:])


def bulk_pieces(
    resolvent: Resolvent,
    branches: dict[int, Branch],
    atom: float,
    resolution: Resolution = FINE,
    known_gaps: Sequence[Branch] = (),
    *,
    floor: float = 0.0,
) -> tuple[list[Piece], list[Branch]]:
    """The density between the outermost edges, left to right, cut at the gaps of the support, and
    these gaps.

    Parameters
    ----------
    resolvent : Resolvent
    branches : dict
        Outer branches by side.
    atom : float
        Mass at zero of the rows that are not null.
    resolution : Resolution
    known_gaps : sequence of Branch
        Those of a similar law, looked for first.
    floor : float
        Where the density may diverge at an end at zero: leave out z closer to it than this share of
        the other end, and take z exponential beyond; 0 for a stretch down to zero.
    """
    left, right = branches[-1].edge, branches[1].edge
    if not left.place < right.place:
        return [], []
    pieces: list[Piece] = []
    gaps: list[Branch] = []
    inner = left.place < 0 < right.place and atom > THIN
    for low, high in (
        [(left.place, 0.0), (0.0, right.place)] if inner else [(left.place, right.place)]
    ):
        interval = Interval.between(
            low,
            high,
            zero_left=low == 0 and (inner or left.kind == "zero"),
            zero_right=high == 0 and (inner or right.kind == "zero"),
        )
        if floor and interval.kind == "zero left":
            interval = Interval(floor * high, high, "decades")
        elif floor and interval.kind == "zero right":
            interval = Interval(low, floor * low, "decades")
        pieces += _pieces(resolvent, interval, resolution, gaps, known_gaps)
    return [piece for piece in pieces if piece.mass > 0], gaps


def repeat_pieces(
    pieces: Sequence[Piece], resolvent: Resolvent, ends: Sequence[tuple[float, float]]
) -> list[Piece]:
    """The pieces of a similar law between new ends: Newton's method from the known solutions at the
    same angles.
    """
    out = []
    for piece, (left, right) in zip(pieces, ends, strict=True):
        interval = replace(piece.interval, left=left, right=right)
        solutions = on_axis_many(resolvent, interval.place(piece.nodes)[0], piece.solutions)
        out.append(_piece(resolvent, interval, piece.nodes, solutions))
    return out


def repeat_gap(gap: Branch, resolvent: Resolvent, bounds: tuple[float, float]) -> Branch | None:
    """The gap of a similar law, or None where it is not found again."""
    low, high = (edge.trace for edge in gap.ends)
    try:
        z, s = gap.at_trace((low + high) / 2)
        real = resolvent.solve_at(z, s, CLOSE)
        if not is_physical(resolvent, real) or not _wide(resolvent, real):
            return None
        return gap_branch(resolvent, real, bounds)
    except (ResolventError, np.linalg.LinAlgError):
        return None


def _pieces(
    resolvent: Resolvent,
    interval: Interval,
    resolution: Resolution,
    gaps: list[Branch],
    known_gaps: Sequence[Branch],
) -> list[Piece]:
    """March over an interval; where a gap is found, over both sides of it."""
    size, known = FIRST_NODES, None
    bounds = (interval.left, interval.right)
    inside = (g for g in known_gaps if bounds[0] < sum(e.place for e in g.ends) / 2 < bounds[1])
    again = (repeat_gap(g, resolvent, bounds) for g in inside)
    gap = next((g for g in again if g is not None), None)
    while gap is None:
        nodes = np.pi * (np.arange(size) + 0.5) / size
        solutions, gap = _march(resolvent, interval, nodes, known)
        if gap is not None:
            break
        piece = _piece(resolvent, interval, nodes, solutions)
        if piece.truncation < resolution.accuracy or size >= resolution.most:
            return [piece]
        known, size = piece, 2 * size
    gaps.append(gap)
    low, high = gap.ends
    if len(gaps) > MOST_GAPS:
        raise ResolventError(low.place, np.inf, "the support falls apart between nodes of the rule")
    out: list[Piece] = []
    if low.place > interval.left:
        left = Interval.between(
            interval.left,
            low.place,
            zero_left=interval.kind == "zero left",
            zero_right=low.kind == "zero",
        )
        out += _pieces(resolvent, left, resolution, gaps, known_gaps)
    if high.place < interval.right:
        right = Interval.between(
            high.place,
            interval.right,
            zero_left=high.kind == "zero",
            zero_right=interval.kind == "zero right",
        )
        out += _pieces(resolvent, right, resolution, gaps, known_gaps)
    return out


def _march(
    resolvent: Resolvent, interval: Interval, nodes: Array, known: Piece | None
) -> tuple[Array, Branch | None]:
    """S at the nodes, NaN where the density is thin; or a gap met on the way."""
    count, length = len(nodes), interval.length
    shape = count, *resolvent.multiple(0.0).shape
    solutions = np.full(shape, np.nan, dtype=complex)
    at, ends = interval.place(nodes)[0], interval.ends(nodes)

    def spread(start: int, s: Array) -> None:
        """From one node to its neighbours until the density is thin."""
        solutions[start] = s
        for direction in (1, -1):
            i, behind = start, None
            while 0 <= i + direction < count and np.isnan(solutions[i + direction, 0, 0, 0]):
                angles = float(nodes[i]), float(nodes[i + direction])
                found = _step(resolvent, interval, angles, solutions[i], behind)
                if found is None or not _dense(resolvent, found, length / ends[i + direction]):
                    break
                behind, i = solutions[i], i + direction
                solutions[i] = found

    if known is not None:
        starts, trusted = known.solutions_at(nodes), known.truncation < TRUSTED
        found = on_axis_many(resolvent, at, starts, trusted=trusted)
        dense = _dense(resolvent, found, length / ends)
        solutions[dense] = found[dense]
        solved = np.pad(np.isfinite(solutions[:, 0, 0, 0]), 1, constant_values=True)
        for i in np.flatnonzero(solved[1:-1] & ~(solved[:-2] & solved[2:])).tolist():
            spread(i, solutions[i])
    probed: set[int] = set()
    while (chosen := _next_probe(solutions, probed)) is not None:
        i = chosen
        probed.add(i)
        s = descend(resolvent, float(at[i]), 1e-9 * length)
        settled = None if s is None else on_axis(resolvent, float(at[i]), s)
        if settled is not None and _dense(resolvent, settled, length / ends[i]):
            spread(i, settled)
        elif (
            s is not None
            and (gap := _gap_through(resolvent, float(at[i]), s, interval)) is not None
        ):
            return solutions, gap
    return solutions, None


def _next_probe(solutions: Array, probed: set[int]) -> int | None:
    """The middle of unsolved nodes between solved ones, or of many at an end; eighths of all if
    none is solved.
    """
    unsolved = np.isnan(solutions[:, 0, 0, 0])
    count = len(unsolved)
    if unsolved.all():
        return next((i for share in PROBES if (i := int(share * count)) not in probed), None)
    bounds = np.flatnonzero(np.diff(np.concatenate([[False], unsolved, [False]]).astype(int)))
    for start, stop in zip(bounds[::2].tolist(), bounds[1::2].tolist(), strict=True):
        middle = start + (stop - start) // 2
        if ((start > 0 and stop < count) or stop - start >= count // 8) and middle not in probed:
            return int(middle)
    return None


def _step(
    resolvent: Resolvent,
    interval: Interval,
    angles: tuple[float, float],
    s: Array,
    behind: Array | None,
) -> Array | None:
    """S at the second angle from that at the first, in halved steps where Newton's method needs
    them.
    """
    at, end = angles
    step, change = end - at, None if behind is None else s - behind
    smallest = abs(step) / 2**HALVINGS
    while at != end:
        step = float(np.clip(step, -abs(end - at), abs(end - at)))
        z = float(interval.place(np.array(at + step))[0])
        found = on_axis(resolvent, z, s if change is None else s + change)
        if found is None:
            step /= 2
            change = None if change is None else change / 2
            if abs(step) < smallest:
                return None
            continue
        at = end if abs(end - at) <= abs(step) else at + step
        change, s = found - s, found
    return s


def _gap_through(resolvent: Resolvent, x: float, s: Array, interval: Interval) -> Branch | None:
    """The gap of the support at x, from S just above the axis, if there is one."""
    try:
        real = resolvent.solve_at(x, s.real, CLOSE)
        near = float(np.linalg.norm(real - s)) < 1e-3 * float(np.linalg.norm(s))
        if not near or not is_physical(resolvent, real) or not _wide(resolvent, real):
            return None
        return gap_branch(resolvent, real, (interval.left, interval.right))
    except (ResolventError, np.linalg.LinAlgError):
        return None


def _wide(resolvent: Resolvent, s: Array) -> bool:
    """Whether a gap is one of the law, and not between two nodes that stand for a continuum."""
    return resolvent.law.is_discrete or resolvent.margin(s) > BETWEEN_NODES


def _dense(resolvent: Resolvent, s: Array, unit: Array) -> NDArray[np.bool_]:
    """Whether the density, in units that take its behaviour at the ends out, is above what counts
    as a thin tail; of S with any axes in front.
    """
    return np.asarray(resolvent.trace(s.imag) * unit / (np.pi * resolvent.rows) > THIN)


def _piece(resolvent: Resolvent, interval: Interval, nodes: Array, solutions: Array) -> Piece:
    """The series from the solutions; mass is per row of the matrix, null rows included."""
    density = np.nan_to_num(resolvent.trace(solutions.imag) / (np.pi * resolvent.law.noisy))
    g = density * interval.place(nodes)[1]
    profile = density / interval.ends(nodes)
    return Piece(interval, _cosine_series(g), _cosine_series(profile), nodes, solutions)


def _cosine_series(values: Array) -> Array:
    """Coefficients from values at the midpoints."""
    series = scipy.fft.dct(values, type=2) / len(values)
    series[0] /= 2
    return np.asarray(series)
