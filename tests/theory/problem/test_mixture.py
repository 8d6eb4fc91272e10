"""Mixture: shapes, exact numbers, and refusals that say what to do."""

from __future__ import annotations

import pickle

import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from model_cases import check_message

from theory import Bands, InputError, Loss, Mixture, Model, symbols


def build(**changed):
    """A valid mixture of three components, with some arguments replaced."""
    arguments = {
        "weights": ["1/2", "1/3", "1/6"],
        "labels": [0, 1, 1],
        "coordinates": [[1, 0], [0, 1], [-1, 2]],
        "directions_gram": [[1, "1/4"], ["1/4", 1]],
        "precision": 10,
    }
    return Mixture.build(**{**arguments, **changed})


def test_shapes_and_mean_overlaps():
    mixture = build()
    assert (mixture.components, mixture.directions) == (3, 2)
    # mu_3 = -e_1 + 2 e_2: mu_3 . e_1 = -1 + 2/4, mu_3 . e_2 = -1/4 + 2
    assert mixture.mean_overlaps.row(2) == sp.Matrix([[sp.Rational(-1, 2), sp.Rational(7, 4)]])


def test_what_is_left_out_becomes_a_symbol():
    mixture = Mixture.build(labels=[0, 1], coordinates=[[1], [-1]])
    assert [str(p) for p in mixture.weights] == ["p_1", "p_2"]
    assert mixture.precision == symbols.PRECISION
    assert mixture.directions_gram == sp.Matrix([[sp.Symbol("Gamma_1_1", real=True)]])
    assert all(p.is_positive for p in mixture.weights)


@settings(deadline=None, max_examples=25)
@given(numerator=st.integers(1, 10**6), denominator=st.integers(1, 10**6))
def test_decimals_become_exact(numerator, denominator):
    exact = sp.Rational(numerator, denominator)
    assert build(precision=f"{numerator}/{denominator}").precision == exact
    assert build(precision=numerator / 64).precision == sp.Rational(
        numerator, 64
    )  # a binary fraction


def test_decimal_floats_mean_what_they_print():
    assert build(precision=0.1).precision == sp.Rational(1, 10)
    assert build(weights=[0.2, 0.3, 0.5]).weights == (
        sp.Rational(1, 5),
        sp.Rational(3, 10),
        sp.Rational(1, 2),
    )


@settings(deadline=None, max_examples=25)
@given(st.lists(st.integers(1, 1000), min_size=3, max_size=3))
def test_any_normalised_weights_are_accepted(parts):
    total = sum(parts)
    assert sum(build(weights=[sp.Rational(n, total) for n in parts]).weights) == 1
    build(weights=[n / total for n in parts])  # floats: their sum is 1 only to rounding


@settings(deadline=None, max_examples=25)
@given(st.lists(st.integers(-5, 5), min_size=4, max_size=4))
def test_gram_matrix_is_accepted_exactly_when_positive_definite(entries):
    a = sp.Matrix(2, 2, entries)
    gram = a * a.T
    if a.det() == 0:
        with pytest.raises(InputError, match="linearly independent means"):
            build(directions_gram=gram)
    else:
        assert build(directions_gram=gram).directions_gram == gram


BAD = [
    ({"weights": ["1/2", "1/2"]}, "weights", "2 entries", "3, one per component"),
    ({"weights": ["1/2", "1/2", 0]}, "weights[2]", "0", "> 0"),
    ({"weights": ["3/4", "1/2", "-1/4"]}, "weights[2]", "-1/4", "> 0"),
    ({"weights": ["1/2", "1/3", "1/3"]}, "weights", "7/6", "sum 1"),
    ({"weights": [0.5, 0.5, float("nan")]}, "weights", "nan", "finite"),
    ({"weights": ["1/2", "1/2 + ", "1/6"]}, "weights", "'1/2 + '", "number or a SymPy expression"),
    ({"weights": 3}, "weights", "3", "sequence"),
    ({"weights": [sp.I, 1 - sp.I, sp.Rational(1, 2)]}, "weights[0]", "I", "> 0"),
    ({"labels": [0, 1]}, "labels", "2 entries", "3, one per component"),
    ({"labels": 1}, "labels", "1", "sequence"),
    ({"labels": [0, 1, float("nan")]}, "labels", "nan", "finite"),
    ({"coordinates": [[1, 0], [0]]}, "coordinates", "[[1, 0], [0]]", "rows of equal length"),
    ({"coordinates": []}, "coordinates", "[]", "rows"),
    (
        {"coordinates": [[], [], []]},
        "coordinates",
        "3 x 0",
        "at least one component and one direction",
    ),
    ({"coordinates": 7}, "coordinates", "7", "a matrix"),
    ({"coordinates": [[1, 0], [0, float("inf")], [0, 0]]}, "coordinates", "inf", "finite"),
    ({"directions_gram": [[1]]}, "directions_gram", "1 x 1", "2 x 2"),
    ({"directions_gram": [[1, 0, 0], [0, 1, 0]]}, "directions_gram", "2 x 3", "2 x 2"),
    ({"directions_gram": [[1, 0.2], [0.3, 1]]}, "directions_gram", "3/10", "symmetric"),
    (
        {"directions_gram": [[1, 1], [1, 1]]},
        "directions_gram",
        "[[1, 1], [1, 1]]",
        "linearly independent means",
    ),
    ({"directions_gram": [[1, 2], [2, 1]]}, "directions_gram", "-3", "positive definite"),
    ({"directions_gram": [[1, sp.I], [sp.I, 1]]}, "directions_gram", "I", "real"),
    (
        {"directions_gram": [[1, float("nan")], [float("nan"), 1]]},
        "directions_gram",
        "nan",
        "finite",
    ),
    ({"precision": 0}, "precision", "0", "> 0"),
    ({"precision": -2}, "precision", "-2", "> 0"),
    ({"precision": sp.I}, "precision", "I", "> 0"),
    ({"precision": float("nan")}, "precision", "nan", "finite"),
    ({"precision": "ten thousand"}, "precision", "'ten thousand'", "number or a SymPy expression"),
]


