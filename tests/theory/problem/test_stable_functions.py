"""Stable functions: derivatives, equality with the elementary form, no overflow, printing."""

from __future__ import annotations

import warnings

import mpmath
import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from theory import LogSumExp, Sigmoid, Softmax, Softplus
from theory.problem.stable_functions import Maximum, StableFunction, stabilise

x, y, z = sp.symbols("x y z", real=True)
FUNCTIONS = [
    LogSumExp(x, y, z),
    Softmax(1, x, y, z),
    Softmax(3, x, y, z),
    Softplus(x),
    Sigmoid(x),
    Softplus(x * y - z) ** 2,
    Softmax(2, 2 * x, x + y),
    Sigmoid(LogSumExp(x, y)),
]
finite = st.floats(-30, 30, allow_nan=False)


def at(expression, values):
    names = sorted(expression.free_symbols, key=str)
    return sp.N(
        expression.subs({n: sp.Rational(str(v)) for n, v in zip(names, values, strict=False)}), 40
    )


@pytest.mark.parametrize("f", FUNCTIONS, ids=str)
@settings(deadline=None, max_examples=10)
@given(values=st.tuples(finite, finite, finite))
def test_derivative_is_that_of_the_elementary_form(f, values):
    for name in sorted(f.free_symbols, key=str):
        expected = f.rewrite(sp.exp).diff(name)
        # the same number computed from two forms at 40 digits; exp(60) costs 26 of them through
        # cancellation
        gap = abs(at(f.diff(name), values) - at(expected, values))
        assert gap < 1e-10 * (1 + abs(at(expected, values)))


@settings(deadline=None, max_examples=20)
@given(st.lists(st.fractions(-900, 900, max_denominator=50), min_size=1, max_size=4))
def test_a_log_sum_exp_has_all_its_digits(values):
    found = LogSumExp(*(sp.Rational(v.numerator, v.denominator) for v in values)).evalf(30)
    with mpmath.workdps(900):
        terms = (mpmath.exp(mpmath.mpf(v.numerator) / v.denominator) for v in values)
        expected = sp.Float(mpmath.log(mpmath.fsum(terms)), 60)
    assert abs(found - expected) <= abs(expected) * sp.Float("1e-28")


def test_digits_of_a_log_sum_exp_where_terms_cancel_or_are_tiny():
    half, tiny = -sp.log(2), sp.Rational(1, 10**20)
    assert LogSumExp(half, half).evalf(30) == 0
    assert abs(LogSumExp(half, half + tiny).evalf(20) / tiny - sp.Rational(1, 2)) < 1e-15
    assert abs(LogSumExp(-500, 0).evalf(20) / sp.exp(-500).evalf(20) - 1) < 1e-15


@pytest.mark.parametrize("f", FUNCTIONS, ids=str)
@settings(deadline=None, max_examples=10)
@given(values=st.tuples(finite, finite, finite))
def test_stable_form_is_equal(f, values):
    stable = stabilise(f)
    assert not stable.has(StableFunction)
    expected = at(f.rewrite(sp.exp), values)
    # cancellation as above
    assert abs(at(stable.replace(Maximum, sp.Max), values) - expected) < 1e-10 * (1 + abs(expected))


@pytest.mark.parametrize("f", [f for f in FUNCTIONS if f.is_Function], ids=str)
@pytest.mark.parametrize("size", [1e3, 1e6])
def test_stable_form_does_not_overflow(f, size):
    """Against mpmath, whose exponent range has no end; an overflow warning is an error."""
    names = sorted(f.free_symbols, key=str)
    compiled = sp.lambdify(names, stabilise(f), [{"Maximum": max}, "numpy"])
    elementary = sp.lambdify(names, f.rewrite(sp.exp), "mpmath")
    for signs in np.ndindex(*(2,) * len(names)):
        point = [size * (2 * s - 1) + 0.25 * i for i, s in enumerate(signs)]
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            value = float(compiled(*map(np.float64, point)))
        with mpmath.workdps(30):
            expected = float(elementary(*map(mpmath.mpf, point)))
        # relative rounding of arguments of this size: size * eps
        assert value == pytest.approx(expected, rel=1e-9, abs=1e-12)


@settings(deadline=None, max_examples=20)
@given(st.tuples(finite, finite, finite))
def test_numeric_values(values):
    a, b, c = (sp.Rational(str(v)) for v in values)
    total = sum(mpmath.exp(mpmath.mpf(t.p) / t.q) for t in (a, b, c))
    assert float(LogSumExp(a, b, c)) == pytest.approx(
        float(mpmath.log(total)), rel=1e-12, abs=1e-12
    )
    assert float(sum(Softmax(i, a, b, c) for i in (1, 2, 3))) == pytest.approx(1, abs=1e-13)
    assert float(Sigmoid(a) + Sigmoid(-a)) == pytest.approx(1, abs=1e-14)
    assert float(Softplus(a) - Softplus(-a) - a) == pytest.approx(0, abs=1e-12)


def test_evalf_reaches_any_precision():
    value = Softmax(1, sp.Rational(1, 3), 0).evalf(60)
    with mpmath.workdps(70):
        e = mpmath.exp(mpmath.mpf(1) / 3)
        assert abs(mpmath.mpf(value) - e / (e + 1)) < mpmath.mpf(10) ** -59


def test_evalf_leaves_symbols_alone():
    assert Softplus(x).evalf() == Softplus(x)


def test_second_derivative_of_softmax_has_all_cases():
    """d_c (pi_a pi_b) = pi_a pi_b (delta_ac + delta_bc - 2 pi_c), every coincidence pattern."""
    u = (x, y, z)
    pi = [Softmax(i + 1, *u) for i in range(3)]
    for a, b, c in np.ndindex(3, 3, 3):
        expected = pi[a] * pi[b] * (int(a == c) + int(b == c) - 2 * pi[c])
        assert sp.expand((pi[a] * pi[b]).diff(u[c]) - expected) == 0


def test_relations_between_the_functions():
    assert LogSumExp(x, y).diff(y) == Softmax(2, x, y)
    assert Softplus(x).diff(x) == Sigmoid(x)
    assert sp.expand(Sigmoid(x).diff(x) - Sigmoid(x) * (1 - Sigmoid(x))) == 0
    assert Softmax(1, x, y).diff(z) == 0
    assert Softmax(2, x, y).index == 2


def test_assumptions():
    assert Softmax(1, x, y).is_positive
    assert Sigmoid(x).is_positive
    assert Softplus(x).is_positive
    assert LogSumExp(x, y).is_real


def test_printing():
    assert str(Softmax(2, x, y)) == "softmax_2(x, y)"
    assert sp.latex(Softmax(2, x, y)) == r"\pi_{2}\left(x, y\right)"
    assert sp.latex(Softmax(2, x, y) ** 3) == r"\pi_{2}^{3}\left(x, y\right)"
    assert sp.latex(LogSumExp(x, y)) == r"\operatorname{lse}\left(x, y\right)"
    assert sp.latex(LogSumExp(x, y) ** 2) == r"\operatorname{lse}\left(x, y\right)^{2}"
    assert sp.latex(Sigmoid(x) ** 2) == r"\sigma^{2}\left(x\right)"


def test_a_function_without_a_stable_form_says_so():
    class Unfinished(StableFunction):
        pass

    with pytest.raises(NotImplementedError, match=r"Unfinished must define stable\(\)"):
        stabilise(Unfinished(x))
