"""The search for the best setting of a box: a scan, then optimisers from its best points."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.optimize import minimize
from scipy.stats import qmc

from numerics.core.validation import Array

from .axes import Axis, Setting
from .courses import FIRST, Course, Training

# points of a scan on one axis, and Sobol points for each axis of a box of more
ON_A_LINE, FOR_EACH = 9, 8
# a setting much slower than the best so far need not be followed to its end
PATIENCE = 4.0
# from how many points of the scan an optimiser starts, and how far they are apart at least
STARTS, APART = 2, 0.25
# trust region of the optimiser without gradients, first and last, in coordinates of the box
FIRST_RADIUS, LAST_RADIUS = 0.12, 4e-3
# half the distance of coordinates between which slopes are taken, how far they lead, and the error
# of curves from which on they can be trusted
SLOPE, NEAR, SMOOTH = 2e-3, 0.05, 1e-6
MOST_CURVES = 40
# where the target is not reached for sure, this many curves look for the setting that comes closest
CLOSEST = 20


@dataclass(frozen=True)
class Goal:
    """What is wanted: a target reached as soon as may be, or the best value at a time.

    Attributes
    ----------
    target : float or None
        None where the value at a time is wanted.
    limit : float
        On the clock, over d: by when the target is to be reached, or that time.
    """

    target: float | None
    limit: float


@dataclass
class Search:
    """Costs of settings of a box, each computed once.

    The cost is the logarithm of the time at which the target is reached, continued by the shortfall
    where it is not; or the value at a time with the sign that makes less better.
    """

    training: Training
    axes: tuple[Axis, ...]
    goal: Goal
    base: Setting
    progress: Callable[[float], None] | None = None
    courses: dict[tuple[float, ...], Course] = field(default_factory=dict)
    chosen: Array | None = None

    def setting(self, point: Array) -> Setting:
        """The setting at a point of the unit cube."""
        setting = self.base
        for axis, x in zip(self.axes, point, strict=True):
            setting = setting.but(axis.name, axis.value(float(x)))
        return setting

    def course(self, point: Array) -> Course:
        """What the setting at a point does."""
        key = tuple(np.round(np.clip(point, 0.0, 1.0), 9))
        if key not in self.courses:
            self.courses[key] = self._follow(self.setting(np.array(key)))
            if self.progress is not None:
                done = len(self.courses)
                self.progress(done / (done + MOST_CURVES))
        return self.courses[key]

    def _follow(self, setting: Setting) -> Course:
        goal, training = self.goal, self.training
        if goal.target is None:
            return training.at(setting, goal.limit)
        reached = [c.when for c in self.courses.values() if c.is_reached]
        until = min([goal.limit, *(PATIENCE * t for t in reached)])
        first = min([goal.limit * FIRST, *(1.2 * t for t in reached)])
        return training.reach(setting, goal.target, until, first)

    def cost(self, point: Array) -> float:
        """The cost at a point."""
        return self.cost_of(self.course(np.asarray(point, dtype=float)))

    def cost_of(self, course: Course) -> float:
        """The cost of a course."""
        sign = self.training.quantity.sign
        if self.goal.target is None:
            return -sign * course.value if np.isfinite(course.value) else 1e6
        if course.is_reached:
            return float(np.log(course.when))
        missing = sign * (self.goal.target - course.value)
        missing = missing if np.isfinite(missing) else 10.0
        return float(np.log(course.seen_until)) + max(missing, 0.0) / self.scale

    @property
    def scale(self) -> float:
        """The progress that the target asks for."""
        start, _ = self.training.quantity_at(self.base, self.training.initial)
        return abs((self.goal.target or 0.0) - start) or 1.0

    def best(self) -> tuple[Array, Course]:
        """The best point so far, or the one that was chosen."""
        if self.chosen is not None:
            return self.chosen, self.course(self.chosen)
        key = min(self.courses, key=lambda k: self.cost_of(self.courses[k]))
        return np.array(key), self.courses[key]

    def scan(self) -> None:
        """Look at the middle, the corners and Sobol points of the box, and at the base setting."""
        n = len(self.axes)
        for point in scan_points(n, self.training.seed):
            self.course(point)
        own = np.array([a.coordinate(self.base.number(a.name)) for a in self.axes])
        if np.all((own >= 0) & (own <= 1)):
            self.course(own)

    def come_closest(self) -> None:
        """Look for a setting that reaches the target, where the scan found none."""
        start, _ = self.best()
        self._without_gradient(start, CLOSEST)

    def polish(self) -> None:
        """Optimise from the best points of the scan that are apart."""
        ordered = sorted(self.courses, key=lambda k: self.cost_of(self.courses[k]))
        starts: list[Array] = []
        for key in ordered:
            point = np.array(key)
            if all(np.abs(point - s).max() >= APART for s in starts):
                starts.append(point)
            if len(starts) == STARTS:
                break
        for start in starts:
            self._without_gradient(start, MOST_CURVES)

    def pinned(self, tolerance: float) -> Search:
        """A search with finer curves whose best point is where slopes vanish.

        Near a flat optimum costs differ by less than their errors, and slopes do not: of a smooth
        quantity, on curves without random nodes, they say where it is.
        """
        point, _ = self.best()
        fine = replace(self, training=replace(self.training, tolerance=tolerance), courses={})
        fine.course(point)
        free = [i for i, a in enumerate(self.axes) if a.name != "batch"]
        if free and self.training.quantity.is_smooth and tolerance < SMOOTH:
            fine._with_gradient(point, free)
        return fine

    def _with_gradient(self, start: Array, free: list[int]) -> None:
        """Quasi-Newton steps in some of the coordinates."""

        def moved(part: Array) -> Array:
            point = start.copy()
            point[free] = part
            return point

        def slopes(part: Array) -> Array:
            return self.gradient(moved(part))[free]

        bounds = [(max(0.0, x - NEAR), min(1.0, x + NEAR)) for x in start[free]]
        minimize(
            lambda part: self.cost(moved(part)), start[free], jac=slopes, method="L-BFGS-B",
            bounds=bounds, options={"maxiter": 8, "maxfun": 12, "ftol": 1e-10, "gtol": 1e-5},
        )  # fmt: skip

    def _without_gradient(self, start: Array, most: int) -> None:
        n = len(self.axes)
        minimize(
            self.cost, start, method="COBYQA", bounds=[(0.0, 1.0)] * n,
            options={
                "initial_tr_radius": FIRST_RADIUS, "final_tr_radius": LAST_RADIUS,
                "maxfev": max(most, 2 * n + 2),
            },
        )  # fmt: skip

    def take_whole_batch(self) -> None:
        """Choose the better of the two whole batches beside the best one."""
        names = [a.name for a in self.axes]
        if "batch" not in names:
            return
        i, (point, course) = names.index("batch"), self.best()
        beside = [point.copy() for _ in range(2)]
        for moved, size in zip(beside, (np.floor, np.ceil), strict=True):
            moved[i] = self.axes[i].coordinate(float(size(course.setting.batch)))
        inside = [p for p in beside if 0 <= p[i] <= 1] or [point]
        self.chosen = min(inside, key=self.cost)

    def stated(self) -> Course | None:
        """What the base setting does; nothing where a schedule leaves letters to be chosen."""
        if self.base.letters:
            return None
        if self.goal.target is None:
            return self.training.at(self.base, self.goal.limit)
        first = self.goal.limit * FIRST
        return self.training.reach(self.base, self.goal.target, self.goal.limit, first)

    def gradient(self, point: Array) -> Array:
        """Slopes of the cost by differences, on one side at the edges of the box."""
        found = np.empty(point.size)
        for i in range(point.size):
            low, high = point.copy(), point.copy()
            low[i], high[i] = max(point[i] - SLOPE, 0.0), min(point[i] + SLOPE, 1.0)
            found[i] = (self.cost(high) - self.cost(low)) / (high[i] - low[i])
        return found


def scan_points(axes: int, seed: int) -> Sequence[Array]:
    """Points of the unit cube that are looked at first."""
    if axes == 1:
        return [np.array([x]) for x in np.linspace(0, 1, ON_A_LINE)]
    count = 2 ** int(np.ceil(np.log2(FOR_EACH * axes)))
    inner = qmc.Sobol(axes, seed=seed).random(count)
    corners = list(itertools.product((0.0, 1.0), repeat=axes)) if axes <= 3 else []
    return [np.full(axes, 0.5), *map(np.array, corners), *inner]
