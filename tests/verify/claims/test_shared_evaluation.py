"""What claims share is evaluated once, and has the value that it has alone."""

from __future__ import annotations

import mpmath
import pytest
import sympy as sp
from helpers import fresh_rng

from numerics.expectations.high_precision import high_precision_functions
from theory import GaussianExpectation, ReLU, kgmm, preactivation_law
from verify.claims.stages import digits as digits_stage
from verify.claims.stages.digits import gaps
from verify.claims.stages.evaluation import Evaluator
from verify.claims.stages.regions import cuts_of
from verify.claims.stages.small_terms import sizes_of_terms as sizes
from verify.random_points.exact import random_point, scaled_point


def drawn_expression(rng, names, depth=3):
    """Sums, products, powers and functions of a few symbols."""
    if not depth or rng.random() < 0.2:
        return names[rng.integers(len(names))]
    parts = [drawn_expression(rng, names, depth - 1) for _ in range(2)]
    kind = int(rng.integers(4))
    if kind == 2:
        return parts[0] ** int(rng.choice([-1, 2, 3]))
    return (parts[0] + parts[1], parts[0] * parts[1], None, sp.cos(parts[0]))[kind]


@pytest.mark.parametrize("digits", [15, 60])
def test_shared_parts_have_the_values_they_have_alone(digits):
    rng = fresh_rng()
    names = sp.symbols("x y z", real=True)
    values = {s: sp.Rational(int(rng.integers(1, 99)), 17) for s in names}
    with mpmath.workdps(digits):
        shared = Evaluator(values, {})
        for _ in range(20):
            e = drawn_expression(rng, names)
            assert shared.evaluate(e) == Evaluator(values, {}).evaluate(e)


def test_softmax_of_the_same_numbers_knows_more_digits_when_asked():
    function = high_precision_functions()["Softmax"]
    numbers = [mpmath.mpf(0), mpmath.mpf(1)]
    with mpmath.workdps(15):
        function(1, *numbers)
    with mpmath.workdps(60):
        assert abs(function(1, *numbers) - 1 / (1 + mpmath.e)) < mpmath.mpf(10) ** -58


@pytest.mark.parametrize("model", [kgmm(2), kgmm(3, directions_gram="orthonormal")])
def test_numbers_of_a_point_are_those_of_its_matrices(model):
    rng = fresh_rng()
    for rank in (1, None):
        for draw in (random_point, scaled_point):
            p = draw(model, rng, rank)
            m = p.mixing * p.along * p.gamma
            perp = p.mixing * p.across * p.mixing.T
            gram = perp + m * p.gamma.inv() * m.T
            s, at = model.symbols, p.values
            for names, right in ((s.overlap, m), (s.gram_perp, perp), (s.gram, gram)):
                assert (names.xreplace(at) - right).applyfunc(sp.simplify).is_zero_matrix
            inverse = s.gram_inverse.xreplace(at)
            assert (gram * inverse * gram - gram).applyfunc(sp.simplify).is_zero_matrix
            assert (inverse * gram * inverse - inverse).applyfunc(sp.simplify).is_zero_matrix


def test_terms_of_a_difference_are_sized_only_where_somebody_asks(monkeypatch):
    """With the digits of the comparison, and when nobody asks not at all."""
    model = kgmm(2)
    m, q = model.symbols.overlap[0, 0], model.symbols.gram[0, 0]
    asked = []
    monkeypatch.setattr(digits_stage, "sizes_of_terms", lambda *a: asked.append(1) or sizes(*a))
    point = random_point(model, fresh_rng())
    (gap,) = gaps([(m + q + q**3, m + q)], point, 40, terms=True)
    assert gap.refuted
    assert not asked
    with mpmath.workdps(60):
        exact = mpmath.mpf(int(point.values[q].p)) / int(point.values[q].q)
        assert abs(gap.terms[q**3] - exact**3) < exact**3 * mpmath.mpf(10) ** -40
    assert asked
    assert not gap.sees(q**3)  # it is all of the difference


def test_what_is_inside_of_expectations_cuts_nothing():
    x = sp.Symbol("x", real=True)
    law = preactivation_law(kgmm(2), 0)
    inside = GaussianExpectation(ReLU(law.variables[0]), law)
    assert cuts_of([inside * x + 1 / x]) == []
    assert cuts_of([ReLU(x - 3) + inside]) == [x - 3]
    assert len(cuts_of([sp.log(inside - x)])) == 1
