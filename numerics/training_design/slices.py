"""How well a best setting is determined: what else is as good."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from numerics.core.validation import Array

from .axes import Axis
from .search import Search

# a setting this much worse is still called as good, relative
AS_GOOD = 0.01
# coordinates: closer to an end of the box is at it; and a flat optimum has so wide an interval
AT_EDGE, FLAT = 2e-3, 0.25
FIRST_STEP, HALVINGS = 0.01, 5
# coordinates between which no search is said to have told settings apart
RESOLUTION = 1e-3


@dataclass(frozen=True)
class Slice:
    """A setting and what is as good, the other settings held.

    Attributes
    ----------
    name : str
    value : float
        The best one.
    low, high : float
        Bounds of the box.
    as_good : (float, float)
        Settings at most 1 % worse.
    uncertainty : (float, float)
        Settings that the error of curves and expectations does not tell from the best one.
    edge : str
        "lower", "upper" or "": the bound of the box that the best one is at.
    is_flat : bool
        Whether the settings at most 1 % worse are a quarter of the box, or more.
    """

    name: str
    value: float
    low: float
    high: float
    as_good: tuple[float, float]
    uncertainty: tuple[float, float]
    edge: str
    is_flat: bool


def slice_of(search: Search, point: Array, i: int, slack: float, error: float) -> Slice:
    """The slice along axis i through the best point.

    Parameters
    ----------
    search : Search
    point : array
    i : int
    slack, error : float
        Costs above the best one that are as good, and that are not told from it.
    """
    axis: Axis = search.axes[i]
    best = search.cost(point)

    def interval(level: float) -> tuple[float, float]:
        low, high = (_reach(search, point, i, best + level, side) for side in (-1, 1))
        return axis.value(low), axis.value(high)

    as_good = interval(slack)
    ends = [axis.coordinate(x) for x in as_good]
    edge = ""
    if point[i] <= AT_EDGE or point[i] >= 1 - AT_EDGE:
        edge = "lower" if point[i] <= AT_EDGE else "upper"
    return Slice(
        axis.name,
        axis.value(float(point[i])),
        axis.low,
        axis.high,
        as_good,
        _wider(axis, point[i], interval(error)) if np.isfinite(error) else (axis.low, axis.high),
        edge,
        ends[1] - ends[0] >= FLAT,
    )


def _wider(axis: Axis, at: float, ends: tuple[float, float]) -> tuple[float, float]:
    """An interval that is as wide as the search can tell settings apart."""
    low, high = axis.value(at - RESOLUTION), axis.value(at + RESOLUTION)
    return min(ends[0], low), max(ends[1], high)


def _reach(search: Search, point: Array, i: int, level: float, side: int) -> float:
    """How far one may go to a side until the cost exceeds a level: a coordinate."""
    end = 1.0 if side > 0 else 0.0

    def is_below(x: float) -> bool:
        moved = point.copy()
        moved[i] = x
        return search.cost(moved) <= level

    good, step = float(point[i]), FIRST_STEP
    while True:
        if good == end:
            return end
        x = min(max(good + side * step, 0.0), 1.0)
        if not is_below(x):
            bad = x
            break
        good, step = x, 2 * step
    for _ in range(HALVINGS):
        middle = (good + bad) / 2
        if is_below(middle):
            good = middle
        else:
            bad = middle
    return good
