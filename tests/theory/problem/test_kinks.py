"""The calculus of kinks: one canonical form, distributions, and the three rules."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import sympy as sp
from helpers import fresh_rng, linearise
from hypothesis import given, settings
from hypothesis import strategies as st
from kinked_quadrature import panels

from theory import (
    Activation,
    InputError,
    Loss,
    ReLU,
    Sigmoid,
    Softplus,
    Step,
    derive_hessian,
    symbols,
    two_layer_cross_entropy,
    xor,
)
from theory.names import KINK_RULES
from theory.problem.activations import ARGUMENT, get_activation, leaky_relu
from theory.problem.kinks import apply_kink_rule, check_kink_rule, kink_forms, split_deltas, tidy
from theory.problem.regularity.canonical_form import canonical

u = sp.Symbol("u", real=True)
u1, u2 = symbols.vector("u", 2)
y = symbols.LABEL

# name: (activation, kink, slope left of it, slope right of it)
SHAPES = {
    "relu": (get_activation("relu"), 0, 0, 1),
    "leaky": (leaky_relu("1/5"), 0, sp.Rational(1, 5), 1),
    "abs": (Activation("abs", sp.Abs(ARGUMENT), kinks=(0,)), 0, -1, 1),
    "hinge": (Activation("hinge", sp.Max(ARGUMENT - 1, 0), kinks=(1,)), 1, 0, 1),
}

small = st.integers(-3, 3)
places = st.fractions(-2, 2, max_denominator=3).map(
    lambda q: sp.Rational(q.numerator, q.denominator)
)
slopes = st.sampled_from([-2, -1, 1, 3]).map(sp.Integer)


def pieces(kink):
    """Non-smooth functions of the multiples of a kink."""
    return st.builds(
        lambda f, a: f(a * kink),
        st.sampled_from(
            [
                lambda k: sp.Max(k, 0),
                lambda k: sp.Min(k, 0),
                sp.Abs,
                sp.sign,
                sp.Heaviside,
                ReLU,
                Step,
                lambda k: sp.Max(k, -2 * k),
                lambda k: sp.Min(u + k, u),
            ]
        ),
        slopes,
    )


# --- canonical ------------------------------------------------------------------------------------


@pytest.mark.slow
@settings(max_examples=60)
@given(
    places.flatmap(
        lambda q: st.tuples(st.just(q), st.lists(pieces(u - q), min_size=1, max_size=3))
    ),
    places,
    slopes,
)
def test_canonical_form_has_the_same_values(drawn, point, scale):
    """At every point off the kink, whatever multiple of the kink is declared."""
    place, functions = drawn
    expression = sp.Add(*((i + 1) * f for i, f in enumerate(functions))) + sp.cos(u) * functions[0]
    written = canonical(expression, (scale * (u - place),))
    kinked = written.atoms(ReLU, Step)
    assert {f.args[0] for f in kinked} <= {sp.expand(scale * (u - place)), scale * (u - place)}
    assert not written.has(sp.Max, sp.Min, sp.Abs, sp.sign, sp.Heaviside)
    if point != place:
        assert abs(sp.N((written - expression).subs(u, point), 30)) < 1e-25


def test_canonical_leaves_smooth_expressions_alone():
    expression = sp.tanh(u) + Softplus(u)
    assert canonical(expression, (u,)) is expression


def test_canonical_chooses_among_several_kinks():
    written = canonical(sp.Abs(u1) + sp.Max(0, 2 * u2 - 2) + sp.Max(u1, u2), (u1, u2 - 1, u1 - u2))
    assert sp.expand(written - (2 * ReLU(u1) - u1 + 2 * ReLU(u2 - 1) + u2 + ReLU(u1 - u2))) == 0


REFUSED = [
    (
        sp.Abs(u),
        (),
        "kinks",
        "no kinks for a loss with the kink u = 0",
        "every kink",
        "add u to kinks",
    ),
    (sp.Abs(u - 1), (u,), "kinks", "the kink u - 1 = 0", "every kink", "add u - 1 to kinks"),
    (sp.Max(u, 0), (u**2,), "kinks", "the kink u = 0", "every kink", "add u"),
    (
        sp.Piecewise((0, u < 0), (u, True)),
        (u,),
        "loss expression",
        "Piecewise",
        "ReLU and Step",
        "write a ramp",
    ),
    (sp.floor(u), (u,), "loss expression", "floor", "ReLU and Step", "write a ramp"),
    (sp.DiracDelta(u), (u,), "loss expression", "DiracDelta", "ReLU and Step", "write a ramp"),
    (
        sp.Function("h")(u),
        (u,),
        "loss expression",
        "undefined function h",
        "known derivative",
        "elementary",
    ),
]


@pytest.mark.parametrize(
    ("expression", "kinks", "parameter", "got", "expected", "remedy"), REFUSED, ids=lambda x: None
)
def test_what_cannot_be_written_with_the_declared_kinks_is_refused(
    expression, kinks, parameter, got, expected, remedy
):
    with pytest.raises(InputError) as caught:
        canonical(expression, kinks)
    error = caught.value
    assert error.parameter == parameter
    assert got in str(error.got)
    assert expected in error.expected
    assert remedy in error.remedy


def test_undeclared_kinks_of_a_loss_are_refused():
    with pytest.raises(
        InputError, match=r"kinks: got .*kink u_1 = 0; expected every kink of the loss declared"
    ):
        Loss(sp.Max(u1, 0), units=1)
    with pytest.raises(
        InputError, match=r"kinks: got v_1; expected expressions in u_1 that vanish"
    ):
        Loss(sp.Max(u1, 0), units=1, readout_size=1, kinks=(symbols.vector("v", 1)[0],))
    hinge = 1 - (2 * symbols.LABEL - 1) * u1
    with pytest.raises(InputError, match=r"write a term a label: for -1 and 1 \(1 \+ y\)/2\*Max"):
        Loss(sp.Max(hinge, 0), units=1, kinks=(hinge,))


# --- derivatives as distributions -----------------------------------------------------------------

polynomials = st.lists(small, min_size=1, max_size=4).map(
    lambda c: sp.Add(*(a * u**i for i, a in enumerate(c)))
)


@pytest.mark.slow
@settings(max_examples=30)
@given(polynomials, polynomials, polynomials, places, slopes)
def test_second_derivative_is_the_distribution(smooth, first, second, place, scale):
    """The integral of f'' against a test function is that of f against its second derivative."""
    kink = scale * (u - place)
    f = smooth + first * ReLU(kink) + second * ReLU(kink) ** 2
    regular, parts = split_deltas(f.diff(u, 2))
    test = sp.exp(-(u**2)) * (1 + u)  # 1e-27 at the ends of the panels
    x, w = panels(0.0, 1.0, [float(place)])

    def integral(expression):
        values = sp.lambdify(
            u,
            expression,
            [{"ReLU": lambda k: np.maximum(k, 0), "Step": lambda k: (k > 0) * 1.0}, "numpy"],
        )(x)
        return float(np.sum(w * values))

    on_kinks = sum(float((c * test).subs(u, place)) / abs(k.diff(u)) for k, c in parts.items())
    left, right = integral(regular * test) + on_kinks, integral(f * test.diff(u, 2))
    assert abs(left - right) < 1e-10 * (1 + integral(sp.Abs(f * test.diff(u, 2))))
    jump = sp.expand((first * scale).subs(u, place))
    assert (jump == 0) or len(parts) == 1


def test_ramp_times_delta_vanishes_and_a_smooth_kink_has_no_delta():
    assert split_deltas((ReLU(u) ** 3).diff(u, 2)) == (6 * ReLU(u) * Step(u), {})
    assert tidy(ReLU(u) * sp.DiracDelta(u)) == 0
    assert tidy(sp.exp(ReLU(u)) * sp.DiracDelta(u)) == sp.DiracDelta(u)
    assert tidy(sp.cos(u)) == sp.cos(u)


NOT_INTEGRABLE = [
    Step(u) * sp.DiracDelta(u),
    sp.DiracDelta(u) ** 2,
    sp.DiracDelta(u).diff(u),
    sp.DiracDelta(u1) * sp.DiracDelta(u2),
    (Step(u) + 1) * sp.DiracDelta(u),
]


@pytest.mark.parametrize("expression", NOT_INTEGRABLE, ids=str)
def test_what_is_no_function_plus_deltas_is_refused(expression):
    with pytest.raises(
        InputError, match=r"route: got 'stein'.*; expected 'projection'. Remedy: derive by the proj"
    ):
        split_deltas(expression)
    assert tidy(expression) == expression


@pytest.mark.parametrize("kink", [-u1, -2 * u1, 1 - u1, 2 - 4 * u1, -u1 - u2], ids=str)
def test_a_kink_may_be_declared_with_either_sign(kink):
    """SymPy writes delta(-k) as delta(k): deltas must still be found under the declared kink."""
    v = symbols.vector("v", 1)[0]
    loss = Loss(
        Softplus(v * ReLU(kink)) - y * v * ReLU(kink), units=2, readout_size=1, kinks=(kink,)
    )
    regular, parts = split_deltas(loss.partial((0, 0)))
    assert set(parts) == set(loss.kinks)
    (delta,) = parts
    assert sp.cancel(delta / kink) in (1, -1)
    slope = kink.diff(u1)
    on = {u1: sp.solve(kink, u1)[0]}  # where v ReLU = 0
    assert sp.expand(parts[delta].subs(on) - slope**2 * v * (Sigmoid(0) - y)) == 0
    f = v * ReLU(kink)
    expected = slope**2 * v**2 * Sigmoid(f) * (1 - Sigmoid(f)) * Step(kink)
    for point in (
        {u1: sp.Rational(7, 3), u2: sp.Rational(1, 5)},
        {u1: -sp.Rational(7, 3), u2: sp.Rational(1, 5)},
    ):
        assert abs(sp.N((regular - expected).subs({**point, v: sp.Rational(3, 2)}), 30)) < 1e-25


# --- the rules ------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [1, 2, 3])
@pytest.mark.parametrize("name", SHAPES)
def test_second_derivatives_of_the_loss_by_hand(name, width):
    """With f = sum v_i g(u_i): sigma' f_a f_b + (sigma - y) v_a g''(u_a), and W v, v v likewise."""
    g, place, left, right = SHAPES[name]
    loss = two_layer_cross_entropy(width, g)
    us, vs = loss.preactivation, loss.readout
    f = sp.Add(*(v * g(x) for v, x in zip(vs, us, strict=True)))
    sigma = Sigmoid(f)
    slope = [left + (right - left) * Step(x - place) for x in us]
    for a, b in itertools.product(range(width), repeat=2):
        second = loss.partial((a, b))
        regular = sigma * (1 - sigma) * vs[a] * vs[b] * slope[a] * slope[b]
        on_kink = sp.Integer(0)
        if a == b:
            there = f.xreplace({ReLU(us[a] - place): sp.Integer(0)})
            on_kink = (Sigmoid(there) - y) * vs[a] * (right - left) * sp.DiracDelta(us[a] - place)
        assert sp.expand(apply_kink_rule(second, "almost-everywhere") - regular) == 0
        assert sp.expand(apply_kink_rule(second, "difference") - on_kink) == 0
        assert sp.expand(apply_kink_rule(second, "distributional") - regular - on_kink) == 0
        mixed = sigma * (1 - sigma) * vs[a] * slope[a] * g(us[b]) + (sigma - y) * slope[a] * int(
            a == b
        )
        readout = sigma * (1 - sigma) * g(us[a]) * g(us[b])
        for indices, expected in (((a, width + b), mixed), ((width + a, width + b), readout)):
            for rule, value in zip(KINK_RULES, (expected, expected, 0), strict=True):
                assert sp.expand(apply_kink_rule(loss.partial(indices), rule) - value) == 0


