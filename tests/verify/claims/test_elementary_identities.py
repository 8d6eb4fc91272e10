"""Identities of elementary functions and of fixed points are proved, and nothing close to them."""

from __future__ import annotations

import pytest
import sympy as sp
from helpers import fresh_rng

import verify.claims.stages.pointwise
from theory import (
    GaussianExpectation,
    InputError,
    LogSumExp,
    Loss,
    Mixture,
    Model,
    ReLU,
    Sigmoid,
    Softmax,
    Softplus,
    Step,
    kgmm,
    preactivation_law,
    xor,
)
from verify import check
from verify.claims.judgement import Finding
from verify.claims.stages.pointwise import constant_value, without_constant_integrands

TWO, THREE = (kgmm(k, directions_gram="orthonormal") for k in (2, 3))
OBLIQUE = kgmm(2, directions_gram=[[1, "1/3"], ["1/3", 1]])
NET = xor(2)
U, V, W = sp.symbols("u v w", real=True)


def judged(model: Model, quantity: str, formula: str) -> Finding:
    return check(model, quantity, formula, seed=int(fresh_rng().integers(2**31))).finding


@pytest.mark.parametrize(
    ("model", "quantity", "formula"),
    [
        (TWO, "E_l[exp(u_a)/sum_b(exp(u_b))]", "E_l[pi_a]"),
        (THREE, "pi_a", "exp(u_a)/sum_b(exp(u_b))"),
        (THREE, "log(pi_a)", "u_a - lse(u_1, u_2, u_3)"),
        (TWO, "E_l[log(pi_a)]", "E_l[u_a - log(sum_b(exp(u_b)))]"),
        (NET, "E_l[1/(1 + exp(-sum_i(v_i*relu(u_i))))]", "E_l[sigmoid(sum_i(v_i*relu(u_i)))]"),
        (
            TWO,
            "E_l[w_1*exp(u_2)*pi_1/(1 + exp(u_2))^2]",
            "E_l[diff(pi_1*sigmoid(u_2)*sigmoid(-u_2), u_1)]/lambda",
        ),
        (TWO, "E_l[tanh(u_1)]", "E_l[sinh(u_1)/cosh(u_1)]"),
        (TWO, "E_l[tanh(u_1/2)]", "E_l[2*sigmoid(u_1) - 1]"),
        (NET, "E_l[u_1*step(u_1)]", "E_l[relu(u_1)]"),
        (NET, "E_l[step(u_1)^2*u_1^2]", "E_l[relu(u_1)^2]"),
        (NET, "E_l[relu(u_1) - relu(-u_1)]", "m_1_1*delta_l_1 + E_l[u_1] - delta_l_1*m_1_1"),
        (
            NET,
            "E_1[relu(u_1)]",
            "m_1_1*(1 + erf(m_1_1*sqrt(lambda)/sqrt(2*Q_1_1)))/2"
            " + sqrt(Q_1_1/lambda)*exp(-lambda*m_1_1^2/(2*Q_1_1))/sqrt(2*pi)",
        ),
        (xor(4), "fixed-point norm_l", "log((p_l - beta)/beta)"),
        (xor(6), "fixed-point norm_2", "log((p_2 - beta)/beta)"),
        (OBLIQUE, "fixed-point m_a_s", "s_s*(delta_a_s - 1/k)"),
        (kgmm(2), "fixed-point sum_a(m_a_s)", "0"),
        (
            kgmm(2),
            "fixed-point beta*m_1_1",
            "p_1*Gamma_1_1/(1 + exp(s_1)) - p_2*Gamma_1_2/(1 + exp(s_2))",
        ),
    ],
)
def test_identities_are_proved(model: Model, quantity: str, formula: str) -> None:
    assert judged(model, quantity, formula) is Finding.PROVED


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "quantity", "formula"),
    [
        (TWO, "E_l[exp(u_a)/(1 + sum_b(exp(u_b)))]", "E_l[pi_a]"),
        (TWO, "E_l[tanh(u_1/2)]", "E_l[2*sigmoid(2*u_1) - 1]"),
        (NET, "E_l[u_1*step(u_2)]", "E_l[relu(u_1)]"),
        (xor(4), "fixed-point norm_l", "log((1 - beta)/beta)"),
        (xor(6), "fixed-point norm_1", "2*v_1^2 + beta/10^9"),
        (OBLIQUE, "fixed-point m_a_s", "s_s*(delta_a_s - 1/k) + delta_a_s*beta/10^6"),
        (
            kgmm(2),
            "fixed-point beta*m_1_1",
            "p_1*Gamma_1_1/(1 + exp(s_1)) - p_2*Gamma_1_2/(1 + exp(s_1))",
        ),
    ],
)
def test_what_is_close_to_an_identity_is_refuted(model: Model, quantity: str, formula: str) -> None:
    assert judged(model, quantity, formula) is Finding.REFUTED


