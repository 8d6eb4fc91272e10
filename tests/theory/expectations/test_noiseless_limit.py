"""Noiseless limit and low-noise expansion: the error has the size and the sign of the next term."""

from __future__ import annotations

import math

import numpy as np
import pytest
import sympy as sp
from helpers import (
    evaluate,
    evaluate_elementary,
    expectations_mp,
    fresh_rng,
    linearise,
    random_exact_values,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from witness import case

from theory import (
    GaussianExpectation,
    InputError,
    Loss,
    Mixture,
    Model,
    derive_diffusion,
    derive_drift,
    derive_gradient,
    derive_gradient_matrix,
    derive_hessian,
    kgmm,
    low_noise,
    noiseless,
    preactivation_law,
    symbols,
)
from theory.expectations.derived import find_expectations

LAM = symbols.PRECISION
DERIVE = [derive_drift, derive_gradient, derive_hessian, derive_gradient_matrix]


def targets(name):
    """A few entries of the drift that together hold every kind of term."""
    model, _ = case(name)
    drift = derive_drift(model)
    if name == "twolayer":
        return model, [drift.overlap[0, 1], drift.readout[0]]
    return model, [*drift.overlap.row(0), drift.gram_perp[0, 1], drift.corrector[0, 0]]


def coefficients(expressions, order, values):
    """Numbers a_0 .. a_order of each expression: it is a polynomial in 1/lambda."""
    series = [low_noise(e, order) for e in expressions]
    grid = range(1, order + 2)
    rows = [evaluate_elementary(series, values | {LAM: sp.Rational(1, x)}) for x in grid]
    vandermonde = sp.Matrix(order + 1, order + 1, lambda i, j: sp.Integer(grid[i]) ** j).inv()
    return [
        [sum(vandermonde[j, i] * row[n] for i, row in enumerate(rows)) for n in range(len(series))]
        for j in range(order + 1)
    ]


def integrate(expressions, values, points):
    """Finite-lambda values by quadrature."""
    table = expectations_mp([n for e in expressions for n in find_expectations(e)], values, points)
    return [evaluate(e, values, table) for e in expressions]


SLOW_THREE = pytest.param("kgmm2", 3, marks=pytest.mark.slow)


@pytest.mark.parametrize(
    ("name", "orders"), [("kgmm2", 2), SLOW_THREE, ("twolayer", 1), ("kgmm3", 1)]
)
def test_remainder_is_the_next_term(name, orders):
    """lambda^(n+1) (E - S_n) = a_{n+1} + a_{n+2}/lambda + ... at lambda = 10^8.

    a_j / a_{j-1} is at most max Q times a derivative of a loss analytic within pi/2: below 10^3
    here, so that the neglected terms are below 10^-4 of the scale of a_{n+1}.
    """
    model, expressions = targets(name)
    values = random_exact_values(model, fresh_rng(), precision=10**8)
    exact = integrate(
        expressions, values, 6
    )  # exact to degree 11: the error of the rule is of order lambda^-6
    series = coefficients(expressions, orders, values)
    for n in range(orders):
        scale = max(map(abs, series[n + 1]))
        for i, target in enumerate(exact):
            partial = sum(series[j][i] / sp.Integer(10) ** (8 * j) for j in range(n + 1))
            remainder = (target - partial) * sp.Integer(10) ** (8 * (n + 1))
            assert abs(remainder - series[n + 1][i]) < 1e-4 * (1 + scale)


def fixed_values(model):
    """Generic fixed parameters: correlated means, unequal weights."""
    return random_exact_values(model, np.random.default_rng(20240607), precision=1)


@pytest.mark.parametrize("order", [0, 1, 2, pytest.param(3, marks=pytest.mark.slow)])
def test_error_falls_at_the_rate_of_the_next_order(order):
    """Slope of log error against log lambda is -(order + 1)."""
    model, expressions = targets("kgmm2")
    series = [low_noise(e, order) for e in expressions]
    errors = []
    for precision in (200, 400, 800):
        values = fixed_values(model) | {LAM: sp.Integer(precision)}
        exact, approximate = integrate(expressions, values, 20), evaluate_elementary(series, values)
        errors.append(
            float(sp.sqrt(sum((a - b) ** 2 for a, b in zip(exact, approximate, strict=True))))
        )
    deviation = [abs(math.log2(errors[i] / errors[i + 1]) - (order + 1)) for i in range(2)]
    # the term after the next one changes the slope by O(1/lambda): a few per mille, halved at each
    # doubling
    assert max(deviation) < 0.05
    assert deviation[1] < 0.75 * deviation[0]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["kgmm2", "kgmm3"])
