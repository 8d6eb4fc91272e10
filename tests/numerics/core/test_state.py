"""Parameters and states: every bad input is refused by name before any work; the order of the state
vector.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
import sympy as sp
from helpers import fresh_rng, two_layer_model
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from numerics import (
    Parameters,
    Problem,
    State,
    integrate_curves,
    parameters_of,
    simulate_sgd,
    solve_curve,
)
from numerics.core.flatten import outer_symbols, outer_values, unflatten
from numerics.core.state import check_state
from numerics.core.validation import as_array, as_integer, as_scalar
from theory import InputError, Loss, Mixture, Model, Softplus, kgmm, symbols

NAN, INF = float("nan"), float("inf")
GOOD = {"weights": [0.5, 0.3, 0.2], "precision": 10.0, "ridge": 0.1, "step": 1.0}
DEPENDENT = [[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 1.0]]


def assert_refused(parameter, got, expected, call, *args, **kwargs):
    """InputError of one shape: parameter, what was got, what was expected, and a remedy."""
    with pytest.raises(InputError) as caught:
        call(*args, **kwargs)
    error = caught.value
    assert isinstance(error, ValueError)
    assert error.parameter == parameter
    assert re.search(got, str(error.got))
    assert re.search(expected, error.expected)
    assert error.remedy
    for part in (parameter, str(error.got), error.expected, error.remedy.rstrip(".")):
        assert part in str(error)


@pytest.mark.parametrize(
    ("parameter", "value", "got", "expected"),
    [
        ("weights", [0.5, 0.3, 0.3], r"sum 1\.1", "simplex"),
        ("weights", [0.8, 0.4, -0.2], r"entry 3 is -0\.2", "positive weights"),
        ("weights", [0.7, 0.3, 0.0], r"entry 3 is 0", "positive weights"),
        ("weights", [0.5, 0.5, NAN], "nan", "finite"),
        ("weights", [[0.5, 0.5]], r"shape \(1, 2\)", "1 dimension"),
        ("weights", 1.0, r"0 dimension", "1 dimension"),
        ("weights", ["a", "b"], "'a'", "numbers in 1"),
        ("weights", [0.5, "0.3", 0.2], "'0.3'", "numbers in 1"),
        ("weights", np.array(["0.5", "0.3", "0.2"]), "'0.5'", "numbers in 1"),
        ("weights", [True, 0.0, 0.0], "True", "numbers in 1"),
        ("weights", np.array([0.5, 0.3, 0.2]) + 0j, "0.5", "numbers in 1"),
        ("weights", [], r"\[\]", "simplex"),
        ("precision", 0.0, "0", "> 0"),
        ("precision", -2.0, "-2", "> 0"),
        ("precision", NAN, "nan", "> 0"),
        ("precision", INF, "inf", "finite"),
        ("precision", "ten", "'ten'", "a number"),
        ("precision", "10", "'10'", "a number"),
        ("precision", b"10", "b'10'", "a number"),
        ("precision", np.array("10"), "'10'", "a number"),
        ("precision", True, "True", "a number"),
        ("step", np.True_, "True", "a number"),
        ("ridge", False, "False", "a number"),
        ("ridge", 1 + 0j, "1", "a number"),
        ("precision", None, "None", "a number"),
        ("ridge", -0.1, r"-0\.1", ">= 0"),
        ("ridge", NAN, "nan", ">= 0"),
        ("step", 0.0, "0", "> 0"),
        ("step", -1.0, "-1", "> 0"),
        ("step", INF, "inf", "finite"),
        (
            "directions_gram",
            DEPENDENT,
            "smallest eigenvalue",
            "positive definite.*linearly independent means",
        ),
        (
            "directions_gram",
            [[1.0, 2.0], [2.0, 1.0]],
            "smallest eigenvalue -1",
            "positive definite",
        ),
        ("directions_gram", [["1", "0"], ["0", "1"]], "'1'", "numbers in 2"),
        ("directions_gram", [[1.0, 0.2], [0.1, 1.0]], r"0\.2", "symmetric"),
        ("directions_gram", [[1.0, 0.2, 0.0]], r"\(1, 3\)", "square"),
        ("directions_gram", [1.0, 0.0], r"shape \(2,\)", "2 dimension"),
        ("directions_gram", [[1.0, NAN], [NAN, 1.0]], "nan", "finite"),
        ("directions_gram", [[1.0, 0.0], [0.0]], r"\[\[1", "numbers in 2"),
    ],
)
def test_bad_parameters_are_refused_by_name(parameter, value, got, expected):
    assert_refused(parameter, got, expected, Parameters, **(GOOD | {parameter: value}))


def test_smallest_accepted_values():
    assert Parameters([1.0], 1e-300, 0.0, 1e-300).ridge == 0.0
    thirds = Parameters([1 / 3] * 3, 1, 0, 1)
    assert thirds.directions_gram.tolist() == np.eye(3).tolist()
    assert Parameters([0.5, 0.5], 1, 0, 1, [[1.0, 1 - 1e-9], [1 - 1e-9, 1.0]]).step == 1.0


@pytest.mark.parametrize(
    ("parameter", "arguments", "got", "expected"),
    [
        ("overlap", ([1.0, 2.0], [[1.0]]), r"shape \(2,\)", "2 dimension"),
        ("overlap", ([[NAN]], [[1.0]]), "nan", "finite"),
        ("overlap", ([[INF]], [[1.0]]), "inf", "finite"),
        ("gram_perp", ([[1.0], [2.0]], [[1.0]]), r"shape \(1, 1\)", r"shape \(2, 2\)"),
        ("gram_perp", ([[1.0]], [1.0]), "1 dimension", "2 dimension"),
        ("gram_perp", ([[1.0]], [[NAN]]), "nan", "finite"),
        ("gram_perp", ([[1.0]], [[-0.1]]), r"smallest eigenvalue -0\.1", "positive semidefinite"),
        (
            "gram_perp",
            ([[0.0], [0.0]], [[1.0, 1.1], [1.1, 1.0]]),
            r"eigenvalue -0\.1",
            "positive semidefinite",
        ),
        ("gram_perp", ([[0.0], [0.0]], [[1.0, 0.1], [0.2, 1.0]]), r"0\.2", "symmetric"),
        ("readout", ([[1.0]], [[1.0]], [[1.0]]), r"shape \(1, 1\)", "1 dimension"),
        ("readout", ([[1.0]], [[1.0]], [NAN]), "nan", "finite"),
    ],
)
def test_bad_states_are_refused_by_name(parameter, arguments, got, expected):
    assert_refused(parameter, got, expected, State, *arguments)


def test_singular_and_zero_gram_perp_are_admissible():
    assert State([[1.0], [2.0]], np.zeros((2, 2))).gram(np.eye(1)).tolist() == [
        [1.0, 2.0],
        [2.0, 4.0],
    ]
    assert State([[0.0], [0.0]], [[1.0, 1.0], [1.0, 1.0]]).gram_perp[0, 1] == 1.0


def test_arrays_are_copies():
    weights, overlap = np.array([0.5, 0.5]), np.zeros((2, 2))
    parameters, state = Parameters(weights, 1, 0, 1), State(overlap, np.eye(2))
    weights[0], overlap[0, 0] = 9.0, 9.0
    assert parameters.weights[0] == 0.5
    assert state.overlap[0, 0] == 0.0


def test_shapes_that_differ_from_the_model_are_refused_before_any_work():
    model, good = kgmm(3), Parameters(**GOOD)
    start = State(np.zeros((3, 3)), np.eye(3))
    two = State(np.zeros((2, 2)), np.eye(2))
    for call in (
        lambda p, s: integrate_curves(model, p, s, [0, 1]),
        lambda p, s: solve_curve(model, p, s, 1.0),
        lambda p, s: simulate_sgd(model, p, s, [0, 1], 50),
    ):
        assert_refused("initial.overlap", r"shape \(2, 2\)", r"shape \(3, 3\)", call, good, two)
        assert_refused(
            "weights",
            "2 entries",
            "3, one per component",
            call,
            Parameters([0.5, 0.5], 1, 0, 1),
            start,
        )
        small = Parameters(**GOOD, directions_gram=np.eye(2))
        assert_refused("directions_gram", r"\(2, 2\)", r"\(3, 3\)", call, small, start)
        with_readout = State(np.zeros((3, 3)), np.eye(3), [1.0])
        assert_refused("initial.readout", r"\(1,\)", r"\(0,\)", call, good, with_readout)
    assert_refused(
        "initial.overlap",
        r"\(3, 2\)",
        r"\(3, 3\)",
        check_state,
        model,
        State(np.zeros((3, 2)), np.eye(3)),
    )


@pytest.mark.parametrize(
    ("parameter", "fixed", "value"),
    [
        ("weights", {"weights": ["1/5", "3/10", "1/2"]}, [0.5, 0.3, 0.2]),
        ("precision", {"precision": 4}, 10.0),
        ("ridge", {"ridge": 0.2}, 0.1),
        ("step", {"step": 2}, 1.0),
        (
            "directions_gram",
            {"directions_gram": "orthonormal"},
            [[1, 0.1, 0], [0.1, 1, 0], [0, 0, 1]],
        ),
    ],
)
def test_parameters_that_contradict_the_model_are_refused(parameter, fixed, value):
    model = kgmm(3, **fixed)
    parameters = Parameters(**(GOOD | {parameter: value}))
    assert_refused(parameter, ".", "which the model kgmm3 fixes", Problem, model, parameters)


def logistic_regression(gram=None):
    """Two classes with means +-e: one direction, two components."""
    u = symbols.vector("u", 1)
    loss = Loss(Softplus(u[0]) - symbols.LABEL * u[0], units=1)
    mixture = Mixture.build(labels=[1, 0], coordinates=[[1], [-1]], directions_gram=gram)
    return Model.build(mixture, loss, name="logistic")


@pytest.mark.parametrize(
    ("model", "gram"),
    [
        (logistic_regression([["3/4"]]), [[0.75]]),
        (kgmm(2, directions_gram=[[1, "1/4"], ["1/4", 2]]), [[1.0, 0.25], [0.25, 2.0]]),
    ],
)
def test_a_gram_matrix_that_is_left_out_is_that_of_the_model(model, gram):
    numbers = ([0.5, 0.5], 10, 0.1, 1.0)
    assert Problem(model, Parameters(*numbers)).parameters.directions_gram.tolist() == gram
    assert Problem(model, Parameters(*numbers, gram)).parameters.directions_gram.tolist() == gram
    # an identity that was given is not left out, also in a copy
    given = Parameters(*numbers, np.eye(2))
    for copy in (given, replace(given, step=2.0)):
        with pytest.raises(InputError, match="directions_gram: got") as caught:
            Problem(model, copy)
        assert "default" not in str(caught.value)


def test_a_gram_matrix_that_is_left_out_and_not_the_identity_is_asked_for():
    with pytest.raises(
        InputError,
        match=r"directions_gram: got the identity of shape .*, the default .*"
        r"1 direction\(s\); pass directions_gram, a 1 x 1 matrix of e_s \. e_t",
    ):
        Problem(logistic_regression(), Parameters([0.5, 0.5], 10, 0.1, 1.0))
    g = sp.Symbol("g", real=True)
    half_open = kgmm(2, directions_gram=[[2, g], [g, 2]])
    with pytest.raises(InputError, match=r"the default .*expected \[\[2, g\]"):
        Problem(half_open, Parameters([0.5, 0.5], 10, 0.1, 1.0))


def test_a_default_gram_matrix_that_fits_is_accepted():
    for model in (kgmm(2), kgmm(2, directions_gram="orthonormal")):
        Problem(model, Parameters([0.5, 0.5], 10, 0.1, 1.0))


def test_parameters_of_a_numeric_model():
    gamma = [["1", "1/10"], ["1/10", "2"]]
    model = kgmm(2, weights=["1/3", "2/3"], directions_gram=gamma, precision=4, ridge=0.1, step=2)
    parameters = parameters_of(model)
    Problem(model, parameters)
    assert parameters.precision == 4.0
    assert parameters.directions_gram.tolist() == [[1.0, 0.1], [0.1, 2.0]]
    assert json.loads(parameters.to_json())["weights"] == [1 / 3, 2 / 3]
    assert_refused(
        "model", r"beta.*lambda", "numbers only", parameters_of, kgmm(2, weights=["1/3", "2/3"])
    )


@pytest.mark.parametrize("value", [1.5, True, "3", None, 0])
def test_as_integer_refuses(value):
    assert_refused("replicas", ".", ">= 1", as_integer, "replicas", value, 1, "ask for one")


def test_scalar_and_array_helpers_accept():
    assert as_integer("n", np.int64(3), 1, "x") == 3
    for value in (
        2.5,
        np.float32(2.5),
        np.array(2.5),
        sp.Rational(5, 2),
        Fraction(5, 2),
        Decimal("2.5"),
    ):
        assert as_scalar("x", value, 0.0, True, "x") == 2.5
        assert as_array("x", [value, 1], 1).tolist() == [2.5, 1.0]
    assert as_array("x", [[1, 2]], 2).dtype == float
    assert as_array("x", sp.Matrix([[1, sp.Rational(1, 2)]]), 2).tolist() == [[1.0, 0.5]]


@pytest.mark.parametrize("time", [[], (), np.array([])])
def test_no_times_are_refused(time):
    start = State(np.zeros((3, 3)), np.eye(3))
    for call in (
        lambda: integrate_curves(kgmm(3), Parameters(**GOOD), start, time),
        lambda: simulate_sgd(kgmm(3), Parameters(**GOOD), start, time, 50),
        lambda: solve_curve(kgmm(3), Parameters(**GOOD), start, 1.0).dataset(time),
    ):
        assert_refused("time", r"\[\]", "one or more", call)


# --- the order of the state -----------------------------------------------------------------------

ENTRIES = st.floats(-1e3, 1e3, allow_nan=False)


@given(st.data(), st.integers(1, 5), st.integers(1, 4), st.integers(0, 3))
def test_flatten_and_unflatten_are_inverse(data, units, directions, readout):
    class Shape:
        pass

    model = Shape()
    model.units, model.directions = units, directions
    overlap = data.draw(arrays(float, (units, directions), elements=ENTRIES))
    half = data.draw(arrays(float, (units, units), elements=ENTRIES))
    state = State(overlap, half @ half.T, data.draw(arrays(float, readout, elements=ENTRIES)))
    vector = state.flatten()
    assert vector.shape == (units * directions + units * (units + 1) // 2 + readout,)
    m, r, v = unflatten(np.stack([vector, 2 * vector]), model)
    for factor in (1, 2):
        assert np.array_equal(m[factor - 1], factor * state.overlap)
        assert np.array_equal(np.triu(r[factor - 1]), factor * np.triu(state.gram_perp))
        assert np.array_equal(r[factor - 1], r[factor - 1].T)
        assert np.array_equal(v[factor - 1], factor * state.readout)


@pytest.mark.parametrize(
    "model", [kgmm(2), kgmm(4), two_layer_model()], ids=["k2", "k4", "twolayer"]
)
def test_order_of_the_state_vector_is_that_of_the_symbols(model):
    """Every symbol of the theory's state stands where flatten puts the number of that name."""
    rng, s = fresh_rng(), model.symbols
    half = rng.normal(size=(model.units, model.units))
    state = State(
        rng.normal(size=(model.units, model.directions)),
        half @ half.T,
        rng.normal(size=model.readout_size),
    )
    named = {}
    for names, numbers in ((s.overlap, state.overlap), (s.gram_perp, state.gram_perp)):
        named |= {names[i, j]: numbers[i, j] for i in range(names.rows) for j in range(names.cols)}
    named |= dict(zip(s.readout, state.readout, strict=True))
    lower = max(abs(state.gram_perp - state.gram_perp.T).max(), 1e-300)
    assert np.abs(state.flatten() - [named[x] for x in s.state]).max() <= lower


