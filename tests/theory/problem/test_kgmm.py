"""The k-class Gaussian mixture: its statement, and formulas transcribed by hand."""

from __future__ import annotations

import pytest
import sympy as sp
from helpers import linearise
from model_cases import check_message, same_label

from theory import (
    GaussianExpectation,
    InputError,
    Softmax,
    derive_drift,
    derive_gradient_matrix,
    derive_hessian,
    kgmm,
    preactivation_law,
    softmax_cross_entropy,
    symbols,
    xor,
)


@pytest.mark.parametrize("k", [2, 3, 10])
def test_statement(k):
    model = kgmm(k)
    assert (model.units, model.directions, model.components, model.readout_size) == (k, k, k, 0)
    assert model.mixture.labels == tuple(range(1, k + 1))
    assert model.mixture.coordinates == sp.eye(k)
    assert model.mixture.mean_overlaps == model.mixture.directions_gram
    assert model.loss.expression == softmax_cross_entropy(k).expression
    assert model.name == f"kgmm{k}"
    gamma = k * (k + 1) // 2
    assert len(model.parameter_symbols) == k + gamma + 3  # p, Gamma, lambda, beta, c_delta
    assert len(model.symbols.state) == k * k + gamma


def test_numbers_replace_symbols():
    model = kgmm(
        3,
        weights=["1/2", "3/10", "1/5"],
        directions_gram="orthonormal",
        precision="5/2",
        ridge=0,
        step=2,
    )
    assert model.parameter_symbols == set()
    assert model.mixture.directions_gram == sp.eye(3)
    assert (model.mixture.precision, model.ridge, model.step) == (sp.Rational(5, 2), 0, 2)


def test_symbols_of_the_user_are_kept():
    rho = sp.Symbol("rho", real=True)
    model = kgmm(2, directions_gram=[[1, rho], [rho, 1]], weights=["1/3", "2/3"])
    assert model.parameter_symbols == {rho, symbols.PRECISION, symbols.RIDGE, symbols.STEP}


class Hand:
    """The formulas of mathematics.md sections 3 and 4 for softmax, by hand."""

    def __init__(self, k):
        self.model, self.k = kgmm(k), k
        self.u = self.model.symbols.preactivation
        self.pi = [Softmax(a + 1, *self.u) for a in range(k)]
        self.gamma = self.model.mixture.directions_gram
        self.p = self.model.mixture.weights
        self.lam = symbols.PRECISION

    def mean(self, l, f):
        return GaussianExpectation(f, preactivation_law(self.model, l))

    def g(self, a, l):
        return self.pi[a] - int(a == l)

    def h(self, a, b):
        return self.pi[a] * int(a == b) - self.pi[a] * self.pi[b]

    def dh(self, a, b, c):
        """d_c H_ab with all coincidences spelt out."""
        pa, pb, pc = self.pi[a], self.pi[b], self.pi[c]
        diagonal = pa * (int(a == c) - pc) if a == b else 0
        return diagonal - pa * pb * (int(a == c) + int(b == c) - 2 * pc)


@pytest.mark.parametrize("k", [2, 3])
def test_drift_transcribed(k):
    hand, drift = Hand(k), derive_drift(kgmm(k))
    s, beta, step, lam = hand.model.symbols, symbols.RIDGE, symbols.STEP, hand.lam
    classes = range(k)
    for a in classes:
        for t in classes:
            expected = -beta * s.overlap[a, t]
            for l in classes:
                expected -= hand.p[l] * hand.mean(l, hand.g(a, l)) * hand.gamma[l, t]
                for b in classes:
                    expected -= hand.p[l] * hand.mean(l, hand.h(a, b)) * s.overlap[b, t] / lam
            assert linearise(same_label(drift.overlap[a, t]) - expected) == 0
        for b in classes:
            expected = -2 * beta * s.gram_perp[a, b]
            corrector = sp.Integer(0)
            for l in classes:
                for c in classes:
                    expected -= (
                        hand.p[l]
                        / lam
                        * (
                            hand.mean(l, hand.h(a, c)) * s.gram_perp[c, b]
                            + hand.mean(l, hand.h(b, c)) * s.gram_perp[c, a]
                        )
                    )
                corrector += step / lam * hand.p[l] * hand.mean(l, hand.g(a, l) * hand.g(b, l))
            assert linearise(drift.gram_perp[a, b] - expected) == 0
            assert linearise(same_label(drift.corrector[a, b]) - corrector) == 0