BLOCKS = [("relu", 2), ("leaky", 2), ("abs", 2), ("hinge", 2), ("relu", 3)]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "width"), BLOCKS)
def test_almost_everywhere_plus_difference_is_distributional_in_every_block(name, width):
    """Symbolically, entry by entry; the ridge belongs to the first two rules."""
    model = xor(width, activation=SHAPES[name][0])
    full, regular, kinks = (derive_hessian(model, kink_rule=rule) for rule in KINK_RULES)
    assert [b.kink_rule for b in (full, regular, kinks)] == list(KINK_RULES)
    trios = zip(full.expressions(), regular.expressions(), kinks.expressions(), strict=True)
    assert all(linearise(a - b - c) == 0 for a, b, c in trios)
    for a, b in kinks.first_layer:
        assert (kinks.block(a, b).bulk != 0) == (a == b)  # only W_i W_i meets a delta
        assert kinks.block(a, b).bulk.has(sp.DiracDelta) == (a == b)
    assert kinks.mixed.is_zero_matrix
    assert kinks.readout.is_zero_matrix
    assert not any(e.has(sp.DiracDelta) for e in regular.expressions())


def test_the_rules_agree_for_a_smooth_activation():
    model = xor(2, activation="tanh")
    full, regular, kinks = (derive_hessian(model, kink_rule=rule) for rule in KINK_RULES)
    assert list(full.expressions()) == list(regular.expressions())
    assert set(kinks.expressions()) == {sp.Integer(0)}


