"""Solutions at every time: explicit steps, implicit ones of stiff flows, and what stops both."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import fresh_rng

from numerics.dynamics.integration.collocation import MATRIX, POINTS, STAGES, StiffSteps
from numerics.dynamics.integration.dense_difference import dense_times, largest_difference
from numerics.dynamics.integration.integrator import IntegrationStopped, integrate


def test_the_points_are_those_of_radau():
    """Collocation integrates t^j to c_i for j < 7, and t^j to 1 for j < 13."""
    for j in range(STAGES):
        np.testing.assert_allclose(MATRIX @ POINTS**j, POINTS ** (j + 1) / (j + 1), atol=1e-14)
    for j in range(2 * STAGES - 1):
        assert abs(MATRIX[-1] @ POINTS**j - 1 / (j + 1)) < 1e-13
    assert abs(MATRIX[-1] @ POINTS ** (2 * STAGES - 1) - 1 / (2 * STAGES)) > 1e-11


@pytest.mark.parametrize("accuracy", [1e-4, 1e-7, 1e-10])
def test_a_fast_layer_and_a_long_time_are_known_at_every_time(accuracy):
    """Rates from 1e-3 to 1e4 side by side over t = 1e4: explicit steps alone would be 1e7."""
    rng = fresh_rng()
    rates = 10.0 ** rng.uniform(-3, 4, size=6)
    basis, _ = np.linalg.qr(rng.normal(size=(6, 6)))
    start = rng.normal(size=6)

    def field(_, s):
        return -basis @ (rates * (basis.T @ s))

    found = integrate(field, start, 1e4, accuracy, 1e6)
    assert found.evaluations < 20_000
    times = np.concatenate([[0.0], np.geomspace(1e-6, 1e4, 3001)])
    exact = basis @ (np.exp(-rates[:, None] * times) * (basis.T @ start)[:, None])
    assert np.abs(found.solution(times) - exact).max() < 300 * accuracy


def test_implicit_copies_do_not_act_on_each_other():
    rates = np.array([1.0, 300.0])

    def field(time, vectors):
        copies = vectors.reshape(2, 2)
        return (-rates * (copies - np.cos(time)) * [[1.0], [2.0]]).ravel()

    def alone(factor):
        return lambda time, s: -rates * (s - np.cos(time)) * factor

    start = np.array([2.0, -1.0])
    both = StiffSteps(field, 0.0, np.tile(start, 2), 3.0, 1e-10, 2, 1e-3)
    while both.t < 3.0:
        assert both.step() is not None
    for i, factor in enumerate((1.0, 2.0)):
        single = StiffSteps(alone(factor), 0.0, start, 3.0, 1e-10, 1, 1e-3)
        while single.t < 3.0:
            single.step()
        np.testing.assert_allclose(both.y[2 * i : 2 * i + 2], single.y, atol=1e-8)


def test_what_grows_and_what_is_no_number_stops():
    with pytest.raises(IntegrationStopped, match="passed 1e\\+03") as caught:
        integrate(lambda _, s: s * s, np.ones(1), 2.0, 1e-8, 1e3)
    assert not caught.value.is_short
    assert 0.9 < caught.value.reached <= 1.0
    with pytest.raises(IntegrationStopped, match="no step is short enough") as caught:
        integrate(lambda t, s: s if t < 0.5 else s * np.nan, np.ones(1), 2.0, 1e-8, 1e3)
    assert caught.value.is_short
    assert abs(caught.value.reached - 0.5) < 1e-6


def test_solutions_are_compared_inside_every_step_of_both():
    slow = integrate(lambda _, s: -s, np.ones(1), 50.0, 1e-3, 1e6)
    fine = integrate(lambda _, s: -s, np.ones(1), 50.0, 1e-9, 1e6)
    times = dense_times(slow, fine)
    assert set(slow.steps) | set(fine.steps) <= set(times)
    assert np.all(np.diff(times) > 0)
    difference, size = largest_difference(slow, fine)
    assert size == 1.0
    everywhere = np.linspace(0, 50, 20_001)
    true = np.abs(slow.solution(everywhere) - fine.solution(everywhere)).max()
    assert 0.8 * true <= difference <= 1.001 * true
    # 65 equidistant times, none of which falls into the layer, see a small part of it
    fast = integrate(lambda _, s: -1e4 * s, np.ones(1), 50.0, 1e-3, 1e6)
    finer = integrate(lambda _, s: -1e4 * s, np.ones(1), 50.0, 1e-6, 1e6)
    grid = np.linspace(0, 50, 65)
    seen = np.abs(fast.solution(grid) - finer.solution(grid)).max()
    assert largest_difference(fast, finer)[0] > 10 * seen