@pytest.mark.parametrize("k", [2, 3])
def test_hessian_transcribed(k):
    hand, hessian = Hand(k), derive_hessian(kgmm(k))
    for a in range(k):
        for b in range(k):
            block = hessian.block(a, b)
            bulk = sum(hand.p[l] * hand.mean(l, hand.h(a, b)) for l in range(k)) / hand.lam
            assert linearise(block.bulk - bulk - (symbols.RIDGE if a == b else 0)) == 0
            for i in range(k):
                for j in range(k):
                    means = hand.p[i] * hand.mean(i, hand.h(a, b)) if i == j else 0
                    assert linearise(block.coefficients[i, j] - means) == 0
                    slope = hand.p[i] * hand.mean(i, hand.dh(a, b, j)) / hand.lam
                    assert linearise(block.coefficients[i, k + j] - slope) == 0
                    second = hand.dh(a, b, i).diff(hand.u[j])
                    curvature = (
                        sum(hand.p[l] * hand.mean(l, second) for l in range(k)) / hand.lam**2
                    )
                    assert linearise(block.coefficients[k + i, k + j] - curvature) == 0


def test_gradient_matrix_transcribed():
    k = 2
    hand, blocks = Hand(k), derive_gradient_matrix(kgmm(k))
    for a in range(k):
        for b in range(k):
            block = blocks.block(a, b)
            for l in range(k):
                weight = hand.g(a, l) * hand.g(b, l)
                entry = same_label(block.coefficients[l, l])
                assert linearise(entry - hand.p[l] * hand.mean(l, weight)) == 0
                for c in range(k):
                    entry = same_label(block.coefficients[l, k + c])
                    assert (
                        linearise(
                            entry - hand.p[l] * hand.mean(l, weight.diff(hand.u[c])) / hand.lam
                        )
                        == 0
                    )


BAD = [
    ((1,), {}, "k", "1", ">= 2"),
    ((2.0,), {}, "k", "2.0", "an integer >= 2"),
    ((True,), {}, "k", "True", "an integer >= 2"),
    (("3",), {}, "k", "'3'", "an integer >= 2"),
    ((2,), {"directions_gram": "orthogonal"}, "directions_gram", "'orthogonal'", "'orthonormal'"),
    ((3,), {"directions_gram": [[1, 0], [0, 1]]}, "directions_gram", "2 x 2", "3 x 3"),
    (
        (2,),
        {"directions_gram": [[1, 1], [1, 1]]},
        "directions_gram",
        "minor of size 2 is 0",
        "independent means",
    ),
    ((2,), {"weights": [0.5, 0.3, 0.2]}, "weights", "3 entries", "2, one per component"),
    ((2,), {"weights": [0.5, 0.6]}, "weights", "1.1", "sum 1"),
    ((2,), {"weights": [1, 0]}, "weights[1]", "0", "> 0"),
    ((2,), {"precision": 0}, "precision", "0", "> 0"),
    ((2,), {"precision": -3}, "precision", "-3", "> 0"),
    ((2,), {"ridge": -0.25}, "ridge", "-", ">= 0"),
    ((2,), {"step": 0}, "step", "0", "> 0"),
    ((2,), {"step": float("nan")}, "step", "nan", "finite"),
]


@pytest.mark.parametrize(
    ("args", "kwargs", "parameter", "got", "expected"), BAD, ids=lambda x: None
)
def test_bad_input_is_explained(args, kwargs, parameter, got, expected):
    with pytest.raises(InputError) as caught:
        kgmm(*args, **kwargs)
    check_message(caught.value, parameter, got, expected)


@pytest.mark.parametrize("make", [kgmm, xor])
@pytest.mark.parametrize(("typed", "meant"), [("beta", "ridge"), ("lr", "step is c_delta")])
def test_a_number_under_another_name_is_told_its_own(make, typed, meant):
    with pytest.raises(InputError, match=f"{typed}: .* of {make.__name__}: .*Remedy: .*{meant}"):
        make(2, **{typed: "1/10"})


def test_means_that_depend_on_each_other():
    """Three centred means at equal angles, four in a plane, three on a line."""
    centred = kgmm(3, means="simplex").mixture
    gram = centred.coordinates * centred.directions_gram * centred.coordinates.T
    half = sp.Rational(1, 2)
    assert gram == sp.Matrix([[1, -half, -half], [-half, 1, -half], [-half, -half, 1]])
    plane = kgmm(4, means=[[1, 0], [0, 1], [-1, -1], [1, 1]])
    assert (plane.units, plane.components, plane.directions) == (4, 4, 2)
    assert plane.mixture.directions_gram == sp.eye(2)
    line = kgmm(3, means=[[-1], [0], [2]], directions_gram=[[3]]).mixture
    assert line.mean_overlaps == sp.Matrix([-3, 0, 6])
    assert plane.loss == kgmm(4).loss


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"means": "centred"}, "means"),
        ({"means": [[1, 0], [0, 1]]}, r"2 row\(s\)"),
        ({"means": 3}, "means"),
        ({"means": "simplex", "directions_gram": "orthonormal"}, "leave it away"),
        ({"means": [[1], [2], [3]], "directions_gram": "ortho"}, "directions_gram"),
        ({"means": [[1], [2], [3]], "directions_gram": sp.eye(3)}, "directions_gram"),
        ({"directions_gram": sp.ones(3)}, "kgmm\\(k, means="),
    ],
)
def test_wrong_means_are_refused(arguments, match):
    with pytest.raises(InputError, match=match):
        kgmm(3, **arguments)
