"""Generated code: both targets against mpmath at 50 digits, refusals, argument order, the module
cache.

Tolerance (T1).  A derivative of the softmax loss is a polynomial in the class probabilities; pi_a
itself comes from exp(u_a - max u) with a relative error of a few eps plus eps |u| from rounding the
difference.  With D the sum of the absolute values of the monomials (which are at most 1), |computed
- exact| <= C eps (1 + |u|) D; C = 16 covers the number of operations per monomial.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import combinations_with_replacement

import mpmath
import numpy as np
import pytest
import sympy as sp
from helpers import DIGITS, fresh_rng, mp_functions, two_layer_model
from hypothesis import given
from hypothesis import strategies as st

from numerics.core import codegen
from theory import InputError, Softmax, kgmm, symbols
from theory.problem.relu_step import Step
from theory.problem.softmax import LogSumExp
from theory.problem.softplus_sigmoid import Sigmoid, Softplus

EPS = np.finfo(float).eps
C = 16


def partials(loss, order):
    """All partial derivatives of the loss of the given order."""
    return [
        loss.partial(i) for i in combinations_with_replacement(range(len(loss.variables)), order)
    ]


def test_symbols_are_those_of_sympy():
    u, n = sp.symbols("u n")
    bound = sp.Sum(sp.sin(u) ** n, (n, 0, 3)) + sp.Subs(sp.Derivative(sp.Function("f")(n), n), n, u)
    for expressions in (partials(two_layer_model().loss, 2), [bound, bound**2], []):
        expected = set().union(*(e.free_symbols for e in expressions))
        assert codegen.symbols_in(expressions) == expected
    assert n not in codegen.symbols_in([bound])


def compiled(name, arguments, expressions, target):
    return _compiled(name, arguments, tuple(expressions), target)


@lru_cache(maxsize=None)
def _compiled(name, arguments, expressions, target):
    return getattr(
        codegen.load_module(codegen.generate_function(name, arguments, expressions, target)), name
    )


@lru_cache(maxsize=None)
def _mp_function(expressions, names):
    return sp.lambdify(names, expressions, [mp_functions(), "mpmath"], cse=True)


def exact(expressions, names, numbers):
    """Values at 50 digits, by mpmath from the definition of the functions."""
    with mpmath.workdps(DIGITS):
        return _mp_function(tuple(expressions), names)(*map(mpmath.mpf, numbers))


@lru_cache(maxsize=None)
def absolute(expressions):
    """Sum of the absolute values of the monomials of each expression, for factors that are
    positive.
    """
    terms = [[t.as_coeff_Mul() for t in sp.Add.make_args(sp.expand(e))] for e in expressions]
    return tuple(sp.Add(*(abs(number) * rest for number, rest in row)) for row in terms)


SOFTMAX = kgmm(3).loss
DERIVATIVES = tuple(e for order in (1, 2, 3, 4) for e in partials(SOFTMAX, order))
ARGUMENTS = (("y", (symbols.LABEL,)), ("u", SOFTMAX.preactivation))
NAMES = (symbols.LABEL, *SOFTMAX.preactivation)


def values_of(expressions, arguments, y, u, target):
    """Evaluate at one point for numba, or at three copies of it for NumPy."""
    function = compiled("derivatives", arguments, expressions, target)
    if target == "numba":
        out = np.empty(len(expressions))
        function(y, u, out)
        return out
    out = np.empty((len(expressions), 3))
    function(y, np.repeat(np.asarray(u)[:, None], 3, axis=1), out)
    assert np.array_equal(out, np.repeat(out[:, :1], 3, axis=1))
    return out[:, 0]


def assert_t1(y, u):
    reference = exact(DERIVATIVES, NAMES, (y, *u))
    bound = exact(absolute(DERIVATIVES), NAMES, (y, *u))
    for target in ("numba", "numpy"):
        got = values_of(DERIVATIVES, ARGUMENTS, float(y), np.array(u, dtype=float), target)
        assert np.all(np.isfinite(got))
        for value, right, size in zip(got, reference, bound, strict=True):
            limit = C * EPS * (1 + max(map(abs, u))) * size + np.finfo(float).tiny
            assert abs(mpmath.mpf(value) - right) <= limit


@pytest.mark.slow
@given(st.integers(1, 3), st.lists(st.floats(-20, 20), min_size=3, max_size=3))
def test_softmax_derivatives_to_order_four_at_moderate_preactivations(y, u):
    assert_t1(y, u)


@pytest.mark.slow
@pytest.mark.parametrize("y", [1, 2, 3])
@pytest.mark.parametrize(
    "u",
    [
        (1e3, 0, -1e3),
        (-1e3, -1e3, -1e3),
        (1e3, 1e3, 1e3),
        (1e3, 999.5, 998),
        (0, 0, 0),
        (-700, 5, 710),
        (36, 0, -37),
    ],
)
def test_softmax_derivatives_at_extreme_preactivations(y, u):
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        assert_t1(y, u)


@given(st.integers(1, 3), st.lists(st.floats(-1e3, 1e3), min_size=3, max_size=3))
def test_softmax_loss_itself(y, u):
    """log-sum-exp minus u_y: rounding is relative to the largest |u|."""
    right = exact([SOFTMAX.expression], NAMES, (y, *u))[0]
    for target in ("numba", "numpy"):
        got = values_of([SOFTMAX.expression], ARGUMENTS, float(y), np.array(u), target)[0]
        assert abs(mpmath.mpf(float(got)) - right) <= C * EPS * (1 + max(map(abs, u)))


@given(st.floats(-1e3, 1e3))
def test_logistic_functions_never_overflow(f):
    x = symbols.vector("u", 1)
    expressions = [Softplus(x[0]), Sigmoid(x[0]), LogSumExp(x[0], 0), Softmax(1, x[0], 0)]
    with mpmath.workdps(500):  # 1 + exp(-1000) needs them
        function = sp.lambdify(x, expressions, [mp_functions(), "mpmath"])
        right = function(mpmath.mpf(f))
    for target in ("numba", "numpy"):
        out = np.empty((4, 1) if target == "numpy" else 4)
        with np.errstate(over="raise", invalid="raise"):
            compiled("logistic", (("u", x),), expressions, target)(
                np.full((1, 1) if target == "numpy" else 1, f), out
            )
        for value, reference in zip(out.ravel(), right, strict=True):
            assert abs(mpmath.mpf(value) - reference) <= C * EPS * (1 + abs(f)) * max(
                1, abs(reference)
            )


@pytest.mark.slow
def test_two_layer_derivatives_equal_mpmath():
    """A loss with readout parameters: tanh units under the logistic loss, three derivatives."""
    loss, rng = two_layer_model().loss, fresh_rng()
    expressions = [e for order in (1, 2, 3) for e in partials(loss, order)]
    arguments = (("y", (symbols.LABEL,)), ("u", loss.preactivation), ("v", loss.readout))
    names = (symbols.LABEL, *loss.variables)
    u, v = rng.uniform(-2, 2, (2, 20)), rng.uniform(-2, 2, 2)
    many = np.empty((len(expressions), 20))
    compiled("two", arguments, expressions, "numpy")(1.0, u, v, many)
    one = np.empty(len(expressions))
    for i in range(20):
        compiled("two", arguments, expressions, "numba")(1.0, u[:, i], v, one)
        right = np.array([float(x) for x in exact(expressions, names, (1, *u[:, i], *v))])
        # every factor is at most 8 for |u|, |v| <= 2 and there are fewer than 100 terms of degree
        # <= 6
        assert np.abs(one - right).max() < 1e5 * EPS
        assert np.abs(many[:, i] - right).max() < 1e5 * EPS


# --- the boundary: what is refused ----------------------------------------------------------------


def test_undeclared_symbols_are_refused_by_name():
    a, b, c = sp.symbols("alpha bravo charlie")
    for target in ("numba", "numpy"):
        with pytest.raises(InputError, match=r"undeclared symbols \['bravo', 'charlie'\].*\['x'\]"):
            codegen.generate_function("f", (("x", (a,)),), [a * c, b], target)


def test_a_symbol_of_the_same_name_but_other_assumptions_is_undeclared():
    with pytest.raises(InputError, match="undeclared"):
        codegen.generate_body(
            (("x", (sp.Symbol("x", real=True),)),), [sp.Symbol("x", positive=True)], "numba"
        )


def test_distributions_are_refused():
    u = sp.Symbol("u", real=True)
    kinked = sp.Max(u, 0).diff(u, 2)
    assert kinked.has(sp.DiracDelta)
    with pytest.raises(InputError, match=r"Dirac delta.*projection route"):
        codegen.generate_function("f", (("u", (u,)),), [kinked], "numpy")


@pytest.mark.parametrize("target", ["numba", "numpy"])
def test_functions_without_code_are_refused(target):
    """By name, in the words of the user, and before a compiler sees them."""
    u, z = sp.symbols("u z", real=True)
    mystery = sp.Function("mystery")(u)
    for expression, name in (
        (1 + u * sp.exp(mystery), "mystery"),
        (mystery.diff(u), "mystery"),
        (sp.zeta(u) + sp.Max(u, 0), "zeta"),
        (sp.besselj(0, u) ** 2, "besselj"),
        (sp.factorial(u), "factorial"),
        (sp.Sum(u**z, (z, 0, 3)), "Sum"),
        (sp.Integral(sp.exp(-(u**2) * z), (z, 0, 1)), "Integral"),
        (sp.I * u, "I"),
        (sp.oo * u, "oo"),
        (Softplus(sp.zeta(u)), "zeta"),
        (u * sp.Piecewise((u, u > 0), (1 / u, u < -1)), "Piecewise"),
    ):
        with pytest.raises(
            InputError, match=rf"there is no code; expected .*Remedy: rewrite {name} in"
        ) as caught:
            codegen.generate_function("f", (("u", (u,)),), [u, expression], target)
        assert name in str(caught.value.got)
        assert "u_0" not in str(caught.value)


@pytest.mark.parametrize(
    "function",
    [
        sp.erf,
        sp.erfc,
        sp.gamma,
        sp.loggamma,
        sp.tanh,
        sp.atan,
        sp.sinc,
        sp.sign,
        sp.Heaviside,
        sp.Abs,
        sp.asinh,
        Step,
    ],
)
def test_functions_with_code_have_it_in_both_targets(function):
    u = sp.Symbol("u", real=True)
    expressions = [function(u), sp.Piecewise((function(u), u > 1), (u, True))]
    points = np.array([0.3, 1.7, 2.5])
    right = np.array([[float(e.subs(u, sp.Rational(str(x)))) for x in points] for e in expressions])
    many = np.empty((2, 3))
    compiled("f", (("x", (u,)),), expressions, "numpy")(points[None], many)
    assert np.abs(many - right).max() <= C * EPS
    for i, x in enumerate(points):
        one = np.empty(2)
        compiled("f", (("x", (u,)),), expressions, "numba")(np.array([x]), one)
        assert np.abs(one - right[:, i]).max() <= C * EPS


def test_unknown_symbols_of_a_known_kind_come_with_the_range_of_that_kind():
    groups = (("outer", (*symbols.vector("p", 3), *kgmm(3).symbols.overlap, symbols.RIDGE)),)
    wrong = [sp.Symbol("m_9_9", real=True), sp.Symbol("p_4"), sp.Symbol("nu")]
    with pytest.raises(
        InputError, match=r"\['m_9_9', 'nu', 'p_4'\]; .*: m_1_1 to m_3_3, p_1 to p_3\. Remedy"
    ):
        codegen.check_symbols(wrong, groups)
    with pytest.raises(
        InputError, match=r"\['outer'\]: beta\. Remedy: .*same name and other assumptions"
    ):
        codegen.check_symbols([sp.Symbol("beta")], groups)


# --- arguments, broadcasting, output --------------------------------------------------------------


@pytest.mark.slow
def test_argument_order_is_the_declared_one():
    """Entry i of an argument is its i-th symbol, however names or hashes would sort; every rotation
    is tried.
    """
    names = sp.symbols("z b y a x c w d")
    expression = [sp.Add(*(10**i * s for i, s in enumerate(names)))]
    for shift in range(len(names)):
        group = names[shift:] + names[:shift]
        for target in ("numba", "numpy"):
            out = np.empty((1, 1) if target == "numpy" else 1)
            numbers = np.array([float(names.index(s)) for s in group])
            compiled("f", (("v", group),), expression, target)(numbers, out)
            assert out.ravel()[0] == sum(i * 10**i for i in range(len(names)))


def test_source_does_not_depend_on_the_order_of_sets():
    sources = {
        codegen.generate_function("f", ARGUMENTS, list(DERIVATIVES), "numba") for _ in range(3)
    }
    assert len(sources) == 1


def test_a_scalar_argument_may_be_an_array_and_constants_broadcast():
    u, y = symbols.vector("u", 2), symbols.LABEL
    function = compiled(
        "f", (("y", (y,)), ("u", u)), [y * u[0], sp.Integer(7), sp.Max(u[0], u[1], 0), y], "numpy"
    )
    labels, points = np.arange(5.0), fresh_rng().normal(size=(2, 5))
    out = np.empty((4, 5))
    function(labels, points, out)
    expected = [labels * points[0], np.full(5, 7.0), np.maximum(points.max(axis=0), 0), labels]
    assert np.array_equal(out, expected)
    function(3.0, points, out)
    assert np.array_equal(out[3], np.full(5, 3.0))


def test_kronecker_delta_max_and_min():
    u, y = symbols.vector("u", 2), symbols.LABEL
    expressions = [sp.KroneckerDelta(y, 2) * u[0], sp.Max(u[0], u[1]), sp.Min(u[0], u[1], 0)]
    arguments = (("y", (y,)), ("u", u))
    for label in (1.0, 2.0):
        one, many = np.empty(3), np.empty((3, 1))
        compiled("f", arguments, expressions, "numba")(label, np.array([0.5, -2.0]), one)
        compiled("f", arguments, expressions, "numpy")(label, np.array([[0.5], [-2.0]]), many)
        assert one.tolist() == many[:, 0].tolist() == [0.5 * (label == 2), 0.5, -2.0]


def test_outputs_are_not_views_of_the_inputs():
    u = symbols.vector("u", 2)
    function = compiled("f", (("u", u),), [u[0], u[1]], "numpy")
    points = np.ones((2, 3))
    out = np.empty((2, 3))
    function(points, out)
    out[:] = 5.0
    assert np.array_equal(points, np.ones((2, 3)))
    assert not np.shares_memory(points, out)


def test_no_expressions_give_an_empty_function():
    for target in ("numba", "numpy"):
        compiled("f", (("u", symbols.vector("u", 1)),), [], target)(np.ones(1), np.empty(0))


def test_source_can_be_printed():
    source = codegen.generate_function("drift_integrand", ARGUMENTS, DERIVATIVES[:3], "numba")
    assert source.startswith("@numba.njit")
    assert "def drift_integrand(y, u, out):" in source
    assert "u = [u_1, u_2, u_3]" in source
    assert "out[2] = " in source
    compile(source, "generated", "exec")
