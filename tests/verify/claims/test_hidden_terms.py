"""Terms that vanish wherever few would look: what no point sees is no agreement.

Digits alone are asked, which is quick: what they do not refute they must not call an agreement.
"""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
from helpers import fresh_rng

from theory import Model, ReLU, kgmm, xor
from verify import make_claim
from verify.claims.judge import _kind
from verify.claims.judgement import Stage, Status
from verify.claims.signs.exclusion import is_impossible
from verify.claims.stages.region_search import find_point, have_signs
from verify.claims.stages.regions import Sides, cuts_of

TWO, THREE = (kgmm(k, directions_gram="orthonormal") for k in (2, 3))
NET = xor(2)
DET = "(R_1_1*R_2_2 - R_1_2^2)"
CUBE = ("E_1[u_2^3]", "m_2_1^3 + 3*m_2_1*Q_2_2/lambda")
SQUARE = ("E_1[u_2^2]", "m_2_1^2 + Q_2_2/lambda")


def digits(model: Model, quantity: str, formula: str, order: int | None = None) -> Stage:
    rng = np.random.default_rng(int(fresh_rng().integers(2**31)))
    with np.errstate(all="ignore"):
        return _kind(make_claim(model, quantity, formula, order=order), rng).compare()[0]


REFUTED = [
    # the same term beside expectations of every kind
    (TWO, *CUBE, "relu(-m_1_1 - 3)"),
    (TWO, "E_1[exp(u_2)]", "exp(m_2_1 + Q_2_2/(2*lambda))", "relu(-m_1_1 - 3)"),
    (NET, "E_1[u_2*step(u_2)]", "E_1[relu(u_2)]", "relu(-m_1_1 - 3)"),
    (TWO, "corrector_1_2", "c_delta*E[g_1*g_2]/lambda", "relu(-m_1_1 - 3)"),
    # several forms that have to be positive together, at one end or in a narrow strip
    (TWO, *CUBE, "relu(m_1_1 - 3)*relu(m_2_1 - 3)*relu(-m_1_2 - 3)"),
    (TWO, *CUBE, "relu(R_1_1 - 8)*relu(1/10 - R_2_2)"),
    (TWO, *CUBE, "relu(-R_1_2)*relu(-m_1_2)*relu(m_1_1)*relu(-m_2_2)"),
    (TWO, *CUBE, "step(m_1_1 - 3)*step(31/10 - m_1_1)"),
    (TWO, *CUBE, "relu(p_1 - 9/10)"),
    (TWO, *CUBE, "relu(m_1_1*R_1_2 - 5)"),
    (TWO, *CUBE, "(sqrt((m_1_1 - 5)^2) - 5 + m_1_1)*relu(m_2_1 - 2)"),
    # on a line alone
    (TWO, *CUBE, "1 - step((m_1_1 - m_2_2)^2)"),
    (TWO, *CUBE, "10^(-12)*m_1_1*m_2_2"),
    (THREE, "g_a", "pi_a - delta_a_y", "relu(u_1*u_2 - 5)*relu(-u_3 - 9)*relu(u_1 - u_2)"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("model", "quantity", "formula", "term"), REFUTED)
def test_regions_that_few_would_visit_are_found(
    model: Model, quantity: str, formula: str, term: str
) -> None:
    assert digits(model, quantity, f"{formula} + {term}").status is Status.REFUTED


SMALL = [
    (TWO, *CUBE, "(m_1_1/10)^60", None),
    (TWO, *CUBE, "exp(-(m_1_1 - 40)^2)", None),
    (TWO, *CUBE, f"{DET}/10^60", None),
    (TWO, *CUBE, "relu(m_1_1 - 10^9)", None),
    (THREE, "E_1[u_1*u_2]", "m_1_1*m_2_1 + Q_1_2/lambda", f"{DET}/10^14", None),
    (TWO, *SQUARE, "exp(-(m_1_1 - 40)^2)/lambda", 1),
    (TWO, *SQUARE, f"{DET}/(10^15*lambda)", 1),
    (THREE, "g_a", "pi_a - delta_a_y", "exp(-(u_1 - 60)^2)", None),
    # inside of expectations, and at a fixed point
    (TWO, "E_1[u_2^2]", "E_1[u_2^2 + exp(-10^4*(u_1 - 30)^2)]", "0*m_1_1", None),
    (TWO, *SQUARE, "E_1[relu(u_1 - 60)]", None),
    (TWO, "fixed-point m_1_1", "m_1_1", "relu(beta - 3)", None),
    (TWO, "fixed-point m_1_1", "m_1_1", "exp(-1000/beta)", None),
]


@pytest.mark.parametrize(("model", "quantity", "formula", "term", "order"), SMALL)
def test_a_term_that_no_point_sees_is_no_agreement(
    model: Model, quantity: str, formula: str, term: str, order: int | None
) -> None:
    found = digits(model, quantity, f"{formula} + {term}", order)
    assert found.status in (Status.INCONCLUSIVE, Status.REFUTED)
    if found.status is Status.INCONCLUSIVE:
        reasons = ("too small", "no admissible point was", "no fixed point was")
        assert any(reason in found.text for reason in reasons)


@pytest.mark.slow
@pytest.mark.parametrize(
    "term", ["relu(m_1_1 - 3)", "relu(lambda - 10^7)", "relu(m_1_1 - 3)*relu(-m_2_2 - 4)"]
)
def test_orders_are_measured_in_every_region(term: str) -> None:
    quantity, formula = SQUARE
    assert digits(TWO, quantity, f"{formula} + {term}/lambda", 1).status is Status.REFUTED


def test_what_falls_beyond_the_order_need_not_be_seen() -> None:
    quantity, formula = SQUARE
    found = digits(TWO, quantity, f"{formula} + exp(-lambda) + m_1_1/lambda^2", 1)
    assert found.status is Status.AGREES


@pytest.mark.slow
def test_points_with_given_signs() -> None:
    s, rng = TWO.symbols, fresh_rng()
    m, r, p = s.overlap, s.gram_perp, TWO.mixture.weights
    signs = {m[0, 0] - 6: 1, m[1, 1] + 4: -1, r[0, 0] - 9: 1, p[0] - sp.Rational(4, 5): 1}
    point = find_point(TWO, rng, signs, None, {})
    assert point is not None
    assert have_signs(signs, point.values)
    assert point.across.is_positive_definite
    assert find_point(TWO, rng, {r[0, 0] + 1: -1}, None, {}) is None


def test_signs_that_exclude_each_other() -> None:
    s = TWO.symbols
    x, r, p = s.overlap[0, 0], s.gram_perp, TWO.mixture.weights[0]
    assert is_impossible(TWO, {x - 1: -1, x - 3: 1})
    assert is_impossible(TWO, {r[0, 0] + 1: -1})
    assert is_impossible(TWO, {p - 1: 1})
    assert is_impossible(TWO, {r[0, 1] - 5: 1, r[0, 0] - 1: -1, r[1, 1] - 1: -1})
    assert not is_impossible(TWO, {x - 1: 1, x - 3: -1, r[0, 1]: -1})


def test_few_forms_are_visited_in_all_combinations() -> None:
    x, y = sp.symbols("x y", real=True)
    sides = Sides(cuts_of([ReLU(x) * ReLU(y)]))
    for point in ({x: 1, y: -1}, {x: -1, y: 1}, {x: -1, y: -1}):
        sides.visit(point)
    assert sides.unvisited() == [{x: 1, y: 1}]


def test_features_off_the_directions_are_not_free() -> None:
    """They follow from pre-activations and features: a true statement about one sample holds."""
    assert digits(TWO, "zeta_a", "u_a - sum_s(m_a_s*Y_s)").status is Status.AGREES
    assert digits(TWO, "zeta_a", "u_a - m_a_1*Y_1").status is Status.REFUTED


@pytest.mark.parametrize(
    "term",
    [
        "exp(-(m_1_1 - 20)^2)",
        "(m_1_1/10)^40",
        "10^(-60)",
        "R_1_2/10^40",
        "exp(-40*Q_1_1/R_2_2)",
        "asin(sin(m_1_1)) - m_1_1",
        "sqrt(2 + 2*cos(m_1_1)) - 2*cos(m_1_1/2)",
        "sqrt(cosh(m_1_1 - 5) - 1) + sqrt(2)*sinh(m_1_1/2 - 5/2)",
    ],
)
def test_what_identities_leave_is_refuted_however_small(term: str) -> None:
    """Beside the moment it has no digit within fifty, or none in moderate ranges."""
    quantity, formula = CUBE
    found = digits(TWO, quantity, f"{formula} + {term}")
    assert found.status is Status.REFUTED
    assert "claimed - derived" in found.text


@pytest.mark.parametrize(
    "nothing",
    [
        "sqrt((m_1_1^2 + 1)^2) - m_1_1^2 - 1",
        pytest.param("asin(sin(p_1)) - p_1", marks=pytest.mark.slow),
    ],
)
def test_what_identities_leave_of_nothing_is_not_refuted(nothing: str) -> None:
    quantity, formula = CUBE
    assert digits(TWO, quantity, f"{formula} + {nothing}").status is not Status.REFUTED
