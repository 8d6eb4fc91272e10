"""Losses that are refused, each remedy tried, and kinks behind kinks."""

import itertools
import re

import mpmath
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from theory import (
    Activation,
    InputError,
    Loss,
    Model,
    ReLU,
    Softplus,
    Step,
    derive_drift,
    derive_gradient,
    derive_hessian,
    symbols,
    xor,
)
from theory.problem.activations import ARGUMENT
from theory.problem.regularity.piecewise_linear import piecewise_linear

U = symbols.vector("u", 2)
V = symbols.vector("v", 2)
Y = symbols.LABEL
u = U[0]
LONGEST = 400


def refusal(expression, kinks=(), readout=0):
    with pytest.raises(InputError) as caught:
        Loss(expression, units=2, readout_size=readout, kinks=kinks)
    assert len(str(caught.value)) < LONGEST
    return caught.value


def declared(error):
    """The kinks that a remedy names."""
    names = {str(s): s for s in (*U, *V)} | {"ReLU": ReLU, "Step": Step}
    return sp.sympify(re.search(r"kinks=(\(.*\))$", error.remedy).group(1), locals=names)


UNDECLARED = [
    (sp.Abs(u), ()),
    (sp.Abs(u - 1) + sp.Max(u, 2 * U[1]), (u,)),
    ((sp.Max(-1, sp.Min(1, u)) - Y) ** 2 / 2, ()),
    ((sp.Max(-1, sp.Min(1, u)) - Y) ** 2 / 2, (u - 1,)),
    (sp.Max(0, u - 1, 3 * U[1]), ()),
    (V[0] * ReLU(V[0] * ReLU(u) + V[1] * ReLU(U[1])), (u,)),
    (ReLU(u + V[0]) * V[1], ()),
]


@pytest.mark.parametrize(("expression", "kinks"), UNDECLARED, ids=str)
def test_the_remedy_for_undeclared_kinks_works_at_once(expression, kinks):
    error = refusal(expression, kinks, 2)
    loss = Loss(expression, units=2, readout_size=2, kinks=declared(error))
    at = dict(zip((*U, *V, Y), map(sp.Rational, ("1.3", "-.4", ".7", "-1.1", "1")), strict=True))
    assert abs((loss.expression - expression).xreplace(at).evalf()) < 1e-12


def test_the_remedy_for_a_kink_that_depends_on_the_label_works():
    margin = sp.Max(0, 1 - Y * u)
    error = refusal(margin)
    text = re.search(r"for -1 and 1 (.*), kinks=", error.remedy).group(1)
    names = {"u_1": u, "y": Y, "Max": sp.Max, "ReLU": ReLU}
    loss = Loss(sp.sympify(text, locals=names), units=1, kinks=declared(error))
    for label, point in itertools.product((-1, 1), (-2, sp.Rational(1, 3), 3)):
        at = {Y: sp.Integer(label), u: sp.sympify(point)}
        assert loss.expression.xreplace(at) == margin.xreplace(at)


def test_the_remedy_for_a_hard_tanh_activation_works():
    hard = sp.Max(-1, sp.Min(1, ARGUMENT))
    with pytest.raises(InputError) as caught:
        Activation("hard", hard)
    points = sp.sympify(re.search(r"kinks=(\(.*\))\)$", caught.value.remedy).group(1))
    assert points == (-1, 1)
    assert Activation("hard", hard, kinks=points)(sp.Integer(3)) == 1


@pytest.mark.parametrize("jump", [Step(-u), sp.sign(u), u * Step(u - 1), V[0] * Step(u + V[1])])
def test_a_jump_is_refused_and_its_remedy_is_a_loss(jump):
    kinks = (u, u - 1, u + V[1])
    error = refusal(jump, kinks, 2)
    assert "a jump at" in error.got
    k = u - 1
    Loss(ReLU(k + 1) - ReLU(k), units=2, kinks=(k, k + 1))


def test_a_step_that_does_not_jump_is_a_ramp():
    loss = Loss((u - 1) * Step(u - 1), units=1, kinks=(u - 1,))
    assert loss.partial((0,)) == Step(u - 1)
    assert loss.partial((0, 0)) == sp.DiracDelta(u - 1)


NO_NUMBER = {
    "root": (u ** sp.Rational(1, 3), (), "not real"),
    "logarithm": ((sp.log(u) - Y) ** 2, (), "not real"),
    "arcsine": (sp.asin(u), (), "not real"),
    "quotient": (1 / (u - 2), (), "= 0 in a denominator"),
    "quotient of two": (1 / (u + 2 * U[1]), (), "= 0 in a denominator"),
    "pole": (sp.tan(u), (), "infinite"),
    "hidden kink": (sp.sqrt(u**2 - 2 * u + 1), (), "u_1 = 1"),
    "hidden kink of two": (sp.sqrt(sp.expand((u - U[1]) ** 2)), (), "= 0 in a denominator"),
    "infinite slope": (sp.sqrt(sp.Abs(u)), (u,), "= 0 in a denominator"),
}


@pytest.mark.parametrize("name", NO_NUMBER)
def test_a_loss_that_is_no_finite_number_everywhere_is_refused_with_a_point(name):
    expression, kinks, text = NO_NUMBER[name]
    error = refusal(expression, kinks)
    assert error.parameter == "loss expression"
    assert text in error.got


REGULAR = [
    sp.sqrt(1 + u**2),
    1 / (1 + sp.exp(-u)),
    sp.log(1 + u**2) + sp.log(sp.cosh(u)),
    sp.sqrt(u**2 - 2 * u + 2),
    sp.exp(u) / V[0],
    sp.log(V[0]) + u**2,
    sp.log(sp.exp(u) + sp.exp(U[1])),
    sp.asin(sp.tanh(u) / 2),
    sp.sqrt(V[0] + u**2),
]