def test_outer_values_follow_outer_symbols():
    rng, model = fresh_rng(), two_layer_model()
    s = model.symbols
    gamma = [[1.0, 0.3, -0.2], [0.3, 1.2, 0.4], [-0.2, 0.4, 0.9]]
    parameters = Parameters([0.4, 0.3, 0.1, 0.2], 3.0, 0.2, 1.5, gamma)
    half = rng.normal(size=(2, 2))
    state = State(rng.normal(size=(2, 3)), half @ half.T, rng.normal(size=2))
    gram = state.gram(parameters.directions_gram)
    inverse = np.linalg.inv(gram)
    parts = (state.overlap, state.gram_perp, state.readout, gram, inverse)
    values, shifted = outer_values(parameters, *(np.stack([x, x + 1]) for x in parts))
    assert np.array_equal(
        shifted - values != 0, [str(s)[0] in "mRvQP" for s in outer_symbols(model)]
    )
    table = dict(zip(map(str, outer_symbols(model)), values, strict=True))
    assert len(table) == len(values)
    assert (table["p_3"], table["lambda"], table["beta"], table["c_delta"]) == (0.1, 3.0, 0.2, 1.5)
    assert table["Gamma_2_3"] == 0.4
    assert table["m_2_3"] == state.overlap[1, 2]
    assert table["R_1_2"] == state.gram_perp[0, 1]
    assert (table["Q_1_2"], table["P_2_2"]) == (gram[0, 1], inverse[1, 1])
    assert table["v_2"] == state.readout[1]
    by_definition = state.gram_perp + state.overlap @ np.linalg.inv(gamma) @ state.overlap.T
    assert np.abs(gram - by_definition).max() < 1e-12 * np.abs(gram).max()
    assert str(s.gram[0, 1]) == "Q_1_2"
