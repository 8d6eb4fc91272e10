"""Readout features: the span of g(W mu), g(-W mu), g(W nu), g(-W nu), and not of W mu, W nu."""

from __future__ import annotations

import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from theory import (
    Activation,
    InputError,
    ReLU,
    Sigmoid,
    derive_readout_features,
    kgmm,
    symbols,
    xor,
)
from theory.problem.activations import ARGUMENT, get_activation

MEANS = ((1, 0), (-1, 0), (0, 1), (0, -1))
LABELS = (1, 1, 0, 0)
SMOOTH = [Activation("cubic", ARGUMENT**3 - 2 * ARGUMENT), Activation("affine", 2 * ARGUMENT + 1)]
HINGE = Activation("hinge", 3 * sp.Max(ARGUMENT - 1, 0), kinks=(1,))
SHAPES = ["relu", "leaky_relu", "tanh", "softplus", HINGE, *SMOOTH]


def parallel(row, other):
    """Both vectors span the same line, symbolically: all 2 x 2 minors vanish, entry by entry."""
    pairs = [(i, j) for i in range(len(row)) for j in range(i)]
    return all(sp.expand(row[i] * other[j] - row[j] * other[i]) == 0 for i, j in pairs)


@pytest.mark.parametrize("width", [1, 2, 4])
@pytest.mark.parametrize("shape", SHAPES, ids=lambda s: getattr(s, "name", s))
def test_features_are_the_activations_at_the_means(shape, width):
    """Row l is proportional to g(W S_l), by a non-zero number that is the same in all rows."""
    model, g = xor(width, activation=shape), get_activation(shape)
    vectors = derive_readout_features(model).vectors
    w = model.symbols.overlap
    assert vectors.shape == (4, width)
    scale = set()
    for l, mean in enumerate(MEANS):
        expected = [g(e) for e in w * sp.Matrix(mean)]
        for got, value in zip(vectors.row(l), expected, strict=True):
            scale.add(sp.cancel(got / value))
    (factor,) = scale
    assert factor.is_number
    assert factor != 0


@pytest.mark.parametrize("width", [2, 3])
def test_features_span_the_readout_gradient_at_the_means(width):
    """The definition: d ell / d v at the mean pre-activations of every cluster, from the loss by
    hand.
    """
    model = xor(width)
    vectors = derive_readout_features(model).vectors
    v, w = model.symbols.readout, model.symbols.overlap
    for l, mean in enumerate(MEANS):
        at = [ReLU(e) for e in w * sp.Matrix(mean)]
        residual = Sigmoid(sp.Add(*(a * b for a, b in zip(v, at, strict=True)))) - LABELS[l]
        assert parallel(list(vectors.row(l)), [residual * a for a in at])


@pytest.mark.slow
@settings(max_examples=25)
@given(st.lists(st.integers(-4, 4).filter(bool), min_size=8, max_size=8))
def test_features_of_relu_are_not_the_span_of_the_overlaps(entries):
    """Span(W mu, W nu) has dimension 2; the features W mu = g(W mu) - g(-W mu) and |W mu| are in
    the larger span.
    """
    model = xor(4)
    w = sp.Matrix(4, 2, entries)
    names = dict(zip(model.symbols.overlap, w, strict=True))
    vectors = derive_readout_features(model).vectors.subs(names)
    assert vectors.row(0) - vectors.row(1) == w.col(0).T
    assert vectors.row(0) + vectors.row(1) == w.col(0).T.applyfunc(abs)
    assert vectors.rank() == sp.Matrix.hstack(w, w.applyfunc(abs)).rank()
    assert all(e >= 0 for e in vectors)


def test_the_four_features_have_rank_four_where_every_unit_picks_its_cluster():
    """W = (mu, -mu, nu, -nu): the feature matrix is the identity, W itself has rank 2."""
    model = xor(4)
    w = sp.Matrix(MEANS)
    vectors = derive_readout_features(model).vectors.subs(
        dict(zip(model.symbols.overlap, w, strict=True))
    )
    assert vectors == sp.eye(4)
    assert w.rank() == 2


def test_a_single_layer_has_no_features():
    with pytest.raises(
        InputError,
        match=r"model: got kgmm2; expected a model with readout parameters. Remedy: it has",
    ):
        derive_readout_features(kgmm(2))


def test_features_are_expressions_of_the_overlaps_alone():
    vectors = derive_readout_features(xor(3)).vectors
    assert vectors.free_symbols <= set(symbols.rectangular("m", 3, 2))