def test_noiseless_is_the_limit_of_the_finite_precision_field(name):
    """(field - noiseless) / next term -> 1 with an error of order 1/lambda, for the drift."""
    model, _ = case(name)
    drift = derive_drift(model)
    expressions, base = list(drift.expressions()), fixed_values(model)
    zero, one = coefficients(expressions, 1, base)
    limit = evaluate_elementary(noiseless(drift).expressions(), base)
    assert (
        max(abs(a - b) for a, b in zip(zero, limit, strict=True)) < 1e-45
    )  # the same number, 50 digits
    size = sp.sqrt(sum(a**2 for a in one))
    deviations = []
    for precision in (500, 1000, 2000):
        exact = integrate(expressions, base | {LAM: sp.Integer(precision)}, 8)
        residual = [(e - z) * precision for e, z in zip(exact, limit, strict=True)]
        deviations.append(
            float(sp.sqrt(sum((r - a) ** 2 for r, a in zip(residual, one, strict=True))) / size)
        )
        # cannot pass with a missing or doubled next term: those would deviate by 1
        assert (
            deviations[-1] < 20 / precision
        )  # the second coefficient is at most 20 times the first here
    for finer, coarser in zip(deviations[1:], deviations, strict=False):
        assert 0.4 < finer / coarser < 0.6  # halves when lambda doubles, up to O(1/lambda)


@pytest.mark.parametrize(
    ("derive", "order"),
    [
        *((derive, order) for derive in DERIVE[:3] for order in (0, 1)),
        (derive_gradient_matrix, 0),
        pytest.param(derive_gradient_matrix, 1, marks=pytest.mark.slow),
        pytest.param(derive_drift, 2, marks=pytest.mark.slow),
        pytest.param(derive_hessian, 2, marks=pytest.mark.slow),
    ],
    ids=lambda x: getattr(x, "__name__", str(x)),
)
def test_both_routes_have_one_expansion(derive, order):
    model = kgmm(2)
    stein, projection = (
        low_noise(derive(model, route), order) for route in ("stein", "projection")
    )
    for a, b in zip(stein.expressions(), projection.expressions(), strict=True):
        assert linearise(a - b) == 0


@pytest.mark.parametrize("derive", [*DERIVE, derive_diffusion], ids=lambda f: f.__name__)
def test_noiseless_is_elementary(derive):
    limit = noiseless(derive(kgmm(2)))
    for e in limit.expressions():
        assert not e.has(GaussianExpectation)
        assert LAM not in e.free_symbols
    assert type(limit) is type(derive(kgmm(2)))


def test_noiseless_drift_by_hand():
    """k = 2: dm_as = -sum_l p_l (pi_a(m_.l) - [a = l]) Gamma_ls - beta m_as and dR = -2 beta R."""
    g = sp.Symbol("g", real=True)
    model = kgmm(2, directions_gram=[[1, g], [g, 1]])
    limit = noiseless(derive_drift(model))
    m, p, beta = model.symbols.overlap, model.mixture.weights, model.ridge
    for a in range(2):
        for s in range(2):
            expected = -beta * m[a, s]
            for l in range(2):
                pi = sp.exp(m[a, l]) / (sp.exp(m[0, l]) + sp.exp(m[1, l]))
                expected -= p[l] * (pi - int(a == l)) * (1 if l == s else g)
            assert sp.simplify(limit.overlap[a, s].rewrite(sp.exp) - expected) == 0
    assert limit.gram_perp == -2 * beta * model.symbols.gram_perp
    assert limit.corrector == sp.zeros(2, 2)


monomials = st.tuples(st.integers(0, 3), st.integers(0, 3))


@settings(deadline=None, max_examples=20)
@given(powers=monomials, order=st.integers(0, 3))
def test_expansion_of_a_polynomial_is_its_truncated_moment(powers, order):
    law = preactivation_law(kgmm(2), 0)
    u = law.variables
    node = GaussianExpectation(u[0] ** powers[0] * u[1] ** powers[1], law)
    exact = sp.Poly(sp.expand(node.doit()), 1 / LAM)
    truncated = sum(c / LAM**n for (n,), c in exact.terms() if n <= order)
    assert sp.expand(low_noise(node, order) - truncated) == 0


