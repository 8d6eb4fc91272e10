"""Laws of models with bands, and theories that forget a part of them."""

from __future__ import annotations

from dataclasses import replace

import pytest
import sympy as sp

from theory import Bands, Loss, Mixture, Model, Update, derive_drift, derive_hessian, kgmm, symbols
from verify import Formulas, check_model

BANDS = Bands(["1/4", "3/4"], [["1/2", 1], ["3/2", "2/3"]])
# the second direction is absent from the first band
GRAMS = [[["1/2", 0], [0, 0]], [["1/4", "1/8"], ["1/8", "1/3"]]]


def line(update=None):
    """One logistic unit between two classes along one direction, all of it open."""
    (u,) = symbols.vector("u", 1)
    data = Mixture.build(labels=[0, 1], coordinates=[[1], [-1]], bands=BANDS)
    loss = Loss(sp.log(1 + sp.exp(u)) - symbols.LABEL * u, units=1)
    return Model.build(data, loss, name="line in bands", update=update)


def two_classes():
    """Softmax with a Gram matrix a band, one of them singular."""
    return kgmm(2, directions_gram=GRAMS, bands=BANDS)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("build", "laws"),
    [
        (line, ["rotation", "relabelled_components"]),
        pytest.param(line, None, marks=pytest.mark.slow),
        pytest.param(two_classes, None, marks=pytest.mark.slow),
        pytest.param(
            lambda: line(Update(rules={"unit 1": sp.sign(symbols.SLOPE)})),
            ["mean_increment", "increment_covariance"],
            marks=pytest.mark.slow,
        ),
    ],
)
def test_every_law_holds(build, laws):
    check_model(build(), only=laws)


def without_shares(model):
    """The corrector of a band that takes all of the dimension."""
    drift = derive_drift(model)
    doubled = [e / BANDS.fractions[g] for g, e in enumerate(drift.corrector)]
    return {"drift": replace(drift, corrector=sp.ImmutableDenseMatrix(2, 1, doubled))}


def with_one_bulk(model):
    """The level of the first band in both."""
    hessian = derive_hessian(model)
    block = hessian.block(0, 0)
    bulk = sp.ImmutableDenseMatrix([block.bulk[0], block.bulk[0]])
    return {"hessian": replace(hessian, first_layer={(0, 0): replace(block, bulk=bulk)})}


@pytest.mark.parametrize(
    ("wrong", "law"),
    [
        pytest.param(without_shares, "mean_increment", marks=pytest.mark.slow),
        (with_one_bulk, "hessian_of_gradient"),
    ],
)
def test_theories_that_forget_a_part_are_refuted(wrong, law):
    model = line()
    formulas = Formulas(model, wrong(model))
    assert not check_model(model, only=[law], formulas=formulas, on_fail="report").holds
