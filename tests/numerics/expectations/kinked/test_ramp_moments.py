"""Exact moments of steps and ramps against one-dimensional quadrature split where the integrand
bends.
"""

from __future__ import annotations

from itertools import pairwise

import mpmath
import numpy as np
import pytest
from helpers import fresh_rng
from hypothesis import example, given
from hypothesis import strategies as st
from scipy.special import ndtr
from scipy.stats import multivariate_normal

from numerics.expectations.kinked.ramp_moments import RampMoments, index_pairs, ramp_moments
from verify import strategies

EPS = float(np.finfo(float).eps)
NAMES = ("step", "ramp", "step_step", "step_ramp", "ramp_ramp")
NODES, WEIGHTS = np.polynomial.legendre.leggauss(24)
REACH = 12.0  # Phi(-12) is 2e-33


# --- the witness ----------------------------------------------------------------------------------


def functions(kind):
    """x -> f(x), and (mean, deviation) -> E f, of a step, a ramp and the identity."""
    if kind == "step":
        return (lambda x: (x > 0) * 1.0), lambda m, s: ndtr(m / s) if s > 0 else (m > 0) * 1.0
    if kind == "ramp":

        def ramp(m, s):
            return (
                m * ndtr(m / s) + s * np.exp(-((m / s) ** 2) / 2) / np.sqrt(2 * np.pi)
                if s > 0
                else np.maximum(m, 0)
            )

        return (lambda x: np.maximum(x, 0.0)), ramp
    return (lambda x: x), lambda m, s: m


def product(first, second, mean, deviation, rho, root):
    """E[f(k_1) g(k_2)]: over k_1 by Gauss-Legendre panels, over k_2 given k_1 in closed form;
    root^2 = 1 - rho^2.
    """
    f, g = functions(first)[0], functions(second)[1]
    edges = {-REACH, REACH}
    if deviation[0] == 0:
        return float(f(mean[0]) * g(mean[1], deviation[1]))
    edges.add(-mean[0] / deviation[0])
    if abs(rho) > 1e-20 and deviation[1] > 0:
        # the conditional mean of k_2 changes its sign here, within a width of root / rho
        turn, width = -mean[1] / deviation[1] / rho, root / abs(rho)
        edges |= {turn + sign * width * 2.0**n for sign in (-1, 1) for n in range(-1, 50)} | {turn}
    edges = sorted(e for e in edges | set(np.linspace(-REACH, REACH, 13)) if -REACH <= e <= REACH)
    total = 0.0
    for a, b in pairwise(edges):
        z = (a + b) / 2 + (b - a) / 2 * NODES
        inner = g(mean[1] + rho * deviation[1] * z, deviation[1] * root)
        total += (
            (b - a)
            / 2
            * float(np.sum(WEIGHTS * np.exp(-(z**2) / 2) * f(mean[0] + deviation[0] * z) * inner))
        )
    return total / np.sqrt(2 * np.pi)


def bound(mean, deviation, root):
    """T1: the correlation is known to a few eps, which P(both > 0) magnifies by 1 / sqrt(1 -
    rho^2).

    Thresholds t enter as (t_j - rho t_i) / sqrt(1 - rho^2); the panels of the witness err by 1e-15
    as well.
    """
    t = np.divide(np.abs(mean), deviation, out=np.zeros(2), where=deviation > 0).clip(0, 40)
    conditioning = (1 + t.max()) / max(root, 1e-8) if root else 1.0
    return (50 + 8 * conditioning) * EPS


