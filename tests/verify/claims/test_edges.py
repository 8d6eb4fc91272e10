"""Claims that hold everywhere but at an edge of the domain are refuted there."""

import pytest
import sympy as sp
from helpers import fresh_rng

from theory import Bands, Loss, Mixture, Model, kgmm, symbols
from verify.claims.judge import check
from verify.claims.judgement import Finding

MODEL = kgmm(2, directions_gram="orthonormal")


def linear() -> Model:
    u, t = symbols.vector("u", 1)[0], symbols.vector("t", 1)[0]
    pure = Mixture.build(labels=[0], coordinates=[[0, 0]], directions_gram=sp.eye(2))
    return Model.build(pure, Loss((u - t) ** 2 / 2, units=1), name="linear")


def banded() -> Model:
    bands = Bands(fractions=[0.1, 0.9], scales=[[1, 0.3], [2, 0.3]])
    parts = [[["4/5", 0], [0, "4/5"]], [["1/5", 0], [0, "1/5"]]]
    return kgmm(2, directions_gram=parts, bands=bands)


def finding(model: Model, quantity: str, formula: str) -> Finding:
    return check(model, quantity, formula, seed=int(fresh_rng().integers(2**31))).finding


@pytest.mark.slow
@pytest.mark.parametrize("term", ["step(beta)", "step(R_1_1)", "step(Q_2_2)", "step(beta*lambda)"])
def test_steps_at_the_edge_of_the_domain_are_refuted(term: str) -> None:
    assert finding(MODEL, "E_1[u_1]", f"m_1_1 + {term} - 1") is Finding.REFUTED
    assert finding(
        linear(), "E[g_a*t_1]", f"(m_1_1 - 1)/lambda*{term}".replace("_2_2", "_1_1")
    ) is (Finding.REFUTED)


@pytest.mark.slow
def test_edges_of_bands_are_refuted() -> None:
    assert finding(banded(), "E_1[u_1]", "(m_1_1_1 + m_2_1_1)*step(R_2_1_1)") is Finding.REFUTED


@pytest.mark.parametrize(
    "term", ["step(lambda)*step(c_delta)*step(p_1)", "step(1 + beta)", "step(1 + m_1_1^2 + Q_1_1)"]
)
def test_steps_of_what_is_positive_everywhere_are_one(term: str) -> None:
    assert finding(MODEL, "E_1[u_1]", f"m_1_1*{term}") is Finding.PROVED


def test_a_claim_without_a_value_on_an_edge_is_not_refuted_there() -> None:
    formula = "m_1_1/Q_1_1 + 1 - step(Q_1_1)"
    assert finding(MODEL, "E_1[u_1]/Q_1_1", formula) is Finding.AGREES


@pytest.mark.slow
def test_one_sided_forms_of_bands_are_seen_by_their_parts() -> None:
    true, wrong = "relu(m_1_1_1^2 - Q_1_1_1)", "relu(m_1_1_1^2 - Q_1_1_1/2)"
    assert finding(banded(), "E_1[u_1]", f"m_1_1_1 + m_2_1_1 + {true}") is Finding.PROVED
    assert finding(banded(), "E_1[u_1]", f"m_1_1_1 + m_2_1_1 + {wrong}") is Finding.REFUTED
