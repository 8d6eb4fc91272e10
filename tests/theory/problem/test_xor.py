"""The XOR network: its statement, its formulas transcribed by hand, and what is refused."""

from __future__ import annotations

import pytest
import sympy as sp
from helpers import linearise
from hypothesis import given, settings
from hypothesis import strategies as st
from model_cases import check_message, same_label

from theory import (
    Activation,
    GaussianExpectation,
    InputError,
    ReLU,
    Sigmoid,
    Softplus,
    Step,
    derive_drift,
    derive_gradient_matrix,
    derive_hessian,
    noiseless,
    preactivation_law,
    symbols,
    xor,
)
from theory.problem.activations import ARGUMENT

MEANS = ((1, 0), (-1, 0), (0, 1), (0, -1))  # mu, -mu, nu, -nu
LABELS = (1, 1, 0, 0)
BETA, LAM = symbols.RIDGE, symbols.PRECISION


@pytest.mark.slow
@pytest.mark.parametrize("width", [1, 2, 4, 20])
def test_statement(width):
    model = xor(width)
    assert (model.units, model.directions, model.components, model.readout_size) == (
        width,
        2,
        4,
        width,
    )
    assert model.mixture.labels == LABELS
    assert model.mixture.coordinates == sp.Matrix(MEANS)
    assert model.mixture.directions_gram == sp.eye(2)
    assert model.name == f"xor{width}"
    assert len(model.symbols.state) == 2 * width + width * (width + 1) // 2 + width
    assert model.parameter_symbols == {
        *symbols.vector("p", 4, positive=True),
        LAM,
        BETA,
        symbols.STEP,
    }
    u, v = model.symbols.preactivation, model.symbols.readout
    f = sp.Add(*(v[i] * ReLU(u[i]) for i in range(width)))
    assert sp.expand(model.loss.expression - (-symbols.LABEL * f + Softplus(f))) == 0
    assert model.loss.kinks == u


def test_four_units_is_the_default():
    assert xor() == xor(4)


def test_opposite_clusters_share_a_label_and_the_axes_do_not():
    mixture = xor(1).mixture
    means = [sp.Matrix(mixture.coordinates.row(l)) for l in range(4)]
    for a in range(4):
        for b in range(4):
            opposite = means[a] == -means[b]
            assert (mixture.labels[a] == mixture.labels[b]) == (a == b or opposite)


def test_numbers_replace_symbols():
    model = xor(
        2,
        weights=["1/2", "1/4", "1/8", 0.125],
        directions_gram=[[1, 0.5], [0.5, 1]],
        precision=100,
        ridge="1/20",
        step=2,
    )
    assert model.parameter_symbols == set()
    assert model.mixture.weights == tuple(map(sp.Rational, ("1/2", "1/4", "1/8", "1/8")))
    assert model.mixture.directions_gram == sp.Matrix([[1, "1/2"], ["1/2", 1]])
    assert (model.mixture.precision, model.ridge, model.step) == (100, sp.Rational(1, 20), 2)


@settings(max_examples=20)
@given(st.lists(st.integers(1, 50), min_size=4, max_size=4))
def test_any_weights_on_the_simplex_are_accepted_and_kept(raw):
    weights = [sp.Rational(n, sum(raw)) for n in raw]
    assert xor(1, weights=weights).mixture.weights == tuple(weights)


def test_symbols_of_the_user_are_kept():
    rho, q = sp.symbols("rho q", real=True)
    model = xor(
        1,
        directions_gram=[[1, rho], [rho, 1]],
        weights=[q, q, sp.Rational(1, 2) - q, sp.Rational(1, 2) - q],
    )
    assert model.parameter_symbols == {rho, q, LAM, BETA, symbols.STEP}


def test_the_activation_is_a_parameter_of_the_loss():
    u, v = symbols.vector("u", 2), symbols.vector("v", 2)
    square = Activation("square", ARGUMENT**2)
    model = xor(2, activation=square)
    f = v[0] * u[0] ** 2 + v[1] * u[1] ** 2
    assert model.loss.is_smooth
    assert sp.expand(model.loss.expression - (Softplus(f) - symbols.LABEL * f)) == 0
    hinge = Activation("hinge", sp.Max(ARGUMENT - 1, 0), kinks=(1,))
    assert xor(2, activation=hinge).loss.kinks == (u[0] - 1, u[1] - 1)


