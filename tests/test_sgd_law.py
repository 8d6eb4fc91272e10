"""The law of one SGD step: the kernel against raw samples and against drift and diffusion of the theory."""

from __future__ import annotations

from functools import lru_cache

import mpmath
import numpy as np
import pytest
from helpers import fresh_rng
from test_sgd import case, vectors
from witness import FAMILY_ERROR

from numerics import compile_expressions, realise_weights, simulate_sgd
from theory import derive_diffusion, derive_drift

# Finite-d corrections times d.  Mean of R_perp: (r + C) times the corrector (0.2) and c_delta (beta^2 R + 2 beta E[g
# zeta]), together below 2.  Covariance: 2 (c_delta / lambda)^2 E[g^4] (0.2) and cross terms of the former with G.
ALLOWANCE = 5.0


def threshold(comparisons):
    """Two-sided normal quantile so that all comparisons together fail with probability FAMILY_ERROR."""
    return float(mpmath.sqrt(2) * mpmath.erfinv(1 - mpmath.mpf(FAMILY_ERROR) / comparisons))


def with_products(increments, centre):
    """Increments and all products of two of them, centred at a fixed vector."""
    rows, columns = np.triu_indices(increments.shape[1])
    shifted = increments - centre
    return np.concatenate([increments, shifted[:, rows] * shifted[:, columns]], axis=1)


def one_step(name, dimension, samples, rng, runs=2000, **options):
    """Changes of the statistics in one step divided by delta, over many replicas of the kernel."""
    model, _, parameters, state = case(name)
    delta = parameters.step / dimension
    parts = []
    for seed in rng.integers(2**32, size=samples // runs):
        run = simulate_sgd(
            model, parameters, state, [0.0, delta], dimension, replicas=runs, seed=int(seed), **options
        )
        assert run.steps.values.tolist() == [0, 1]
        parts.append((vectors(run) - vectors(run, 0)) / delta)
    return np.concatenate(parts)


def one_raw_step(name, dimension, samples, rng, batch=1):
    """The same from the definition: components, features, one gradient step, its statistics; NumPy only."""
    model, raw, parameters, state = case(name)
    directions, x = realise_weights(parameters, state, dimension)
    means = np.array(model.mixture.coordinates.tolist(), float) @ directions
    component = rng.choice(len(means), size=samples * batch, p=parameters.weights)
    y = means[component] + rng.standard_normal((samples * batch, dimension)) / np.sqrt(parameters.precision)
    sample = raw(component, y @ x.T, state.readout)
    delta = parameters.step / dimension
    gradient = (sample.g[:, :, None] * y[:, None, :]).reshape(samples, batch, *x.shape).mean(axis=1)
    moved = x - delta * (gradient + parameters.ridge * x)
    slope = sample.readout.reshape(samples, batch, -1).mean(axis=1)
    readout = state.readout - delta * (slope + parameters.ridge * state.readout)
    overlap = moved @ directions.T
    away = moved - overlap @ np.linalg.inv(parameters.directions_gram) @ directions
    gram = away @ away.transpose(0, 2, 1)
    upper = np.triu_indices(len(x))
    after = np.concatenate([overlap.reshape(samples, -1), gram[:, upper[0], upper[1]], readout], axis=1)
    return (after - state.flatten()) / delta


def moments_agree(name, dimension, rng, size=20_000, batch=1, **options):
    """Whether all first and second moments of a step are those of raw samples, and their largest z."""
    raw = one_raw_step(name, dimension, size, rng, batch)
    centre = raw.mean(axis=0)
    kernel = with_products(one_step(name, dimension, size, rng, batch=batch, **options), centre)
    raw = with_products(one_raw_step(name, dimension, size, rng, batch), centre)
    error = np.sqrt((kernel.var(axis=0) + raw.var(axis=0)) / size) + 1e-12
    z = np.abs(kernel.mean(axis=0) - raw.mean(axis=0)) / error
    print(f"largest z {z.max():.2f} of {z.size}, threshold {threshold(z.size):.2f}")
    return z.max() <= threshold(z.size)


# the smallest dimension leaves no coordinate beyond directions and weights; 8 fewer than a batch of 5
@pytest.mark.parametrize(
    ("name", "dimension", "batch", "method"),
    [
        ("softmax", 12, 1, "direct"), ("twolayer", 12, 1, "direct"), ("softmax", 12, 3, "direct"),
        ("softmax", 6, 1, "reduced"), ("twolayer", 5, 1, "reduced"), ("softmax", 12, 1, "reduced"),
        ("twolayer", 40, 1, "reduced"), ("softmax", 8, 2, "reduced"), ("softmax", 8, 5, "reduced"),
        ("twolayer", 12, 5, "reduced"),
    ],
)
def test_mean_and_covariance_of_one_step_equal_those_of_raw_samples(name, dimension, batch, method):
    """Two independent samples of 20,000 steps; every first and second moment compared."""
    assert moments_agree(name, dimension, fresh_rng(), batch=batch, method=method)


@lru_cache(maxsize=None)
def theory(name, what):
    """Drift (with or without corrector) or covariance of the diffusion, as numbers at the state of the case."""
    model, _, parameters, state = case(name)

    def values(expressions):
        estimate = compile_expressions(model, tuple(expressions), "numpy").estimate(parameters, state)
        assert estimate.errors.max(initial=0.0) < 1e-4
        return estimate.values

    if what == "covariance":
        diffusion = derive_diffusion(model)
        size = diffusion.mean.shape[0]
        mean = values(diffusion.mean)
        return values(diffusion.second_moment).reshape(size, size) - np.outer(mean, mean)
    drift = derive_drift(model)
    return values((drift if what == "drift" else drift.without_corrector()).vector)


def largest_z(samples, predicted, dimension, amount):
    """z of the largest deviation, after an allowance ``amount / d`` for what vanishes as d grows."""
    error = samples.std(axis=0) / np.sqrt(len(samples)) + 1e-12
    deviation = np.abs(samples.mean(axis=0) - predicted)
    return float((np.maximum(deviation - amount / dimension, 0) / error).max())


@pytest.mark.parametrize("name", ["softmax", "twolayer"])
def test_mean_step_is_the_drift_and_its_covariance_the_diffusion(name):
    """Mean of (change / delta) against the drift, covariance against Cov(G), at d = 1,000.

    The corrector (about 0.2 here) is far outside the error of the mean: without it the same test must fail.
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
    print(f"covariance z {z:.2f}, threshold {threshold(products.shape[1]):.2f}; without corrector z {refuted:.1f}")
    assert z <= threshold(products.shape[1])
    assert refuted > level + 5
    # the same samples against four fifths of the diffusion
    assert largest_z(products, 0.8 * covariance[rows, columns], dimension, ALLOWANCE) > threshold(products.shape[1])
