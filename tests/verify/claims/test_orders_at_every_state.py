"""Orders that a claim names are those of every state, exponentials and kinks among what is left."""

import math

import pytest
import sympy as sp
from helpers import fresh_rng

from theory import (
    GaussianExpectation,
    InputError,
    Loss,
    Mixture,
    Model,
    ReLU,
    Softplus,
    Step,
    kgmm,
    low_noise,
    preactivation_law,
    symbols,
    xor,
)
from theory.expectations.derived import find_expectations
from verify.claims.judge import check, judge, make_claim
from verify.claims.judgement import Finding
from verify.claims.signs.kinked_means import is_flat_to, near_means
from verify.claims.signs.leading_powers import uneven_form, without_negligible
from verify.claims.stages.slopes import value_and_slopes

MODEL = kgmm(2, directions_gram="orthonormal")
LAMBDA = symbols.PRECISION
SQUARE = "m_a_l^2 + Q_a_a/lambda"


def finding(quantity: str, formula: str, order: int, little: bool = False) -> Finding:
    claim = make_claim(MODEL, quantity, formula, order=order, little=little)
    return judge(claim, int(fresh_rng().integers(2**32))).finding


@pytest.mark.parametrize(
    "term",
    ["exp(-lambda/100)", "Q_a_a*lambda^2*exp(-sqrt(lambda))", "exp(-c_delta*lambda^2 + 9*lambda)"],
)
def test_what_is_exponentially_small_falls_faster_than_every_power(term: str) -> None:
    assert finding("E_l[u_a^2]", f"{SQUARE} + {term}", 1) is Finding.PROVED
    # nothing is left of a mistake beside it
    wrong = check(MODEL, "E_l[u_a^2]", f"m_a_l^2 + 2*Q_a_a/lambda + {term}", order=1)
    assert wrong.finding is Finding.REFUTED
    assert wrong.repair == "multiply 2*Q_a_a/lambda by 1/2"


@pytest.mark.parametrize(
    "term",
    [
        "1/(1 + lambda*m_1_1^2)",  # 1 where the overlap is zero
        "m_1_1^2/(1 + lambda*m_1_1^2)",
        "1/(1 + lambda*beta)",
        "beta/(beta + lambda*R_1_1)",
        "exp(-lambda*beta)",
        "exp(-lambda*m_1_1^2)",
        "1 - tanh(lambda*R_1_1)",
        "1/(lambda*m_1_1)",
        "E_1[1/(1 + lambda*u_1^2)]",
    ],
)
def test_what_is_of_another_order_at_some_states_does_not_stand(term: str) -> None:
    found = finding("E_1[u_1^2]", f"m_1_1^2 + {term}", 0)
    # a small overlap may show it: then it is refuted
    assert found in (Finding.INCONCLUSIVE, Finding.REFUTED)


@pytest.mark.parametrize(
    "term", ["Q_1_1/(lambda + Q_1_1)", "1/(1 + lambda*p_1)", "m_1_1/(c_delta*lambda + m_1_1^2)"]
)
def test_what_has_one_order_at_all_states_is_proved(term: str) -> None:
    assert finding("E_l[u_a^2]", f"m_a_l^2 + {term}", 0) is Finding.PROVED


def test_poles_of_both_sides_are_no_poles_of_a_remainder() -> None:
    assert finding("E_l[u_a^2]/m_a_l", "m_a_l + Q_a_a/(lambda*m_a_l)", 1) is Finding.PROVED


@pytest.mark.slow
@pytest.mark.parametrize(
    ("quantity", "formula", "order", "little"),
    [
        ("E_1[relu(u_1 - m_1_1 + 1)*u_1]", "m_1_1 + Q_1_1/lambda", 2, False),
        ("E_1[step(u_1 - m_1_1 - 1)]", "0", 3, False),
        ("E_1[relu(1 + u_1^2)]", "1 + m_1_1^2 + Q_1_1/lambda", 1, False),
        ("E_1[relu(u_1)^2*u_2]", "relu(m_1_1)^2*m_2_1", 0, False),
        ("E_1[relu(u_1)]", "relu(m_1_1)", 0, True),
        ("E_1[exp(relu(u_1))]", "exp(relu(m_1_1))", 0, True),
    ],
)
def test_kinks_off_the_mean_and_flat_ones_are_decided(
    quantity: str, formula: str, order: int, little: bool
) -> None:
    assert finding(quantity, formula, order, little) is Finding.PROVED


