"""Extrapolation and measured exponents recover what was put in, and their errors cover."""

from __future__ import annotations

import numpy as np
from helpers import fresh_rng
from hypothesis import given
from hypothesis import strategies as st

from verify.verdict.extrapolation import extrapolate, fit_exponent, mean_and_error

X = np.array([1 / 32, 1 / 64, 1 / 128, 1 / 256])


@given(st.floats(-5, 5), st.floats(-50, 50), st.floats(-500, 500))
def test_extrapolation_is_exact_for_its_own_degree(
    limit: float, first: float, second: float
) -> None:
    values = (limit + first * X + second * X**2)[:, None]
    fit = extrapolate(X, values, np.full((4, 1), 1e-3), degree=2)
    # conditioning of the fit in scaled abscissae is below 1e3
    assert abs(fit.value[0] - limit) <= 1e3 * np.finfo(float).eps * (
        1 + abs(limit) + abs(first) + abs(second)
    )


@given(st.floats(-5, 5), st.floats(0.1, 50), st.floats(-0.2, 0.2))
def test_remainder_covers_the_next_power_when_powers_decay(
    first: float, second: float, ratio: float
) -> None:
    """The cubic term is at most a fifth of the quadratic one at the largest x: the stated premise,
    quantified.
    """
    third = ratio * second / X[0]
    values = (1 + first * X + second * X**2 + third * X**3)[:, None]
    fit = extrapolate(X, values, np.full((4, 1), 1e-3), degree=2)
    assert abs(fit.value[0] - 1) <= fit.remainder[0] + 1e-12


def test_standard_error_of_the_intercept_covers() -> None:
    """Over 400 data sets the standardised intercept has unit variance (chi-square at 1e-6
    two-sided).
    """
    import scipy.stats

    rng, n = fresh_rng(), 400
    errors = np.array([0.3, 0.2, 0.1, 0.2])
    noise = rng.normal(size=(4, n)) * errors[:, None]
    fit = extrapolate(
        X, 1 + 3 * X[:, None] + noise, np.broadcast_to(errors[:, None], (4, n)), degree=1
    )
    total = np.sum(((fit.value - 1) / fit.error) ** 2)
    low, high = scipy.stats.chi2.ppf([5e-7, 1 - 5e-7], n)
    assert low < total < high


@given(st.floats(-3, 3), st.floats(0.01, 100))
def test_exponent_of_a_power_law_is_exact(slope: float, scale: float) -> None:
    x = np.array([8.0, 32.0, 128.0])
    fit = fit_exponent(x, scale * x**slope, np.array([0.01, 0.02, 0.03]))
    assert abs(fit.slope - slope) < 1e-10
    assert abs(fit.curvature) < 1e-10


def test_curvature_sees_a_bend() -> None:
    x = np.array([8.0, 32.0, 128.0])
    assert fit_exponent(x, x**-1.0 + x**-2.0, np.ones(3)).curvature > 0.04


def test_mean_and_error_matches_its_definition() -> None:
    samples = np.array([[1.0, 2.0], [3.0, 6.0]])
    mean, error = mean_and_error(samples)
    np.testing.assert_array_equal(mean, [2.0, 4.0])
    np.testing.assert_allclose(error, [1.0, 2.0], rtol=1e-15)


def test_quantity_without_noise_can_be_extrapolated() -> None:
    """A statistic fixed by a symmetry has zero standard error; it must not become NaN."""
    fit = extrapolate(X, np.zeros((4, 1)), np.zeros((4, 1)), degree=2)
    assert fit.value[0] == 0.0
    assert np.isfinite(fit.error[0])