@pytest.mark.slow
@pytest.mark.parametrize("expression", REGULAR, ids=str)
def test_a_loss_that_is_one_is_accepted(expression):
    """Where only the sign of a readout parameter decides, the state does."""
    assert Loss(expression, units=2, readout_size=2).is_smooth


# --- kinks behind kinks ---------------------------------------------------------------------------

NUMBERS = st.fractions(-3, 3, max_denominator=4).map(
    lambda q: sp.Rational(q.numerator, q.denominator)
)
NESTS = st.recursive(
    st.builds(lambda a, b: a * ARGUMENT + b, NUMBERS, NUMBERS),
    lambda inner: st.one_of(
        st.builds(ReLU, inner),
        st.builds(sp.Abs, inner),
        st.builds(sp.Max, inner, inner),
        st.builds(lambda f, g: f - 2 * sp.Min(f, g), inner, inner),
    ),
    max_leaves=4,
)


@pytest.mark.slow
@settings(max_examples=80, deadline=None)
@given(NESTS, NUMBERS)
def test_a_piecewise_linear_function_has_the_values_of_its_nest(expression, point):
    read = piecewise_linear(expression, ARGUMENT)
    assert read is not None
    written = read.expression(ARGUMENT)
    assert written.xreplace({ARGUMENT: point}) == expression.xreplace({ARGUMENT: point})
    assert not any(f.args[0].has(ReLU) for f in written.atoms(ReLU))


def test_a_kink_of_a_kink_in_one_symbol_is_a_sum_of_ramps():
    """Through relu(relu(u) - 1), of slope 0 left of 0, the kink at 1 is kept, and is affine."""
    loss = Loss(ReLU(ReLU(u) - 1) + sp.Abs(sp.Abs(u) - 2), units=1, kinks=(u, u - 1, sp.Abs(u) - 2))
    assert loss.kinks == (u, u - 1, u + 2, u - 2)
    assert loss.kink_forms is not None
    deltas = loss.partial((0, 0))
    expected = sp.DiracDelta(u - 1) + 2 * (
        sp.DiracDelta(u + 2) - sp.DiracDelta(u) + sp.DiracDelta(u - 2)
    )
    assert sp.expand(deltas - expected) == 0
    assert ReLU(ReLU(u)).diff(u).xreplace({ReLU(u): u}) == Step(u) ** 2
    folded = Loss(ReLU(ReLU(u)), units=1, kinks=(u,))
    assert folded.partial((0, 0)) == sp.DiracDelta(u)


def three_layers():
    """A ReLU behind a ReLU, of two units."""
    v = symbols.vector("v", 3)
    inner = v[0] * ReLU(u) + v[1] * ReLU(U[1])
    f = v[2] * ReLU(inner)
    loss = Loss(Softplus(f) - Y * f, units=2, readout_size=3, kinks=(*U, inner))
    return Model.build(xor(1).mixture, loss, name="three layers")


def test_formulas_of_a_kink_behind_a_kink_are_those_samples_have():
    model = three_layers()
    assert model.loss.kink_forms is None
    hessian = derive_hessian(model)
    assert hessian.kink_rule == "almost-everywhere"
    for derived in (derive_drift(model), derive_gradient(model), hessian):
        assert derived.route == "projection"
        assert not any(e.general_integrand.has(sp.DiracDelta) for e in derived.expectations())


@pytest.mark.parametrize("rule", ["distributional", "difference"])
def test_deltas_on_a_kink_behind_a_kink_are_refused_in_one_line(rule):
    with pytest.raises(InputError, match="leave the rule out") as caught:
        derive_hessian(three_layers(), kink_rule=rule)
    assert len(str(caught.value)) < LONGEST


def test_the_almost_everywhere_integrand_is_the_difference_quotient_of_the_gradient():
    """Of the loss itself, at points off all kinks."""
    loss = three_layers().loss
    at = dict(zip((*loss.variables, Y), (0.7, -0.4, 0.9, 0.6, -1.2, 1), strict=True))
    step = mpmath.mpf(10) ** -12
    for a, b in itertools.product(range(5), repeat=2):
        g, x = loss.partial((a,)), loss.variables[b]

        def slope(h, g=g, x=x):
            moved = at | {x: at[x] + h}
            return mpmath.mpf(str(g.subs({s: sp.Float(m, 40) for s, m in moved.items()}).evalf(40)))

        second = loss.partial((a, b)).replace(sp.DiracDelta, lambda *_: sp.Integer(0))
        value = second.subs({s: sp.Float(m, 40) for s, m in at.items()}).evalf(30)
        with mpmath.workdps(40):
            quotient = (slope(step) - slope(-step)) / (2 * step)
        assert abs(quotient - mpmath.mpf(str(value))) < 1e-14


@pytest.mark.parametrize("declared", [True, False])
def test_the_remedy_for_a_kink_of_each_label_is_the_same_loss(declared):
    u, y = symbols.vector("u", 1), symbols.LABEL
    hinge = ReLU(1 - y * u[0]) ** 2
    with pytest.raises(InputError, match="term a label") as error:
        Loss(hinge, units=1, kinks=(1 - y * u[0],) if declared else ())
    written, kinks = error.value.remedy.split("for -1 and 1 ")[1].split(", kinks=")
    space = {"ReLU": ReLU, "y": y, "u_1": u[0]}
    loss = Loss(sp.sympify(written, space), units=1, kinks=sp.sympify(kinks, space))
    for label in (-1, 1):
        for value in (-2, sp.Rational(1, 3), 2):
            point = {y: label, u[0]: value}
            assert loss.expression.subs(point) == hinge.subs(point)
