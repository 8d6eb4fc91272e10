"""Arguments of a wrong kind: one InputError that names the argument, what it got, and a remedy."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import numerics
from numerics import Parameters, Problem, State
from theory import InputError, kgmm

DRAWN = {"dimension": 10, "samples": 5, "seed": 0}
# functions of a problem and a state: the arguments that follow, and what the state is called
OF_STATES = {
    "design": ({"over": {"step": (0.1, 1)}, "reach": ("alignment", 0.5)}, "initial"),
    "drift_jacobian": ({}, "state"),
    "draw_data": (DRAWN, "state"),
    "effective_spectrum": ({"aspect_ratio": 2}, "state"),
    "empirical_distance": ({"population": "block", **DRAWN}, "state"),
    "empirical_projection": (DRAWN, "state"),
    "empirical_risk": (DRAWN, "states"),
    "empirical_spectrum": (DRAWN, "state"),
    "integrate_curves": ({"time": 1}, "initial"),
    "integrate_fluctuations": ({"time": 1}, "initial"),
    "integrate_noiseless": ({"time": 1}, "initial"),
    "phase_diagram": ({"precisions": [1, 2], "aspect_ratios": [2]}, "state"),
    "population_block": ({}, "state"),
    "population_misalignment": ({}, "state"),
    "population_risk": ({}, "states"),
    "population_spectrum": ({}, "state"),
    "readout_alignment": ({"spectrum": "curve"}, "state"),
    "readout_features": ({}, "state"),
    "realise_weights": ({"dimension": 10}, "state"),
    "simulate_sgd": ({"time": 1, "dimension": 10}, "initial"),
    "solve_curve": ({"end": 1}, "initial"),
    "solve_fixed_point": ({}, "start"),
    "stationary_fluctuations": ({}, "state"),
}
# functions of a problem whose second argument is no state
OTHERS = {"emergence": {"aspect_ratio": 2}, "state_of_weights": {}}


@lru_cache(maxsize=None)
def things() -> SimpleNamespace:
    """Good values of every kind, to be put where they do not belong."""
    model = kgmm(2)
    parameters = Parameters([0.5, 0.5], 10, 0.1, 1)
    problem = Problem(model, parameters)
    state = State.zero(problem)
    curve = numerics.integrate_curves(problem, state, [0, 1])
    return SimpleNamespace(
        model=model,
        parameters=parameters,
        problem=problem,
        state=state,
        curve=curve,
        bare=curve.drop_attrs(),
        other=curve.assign_attrs(model="xor2"),
        block=numerics.population_block(problem, state, block=(0, 0)),
        spectrum=numerics.population_spectrum(problem, state, block=(0, 0)),
        data=numerics.draw_data(problem, state, 10, 5, 0),
        array=np.eye(2),
        text="x",
        number=3,
        list=[[0.0, 0.0], [0.0, 0.0]],
        nothing=None,
        empty=(),
    )


def call(name: str, *arguments: str, **named: object) -> object:
    """Call a public function, dotted or not, with things by their names."""
    t = vars(things())
    function = numerics
    for part in name.split("."):
        function = getattr(function, part)
    values = {k: t.get(v, v) if isinstance(v, str) else v for k, v in named.items()}
    return function(*(t[a] for a in arguments), **values)


def is_function_of_a_problem(name: str) -> bool:
    code = getattr(getattr(numerics, name), "__code__", None)
    return code is not None and Path(code.co_filename).name == "takes_problem.py"


def test_the_table_holds_every_function_of_a_problem():
    known = {name for name in numerics.__all__ if is_function_of_a_problem(name)}
    assert known == {*OF_STATES, *OTHERS}


@pytest.mark.slow
@pytest.mark.parametrize("name", OF_STATES)
@pytest.mark.parametrize("wrong", ["curve", "list", "text", "model", "number"])
def test_what_is_no_state_is_refused(name, wrong):
    if wrong == "curve" and OF_STATES[name][1] == "states":
        pytest.skip("the risk of a whole curve is asked for in this way")
    rest, argument = OF_STATES[name]
    with pytest.raises(InputError, match=rf"^{argument}: got .*\. Remedy: .*State") as caught:
        call(name, "problem", wrong, **rest)
    if wrong == "curve":
        assert "got a Dataset of overlap, gram_perp" in str(caught.value)
        assert "State.at(dataset, time=...)" in str(caught.value)


@pytest.mark.parametrize("name", [*OF_STATES, *OTHERS])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["parameters", "model", "state"], "problem: got .*model and parameters are swapped"),
        (["model", "state", "parameters"], r"parameters: got a State; .*\(model, parameters, sta"),
        (["model", "state"], r"parameters: got a State; .*write Problem\(model, weights="),
        (["model", "curve", "state"], r"parameters: got a Dataset .*Problem\(model, result\)"),
        (["problem", "parameters", "state"], "parameters: got Parameters after a Problem"),
        (["curve", "state"], "problem: got a Dataset of overlap"),
        (["text", "state"], "problem: got 'x'"),
        (["state"], "problem: got a State"),
    ],
)
def test_what_is_no_problem_is_refused(name, arguments, message):
    rest = OF_STATES[name][0] if name in OF_STATES else OTHERS[name]
    with pytest.raises(InputError, match=f"^{message}"):
        call(name, *arguments, **rest)


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("Parameters", "model number number number", "weights: got a Model"),
        ("Parameters", "curve number number number", "weights: got a Dataset of overlap"),
        ("Problem", "parameters model", "model: got a Parameters; .* are swapped"),
        ("Problem", "text", "model: got 'x'; expected sa.Model"),
        ("Problem", "model state", "parameters: got a State"),
        ("Problem", "model other", "parameters: got a result of the model xor2"),
        ("Problem", "model", "weights, precision, ridge, step: got nothing"),
        ("State", "curve number", "overlap: got a Dataset"),
        ("State", "problem number", "overlap: got a Problem"),
        ("State.zero", "curve", "model: got a Dataset"),
        ("State.zero", "parameters", "model: got a Parameters"),
        ("State.at", "state", "result: got a State"),
        ("State.at", "problem", "result: got a Problem"),
        ("State.at", "list", "result: got a list"),
        ("State.at", "spectrum", "result: got a Dataset of .* with overlap and gram_perp"),
        ("State.at", "curve", "time: got None; .*2 recorded times from 0 to 1"),
        ("State.at", "curve text", "time: got 'x'"),
        ("Setting", "model state number number", r"problem: got a Model; .*Problem\(model"),
        ("Setting", "problem text number number", "initial: got 'x'"),
        ("Setting", "problem curve number number", "initial: got a Dataset .*State.at"),
        ("Sweep", "text number number", "axes: got 'x'"),
        ("Trial", "problem number number", "setting: got a Problem"),
        ("RandomStart", "text", "random: got 'x'"),
        ("Schedule.of", "number", "schedule: got 3"),
        ("Schedule.of", "curve", "schedule: got a Dataset"),
        ("Noise.of", "number", "noise: got"),
        ("parameters_of", "text", "source: got 'x'"),
        ("parameters_of", "problem", "source: got a Problem"),
        ("parameters_of", "bare", "source: got a Dataset .*keep_attrs"),
        ("from_netcdf", "curve", "path: got a Dataset"),
        ("from_netcdf", "number", "path: got 3"),
        ("from_netcdf", "text", "path: got x; expected a file that exists"),
        ("user_data", "curve array array array", "problem: got a Dataset"),
        ("user_data", "parameters array array array", "problem: got a Parameters"),
        ("user_data", "model parameters array array", "features: got"),
        ("with_samples", "problem array array", "data: got a Problem"),
        ("train_data", "problem", "data: got a Problem; .*draw_data"),
        ("train_data", "text", "data: got 'x'"),
        ("empirical_density", "problem", "data: got a Problem"),
        ("empirical_density", "curve", "data: got a Dataset"),
        ("empirical_operator", "problem", "data: got a Problem"),
        ("empirical_spectrum", "curve", "problem: got a Dataset"),
        ("empirical_spectrum", "data state", "state: got a value beside data"),
        ("compile_expressions", "problem empty", "model: got a Problem"),
        ("kernel_source", "model", "loss: got a Model; .*give model.loss"),
        ("emergence", "problem state number", "curve: got"),
        ("state_of_weights", "problem curve", "weights: got a Dataset"),
        ("state_of_weights", "problem state", "weights: got a State"),
        ("state_at_time", "parameters state number", "model: got a Parameters"),
        ("state_at_time", "model parameters number", "start: got a Parameters"),
        ("state_at_fixed_point", "model curve", "start: got a Dataset"),
        ("run_sweep", "problem text", "sweep: got a Problem"),
        ("open_store", "curve", "path: got a Dataset"),
        ("eigenspace_share", "curve array", "got a Dataset"),
        ("principal_angles", "text array", "got 'x'"),
        ("matrix_misalignment", "problem array", "got a Problem"),
        ("vector_misalignment", "curve array", "x: got a Dataset"),
    ],
)
def test_other_functions_refuse_what_they_cannot_use(name, arguments, message):
    with pytest.raises(InputError, match=message) as caught:
        call(name, *arguments.split())
    assert len(str(caught.value)) < 400  # an array or a Dataset is named, not printed


def test_what_is_measured_against_must_be_of_its_kind():
    with pytest.raises(InputError, match="population: got a Dataset"):
        call("empirical_distance", "problem", "state", "curve", **DRAWN)
    with pytest.raises(InputError, match="spectrum: got 'x'"):
        call("readout_alignment", "problem", "state", "text")
    with pytest.raises(InputError, match="address: got 3"), numerics.dask_executor(3):
        pass


@pytest.mark.parametrize("block", ["layer", "readout", (0, 7), (0,), 0, ["a"], None, (0, "x")])
@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("population_block", "problem state"),
        ("population_spectrum", "problem state"),
        ("effective_spectrum", "problem state number"),
        ("emergence", "problem curve number"),
        ("empirical_spectrum", "data"),
        ("empirical_density", "data"),
        ("empirical_operator", "data"),
    ],
)
def test_unknown_blocks_are_refused(name, arguments, block):
    with pytest.raises(InputError, match=r"^block: got"):
        call(name, *arguments.split(), block=block)


@pytest.mark.parametrize(("dimension", "word"), [("100", "quotes"), (100.0, "decimal point")])
def test_an_integer_in_another_spelling_is_told_its_own(dimension, word):
    problem = Problem(kgmm(2), weights=[0.5, 0.5], precision=10, ridge=0.1, step=1)
    for call in (
        lambda: numerics.simulate_sgd(problem, State.zero(problem), [0.1], dimension),
        lambda: numerics.draw_data(problem, State.zero(problem), dimension, 10, seed=0),
    ):
        with pytest.raises(InputError, match=f"Remedy: write 100, without {word}"):
            call()


@pytest.mark.parametrize("dimension", ["many", 99.5, 1.0, "nan", "inf", None, True])
def test_what_is_no_admissible_integer_is_told_the_bound(dimension):
    problem = Problem(kgmm(2), weights=[0.5, 0.5], precision=10, ridge=0.1, step=1)
    with pytest.raises(InputError, match=r"need d >= r \+ C: .* a whole number"):
        numerics.simulate_sgd(problem, State.zero(problem), [0.1], dimension)


def test_a_matrix_in_another_spelling_is_told_the_names():
    problem = Problem(kgmm(2), weights=[0.5, 0.5], precision=10, ridge=0.1, step=1)
    with pytest.raises(InputError, match="Remedy: write one of 'hessian', 'gradient'"):
        numerics.population_block(problem, State.zero(problem), matrix="Hessian")
