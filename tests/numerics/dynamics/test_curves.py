"""Curves of the effective dynamics: time, symmetries, limits, trouble.  Their errors:
test_flow_error.py.
"""

from __future__ import annotations

from functools import lru_cache
from time import process_time

import numpy as np
import pytest
import sympy as sp
from curve_cases import difference, linear_model, softmax
from hypothesis import given, settings
from hypothesis import strategies as st
from processor import is_within

from numerics import IntegrationError, Parameters, State, integrate_curves, solve_curve
from theory import InputError, derive_drift, noiseless
from verify import Domain, strategies

NAMES = ("overlap", "gram_perp", "gram", "readout", "misalignment")


@lru_cache(maxsize=None)
def drift_of(k, kind="full"):
    drift = derive_drift(softmax(k))
    if kind == "noiseless":
        return noiseless(drift)
    return drift.without_corrector() if kind == "without corrector" else drift


def problems(k, low, high):
    return strategies.problems(
        softmax(k), Domain(precision=(low, high), ridge=(0, 0.5), step=(0.1, 3))
    )


# --- time -----------------------------------------------------------------------------------------


def test_time_labels_are_exactly_those_asked_for():
    parameters, start = Parameters([0.5, 0.5], 10, 0.1, 1.0), State(np.zeros((2, 2)), np.eye(2))
    wanted = [0.1, 1 / 3, 0.7, np.nextafter(0.7, 1), 2.5]
    curve = integrate_curves(softmax(2), parameters, start, wanted)
    assert curve.time.values.tolist() == wanted
    assert curve.time.attrs["units"] == "steps * delta, delta = c_delta / d"
    grid = integrate_curves(softmax(2), parameters, start, 2.0)
    assert grid.time.values.tolist() == np.linspace(0, 2, 201).tolist()
    alone = integrate_curves(softmax(2), parameters, start, [0.0])
    assert np.array_equal(alone.gram_perp.values, [np.eye(2)])


@pytest.mark.slow
@settings(max_examples=5)
@given(problems(3, 5, 50))
def test_dense_output_equals_integrating_to_that_time(problem):
    parameters, start = problem
    curve = solve_curve(softmax(3), parameters, start, 8.0)
    for time in (0.0, 0.37, 2.9, 8.0):
        short = integrate_curves(softmax(3), parameters, start, [0.0, time] if time else [0.0])
        here = curve.dataset([time])
        assert difference(here.isel(time=-1), short.isel(time=-1)) <= (
            curve.error_estimate + short.attrs["error_estimate"]
        )
        assert np.abs(curve.state(time).overlap - here.overlap.values[0]).max() == 0.0
    first = curve.dataset([0.0])
    assert np.abs(first.overlap.values[0] - start.overlap).max() == 0.0
    with pytest.raises(InputError, match=r"time: got 9\.0.*<= 8"):
        curve.vector([1.0, 9.0])


@pytest.mark.parametrize(
    "time",
    [
        [],
        [1, 1],
        [2, 1],
        [-1, 0],
        [0, float("nan")],
        [[0, 1]],
        float("inf"),
        0.0,
        -1.0,
        "soon",
        "1",
        ["0", "1"],
        True,
        [False, True],
    ],
)
def test_bad_times_are_refused(time):
    start = State(np.zeros((2, 2)), np.eye(2))
    with pytest.raises(InputError, match="time"):
        integrate_curves(softmax(2), Parameters([0.5, 0.5], 10, 0.1, 1.0), start, time)


@pytest.mark.parametrize(
    ("option", "value"), [("tolerance", 0.0), ("tolerance", -1), ("seed", -1), ("route", "ito")]
)
def test_bad_options_are_refused(option, value):
    start = State(np.zeros((2, 2)), np.eye(2))
    with pytest.raises(InputError, match=option):
        integrate_curves(
            softmax(2), Parameters([0.5, 0.5], 10, 0.1, 1.0), start, [0, 1], **{option: value}
        )


# --- theory ---------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("k", [2, 3])
@settings(max_examples=5)
@given(data=st.data())
def test_both_routes_give_the_same_curve(k, data):
    parameters, start = data.draw(problems(k, 10, 50))
    curves = [
        integrate_curves(softmax(k), parameters, start, [0, 1, 3], route=r)
        for r in ("stein", "projection")
    ]
    assert difference(*curves) <= sum(c.attrs["error_estimate"] for c in curves)
    assert [c.attrs["route"] for c in curves] == ["stein", "projection"]