class Hand:
    """Mathematics.md sections 3 and 4 for f = sum v_i max(u_i, 0), by hand."""

    def __init__(self, width):
        self.model, self.width = xor(width), width
        self.u, self.v = self.model.symbols.preactivation, self.model.symbols.readout
        self.w, self.inverse = self.model.symbols.whitened, self.model.symbols.gram_inverse
        self.f = sp.Add(*(v * ReLU(u) for v, u in zip(self.v, self.u, strict=True)))
        self.sigma, self.p = Sigmoid(self.f), self.model.mixture.weights

    def mean(self, l, h):
        return GaussianExpectation(sp.sympify(h), preactivation_law(self.model, l))

    def g(self, a, l):
        return (self.sigma - LABELS[l]) * self.v[a] * Step(self.u[a])

    def h(self, a, b, l):
        """Almost everywhere, and the delta on the kink."""
        regular = (
            self.sigma
            * (1 - self.sigma)
            * self.v[a]
            * self.v[b]
            * Step(self.u[a])
            * Step(self.u[b])
        )
        if a != b:
            return regular
        there = self.f.xreplace({ReLU(self.u[a]): sp.Integer(0)})
        return regular + (Sigmoid(there) - LABELS[l]) * self.v[a] * sp.DiracDelta(self.u[a])

    def readout(self, i, l):
        return (self.sigma - LABELS[l]) * ReLU(self.u[i])

    def mixed(self, a, i, l):
        regular = self.sigma * (1 - self.sigma) * self.v[a] * Step(self.u[a]) * ReLU(self.u[i])
        return regular + int(a == i) * (self.sigma - LABELS[l]) * Step(self.u[a])

    def average(self, term):
        return sp.Add(*(self.p[l] * term(l) for l in range(4)))


def vanishes(expression):
    return linearise(same_label(expression)) == 0


@pytest.mark.parametrize("width", [1, 2])
def test_drift_transcribed(width):
    hand, drift = Hand(width), derive_drift(xor(width))
    s, step = hand.model.symbols, symbols.STEP
    units = range(width)
    for a in units:
        for t in range(2):
            overlap = hand.average(
                lambda l, a=a, t=t: (
                    hand.mean(l, hand.g(a, l)) * MEANS[l][t]
                    + sp.Add(*(hand.mean(l, hand.h(a, b, l)) * s.overlap[b, t] for b in units))
                    / LAM
                )
            )
            assert vanishes(drift.overlap[a, t] + overlap + BETA * s.overlap[a, t])
        readout = hand.average(lambda l, a=a: hand.mean(l, hand.readout(a, l)))
        assert vanishes(drift.readout[a] + readout + BETA * s.readout[a])
        for b in units:
            perp = sp.Integer(0)
            for c in units:
                perp += (
                    hand.average(lambda l, a=a, c=c: hand.mean(l, hand.h(a, c, l)))
                    * s.gram_perp[c, b]
                )
                perp += (
                    hand.average(lambda l, b=b, c=c: hand.mean(l, hand.h(b, c, l)))
                    * s.gram_perp[c, a]
                )
            assert vanishes(drift.gram_perp[a, b] + perp / LAM + 2 * BETA * s.gram_perp[a, b])
            corrector = hand.average(lambda l, a=a, b=b: hand.mean(l, hand.g(a, l) * hand.g(b, l)))
            assert vanishes(drift.corrector[a, b] - step / LAM * corrector)


def generator(hand, l, i):
    """Coefficient of Y in component l on the i-th of V = [mu, nu, x^1, ...]."""
    return sp.Integer(MEANS[l][i]) if i < 2 else hand.w[i - 2]


def coefficients(hand, weight):
    """(B, c) of sum_l p_l E_l[h Y Y^T] by projection: Y = mean + X w + an orthogonal rest."""
    k = hand.width

    def entry(i, j):
        product = hand.average(
            lambda l: hand.mean(l, weight(l) * generator(hand, l, i) * generator(hand, l, j))
        )
        if i >= 2 and j >= 2:
            product -= (
                hand.inverse[i - 2, j - 2] / LAM * hand.average(lambda l: hand.mean(l, weight(l)))
            )
        return product

    return sp.Matrix(2 + k, 2 + k, entry), hand.average(lambda l: hand.mean(l, weight(l))) / LAM


