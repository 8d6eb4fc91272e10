"""The reported error of a curve: against a solution by hand, tighter runs, and other rules."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import scipy.stats
from curve_cases import difference, linear_model, softmax
from helpers import fresh_rng, random_problem
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from numerics import Parameters, State, integrate_curves, solve_curve
from numerics.core.errors import ToleranceWarning
from verify import Domain, strategies

# --- a case solved by hand ------------------------------------------------------------------------


def linear_solution(t, m0, r0, gamma, precision, ridge, step):
    """With |e|^2 = gamma:  m' = gamma - (gamma + 1/lambda + beta) m  and
    R' = -2 (1/lambda + beta) R + (c/lambda) [(m - 1)^2 + (m^2/gamma + R)/lambda], both linear."""
    a = gamma + 1 / precision + ridge
    limit = gamma / a
    k = m0 - limit
    b = 2 * (1 / precision + ridge) - step / precision**2
    inside = 1 / (gamma * precision)
    terms = [
        (0, (limit - 1) ** 2 + inside * limit**2),
        (1, 2 * k * (limit - 1 + inside * limit)),
        (2, k**2 * (1 + inside)),
    ]
    r = r0 * np.exp(-b * t)
    for j, f in terms:
        r = r + step / precision * f * (np.exp(-j * a * t) - np.exp(-b * t)) / (b - j * a)
    return limit + k * np.exp(-a * t), r


@pytest.mark.slow
@given(
    st.floats(-2, 2),
    st.floats(0, 2),
    st.floats(0.3, 2),
    st.floats(1, 50),
    st.floats(0, 0.5),
    st.floats(0.1, 1),
    st.sampled_from([1e-4, 1e-6, 1e-8, 1e-10]),
)
@settings(max_examples=30)
def test_linear_case_meets_the_solution_by_hand(m0, r0, gamma, precision, ridge, step, tolerance):
    a = gamma + 1 / precision + ridge
    b = 2 * (1 / precision + ridge) - step / precision**2
    assume(min(abs(b), abs(b - a), abs(b - 2 * a)) > 1e-3)  # the formula divides by these
    time = np.linspace(0, 5, 41)
    m, r = linear_solution(time, m0, r0, gamma, precision, ridge, step)
    curve = integrate_curves(
        linear_model(),
        Parameters([0.5, 0.5], precision, ridge, step, [[gamma]]),
        State([[m0]], [[r0]]),
        time,
        tolerance=tolerance,
    )
    estimate = curve.attrs["error_estimate"]
    assert estimate <= tolerance
    rounding = 1e-10  # of the formula near a resonance: eps over 1e-3, squared terms
    assert np.abs(curve.overlap.values[:, 0, 0] - m).max() <= estimate + 1e-13
    assert np.abs(curve.gram_perp.values[:, 0, 0] - r).max() <= estimate + rounding


@pytest.mark.parametrize("family", ["gauss-hermite", "sobol", "closed"])
@pytest.mark.parametrize(
    ("tolerance", "end"),
    [
        (1e-1, 0.06),
        (1e-2, 0.05),
        (1e-2, 0.1),
        (1e-2, 0.6),
        (1e-3, 0.35),
        (1e-4, 0.2),
        (1e-6, 0.5),
        (1e-8, 0.3),
    ],
)
def test_two_runs_of_the_same_few_steps_do_not_pass_for_an_exact_curve(
    tolerance, end, family, monkeypatch
):
    """On a short interval both resolutions may be one step, and agree to the last digit on a wrong
    value.
    """
    monkeypatch.setattr("numerics.dynamics.refinement.run_family", lambda *_, **__: family)
    for m0, r0, gamma, precision, ridge in (
        (1.6, 0.9, 1.85, 30.0, 0.37),
        (-1.9, 0.5, 1.7, 1e9, 0.1),
    ):
        if family == "sobol" and precision < 1e9:
            continue  # its error is that of the quadrature
        curve = solve_curve(
            linear_model(),
            Parameters([0.5, 0.5], precision, ridge, 0.5, [[gamma]]),
            State([[m0]], [[r0]]),
            end,
            tolerance=tolerance,
        )
        time = np.linspace(0, end, 101)
        exact = np.stack(linear_solution(time, m0, r0, gamma, precision, ridge, 0.5), axis=1)
        assert np.abs(curve.vector(time) - exact).max() <= curve.error_estimate
        assert curve.error_estimate <= tolerance


