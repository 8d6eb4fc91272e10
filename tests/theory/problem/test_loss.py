"""Loss: partial derivatives by definition, and declarations that are checked."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import sympy as sp
from helpers import fresh_rng, two_layer_model
from hypothesis import given, settings
from hypothesis import strategies as st
from witness import raw_softmax, raw_two_layer

from theory import InputError, LogSumExp, Loss, Softmax, softmax_cross_entropy, symbols
from theory.problem.stable_functions import Maximum, stabilise
from theory.symbols import LABEL


@pytest.mark.parametrize("k", [2, 3, 5])
def test_softmax_loss_is_the_negative_log_probability(k):
    loss = softmax_cross_entropy(k)
    rng = fresh_rng()
    u = [sp.Rational(int(n), 7) for n in rng.integers(-20, 20, k)]
    for y in range(1, k + 1):
        point = dict(zip(loss.preactivation, u, strict=True)) | {LABEL: sp.Integer(y)}
        value = loss.expression.xreplace(point).rewrite(sp.exp)
        expected = -sp.log(sp.exp(u[y - 1]) / sp.Add(*map(sp.exp, u)))
        assert abs(sp.N(value - expected, 40)) < 1e-38


@pytest.mark.parametrize("k", [2, 3, 4])
def test_softmax_derivatives_are_those_of_the_elementary_form(k):
    """g, H and third derivatives against SymPy's differentiation of -u_y + log sum exp u."""
    loss = softmax_cross_entropy(k)
    u = loss.preactivation
    elementary = sp.log(sp.Add(*map(sp.exp, u)))
    point = {
        x: sp.Rational(int(n), 9) for x, n in zip(u, fresh_rng().integers(-20, 20, k), strict=True)
    }
    for order in (1, 2, 3):
        for indices in itertools.combinations_with_replacement(range(k), order):
            for y in (1, k):
                hot = -1 if order == 1 and indices[0] + 1 == y else 0
                expected = elementary.diff(*(u[i] for i in indices)).subs(point) + hot
                value = (
                    loss.partial(indices).xreplace({**point, LABEL: sp.Integer(y)}).rewrite(sp.exp)
                )
                assert (
                    abs(sp.N(value - expected, 40)) < 1e-35
                )  # 40 digits, cancellation of O(1) terms


@settings(deadline=None, max_examples=20)
@given(st.lists(st.integers(0, 2), min_size=1, max_size=4), st.randoms(use_true_random=False))
def test_partial_does_not_depend_on_the_order(indices, random):
    loss = softmax_cross_entropy(3)
    shuffled = indices.copy()
    random.shuffle(shuffled)
    assert loss.partial(indices) == loss.partial(shuffled)
    direct = loss.expression
    for i in shuffled:
        direct = direct.diff(loss.variables[i])
    assert sp.expand(direct - loss.partial(indices)) == 0


@pytest.mark.parametrize("name", ["kgmm2", "kgmm3", "twolayer"])
def test_derivatives_equal_the_ones_written_by_hand(name):
    """Every first and second derivative on random points, against raw NumPy code."""
    rng = fresh_rng()
    if name == "twolayer":
        loss, raw, labels = two_layer_model().loss, raw_two_layer, np.array([0, 1, 1, 0])
    else:
        loss, raw, labels = (
            softmax_cross_entropy(int(name[-1])),
            raw_softmax,
            np.arange(1, int(name[-1]) + 1),
        )
    c, q = loss.units, loss.readout_size
    component = rng.integers(0, len(labels), 50)
    u, v = rng.standard_normal((50, c)), rng.standard_normal(q)
    sample = raw(component, u, v)

    def value(*indices):
        expression = stabilise(loss.partial(indices)).replace(Maximum, sp.Max)
        function = sp.lambdify([LABEL, *loss.variables], expression, "numpy")
        rows = [function(y, *x, *v) for y, x in zip(labels[component], u, strict=True)]
        return np.array(rows, float)

    pairs = [(value(), sample.loss)]
    pairs += [(value(a), sample.g[:, a]) for a in range(c)]
    pairs += [(value(a, b), sample.hessian[:, a, b]) for a in range(c) for b in range(c)]
    pairs += [(value(c + i), sample.readout[:, i]) for i in range(q)]
    pairs += [(value(a, c + i), sample.mixed[:, a, i]) for a in range(c) for i in range(q)]
    pairs += [
        (value(c + i, c + j), sample.readout_hessian[:, i, j]) for i in range(q) for j in range(q)
    ]
    for mine, theirs in pairs:
        assert (
            np.abs(mine - theirs).max() < 1e-13
        )  # O(1) numbers, a few dozen double-precision operations


