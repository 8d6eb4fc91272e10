"""The law of one SGD step: the kernel against raw samples and against drift and diffusion of the
theory.
"""

from __future__ import annotations

import numpy as np
import pytest
from helpers import fresh_rng
from law_cases import moments_agree, one_step, theory, threshold

# Finite-d corrections times d.  Mean of R_perp: (r + C) times the corrector (0.2) and c_delta
# (beta^2 R + 2 beta E[g zeta]), together below 2.  Covariance: 2 (c_delta / lambda)^2 E[g^4] (0.2)
# and cross terms of the former with G.
ALLOWANCE = 5.0


# the smallest dimension leaves no coordinate beyond directions and weights; 8 fewer than a batch of
# 5
@pytest.mark.parametrize(
    ("name", "dimension", "batch", "method"),
    [
        ("softmax", 12, 1, "direct"),
        ("twolayer", 12, 1, "direct"),
        ("softmax", 12, 3, "direct"),
        ("softmax", 6, 1, "reduced"),
        ("twolayer", 5, 1, "reduced"),
        ("softmax", 12, 1, "reduced"),
        ("twolayer", 40, 1, "reduced"),
        ("softmax", 8, 2, "reduced"),
        ("softmax", 8, 5, "reduced"),
        ("twolayer", 12, 5, "reduced"),
    ],
)
def test_mean_and_covariance_of_one_step_equal_those_of_raw_samples(name, dimension, batch, method):
    """Two independent samples of 20,000 steps; every first and second moment compared."""
    assert moments_agree(name, dimension, fresh_rng(), batch=batch, method=method)


def largest_z(samples, predicted, dimension, amount):
    """z of the largest deviation, beyond ``amount / d`` for what vanishes as d grows."""
    error = samples.std(axis=0) / np.sqrt(len(samples)) + 1e-12
    deviation = np.abs(samples.mean(axis=0) - predicted)
    return float((np.maximum(deviation - amount / dimension, 0) / error).max())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["softmax", "twolayer"])
def test_mean_step_is_the_drift_and_its_covariance_the_diffusion(name):
    """Mean of (change / delta) against the drift, covariance against Cov(G), at d = 1,000.

    The corrector (about 0.2 here) is far outside the error of the mean: without it the same test
    must fail.
    """
    rng, dimension, size = fresh_rng(), 1000, 16_000
    steps = one_step(name, dimension, size, rng)
    level = threshold(steps.shape[1])
    assert largest_z(steps, theory(name, "drift"), dimension, ALLOWANCE) <= level
    refuted = largest_z(steps, theory(name, "without corrector"), dimension, ALLOWANCE)
    rows, columns = np.triu_indices(steps.shape[1])
    centred = steps - theory(name, "drift")
    products = centred[:, rows] * centred[:, columns]
    covariance = theory(name, "covariance")
    z = largest_z(products, covariance[rows, columns], dimension, ALLOWANCE)
    limit = threshold(products.shape[1])
    print(f"covariance z {z:.2f}, threshold {limit:.2f}; without corrector z {refuted:.1f}")
    assert z <= limit
    assert refuted > level + 5
    # the same samples against four fifths of the diffusion
    assert largest_z(products, 0.8 * covariance[rows, columns], dimension, ALLOWANCE) > threshold(
        products.shape[1]
    )
