"""Claims about noise with bands: what is printed is read, samples agree, wrong formulas do not."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
from helpers import fresh_rng

from theory import Bands, InputError, Loss, Mixture, Model, Softplus, derive_drift, symbols
from verify import check
from verify.claims.judge import _kind, make_claim
from verify.claims.judgement import Status
from verify.claims.language.latex.formula import parse_latex
from verify.claims.language.tree import FormulaError, show
from verify.claims.raw.frame import RawFrame
from verify.claims.raw.samples import RawSamples
from verify.claims.signs.exclusion import is_impossible
from verify.claims.stages.region_search import find_point, have_signs
from verify.random_points.exact import random_point

(U,), (T,) = symbols.vector("u", 1), symbols.vector("t", 1)
Y, XI = symbols.LABEL, symbols.LABEL_NOISE
RHO = sp.symbols("rho_1 rho_2", positive=True)
SIGMA = [sp.symbols(f"sigma_{l}_1 sigma_{l}_2", positive=True) for l in (1, 2)]
NUMBERS = Bands(fractions=["1/4", "3/4"], scales=[[1, "1/2"], [2, "1/3"]])
LETTERS = Bands(fractions=RHO, scales=SIGMA)


def logistic(bands, gram=None):
    data = Mixture.build(labels=[1, 0], coordinates=[[1], [-1]], bands=bands, directions_gram=gram)
    return Model.build(data, Loss(Softplus(U) - Y * U, units=1), name="banded")


def teacher(bands):
    data = Mixture.build(labels=[0], coordinates=[[0]], bands=bands)
    return Model.build(data, Loss((U**2 - T**2) ** 2 / 8, units=1), name="banded teacher")


@pytest.fixture
def seed():
    return int(fresh_rng().integers(2**31))


@pytest.mark.parametrize("bands", [NUMBERS, LETTERS])
def test_what_the_engine_prints_is_read_back(bands, seed):
    model = logistic(bands)
    drift = derive_drift(model)
    for quantity, entry in (
        ("drift m_2_1_1", drift.overlap[1, 0]),
        ("corrector_2_1_1", drift.corrector[1, 0]),
    ):
        printed = str(entry).replace("**", "^")
        assert check(model, quantity, printed, seed=seed).finding.value == "proved"


@pytest.mark.parametrize(
    ("quantity", "formula", "finding"),
    [
        ("drift m_2_1_1", "-E[g_1*Y_2_1] - beta*m_2_1_1", "proved"),
        ("H_1_1[bulk_2]", "E[H_1_1]/(9*lambda) + beta", "refuted"),
        ("E_2[w_1*u_1]", "1/lambda", "proved"),
        ("E_1[u_1]*E_1[Y_2_1]", "Gamma_2_1_1*sum_g(m_g_1_1)", "proved"),
        ("E_1[u_1*Y_2_1] - E_1[u_1]*E_1[Y_2_1]", "sigma_1_2^2*m_2_1_1/lambda", "proved"),
        ("E_1[u_1*Y_2_1] - E_1[u_1]*E_1[Y_2_1]", "m_2_1_1/lambda", "refuted"),
        ("sum_g(rho_g)", "1", "stands"),
        ("sum_g(zeta_g_1) - u_1", "-sum_g(m_g_1_1/Gamma_g_1_1*Y_g_1)", "proved"),
    ],
)
def test_letters_of_bands(quantity, formula, finding, seed):
    judged = check(logistic(NUMBERS), quantity, formula, seed=seed)
    assert judged.stands if finding == "stands" else judged.finding.value == finding


def test_teachers_and_bands(seed):
    model = teacher(Bands(fractions=["1/4", "3/4"], scales=[[1, "1/2"]]))
    found = check(model, "drift m_g_a_s", "-E[g_a*Y_g_s] - beta*m_g_a_s", seed=seed)
    assert found.finding.value == "proved"
    assert check(model, "t_1", "Y_1_1 + Y_2_1", seed=seed).stands
    wrong = "(Gamma_1_1_1 + Gamma_2_1_1)/lambda"
    assert check(model, "E[t_1^2]", wrong, seed=seed).finding.value == "refuted"
    right = "(Gamma_1_1_1 + Gamma_2_1_1/4)/lambda"
    assert check(model, "E[t_1^2]", right, seed=seed).finding.value == "proved"


def test_a_band_without_a_direction(seed):
    """Its Gram matrix is singular: overlaps there are zero, and coefficients are not unique."""
    model = logistic(NUMBERS, [[[1]], [[0]]])
    judged = check(model, "drift m_1_1_1", "-E[g_1*Y_1_1] - beta*m_1_1_1", seed=seed)
    assert judged.finding.value == "proved"
    assert judged.stage("sampling").status.value == "agrees"
    block = check(model, "H_1_1[e_1_1,e_1_1]", "E[H_1_1]", seed=seed)
    assert "holds nothing of some direction" in block.stage("sampling").text


def test_orders_in_the_noise(seed):
    model = logistic(NUMBERS)
    near = "E_1[(u_1 - sum_g(m_g_1_1))^2]"
    for order, finding in ((0, "proved"), (1, "refuted")):
        assert check(model, near, "0", order=order, seed=seed).finding.value == finding


def test_names_of_another_shape_are_refused():
    model = logistic(NUMBERS)
    with pytest.raises(FormulaError, match=r"m with 2 indices.*write m_g_a_s"):
        make_claim(model, "drift m_g_a_s", "-beta*m_a_s")
    with pytest.raises(InputError, match=r"m_a_s.*with 2 indices; expected m_g_a_s"):
        make_claim(model, "drift m_a_s", "0")
    with pytest.raises(InputError, match=r"the band 3; expected 1..2"):
        make_claim(model, "drift m_3_1_1", "0")
    with pytest.raises(InputError, match="a claim about fixed points is not known for bands"):
        make_claim(model, "fixed-point m_1_1", "0")


@pytest.mark.parametrize(
    ("latex", "plain"),
    [
        (r"m^g_{as} + m^{(2)}_{as} + m^2_{11}", "m_g_a_s + m_2_a_s + m_1_1^2"),
        (r"R^{\perp,g}_{ab} \Gamma^h_{st} Y^g_s", "R_g_a_b*Gamma_h_s_t*Y_g_s"),
        (r"\rho_g \sigma_{lg}^2 \sigma(u_1)", "rho_g*sigma_l_g^2*sigmoid(u_1)"),
    ],
)
def test_latex_of_bands(latex, plain):
    assert show(parse_latex(latex)) == plain


def test_points_and_frames_have_the_inner_products_that_they_say(seed):
    model, rng = logistic(LETTERS), np.random.default_rng(seed)
    point = random_point(model, rng)
    values = {str(s): float(v) for s, v in point.values.items()}
    assert values["rho_1"] + values["rho_2"] == pytest.approx(1, abs=1e-12)
    frame = RawFrame.of(point, rng)
    e, x = frame.direction_parts, frame.parts(frame.x)
    for g in (1, 2):
        assert e[:, g - 1] @ e[:, g - 1] == pytest.approx(values[f"Gamma_{g}_1_1"])
        assert e[:, g - 1] @ x[:, g - 1] == pytest.approx(values[f"m_{g}_1_1"])
        assert x[:, g - 1] @ x[:, g - 1] == pytest.approx(values[f"Q_{g}_1_1"])
    # P of a component is the inverse of the covariance of u, times the precision
    seen = sum(values[f"sigma_2_{g}"] ** 2 * values[f"Q_{g}_1_1"] for g in (1, 2))
    assert values["P_2_1_1"] == pytest.approx(1 / seen)


def test_steps_are_those_of_vectors_in_many_dimensions(seed):
    """The squares beyond the coordinates, drawn as one number, against whole vectors."""
    model, rng = logistic(NUMBERS), np.random.default_rng(seed)
    size = 20_000
    samples = RawSamples(random_point(model, rng), rng, size)
    d = 2 * samples.dimension
    room = samples.shares * d - np.bincount(samples.frame.band_of)
    for component, scales in enumerate(samples.sigma):
        found = samples.beyond(component, d)[:, :, 0, 0]
        for g, sigma in enumerate(scales):
            vectors = rng.standard_normal((size, round(room[g]))) * sigma
            expected = (vectors**2).sum(axis=1) / samples.precision
            for one, two in ((found[:, g], expected), (found[:, g] ** 2, expected**2)):
                error = np.hypot(one.std(), two.std()) / np.sqrt(size)
                assert abs(one.mean() - two.mean()) < 7 * error


@pytest.mark.slow
@pytest.mark.parametrize(
    "term", ["relu(sigma_1_1 - 8)", "relu(1/20 - sigma_1_2)", "relu(rho_1 - 9/10)"]
)
def test_scales_and_shares_of_bands_are_moved(term, seed):
    """Where they are drawn the term is zero."""
    model, formula = logistic(LETTERS), "Gamma_2_1_1*sum_g(m_g_1_1)"
    with np.errstate(all="ignore"):
        claim = make_claim(model, "E_1[u_1]*E_1[Y_2_1]", f"{formula} + {term}")
        digits, _ = _kind(claim, np.random.default_rng(seed)).compare()
    assert digits.status is Status.REFUTED


def test_shares_stay_shares_wherever_they_are_moved(seed):
    rng = np.random.default_rng(seed)
    model = logistic(LETTERS)
    signs = {
        RHO[0] - sp.Rational(19, 20): 1,
        SIGMA[1][0] - 6: 1,
        SIGMA[0][1] - sp.Rational(1, 9): -1,
    }
    point = find_point(model, rng, signs, 1, {})
    assert have_signs(signs, point.values)
    assert point.values[RHO[0]] + point.values[RHO[1]] == 1
    assert is_impossible(model, {RHO[0] + RHO[1] - 1: 1})
    assert is_impossible(model, {RHO[0] - 1: 1})
    assert not is_impossible(model, {RHO[0] - sp.Rational(9, 10): 1})
