"""How far two solutions are apart, looked at inside every step of both."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from numerics.core.validation import Array

from .integrator import Trajectory

# points looked at between two ends of steps, of either solution: an interpolant errs most inside
INSIDE = np.array([0.25, 0.5, 0.75])
# times evaluated at once, which bounds the memory
CHUNK = 1000


def dense_times(*trajectories: Trajectory) -> Array:
    """The ends of all steps, and points between them.

    Times that do not know of the steps see nothing of a fast layer at the start: the steps stand
    where the solution changes.
    """
    ends = np.unique(np.concatenate([t.steps for t in trajectories]))
    inside = ends[:-1, None] + np.diff(ends)[:, None] * INSIDE
    return np.asarray(np.union1d(ends, inside.ravel()), dtype=float)


def chunked(times: Array) -> Iterator[Array]:
    """The times in parts."""
    for start in range(0, times.size, CHUNK):
        yield times[start : start + CHUNK]


def largest_difference(one: Trajectory, other: Trajectory) -> tuple[float, float]:
    """The largest difference of two solutions over statistics and time, and the largest value."""
    difference = size = 0.0
    for times in chunked(dense_times(one, other)):
        first, second = one.solution(times), other.solution(times)
        difference = max(difference, float(np.abs(first - second).max(initial=0.0)))
        size = max(size, float(np.abs(second).max(initial=0.0)))
    return difference, size