def test_two_layer_hand_derivatives_are_finite_differences():
    """The witness itself: central differences of the raw loss."""
    rng = fresh_rng()
    u, v, y = rng.standard_normal((1, 2)), rng.standard_normal(2), np.array([1])
    step = 1e-4  # truncation step^2 ~ 1e-8, rounding eps / step^2 ~ 2e-8 in second differences

    def shifted(*moves):
        x = np.concatenate([u[0], v])
        for i, h in moves:
            x[i] += h
        return raw_two_layer(y, x[None, :2], x[2:]).loss[0]

    sample = raw_two_layer(y, u, v)
    hessian = np.block(
        [[sample.hessian[0], sample.mixed[0]], [sample.mixed[0].T, sample.readout_hessian[0]]]
    )
    gradient = np.concatenate([sample.g[0], sample.readout[0]])
    for i in range(4):
        assert abs((shifted((i, step)) - shifted((i, -step))) / (2 * step) - gradient[i]) < 1e-6
        for j in range(4):
            difference = sum(
                a * b * shifted((i, a * step), (j, b * step)) for a in (1, -1) for b in (1, -1)
            ) / (4 * step**2)
            assert abs(difference - hessian[i, j]) < 1e-5


def test_variables_come_in_a_fixed_order():
    loss = two_layer_model().loss
    assert [str(x) for x in loss.variables] == ["u_1", "u_2", "v_1", "v_2"]
    assert loss.is_smooth


def test_a_loss_with_kinks_is_not_smooth():
    u = symbols.vector("u", 1)
    assert not Loss(sp.Max(u[0], 0), units=1, kinks=(u[0],)).is_smooth


@pytest.mark.parametrize("k", [2, 3, 10])
def test_softmax_declares_its_gauge(k):
    assert softmax_cross_entropy(k).gauge == sp.ones(k, 1)


u1, u2 = symbols.vector("u", 2)
(v1,) = symbols.vector("v", 1)


@pytest.mark.parametrize(
    ("expression", "gauge", "readout"),
    [
        (LogSumExp(u1, u2), [[1], [2]], 0),
        (u1**2, [[1], [0]], 0),
        (sp.KroneckerDelta(LABEL, 2) * u1**2, [[1], [0]], 0),  # a gauge for label 1 only
        (
            LogSumExp(u1, u2) + v1 * u1,
            [[1], [1]],
            1,
        ),  # d ell / d v_1 = u_1 is not constant along it
    ],
    ids=["wrong direction", "not flat", "flat for one label", "readout derivative moves"],
)
def test_a_false_gauge_is_refused(expression, gauge, readout):
    with pytest.raises(
        InputError, match=r"gauge: got .*; expected .*constant.* Remedy: drop the gauge"
    ):
        Loss(expression, units=2, readout_size=readout, gauge=sp.ImmutableDenseMatrix(gauge))


def test_a_true_gauge_is_accepted():
    gauge = sp.ImmutableDenseMatrix([[1], [1]])
    assert Loss((u1 - u2) ** 4 + LABEL * u1, units=2, gauge=gauge).gauge == gauge


def test_bad_losses_are_explained():
    with pytest.raises(
        InputError,
        match=r"gauge: got shape \(3, 1\); expected 2 row\(s\)\. Remedy: give a column vector",
    ):
        Loss(LogSumExp(u1, u2), units=2, gauge=sp.ImmutableDenseMatrix(sp.ones(3, 1)))
    with pytest.raises(
        InputError, match=r"loss expression: got unknown symbols \['q', 'z'\]; expected only y, u_1"
    ):
        Loss(sp.Symbol("z") * u1 + sp.Symbol("q"), units=1)
    with pytest.raises(InputError, match=r"unknown symbols \['u_2'\]"):
        Loss(u1 * u2, units=1)
    with pytest.raises(InputError, match=r"units: got 0; expected an integer >= 1. Remedy"):
        Loss(sp.Integer(0), units=0)


def test_a_symbol_of_the_right_name_and_wrong_assumptions_is_explained():
    """sp.Symbol('u_1') is not the real symbol u_1, and the error says so."""
    with pytest.raises(InputError, match=r"u_1.*(assumption|real)"):
        Loss(sp.Symbol("u_1") ** 2, units=1)


def test_softmax_gradient_sums_to_zero():
    k = 4
    loss = softmax_cross_entropy(k)
    total = sp.Add(*(loss.partial((a,)) for a in range(k)))
    u = loss.preactivation
    last = {Softmax(k, *u): 1 - sp.Add(*(Softmax(a, *u) for a in range(1, k)))}
    for y in range(1, k + 1):
        assert sp.expand(total.xreplace({LABEL: sp.Integer(y)}).xreplace(last)) == 0


@pytest.mark.parametrize("expression", ["u_1**2", lambda u: u])
def test_what_is_no_expression_is_sent_to_the_symbols_of_a_loss(expression):
    with pytest.raises(InputError, match=r"build it from sa\.symbols: vector\('u', C\)"):
        Loss(expression, 1)