def compare(mean, deviation, rho, root, kinds):
    """All moments of two variables of the given kinds against the witness."""
    mean, deviation = np.asarray(mean, float), np.asarray(deviation, float)
    covariance = np.outer(deviation, deviation) * np.array([[1, rho], [rho, 1]])
    steps = kinds.count("ramp")
    found = ramp_moments(mean, covariance, steps)
    size = np.abs(mean) + deviation
    limit = bound(mean, deviation, root)
    for i in range(steps):
        assert abs(found.step[i] - functions("step")[1](mean[i], deviation[i])) <= 50 * EPS
    for i, kind in enumerate(kinds):
        assert abs(found.ramp[i] - functions(kind)[1](mean[i], deviation[i])) <= 50 * EPS * size[i]
    for i, j in np.ndindex(2, 2):
        if i == j:
            pair = (mean[[i, i]], deviation[[i, i]], 1.0, 0.0)
        else:
            pair = (mean[[i, j]], deviation[[i, j]], rho, root)
        if i < steps and j < steps:
            assert abs(found.step_step[i, j] - product("step", "step", *pair)) <= limit
        if i < steps:
            assert abs(found.step_ramp[i, j] - product("step", kinds[j], *pair)) <= limit * size[j]
        assert (
            abs(found.ramp_ramp[i, j] - product(kinds[i], kinds[j], *pair))
            <= limit * size[i] * size[j]
        )
    assert found.step_step.shape == (steps, steps)
    assert found.step_ramp.shape == (steps, 2)


THRESHOLDS = st.one_of(
    st.floats(-4, 4),
    st.floats(-50, 50),
    st.sampled_from([0.0, -0.0, 10.0, -10.0, 38.0, -38.0, 1e-30, -1e-30, 1e-170]),
)
DEVIATIONS = st.one_of(st.floats(-3, 3).map(np.exp), st.just(1.0))
# where there is no noise a mean is a number, not a multiple of a deviation
MEANS = st.one_of(
    st.floats(-4, 4, allow_subnormal=False),
    st.sampled_from([0.0, -0.0, 10.0, -38.0, 1e-30, -1e-30]),
)
KINDS = st.sampled_from([("ramp", "ramp"), ("ramp", "linear"), ("linear", "linear")])


@pytest.mark.slow
@given(
    st.tuples(THRESHOLDS, THRESHOLDS),
    st.tuples(DEVIATIONS, DEVIATIONS),
    st.floats(-0.999, 0.999),
    KINDS,
)
@example((0.0, -1e-30), (1.0, 1.0), 0.3, ("ramp", "ramp"))
@example((1e-170, -1e-170), (1.0, 1.0), -0.3, ("ramp", "ramp"))
@example((38.0, -38.0), (1.0, 2.0), 0.9, ("ramp", "ramp"))
def test_moments_of_two_variables(thresholds, deviations, rho, kinds):
    """Correlations away from 1; thresholds at 0, beside it and far out."""
    mean = np.multiply(thresholds, deviations)
    compare(mean, deviations, rho, np.sqrt((1 - rho) * (1 + rho)), kinds)


@pytest.mark.slow
@given(
    st.tuples(THRESHOLDS, THRESHOLDS),
    st.tuples(DEVIATIONS, DEVIATIONS),
    st.floats(-12, -1),
    st.sampled_from([1, -1]),
    KINDS,
)
@example((0.0, 0.0), (1.0, 1.0), -12.0, 1, ("ramp", "ramp"))
def test_moments_at_correlations_near_one(thresholds, deviations, exponent, sign, kinds):
    """1 - |rho| down to 1e-12: the error grows like eps / sqrt(1 - rho^2), as the slope of P(both >
    0) does.
    """
    rho = sign * (1 - 10.0**exponent)
    mean = np.multiply(thresholds, deviations)
    compare(mean, deviations, rho, np.sqrt((1 - rho) * (1 + rho)), kinds)


@given(
    st.tuples(THRESHOLDS, THRESHOLDS),
    st.tuples(DEVIATIONS, DEVIATIONS),
    st.sampled_from([1.0, -1.0]),
    KINDS,
)
@example((0.0, 0.0), (1.0, 1.0), 1.0, ("ramp", "ramp"))
@example((0.0, 0.0), (1.0, 1.0), -1.0, ("ramp", "ramp"))
@example((1.0, 1.0), (1.0, 1.0), 1.0, ("ramp", "ramp"))
@example((1.0, -1.0), (1.0, 3.0), -1.0, ("ramp", "ramp"))
def test_perfect_correlation_is_exact(thresholds, deviations, rho, kinds):
    """Parallel and opposite variables: no loss of digits, whatever rounding does to the
    correlation.
    """
    compare(np.multiply(thresholds, deviations), deviations, rho, 0.0, kinds)


