"""Schedules that no curve can follow are refused before the work."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp

from numerics.core.schedule import TIME, Pace
from theory import InputError


@pytest.mark.parametrize(
    "schedule",
    [
        1 + sp.sin(10**9 * TIME) / 2,
        1 + sp.sin(10**6 * TIME) / 2,
        2 + sp.sin(1 / (TIME + sp.Rational(1, 10**7))),
        lambda t: 1 + np.cos(1e7 * t**2) / 2,
    ],
)
def test_a_factor_that_is_too_fast_is_refused(schedule):
    with pytest.raises(InputError, match="rises and falls about"):
        Pace.of(schedule, 1, 16.0)


@pytest.mark.parametrize("end", [0.0, 1e-12, 1.0, 1e6])
@pytest.mark.parametrize(
    "schedule",
    [
        1 / (1 + TIME),
        sp.exp(-TIME / 10**5),
        sp.Piecewise((1, TIME < 3), (sp.Rational(1, 100), True)),
        1 + sp.sin(TIME / 100) / 2,
        lambda t: np.where(t < 0.5, 1.0, 1e-3),
        lambda t: 1.0,
    ],
)
def test_slow_factors_and_jumps_are_accepted(schedule, end):
    assert Pace.of(schedule, 1, end).schedule is not None
