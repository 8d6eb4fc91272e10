"""Normal probabilities of three variables in double precision, against another integral."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from helpers import fresh_rng

from numerics.core.special import trivariate_normal as module
from numerics.core.special.bivariate_normal import bivariate_normal_array
from numerics.core.special.rounded import Rounded
from numerics.core.special.trivariate_normal import trivariate_normal, trivariate_normal_array

PAIRS = (0, 1), (0, 2), (1, 2)


NODES, WEIGHTS = np.polynomial.legendre.leggauss(24)


def conditioned(h, correlation):
    """The integral of the bivariate probability given the variable that is not of the pair with
    the largest correlation: not along correlations, as the package does it."""
    first = 3 - sum(max(PAIRS, key=lambda pair: abs(correlation[pair])))
    order = [first, *(i for i in range(3) if i != first)]
    a, b, c = h[order]
    rab, rac, rbc = (correlation[np.ix_(order, order)][pair] for pair in PAIRS)
    roots = np.sqrt(1 - rab**2), np.sqrt(1 - rac**2)
    partial = np.clip((rbc - rab * rac) / (roots[0] * roots[1]), -1, 1)
    ends = np.linspace(-10.0, max(a, -10.0), 200)
    half = (ends[1] - ends[0]) / 2
    x = (ends[:-1] + half)[:, None] + half * NODES
    values = bivariate_normal_array((b - rab * x) / roots[0], (c - rac * x) / roots[1], partial)
    return float(half * np.sum(WEIGHTS * values * np.exp(-x * x / 2)) / np.sqrt(2 * np.pi))


def problem(rng):
    """Bounds and correlations; half of the time a pair that nearly coincides, up to its sign."""
    vectors = rng.normal(size=(3, 4))
    if rng.random() < 0.5:
        apart = 10.0 ** rng.uniform(-6, -1)
        vectors[1] = vectors[0] * rng.choice([-1, 1]) + apart * vectors[1]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return rng.normal(size=3) * rng.choice([0.0, 0.5, 2.0]), vectors @ vectors.T


@pytest.mark.slow
def test_values_are_those_of_another_integral():
    rng = fresh_rng()
    for _ in range(40):
        h, r = problem(rng)
        found = trivariate_normal(*h, *(r[pair] for pair in PAIRS))
        # of two variables that nearly coincide the truth rounds the conditional correlation
        apart = 1 - max(abs(r[pair]) for pair in PAIRS)
        assert abs(found - conditioned(h, r)) < 1e-14 + 1e-15 / np.sqrt(max(apart, 1e-16))


@pytest.mark.slow
def test_without_bounds_it_is_a_sum_of_arcsines():
    rng = fresh_rng()
    for _ in range(50):
        _, r = problem(rng)
        correlations = np.array([r[pair] for pair in PAIRS])
        right = 1 / 8 + np.arcsin(correlations).sum() / (4 * np.pi)
        # an arcsine near 1 magnifies the rounding of its argument
        slope = np.sqrt(np.finfo(float).eps / np.maximum(1 - correlations**2, 1e-16)).max()
        assert abs(trivariate_normal(0, 0, 0, *correlations) - right) < 1e-15 + 1e-8 * slope


@pytest.mark.slow
def test_the_order_of_the_variables_is_no_matter():
    rng = fresh_rng()
    for _ in range(50):
        h, r = problem(rng)
        order = rng.permutation(3)
        one, other = (
            trivariate_normal(*h[list(o)], *(r[np.ix_(o, o)][pair] for pair in PAIRS))
            for o in (np.arange(3), order)
        )
        assert abs(one - other) < 1e-14


@pytest.mark.slow
def test_independent_and_coinciding_variables():
    normal = [0.5 * float(mpmath.erfc(-x / mpmath.sqrt(2))) for x in (0.3, -0.7, 1.1)]
    assert abs(trivariate_normal(0.3, -0.7, 1.1, 0, 0, 0) - np.prod(normal)) < 1e-16
    # the first two are one variable, or its mirror
    assert abs(trivariate_normal(0.3, -0.7, 1.1, 1, 0, 0) - normal[1] * normal[2]) < 1e-15
    between = (normal[0] + normal[1] - 1) if normal[0] + normal[1] > 1 else 0.0
    assert abs(trivariate_normal(0.3, -0.7, 1.1, -1, 0, 0) - between * normal[2]) < 1e-15
    assert trivariate_normal(-40.0, 1.0, 2.0, 0.3, 0.2, 0.1) == 0.0


def test_the_bound_of_its_error_covers_moved_arguments():
    """Arguments anywhere within their errors give values within the bound."""
    rng = fresh_rng()
    for _ in range(30):
        h, r = problem(rng)
        values = np.array([*h, *(r[pair] for pair in PAIRS)])
        size = 10.0 ** rng.uniform(-12, -3)
        errors = size * rng.random(6)
        errors[3:] = np.minimum(errors[3:], (1 - np.abs(values[3:])) / 4)
        pairs = zip(values, errors, strict=True)
        arguments = [Rounded(np.array([x]), np.array([e])) for x, e in pairs]
        bound = trivariate_normal_array(*arguments)
        for _ in range(5):
            moved = values + errors * rng.uniform(-1, 1, 6)
            matrix = np.eye(3)
            for pair, x in zip(PAIRS, moved[3:], strict=True):
                matrix[pair] = matrix[pair[::-1]] = x
            if np.linalg.eigvalsh(matrix)[0] > 1e-14:
                assert abs(trivariate_normal(*moved) - bound.value[0]) <= bound.error[0]


@pytest.mark.slow
def test_a_wrong_path_is_seen(monkeypatch):
    """Half of the integral along the correlations left out."""
    right = module._path
    monkeypatch.setattr(module, "_path", lambda *a: right(*a) / 2)
    found = module.trivariate_normal.py_func(0, 0, 0, 0.5, 0.5, 0.5)
    assert abs(found - 1 / 4) > 1e-3