def test_rules_are_named():
    assert [check_kink_rule(rule) for rule in KINK_RULES] == [
        "distributional",
        "almost-everywhere",
        "difference",
    ]
    with pytest.raises(
        InputError, match=r"kink_rule: got 'ae'; expected one of \('distributional'.* Remedy: see"
    ):
        check_kink_rule("ae")


# --- affine kinks ---------------------------------------------------------------------------------


def test_kink_forms_are_the_affine_coefficients():
    rng = fresh_rng()
    a = sp.Matrix(3, 2, [sp.Integer(int(n)) for n in rng.integers(-4, 5, 6)])
    c = sp.Matrix(3, 1, [sp.Rational(int(n), 3) for n in rng.integers(-4, 5, 3)])
    kinks = list(a * sp.Matrix([u1, u2]) + c)
    assert kink_forms(kinks, (u1, u2)) == (sp.ImmutableDenseMatrix(a), sp.ImmutableDenseMatrix(c))
    assert kink_forms((u1**2 - 1,), (u1, u2)) is None
    v = symbols.vector("v", 2)
    trained = (v[0] * (u1 - v[1]), u2 + v[1])
    assert kink_forms(trained, (u1, u2)) == (
        sp.ImmutableDenseMatrix([[v[0], 0], [0, 1]]),
        sp.ImmutableDenseMatrix([-v[0] * v[1], v[1]]),
    )
    assert xor(2).loss.kink_forms == (sp.eye(2), sp.zeros(2, 1))
