"""Limits of processor time that mean the same on a slow processor as on a fast one."""

from __future__ import annotations

from statistics import median
from time import process_time

# of the piece of work below, where the limits were set; a busy sibling thread doubles it
_SET_ON = 0.008


def _piece_of_work() -> float:
    begin = process_time()
    pairs = [(n % 7, str(n)) for n in range(20_000)]
    assert sum(len(text) for _, text in sorted(pairs)) == 88_890
    return process_time() - begin


def slowness() -> float:
    """How many times longer the same work takes here and now; 1 where it is quicker."""
    return max(1.0, median(_piece_of_work() for _ in range(5)) / _SET_ON)


def is_within(seconds: float, limit: float) -> bool:
    """Whether processor time spent just now keeps a limit."""
    return seconds < limit or seconds < limit * slowness()