def test_the_corrector_is_what_its_absence_removes():
    """At time 0 the slopes of R_perp differ by (c_delta / lambda) E[g g^T]; for x = 0 this is
    known.
    """
    weights, lam, step = np.array([0.5, 0.3, 0.2]), 10.0, 2.0
    parameters, start = (
        Parameters(weights, lam, 0.1, step),
        State(np.zeros((3, 3)), np.zeros((3, 3))),
    )
    h = 1e-3
    full = integrate_curves(softmax(3), parameters, start, [0, h], tolerance=1e-10)
    wrong = drift_of(3, "without corrector")
    bare = integrate_curves(softmax(3), parameters, start, [0, h], drift=wrong, tolerance=1e-10)
    g = 1 / 3 - np.eye(3)
    expected = step / lam * np.einsum("l,al,bl->ab", weights, g, g)
    assert np.abs(bare.gram_perp.values).max() == 0.0
    # second derivatives are below 1
    assert np.abs(full.gram_perp.values[1] / h - expected).max() < h


@pytest.mark.parametrize("k", [2, 3])
@settings(max_examples=10)
@given(data=st.data())
def test_gauge_sums_over_units_decay(k, data):
    """sum_a x^a decays as exp(-beta t), so sum_a m_as like it and sum_ab R_ab as exp(-2 beta t)."""
    parameters, start = data.draw(problems(k, 5, 100))
    time = np.linspace(0, 6, 13)
    curve = integrate_curves(softmax(k), parameters, start, time)
    decay = np.exp(-parameters.ridge * time)
    limit = k**2 * curve.attrs["error_estimate"] + 1e-12
    overlap = curve.overlap.sum("unit").values - decay[:, None] * start.overlap.sum(axis=0)
    gram = curve.gram_perp.sum(["unit", "unit_b"]).values - decay**2 * start.gram_perp.sum()
    assert np.abs(overlap).max() <= limit
    assert np.abs(gram).max() <= limit


@pytest.mark.slow
@settings(max_examples=10)
@given(problems(3, 5, 50), st.permutations(range(3)))
def test_curves_are_equivariant_under_relabelling_of_the_classes(problem, order):
    parameters, start = problem
    both = np.ix_(order, order)
    relabelled = Parameters(
        parameters.weights[order],
        parameters.precision,
        parameters.ridge,
        parameters.step,
        parameters.directions_gram[both],
    )
    one = integrate_curves(softmax(3), parameters, start, [0, 2, 5])
    other = integrate_curves(
        softmax(3), relabelled, State(start.overlap[both], start.gram_perp[both]), [0, 2, 5]
    )
    limit = one.attrs["error_estimate"] + other.attrs["error_estimate"]
    for name in ("overlap", "gram_perp"):
        permuted = one[name].values[:, order][:, :, order]
        assert np.abs(other[name].values - permuted).max() <= limit


@pytest.mark.slow
def test_noiseless_limit_is_approached_like_one_over_lambda():
    """The next term of the expansion is of relative order 1/lambda; slopes between successive
    doublings.
    """
    start = State([[0.4, -0.2, 0.1], [-0.1, 0.3, 0.0], [0.0, 0.2, 0.5]], 0.2 * np.eye(3))
    precisions, deviations = np.array([1e3, 2e3, 4e3, 8e3]), []
    for precision in precisions:
        parameters = Parameters([0.5, 0.3, 0.2], precision, 0.1, 1.0)
        full = integrate_curves(softmax(3), parameters, start, [0, 1, 4], tolerance=1e-10)
        limit = integrate_curves(
            softmax(3),
            parameters,
            start,
            [0, 1, 4],
            drift=drift_of(3, "noiseless"),
            tolerance=1e-10,
        )
        deviations.append(difference(full, limit))
    slopes = np.diff(np.log(deviations)) / np.log(2)
    assert np.abs(slopes + 1).max() < 10 / precisions[0]


@settings(max_examples=10)
@given(problems(3, 1, 100))
def test_derived_variables_follow_from_the_statistics(problem):
    parameters, start = problem
    curve = integrate_curves(softmax(3), parameters, start, [0, 1])
    m, r = curve.overlap.values, curve.gram_perp.values
    gram = r + m @ np.linalg.inv(parameters.directions_gram) @ m.transpose(0, 2, 1)
    assert np.abs(curve.gram.values - gram).max() < 1e-12
    share = np.sqrt(np.einsum("taa->ta", r) / np.einsum("taa->ta", gram))
    assert np.abs(curve.misalignment.values - share).max() < 1e-10
    assert curve.readout.shape == (2, 0)
    assert curve.overlap.dims == ("time", "unit", "direction")
    assert curve.gram_perp.dims == ("time", "unit", "unit_b")