# --- the reported error ---------------------------------------------------------------------------


def assert_covered(problem, end, tolerance):
    """Compare with a run at 1e-11, at 201 times between those that the estimate looks at."""
    parameters, start = problem
    model = softmax(parameters.weights.size)
    curve = solve_curve(model, parameters, start, end, tolerance=tolerance)
    with warnings.catch_warnings():
        # where rounding leaves no 1e-11, the estimate of the tight run says what it left
        warnings.simplefilter("ignore", ToleranceWarning)
        tight = solve_curve(model, parameters, start, end, tolerance=1e-11)
    assert tight.error_estimate < 1e-10
    time = np.linspace(0, end, 201)
    error = np.abs(curve.vector(time) - tight.vector(time)).max()
    assert error <= curve.error_estimate + tight.error_estimate
    if parameters.precision > 5:
        assert curve.error_estimate <= tolerance


DOMAIN = Domain(precision=(1, 100), ridge=(0, 0.5), step=(0.1, 3))
PROBLEMS = (
    st.sampled_from([2, 3]).flatmap(lambda k: strategies.problems(softmax(k), DOMAIN)),
    st.floats(0.5, 8),
    st.sampled_from([1e-4, 1e-6, 1e-8]),
)


@pytest.mark.slow
@given(*PROBLEMS)
@settings(max_examples=12)
def test_error_estimate_covers_the_true_error(problem, end, tolerance):
    assert_covered(problem, end, tolerance)


@pytest.mark.slow
@given(*PROBLEMS)
@settings(max_examples=60)
def test_error_estimate_covers_the_true_error_of_many_problems(problem, end, tolerance):
    assert_covered(problem, end, tolerance)


@pytest.mark.slow
def test_quasi_monte_carlo_error_covers_the_true_error(monkeypatch):
    """The softmax of three classes pushed to Sobol points, against its tensor curve; 99 %
    intervals, 20 seeds.
    """
    rng = fresh_rng()
    missed, trials = 0, 20
    for seed in rng.integers(2**31, size=trials):
        parameters, start = random_problem(
            softmax(3), rng, Domain(precision=(5, 50), ridge=(0, 0.5), step=(0.1, 3))
        )
        exact = solve_curve(softmax(3), parameters, start, 2.0)
        with monkeypatch.context() as patch:
            patch.setattr("numerics.dynamics.refinement.run_family", lambda *_, **__: "sobol")
            curve = solve_curve(softmax(3), parameters, start, 2.0, tolerance=3e-3, seed=int(seed))
        assert curve.rule.kind == "sobol"
        assert curve.rule.replicates == 8
        time = np.linspace(0, 2, 21)
        missed += int(np.abs(curve.vector(time) - exact.vector(time)).max() > curve.error_estimate)
    # the largest half width stands for the error of 15 statistics, so a miss is rarer than 1 %; 3 %
    # to be safe
    assert missed <= scipy.stats.binom.isf(1e-6, trials, 0.03)


def test_tighter_tolerances_cost_more_and_give_more():
    parameters, start = Parameters([0.5, 0.3, 0.2], 10, 0.1, 1.0), State(0.3 * np.eye(3), np.eye(3))
    exact = integrate_curves(softmax(3), parameters, start, [0, 4, 16], tolerance=1e-11)
    errors, costs = [], []
    for tolerance in (1e-3, 1e-6, 1e-9):
        curve = integrate_curves(softmax(3), parameters, start, [0, 4, 16], tolerance=tolerance)
        assert curve.attrs["tolerance"] == tolerance
        assert curve.attrs["error_estimate"] <= tolerance
        errors.append(difference(curve, exact))
        costs.append(curve.attrs["right_hand_sides"])
    assert errors == sorted(errors, reverse=True)
    assert costs == sorted(costs)
