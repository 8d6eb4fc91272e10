"""A Problem: numbers stated once; states taken from results; results that load back."""

from __future__ import annotations

import inspect
import pickle
from dataclasses import replace

import numpy as np
import pytest
import sympy as sp
import xarray as xr
from helpers import fresh_rng
from hypothesis import given
from hypothesis import strategies as st

import numerics
from numerics import (
    Parameters,
    Problem,
    State,
    drift_jacobian,
    from_netcdf,
    integrate_curves,
    integrate_fluctuations,
    integrate_noiseless,
    parameters_of,
    population_spectrum,
    simulate_sgd,
    solve_curve,
    solve_fixed_point,
    stationary_fluctuations,
)
from numerics.core.problem import NUMBERS
from numerics.core.takes_problem import takes_problem
from theory import InputError, Loss, Mixture, Model, kgmm, symbols, xor

GRAM = [["2", "1/2"], ["1/2", "1"]]
NUMERIC = {
    "weights": ["3/5", "2/5"],
    "precision": "10",
    "ridge": "1/10",
    "step": "3/2",
    "directions_gram": GRAM,
}
FLOATS = {
    "weights": [0.6, 0.4],
    "precision": 10.0,
    "ridge": 0.1,
    "step": 1.5,
    "directions_gram": [[2.0, 0.5], [0.5, 1.0]],
}


@pytest.mark.slow
@given(st.sets(st.sampled_from(NUMBERS)))
def test_every_number_is_stated_once_by_whoever_knows_it(fixed):
    """Any part of the numbers may stand in the model; the rest is asked for, and no more."""
    model = kgmm(2, **{name: NUMERIC[name] for name in fixed})
    problem = Problem(model, **{n: v for n, v in FLOATS.items() if n not in fixed})
    assert problem.parameters.to_json() == Parameters(**FLOATS).to_json()
    missing = [n for n in NUMBERS if n not in fixed and n != "directions_gram"]
    if missing:
        with pytest.raises(InputError, match=rf"^{', '.join(missing)}: got nothing"):
            Problem(model)
    # a number that is stated twice must agree
    assert Problem(model, **FLOATS).parameters.to_json() == problem.parameters.to_json()
    for name in fixed:
        other = np.array(FLOATS[name]) * 1.25
        if name == "weights":
            other = other[::-1] / 1.25
        with pytest.raises(InputError, match=rf"^{name}: got .*which the model kgmm2 fixes"):
            Problem(model, **FLOATS | {name: other if other.ndim else float(other)})


def test_numbers_beside_parameters_are_refused():
    with pytest.raises(InputError, match=r"^ridge, step: got numbers beside parameters"):
        Problem(kgmm(2), Parameters(**FLOATS), step=1, ridge=0.1)


@pytest.mark.parametrize("part", ["labels", "coordinates"])
def test_labels_and_means_are_numbers(part):
    a = sp.Symbol("a", real=True)
    stated = {"labels": [1, 0], "coordinates": [[1], [-1]]}
    stated[part] = [a, 0] if part == "labels" else [[a], [-1]]
    u = symbols.vector("u", 1)
    model = Model.build(Mixture.build(**stated), Loss(u[0] ** 2 / 2, units=1))
    with pytest.raises(InputError, match=rf"^{part}: got open symbols \['a'\]"):
        Problem(model, weights=[0.5, 0.5], precision=1, ridge=0, step=1)


def test_members():
    model = xor(2)
    problem = Problem(model, weights=[0.25] * 4, precision=4, ridge=0.1, step=1)
    assert problem.coordinates.tolist() == [[1, 0], [-1, 0], [0, 1], [0, -1]]
    assert problem.labels.tolist() == [1, 1, 0, 0]
    assert problem.gram_inverse.tolist() == [[1, 0], [0, 1]]
    gram = Problem(kgmm(2), **FLOATS).gram_inverse @ FLOATS["directions_gram"]
    assert np.abs(gram - np.eye(2)).max() < 1e-14
    copy = pickle.loads(pickle.dumps(problem))
    assert copy.parameters.to_json() == problem.parameters.to_json()
    assert copy.model == model
    assert problem.with_parameters(replace(problem.parameters, step=3.0)).parameters.step == 3