@pytest.mark.parametrize("width", [1, 2])
def test_hessian_transcribed(width):
    """W_i W_j with its delta, W_i v_j and v v, by the projection formula once more by hand."""
    hand, hessian = Hand(width), derive_hessian(xor(width))
    for a in range(width):
        for b in range(a, width):
            block = hessian.block(a, b)
            matrix, bulk = coefficients(hand, lambda l, a=a, b=b: hand.h(a, b, l))
            assert vanishes(block.bulk - bulk - (BETA if a == b else 0))
            assert all(vanishes(x) for x in block.coefficients - matrix)
        for i in range(width):
            for j in range(2 + width):
                expected = hand.average(
                    lambda l, a=a, i=i, j=j: hand.mean(
                        l, hand.mixed(a, i, l) * generator(hand, l, j)
                    )
                )
                assert vanishes(hessian.mixed[a * width + i, j] - expected)
            outer = hand.sigma * (1 - hand.sigma) * ReLU(hand.u[a]) * ReLU(hand.u[i])
            expected = hand.average(lambda l, outer=outer: hand.mean(l, outer))
            assert vanishes(hessian.readout[a, i] - expected - (BETA if a == i else 0))


@pytest.mark.parametrize("width", [1, 2])
def test_gradient_matrix_transcribed(width):
    hand, matrix = Hand(width), derive_gradient_matrix(xor(width))
    for a in range(width):
        for b in range(a, width):
            block = matrix.block(a, b)
            expected, bulk = coefficients(
                hand, lambda l, a=a, b=b: sp.expand(hand.g(a, l) * hand.g(b, l))
            )
            assert vanishes(block.bulk - bulk)
            assert all(vanishes(x) for x in block.coefficients - expected)
        for i in range(width):
            product = hand.average(
                lambda l, a=a, i=i: hand.mean(l, sp.expand(hand.readout(a, l) * hand.readout(i, l)))
            )
            assert vanishes(matrix.readout[a, i] - product)


def test_noiseless_drift_of_one_unit():
    """By hand at lambda -> infinity: only the clusters on the active side of the unit move it."""
    drift = noiseless(derive_drift(xor(1)))
    s = drift.model.symbols
    (m1, m2), v, p = s.overlap.row(0), s.readout[0], symbols.vector("p", 4, positive=True)
    means = (m1, -m1, m2, -m2)
    push = [p[l] * (Sigmoid(v * ReLU(z)) - LABELS[l]) for l, z in enumerate(means)]
    for t in range(2):
        expected = -v * sp.Add(*(push[l] * Step(means[l]) * MEANS[l][t] for l in range(4)))
        assert sp.expand(drift.overlap[0, t] - expected + BETA * s.overlap[0, t]) == 0
    expected = -sp.Add(*(push[l] * ReLU(means[l]) for l in range(4))) - BETA * v
    assert sp.expand(drift.readout[0] - expected) == 0
    assert sp.expand(drift.gram_perp[0, 0] + 2 * BETA * s.gram_perp[0, 0]) == 0
    assert drift.corrector[0, 0] == 0


BAD = [
    ((0,), {}, "width", "0", "an integer K >= 1"),
    ((-1,), {}, "width", "-1", "an integer K >= 1"),
    ((True,), {}, "width", "True", "an integer K >= 1"),
    ((2.0,), {}, "width", "2.0", "an integer K >= 1"),
    (("4",), {}, "width", "'4'", "an integer K >= 1"),
    ((2,), {"activation": "swish"}, "activation", "'swish'", "'relu'"),
    ((2,), {"weights": ["1/2", "1/2"]}, "weights", "2 entries", "4, one per component"),
    ((2,), {"weights": [0.5, 0.5, 0.5, 0.5]}, "weights", "sum 2", "simplex"),
    ((2,), {"weights": [0.5, 0.5, 0.25, -0.25]}, "weights[3]", "-1/4", "> 0"),
    ((2,), {"weights": [0.5, 0.25, 0.25, 0]}, "weights[3]", "0", "> 0"),
    ((2,), {"weights": "uniform"}, "weights", "'uniform'", "a sequence"),
    ((2,), {"directions_gram": sp.eye(3)}, "directions_gram", "3 x 3", "2 x 2"),
    (
        (2,),
        {"directions_gram": [[1, 1], [1, 1]]},
        "directions_gram",
        "minor of size 2 is 0",
        "independent means",
    ),
    ((2,), {"precision": 0}, "precision", "0", "> 0"),
    ((2,), {"precision": float("inf")}, "precision", "inf", "finite"),
    ((2,), {"ridge": -0.1}, "ridge", "-1/10", ">= 0"),
    ((2,), {"ridge": float("nan")}, "ridge", "nan", "finite"),
    ((2,), {"step": 0}, "step", "0", "> 0"),
]


@pytest.mark.parametrize(
    ("args", "kwargs", "parameter", "got", "expected"), BAD, ids=lambda x: None
)
def test_bad_input_is_explained(args, kwargs, parameter, got, expected):
    with pytest.raises(InputError) as caught:
        xor(*args, **kwargs)
    check_message(caught.value, parameter, got, expected)