@given(st.tuples(MEANS, MEANS), st.floats(0.1, 3), st.sampled_from([(0, 1), (1, 0), (0, 0)]), KINDS)
def test_variables_without_noise(mean, deviation, noisy, kinds):
    """A step at exactly 0 is 0; every moment with a certain variable is a product."""
    compare(mean, np.multiply(noisy, deviation), 0.0, 1.0, kinds)


def test_centred_moments_are_the_arcsine_and_arc_cosine_kernels():
    """P = 1/4 + asin(rho)/2pi, E[q q] = (sin t + (pi - t) cos t)/2pi, cos t = rho, at 40 digits."""
    for rho in (-0.99, -0.5, 0.0, 0.3, 0.8, 0.999):
        found = ramp_moments(np.zeros(2), np.array([[1.0, 2 * rho], [2 * rho, 4.0]]), 2)
        with mpmath.workdps(40):
            angle = mpmath.acos(rho)
            both = (mpmath.pi - angle) / (2 * mpmath.pi)
            ramps = 2 * (mpmath.sin(angle) + (mpmath.pi - angle) * rho) / (2 * mpmath.pi)
            beside = 2 * (1 + mpmath.mpf(rho)) / (2 * mpmath.sqrt(2 * mpmath.pi))
        limit = 20 * EPS / np.sqrt(1 - rho**2)
        assert abs(found.step_step[0, 1] - float(both)) <= limit
        assert abs(found.ramp_ramp[0, 1] - float(ramps)) <= 2 * limit
        assert abs(found.step_ramp[0, 1] - float(beside)) <= 2 * limit


def random_covariance(rng, n, rank):
    """An integer matrix A of the rank asked for, and A A^T, exact in floating point."""
    while True:
        a = rng.integers(-3, 4, (n, rank)).astype(float)
        if np.linalg.matrix_rank(a) == rank:
            return a, a @ a.T


@pytest.mark.parametrize("rank", [1, 2, 3, 4])
def test_step_products_equal_scipy(rank):
    """scipy's bivariate normal integral (error 1e-8) over covariances of any rank, zero rows
    included.
    """
    rng = fresh_rng()
    for _ in range(10):
        _, covariance = random_covariance(rng, 4, rank)
        mean = rng.normal(size=4) * np.sqrt(np.diag(covariance))
        found = ramp_moments(mean, covariance, 4)
        for i, j in zip(*index_pairs(4), strict=True):
            if min(covariance[i, i], covariance[j, j]) == 0:
                continue
            pair = np.ix_([i, j], [i, j])
            right = multivariate_normal(mean[[i, j]], covariance[pair], allow_singular=True).cdf(
                [np.inf, np.inf], lower_limit=[0.0, 0.0]
            )
            assert abs(found.step_step[i, j] - right) <= 1e-7


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_singular_covariances_are_recognised(rank):
    """Variables of low rank, many parallel: every moment against the witness, scaled to
    floating-point deviations.
    """
    rng = fresh_rng()
    for _ in range(6):
        a, _ = random_covariance(rng, 4, rank)
        a = a * rng.uniform(0.1, 1.0)  # no longer exact: correlations of 1 are 1 - 2e-16 or so
        covariance, deviation = a @ a.T, np.linalg.norm(a, axis=1)
        mean = a @ rng.normal(size=rank) + rng.choice([0.0, 0.7], size=4)
        found = ramp_moments(mean, covariance, 3)
        for i, j in zip(*index_pairs(4), strict=True):
            scale = deviation[i] * deviation[j]
            cross = np.array(
                [a[i, p] * a[j, q] - a[i, q] * a[j, p] for p in range(rank) for q in range(p)]
            )
            root = float(np.linalg.norm(cross) / scale) if scale else 1.0
            root = 0.0 if root < 1e-12 else root
            rho = float(a[i] @ a[j] / scale) if scale else 0.0
            pair = (mean[[i, j]], deviation[[i, j]], np.sign(rho) if root == 0 else rho, root)
            kinds = ("ramp", "ramp" if j < 3 else "linear")
            limit, size = bound(*pair[:2], root), np.abs(pair[0]) + pair[1]
            assert abs(found.ramp_ramp[i, j] - product(*kinds, *pair)) <= limit * np.prod(size)
            assert abs(found.step_ramp[i, j] - product("step", kinds[1], *pair)) <= limit * size[1]
            if j < 3:
                assert abs(found.step_step[i, j] - product("step", "step", *pair)) <= limit