@pytest.mark.slow
def test_a_batch_of_a_model_that_fixes_its_step():
    """Fluctuations at step / b are asked of a model in which the step is a number."""
    fixed = kgmm(2, directions_gram="orthonormal", step=1)
    numbers = {"weights": [0.5, 0.5], "precision": 10, "ridge": 0.1}
    free = Problem(kgmm(2, directions_gram="orthonormal"), step=1, **numbers)
    problem = Problem(fixed, **numbers)
    state = State.at(solve_fixed_point(free.with_step(0.5)))
    for call in (
        lambda p: stationary_fluctuations(p, state, batch=2),
        lambda p: integrate_fluctuations(p, State.zero(p), [0, 1], batch=2),
    ):
        found, expected = call(problem).covariance.values, call(free).covariance.values
        assert np.abs(found - expected).max() < 1e-6 * np.abs(expected).max()


# --- both ways to call ----------------------------------------------------------------------------


@takes_problem
def shown(problem: Problem, state: State, *, size: int = 3) -> tuple[Problem, State, int]:
    """What it was called with."""
    return problem, state, size


def test_both_ways_to_call_are_one():
    model, parameters = kgmm(2), Parameters(**FLOATS)
    problem, state = Problem(model, parameters), State.zero(model)
    assert shown(problem, state, size=4) == (problem, state, 4)
    for found in (
        shown(model, parameters, state),
        shown(model, parameters=parameters, state=state),
        shown(model=model, parameters=parameters, state=state),
    ):
        assert found[0].model is model
        assert found[0].parameters is parameters
        assert found[1:] == (state, 3)
    assert shown(problem=problem, state=state)[0] is problem
    # help() and signature() show the one with a problem
    assert list(inspect.signature(shown).parameters) == ["problem", "state", "size"]
    assert shown.__doc__ == "What it was called with."
    with pytest.raises(TypeError, match=r"missing 1 required positional argument: 'problem'"):
        shown(state=state)  # type: ignore[call-overload]
    with pytest.raises(TypeError, match=r"missing 1 required positional argument: 'state'"):
        shown(problem)  # type: ignore[call-overload]


@pytest.mark.slow
def test_a_result_is_the_same_either_way():
    problem = Problem(
        kgmm(2, directions_gram=GRAM), weights=[0.6, 0.4], precision=9, ridge=0.1, step=1
    )
    state = State([[0.3, -0.1], [0.2, 0.5]], [[1, 0.2], [0.2, 0.7]])
    pieces = problem.model, Parameters([0.6, 0.4], 9, 0.1, 1)
    for call in (
        lambda *p: integrate_curves(*p, state, [0, 1]),
        lambda *p: population_spectrum(*p, state, block=(0, 1)),
        lambda *p: simulate_sgd(*p, state, [0, 1], 50, 2, seed=3),
        lambda *p: drift_jacobian(*p, state),
    ):
        xr.testing.assert_identical(call(problem), call(*pieces))


# --- states ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def problem():
    return Problem(kgmm(2), weights=[0.6, 0.4], precision=10, ridge=0.1, step=1)


@pytest.fixture(scope="module")
def curve(problem):
    return integrate_curves(problem, State.zero(problem), [0, 0.1, 2, 4])


def test_the_state_that_knows_nothing():
    numbers = {"weights": [0.25] * 4, "precision": 4, "ridge": 0.1, "step": 1}
    for source in (xor(3), Problem(xor(3), **numbers)):
        state = State.zero(source)
        assert state.overlap.tolist() == np.zeros((3, 2)).tolist()
        assert state.gram_perp.tolist() == np.eye(3).tolist()
        assert state.readout.tolist() == [0, 0, 0]