def test_a_norm_that_means_nothing_is_refused_by_name() -> None:
    with pytest.raises(InputError, match="no unit picks it"):
        check(NET, "fixed-point norm_3", "1")
    with pytest.raises(InputError, match="norms are those of xor"):
        check(THREE, "fixed-point norm_l", "1")


@pytest.mark.parametrize(
    ("f", "value"),
    [
        (sp.cosh(U) ** 2 - sp.sinh(U) ** 2, 1),
        (Softmax(1, U, V) + Softmax(2, U, V), 1),
        (Sigmoid(U - V) - Softmax(1, U, V), 0),
        (Softplus(U) - LogSumExp(0, U), 0),
        (sp.log(Softmax(1, U, V)) + LogSumExp(U, V) - U, 0),
        (Softplus(U) - Softplus(-U) - U, 0),
        (ReLU(U) ** 2 - U * ReLU(U), 0),
        (ReLU(ReLU(U) - V) - ReLU(U - V) * Step(U) - ReLU(-V) * (1 - Step(U)), 0),
        (sp.exp(U + V) / sp.exp(U) - sp.exp(V), 0),
        (sp.exp(3 * ReLU(U)) - (1 - Step(U)) - Step(U) * sp.exp(3 * U), 0),
        (W * sp.tanh(U) * sp.cosh(U) / sp.sinh(U), W),
    ],
)
def test_functions_that_do_not_depend_on_the_variables(f: sp.Expr, value: int) -> None:
    assert sp.expand(constant_value(f, {U, V}) - value) == 0


@pytest.mark.parametrize(
    "f",
    [
        sp.cosh(U) ** 2 + sp.sinh(U) ** 2,
        Step(U) + Step(-U),  # 0 where u is 0, and there all of its law may be
        sp.log(sp.exp(2 * U) - 2 * sp.exp(U) + 1) - 2 * sp.log(1 - sp.exp(U)),
        sp.sqrt(sp.exp(2 * U) - 2 * sp.exp(U) + 1) - 1 + sp.exp(U),
        Sigmoid(U - V) - Softmax(2, U, V),
        ReLU(U) * Step(-U) + sp.DiracDelta(U),
        ReLU(U + 10**6) - U - 10**6,
        sp.exp(-(10**4) * (U - 9) ** 2),
    ],
)
def test_functions_that_do_or_may(f: sp.Expr) -> None:
    assert constant_value(f, {U, V}) is None


def test_a_look_at_numbers_alone_would_prove_what_is_false(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rewriting decides: the numbers only spare it what cannot be."""
    monkeypatch.setattr(verify.claims.stages.pointwise, "_looks_constant", lambda *_: True)
    assert constant_value(ReLU(U + 10**6) - U - 10**6, {U}) is None
    assert constant_value(sp.cosh(U) - sp.sinh(U), {U}) is None


def test_a_product_of_expectations_is_no_constant_and_no_crash() -> None:
    """SymPy leaves it without a number; its symbols are real, and so is it."""
    model = xor(1)
    law = preactivation_law(model, 0)
    u = law.variables[0]
    product = GaussianExpectation(Step(u) * sp.cos(u), law) ** 2 * model.ridge
    assert without_constant_integrands(product) == product


def test_odd_functions_of_centred_variables_have_no_mean() -> None:
    u, t = sp.symbols("u_1 t_1", real=True)
    pure = Mixture.build(labels=[0], coordinates=[[0]], directions_gram=[[1]])
    model = Model.build(pure, Loss((sp.tanh(u) - t) ** 2 / 2, units=1))
    assert judged(model, "E[g_1]", "0") is Finding.PROVED
    assert judged(model, "E[tanh(u_1)^3*cos(t_1)]", "0") is Finding.PROVED
    assert judged(model, "E[tanh(u_1)*t_1]", "0") is Finding.REFUTED
    assert judged(model, "E[tanh(u_1 + 1/9)]", "0") is Finding.REFUTED
    assert judged(TWO, "E_1[tanh(u_1)]", "0") is Finding.REFUTED
