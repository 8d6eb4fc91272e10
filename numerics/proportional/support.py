"""Edges of the support of a limiting spectrum, and the branches of the resolvent outside it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import scipy.optimize

from numerics.core.errors import ResolventError
from numerics.core.packed_symmetric import Array

from .resolvent import Resolvent

# steps of a walk towards an edge, and accuracy of the edge's trace
WALK, EDGE_ACCURACY = 500, 1e-12
# the last step of the secant method: z errs by its square, times a curvature that is large where
# a rare weight is near its pole (1e-7 left errors of 1e-9)
EDGE_STEP = 1e-10
# iterations of Newton's method that a good start needs at most
FEW = 12
# least step of a walk, relative to S, and the share of the way to a pole that one step goes
SHORTEST, TOWARDS_POLE = 1e-9, 0.85
# share of the trace before a pole from where the walk of a similar law is taken up again
RESUMED = 0.05
# a branch may end this close to the pole of its largest weight
POLE = 1e-3
# eigenvalues closer to zero than this share of the largest weight are the atom
ZERO, NEAR_ZERO = 1e-7, 1e-5


@dataclass(frozen=True)
class Edge:
    """An end of the support.

    Attributes
    ----------
    place, trace : float
        z and the trace of S there.
    kind : {"critical", "essential", "zero"}
        A square-root edge, where dz/d(trace S) = 0; the largest weight of the law meets its pole,
        so that the density has an exponentially thin tail up to there; or an atom, or the density
        diverging, at zero.
    """

    place: float
    trace: float
    kind: str


@dataclass(frozen=True)
class Branch:
    """The real resolvent on one interval outside the support; z and trace S increase together.

    Attributes
    ----------
    resolvent : Resolvent
    low, high : Edge or None
        Ends of the interval: the upper end of the support below it and the lower end of that above;
        None at infinity.
    path : array, shape (points,)
        trace S of known solutions, increasing, edges included.
    solutions : array, shape (points, B, k, k)
    places : array, shape (points,)
        z there; not a number where the solution is that of a similar law.
    """

    resolvent: Resolvent
    low: Edge | None
    high: Edge | None
    path: Array
    solutions: Array
    places: Array

    @property
    def side(self) -> int:
        """1 right of the support, -1 left of it, 0 in a gap."""
        return (self.high is None) - (self.low is None)

    @property
    def edge(self) -> Edge:
        """The outermost edge (of an outer branch)."""
        edge = self.low or self.high
        assert edge is not None  # a branch has at least one
        return edge

    @property
    def ends(self) -> tuple[Edge, Edge]:
        """Both edges (of a gap)."""
        assert self.low is not None, "a gap has two edges"
        assert self.high is not None, "a gap has two edges"
        return self.low, self.high

    def at_trace(self, trace: float) -> tuple[float, Array]:
        """z and S where trace S has the given value."""
        known = np.flatnonzero((self.path == trace) & np.isfinite(self.places))
        if len(known):
            return float(self.places[known[0]]), self.solutions[known[0]]
        i = int(np.clip(np.searchsorted(self.path, trace) - 1, 0, len(self.path) - 2))
        span = self.path[i + 1] - self.path[i]
        share = (trace - self.path[i]) / span
        if share < 0 or share > 1:
            # towards infinity S shrinks like its trace
            end = 0 if share < 0 else -1
            return self.resolvent.solve_trace(trace, self.solutions[end] * trace / self.path[end])
        start = (1 - share) * self.solutions[i] + share * self.solutions[i + 1]
        try:
            return self.resolvent.solve_trace(trace, start, FEW)
        except (ResolventError, np.linalg.LinAlgError):
            return self._approach(trace, i if abs(share) < 0.5 else i + 1)

    def _approach(self, trace: float, i: int) -> tuple[float, Array]:
        """Walk from a known solution in steps small enough for Newton's method."""
        at, s, step = float(self.path[i]), self.solutions[i], trace - float(self.path[i])
        z = np.nan
        if not step:  # Newton's method did not converge from here
            raise ResolventError(z, np.inf)
        for _ in range(200):
            if abs(trace - at) <= abs(step):
                step = trace - at
            try:
                z, found = self.resolvent.solve_trace(
                    at + step, s + step * self.resolvent.along_trace(s)[1], FEW
                )
            except (ResolventError, np.linalg.LinAlgError):
                step /= 2
                continue
            at, s = at + step, found
            if at == trace:
                return z, s
        raise ResolventError(z, np.inf)