@pytest.mark.parametrize(
    ("quantity", "formula", "order", "little"),
    [
        ("E_1[relu(u_1)]", "relu(m_1_1)", 0, False),  # lambda^(-1/2) where the overlap is zero
        ("E_1[step(u_1)]", "step(m_1_1)", 0, True),  # 1/2 there
        ("E_1[relu(u_1)^2]", "relu(m_1_1)^2 + step(m_1_1)*Q_1_1/lambda", 1, False),
        ("E_1[sqrt(relu(u_1))]", "sqrt(relu(m_1_1))", 0, True),
        ("E_1[relu(u_1 - m_1_1 + m_1_1^2)]", "m_1_1^2", 0, False),
    ],
)
def test_kinks_that_may_be_at_the_mean_are_not(
    quantity: str, formula: str, order: int, little: bool
) -> None:
    """They fail where the mean is on the kink, which a sequence sees that begins near enough."""
    found = finding(quantity, formula, order, little)
    assert found in (Finding.INCONCLUSIVE, Finding.REFUTED)


def test_a_wrong_value_on_a_branch_is_refuted() -> None:
    assert finding("E_l[relu(u_1 - m_1_l + 1)]", "2", 0) is Finding.REFUTED
    assert finding("E_l[relu(u_1)^2]", "relu(m_1_l)", 0) is Finding.REFUTED


def test_flatness_counts_the_lowest_power_of_a_ramp() -> None:
    law = preactivation_law(MODEL, 0)
    u, w = law.variables[:2]
    for f, flat in (
        (ReLU(u) ** 2 * ReLU(w) ** 3, 2),
        (ReLU(u) ** 4 + ReLU(w), 1),
        (sp.tanh(ReLU(u)), 1),
        (sp.sqrt(ReLU(u)), 0),
        (Step(u) * u, 0),
        (ReLU(ReLU(u) - w) ** 3, 0),
    ):
        node = GaussianExpectation(f, law)
        assert is_flat_to(node, flat) or not flat
        assert not is_flat_to(node, flat + 1)


def test_branches_are_taken_where_the_sign_at_the_mean_is_certain() -> None:
    model = xor(2)
    law = preactivation_law(model, 0)
    u, m = law.variables[0], law.mean[0]
    certain = GaussianExpectation(sp.Abs(u - m - 2) * Step(1 + u**2), law)
    assert near_means(certain, model) == GaussianExpectation(2 + m - u, law)
    for f in (ReLU(u), ReLU(u - m), ReLU(u - m + m**2), ReLU(LAMBDA * (u - m) + 1)):
        node = GaussianExpectation(f, law)
        assert list(find_expectations(near_means(node, model))) == [node]


def test_leading_coefficients_decide() -> None:
    m, r = MODEL.symbols.overlap[0, 0], MODEL.symbols.gram_perp[0, 0]
    p = MODEL.mixture.weights[0]
    for kept in (sp.exp(-r * LAMBDA), sp.exp(-LAMBDA) / m, sp.exp(-1 / LAMBDA), sp.exp(LAMBDA)):
        assert without_negligible(kept + 1 / LAMBDA, LAMBDA, MODEL) == kept + 1 / LAMBDA
    assert without_negligible(1 + r * sp.exp(-p * LAMBDA), LAMBDA, MODEL) == 1
    assert uneven_form(sp.sqrt(1 + r / LAMBDA) + sp.tanh(m + r / LAMBDA), LAMBDA, MODEL) is None
    assert uneven_form(sp.tanh(m * LAMBDA), LAMBDA, MODEL) == m * LAMBDA
    assert uneven_form(sp.log(sp.log(1 + LAMBDA)), LAMBDA, MODEL) is None