@pytest.mark.parametrize(("changed", "parameter", "got", "expected"), BAD, ids=lambda x: None)
def test_bad_input_is_explained(changed, parameter, got, expected):
    with pytest.raises(InputError) as caught:
        build(**changed)
    check_message(caught.value, parameter, got, expected)


MODEL_BAD = [
    ({"ridge": -1}, "ridge", "-1", ">= 0"),
    ({"ridge": float("nan")}, "ridge", "nan", "finite"),
    ({"ridge": sp.I}, "ridge", "I", ">= 0"),
    ({"step": 0}, "step", "0", "> 0"),
    ({"step": -0.5}, "step", "-1/2", "> 0"),
    ({"step": float("inf")}, "step", "inf", "finite"),
    ({"step": [1]}, "step", "[1]", "a number"),
    ({"name": ""}, "name", "''", "non-empty"),
]


@pytest.mark.parametrize(("changed", "parameter", "got", "expected"), MODEL_BAD, ids=lambda x: None)
def test_bad_model_parameters_are_explained(changed, parameter, got, expected):
    u = symbols.vector("u", 1)
    with pytest.raises(InputError) as caught:
        Model.build(build(), Loss(u[0] ** 2, units=1), **changed)
    check_message(caught.value, parameter, got, expected)


def test_ridge_zero_is_allowed_and_omitted_parameters_are_symbols():
    loss = Loss(symbols.vector("u", 1)[0] ** 2, units=1)
    model = Model.build(build(), loss, ridge=0)
    assert model.ridge == 0
    assert model.step == symbols.STEP
    assert model.parameter_symbols == {symbols.STEP}


def test_parameter_symbols_include_symbolic_coordinates_and_labels():
    a, b = sp.symbols("a b", real=True)
    u = symbols.vector("u", 1)
    mixture = Mixture.build(
        weights=[1], labels=[b], coordinates=[[a]], directions_gram=[[1]], precision=1
    )
    model = Model.build(mixture, Loss((u[0] - symbols.LABEL) ** 2, units=1), ridge=0, step=1)
    assert model.parameter_symbols == {a, b}


def test_preactivation_means_and_gram_definition():
    model = Model.build(build(), Loss(sp.Add(*symbols.vector("u", 2)) ** 2, units=2))
    s = model.symbols
    m = s.overlap
    assert model.preactivation_means[2, 1] == -m[1, 0] + 2 * m[1, 1]
    # Gamma^-1 = 16/15 [[1, -1/4], [-1/4, 1]]
    inverse = sp.Rational(16, 15) * sp.Matrix([[1, sp.Rational(-1, 4)], [sp.Rational(-1, 4), 1]])
    expected = s.gram_perp[0, 1] + (m.row(0) * inverse * m.row(1).T)[0]
    assert sp.expand(model.gram_definition()[s.gram[0, 1]] - expected) == 0


def test_input_error_survives_pickling():
    error = InputError("precision", -1, "a number > 0", "give lambda.")
    copy = pickle.loads(pickle.dumps(error))
    assert (str(copy), copy.parameter, copy.got) == (str(error), "precision", -1)
    assert str(error).endswith("Remedy: give lambda.")
    assert isinstance(error, ValueError)


def test_orthonormal_directions_are_named():
    two = {"labels": [1, 0], "coordinates": [[1, 0], [0, 1]]}
    plain = Mixture.build(**two, directions_gram="orthonormal")
    assert plain == Mixture.build(**two, directions_gram=sp.eye(2))
    bands = Bands(fractions=["1/4", "3/4"], scales=[[1, 2], [2, 1]])
    shares = [sp.eye(2) / 4, 3 * sp.eye(2) / 4]
    banded = Mixture.build(**two, bands=bands, directions_gram="orthonormal")
    assert banded == Mixture.build(**two, bands=bands, directions_gram=shares)
    with pytest.raises(InputError, match=r"directions_gram: got 'orthnormal'"):
        Mixture.build(**two, directions_gram="orthnormal")
