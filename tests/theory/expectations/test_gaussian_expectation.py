"""Gaussian expectation node: printing, derivatives, closed forms, integration by parts."""

from __future__ import annotations

import mpmath
import pytest
import sympy as sp
from helpers import evaluate, expectations_mp, fresh_rng, random_exact_values, two_layer_model
from hypothesis import given, settings
from hypothesis import strategies as st

from theory import (
    GaussianExpectation,
    InputError,
    Loss,
    Mixture,
    Model,
    integrate_by_parts,
    kgmm,
    preactivation_law,
    symbols,
)
from theory.expectations.derived import find_expectations
from verify import strategies

E = GaussianExpectation
MODEL = kgmm(2)
S = MODEL.symbols
LAW = preactivation_law(MODEL, 0)
u1, u2 = S.preactivation
w1, w2 = S.whitened
m11, m21 = S.overlap[0, 0], S.overlap[1, 0]
Q11, Q12, Q22 = S.gram[0, 0], S.gram[0, 1], S.gram[1, 1]
LAM = symbols.PRECISION


small = st.integers(-3, 3)
polynomials = st.dictionaries(
    st.tuples(st.integers(0, 3), st.integers(0, 2)), small, min_size=1, max_size=4
).map(lambda terms: sp.Add(*(c * u1**i * u2**j for (i, j), c in terms.items())))


def numeric(expression, values, points=20):
    """Value at 50 digits by quadrature of whatever expectations are in the expression."""
    table = expectations_mp(list(find_expectations(sp.sympify(expression))), values, points)
    return evaluate(expression, values, table)


# --- printing -------------------------------------------------------------------------------------


def test_text_names_component_and_integrand():
    assert str(E(u1**2 + u2, LAW)) == "E_1[u_1**2 + u_2]"
    assert str(E(u1, preactivation_law(MODEL, 1)) / LAM) == "E_2[u_1]/lambda"


def test_latex_abbreviates_the_class_probabilities():
    node = E(MODEL.loss.partial((0, 1)), LAW)
    assert sp.latex(node) == r"\mathbb{E}_{1}\left[- \pi_{1} \pi_{2}\right]"
    assert sp.latex(E(u1 * u2, LAW) ** 2) == r"\mathbb{E}_{1}\left[u_{1} u_{2}\right]^{2}"


def test_pretty_uses_brackets():
    assert sp.pretty(E(u1 * u2, LAW), use_unicode=False) == "E_1[u_1*u_2]"
    text = sp.pretty(E(MODEL.loss.partial((0, 0)), LAW), use_unicode=True)
    assert "E_1" in text.replace("₁", "_1") or "E_1" in text
    assert "π₁" in text


def test_the_label_is_filled_in_when_shown_and_kept_inside():
    node = E(MODEL.loss.partial((0,)), LAW)
    assert str(node) == "E_1[softmax_1(u_1, u_2) - 1]"
    assert str(E(node.general_integrand, preactivation_law(MODEL, 1))) == "E_2[softmax_1(u_1, u_2)]"
    assert node.general_integrand.has(symbols.LABEL)
    assert not node.integrand.has(symbols.LABEL)


# --- the node as an expression --------------------------------------------------------------------


def test_law_is_the_mixture_law():
    law = preactivation_law(two_layer_model(), 1)  # mean -e_1 + e_3
    assert list(law.mean) == [
        sp.Symbol(f"m_{a}_3", real=True) - sp.Symbol(f"m_{a}_1", real=True) for a in (1, 2)
    ]
    assert law.covariance[0, 1] == sp.Symbol("Q_1_2", real=True) / LAM
    assert (law.component, law.label, law.precision) == (2, 1, LAM)


def test_constants_are_their_own_expectation():
    assert E(sp.Rational(3, 7), LAW) == sp.Rational(3, 7)
    assert E(sp.Integer(0), LAW) == 0
    v = sp.Symbol("v_1", real=True)
    assert E(v**2, LAW).doit() == v**2


def test_free_symbols_are_the_parameters_only():
    v = sp.Symbol("v_1", real=True)
    node = E(v * u1, LAW)
    assert node.free_symbols == {v, m11, m21, Q11, Q12, Q22, LAM}
    whitened = E(u1 * w1, LAW)
    assert whitened.free_symbols == {m11, m21, Q11, Q12, Q22, LAM, *S.gram_inverse}
    assert not (node.free_symbols | whitened.free_symbols) & LAW.bound


def test_a_symbolic_label_is_a_free_symbol_and_can_be_differentiated():
    a = sp.Symbol("a", real=True)
    u = symbols.vector("u", 1)
    mixture = Mixture.build(weights=[1], labels=[a], coordinates=[[1]], directions_gram=[[1]])
    model = Model.build(mixture, Loss((u[0] - symbols.LABEL) ** 2 / 2, units=1))
    node = E(model.loss.partial((0,)), preactivation_law(model, 0))
    assert node.doit() == model.symbols.overlap[0, 0] - a
    assert a in node.free_symbols
    assert node.diff(a).doit() == -1