@pytest.mark.slow
@settings(deadline=None, max_examples=15)
@given(order=st.integers(0, 4), powers=st.lists(st.integers(0, 2), min_size=2, max_size=2))
def test_expansion_of_products_and_powers(order, powers):
    """E[f]^i E[g]^j / lambda expands like the product of exponentials it is."""
    law = preactivation_law(kgmm(2), 0)
    f, g = (GaussianExpectation(sp.exp(u), law) for u in law.variables)
    i, j = powers
    expression = f**i * g**j / LAM + 2
    x = sp.Symbol("x", positive=True)
    expected = (
        expression.doit()
        if not expression.has(GaussianExpectation)
        else expression.replace(lambda e: isinstance(e, GaussianExpectation), lambda e: e.doit())
    )
    expected = sp.series(expected.subs(LAM, 1 / x), x, 0, order + 1).removeO().subs(x, 1 / LAM)
    assert sp.simplify(low_noise(expression, order) - expected) == 0


@pytest.mark.slow
def test_expansion_is_a_polynomial_of_its_order():
    for order, derived in ((2, derive_drift(kgmm(2))), (1, derive_hessian(kgmm(2), "projection"))):
        degrees = [
            sp.Poly(sp.expand(e), 1 / LAM).degree() for e in low_noise(derived, order).expressions()
        ]
        assert max(degrees) == order


@pytest.mark.parametrize("order", [-1, 1.5, True, "2", None])
def test_bad_order_is_explained(order):
    with pytest.raises(
        InputError, match=r"order: got .*; expected an integer >= 0. Remedy: give the highest power"
    ):
        low_noise(derive_drift(kgmm(2)), order)


def fixed_precision_objects():
    model = kgmm(2, precision=10)
    node = GaussianExpectation(model.symbols.preactivation[0] ** 2, preactivation_law(model, 0))
    return {
        "drift": derive_drift(model),
        "gradient": derive_gradient(model),
        "blocks": derive_hessian(model),
        "block": derive_hessian(model).block(0, 0),
        "expression": node,
        "product": 3 * node + 1,
    }


@pytest.mark.parametrize("name", ["drift", "gradient", "blocks", "block", "expression", "product"])
@pytest.mark.parametrize(
    "limit", [noiseless, lambda d: low_noise(d, 1)], ids=["noiseless", "low_noise"]
)
def test_no_limit_in_a_precision_that_is_fixed(name, limit):
    """With lambda = 10 inside, 1/10 would survive the limit: a silently wrong result."""
    with pytest.raises(
        InputError, match=r"precision: got 10; expected the symbol lambda. Remedy: build"
    ):
        limit(fixed_precision_objects()[name])


@pytest.mark.parametrize("order", [1, 2])
def test_no_expansion_across_a_kink(order):
    """The expansion differentiates the loss, which a kink does not allow."""
    u = symbols.vector("u", 1)
    mixture = Mixture.build(weights=[1], labels=[0], coordinates=[[1]], directions_gram=[[1]])
    model = Model.build(mixture, Loss(sp.Max(u[0], 0) ** 2 / 2, units=1, kinks=(u[0],)))
    drift = derive_drift(model, "projection")
    limit = noiseless(drift).overlap[0, 0]  # the limit itself needs no derivative
    m = model.symbols.overlap[0, 0]
    assert [limit.subs(m, x) + model.ridge * x for x in (-2, 2)] == [0, -2]
    with pytest.raises(InputError, match="kink"):
        low_noise(drift, order)


def test_a_quotient_of_expectations_is_refused():
    law = preactivation_law(kgmm(2), 0)
    node = GaussianExpectation(sp.exp(law.variables[0]), law)
    with pytest.raises(InputError, match=r"expected sums and products of expectations"):
        low_noise(1 / node, 1)


def test_expansion_leaves_expressions_without_noise_alone():
    assert low_noise(sp.Integer(3), 1) == 3
    assert list(find_expectations(low_noise(derive_drift(kgmm(2)), 1).overlap[0, 0])) == []


@pytest.mark.parametrize("limit", [noiseless, lambda derived: low_noise(derived, 1)])
@pytest.mark.parametrize("derived", [kgmm(2), None, "u_1"])
def test_what_has_no_limit_is_refused_by_kind(limit, derived):
    with pytest.raises(InputError, match=rf"derived: got {type(derived).__name__}; .*derive_drift"):
        limit(derived)
