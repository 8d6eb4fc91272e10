r"""Implicit steps of high order for stiff flows: collocation at the Radau IIA points.

A step of length h is the polynomial P of degree 7 with :math:`P(t)=s` and
:math:`P'(t+c_ih)=F(t+c_ih,P)` at the 7 Radau points (order 13 at the end of the step, stiffly
accurate and stable for every decaying mode).  P is also the solution between the ends, and the
last coefficients of its Legendre series say how well it is resolved there.

Source: E. Hairer and G. Wanner, *Solving Ordinary Differential Equations II*, sections IV.5 and
IV.8.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.polynomial import legendre

from numerics.core.validation import Array

Field = Callable[[float, Array], Array]

STAGES = 7
# Newton's method has converged when its step is this share of the accuracy, has failed after so
# many steps, and takes a new Jacobian after a step that needed more than a few
NEWTON_SHARE = 1e-2
NEWTON_STEPS = 12
NEWTON_FEW = 4
# what Newton's method cannot get below, relative to the state
ROUNDING = 16 * np.finfo(float).eps
# a step grows and shrinks by these factors at most
GROWTH, SHRINKAGE, SAFETY = 4.0, 0.1, 0.8
# share of the last but one coefficient that counts as error: the last one may vanish by symmetry
ODD_SHARE = 0.03
# difference step of the Jacobian, relative to the size of the state
DIFFERENCE = 1e-7


def _radau_points(stages: int) -> Array:
    """Roots of P_s - P_(s-1) on [0, 1], the last of which is 1."""
    difference = np.zeros(stages + 1)
    difference[stages - 1 :] = -1.0, 1.0
    roots = np.sort(legendre.legroots(difference).real)
    roots[-1] = 1.0
    return (roots + 1.0) / 2.0


POINTS = _radau_points(STAGES)
# Legendre coefficients of the polynomial through its values at 0 and at the points
_TO_SERIES = np.linalg.inv(legendre.legvander(2.0 * np.concatenate([[0.0], POINTS]) - 1.0, STAGES))


def _collocation_matrix() -> Array:
    """A_ij, the integral from 0 to c_i of the j-th Lagrange polynomial of the points."""
    series = np.linalg.inv(legendre.legvander(2.0 * POINTS - 1.0, STAGES - 1))
    integrated = legendre.legint(series, lbnd=-1.0) / 2.0
    return np.asarray(legendre.legval(2.0 * POINTS - 1.0, integrated).T, dtype=float)


MATRIX = _collocation_matrix()
_EIGENVALUES, _VECTORS = np.linalg.eig(MATRIX)
_INVERSE_VECTORS = np.linalg.inv(_VECTORS)


@dataclass(frozen=True)
class Polynomial:
    """The solution on one step, with the interface of a dense output of SciPy."""

    t_old: float
    t: float
    series: Array

    def __call__(self, time: Array) -> Array:
        """States at times in the step, shape (size,) for a number, else (size, times)."""
        place = 2.0 * (np.asarray(time) - self.t_old) / (self.t - self.t_old) - 1.0
        return np.asarray(legendre.legval(place, self.series), dtype=float)


class StiffSteps:
    """Steps of collocation for copies of one flow that do not act on each other.

    Parameters
    ----------
    field : callable
        F(t, s) of all copies at once, flat.
    time, vector, end
    accuracy : float
        Relative and absolute, of the solution at every time of a step.
    copies : int
    step : float
        Length of the first step tried.
    """

    def __init__(
        self,
        field: Field,
        time: float,
        vector: Array,
        end: float,
        accuracy: float,
        copies: int,
        step: float,
    ) -> None:
        self.t, self.y, self.end = time, vector, end
        self.evaluations = 0
        self._field, self._accuracy, self._copies = field, accuracy, copies
        self._length = step
        self._last: Polynomial | None = None
        self._jacobian: Array | None = None

    def step(self) -> Polynomial | None:
        """Take one step; None when no step is short enough to succeed."""
        while self._length > 10 * np.spacing(self.t):
            length = min(self._length, self.end - self.t)
            fresh = self._jacobian is None
            jacobian = self._difference_jacobian() if self._jacobian is None else self._jacobian
            self._jacobian = jacobian
            stages, iterations = self._solve_stages(length, jacobian)
            if stages is None:
                # an old Jacobian may be the reason: the same step with a new one comes first
                self._jacobian = None
                self._length = SHRINKAGE * length if fresh else length
                continue
            series = _TO_SERIES[:, 1:] @ stages
            tail = np.maximum(np.abs(series[-1]), ODD_SHARE * np.abs(series[-2]))
            error = float((tail / self._scale(self.y + stages[-1])).max())
            factor = SAFETY * max(error, 1e-30) ** (-1.0 / STAGES)
            self._length = length * float(np.clip(factor, SHRINKAGE, GROWTH))
            if error > 1.0:
                continue
            if iterations > NEWTON_FEW:
                self._jacobian = None
            series[0] += self.y
            after = self.end if length == self.end - self.t else self.t + length
            self._last = Polynomial(self.t, after, series)
            self.t, self.y = after, self.y + stages[-1]
            return self._last
        return None

    def _scale(self, ahead: Array) -> Array:
        return self._accuracy * (1.0 + np.maximum(np.abs(self.y), np.abs(ahead)))

    def _evaluate(self, time: float, vector: Array) -> Array:
        self.evaluations += 1
        return self._field(time, vector)

    def _difference_jacobian(self) -> Array:
        """Forward differences, the same statistic of all copies at once; shape (copies, n, n)."""
        here = self._evaluate(self.t, self.y).reshape(self._copies, -1)
        size = here.shape[1]
        jacobian = np.empty((self._copies, size, size))
        for j in range(size):
            moved = self.y.reshape(self._copies, -1).copy()
            steps = DIFFERENCE * (1.0 + np.abs(moved[:, j]))
            moved[:, j] += steps
            ahead = self._evaluate(self.t, moved.ravel()).reshape(self._copies, -1)
            jacobian[:, :, j] = (ahead - here) / steps[:, None]
        return jacobian

    def _solve_stages(self, length: float, jacobian: Array) -> tuple[Array | None, int]:
        """P(t + c_i h) - P(t) by Newton's method with a fixed Jacobian, and the steps it took.

        A = V diag(a) V^-1 splits the system of all stages, I - h A x J, into one of the size of the
        state for each stage.
        """
        size = jacobian.shape[1]
        enough = max(NEWTON_SHARE, ROUNDING / self._accuracy)
        with np.errstate(all="ignore"):  # what is not finite has not converged
            systems = np.eye(size) - length * _EIGENVALUES[:, None, None, None] * jacobian
            if not np.all(np.isfinite(systems)):
                return None, 0
            solvers = np.linalg.inv(systems)
            stages = self._predict(length)
            before = np.inf
            for iteration in range(1, NEWTON_STEPS + 1):
                slopes = np.array(
                    [
                        self._evaluate(self.t + c * length, self.y + stage)
                        for c, stage in zip(POINTS, stages, strict=True)
                    ]
                )
                residual = length * MATRIX @ slopes - stages
                split = (_INVERSE_VECTORS @ residual).reshape(STAGES, self._copies, size, 1)
                step = (_VECTORS @ (solvers @ split).reshape(STAGES, -1)).real
                moved = float((np.abs(step) / self._scale(self.y + stages[-1])).max())
                if not moved < 2.0 * before:
                    return None, iteration
                stages = stages + step
                # what is left after this step, were it to shrink at the rate of the last one
                rate = moved / before if np.isfinite(before) else 1.0
                if moved * min(1.0, rate) <= enough:
                    return stages, iteration
                before = moved
        return None, NEWTON_STEPS

    def _predict(self, length: float) -> Array:
        """Where to start: the last polynomial continued, if not too far, else a state at rest."""
        last = self._last
        if last is None or length > last.t - last.t_old:
            return np.zeros((STAGES, self.y.size))
        return (last(self.t + POINTS * length) - self.y[:, None]).T
