"""Edges of the support of a limiting spectrum, and the branch of the resolvent outside it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import scipy.optimize

from .resolvent import Resolvent, ResolventError
from .state import Array

# steps of the first walk towards an edge, and relative accuracy of the edge
WALK = 400
EDGE_ACCURACY = 1e-12
# a branch may end this close to the pole of its largest weight
POLE = 1e-4
# eigenvalues closer to zero than this share of the largest weight are the atom
ZERO = 1e-10


@dataclass(frozen=True)
class Branch:
    """The real resolvent on one side of the support, from infinity to the outermost edge.

    Attributes
    ----------
    resolvent : Resolvent
    side : int
        1 right of the support, -1 left of it.
    edge : float
    trace : float
        |trace S| at the edge, where it is largest.
    path : array, shape (points,)
        |trace S| of known solutions, increasing; the last one is beyond a critical edge, on the unphysical sheet.
    solutions : array, shape (points, k', k')
    kind : {"critical", "essential", "zero"}
        Where the branch ends: at a square-root edge, where dz/dtau = 0; where the largest weight of the law meets
        its pole, so that the density has an exponentially thin tail up to there; or at an atom at zero.
    """

    resolvent: Resolvent
    side: int
    edge: float
    trace: float
    path: Array
    solutions: Array
    kind: str

    @property
    def edge_point(self) -> tuple[float, Array]:
        """z and S of the last solution found."""
        return self.at_trace(float(self.path[-1]))

    def at_trace(self, trace: float) -> tuple[float, Array]:
        """z and S where |trace S| has the given value."""
        i = int(np.clip(np.searchsorted(self.path, trace) - 1, 0, len(self.path) - 2))
        share = (trace - self.path[i]) / (self.path[i + 1] - self.path[i])
        if share < 0:
            start = self.solutions[0] * trace / self.path[0]
        else:
            start = (1 - share) * self.solutions[i] + share * self.solutions[i + 1]
        return _solve_trace(self.resolvent, -self.side * trace, start)


def outer_branch(resolvent: Resolvent, side: int) -> Branch:
    r"""Follow S from z = side * infinity to the edge of the support.

    With -side * trace S = tau as parameter everything is smooth: z(tau) has its extremum at the edge, where
    dz/dtau = 0.  For one row this is the classical z(S) = -1/S + lambda^-1 E[D / (1 + S D / (phi lambda))].
    """
    k = resolvent.rows
    scale = float(np.abs(np.linalg.eigvalsh(resolvent.weight)).max())
    # beyond this every eigenvalue of D S / (phi lambda) is far from -1
    tau = 0.05 * k * resolvent.aspect_ratio * resolvent.law.precision / (scale * (1 + resolvent.aspect_ratio))
    z, s = _solve_trace(resolvent, -side * tau, -side * tau / k * np.eye(k))
    path, solutions, factor = [tau], [s], 1.25
    slope, essential = side * _slope(resolvent, s, side), False
    for _ in range(WALK):
        if slope >= 0 or essential:
            break
        if side < 0 and -ZERO * scale / resolvent.law.precision < z < 0:
            return Branch(resolvent, side, 0.0, tau, np.array(path), np.array(solutions), "zero")
        try:
            new, found = _solve_trace(resolvent, -side * tau * factor, s * factor)
            turned = side * _slope(resolvent, found, side)
            if _margin(resolvent, found, side) <= 0 or (side * (new - z) > 0 and turned < 0):
                raise ResolventError(new, np.inf)  # another branch
        except (ResolventError, np.linalg.LinAlgError):
            factor = 1 + (factor - 1) / 2
            if factor < 1 + 1e-10:
                essential = _margin(resolvent, s, side) < POLE
                if not essential:
                    raise ResolventError(z, np.inf) from None
            continue
        previous, tau, z, s, slope = tau, tau * factor, new, found, turned
        path.append(tau)
        solutions.append(s)
        factor = min(2.0, 1 + 1.2 * (factor - 1))
    else:
        raise ResolventError(z, np.inf)
    if essential:
        return Branch(resolvent, side, z, tau, np.array(path), np.array(solutions), "essential")
    branch = Branch(resolvent, side, z, tau, np.array(path), np.array(solutions), "critical")
    root = scipy.optimize.brentq(
        lambda t: side * _slope(resolvent, branch.at_trace(t)[1], side), previous, tau, xtol=EDGE_ACCURACY * tau
    )
    return replace(branch, edge=float(branch.at_trace(float(root))[0]), trace=float(root))


def _solve_trace(resolvent: Resolvent, trace: float, start: Array) -> tuple[float, Array]:
    """S and z with the given trace of S: Newton's method on the bordered system."""
    k = resolvent.rows
    s = np.array(start)
    inverse: Array = np.asarray(np.linalg.inv(s), dtype=float)
    z = float(np.trace(resolvent.mean(resolvent.propagate(s)) - inverse)) / k
    for _ in range(60):
        a = resolvent.propagate(s)
        inverse = np.asarray(np.linalg.inv(s), dtype=float)
        rest = inverse + z * np.eye(k) - resolvent.mean(a)
        size = np.abs(inverse).max() + abs(z)
        if np.abs(rest).max() <= 1e-13 * size and abs(np.trace(s) - trace) <= 1e-13 * abs(trace):
            return z, s
        step = np.linalg.solve(_bordered(resolvent, inverse, a), -np.append(rest.ravel(), np.trace(s) - trace))
        change = step[:-1].reshape(k, k)
        damp = min(1.0, 0.5 * float(np.linalg.norm(s)) / max(float(np.linalg.norm(change)), 1e-300))
        s = s + damp * (change + change.T) / 2
        z += damp * float(step[-1])
    raise ResolventError(z, float(np.abs(rest).max() / size))


def _margin(resolvent: Resolvent, s: Array, side: int) -> float:
    """How far I + S D / (phi lambda) is from singular at the worst weight; not positive on another branch."""
    if side * np.linalg.eigvalsh(s)[-1 if side > 0 else 0] >= 0:
        return -1.0
    root = np.linalg.cholesky(-side * s)
    similar = np.linalg.eigvalsh(root.T @ resolvent.weight @ root) * side
    return 1 - float(similar.max()) / (resolvent.aspect_ratio * resolvent.law.precision)


def _slope(resolvent: Resolvent, s: Array, side: int) -> float:
    """dz / d|trace S| along the branch."""
    bordered = _bordered(resolvent, np.asarray(np.linalg.inv(s), dtype=float), resolvent.propagate(s))
    right = np.zeros(len(bordered))
    right[-1] = -side
    return float(np.linalg.solve(bordered, right)[-1])


def _bordered(resolvent: Resolvent, inverse: Array, a: Array) -> Array:
    """Derivative of (the equation for S, trace S) in (S, z), from S^-1 and A."""
    unit = np.eye(resolvent.rows).ravel()[None]
    return np.asarray(np.block([[resolvent.jacobian(inverse, a), unit.T], [unit, np.zeros((1, 1))]]), dtype=float)
