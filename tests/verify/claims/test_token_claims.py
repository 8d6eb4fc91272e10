"""Claims about samples of several features: letters of tokens, all stages, and refusals."""

from __future__ import annotations

import pytest
import sympy as sp
from helpers import fresh_rng

from theory import InputError, Loss, Mixture, Model, ReLU, Softplus, derive_drift, kgmm, symbols
from verify import check
from verify.claims.judge import make_claim
from verify.claims.language.latex.formula import parse_latex
from verify.claims.language.tree import FormulaError, show

((ONE, TWO),) = symbols.tokens("u", 1, 2)
V, Y = symbols.vector("v", 1)[0], symbols.LABEL
PATCHES = Mixture.build(labels=[1, 0], tokens=[[[1], [0]], [[-1], [0]]])


def patches(activation=sp.tanh):
    f = V * (activation(ONE) + activation(TWO))
    kinks = (ONE, TWO) if activation is ReLU else ()
    loss = Loss(Softplus(f) - Y * f, units=1, readout_size=1, tokens=2, kinks=kinks)
    return Model.build(PATCHES, loss, name="patches")


LINEAR = Model.build(PATCHES, Loss((ONE * TWO - Y) ** 2 / 2, units=1, tokens=2), name="product")


def test_what_the_engine_prints_is_read_back(seed):
    model = patches()
    printed = str(derive_drift(model).corrector[0, 0]).replace("**", "^")
    assert check(model, "corrector_1_1", printed, seed=seed).finding.value == "proved"


@pytest.fixture
def seed():
    return int(fresh_rng().integers(2**31))


@pytest.mark.parametrize(
    ("quantity", "formula", "finding"),
    [
        ("drift m_1_1", "-sum_p(E[g_1_p*Y_p_1]) - beta*m_1_1", "proved"),
        ("gradient g_1[x_1]", "sum_p(E[H_1_p_1_p])/lambda + beta", "proved"),
        ("H_1_v_1[e_1]", "sum_l_p(p_l*E_l[H_1_p_v_1]*S_l_p_1)", "proved"),
        ("G_1_1[bulk]", "sum_p(E[g_1_p^2])/lambda", "proved"),
        ("G_1_1[bulk]", "E[g_1_1^2]/lambda", "refuted"),
        ("E_1[w_1_p*u_1_q]", "delta_p_q/lambda", "proved"),
        ("E_1[u_1_1^2*u_1_2^2]", "(m_1_1^2 + Q_1_1/lambda)*Q_1_1/lambda", "proved"),
        ("zeta_p_1", "u_1_p - m_1_1/Gamma_1_1*Y_p_1", "proved"),
        ("zeta_p_1", "u_1_p", "refuted"),
    ],
)
def test_letters_of_tokens(quantity, formula, finding, seed):
    model = LINEAR if quantity.startswith(("G", "g", "zeta")) else patches()
    assert check(model, quantity, formula, seed=seed).finding.value == finding


@pytest.mark.slow
def test_kinks_of_tokens_are_sampled_where_they_are(seed):
    judged = check(patches(ReLU), "H_1_1[bulk]", "sum_p(E[H_1_p_1_p])/lambda + beta", seed=seed)
    assert judged.finding.value == "proved"
    assert judged.stage("sampling").status.value == "agrees"


def test_functions_of_products_of_fields_end(seed):
    """Removing a power of one field brings back one of the other, without an end."""
    loss = Loss(Softplus(-Y * ONE * TWO), units=1, tokens=2)
    pairs = Model.build(Mixture.build(labels=[1], tokens=[[[1], [1]]]), loss, name="pairs")
    wrong = "E[u_1_1*u_1_2*sigmoid(u_1_1*u_1_2)]"
    assert (
        check(pairs, "E[u_1_1*u_1_2*sigmoid(-u_1_1*u_1_2)]", wrong, seed=seed).finding.value
        == "refuted"
    )


def test_names_of_another_shape_are_refused():
    with pytest.raises(FormulaError, match=r"g with 1 indices.*write g_a_p or g_v_i"):
        make_claim(patches(), "drift m_a_s", "-E[g_a*Y_1_s]")
    with pytest.raises(FormulaError, match=r"the token 3"):
        make_claim(patches(), "E[u_1_3]", "0")
    with pytest.raises(FormulaError, match="the free index 'p'"):
        make_claim(kgmm(2), "drift m_a_s", "m_p_s")
    with pytest.raises(InputError, match="a claim about fixed points is not known for tokens"):
        make_claim(patches(), "fixed-point m_1_1", "0")


def test_latex_of_tokens():
    assert show(parse_latex(r"\sum_\tau g_{a\tau} Y_{\tau s}")) == "sum_p(g_a_p*Y_p_s)"
    assert show(parse_latex(r"H_{apbq} u_{aq}")) == "H_a_p_b_q*u_a_q"