def test_states_of_a_curve(problem, curve):
    for i, time in enumerate((0, 0.1, 2, 4)):
        state = State.at(curve, time)
        assert np.array_equal(state.overlap, curve.overlap.values[i])
        assert np.array_equal(state.gram_perp, curve.gram_perp.values[i])
    assert np.array_equal(State.at(curve, 0).flatten(), State.zero(problem).flatten())
    assert np.array_equal(
        State.at(curve.isel(time=[2])).flatten(), State.at(curve, time=2).flatten()
    )
    # 0.1 * 20 is not exactly the number recorded
    assert (
        State.at(curve, sum([0.1] * 20)).flatten().tolist() == State.at(curve, 2).flatten().tolist()
    )


def test_a_time_between_records_is_refused_with_its_neighbours(curve):
    with pytest.raises(
        InputError, match=r"^time: got 3, which is not recorded; .*nearest are 2 and 4"
    ):
        State.at(curve, 3)
    with pytest.raises(InputError, match=r"nearest are 2 and 4"):
        State.at(curve, 17)
    with pytest.raises(InputError, match=r"nearest are 0 and 0.1"):
        State.at(curve, 0.0999)
    with pytest.raises(InputError, match=r"^time: got NaN|^time: got nan"):
        State.at(curve, float("nan"))


@pytest.mark.slow
def test_states_of_runs(problem):
    runs = simulate_sgd(problem, State.zero(problem), [0, 1], 40, replicas=3, seed=2)
    for label in (1, 2, 3):
        state = State.at(runs, runs.time.values[-1], replica=label)
        assert np.array_equal(state.overlap, runs.overlap.sel(replica=label).values[-1])
    for wrong in (None, 0, 4):
        with pytest.raises(InputError, match=r"^replica: got .*one of the 3 runs, 1 to 3"):
            State.at(runs, 0, replica=wrong)
    one = runs.isel(replica=[1])
    assert np.array_equal(State.at(one, 0).overlap, np.zeros((2, 2)))
    with pytest.raises(InputError, match=r"replica: got 1; .*no set of runs"):
        State.at(runs.isel(replica=0), 0, replica=1)


def test_states_of_other_results(problem):
    point = solve_fixed_point(problem)
    assert np.array_equal(State.at(point).overlap, point.overlap.values)
    dense = solve_curve(problem, State.zero(problem), 2.0)
    assert np.array_equal(State.at(dense, 1.234).flatten(), dense.state(1.234).flatten())
    noiseless = integrate_noiseless(problem, State.zero(problem), [0, 1])
    assert np.array_equal(State.at(noiseless, 1).overlap, noiseless.overlap.values[1])


def test_a_small_negative_eigenvalue_is_an_error_of_the_curve_and_a_large_one_is_refused(curve):
    data = curve.isel(time=[3]).copy(deep=True)
    data.attrs["error_estimate"] = 1e-6
    data["gram_perp"].values[0] = [[1.0, 1.0 + 1e-7], [1.0 + 1e-7, 1.0]]
    state = State.at(data)
    assert np.linalg.eigvalsh(state.gram_perp)[0] > -1e-15
    assert np.abs(state.gram_perp - data.gram_perp.values[0]).max() < 1e-6
    data["gram_perp"].values[0] = [[1.0, 1.1], [1.1, 1.0]]
    with pytest.raises(InputError, match=r"^gram_perp: got .*smallest eigenvalue -0.1"):
        State.at(data)
    data["gram_perp"].values[0] = np.nan
    with pytest.raises(InputError, match=r"gram_perp: .*finite numbers"):
        State.at(data)


# --- results load back ----------------------------------------------------------------------------