def outer_branch(resolvent: Resolvent, side: int, like: Branch | None = None) -> Branch:
    r"""Follow S from z = side * infinity to the edge of the support.

    With trace S as parameter everything is smooth: z has its extremum at the edge, where dz/d(trace
    S) = 0.  For one row this is the classical z(S) = -1/S + lambda^-1 E[D / (1 + S D / (phi
    lambda))].

    Parameters
    ----------
    resolvent : Resolvent
    side : int
        1 right of the support, -1 left of it.
    like : Branch, optional
        That of a similar law, from which Newton's method reaches this one.
    """
    if like is not None:
        again = {"critical": _similar, "zero": _same_zero, "essential": _resumed}
        try:
            return again[like.edge.kind](resolvent, like)
        except (ResolventError, np.linalg.LinAlgError):
            pass
    k = resolvent.rows
    # beyond this every eigenvalue of S D / (phi lambda) is far from -1
    trace = (
        -side * 0.05 * k * resolvent.aspect_ratio / (resolvent.scale * (1 + resolvent.aspect_ratio))
    )
    _, s = resolvent.solve_trace(trace, resolvent.multiple(trace / k))
    edge, *known = _walk(resolvent, trace, s, -side)
    low, high = (edge, None) if side > 0 else (None, edge)
    return Branch(resolvent, low, high, *(each[::-side] for each in known))


def gap_branch(resolvent: Resolvent, s: Array, bounds: tuple[float, float]) -> Branch:
    """The branch between two parts of the support through a real solution.

    Raises
    ------
    ResolventError
        It leads out of the bounds.
    """
    trace = float(resolvent.trace(s))
    low, *below = _walk(resolvent, trace, s, -1, bounds)
    high, *above = _walk(resolvent, trace, s, 1, bounds)
    both = (np.concatenate([b[:0:-1], a]) for b, a in zip(below, above, strict=True))
    return Branch(resolvent, low, high, *both)


def is_physical(resolvent: Resolvent, s: Array) -> bool:
    """Whether a real solution is the limit of the resolvent from the upper half-plane."""
    return resolvent.radius(s) < 1


def _walk(
    resolvent: Resolvent,
    trace: float,
    s: Array,
    direction: int,
    bounds: tuple[float, float] = (-np.inf, np.inf),
    first: float | None = None,
) -> tuple[Edge, Array, Array, Array]:
    """Walk along a branch to its end: the edge there, and trace S, S and z on the way.

    ``first`` is the first step, where a good one is known.
    """
    z, s = resolvent.solve_trace(trace, s)
    trail, blocked = [(trace, s, z)], None
    determinants = resolvent.determinants(s)
    signs, room = np.sign(determinants), np.inf
    slope, change = resolvent.along_trace(s)
    step = direction * (first or max(0.25 * abs(trace), 1e-3 * float(np.linalg.norm(s))))
    for _ in range(WALK):
        if room < SHORTEST * float(np.linalg.norm(s)) and resolvent.margin(s) < POLE:
            return _ended(Edge(z, trace, "essential"), trail)
        if abs(z) < ZERO * resolvent.scale and z * direction < 0:
            return _ended(Edge(0.0, trace, "zero"), trail)
        try:
            new, found = resolvent.solve_trace(trace + step, s + step * change, FEW)
            turned, bent = resolvent.along_trace(found)
            foreseen, here = slope * step, resolvent.determinants(found)
            same = np.array_equal(np.sign(here), signs) and abs(new - z - foreseen) <= 1.5 * abs(
                foreseen
            )
            if not same or (
                turned > 0 and ((new - z) * direction < 0 or resolvent.radius(found) >= 1)
            ):
                raise ResolventError(new, np.inf)  # another branch, or too far to tell
            if turned <= 0:
                beyond = trace + step, new, found
                edge, at_edge = _turning_point(resolvent, (trace, z, s), beyond)
                return _ended(edge, [*trail, (edge.trace, at_edge, edge.place)])
        except (ResolventError, np.linalg.LinAlgError):
            blocked = trace + step
            step /= 2
            if abs(step) > SHORTEST * float(np.linalg.norm(s)):
                continue
            if resolvent.margin(s) < POLE:
                return _ended(Edge(z, trace, "essential"), trail)
            # S diverges in some directions: rounding ends the walk before z is zero
            if abs(z) < NEAR_ZERO * resolvent.scale and z * direction < 0:
                return _ended(Edge(0.0, trace, "zero"), trail)
            raise ResolventError(z, np.inf) from None
        if not bounds[0] <= new <= bounds[1]:
            raise ResolventError(new, np.inf)
        trace, z, s, slope, change = trace + step, new, found, turned, bent
        trail.append((trace, s, z))
        # determinants are nearly linear in the trace: where the next of them vanishes is the pole
        least = [float(np.abs(d).min()) for d in (determinants, here)]
        fall, determinants = (least[0] - least[1]) / abs(step), here
        room = least[1] / fall if fall > 0 else np.inf
        # what stopped the walk stands there still: the edge, or another branch, is before it
        way = np.inf if blocked is None else abs(blocked - trace) / 2
        step, blocked = direction * min(1.6 * abs(step), TOWARDS_POLE * room, way), None
    raise ResolventError(z, slope)


def _ended(edge: Edge, trail: list[tuple[float, Array, float]]) -> tuple[Edge, Array, Array, Array]:
    path, solutions, places = zip(*trail, strict=True)
    return edge, np.array(path), np.array(solutions), np.array(places)


