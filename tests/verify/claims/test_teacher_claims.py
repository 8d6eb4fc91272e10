"""Claims about models with teachers: t_s, label noise, and what they are confused with."""

from __future__ import annotations

import pytest
import sympy as sp

import specalign as sa
from theory import InputError, Loss, Mixture, Model, symbols

(U,), T = symbols.vector("u", 1), symbols.vector("t", 2)
XI, Y = symbols.LABEL_NOISE, symbols.LABEL


def model(loss, directions=1, labels=(0,)):
    rows = [[0] * directions for _ in labels]
    data = Mixture.build(labels=list(labels), coordinates=rows)
    return Model.build(data, Loss(loss, units=1), name="student")


PHASE = model((U**2 - T[0] ** 2) ** 2 / 8)
NOISY = model((sp.erf(U) - T[1] - XI / 2 - Y) ** 2 / 2, directions=2, labels=(0, 1))

TRUE = [
    (PHASE, "drift m_1_1", "-E[g_1*t_1] - beta*m_1_1"),
    (PHASE, "drift m_1_1", "-E[g_1*Y_1] - beta*m_1_1"),
    (PHASE, "drift m_1_1", "-(E[H_1_1]*m_1_1 + E[diff(g_1,t_1)]*Gamma_1_1)/lambda - beta*m_1_1"),
    (PHASE, "drift m_1_1", "-E[g_1*w_1]*m_1_1 - E[g_1*w_2]*Gamma_1_1 - beta*m_1_1"),
    (PHASE, "drift R_1_1", "-2*E[g_1*zeta_1] - 2*beta*R_1_1 + c_delta/lambda*E[g_1^2]"),
    (PHASE, "drift R_1_1", "-2/lambda*E[H_1_1]*R_1_1 - 2*beta*R_1_1 + c_delta/lambda*E[g_1^2]"),
    (PHASE, "gradient g_1[e_1]", "E[diff(g_1,t_1)]/lambda"),
    (PHASE, "G_1_1[e_1,x_1]", "E[diff(diff(g_1^2,t_1),u_1)]/lambda^2"),
    (PHASE, "G_1_1[bulk]", "E[g_1^2]/lambda"),
    (PHASE, "H_1_1[e_1,e_1]", "E[diff(diff(H_1_1,t_1),t_1)]/lambda^2"),
    (PHASE, "H_1_1[e_1,x_1]", "0"),
    (PHASE, "H_1_1[x_1,x_1]", "3/lambda^2"),
    (PHASE, "g_1", "(u_1^2 - t_1^2)*u_1/2"),
    (PHASE, "E[H_1_1]", "E[3*u_1^2 - t_1^2]/2"),
    (PHASE, "E[t_1*u_1]", "m_1_1/lambda"),
    (PHASE, "E[t_1^4]", "3*Gamma_1_1^2/lambda^2"),
    (PHASE, "E[t_1^2*u_1^2]", "(Gamma_1_1*Q_1_1 + 2*m_1_1^2)/lambda^2"),
    (PHASE, "E[w_2*t_1]", "1/lambda"),
    (PHASE, "E[w_1*t_1]", "0"),
    (NOISY, "drift m_1_1", "-E[g_1*Y_1] - beta*m_1_1"),
    (NOISY, "drift m_1_2", "-E[g_1*t_2] - beta*m_1_2"),
    (NOISY, "E[xi*t_2]", "0"),
    (NOISY, "E[xi^2]", "1"),
    (NOISY, "E[t_2^2]", "Gamma_2_2/lambda"),
    (NOISY, "E[xi*g_1]", "-E[exp(-u_1^2)]/sqrt(pi)"),
]
FALSE = [
    (PHASE, "drift m_1_1", "-E[g_1*t_1]"),
    (PHASE, "drift m_1_1", "-E[H_1_1]*m_1_1/lambda - beta*m_1_1"),
    (PHASE, "drift m_1_1", "-(E[H_1_1]*m_1_1 + E[diff(g_1,t_1)])/lambda - beta*m_1_1"),
    (PHASE, "drift m_1_1", "-sum_c(E[g_1*w_c]*m_c_1) - beta*m_1_1"),
    (PHASE, "gradient g_1[e_1]", "0"),
    (PHASE, "G_1_1[e_1,x_1]", "E[diff(diff(g_1^2,u_1),u_1)]/lambda^2"),
    (PHASE, "H_1_1[e_1,e_1]", "E[t_1^2]/lambda^2"),
    (PHASE, "g_1", "(u_1^2 - t_1^2)*u_1"),
    (PHASE, "E[t_1*u_1]", "m_1_1"),
    (PHASE, "E[t_1^2*u_1^2]", "Gamma_1_1*Q_1_1/lambda^2"),
    (PHASE, "E[w_1*t_1]", "1/lambda"),
    (NOISY, "drift m_1_1", "-beta*m_1_1"),
    (NOISY, "E[xi^2]", "1/lambda"),
    (NOISY, "E[t_2^2]", "Q_1_1/lambda"),
    (NOISY, "E[xi*g_1]", "0"),
]


STUDENT = model((sp.erf(U / sp.sqrt(2)) - sp.erf(T[0] / sp.sqrt(2))) ** 2 / 2)
OVERLAP = "E[erf(u_1/sqrt(2))*erf(t_1/sqrt(2))]"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("formula", "finding"),
    [
        ("2/pi*asin(m_1_1/sqrt((lambda + Q_1_1)*(lambda + Gamma_1_1)))", "agrees"),
        ("2/pi*asin(m_1_1/sqrt((lambda + Q_1_1)*(lambda + R_1_1)))", "refuted"),
    ],
)
def test_arcsines_of_roots_of_gram_entries(formula, finding):
    """What stands under the root, and 1 minus the square of the sine, is positive at all states."""
    assert sa.check(STUDENT, OVERLAP, formula).finding.value == finding


@pytest.mark.parametrize(("student", "quantity", "formula"), TRUE)
def test_true_claims_about_teachers_stand(student, quantity, formula):
    assert sa.check(student, quantity, formula).stands


@pytest.mark.slow
@pytest.mark.parametrize(("student", "quantity", "formula"), FALSE)
def test_false_claims_about_teachers_are_refuted(student, quantity, formula):
    assert sa.check(student, quantity, formula).finding.value == "refuted"


def test_teachers_that_the_model_does_not_have_are_named():
    with pytest.raises(InputError, match="direction 2"):
        sa.check(PHASE, "E[t_2]", "0")
    with pytest.raises(InputError, match="'xi', which student does not have"):
        sa.check(PHASE, "E[xi]", "0")
    with pytest.raises(InputError, match="'t', which"):
        sa.check(sa.kgmm(2), "E_1[t_1]", "0")
