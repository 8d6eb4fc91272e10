r"""Explicit steps whose polynomial between the ends is looked at as well as the state they reach.

The error estimate of an explicit step speaks of its end alone.  Where a fast mode limits the steps,
that estimate can vanish by accident: the next step is then four times too long, and the polynomial
between its ends is off by up to 10^5 times the accuracy while the end is nearly right.  So each
step is asked for its defect

.. math::
   h\,\|P'(t)-F(t,P(t))\|

inside, and is taken again, shorter, where that is large.

Source: W. H. Enright, Continuous numerical methods for ODEs with defect control, J. Comput. Appl.
Math. 125 (2000) 159-170.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.integrate import DOP853, RK45

from numerics.core.validation import Array

from .collocation import Field

# Where the defect is looked at.  For decaying modes it is 3.2 (order 5) and 8.5 (order 8) times the
# largest error of the step there at least; at the middle and towards the end it may vanish.
PLACE = 0.7
# Defect allowed, in units of the accuracy.  Steps that accuracy chooses stay below 20 (order 5) and
# 500 (order 8), steps at the border of stability below 1,000, and those that went wrong begin at
# some 5,000.
DEFECT = 1000.0
# the shortened step, as a share of the one refused
SHORTEST, LONGEST = 0.2, 0.7


def _slope_weights(place: float) -> tuple[Array, Array]:
    """Points on [0, 1], and the weights of a degree 7 polynomial's values there in P'(place)."""
    points = (1.0 - np.cos(np.pi * np.arange(8) / 7)) / 2.0
    powers = np.arange(1, 8)
    slopes = np.concatenate([[0.0], powers * place ** (powers - 1)])
    return points, np.linalg.solve(np.vander(points, 8, increasing=True).T, slopes)


_POINTS, _WEIGHTS = _slope_weights(PLACE)


class ExplicitSteps:
    """Steps of an explicit method of SciPy with bounded defect.

    Parameters
    ----------
    method : type
        RK45 or DOP853: their dense outputs are polynomials of degree 4 and 7.
    field, start, end, accuracy
        As for :func:`numerics.dynamics.integration.integrator.integrate`.

    Attributes
    ----------
    solver : RK45 or DOP853
        At the end of the last step taken.
    """

    def __init__(
        self, method: type[DOP853 | RK45], field: Field, start: Array, end: float, accuracy: float
    ) -> None:
        self._method, self._field, self._end, self._accuracy = method, field, end, accuracy
        self._before = 0
        self.solver = method(field, 0.0, start, end, rtol=accuracy, atol=accuracy)

    @property
    def evaluations(self) -> int:
        """Right-hand sides computed."""
        return self._before + int(self.solver.nfev)

    def step(self) -> Callable[[Array], Array] | None:
        """Take one step and return the solution on it; None when no step is short enough."""
        while self.solver.step() is None:
            piece = self.solver.dense_output()
            if self.solver.y_old is None:  # nothing to integrate: no time, or no statistic
                return piece
            defect = self._defect(piece)
            if defect <= DEFECT:
                return piece
            old, length = self.solver.t_old, self.solver.step_size
            share = (DEFECT / defect) ** (1 / 8) if np.isfinite(defect) else 0.0
            shorter = length * float(np.clip(0.8 * share, SHORTEST, LONGEST))
            if shorter <= 10 * np.spacing(old):
                return None
            self._restart(old, shorter)
        return None

    def _defect(self, piece: Callable[[Array], Array]) -> float:
        """h |P' - F| at one place in the step just taken, in units of its accuracy."""
        solver = self.solver
        length = solver.step_size
        time = solver.t_old + PLACE * length
        self._before += 1
        slope = piece(solver.t_old + _POINTS * length) @ _WEIGHTS
        with np.errstate(all="ignore"):  # what is not finite is no step
            defect = np.abs(slope - length * self._field(time, piece(time)))
            size = 1.0 + np.maximum(np.abs(solver.y_old), np.abs(solver.y))
            return float((defect / size).max(initial=0.0)) / self._accuracy

    def _restart(self, time: float, length: float) -> None:
        """Stand at the beginning of the last step again, with a shorter one to try."""
        self._before += int(self.solver.nfev)
        self.solver = self._method(
            self._field,
            time,
            self.solver.y_old,
            self._end,
            rtol=self._accuracy,
            atol=self._accuracy,
            first_step=length,
        )