@pytest.mark.parametrize("old", [u1, u2, w1, symbols.LABEL, u1**2], ids=str)
def test_substitution_leaves_bound_variables_alone(old):
    node = E(u1**2 * u2 + w1 * symbols.LABEL, LAW)
    assert node.subs(old, 5) == node


def test_substitution_does_not_capture():
    """E_1[u_1 v] with v := u_1 from outside is not E_1[u_1^2]."""
    v = sp.Symbol("v_1", real=True)
    assert E(u1 * v, LAW).subs(v, u1) != E(u1**2, LAW)


def test_substitution_of_parameters_reaches_the_law():
    values = {m11: sp.Rational(1, 3), Q11: sp.Integer(2), LAM: sp.Integer(5)}
    assert E(u1**2, LAW).subs(values).doit() == sp.Rational(1, 9) + sp.Rational(2, 5)
    v = sp.Symbol("v_1", real=True)
    assert E(v * u1, LAW).subs(v, 3) == E(3 * u1, LAW)


# --- derivatives ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "integrand", [MODEL.loss.partial((0,)), MODEL.loss.partial((0, 1)), sp.cos(u1) * u2], ids=str
)
@pytest.mark.parametrize("symbol", [m11, m21, Q11, Q12, Q22, LAM], ids=str)
def test_derivative_against_finite_differences(integrand, symbol):
    """Price's theorem, against central differences at 50 digits.

    The step squared is 1e-20, times third derivatives of order 1.
    """
    values = random_exact_values(MODEL, fresh_rng(), precision=40)
    node, step = E(integrand, LAW), sp.Rational(1, 10**10)
    high, low = (numeric(node, values | {symbol: values[symbol] + sign * step}) for sign in (1, -1))
    assert abs((high - low) / (2 * step) - numeric(node.diff(symbol), values)) < 1e-16


@pytest.mark.slow
@settings(deadline=None, max_examples=15)
@given(polynomials)
def test_derivative_commutes_with_evaluation(f):
    node = E(f, LAW)
    for symbol in (m11, m21, Q11, Q12, Q22, LAM):
        assert sp.expand(node.diff(symbol).doit() - node.doit().diff(symbol)) == 0


@pytest.mark.parametrize(
    "symbol", [m11, Q11, Q12, LAM, S.gram_inverse[0, 0], S.gram_inverse[0, 1]], ids=str
)
@pytest.mark.parametrize("f", [u1 * w1, u1**2 * w1 * w2, w1**2], ids=str)
def test_derivative_commutes_with_integration_by_parts(f, symbol):
    node = E(f, LAW)
    left, right = integrate_by_parts(node).diff(symbol), integrate_by_parts(node.diff(symbol))
    assert sp.expand((left - right).doit()) == 0


def test_derivative_in_a_readout_parameter():
    model = two_layer_model()
    v = model.symbols.readout[0]
    node = E(model.loss.expression, preactivation_law(model, 0))
    assert node.diff(v) == E(model.loss.partial((2,)), node.law)


def test_derivative_in_an_unrelated_symbol_is_zero():
    assert E(u1**2, LAW).diff(sp.Symbol("z")) == 0
    assert E(u1**2, LAW).diff(S.overlap[0, 1]) == 0  # the mean of another component


# --- closed forms ---------------------------------------------------------------------------------


@pytest.mark.slow
@settings(deadline=None, max_examples=15)
@given(f=polynomials, a=small, b=small, values=strategies.rational_parameters(MODEL, precision=40))
def test_polynomial_times_exponential_against_quadrature(f, a, b, values):
    """Gauss-Hermite with 24 nodes, which is exact enough for entire integrands.

    It errs by (|slope|^2 max Q / 40)^24 / 24! or less.
    """
    node = E(f * sp.exp(sp.Rational(1, 2) * (a * u1 + b * u2) + 1), LAW)
    closed = node.doit()
    assert not sp.sympify(closed).has(GaussianExpectation)
    expected = numeric(node, values, 24)
    assert abs(evaluate(closed, values, {}) - expected) < 1e-25 * (1 + abs(expected))


def test_closed_forms_by_hand():
    mean, variance = sp.symbols("mu", real=True), sp.symbols("sigma2", positive=True)
    where = {m11: mean, Q11: variance * LAM}

    def value(f):
        return sp.expand(E(f, LAW).doit().subs(where))

    assert value(u1**4) == sp.expand(mean**4 + 6 * mean**2 * variance + 3 * variance**2)
    assert sp.simplify(value(sp.exp(u1)) - sp.exp(mean + variance / 2)) == 0
    assert (
        sp.simplify(value(u1 * sp.exp(u1)) - (mean + variance) * sp.exp(mean + variance / 2)) == 0
    )
    assert sp.simplify(value(sp.erf(u1)) - sp.erf(mean / sp.sqrt(1 + 2 * variance))) == 0
    assert (
        sp.simplify(
            value((sp.exp(u1) + u1) ** 2)
            - (
                sp.exp(2 * mean + 2 * variance)
                + 2 * (mean + variance) * sp.exp(mean + variance / 2)
                + mean**2
                + variance
            )
        )
        == 0
    )


