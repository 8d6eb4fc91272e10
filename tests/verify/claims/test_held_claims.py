"""Claims about losses with numbers of one's own and statistics: their letters, and refusals."""

from __future__ import annotations

import pytest
import sympy as sp
from statistic_cases import oja

from theory import InputError, Loss, Mixture, Model, Softplus, symbols
from verify import check
from verify.claims.language.tree import FormulaError

U, Y, T = symbols.vector("u", 1)[0], symbols.LABEL, sp.Symbol("T", positive=True)
MIXTURE = Mixture.build(labels=[1, 0], coordinates=[[1], [-1]], directions_gram=[[1]])
TEMPERED = Model.build(
    MIXTURE, Loss(T * (Softplus(U / T) - Y * U / T), units=1, parameters={"T": (0.5, 2)})
)
DRIFT_R = (
    "-E[g_a*zeta_b] - E[g_b*zeta_a] - sum_c(E[kappa_a_c]*R_c_b + E[kappa_b_c]*R_c_a)"
    " - 2*beta*R_a_b + c_delta/lambda*E[g_a*g_b]"
)


@pytest.mark.parametrize(
    ("quantity", "claim", "finding"),
    [
        ("drift m_a_s", "-E[g_a*Y_s] - sum_b(E[kappa_a_b]*m_b_s) - beta*m_a_s", "proved"),
        ("drift m_a_s", "-E[g_a*Y_s] - sum_b(E[u_a^2]*m_b_s) - beta*m_a_s", "proved"),
        ("drift m_a_s", "-E[g_a*Y_s] - beta*m_a_s", "refuted"),
        ("drift m_a_s", "-E[g_a*Y_s] - sum_b(E[kappa_a_b]*m_b_s)/2 - beta*m_a_s", "refuted"),
        ("drift R_a_b", DRIFT_R, "proved"),
        ("drift R_a_b", DRIFT_R.replace(" + E[kappa_b_c]*R_c_a", ""), "refuted"),
        ("m_1_1", r"-\mathbb{E}[g_1 Y_1] - \mathbb{E}[\kappa_{11}] m_{11} - \beta m_{11}", "latex"),
    ],
)
def test_statistics_have_letters(quantity, claim, finding):
    if finding == "latex":
        quantity, finding = r"\dot m_{11}", "proved"
    assert check(oja(), quantity, claim).finding.value == finding


@pytest.mark.parametrize(
    ("quantity", "claim", "findings"),
    [
        ("drift m_1_s", "-E[(1/(1+exp(-u_1/T)) - y)*Y_s] - beta*m_1_s", ("agrees", "proved")),
        ("drift m_1_s", "-T*E[g_1/T*Y_s] - beta*m_1_s", ("proved",)),
        ("drift m_1_s", "-T*E[g_1*Y_s] - beta*m_1_s", ("refuted",)),
        ("hessian H_a_b[bulk]", "E[H_a_b]/lambda + beta*delta_a_b", ("proved",)),
        # far from where they are drawn, and beyond their range
        ("E_1[u_1]", "m_1_1 + relu(3/5 - T)*relu(m_1_1 - 3)", ("refuted",)),
        ("E_1[u_1]", "m_1_1 + relu(T - 2)", ("proved",)),
        ("corrector_a_b", r"\frac{c_\delta}{\lambda} \mathbb{E}[g_a g_b]", ("proved",)),
    ],
)
def test_free_parameters_have_letters(quantity, claim, findings):
    assert check(TEMPERED, quantity, claim).finding.value in findings


def test_what_nobody_declared_has_none():
    with pytest.raises(FormulaError, match="the unknown name 'tau'"):
        check(TEMPERED, "drift m_1_s", "-E[(1/(1+exp(-u_1/tau)) - y)*Y_s] - beta*m_1_s")
    with pytest.raises(FormulaError, match="'kappa'"):
        check(TEMPERED, "drift m_1_s", "-E[g_1*Y_s] - E[kappa_1_1]*m_1_s")
    with pytest.raises(InputError, match=r"holds Q_1_1.*a claim about hessian does not know"):
        check(oja(), "hessian H_a_b[bulk]", "E[H_a_b]/lambda + beta*delta_a_b")
