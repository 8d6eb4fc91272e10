"""Laws of models with an update of their own, and theories that forget a part of it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import sympy as sp
from update_cases import CASES, LINE, LOGISTIC, SQUARE, G, network, one_unit

from theory import Mixture, Update, derive_diffusion, derive_drift, derive_hessian, symbols
from verify import Formulas, check_model

SLOW = [name for name in CASES if name not in ("sign", "perceptron", "average")]


def opened(model):
    """The model with weights, Gram matrix, precision, ridge and step as symbols."""
    mixture = model.mixture
    data = Mixture.build(labels=mixture.labels, coordinates=mixture.coordinates)
    return replace(model, mixture=data, ridge=symbols.RIDGE, step=symbols.STEP)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    ["sign", "perceptron", "average", *(pytest.param(n, marks=pytest.mark.slow) for n in SLOW)],
)
def test_every_law_holds(name):
    check_model(opened(CASES[name].model()))


@pytest.mark.slow
def test_every_law_holds_with_momentum():
    report = check_model(opened(network(Update(momentum="1/2", rates={"unit 1": "1/2"}))))
    assert report["mean_increment"].check is None  # one step with momentum is not the drift


SIGN = one_unit(SQUARE, Update(rules={"unit 1": sp.sign(G)}))
AVERAGE = CASES["average"].model()
BULK = network(Update(project="bulk"), LINE)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "wrong", "law"),
    [
        # the plain gradient in place of the rule
        (SIGN, lambda m: {"drift": derive_drift(m.with_update(None))}, "mean_increment"),
        (
            SIGN,
            lambda m: {"diffusion": derive_diffusion(m.with_update(None))},
            "increment_covariance",
        ),
        (AVERAGE, lambda m: {"drift": derive_drift(m.with_update(None))}, "mean_increment"),
        # the Hessian is that of the loss, its ridges included
        (
            one_unit(LOGISTIC, Update(ridges={"unit 1": 0})),
            lambda m: {"hessian": derive_hessian(m.with_update(None))},
            "hessian_of_gradient",
        ),
        pytest.param(
            BULK,
            lambda m: {"drift": derive_drift(m).without_corrector()},
            "mean_increment",
            marks=pytest.mark.slow,
        ),
    ],
)  # fmt: skip
def test_theories_that_forget_a_part_are_refuted(model, wrong, law):
    model = opened(model)
    formulas = {name: replace(found, model=model) for name, found in wrong(model).items()}
    report = check_model(model, only=[law], formulas=Formulas(model, formulas), on_fail="report")
    assert not report.holds
    assert check_model(model, only=[law]).holds
