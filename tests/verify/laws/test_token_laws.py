"""The laws of every model, of models whose samples hold several tokens."""

from __future__ import annotations

import pytest
from token_cases import LOSSES

from theory import Mixture, Model, derive_drift
from verify import Domain, Formulas, check_model

# laws that hold of both large models, each judged of one of them
OF_ATTENTION = (
    "gradient_of_risk",
    "hessian_of_gradient",
    "gradient_matrix_mean",
    "noiseless_limit",
    "moment_routes",
    "hessian_symmetric",
    "gradient_matrix_psd",
)
OF_PATCHES = ("mean_increment", "increment_covariance", "low_noise_expansion")


def open_model(name, step=None):
    loss, tokens, labels, _, _ = LOSSES[name]()
    return Model.build(Mixture.build(labels=labels, tokens=tokens), loss, name=name, step=step)


@pytest.mark.slow
def test_every_law_holds_of_a_pair():
    report = check_model(open_model("contrastive"))
    assert report.holds
    assert "gauge" in str(report["gauge"])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "laws"), [("attention", OF_ATTENTION), ("patches", OF_PATCHES)], ids=str
)
def test_laws_hold_of_patches_and_attention(name, laws):
    """In the domain where a rule in four dimensions resolves the integrands."""
    domain = Domain(precision=(10.0, 40.0))
    assert check_model(open_model(name), only=laws, domain=domain).holds


@pytest.mark.slow
def test_a_corrector_of_one_token_is_seen():
    """Half of the sum over tokens of g_p^2 is another drift, where the step is large."""
    model = open_model("contrastive", step=50)
    drift = derive_drift(model)
    formulas = Formulas(model, {"drift": drift.with_step(model.step / 2)})
    report = check_model(model, only=["mean_increment"], formulas=formulas, on_fail="report")
    assert not report.holds
    assert "R_1_1" in str(report["mean_increment"])