def _turning_point(
    resolvent: Resolvent, inside: tuple[float, float, Array], beyond: tuple[float, float, Array]
) -> tuple[Edge, Array]:
    """The edge between two points of a branch, each trace S, z and S; and S there."""
    known: dict[float, tuple[float, Array, float, Array]] = {}

    def found(trace: float, z: float, s: Array) -> float:
        """Keep a point, and say how z rises there."""
        known[trace] = (z, s, *resolvent.along_trace(s))
        return known[trace][2]

    def slope(trace: float) -> float:
        """Of z, from the nearest point along its tangent."""
        if trace in known:
            return known[trace][2]
        near = min(known, key=lambda t: abs(t - trace))
        _, s, _, change = known[near]
        return found(trace, *resolvent.solve_trace(trace, s + (trace - near) * change, FEW))

    if found(*inside) <= 0:
        raise ResolventError(inside[0], np.inf)  # not on the physical branch
    found(*beyond)
    ends, accuracy = (inside[0], beyond[0]), EDGE_ACCURACY * abs(beyond[0]) + 1e-300
    root = float(scipy.optimize.brentq(slope, *ends, xtol=accuracy))
    slope(root)
    z, s, _, _ = known[root]
    return Edge(z, root, "critical"), s


def _similar(resolvent: Resolvent, like: Branch) -> Branch:
    """The branch near that of a similar law: the edge by the secant method from the known one."""
    trace, solution = like.edge.trace, like.at_trace(like.edge.trace)[1]
    step, slope = 1e-3 * trace, np.inf
    for _ in range(12):
        z, solution = resolvent.solve_trace(trace, solution)
        found, change = resolvent.along_trace(solution)
        if abs(step) <= EDGE_STEP * abs(trace):
            break
        previous, slope = slope, found
        if np.isfinite(previous):
            step *= -slope / (slope - previous)
        if not abs(step) < 0.1 * abs(trace):
            raise ResolventError(z, np.inf)
        solution = solution + step * change
        trace += step
    else:
        raise ResolventError(z, np.inf)
    edge = Edge(z, trace, "critical")
    right = like.low is not None
    low, high = (edge, None) if right else (None, edge)
    outside = like.path > trace if right else like.path < trace
    if not outside.any():
        raise ResolventError(z, np.inf)
    at = 0 if right else int(outside.sum())
    branch = Branch(
        resolvent,
        low,
        high,
        np.insert(like.path[outside], at, trace),
        np.insert(like.solutions[outside], at, solution, axis=0),
        np.insert(np.full(int(outside.sum()), np.nan), at, z),
    )
    # I + Sigma K has kept its sign all the way from S = 0, rare weights included
    if np.any(resolvent.signs(solution) <= 0):
        raise ResolventError(z, np.inf)
    # a point away from the edge tells whether this is the physical branch
    inner = (branch.path[-1] if right else branch.path[0]) * 0.5 + 0.5 * trace
    if not is_physical(resolvent, branch.at_trace(float(inner))[1]):
        raise ResolventError(z, np.inf)
    return branch


def _resumed(resolvent: Resolvent, like: Branch) -> Branch:
    """The branch near that of a similar law which ends at a pole: walked from some way before."""
    side = like.side
    # towards infinity, from where the walk goes on
    path, solutions = like.path[::side], like.solutions[::side]
    before = np.flatnonzero(np.abs(path - path[0]) >= RESUMED * abs(path[0]))
    if not len(before):
        raise ResolventError(like.edge.place, np.inf)
    i = int(before[0])
    trace = float(path[i])
    _, s = resolvent.solve_trace(trace, solutions[i])
    # I + Sigma K has kept its sign all the way from S = 0
    if np.any(resolvent.signs(s) <= 0) or not is_physical(resolvent, s):
        raise ResolventError(like.edge.place, np.inf)
    step = 0.5 * abs(float(path[0]) - trace)
    edge, *found = _walk(resolvent, trace, s, -side, first=step)
    low, high = (edge, None) if side > 0 else (None, edge)
    rest = path[i + 1 :], solutions[i + 1 :], np.full(len(path) - i - 1, np.nan)
    both = (np.concatenate([a[::-1], b])[::side] for a, b in zip(found, rest, strict=True))
    return Branch(resolvent, low, high, *both)


def _same_zero(resolvent: Resolvent, like: Branch) -> Branch:
    """The branch to an atom at zero, near that of a similar law."""
    z, s = resolvent.solve_trace(like.edge.trace, like.at_trace(like.edge.trace)[1])
    if not 0 < z * like.side < NEAR_ZERO * resolvent.scale:
        raise ResolventError(z, np.inf)
    # S diverges here, so that of the similar law is no start for a second time
    solutions, places = np.array(like.solutions), np.full(len(like.path), np.nan)
    end = 0 if like.low is not None else -1
    solutions[end], places[end] = s, z
    return replace(like, resolvent=resolvent, solutions=solutions, places=places)
