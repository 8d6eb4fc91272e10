"""Explicit steps: the solution between the ends of a step is as good as the ends themselves."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import DOP853, RK45

from numerics.dynamics.integration import explicit_steps
from numerics.dynamics.integration.explicit_steps import ExplicitSteps

# rates of decay at which the error estimate of order 8 vanishes by accident at the border of
# stability
RATES = np.array([10.5479, 9.7232, 8.902, 3.5059, 0.6859, 0.2051])


def largest_error(method, accuracy):
    """Largest error at any time of decays with RATES until t = 30, in units of the accuracy."""
    steps = ExplicitSteps(method, lambda _, s: -RATES * s, np.ones(6), 30.0, accuracy)
    largest = 0.0
    while steps.solver.status == "running":
        piece = steps.step()
        times = np.linspace(steps.solver.t_old, steps.solver.t, 21)
        exact = np.exp(-RATES[:, None] * times)
        largest = max(largest, float(np.abs(piece(times) - exact).max()))
    return largest / accuracy


@pytest.mark.parametrize("accuracy", [10.0**-n for n in range(7, 13)])
def test_no_step_is_wrong_inside(accuracy):
    assert largest_error(DOP853, accuracy) < 200


def test_the_lower_order_is_looked_at_too():
    assert largest_error(RK45, 1e-5) < 20


def test_without_the_defect_steps_are_wrong_inside(monkeypatch):
    """What the check is for: ends within the accuracy, and the middle a thousand times beyond."""
    monkeypatch.setattr(explicit_steps, "DEFECT", np.inf)
    assert max(largest_error(DOP853, 10.0**-n) for n in range(7, 13)) > 1e4


def test_slopes_of_polynomials_are_exact():
    points, weights = explicit_steps._POINTS, explicit_steps._WEIGHTS
    for power in range(1, 8):
        slope = power * explicit_steps.PLACE ** (power - 1)
        assert abs(points**power @ weights - slope) < 1e-12


def test_a_field_that_is_never_finite_ends_the_steps():
    def field(time, s):
        return s if time <= 0.5 else np.full_like(s, np.nan)

    steps = ExplicitSteps(DOP853, field, np.ones(2), 1.0, 1e-8)
    with np.errstate(all="ignore"):
        while steps.step() is not None:
            assert steps.solver.t <= 0.5 + 1e-12
    assert steps.solver.t == pytest.approx(0.5, abs=1e-8)
    assert steps.evaluations < 5000


def test_no_time_and_no_statistic_are_steps():
    for start, end in ((np.ones(2), 0.0), (np.ones(0), 1.0)):
        steps = ExplicitSteps(RK45, lambda _, s: s, start, end, 1e-6)
        assert steps.step()(np.array([0.0])).shape == (len(start), 1)