# --- trouble, time and files ----------------------------------------------------------------------


@pytest.mark.parametrize("step", [30.0, 3e4])
def test_divergence_is_reported_with_the_time_reached(step):
    """For lambda = 1, beta = 0 the linear case has R' = (c_delta - 2) R + ...: it explodes for
    c_delta > 2.
    """
    parameters = Parameters([0.5, 0.5], 1.0, 0.0, step, [[1.0]])
    with pytest.raises(IntegrationError, match=r"linear could not be .*reduce the step") as caught:
        integrate_curves(linear_model(), parameters, State([[0.0]], [[1.0]]), [0, 50.0])
    assert 0 < caught.value.reached < 50
    before = integrate_curves(
        linear_model(),
        parameters,
        State([[0.0]], [[1.0]]),
        [0, caught.value.reached / 3],
        tolerance=1e-6,
    )
    assert np.all(np.isfinite(before.gram_perp))


def test_three_classes_over_sixteen_units_take_a_fraction_of_a_second():
    """The benchmarks print the real figure, about 0.1 s; this only guards against a lost
    compilation.
    """
    parameters, start = Parameters([0.5, 0.3, 0.2], 10, 0.1, 1.0), State(0.3 * np.eye(3), np.eye(3))
    seconds = []
    for _ in range(4):
        begin = process_time()
        curve = integrate_curves(softmax(3), parameters, start, 16.0)
        seconds.append(process_time() - begin)
    assert curve.attrs["error_estimate"] <= 1e-8
    assert curve.attrs["right_hand_sides"] < 700  # 516: one refinement more would be 800
    assert is_within(min(seconds[1:]), 0.5)


@pytest.mark.slow
def test_ten_classes_meet_the_default_tolerance():
    weights = np.linspace(0.7, 1.3, 10) / 10
    parameters, start = Parameters(weights, 10, 0.1, 1.0), State(0.3 * np.eye(10), np.eye(10))
    curves = [integrate_curves(softmax(10), parameters, start, [0, 4, 16], seed=s) for s in (1, 2)]
    for curve in curves:
        assert curve.attrs["error_estimate"] <= 1e-4
        assert "Sobol" in curve.attrs["quadrature"]
    assert difference(*curves) <= sum(c.attrs["error_estimate"] for c in curves)


def test_curves_survive_a_file(tmp_path):
    xr = pytest.importorskip("xarray")
    start = State(np.zeros((2, 2)), np.eye(2))
    curve = integrate_curves(softmax(2), Parameters([0.4, 0.6], 10, 0.1, 1.0), start, [0, 1])
    curve.to_netcdf(tmp_path / "curve.nc")
    with xr.open_dataset(tmp_path / "curve.nc") as back:
        assert set(NAMES) <= set(back.data_vars)
        for name in NAMES:
            assert np.array_equal(back[name].values, curve[name].values)
            assert back[name].attrs == curve[name].attrs
        assert back.time.attrs == curve.time.attrs
        assert dict(back.attrs) == dict(curve.attrs)
    for key in (
        "error_estimate",
        "error_meaning",
        "library_versions",
        "specalign_version",
        "parameters",
        "loss",
    ):
        assert key in curve.attrs
    assert all("units" in curve[name].attrs for name in NAMES)


def test_expressions_of_another_drift_are_integrated_as_given():
    """A drift that is minus the state, written by hand: exponential decay."""
    model = softmax(2)
    drift = drift_of(2)
    zero = sp.ImmutableDenseMatrix(sp.zeros(2, 2))
    decay = type(drift)(
        model,
        "stein",
        sp.ImmutableDenseMatrix(-model.symbols.overlap),
        sp.ImmutableDenseMatrix(-model.symbols.gram_perp),
        zero,
        sp.ImmutableDenseMatrix(0, 1, []),
    )
    start = State([[1.0, 2.0], [3.0, 4.0]], np.eye(2))
    curve = integrate_curves(
        model, Parameters([0.5, 0.5], 10, 0.1, 1.0), start, [0, 1.5], drift=decay
    )
    assert (
        np.abs(curve.overlap.values[1] - np.exp(-1.5) * start.overlap).max()
        <= curve.attrs["error_estimate"]
    )
