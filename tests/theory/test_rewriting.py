"""Derivatives and substitutions in one visit of every part, against SymPy's own."""

from __future__ import annotations

import pytest
import sympy as sp
from known_models import ROWS, known_model

from theory import ReLU, Sigmoid, Softmax, Softplus
from theory.problem.stable_functions import StableFunction, stabilised
from theory.rewriting import Rewriting, derivative_of

X, Y = sp.symbols("x y", real=True)
EXPRESSIONS = [
    sp.Integer(3),
    X,
    X**Y,
    (X + 1) ** 3 * sp.exp(X * Y) / X,
    sp.erf(sp.tanh(X) * Y) ** 2,
    2 * (X + Y * sp.log(1 + X**2)),
    Softmax(1, X, X * Y, sp.sin(X)) * Softplus(Sigmoid(X)),
    ReLU(X * ReLU(X - Y)),
    # whose derivatives SymPy states in rules of their own
    sp.Max(X, Y) * sp.Abs(X) * sp.DiracDelta(X - Y),
    sp.Piecewise((X**2, X > 0), (sp.sin(X), True)),
    sp.KroneckerDelta(X, 1) * sp.atan2(X, Y),
]


@pytest.mark.parametrize("expression", EXPRESSIONS, ids=str)
def test_derivatives_are_those_of_sympy(expression):
    for symbol in (X, Y):
        found = derivative_of(expression, symbol)
        assert found == expression.diff(symbol)
        assert derivative_of(found, X) == found.diff(X)


@pytest.mark.parametrize("name", [name for name in ROWS if "layer" in name or "teacher" in name])
def test_derivatives_of_losses_are_those_of_sympy(name):
    loss = known_model(name).loss
    for u in loss.variables[:2]:
        assert derivative_of(loss.expression, u) == loss.expression.diff(u)


def test_every_distinct_part_is_visited_once():
    """A tower of squares: as a tree it has 2^30 leaves."""
    tower, seen = X, []
    for n in range(30):
        tower = sp.sin(tower) * sp.cos(tower) + n
    assert derivative_of(tower, Y) == 0
    put = Rewriting({X: Y}, lambda e: seen.append(e) or e)
    put(tower)
    assert len(seen) <= 30 * 5


@pytest.mark.parametrize("expression", EXPRESSIONS, ids=str)
def test_names_and_stable_forms_are_those_of_sympy(expression):
    names = {X: sp.Symbol("a", real=True), Y: sp.Symbol("b", real=True)}
    right = expression.xreplace(names)
    assert Rewriting(names)(expression) == right
    stable = right.replace(lambda e: isinstance(e, StableFunction), lambda e: e.stable())
    assert stabilised([expression], names) == [stable]
