"""Pre-activations far wider than the nonlinearity: true values, and refusals that name a reason.

The numbers come from piecewise Gauss-Legendre by hand, the random problems from
``brute_expectations``.
"""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
from helpers import fresh_rng

from benchmarks.calibrate_drifts import calibrate_drifts
from benchmarks.calibration_record import tallies
from numerics import Parameters, State, compile_expressions, solve_curve, solve_fixed_point
from numerics.core.errors import IntegrandError
from numerics.expectations import estimation
from numerics.expectations.families import run_family
from numerics.expectations.quadrature import gauss_hermite
from theory import (
    GaussianExpectation,
    Loss,
    Mixture,
    Model,
    Sigmoid,
    Softplus,
    derive_drift,
    kgmm,
    preactivation_law,
    symbols,
)

U, Y = symbols.vector("u", 1), symbols.LABEL
TWO = Mixture.build(
    weights=[sp.Rational(1, 2)] * 2, labels=[1, 0], coordinates=[[1], [-1]], directions_gram=[[1]]
)
ONE = Mixture.build(weights=[1], labels=[0], coordinates=[[1]], directions_gram=[[1]])
LOGISTIC = Model.build(TWO, Loss(-Y * U[0] + Softplus(U[0]), units=1), name="logistic")
STEEP = Model.build(ONE, Loss((sp.tanh(100 * U[0]) - U[0]) ** 2 / 2, units=1), name="steep")
SINE = Model.build(ONE, Loss(sp.sin(3 * U[0]), units=1), name="sine")


def drift_of(model):
    return compile_expressions(model, derive_drift(model).without_corrector().vector)


def test_logistic_of_a_field_a_hundred_times_too_wide():
    """lambda = 1, m = 1, Q = 1e4: drift of R, corrector E g^2 and bulk E sigma'(u)."""
    parameters = Parameters([0.5, 0.5], 1.0, 0, 1, [[1.0]])
    state = State([[1.0]], [[1e4 - 1]])
    found = drift_of(LOGISTIC).estimate(parameters, state)
    assert found.values[1] == pytest.approx(-79.76, abs=0.005)
    assert found.errors.max() < 1e-9
    law = preactivation_law(LOGISTIC, 0)
    parts = [(1 - Sigmoid(U[0])) ** 2, Sigmoid(U[0]) * (1 - Sigmoid(U[0]))]
    nodes = tuple(GaussianExpectation(f, law) for f in parts)
    corrector, bulk = compile_expressions(LOGISTIC, nodes).estimate(parameters, state).values
    assert corrector == pytest.approx(0.49202, abs=5e-6)
    assert bulk == pytest.approx(3.99e-3, abs=5e-6)


def test_a_transition_a_hundred_times_narrower_than_the_field():
    parameters, state = Parameters([1], 1.0, 0, 1, [[1.0]]), State([[0.0]], [[1.0]])
    found = drift_of(STEEP).estimate(parameters, state)
    assert found.values[1] == pytest.approx(-0.412, abs=5e-4)
    assert found.errors[1] < 1e-9


def test_a_fast_sine_meets_its_closed_form():
    """E sin(3u) = sin(3m) e^(-9 s^2 / 2)."""
    node = GaussianExpectation(sp.sin(3 * U[0]), preactivation_law(SINE, 0))
    evaluator = compile_expressions(SINE, (node,), closed_forms=False)
    for variance in (0.01, 1.0, 30.0, 1e3):
        state = State([[0.0]], [[variance]])
        parameters = Parameters([1], 1.0, 0, 1, [[1.0]])
        found = evaluator.estimate(parameters, state, tolerance=1e-8)
        assert abs(found.values[0]) <= found.errors[0] <= 1e-8
        moved = State([[0.2]], [[variance - 0.04 if variance > 0.04 else 0.0]])
        spread = float(moved.gram(np.eye(1))[0, 0])
        found = evaluator.estimate(parameters, moved, tolerance=1e-8)
        right = np.sin(0.6) * np.exp(-4.5 * spread)
        assert abs(found.values[0] - right) <= found.errors[0] <= 1e-8


