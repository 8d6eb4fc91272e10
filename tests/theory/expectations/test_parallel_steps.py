"""Products of steps of parallel kinks: as functions, and their expectations against quadrature."""

from __future__ import annotations

import mpmath
import pytest
import sympy as sp
from helpers import fresh_rng

from theory import GaussianExpectation, ReLU, Step, kgmm, preactivation_law
from theory.expectations.parallel_steps import separated

LAW = preactivation_law(kgmm(2, directions_gram="orthonormal", precision=3), 0)
U = LAW.variables
H = sp.Rational(1, 2)


def ramp(x):
    return mpmath.mpf(max(x, 0))


@pytest.mark.parametrize(
    ("expression", "function"),
    [
        (ReLU(U[0] - 3 * H) * ReLU(U[0] - H), lambda x: ramp(x - 1.5) * ramp(x - 0.5)),
        (ReLU(2 * U[0] - 1) * ReLU(1 - U[0]), lambda x: ramp(2 * x - 1) * ramp(1 - x)),
        (Step(U[0] - H) * Step(U[0]) * U[0], lambda x: mpmath.mpf(x > 0.5) * x),
        (Step(U[0] - H) * Step(-U[0]), lambda x: mpmath.mpf(0)),
        (
            (ReLU(U[0] + H) - ReLU(U[0] - H) - H) ** 2,
            lambda x: (ramp(x + 0.5) - ramp(x - 0.5) - 0.5) ** 2,
        ),
    ],
)
def test_expectations_are_those_of_quadrature(expression, function):
    rng = fresh_rng()
    mean, variance = rng.uniform(-1, 1), rng.uniform(0.2, 3)
    values = dict(zip(LAW.mean.free_symbols, [mean] * 2, strict=False))
    values[sp.Symbol("Q_1_1", real=True)] = 3 * variance
    found = GaussianExpectation(expression, LAW).doit().subs(values).evalf(25)
    mu = float(LAW.mean[0].subs(values))
    points = [mu - 12 * variance**0.5, -0.5, 0, 0.5, 1, 1.5, mu + 12 * variance**0.5]
    expected = mpmath.quad(
        lambda x: function(x) * mpmath.npdf(x, mu, variance**0.5), sorted(points)
    )
    assert abs(found - expected) < 1e-11


def test_a_distance_that_is_no_number_has_no_closed_form():
    v = sp.Symbol("v_1", real=True)
    assert separated(Step(U[0]) * Step(U[0] - v), list(U)) is None
    product = GaussianExpectation(Step(U[0]) * Step(U[0] - v), LAW)
    assert product.doit() == product
    # kinks that are not parallel stay
    both = Step(U[0]) * Step(U[0] + U[1])
    assert separated(both, list(U)) == both


def test_a_delta_decides_about_the_step_beside_it():
    for shift, value in ((1, 1), (-1, 0)):
        delta = sp.DiracDelta(U[0] - 1)
        assert separated(Step(U[0] - 1 + shift) * delta, list(U)) == value * delta
        assert separated(Step(1 - shift - U[0]) * delta, list(U)) == (1 - value) * delta