def test_leading_axes_broadcast():
    """Means (2, 3, n) with covariances (2, 1, n, n): as one by one."""
    rng = fresh_rng()
    mean, half = rng.normal(size=(2, 3, 4)), rng.normal(size=(2, 1, 4, 4))
    covariance = half @ np.swapaxes(half, -1, -2)
    together = ramp_moments(mean, covariance, 2)
    for index in np.ndindex(2, 3):
        alone = ramp_moments(mean[index], covariance[index[0], 0], 2)
        for name in NAMES:
            one, other = getattr(together, name)[index], getattr(alone, name)
            assert one.shape == other.shape
            assert np.abs(one - other).max() <= 4 * EPS * (1 + np.abs(other).max())


@given(
    st.integers(1, 3).flatmap(lambda rank: strategies.gram_matrices(3, rank=rank)),
    st.lists(st.integers(-30, 30).map(lambda n: n / 10), min_size=3, max_size=3).map(np.array),
)
def test_what_holds_for_any_law(covariance, mean):
    """0 <= P(both) <= P(one), symmetry, and q_i - q_i' = k_i for opposite kinks."""
    signs = np.concatenate([np.eye(3), -np.eye(3)])
    found = ramp_moments(signs @ mean, signs @ covariance @ signs.T, 6)
    # the correlation is known to a few eps, its root to the root of that where it is 1 by accident
    # of the draw
    slack = 1e-7
    assert np.all(found.step_step >= -slack)
    assert np.all(found.step_step <= found.step[:, None] + slack)
    assert np.array_equal(found.step_step, found.step_step.T)
    scale = 1 + np.abs(found.ramp_ramp).max()
    assert np.abs(found.ramp_ramp - found.ramp_ramp.T).max() <= slack * scale
    assert np.abs(found.ramp[:3] - found.ramp[3:] - mean).max() <= 1e-13 * scale
    # a step at exactly 0 is 0, on both sides
    somewhere = (np.diag(covariance) > 0) | (mean != 0)
    assert np.abs(found.step[:3] + found.step[3:] - somewhere).max() <= 1e-13
    # opposite kinks are never both positive
    assert np.abs(np.diagonal(found.step_step, 3)).max() <= 1e-13
    assert np.abs(np.diagonal(found.step_ramp, 3)).max() <= 1e-13 * scale
    assert np.abs(np.diagonal(found.ramp_ramp, 3)).max() <= 1e-13 * scale
    # E[k_i k_j] from the four products of ramps
    r = found.ramp_ramp
    products = r[:3, :3] - r[:3, 3:] - r[3:, :3] + r[3:, 3:] - np.outer(mean, mean)
    assert np.abs(products - covariance).max() <= 1e-13 * scale


def test_zeros_have_the_shapes_of_the_moments():
    rng = fresh_rng()
    found, zeros = (
        ramp_moments(rng.normal(size=(2, 5)), np.eye(5), 3),
        RampMoments.zeros((2,), 3, 5),
    )
    for name in NAMES:
        assert getattr(found, name).shape == getattr(zeros, name).shape
        assert not getattr(zeros, name).any()
