"""Signs of forms: where they may change, bounds of their values, and functions of one sign."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import sympy as sp
from helpers import fresh_rng

from theory import Model, ReLU, Sigmoid, Softplus, Step, kgmm
from verify import make_claim
from verify.claims.judge import _kind
from verify.claims.judgement import Status
from verify.claims.signs.exclusion import is_impossible
from verify.claims.signs.one_sided import without_one_sided
from verify.claims.signs.ranges import bounds
from verify.claims.signs.zero_sets import factors
from verify.claims.stages.regions import compiled

TWO, THREE = (kgmm(k, directions_gram="orthonormal") for k in (2, 3))
CUBE = ("E_1[u_2^3]", "m_2_1^3 + 3*m_2_1*Q_2_2/lambda")
X, Y = sp.symbols("x y", real=True)
P = sp.Symbol("p", positive=True)


def status(model: Model, quantity: str, formula: str) -> tuple[Status, Status]:
    """Of the digits and of the symbols."""
    rng = np.random.default_rng(int(fresh_rng().integers(2**31)))
    claim = make_claim(model, quantity, formula)
    with np.errstate(all="ignore"):
        kind = _kind(claim, rng)
        digits, wrong = kind.compare()
        return digits.status, Status.UNPROVED if wrong else kind.prove().status


def some_form(rng: np.random.Generator, depth: int = 3) -> sp.Expr:
    """A formula in x, y and p > 0 that has a value everywhere."""
    if depth == 0:
        number = sp.Rational(int(rng.integers(-6, 7)), int(rng.integers(1, 4)))
        return (X, Y, P, number)[rng.integers(4)]
    one, two = (some_form(rng, depth - 1) for _ in range(2))
    functions = (sp.sinh, sp.tanh, sp.sin, sp.cos, sp.atan, sp.erf, sp.Abs, ReLU, Softplus)
    choices = (
        lambda: one + two,
        lambda: one - two,
        lambda: one * two,
        lambda: one**2,
        lambda: sp.exp(one) - sp.exp(two),
        lambda: sp.cosh(one) - 1,
        lambda: Sigmoid(one) - sp.Rational(1, 3),
        lambda: functions[rng.integers(len(functions))](one),
        lambda: sp.sqrt(1 + one**2),
        lambda: sp.log(1 + two**2),
        lambda: Step(one),
    )
    return choices[rng.integers(len(choices))]()


def numbers(rng: np.random.Generator) -> tuple[float, float, float]:
    return rng.normal(), rng.normal(), np.exp(rng.normal())


def test_a_form_changes_its_sign_where_a_factor_does():
    rng, told = fresh_rng(), 0
    for _ in range(40):
        form = some_form(rng, 2)
        parts = factors(form)
        value = compiled((X, Y, P), [form, *parts])
        with np.errstate(all="ignore"):
            rows = np.array([value(*numbers(rng)) for _ in range(20)], float)
        rows = rows[np.isfinite(rows).all(axis=1) & (np.abs(rows[:, 0]) > 1e-9)]
        low, high = rows[rows[:, 0] < 0, 1:], rows[rows[:, 0] > 0, 1:]
        told += len(low) * len(high)
        for here, there in product(low, high):
            assert any(np.sign(here) != np.sign(there)), (form, parts)
    assert told


def test_values_lie_between_their_bounds():
    rng = fresh_rng()
    for _ in range(60):
        form = some_form(rng)
        low, high = bounds(None, form)
        with np.errstate(all="ignore"):
            (value,) = compiled((X, Y, P), [form])(*numbers(rng))
        if np.isfinite(value):
            slack = 1e-9 * (1 + abs(value))
            assert low - slack <= value <= high + slack, form


def test_a_product_of_roots_of_what_may_be_negative_has_no_bounds():
    """Of two imaginary numbers it is negative."""
    assert bounds(None, sp.sqrt(X) * sp.sqrt(X - 1)) == (-np.inf, np.inf)
    assert bounds(None, sp.log(X))[0] == -np.inf


def test_simple_forms_stand_for_others():
    assert factors(sp.cosh(X) - 1) == [X]
    assert factors(sp.exp(2 * X) - 3 * sp.exp(Y)) == [2 * X - Y - sp.log(3)]
    assert factors(1 - sp.tanh(X) ** 2) == factors(sp.exp(X) + 1) == factors(P + 2) == []
    assert factors(sp.cosh(X) - 2) == [sp.cosh(X) - 2]


def test_signs_that_are_not_met():
    model, (p, q, _) = THREE, THREE.mixture.weights
    assert is_impossible(model, {p + q - 1: 1})
    assert is_impossible(model, {sp.sin(X) - 1: 1})
    assert is_impossible(model, {sp.cosh(X) - 3: 1, sp.cosh(X) - 2: -1})
    assert is_impossible(model, {sp.cos(p): -1})
    assert is_impossible(model, {p - sp.pi: 1})
    assert not is_impossible(model, {p + q - 1: -1})
    assert not is_impossible(model, {sp.sin(X) - 1: -1})
    assert not is_impossible(model, {sp.cosh(X) - 3: 1, sp.cosh(X) - 2: 1})
    assert not is_impossible(None, {X**2 - 1: -1, X: 1})
    # zero is not excluded where a bound is met
    assert not is_impossible(None, {X: 1, 1 - sp.cos(X): 1})


def test_functions_of_forms_of_one_sign():
    m, (p, *_) = THREE.symbols.overlap[0, 0], THREE.mixture.weights
    kept = ReLU(m) + Step(1 - sp.cosh(m) ** 2 + m) + Step(1 - sp.cos(m)) + sp.Abs(m - 1)
    assert without_one_sided(kept, THREE) == kept
    gone = ReLU(p - 1) + Step(-sp.cosh(m)) * m + sp.Abs(sp.sin(m) - 1) + ReLU(1 + sp.tanh(m))
    assert without_one_sided(gone, THREE) == 1 - sp.sin(m) + 1 + sp.tanh(m)


NOTHING = [
    "relu(Q_1_2^2 - Q_1_1*Q_2_2)",
    "relu(p_1 + p_2 - 1)",
    "relu(1 + tanh(m_1_1)) - 1 - tanh(m_1_1)",
    "step(-lambda)*m_1_1",
    "log(1 + exp(m_1_1 + sin(m_2_1))) - softplus(m_1_1 + sin(m_2_1))",
]


@pytest.mark.parametrize("term", NOTHING)
def test_terms_that_vanish_by_a_sign_are_proved(term: str) -> None:
    quantity, formula = CUBE
    assert status(TWO, quantity, f"{formula} + {term}")[1] is Status.PROVED


AGREES = [
    # roots at the edge of where they are real, which weights on a line meet
    "asin(Q_1_2/sqrt(Q_1_1*Q_2_2)) + acos(Q_1_2/sqrt(Q_1_1*Q_2_2)) - pi/2",
    # what touches zero, is bounded, or repeats itself
    "sqrt(cosh(m_1_1) - 1) - sqrt(2)*sqrt(sinh(m_1_1/2)^2)",
    "asin(tanh(m_1_1)) + acos(tanh(m_1_1)) - pi/2",
    "sqrt(1 - sin(m_1_1)^2) - sqrt(cos(m_1_1)^2)",
    "relu(sin(m_1_1)) + relu(-sin(m_1_1)) - sqrt(sin(m_1_1)^2)",
    "relu(exp(m_1_1) - 1) - relu(exp(relu(m_1_1)) - 1)",
    # terms that vanish in some regions are seen in the others
    "relu(m_1_1^2 - m_2_1^2) - relu(m_1_1 - m_2_1)*relu(m_1_1 + m_2_1)"
    " - relu(m_2_1 - m_1_1)*relu(-m_1_1 - m_2_1)",
    "relu(log(Q_1_1)) - log(Q_1_1)*step(Q_1_1 - 1)",
    "sqrt(1 + tanh(m_1_1)^2*sinh(m_2_1)^2) - sqrt(1 + sinh(m_2_1)^2*(1 - 1/cosh(m_1_1)^2))",
]


@pytest.mark.slow
@pytest.mark.parametrize("term", AGREES)
def test_true_claims_with_many_sides_agree(term: str) -> None:
    quantity, formula = CUBE
    assert Status.REFUTED not in (found := status(TWO, quantity, f"{formula} + {term}"))
    assert found[0] is Status.AGREES or found[1] is Status.PROVED


@pytest.mark.slow
@pytest.mark.parametrize("term", AGREES[:1])
def test_nothing_is_refuted_at_the_edge_of_a_domain(term: str) -> None:
    quantity, formula = CUBE
    assert status(TWO, quantity, f"{formula} + {term}")[0] is not Status.REFUTED


def test_a_minor_beside_a_ramp_is_seen_at_full_rank() -> None:
    """On a line the minor is zero, and where states are drawn the ramp."""
    quantity, formula = CUBE
    term = "relu(m_1_1 - 9)*(R_1_1*R_2_2 - R_1_2^2)"
    assert status(TWO, quantity, f"{formula} + {term}")[0] is Status.REFUTED