@pytest.mark.slow
def test_results_of_every_kind_load_back(problem, curve, tmp_path):
    runs = simulate_sgd(problem, State.zero(problem), [0, 1], 40, replicas=2, keep_weights=True)
    state = State.at(curve, 4)
    results = {
        "curve": curve,
        "runs": runs,
        "population": population_spectrum(problem, state, block=(0, 0)),
        "empirical": numerics.empirical_spectrum(
            problem, state, dimension=20, samples=50, seed=int(fresh_rng().integers(2**31))
        ),
        "effective": numerics.effective_spectrum(problem, state, 4, block=(0, 0)),
        "point": solve_fixed_point(problem),
        "jacobian": drift_jacobian(problem, state),
    }
    for name, result in results.items():
        result.to_netcdf(tmp_path / f"{name}.nc")
        loaded = from_netcdf(tmp_path / f"{name}.nc")
        xr.testing.assert_identical(loaded, result)
        assert parameters_of(loaded).to_json() == problem.parameters.to_json(), name
        assert Problem(problem.model, loaded).parameters.to_json() == problem.parameters.to_json()
    loaded = from_netcdf(str(tmp_path / "runs.nc"))
    last = float(loaded.time[-1])
    assert np.array_equal(
        State.at(loaded, last, replica=2).flatten(), State.at(runs, last, replica=2).flatten()
    )


def test_a_file_of_others_is_refused(tmp_path):
    xr.Dataset({"x": ("t", [1.0])}).to_netcdf(tmp_path / "other.nc")
    with pytest.raises(InputError, match=r"^path: got .*other\.nc, whose attributes name no vers"):
        from_netcdf(tmp_path / "other.nc")
    (tmp_path / "text.nc").write_text("no netCDF")
    with pytest.raises(InputError, match=r"^path: .*a netCDF file"):
        from_netcdf(tmp_path / "text.nc")


def test_a_result_of_another_model_is_refused(curve):
    with pytest.raises(InputError, match=r"^parameters: got a result of the model kgmm2; .*kgmm3"):
        Problem(kgmm(3), curve)
    with pytest.raises(InputError, match=r"^ridge: got 0.1; expected 1/5, which the model"):
        Problem(kgmm(2, ridge="1/5"), curve)


@pytest.mark.parametrize(
    ("typed", "remedy"),
    [
        ("lr", "step is c_delta = step size times dimension: give their product"),
        ("beta", r"write ridge=\.\.\."),
        ("lam", r"write precision=\.\.\."),
        ("weigths", r"write weights=\.\.\."),
        ("momentum", r"model\.with_update\(Update\(momentum=\.\.\.\)\)"),
        ("colour", "leave it away"),
    ],
)
def test_a_number_under_another_name_is_told_its_own(typed, remedy):
    with pytest.raises(InputError, match=f"{typed}: got no argument of .* of Problem: .*{remedy}"):
        Problem(kgmm(2), **FLOATS | {typed: 0.1})


@pytest.mark.parametrize(
    ("typed", "meant"), [("dim", "dimension"), ("runs", "replicas"), ("epochs", "time is steps")]
)
def test_an_argument_under_another_name_is_told_its_own(typed, meant):
    problem = Problem(kgmm(2), **FLOATS)
    for subject in ((problem,), (kgmm(2), problem.parameters)):
        with pytest.raises(InputError, match=f"{typed}: .* of simulate_sgd: .* {meant}"):
            simulate_sgd(*subject, State.zero(problem), time=[0.1], **{typed: 50})


def test_reprs_are_one_short_paragraph():
    """On a terminal of 80 columns fewer than 20 lines, of large models and of many samples too."""
    weights = np.full(12, 1 / 12)
    large = Problem(kgmm(12), weights=weights, precision=10, ridge=0.1, step=1)
    small = Problem(kgmm(2), **FLOATS)
    data = numerics.draw_data(small, State.zero(small), dimension=20, samples=300, seed=0)
    for shown in (large, small, data, large.model, small.model, xor(8)):
        text = repr(shown)
        assert "\n" not in text
        assert len(text) < 19 * 80
        assert "Matrix(" not in text
    assert repr(data) == (
        "SampleData(test data of 'kgmm2', samples=300, dimension=20, float64, resident)"
    )
    assert repr(small).startswith("Problem('kgmm2', weights=[0.6, 0.4], precision=")
    assert "gauge=[[1], [1]]" in repr(small.model)
