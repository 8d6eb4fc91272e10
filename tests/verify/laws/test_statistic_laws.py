"""Laws of losses that hold statistics or numbers of one's own, and the slip that they see."""

from __future__ import annotations

from dataclasses import replace

import pytest
import sympy as sp
from helpers import fresh_rng
from statistic_cases import CASES, oja

from theory import Loss, Mixture, Model, Softplus, derive_drift, symbols
from verify import Formulas, check_model

U, Y, T = symbols.vector("u", 1)[0], symbols.LABEL, sp.Symbol("T", positive=True)
QUICK = ["gradient_of_risk", "mean_increment", "increment_covariance"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["oja", "normalised"])
def test_every_law_holds_where_the_loss_holds_statistics(name):
    check_model(
        replace(CASES[name].model(), step=symbols.STEP), seed=int(fresh_rng().integers(2**32))
    )


@pytest.mark.slow
def test_laws_of_two_units_with_overlaps():
    names = [*QUICK, "hessian_of_gradient", "gradient_matrix_mean", "relabelled_units", "rotation"]
    check_model(CASES["pair"].model(), only=names, seed=int(fresh_rng().integers(2**32)))


def test_a_law_sees_that_the_gradient_in_the_norm_is_missing():
    model = oja()
    plain = replace(model, loss=Loss(-(U**2), units=1))
    wrong = Formulas(model, {"drift": derive_drift(plain)})
    seed = int(fresh_rng().integers(2**32))
    report = check_model(
        model, only=["mean_increment"], formulas=wrong, on_fail="report", seed=seed
    )
    assert not report.holds


def test_laws_of_a_loss_with_a_temperature():
    mixture = Mixture.build(labels=[1, 0], coordinates=[[1], [-1]], directions_gram=[[1]])
    loss = Loss(T * (Softplus(U / T) - Y * U / T), units=1, parameters={"T": (0.5, 2)})
    check_model(Model.build(mixture, loss), only=QUICK, seed=int(fresh_rng().integers(2**32)))
