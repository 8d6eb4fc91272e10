r"""Covariance and mean shift of fluctuations, panel by panel of the time.

Along a curve :math:`\dot C=JC+CJ^T+N` and :math:`\dot\mu=J\mu+f(C)` are linear.  What they consist
of costs hundreds of right-hand sides at each time, and depends on no solution but through C in f:
so on each panel it is a polynomial of the time through few values, and what a polynomial of degree
8 leaves out decides how long the panel is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.polynomial import chebyshev
from scipy.integrate import solve_ivp

from numerics.core.errors import IntegrationError
from numerics.core.validation import Array

from .curve import Curve
from .local_law import LocalCoefficients, LocalLaw, Resolution

DEGREE = 8
# where the values are taken, the ends among them
POINTS = -np.cos(np.pi * np.arange(DEGREE + 1) / DEGREE)
_TO_SERIES = np.linalg.inv(chebyshev.chebvander(POINTS, DEGREE))
# share of the last but one coefficient that counts as error: the last one may vanish by symmetry
ODD_SHARE = 0.1
# a panel grows and shrinks by these factors at most
GROWTH, SHRINKAGE, SAFETY = 3.0, 0.1, 0.8
# share of the accuracy that is left to the integrator between the values
SHARE = 0.1
# a panel as short as this share of the time is no panel
SHORTEST = 1e-12

At = Callable[[float], LocalCoefficients]


@dataclass(frozen=True)
class Panel:
    """An interval of the time."""

    start: float
    length: float

    @property
    def end(self) -> float:
        return self.start + self.length

    @property
    def times(self) -> Array:
        """Where values are taken."""
        return np.asarray(self.start + self.length * (POINTS + 1) / 2)

    def between(self, values: Array) -> Callable[[float], Array]:
        """The polynomial of the time through values at :attr:`times`."""
        series = np.tensordot(_TO_SERIES, values, axes=1)

        def at(time: float) -> Array:
            place = 2 * (time - self.start) / self.length - 1
            basis = chebyshev.chebvander(np.array([place]), DEGREE)[0]
            return np.asarray(np.tensordot(basis, series, axes=1))

        return at

    def missed(self, values: Array) -> float:
        """What the integral of the polynomial may be off by."""
        last, odd = np.abs(np.tensordot(_TO_SERIES[[-1, -2]], values, axes=1))
        return float(self.length * np.maximum(last, ODD_SHARE * odd).max())


def integrate_panels(
    law: LocalLaw,
    curve: Curve,
    times: Array,
    resolution: Resolution,
    replicate: int,
    accuracy: float,
) -> tuple[Array, Array]:
    """Covariance and mean shift at the given times, with one replicate of a rule."""

    def at(time: float) -> LocalCoefficients:
        return law.at(resolution, replicate, time, curve.vector([min(time, curve.end)])[0])

    return _Path(law, at, curve.end, accuracy).run(times)


class _Path:
    """The solution up to a time, and what is known there."""

    def __init__(self, law: LocalLaw, at: At, end: float, accuracy: float) -> None:
        self._law, self._at, self._end, self._accuracy = law, at, end, accuracy
        self._here = at(0.0)
        n = self._here.drift.size
        self.covariance, self.shift = np.zeros((n, n)), np.zeros(n)

    def run(self, times: Array) -> tuple[Array, Array]:
        start = 0.0
        covariances = [self.covariance for t in times if t <= 0]
        shifts = [self.shift for t in times if t <= 0]
        rate = float(np.linalg.norm(self._here.jacobian, 2))
        length = 2.0 / rate if rate > 0 else self._end
        while start < self._end:
            left = self._end - start
            panel = Panel(start, left if length > 0.9 * left else length)
            if not panel.length > SHORTEST * self._end:
                raise self._stopped(start, "its coefficients change too fast")
            solved, error = self._solve(panel)
            factor = SAFETY * max(error, 1e-30) ** (-1.0 / (DEGREE + 1))
            length = panel.length * float(np.clip(factor, SHRINKAGE, GROWTH))
            if solved is None:
                continue
            inside = times[(times > start) & (times <= panel.end * (1 + 1e-12))]
            found = [solved.at(min(float(t), panel.end)) for t in inside]
            covariances += [c for c, _ in found]
            shifts += [s for _, s in found]
            start = self._end if panel.length == left else panel.end
            self.covariance, self.shift = solved.at(panel.end)
            self._here = solved.last
        return np.array(covariances), np.array(shifts)

    def _solve(self, panel: Panel) -> tuple[_Solved | None, float]:
        """The solution on a panel, None where it is too long; and the error in its accuracies."""
        law, n = self._law, self.shift.size
        known = [self._here, *(self._at(float(t)) for t in panel.times[1:])]
        jacobians = np.array([e.jacobian for e in known])
        noises = np.array([e.noise for e in known])
        scale = 1.0 + float(np.abs(self.covariance).max())
        missed = panel.missed(jacobians), panel.missed(noises) / scale
        error = float(np.max(missed)) / self._accuracy  # NaN stays NaN
        if not error <= 1.0:
            return None, error if np.isfinite(error) else np.inf
        jacobian, noise = panel.between(jacobians), panel.between(noises)

        def growth(time: float, flat: Array) -> Array:
            half = jacobian(time) @ flat.reshape(n, n)
            return np.asarray(half + half.T + noise(time)).ravel()

        covariance = self._integrated(growth, panel, self.covariance.ravel())

        def covariance_at(time: float) -> Array:
            found = covariance(time).reshape(n, n)
            return np.asarray(found + found.T) / 2

        forces = np.array(
            [
                e.bend(covariance_at(float(t))) + e.extra - law.parameters.step / 2 * e.change
                for t, e in zip(panel.times, known, strict=True)
            ]
        )
        scale = 1.0 + float(np.abs(self.shift).max())
        error = float(np.max((error, panel.missed(forces) / scale / self._accuracy)))
        if not error <= 1.0:
            return None, error if np.isfinite(error) else np.inf
        force = panel.between(forces)

        def drift(time: float, shift: Array) -> Array:
            return np.asarray(jacobian(time) @ shift + force(time))

        shift = self._integrated(drift, panel, self.shift)
        return _Solved(covariance_at, shift, known[-1]), error

    def _integrated(
        self, field: Callable[[float, Array], Array], panel: Panel, start: Array
    ) -> Callable[[float], Array]:
        exact = SHARE * self._accuracy
        interval = (panel.start, panel.end)
        solution: Any = solve_ivp(
            field, interval, start, method="DOP853", dense_output=True, rtol=exact, atol=exact
        )
        if solution.status != 0 or not np.all(np.isfinite(solution.y)):
            raise self._stopped(float(solution.t[-1]), solution.message)
        return lambda time: np.asarray(solution.sol(time), dtype=float)

    def _stopped(self, reached: float, reason: str) -> IntegrationError:
        return IntegrationError(
            f"the fluctuations of {self._law.model.name} could not be integrated beyond "
            f"t = {reached:.6g} of {self._end:.6g}: {reason}",
            reached,
        )


@dataclass(frozen=True)
class _Solved:
    """Covariance and mean shift as functions of the time, and the law at the end of the panel."""

    covariance: Callable[[float], Array]
    shift: Callable[[float], Array]
    last: LocalCoefficients

    def at(self, time: float) -> tuple[Array, Array]:
        return self.covariance(time), self.shift(time)