@pytest.mark.parametrize("seed_offset", range(3))
def test_erf_against_adaptive_quadrature(seed_offset):
    values = random_exact_values(MODEL, fresh_rng(), precision=3 + seed_offset)
    argument = 2 * u1 - u2 / 3 + sp.Rational(1, 5)
    closed = evaluate(E(4 * sp.erf(argument), LAW).doit(), values, {})
    mean = values[m11] * 2 - values[m21] / 3 + sp.Rational(1, 5)
    variance = (4 * values[Q11] - sp.Rational(4, 3) * values[Q12] + values[Q22] / 9) / values[LAM]
    with mpmath.workdps(30):
        mu, sd = mpmath.mpf(str(mean.evalf(30))), mpmath.sqrt(mpmath.mpf(str(variance.evalf(30))))
        points = sorted([-14, 0, 14, float(max(-14, min(14, -mu / sd)))])
        expected = mpmath.quad(lambda z: 4 * mpmath.erf(mu + sd * z) * mpmath.npdf(z), points)
        # tails beyond 14 standard deviations are 1e-43; the rest is quadrature at 30 digits
        assert abs(mpmath.mpf(str(closed.evalf(30))) - expected) < mpmath.mpf(10) ** -20


def test_without_a_closed_form_the_node_stays():
    node = E(sp.tanh(u1), LAW)
    assert node.doit() == node
    assert E(sp.erf(u1**2), LAW).doit() == E(sp.erf(u1**2), LAW)
    assert E(sp.erf(u1) ** 4, LAW).doit().has(GaussianExpectation)
    assert E(sp.exp(u1**2), LAW).doit() == E(sp.exp(u1**2), LAW)


# --- integration by parts -------------------------------------------------------------------------


@pytest.mark.slow
@settings(deadline=None, max_examples=20)
@given(
    f=polynomials,
    i=st.integers(0, 3),
    j=st.integers(0, 2),
    values=strategies.rational_parameters(MODEL, precision=7),
)
def test_integration_by_parts_by_wick_moments(f, i, j, values):
    """With w = P (u - mean) written out the mean of a polynomial is exact."""
    node = E(f * w1**i * w2**j, LAW)
    centred = sp.Matrix([u1 - m11, u2 - m21])
    explicit = sp.Matrix([[S.gram_inverse[a, b] for b in range(2)] for a in range(2)]) * centred
    written_out = f * explicit[0] ** i * explicit[1] ** j
    polynomial = sp.Poly(sp.expand(written_out.xreplace(values)), u1, u2)
    expected = sp.Add(*(c * wick(powers, values) for powers, c in polynomial.terms()))
    assert sp.expand(integrate_by_parts(node).doit().xreplace(values) - expected) == 0
    assert node.doit().xreplace(values).expand() == expected


def wick(powers, values):
    """E[u_1^i u_2^j] by E[u_a f] = mean_a E[f] + sum_b cov_ab E[d_b f]: no library code."""
    i, j = powers
    if i == j == 0:
        return sp.Integer(1)
    a = 0 if i else 1
    rest = [i, j]
    rest[a] -= 1
    total = (values[m11], values[m21])[a] * wick(rest, values)
    for b, n in enumerate(rest):
        if n:
            lower = rest.copy()
            lower[b] -= 1
            total += n * values[S.gram[a, b]] / values[LAM] * wick(lower, values)
    return total


def test_integration_by_parts_of_a_general_function():
    f = sp.Function("f")(u1, u2)
    assert integrate_by_parts(E(f * w2, LAW)) == E(f.diff(u2), LAW) / LAM
    assert integrate_by_parts(E(f, LAW)) == E(f, LAW)


def test_noiseless_value_of_a_whitened_node_is_zero():
    """E_l[f w] is of order 1/lambda: no bound variable may be left over."""
    assert E(u1**2 + u2, LAW).noiseless() == m11**2 + m21
    assert E(u1 * w1, LAW).noiseless() == 0


@pytest.mark.parametrize("expression", [None, "u_1", kgmm(2)])
def test_parts_of_what_is_no_expression_are_refused(expression):
    with pytest.raises(InputError, match=r"expression: got .*; expected a SymPy expression"):
        integrate_by_parts(expression)


@pytest.mark.parametrize("component", [5, 2, -1, 1.0, "1", None])
def test_a_component_that_is_none_is_refused(component):
    with pytest.raises(InputError, match=r"component: got .*; expected an integer in 0\.\.1"):
        preactivation_law(kgmm(2), component)
