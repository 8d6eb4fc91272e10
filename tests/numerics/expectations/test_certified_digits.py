"""Certified expectations: against closed forms, and the error reported covers the true one."""

from __future__ import annotations

import mpmath
import pytest
import sympy as sp
from helpers import fresh_rng

from numerics.expectations.certified_digits import DimensionError, many_digits
from numerics.expectations.certified_double import few_digits
from theory import GaussianExpectation, ReLU, Step, kgmm, preactivation_law, xor
from verify.random_points.exact import random_point


def _law(model):  # type: ignore[no-untyped-def]
    return preactivation_law(model, 0)


def test_fifty_digits_of_closed_forms() -> None:
    """Polynomials, exponentials and erf have exact means; kinks have them too."""
    model = xor(1)
    law, point = _law(model), random_point(model, fresh_rng())
    u = law.variables[0]
    m, s2 = law.mean[0].xreplace(point.values), law.covariance[0, 0].xreplace(point.values)
    exact = {
        u**4: m**4 + 6 * m**2 * s2 + 3 * s2**2,
        sp.exp(u): sp.exp(m + s2 / 2),
        sp.erf(u): sp.erf(m / sp.sqrt(1 + 2 * s2)),
        Step(u): (1 + sp.erf(m / sp.sqrt(2 * s2))) / 2,
        ReLU(u): m * (1 + sp.erf(m / sp.sqrt(2 * s2))) / 2
        + sp.sqrt(s2 / (2 * sp.pi)) * sp.exp(-(m**2) / (2 * s2)),
        sp.cos(u) * sp.DiracDelta(u): sp.exp(-(m**2) / (2 * s2)) / sp.sqrt(2 * sp.pi * s2),
    }
    nodes = {GaussianExpectation(f, law): value for f, value in exact.items()}
    found = many_digits(nodes, point.values, 50)
    double = few_digits(nodes, point.values)
    for node, value in nodes.items():
        with mpmath.workdps(65):
            right = mpmath.mpmathify(sp.N(value, 65))
            got, error = found[node]
            assert abs(got - right) <= 2 * error + mpmath.mpf(10) ** -58 * abs(right), node
            assert error < mpmath.mpf(10) ** -45, node
            number, bound = double[node]
            assert abs(number - right) <= 2 * bound + 1e-15, node


def test_double_precision_agrees_with_a_closed_form_in_the_plane() -> None:
    """E[step(u_1) step(u_2)] of centred Gaussians is 1/4 + asin(rho) / (2 pi)."""
    model = xor(2)
    law = _law(model)
    values = dict(random_point(model, fresh_rng()).values)
    values |= dict.fromkeys(model.symbols.overlap, sp.Integer(0))
    node = GaussianExpectation(Step(law.variables[0]) * Step(law.variables[1]), law)
    value, error = few_digits([node], values)[node]
    q = law.gram.xreplace(values)
    rho = float(q[0, 1] / sp.sqrt(q[0, 0] * q[1, 1]))
    right = 0.25 + float(mpmath.asin(rho)) / (2 * float(mpmath.pi))
    assert abs(value - right) <= error + 1e-14
    assert error < 1e-3


def test_the_gauge_of_the_softmax_saves_a_dimension() -> None:
    model = kgmm(2, directions_gram="orthonormal")
    point = random_point(model, fresh_rng())
    node = GaussianExpectation(model.loss.partial((0, 1)), _law(model))
    value, error = many_digits([node], point.values, 30, model.loss.gauge)[node]
    assert abs(value - few_digits([node], point.values)[node][0]) < 1e-12
    assert error < 1e-28
    with pytest.raises(DimensionError, match="dimension 2"):
        many_digits([node], point.values, 30)


def test_too_many_dimensions_are_refused() -> None:
    model = xor(3)
    point = random_point(model, fresh_rng())
    node = GaussianExpectation(model.loss.partial((0,)), _law(model))
    with pytest.raises(DimensionError, match="dimension 3 with kinks"):
        few_digits([node], point.values)


@pytest.mark.parametrize("distance", [9, 20, 60])
@pytest.mark.parametrize("digits", [15, 25])
def test_what_lies_behind_a_kink_beyond_the_last_node_is_in_the_error(
    distance: int, digits: int
) -> None:
    """The mean of a step far away is no zero without error."""
    model = xor(1)
    law = preactivation_law(model, 0)
    node = GaussianExpectation(Step(law.variables[0]), law)
    at = dict.fromkeys(node.free_symbols, sp.Integer(1))
    at |= {model.symbols.overlap[0, 0]: -sp.Integer(distance), model.mixture.precision: sp.S.One}
    value, error = many_digits([node], at, digits)[node]
    with mpmath.workdps(60):
        assert abs(value - mpmath.ncdf(-distance)) <= error
