"""Claims made to deceive: true at special points, and false. None is proved, none agrees."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
from helpers import fresh_rng

import verify.claims.exact
from theory import GaussianExpectation, Model, ReLU, kgmm, preactivation_law, symbols, xor
from theory.expectations.existence import is_positive, why_undefined
from verify import check
from verify.claims.judgement import Finding, Status
from verify.claims.signs.exclusion import is_impossible
from verify.claims.stage_verdicts import find
from verify.claims.stages.regions import MARGIN, Sides, cuts_of, linear_regions
from verify.claims.stages.sampling import is_normal
from verify.random_points.exact import far_point, random_point, scaled_point

TWO, THREE = (kgmm(k, directions_gram="orthonormal") for k in (2, 3))
P = symbols.vector("p", 3, positive=True)
DET3 = (
    "(Q_1_1*(Q_2_2*Q_3_3 - Q_2_3^2) - Q_1_2*(Q_1_2*Q_3_3 - Q_2_3*Q_1_3)"
    " + Q_1_3*(Q_1_2*Q_2_3 - Q_2_2*Q_1_3))"
)
DET = "(R_1_1*R_2_2 - R_1_2^2)"


def judged(model: Model, quantity: str, formula: str, **options: object) -> Finding:
    seed = int(fresh_rng().integers(2**31))
    return check(model, quantity, formula, seed=seed, **options).finding  # type: ignore[arg-type]


SAMPLES = [
    (THREE, "g_a", "pi_a - delta_a_y + delta_1_y*pi_a"),
    (THREE, "g_a", "pi_a - delta_a_y + delta_3_y*delta_a_2"),
    (xor(4), "g_1", "g_1 + step(u_1)*step(u_2)*step(u_3)*step(u_4)"),
    (xor(2), "g_a", "g_a + relu(u_1 - 3)"),
    (xor(2), "g_a", "g_a + step(u_1 - 2)*step(u_2 + 3)*step(1 - u_1 - u_2)"),
    (xor(2), "g_a", "g_a + relu(-v_1 - 20)"),
    (TWO, "g_a", "g_a*sqrt((1 - beta)^2)/(1 - beta)"),
    (TWO, "g_a", "g_a + relu(lambda - 30)"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("model", "quantity", "formula"), SAMPLES)
def test_every_label_and_region_of_a_sample_is_visited(
    model: Model, quantity: str, formula: str
) -> None:
    assert judged(model, quantity, formula) is Finding.REFUTED


def test_a_region_that_is_not_found_is_no_agreement() -> None:
    """Products of pre-activations are no linear forms; few points and no sample reach it."""
    finding = judged(xor(2), "g_a", "g_a + relu(u_1*u_2 - 10^9)")
    assert finding in (Finding.INCONCLUSIVE, Finding.REFUTED)


@pytest.mark.parametrize(
    ("model", "quantity", "formula", "order"),
    [
        (TWO, "E_l[(u_1 - m_1_l)^2*(u_2 - m_2_l)^2]", "3*Q_1_2^2/lambda^2", 2),
        (TWO, "E_l[u_1^2]", f"m_1_l^2 + Q_1_1/lambda + {DET}*lambda^(-3/2)", 1),
        (TWO, "E_l[u_1^2]", f"m_1_l^2 + Q_1_1/lambda + {DET}*log(lambda)/lambda", 1),
        (TWO, "E_l[u_1^2]", "m_1_l^2 + (m_1_1*m_2_2 - m_1_2*m_2_1)/lambda^(1/2)", 0),
        pytest.param(
            xor(2), "E_l[relu(u_1)]", f"relu(S_l_1*m_1_1 + S_l_2*m_1_2) + {DET}/100", 0,
            marks=pytest.mark.slow,
        ),
    ],
)  # fmt: skip
def test_orders_are_measured_at_full_rank_and_in_half_powers(
    model: Model, quantity: str, formula: str, order: int
) -> None:
    assert judged(model, quantity, formula, order=order) is Finding.REFUTED


@pytest.mark.slow
@pytest.mark.parametrize(
    ("term", "refuted"),
    [
        ("R_1_1/(10^8*lambda + lambda^2)", False),
        ("R_1_1/(10^20*lambda + lambda^2)", False),
        ("R_1_1*lambda/(10^30 + lambda^3)", False),
        ("R_1_1/(lambda + 10^8)", True),
        ("R_1_1*(lambda^(-3) + 10^(-15)/lambda)", True),
        ("R_1_1*lambda^(-3/2)/10^6", True),
        ("R_1_1*tanh(lambda/10^12)^4", True),
    ],
)
def test_orders_are_those_beyond_the_numbers_that_are_written(term: str, refuted: bool) -> None:
    finding = judged(TWO, "E_l[u_1^2]", f"m_1_l^2 + Q_1_1/lambda + {term}", order=1)
    assert (finding is Finding.REFUTED) == refuted


def test_half_powers_beyond_the_order_are_not_proved_away() -> None:
    """It holds to order 0, but no expansion in 1/lambda says so."""
    formula = f"m_1_l^2 + Q_1_1/lambda + {DET}*lambda^(-3/2)"
    assert judged(TWO, "E_l[u_1^2]", formula, order=0) is Finding.AGREES


@pytest.mark.slow
@pytest.mark.parametrize(
    ("quantity", "formula"),
    [
        ("E_l[step(u_1)]", "step(m_1_l)"),
        ("E_l[relu(u_1)]", "relu(m_1_l)"),
        ("E_l[sqrt(u_1^2)*pi_2]", "sqrt(m_1_l^2)*exp(m_2_l)/(exp(m_1_l) + exp(m_2_l))"),
        pytest.param("E_l[(u_1^2)^(1/3)]", "(m_1_l^2)^(1/3)", marks=pytest.mark.slow),
        ("E_l[asin(sin(u_1))]", "asin(sin(m_1_l))"),
    ],
)
def test_kinks_have_no_expansion_at_means_that_lie_on_them(quantity: str, formula: str) -> None:
    """On a kink errors fall like a half power of 1/lambda, those of a jump not at all."""
    assert judged(TWO, quantity, formula, order=0) is Finding.INCONCLUSIVE


@pytest.mark.slow
def test_kinks_that_cancel_leave_an_order() -> None:
    right = "E_l[relu(u_1)] + Q_1_1/lambda^2"
    assert judged(TWO, "E_l[relu(u_1)]", right, order=1) in (Finding.PROVED, Finding.AGREES)


@pytest.mark.parametrize(
    ("quantity", "formula", "options"),
    [
        ("E_l[1/u_1^2]", "1/m_1_l^2 + 3*Q_1_1/(lambda*m_1_l^4)", {"order": 1}),
        ("E_l[exp(u_1^4)]", "exp(m_1_l^4)", {"order": 0}),
        ("E_l[relu(u_1)/step(u_1)]", "E_l[relu(u_1)]", {}),
        ("E_l[exp(u_1*u_2)]", "E_l[exp(u_2*u_1)]", {}),
        ("E_l[u_1*exp(u_1^2)]", "m_1_l", {}),
        ("E_l[1/tanh(u_1)]", "E_l[1/tanh(u_1)]", {}),
        ("E_l[log(pi_1 - 1/2)]", "E_l[log(pi_1 - 1/2)]", {}),
        ("E_l[step(u_1)*dirac(u_1)]", "E_l[dirac(u_1)]/2", {}),
        ("E_l[u_1]", "m_1_l + 0*beta + E_l[1/u_2] - E_l[1/u_2 + 0*u_1]", {}),
    ],
)
def test_expectations_that_do_not_exist_are_not_judged(
    quantity: str, formula: str, options: dict[str, int]
) -> None:
    assert judged(TWO, quantity, formula, **options) is Finding.INCONCLUSIVE


def _node(f: sp.Expr) -> GaussianExpectation:
    return GaussianExpectation(f, preactivation_law(TWO, 0))


U = TWO.symbols.preactivation


@pytest.mark.parametrize(
    "f",
    [
        U[0] ** 24,
        sp.exp(3 * U[0] - U[1] ** 2),
        sp.cosh(U[0]) ** -2 * sp.exp(sp.tanh(U[0]) * U[1]),
        sp.log(1 + sp.exp(U[0])),
        sp.sqrt(1 + U[0] ** 2) / (2 + sp.exp(-U[1])),
        sp.sqrt(ReLU(U[0])),
        sp.exp(-((U[0] - U[1]) ** 2)),
        sp.sinh(U[0]) * ReLU(U[1]) * sp.DiracDelta(U[0] - U[1]),
    ],
)
def test_expectations_that_exist(f: sp.Expr) -> None:
    assert why_undefined(_node(f)) == ""


@pytest.mark.parametrize(
    ("f", "reason"),
    [
        (1 / U[0], "may vanish"),
        (1 / (U[0] ** 2 - 1), "may vanish"),
        (sp.sqrt(U[0]), "not always positive"),
        (sp.log(U[0] ** 2), "not always positive"),
        (sp.exp(U[0] ** 2 - 3 * U[1] ** 2), "only where Q/lambda is small"),
        (sp.exp(ReLU(U[0]) * U[0]), "only where Q/lambda is small"),
        (sp.exp(sp.exp(U[0])), "grows faster"),
        (sp.exp(U[0] ** 3), "grows faster"),
        (sp.cosh(U[0] ** 2 * U[1] ** 2), "grows faster"),
        (sp.tan(U[0]), "no bound of tan"),
        (sp.DiracDelta(U[0] ** 2 - 1), "not linear"),
    ],
)
def test_expectations_without_a_value_say_why(f: sp.Expr, reason: str) -> None:
    assert reason in why_undefined(_node(f))
    assert not is_positive(_node(1 / U[0]))
    assert is_positive(_node(sp.exp(U[0])))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "quantity", "formula"),
    [
        (xor(3), "E_l[u_1^2]", f"E_l[u_1^2] + {DET3}/100"),
        (xor(3), "E_l[relu(u_1)*relu(u_2)]", f"E_l[relu(u_1)*relu(u_2)] + v_1*v_2*v_3*{DET3}"),
        (xor(2), "drift v_i", "-E[g_v_i] - beta*v_i + relu(lambda - 8)*v_i"),
        (xor(2), "drift v_i", "-E[g_v_i] - beta*v_i + relu(beta - 7/10)"),
        (xor(2), "drift v_i", "-E[g_v_i] - beta*v_i*sqrt((1 - beta)^2)/(1 - beta)"),
        (xor(2), "drift v_i", "-E[g_v_i] - beta*v_i + relu(1/10 - lambda)"),
        (xor(2), "drift v_i", "-E[g_v_i] - beta*v_i + relu(-v_i - 9)"),
        (TWO, "corrector_a_b", "c_delta*E[g_a*g_b]/lambda + relu(c_delta - 200)"),
        (TWO, "E_l[u_a]", "m_a_l + relu(m_a_l - 3)"),
    ],
)
def test_all_ranks_and_ranges_are_visited(model: Model, quantity: str, formula: str) -> None:
    assert judged(model, quantity, formula) is Finding.REFUTED


@pytest.mark.parametrize(
    ("weights", "quantity", "formula"),
    [
        ([sp.Rational(1, 2), P[1], P[2]], "E[1 + 0*u_1]", "1"),
        ([P[0], 1 - P[0]], "E[u_1]", "p_1*m_1_1 + (1 - p_1)*m_1_2"),
        ([P[0], P[0] / 2, 1 - 3 * P[0] / 2], "E[1 + 0*u_1]", "1"),
    ],
)
def test_weights_sum_to_one_however_they_are_given(
    weights: list[sp.Expr], quantity: str, formula: str
) -> None:
    model = kgmm(len(weights), weights=weights)
    assert judged(model, quantity, formula) in (Finding.PROVED, Finding.AGREES)
    point = random_point(model, fresh_rng())
    assert sum(point.weights) == 1
    assert all(w.is_Rational and w > 0 for w in point.weights)


def test_a_gram_matrix_that_is_partly_given_stays_so() -> None:
    gamma = sp.Matrix([[1, symbols.indexed("Gamma", 0, 1)], [symbols.indexed("Gamma", 0, 1), 2]])
    model = kgmm(2, directions_gram=gamma)
    for _ in range(20):
        point = random_point(model, fresh_rng())
        assert (point.gamma[0, 0], point.gamma[1, 1]) == (1, 2)
        assert point.gamma.is_positive_definite
    assert judged(model, "corrector_a_b", "c_delta*E[g_a*g_b]/lambda") is Finding.PROVED


@pytest.mark.parametrize(
    ("quantity", "formula", "found"),
    [
        ("log(E_l[exp(u_a)])", "m_a_l + Q_a_a/(2*lambda)", Finding.PROVED),
        ("log(E_l[exp(u_a)])", "m_a_l + Q_a_a/lambda", Finding.REFUTED),
        ("sqrt(E_1[pi_1]^2)", "E_1[pi_1]", Finding.AGREES),
        ("E_1[pi_1]/E_1[pi_2]", "E_1[pi_1/pi_2]", Finding.REFUTED),
        ("E_l[(u_1 - m_1_l)^24]", "316234143225*Q_1_1^12/lambda^12", Finding.PROVED),
        ("E_l[u_1*dirac(u_1)]", "0", Finding.PROVED),
        ("E_l[g_a*w_b]", "E_l[H_a_b]/lambda", Finding.PROVED),
        ("E_l[exp(6*u_1)]", "exp(6*m_1_l + 18*Q_1_1/lambda)", Finding.PROVED),
        ("1/u_1", "1/(u_1 + 1)", Finding.REFUTED),
    ],
)
def test_what_used_to_break_down_is_judged(quantity: str, formula: str, found: Finding) -> None:
    assert judged(TWO, quantity, formula) is found


def test_a_breakdown_is_a_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("of nothing")

    monkeypatch.setattr(verify.claims.exact, "certified_gaps", broken)
    monkeypatch.setattr(verify.claims.exact, "gaps", broken)
    monkeypatch.setattr(verify.claims.exact, "measured_deviations", broken)
    result = check(TWO, "E_l[u_1]", "m_1_l")
    assert result.finding is Finding.DEFECT
    assert "please report: ZeroDivisionError in broken: of nothing" in result.stage("digits").text


# --- the parts ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("symbolic", "digits", "sampling", "missed", "found"),
    [
        ("proved", "agrees", "agrees", False, "proved"),
        ("proved", "inconclusive", "inconclusive", False, "proved"),
        ("not proved", "agrees", "inconclusive", False, "agrees"),
        ("not proved", "inconclusive", "agrees", False, "inconclusive"),
        ("not proved", "refuted", "agrees", False, "refuted"),
        ("not proved", "refuted", "agrees", True, "contradictory"),
        ("not proved", "refuted", "refuted", False, "refuted"),
        ("proved", "agrees", "refuted", False, "contradictory"),
        ("not proved", "agrees", "refuted", False, "contradictory"),
        ("not proved", "inconclusive", "refuted", False, "refuted"),
    ],
)
def test_findings(symbolic: str, digits: str, sampling: str, missed: bool, found: str) -> None:
    assert find(Status(symbolic), Status(digits), Status(sampling), missed).value == found


def test_regions_of_lines_are_all_found() -> None:
    """Three lines in general position cut the plane into seven regions."""
    x, y = sp.symbols("x y", real=True)
    cuts = [x - 1, y + 2, x + y - sp.Rational(1, 3)]
    sides = Sides(cuts)
    points = list(linear_regions(cuts, {x: (-9, 9), y: (-9, 9)}))
    assert all(sides.visit(p) for p in points)
    assert len(points) == 7
    left = [signs for signs in sides.unvisited() if not is_impossible(None, signs)]
    assert left == []
    assert all(abs(c.xreplace(p)) > MARGIN / 2 for p in points for c in cuts)


def test_cuts() -> None:
    x = sp.Symbol("x", real=True)
    p = sp.Symbol("p", positive=True)
    assert cuts_of([sp.sqrt(p) + sp.log(1 + p) + sp.exp(x)]) == []
    assert cuts_of([sp.sqrt(x**2 - 2 * x + 1)]) == [x - 1]
    assert set(cuts_of([sp.Abs(x) + ReLU(x * (x - 2))])) == {x, x - 2}
    assert cuts_of([_node(ReLU(U[0]))]) == []
    sides = Sides([x])
    sides.visit({x: 1})
    assert sides.unvisited() == [{x: -1}]


def test_few_samples_that_outweigh_all_others_are_not_normal() -> None:
    rng = fresh_rng()
    assert is_normal([rng.standard_normal(40_000)], 5.0)
    assert not is_normal([np.exp(4 * rng.standard_normal(40_000))], 5.0)
    rare = np.zeros(40_000)
    rare[7] = 1.0
    assert not is_normal([rare], 5.0)


def test_points_reach_both_ends_of_the_domain() -> None:
    rng = fresh_rng()
    for sides in ((0, 1, 0), (1, 0, 1)):
        point = far_point(TWO, rng, sides, 1)
        small = (point.precision < 1, point.ridge < 1, point.step < 1)
        assert small == tuple(side == 0 for side in sides)
    overlaps = [abs(scaled_point(TWO, rng).values[TWO.symbols.overlap[0, 0]]) for _ in range(60)]
    assert min(overlaps) < 0.2 < 2 < max(overlaps)