@pytest.mark.slow
@pytest.mark.parametrize(("precision", "value"), [(0.01, 29.8), (1e-3, 303.0)])
def test_curve_of_two_classes_in_strong_noise(precision, value):
    curve = solve_curve(
        kgmm(2),
        Parameters([0.5, 0.5], precision, 0.1, 1.0),
        State(np.zeros((2, 2)), np.eye(2)),
        16.0,
    )
    assert curve.state(16.0).gram_perp[0, 0] == pytest.approx(value, rel=3e-3)
    assert curve.error_estimate < 1e-7


@pytest.mark.slow
@pytest.mark.parametrize(("precision", "value"), [(0.01, 29.84), (0.03, 9.6)])
def test_fixed_point_of_two_classes_in_strong_noise(precision, value):
    point = solve_fixed_point(kgmm(2), Parameters([0.5, 0.5], precision, 0.1, 1.0))
    assert float(point.gram_perp[0, 0]) == pytest.approx(value, rel=5e-3)
    assert point.attrs["error_estimate"] < 1e-7


def test_narrow_fields_keep_gauss_hermite_and_wide_ones_do_not():
    compiled = drift_of(kgmm(3))
    parameters = Parameters([1 / 3] * 3, 10.0, 0.1, 1.0)

    def family(size):
        parts = (0.5 * np.eye(3), size * np.eye(3), np.zeros(0))
        return run_family(compiled, parameters, [parts])

    assert (family(1.0), family(1e5)) == ("gauss-hermite", "panels")


def test_without_the_witness_of_singularities_an_error_would_not_be_covered(monkeypatch):
    """Two Hermite rules miss a transition together: without the bound it would not be seen."""
    evaluator = drift_of(STEEP)
    parameters, state = Parameters([1], 1.0, 0, 1, [[1.0]]), State([[0.0]], [[1.0]])
    parts = (state.overlap, state.gram_perp, state.readout)
    true = evaluator.estimate(parameters, state).values

    def blind(compiled, parameters, parts, sizes):
        shape = (len(sizes), compiled.model.components, len(compiled.integrands))
        return np.zeros(len(sizes)), np.zeros(shape)

    honest = estimation.estimate_tensor(evaluator, parameters, parts, 1e-10)
    assert np.all(np.abs(honest.values - true) <= honest.errors)
    monkeypatch.setattr(estimation, "hermite_misses", blind)
    believed = estimation.estimate_tensor(evaluator, parameters, parts, 1e-10)
    assert np.any(np.abs(believed.values - true) > believed.errors)
    assert gauss_hermite(1, believed.rule.size).size == believed.rule.size


@pytest.mark.parametrize("function", [sp.log(U[0]), sp.asin(U[0]), U[0] ** sp.Rational(1, 3)])
def test_an_integrand_that_is_no_number_is_named(function):
    """Losses like these are refused before; any expression may be compiled."""
    node = GaussianExpectation((function - 1) ** 2, preactivation_law(SINE, 0))
    compiled = compile_expressions(SINE, (node,))
    parameters = Parameters([1], 1.0, 0, 1, [[1.0]])
    with pytest.raises(IntegrandError, match=r"integrand .*u_1.* no real number \(NaN\) at u = "):
        compiled.estimate(parameters, State([[0.5]], [[1.0]]))


@pytest.mark.slow
@pytest.mark.parametrize("planar", [0.0, pytest.param(1.0, marks=pytest.mark.slow)])
def test_no_returned_value_is_further_from_brute_force_than_its_error(planar):
    """Random problems of a wide box: none wrong, at most one in twenty refused."""
    problems = 150 if planar == 0 else 6
    found = tallies(calibrate_drifts(problems, int(fresh_rng().integers(2**62)), planar)).values()
    assert [text for tally in found for text in tally.wrong] == []
    assert sum(tally.refused for tally in found) <= 0.05 * problems
