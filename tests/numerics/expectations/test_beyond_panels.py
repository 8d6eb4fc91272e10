"""Expectations that lie beyond the last panel are in the stated error: a unit that is never active
makes an integrand that is nothing wherever nodes stand.
"""

from __future__ import annotations

import mpmath as mp
import numpy as np
import pytest
from helpers import fresh_rng

from numerics import Parameters, State, compile_expressions
from numerics.expectations import estimation
from theory import (
    GaussianExpectation,
    Loss,
    Mixture,
    Model,
    ReLU,
    Sigmoid,
    preactivation_law,
    symbols,
)

U = symbols.vector("u", 2)
TWO = Mixture.build(weights=[1], labels=[0], coordinates=[[1, 0]], directions_gram=[[1, 0], [0, 1]])


def compiled_product(units):
    """E[ReLU(u_1) sigma(u_2)], or of one unit E[ReLU(u_1) sigma(u_1)]."""
    product = ReLU(U[0]) * Sigmoid(U[units - 1])
    model = Model.build(TWO, Loss(product, units=units, kinks=(U[0],)), name="far")
    node = GaussianExpectation(product, preactivation_law(model, 0))
    return compile_expressions(model, (node,), "numpy", closed_forms=False)


def far_state(rng, units):
    """A state whose first unit is active beyond 9 to 33 standard deviations, and their number."""
    distance = rng.uniform(9, 33)
    scale = 10.0 ** rng.uniform(-2, 2)
    # u_1 has the mean -scale and the variance scale^2 / distance^2; u_2 is independent of it
    overlap = np.array([[-scale, 0], [0, rng.normal()]])[:units]
    state = State(overlap, np.zeros((units, units)))
    return distance, scale, state, Parameters([1], distance**2, 0, 1, np.eye(2))


def true_value(distance, scale, state, units):
    with mp.workdps(20):
        d = mp.mpf(distance)

        def active(z):
            sigma = 1 / (1 + mp.exp(-scale * (z / d - 1))) if units == 1 else 1
            return mp.npdf(z) * scale * (z / d - 1) * sigma

        value = mp.quad(active, [d, d + 1, d + 4, d + 20])
        if units == 1:
            return value
        spread = mp.mpf(float(state.overlap[1, 1])) / d
        return value * mp.quad(lambda z: mp.npdf(z) / (1 + mp.exp(-spread * z)), [-12, 0, 12])


@pytest.mark.parametrize("units", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_what_no_panel_sees_is_in_the_error(units):
    rng, compiled = fresh_rng(), compiled_product(units)
    for _ in range(20):
        distance, scale, state, parameters = far_state(rng, units)
        found = compiled.estimate(parameters, state, tolerance=1e-12)
        true = true_value(distance, scale, state, units)
        assert abs(mp.mpf(float(found.values[0])) - true) <= found.errors[0]
        if distance > 11:  # of the right order, not a mere bound
            assert found.errors[0] < 100 * true


def test_without_it_the_error_is_understated(monkeypatch):
    monkeypatch.setattr(estimation, "panel_misses", lambda *_: None)
    rng, compiled = fresh_rng(), compiled_product(1)
    distance, scale, state, parameters = far_state(rng, 1)
    while distance < 12:
        distance, scale, state, parameters = far_state(rng, 1)
    found = compiled.estimate(parameters, state, tolerance=1e-12)
    assert abs(found.values[0] - true_value(distance, scale, state, 1)) > found.errors[0]
