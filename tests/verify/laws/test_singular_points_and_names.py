"""Laws where everything nearly vanishes, names of entries, and which law is told first."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import sympy as sp
from helpers import fresh_rng
from mutants import ridge_flipped, without_inverse_precision

from theory import (
    Drift,
    InputError,
    Loss,
    Mixture,
    Model,
    Softplus,
    derive_drift,
    derive_gradient,
    derive_gradient_matrix,
    derive_hessian,
    kgmm,
    symbols,
    xor,
)
from verify import Domain, Formulas, check_model
from verify.laws.check_model import LAWS
from verify.laws.entry_names import expression_names, pairs, weight_names
from verify.laws.law import compare

# all gradients of the loss vanish here, and the steps are those of the ridge
STILL = Domain(overlap=0, readout=0)


def three_layer_tanh(units: int = 2) -> Model:
    u, v = symbols.vector("u", units), symbols.vector("v", units + 1)
    f = v[units] * sp.tanh(sum(v[a] * sp.tanh(u[a]) for a in range(units)))
    loss = Loss(Softplus(f) - symbols.LABEL * f, units=units, readout_size=units + 1)
    return Model.build(xor(1).mixture, loss, name="three layers")


@pytest.mark.slow
@pytest.mark.parametrize("law", ["mean_increment", "increment_covariance", "gradient_matrix_mean"])
def test_the_engine_obeys_laws_where_every_gradient_vanishes(law: str) -> None:
    assert check_model(xor(2), only=[law], domain=STILL, on_fail="report").holds


@pytest.mark.slow
def test_a_wrong_drift_is_seen_where_every_gradient_vanishes() -> None:
    """Off by a share of the ridge, which is all that moves anything there."""

    def wrong(drift: Drift) -> Drift:
        added = sp.ones(*drift.overlap.shape) * symbols.RIDGE / 10**6
        return replace(drift, overlap=sp.ImmutableDenseMatrix(drift.overlap + added))

    model = xor(1)
    formulas = Formulas(model, {"drift": wrong(derive_drift(model))})
    report = check_model(
        model, only=["mean_increment"], domain=STILL, formulas=formulas, on_fail="report"
    )
    assert report["mean_increment"].outcome == "fails"


@pytest.mark.slow
def test_counterexamples_do_not_shrink_to_rounding() -> None:
    """A factor that is wrong where the readout does not vanish is shown where it does not."""
    model = xor(1)
    right = derive_drift(model)
    wrong = replace(right, overlap=sp.ImmutableDenseMatrix(right.overlap * sp.Rational(3, 2)))
    report = check_model(
        model,
        only=["mean_increment"],
        domain=Domain(overlap=1.0, readout=1.5, precision=(1.0, 6.0), ridge=(0.0, 0.0)),
        formulas=Formulas(model, {"drift": wrong}),
        on_fail="report",
    )
    found = report["mean_increment"]
    assert found.outcome == "fails"
    assert found.check is not None
    failed = [c for c in found.check.comparisons if c.verdict.value == "fails"]
    assert max(abs(c.deviation) / c.resolution for c in failed if c.resolution) >= 1


@pytest.mark.parametrize(
    ("formulas", "first"),
    [
        ({"gradient": lambda m: ridge_flipped(derive_gradient(m))}, "gradient_of_risk"),
        (
            {"hessian": lambda m: without_inverse_precision(derive_hessian(m))},
            "hessian_of_gradient",
        ),
        (
            {"gradient_matrix": lambda m: without_inverse_precision(derive_gradient_matrix(m))},
            "gradient_matrix_mean",
        ),
        ({"drift": lambda m: ridge_flipped(derive_drift(m))}, "mean_increment"),
    ],
)
def test_the_law_that_tells_what_is_wrong_comes_first(formulas: Any, first: str) -> None:
    u, y = symbols.vector("u", 1)[0], symbols.LABEL
    mixture = Mixture.build(labels=[1, 0], coordinates=[[1], [-1]])
    model = Model.build(mixture, Loss(Softplus(u) - y * u, units=1), name="logistic")
    claimed = Formulas(model, {name: make(model) for name, make in formulas.items()})
    names = list(LAWS)[: list(LAWS).index(first) + 1]
    report = check_model(model, only=names, formulas=claimed, on_fail="report")
    failed = [r.law.name for r in report.results if r.outcome == "fails"]
    assert failed[:1] == [first]


def test_entries_have_names() -> None:
    model = xor(2)
    for derived in (derive_drift(model), derive_gradient(model), derive_hessian(model)):
        names = expression_names(derived, model)
        assert len(names) == len(set(names)) == len(list(derived.expressions()))
    names = expression_names(derive_hessian(model), model)
    hessian = derive_hessian(model)
    at = dict(zip(names, hessian.expressions(), strict=True))
    assert at["H_1_2[bulk]"] == hessian.block(0, 1).bulk
    assert at["H_1_2[e_2,x_1]"] == hessian.block(0, 1).coefficients[1, 2]
    assert at["H_2_v_1[x_2]"] == hessian.mixed[2, 3]
    assert at["H_v_1_v_2"] == hessian.readout[0, 1]
    assert weight_names(model, 3)[4:8] == ["x_2[2]", "x_2[3]", "v_1", "v_2"]
    assert pairs(["a", "b"], ["c"]) == ["(a, c)", "(b, c)"]


@pytest.mark.slow
def test_no_entry_is_called_by_its_number() -> None:
    """In no law, of any comparison; and names that do not fit are an error."""
    report = check_model(kgmm(2), on_fail="report", seed=int(fresh_rng().integers(2**31)))
    told = [c.quantity for r in report.results if r.check for c in r.check.comparisons]
    entries = [text.partition(", entry ")[2] for text in told if ", entry " in text]
    assert entries
    assert not [text for text in entries if text.isdigit()]
    with pytest.raises(ValueError, match="2 entries, 1 names"):
        compare("x", np.zeros(2), np.zeros(2), [], resolution=1.0)


@pytest.mark.slow
def test_a_three_layer_tanh_model_obeys_the_laws() -> None:
    """But for the expansion in 1/lambda, whose second derivatives take minutes."""
    names = [name for name in LAWS if name != "low_noise_expansion"]
    assert check_model(three_layer_tanh(), only=names, on_fail="report").holds


def test_a_model_is_refused_by_name() -> None:
    with pytest.raises(InputError, match=r"sa\.Model"):
        check_model(3)  # type: ignore[arg-type]
