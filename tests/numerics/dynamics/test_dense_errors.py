"""Error estimates of curves hold at every time: fast layers, long runs, stiff flows; what does not
reach its tolerance says so, and what is no number is refused by name.
"""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import sympy as sp
from curve_cases import linear_model, softmax
from helpers import fresh_rng
from scipy.integrate import solve_ivp

from benchmarks.calibrate_curves import curve_record, fixed_point_record, nodes
from numerics import (
    IntegrationError,
    Parameters,
    State,
    ToleranceWarning,
    integrate_curves,
    solve_curve,
)
from theory import Loss, Mixture, Model, derive_drift, symbols

WEIGHTS = np.array([0.5, 0.5])


def softmax_gap(vector, precision, ridge, step):
    """The flow of two orthonormal classes by brute force, with overlaps a (1, -1; -1, 1) and R_perp
    b (1, -1; -1, 1).

    The difference x^1 - x^2 has overlaps +-2 a and norm 4 b: it moves as the one unit of the
    logistic loss does, twice as fast.
    """
    a, b = vector
    gap, norm = 2 * a, 4 * b
    q = norm + 2 * gap**2
    u, w = nodes(gap, np.sqrt(q / precision), 1.0)
    g = -np.exp(-np.logaddexp(0.0, u))
    first, along, second = w @ g, w @ (g * (u - gap)), w @ (g * g)
    gap_rate = -2 * (first / 2 + along / q * gap) - ridge * gap
    norm_rate = -4 * norm / q * along - 2 * ridge * norm + 4 * step / precision * second
    return np.array([gap_rate / 2, norm_rate / 4])


@pytest.mark.slow
@pytest.mark.parametrize(("norm", "end"), [(100.0, 1.0), (1e4, 1000.0)])
def test_a_wide_start_is_covered_in_its_layer_and_long_after(norm, end):
    """A relaxation from R = 100 I and 10^4 I, of which times equidistant on [0, T] see nothing."""
    precision, ridge, step = 10.0, 1.0, 1.0
    start = State(np.zeros((2, 2)), norm / 2 * np.array([[1.0, -1.0], [-1.0, 1.0]]))
    curve = solve_curve(softmax(2), Parameters(WEIGHTS, precision, ridge, step), start, end)
    times = np.concatenate([[0.0], np.geomspace(1e-5, end, 200)])
    runs = [
        solve_ivp(
            lambda _, s: softmax_gap(s, precision, ridge, step),
            (0, end),
            [0.0, norm / 2],
            method="LSODA",
            rtol=accuracy,
            atol=accuracy,
            t_eval=times,
        ).y
        for accuracy in (1e-12, 1e-11)
    ]
    found = curve.vector(times)
    error = max(np.abs(found[:, 0] - runs[0][0]).max(), np.abs(found[:, 4] - runs[0][1]).max())
    assert error <= curve.error_estimate + 3 * np.abs(runs[0] - runs[1]).max()
    assert curve.error_estimate <= 1e-8


@pytest.mark.slow
def test_many_curves_and_fixed_points_of_the_wide_box_are_covered():
    """The calibration of the benchmarks on fresh problems; its truths share no code."""
    rng = fresh_rng()
    curves, points = (
        [r for s in rng.integers(2**31, size=10) if (r := make(int(s))) is not None]
        for make in (curve_record, fixed_point_record)
    )
    records = curves + points
    assert [str(r) for r in records if not r.covered] == []
    # a flow that grows beyond all bounds may be refused, by name
    refusals = [r.refusal for r in curves if r.refusal]
    assert all(text.startswith(("DivergenceError", "IntegrationError")) for text in refusals)
    # one in twenty may be refused; this many are, with odds below 1e-6, only if more than that are
    assert sum(bool(r.refusal) for r in records) <= 8


@pytest.mark.slow
def test_a_tolerance_that_is_not_reached_is_said():
    """1e-13 lies below what rounding leaves of norms of 1e3."""
    parameters = Parameters(WEIGHTS, 10, 0.1, 1.0, [[1.0]])
    start = State([[1.0]], [[1e3]])
    with pytest.warns(ToleranceWarning, match=r"curve of linear has an estimated error") as caught:
        curve = integrate_curves(linear_model(), parameters, start, [0.0, 4.0], tolerance=1e-13)
    assert curve.attrs["error_estimate"] > 1e-13 == curve.attrs["tolerance"]
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        integrate_curves(linear_model(), parameters, start, [0.0, 4.0], tolerance=1e-7)


def unit(loss):
    u = symbols.vector("u", 1)
    one = Mixture.build(weights=[1], labels=[1], coordinates=[[1]], directions_gram=[[1]])
    return Model.build(one, Loss(loss(u[0]), units=1), name="odd")


def test_a_drift_that_stops_being_a_number_is_refused_with_its_time():
    """The drift sqrt(1 - m): real until m, which grows like t, is 1."""
    model = unit(lambda u: u**2 / 2)
    m = model.symbols.overlap[0, 0]
    one = sp.ImmutableDenseMatrix([[sp.sqrt(1 - m)]])
    zero = sp.ImmutableDenseMatrix([[0]])
    drift = type(derive_drift(model))(
        model,
        "stein",
        one + sp.ImmutableDenseMatrix([[1]]),
        zero,
        zero,
        sp.ImmutableDenseMatrix(0, 1, []),
    )
    with pytest.raises(
        IntegrationError,
        match=r"drift of m_1_1 of odd is not a finite number at t = "
        r"0\.6",
    ) as caught:
        solve_curve(model, Parameters([1], 4, 0, 1), State([[0.0]], [[1.0]]), 4.0, drift=drift)
    # m' = 1 + sqrt(1 - m) reaches 1 at t = 2 - 2 log 2
    assert abs(caught.value.reached - (2 - 2 * np.log(2))) < 1e-3
