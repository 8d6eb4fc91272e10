"""Activations: their values, their kinks, and what is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.special
import sympy as sp
from helpers import fresh_rng
from hypothesis import given
from hypothesis import strategies as st
from model_cases import check_message

from theory import Activation, InputError, Loss, ReLU, Step, symbols, two_layer_cross_entropy, xor
from theory.problem.activations import ACTIVATIONS, ARGUMENT, get_activation, leaky_relu
from theory.problem.kinks import split_deltas

Z = ARGUMENT

BY_HAND = {
    "relu": lambda z: np.maximum(z, 0),
    "leaky_relu": lambda z: np.where(z > 0, z, z / 100),
    "softplus": lambda z: np.log(1 + np.exp(z)),
    "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
    "tanh": np.tanh,
    "erf": scipy.special.erf,
}
KINKED = {"relu": 1, "leaky_relu": sp.Rational(99, 100)}  # and the jump of the slope


def test_every_named_activation_is_covered():
    assert set(ACTIVATIONS) == set(BY_HAND)
    assert all(get_activation(name).name == name for name in ACTIVATIONS)
    own = Activation("square", Z**2)
    assert get_activation(own) is own


@pytest.mark.parametrize("name", BY_HAND)
def test_values_and_slopes(name):
    """Against NumPy, and the slope against its central difference off the kink."""
    g, rng, h = get_activation(name), fresh_rng(), 1e-5
    for z in rng.uniform(0.01, 4, 5) * rng.choice([-1, 1], 5):
        value = float(g(sp.Float(z, 30)))
        assert abs(value - BY_HAND[name](z)) < 1e-14 * (1 + abs(value))
        slope = float(sp.N(g.expression.diff(Z).subs(Z, sp.Float(z, 30))))
        assert abs(slope - (BY_HAND[name](z + h) - BY_HAND[name](z - h)) / (2 * h)) < 1e-9


@pytest.mark.parametrize("name", BY_HAND)
def test_kinks_are_declared_where_the_slope_jumps(name):
    g = get_activation(name)
    regular, parts = split_deltas(g.expression.diff(Z, 2))
    assert parts == ({Z: KINKED[name]} if name in KINKED else {})
    assert g.kinks == ((0,) if name in KINKED else ())
    assert (regular == 0) == (name in KINKED)


@given(
    st.fractions(0, 1, max_denominator=50).filter(lambda a: a < 1),
    st.fractions(-3, 3, max_denominator=7),
)
def test_leaky_relu_has_two_slopes(slope, z):
    a, z = (sp.Rational(q.numerator, q.denominator) for q in (slope, z))
    assert leaky_relu(a)(z) == max(z, a * z)


def test_an_activation_moves_with_its_argument():
    u = symbols.vector("u", 2)
    ramp = Activation("ramp", sp.Max(Z, 0) - sp.Max(Z - 1, 0), kinks=(0, 1))
    assert ramp(u[1]) == ReLU(u[1]) - ReLU(u[1] - 1)
    assert ramp.kinks_at(u[1]) == (u[1], u[1] - 1)
    assert two_layer_cross_entropy(2, ramp).kinks == (u[0], u[0] - 1, u[1], u[1] - 1)
    assert xor(2, activation="softplus").loss.is_smooth


def test_numbers_are_exact_and_max_is_rewritten():
    hinge = Activation("hinge", sp.Max(Z - sp.Rational(1, 4), 0), kinks=(0.25,))
    assert hinge.kinks == (sp.Rational(1, 4),)
    assert hinge.expression == ReLU(Z - sp.Rational(1, 4))
    assert Activation("abs", sp.Abs(Z), kinks=("0",)).expression == 2 * ReLU(Z) - Z


class NoSlope(sp.Function):
    """A function without fdiff."""


class NoSecondSlope(sp.Function):
    """A function whose derivative has none."""

    def fdiff(self, argindex=1):
        return NoSlope(self.args[0])


BAD = [
    # expression, kinks: parameter, got, expected, remedy
    (sp.Abs(Z), (), "activation", "f = Abs(z)", "every kink", "kinks=(0,)"),
    (ReLU(Z), (1,), "activation", "the kink z = 0", "every kink", "kinks=(0,)"),
    (ReLU(Z) + ReLU(Z - 2), (0,), "activation", "z - 2", "every kink", "kinks=(0, 2)"),
    (
        sp.Function("h")(Z),
        (),
        "activation",
        "undefined function h",
        "known derivative",
        "elementary functions",
    ),
    (NoSlope(Z), (), "activation", "NoSlope", "known first", "fdiff"),
    (NoSecondSlope(Z), (), "activation", "NoSecondSlope", "second derivatives", "fdiff"),
    (
        sp.Piecewise((0, Z < 0), (Z, True)),
        (0,),
        "activation",
        "Piecewise",
        "ReLU and Step",
        "ramp as sa.ReLU",
    ),
    (Step(Z), (0,), "activation", "step(z)", "a continuous function", "ramp"),
    (Z * Step(Z - 1), (1,), "activation", "step(z - 1)", "a continuous function", "ramp"),
    (sp.Integer(1), (), "activation", "1", "a function of z", "ARGUMENT"),
    (sp.Symbol("x") ** 2, (), "activation", "['x']", "a function of z", "ARGUMENT"),
    (Z * sp.Symbol("a", real=True), (), "activation", "['a']", "a function of z", "ARGUMENT"),
    (ReLU(Z), 0, "kinks", "0", "a sequence", "list"),
    (ReLU(Z), (sp.Symbol("a", real=True),), "kinks", "a", "real numbers", "points"),
    (ReLU(Z), (sp.I,), "kinks", "I", "real numbers", "points"),
    (ReLU(Z), (math.inf,), "kinks", "inf", "a finite number", "infinities"),
    (ReLU(Z), ("zero",), "kinks", "'zero'", "a number", "give a number"),
]


@pytest.mark.parametrize(
    ("expression", "kinks", "parameter", "got", "expected", "remedy"), BAD, ids=lambda x: None
)
def test_bad_activations_are_explained(expression, kinks, parameter, got, expected, remedy):
    with pytest.raises(InputError) as caught:
        Activation("f", expression, kinks=kinks)
    check_message(caught.value, parameter, got, expected)
    assert remedy in caught.value.remedy


@pytest.mark.parametrize("name", ["swish", None, 5, ["relu"], sp.tanh, ReLU(Z)], ids=str)
def test_an_unknown_activation_is_refused_with_the_known_ones(name):
    with pytest.raises(
        InputError,
        match=r"activation: got .*; expected one of \['erf', .*\], or an Activation. Rem",
    ):
        xor(2, activation=name)


@pytest.mark.parametrize("slope", [1, 2, -0.1, "a", sp.Symbol("s"), sp.I, math.nan], ids=str)
def test_a_slope_out_of_range_is_refused(slope):
    with pytest.raises(InputError, match=r"slope: got .*; expected a .*number.* Remedy"):
        leaky_relu(slope)


def test_a_loss_of_a_function_without_derivative_is_refused():
    u = symbols.vector("u", 1)
    with pytest.raises(
        InputError, match=r"loss expression: got the function NoSlope; expected .* Remedy: .*fdiff"
    ):
        Loss(NoSlope(u[0]), units=1)