def test_powers_with_lambda_in_the_exponent_are_floats_where_samples_are_taken() -> None:
    claimed = "m_1_1^2 + (1 + beta)^(-lambda)*beta"
    assert finding("E_1[u_1^2]", claimed, 0) is not Finding.REFUTED
    x, b = sp.Symbol("x", real=True), sp.Symbol("b", real=True)
    numbers = {x: sp.Integer(10) ** 12, b: sp.Rational(3, 2)}
    assert value_and_slopes(b**-x, {}, numbers) == (0.0, {})
    assert math.isnan(value_and_slopes(b**x, {}, numbers)[0])


def test_repairs_of_limits_have_indices_of_the_model() -> None:
    """With one direction there is no m_1_2 to read for m_1_1."""
    u, y = symbols.vector("u", 1)[0], symbols.LABEL
    two = Mixture.build(labels=[1, 0], coordinates=[[1], [-1]], directions_gram=[[1]])
    model = Model.build(two, Loss(Softplus(u) - y * u, units=1))
    formula = "p_1*log(1 + exp(-m_1_1)) + p_2*log(1 + exp(m_1_1))"
    assert check(model, "E[ell]", formula, order=0).finding is Finding.REFUTED


@pytest.mark.parametrize(
    ("term", "order", "little", "found"),
    [
        ("1/(lambda*log(lambda))", 0, False, Finding.AGREES),
        ("Q_a_a/(2*lambda*log(lambda))", 0, False, Finding.AGREES),
        ("2*Q_a_a/(lambda + lambda*log(lambda))", 0, False, Finding.AGREES),
        ("log(lambda)^2/lambda^2", 0, False, Finding.AGREES),
        ("1/log(lambda)", 0, True, Finding.AGREES),
        ("log(log(lambda))/lambda", 0, False, Finding.REFUTED),
        ("Q_a_a*log(lambda)/lambda", 0, False, Finding.REFUTED),
        ("1/log(lambda)", 0, False, Finding.REFUTED),
    ],
)
def test_logarithms_beyond_the_order_are_left_away(
    term: str, order: int, little: bool, found: Finding
) -> None:
    """Beside Q / lambda, which is of this order, no sequence tells how fast they fall."""
    assert finding("E_l[u_a^2]", f"m_a_l^2 + {term}", order, little) is found
    # they do not hide a mistake of the order that is kept
    assert finding("E_l[u_a^2]", f"2*m_a_l^2 + {term}", order, little) is Finding.REFUTED


def test_a_logarithm_beside_a_power_that_depends_on_the_state_is_kept() -> None:
    """It falls at some states and grows at others: there is no expansion, and no defect."""
    term = "lambda^(-1 - m_1_1)/log(lambda)"
    assert finding("E_l[u_a^2]", f"m_a_l^2 + {term}", 0) in (Finding.REFUTED, Finding.INCONCLUSIVE)
    with pytest.raises(InputError, match="exponents are numbers"):
        low_noise(LAMBDA ** (-1 - MODEL.symbols.overlap[0, 0]), 1)


@pytest.mark.parametrize("seed", [2973538772, None])  # m_1_1 is 1/60 at the first
def test_a_kink_that_passes_the_mean_refutes_nothing(seed: int | None) -> None:
    """Errors of both signs are added there, whose sum falls too slowly for a while."""
    claim = make_claim(MODEL, "E_1[relu(u_1)^2*u_2]", "relu(m_1_1)^2*m_2_1", order=0)
    seeds = fresh_rng().integers(2**32, size=6).tolist() if seed is None else [seed]
    assert {judge(claim, each).finding for each in seeds} == {Finding.PROVED}
    # what is of a lower order refutes there too
    slow = "relu(m_1_1)^2*m_2_1 + Q_1_2/lambda^(1/2)"
    wrong = make_claim(MODEL, "E_1[relu(u_1)^2*u_2]", slow, order=0)
    assert {judge(wrong, each).finding for each in seeds} == {Finding.REFUTED}


def test_factors_beyond_floats_are_no_counterexample() -> None:
    """exp(-p lambda) is 0 and exp(sqrt(lambda)) infinite as floats, at lambda = 1e12."""
    formula = "m_a_l + exp(-lambda*p_1)*exp(sqrt(lambda)*R_1_1)"
    assert finding("E_l[u_a]", formula, 1) is Finding.PROVED
