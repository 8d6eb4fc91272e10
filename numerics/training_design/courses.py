"""The course of a quantity along the training of one setting: when it reaches a target, what it is
at a time.
"""

from __future__ import annotations

import itertools
import warnings
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.optimize import brentq

from numerics.core.errors import IntegrationError, ToleranceWarning
from numerics.core.problem import Problem
from numerics.core.state import State
from numerics.dynamics.curve import Curve
from numerics.dynamics.curves import solve_curve
from theory import Drift, symbols

from .axes import ScheduleFamily, Setting, with_setting
from .quantities import Quantity

# times of a piece of a curve at which it is asked whether the target has been reached
LOOKED_AT = 6
# relative accuracy of the time at which it is
TIMING, COARSE_TIMING = 1e-8, 3e-5
# nodes of slopes of the quantity in the statistics: two digits of them are enough
SLOPE_NODES = 2**10
# a curve is followed to this share of the limit first, and then to double the time
FIRST = 1 / 16


@dataclass(frozen=True)
class Course:
    """What one setting does.

    Attributes
    ----------
    setting : Setting
    when : float
        On the clock, over d: when the target is reached, infinite if it is not; or the time that
        was asked about.
    value : float
        Of the quantity then; the best one seen where the target is not reached.
    seen_until : float
        On the clock: how far the curve was followed.
    curve : Curve or None
        None where it diverges.
    """

    setting: Setting
    when: float
    value: float
    seen_until: float
    curve: Curve | None

    @property
    def is_reached(self) -> bool:
        return bool(np.isfinite(self.when)) and self.curve is not None


@dataclass
class Training:
    """Training of a problem from a start, in any setting.

    Attributes
    ----------
    problem : Problem
    initial : State
    drift : theory.Drift
    schedule : ScheduleFamily
    clock : str
        "samples" or "steps".
    quantity : Quantity
    tolerance : float
        Absolute error asked of the statistics.
    nodes : int
        Of expectations of the quantity.
    seed : int
    """

    problem: Problem
    initial: State
    drift: Drift
    schedule: ScheduleFamily
    clock: str
    quantity: Quantity
    tolerance: float
    nodes: int
    seed: int
    curves: int = field(default=0, init=False)
    _factors: Any = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        # the corrector follows the step also where the model fixes it to a number
        self.drift = self.drift.with_step(symbols.STEP)
        self._factors = self.schedule.compiled()

    def curve(self, setting: Setting, until: float) -> Curve:
        """The curve of a setting to a time of the clock.

        A batch of b acts as the step c / b, so that it may be any number.
        """
        self.curves += 1
        problem = with_setting(self.problem, setting).with_step(setting.step / setting.batch)
        end = until * setting.per_unit(self.clock)
        schedule = None if self._factors is None else self._factors(setting.letters)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ToleranceWarning)  # its error is used instead
            return solve_curve(
                problem, self.initial, end, drift=self.drift, schedule=schedule,
                tolerance=self.tolerance, seed=self.seed,
            )  # fmt: skip

    def quantity_at(self, setting: Setting, state: State) -> tuple[float, float]:
        """The quantity of a state and its error."""
        return self.quantity.of(with_setting(self.problem, setting), state, self.nodes)

    def at(self, setting: Setting, when: float) -> Course:
        """The quantity at a time of the clock."""
        try:
            curve = self.curve(setting, when)
        except IntegrationError:
            return Course(setting, when, -self.quantity.sign * np.inf, when, None)
        value, _ = self.quantity_at(setting, curve.state(curve.end))
        return Course(setting, when, value, when, curve)

    def reach(self, setting: Setting, target: float, until: float, first: float) -> Course:
        """When the quantity first reaches the target, looked for from ``first`` on to ``until``.

        A crossing that is undone between two of the times looked at is not seen.
        """
        sign, best, seen = self.quantity.sign, -np.inf, 0.0
        end = min(first, until)
        unit = setting.per_unit(self.clock)
        while True:
            try:
                curve = self.curve(setting, end)
            except IntegrationError:
                return Course(setting, np.inf, sign * best, end, None)

            def short(t: float, curve: Curve = curve) -> float:
                state = curve.state(min(t * unit, curve.end))
                return sign * (self.quantity_at(setting, state)[0] - target)

            times = seen + (end - seen) * np.linspace(0, 1, LOOKED_AT + 1)
            previous = short(float(times[0]))
            for a, b in itertools.pairwise(times):
                here = short(float(b))
                best = max(best, here + sign * target)
                if here >= 0:
                    timing = TIMING if self.quantity.is_smooth else COARSE_TIMING
                    when = _crossing(short, float(a), float(b), previous, timing)
                    return Course(setting, when, target, end, curve)
                previous = here
            if end >= until:
                return Course(setting, np.inf, sign * best, end, curve)
            seen, end = end, min(2 * end, until)

    def error(self, course: Course, target: float | None) -> float:
        """Error of what a course says: of the time, relative, or of the value at a time.

        From the error of the curve in every statistic and that of the expectations; of a time it
        is the larger way to the times at which the target is reached by that much, or missed.
        """
        if course.curve is None:
            return float("inf")
        curve, setting = course.curve, course.setting
        unit, problem = setting.per_unit(self.clock), with_setting(self.problem, course.setting)
        state = curve.state(min(course.when * unit, curve.end))
        own = self.quantity_at(setting, state)[1]
        each = curve.error_estimate
        error = own + self.quantity.error_from(problem, state, SLOPE_NODES, each)
        if target is None:
            return error
        slope = self.slope(course)
        return float("inf") if slope <= 0 else error / slope / course.when

    def slope(self, course: Course) -> float:
        """How fast the quantity improves on the clock, at the time of a course."""
        assert course.curve is not None
        curve, unit = course.curve, course.setting.per_unit(self.clock)
        gap = 0.02 * course.when
        ends = [min(max(course.when + s * gap, 0.0) * unit, curve.end) for s in (-1, 1)]
        below, above = (self.quantity_at(course.setting, curve.state(t))[0] for t in ends)
        return float(self.quantity.sign * (above - below) * unit / (ends[1] - ends[0]))


def _crossing(short: Any, a: float, b: float, at_a: float, timing: float) -> float:
    """Where the shortfall vanishes between two times."""
    if at_a >= 0:
        return a
    return float(brentq(short, a, b, xtol=timing * b, rtol=4 * np.finfo(float).eps))
