"""Open numbers of a model as free variables: of one range each, and with weights that follow."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
from helpers import fresh_rng

from theory import Loss, Mixture, Model, Softplus, kgmm, symbols
from verify.claims.stages.moved_numbers import MovedNumbers
from verify.claims.stages.region_search import find_point
from verify.random_points.exact import random_point

U, Y = symbols.vector("u", 1)[0], symbols.LABEL


@pytest.mark.parametrize(
    ("ends", "positive", "low", "high"),
    [
        ((-2, 3), None, -2, 3),
        ((0, 3), True, 0, 3),
        (None, True, 0, np.inf),
        (None, None, -np.inf, np.inf),
    ],
)
def test_a_number_keeps_its_range(ends, positive, low, high):
    number = sp.Symbol("T", real=True, positive=positive)
    data = Mixture.build(labels=[1], coordinates=[[1]], directions_gram=[[1]])
    loss = Loss(Softplus(U - number) - Y * U, units=1, parameters={number: ends})
    point = random_point(Model.build(data, loss), fresh_rng())
    moved = MovedNumbers(point)
    assert moved.values(moved.start)[number] == pytest.approx(float(dict(point.others)[number]))
    for z in fresh_rng().normal(0, 3, 20):
        assert low < moved.values(np.array([z]))[number] < high


def test_weights_follow_the_symbols_inside():
    p = sp.Symbol("p", positive=True)
    model = kgmm(2, weights=[p, 1 - p], directions_gram="orthonormal")
    point = find_point(model, fresh_rng(), {p - sp.Rational(24, 25): 1}, 1, {})
    assert point is not None
    assert point.weights[0] == point.values[p] > sp.Rational(24, 25)
    assert sum(point.weights) == 1
