"""One step of SGD from the bare loss, and moments compared with error bars."""

from __future__ import annotations

from functools import lru_cache

import mpmath
import numpy as np
from sgd_cases import case, vectors
from witness import FAMILY_ERROR

from numerics import compile_expressions, realise_weights, simulate_sgd
from theory import derive_diffusion, derive_drift


def threshold(comparisons):
    """Two-sided normal quantile so that all comparisons together fail with probability
    FAMILY_ERROR.
    """
    return float(mpmath.sqrt(2) * mpmath.erfinv(1 - mpmath.mpf(FAMILY_ERROR) / comparisons))


def with_products(increments, centre):
    """Increments and all products of two of them, centred at a fixed vector."""
    rows, columns = np.triu_indices(increments.shape[1])
    shifted = increments - centre
    return np.concatenate([increments, shifted[:, rows] * shifted[:, columns]], axis=1)


def agree(left, right):
    """Whether all first and second moments of two samples agree, and their largest z."""
    centre = left.mean(axis=0)
    left, right = (with_products(x, centre) for x in (left, right))
    error = np.sqrt(left.var(axis=0) / len(left) + right.var(axis=0) / len(right)) + 1e-12
    z = np.abs(left.mean(axis=0) - right.mean(axis=0)) / error
    print(f"largest z {z.max():.2f} of {z.size}, threshold {threshold(z.size):.2f}")
    return bool(z.max() <= threshold(z.size))


def one_step(name, dimension, samples, rng, runs=2000, **options):
    """Changes of the statistics in one step divided by delta, over many replicas of the kernel."""
    model, _, parameters, state = case(name)
    delta = parameters.step / dimension
    parts = []
    for seed in rng.integers(2**32, size=samples // runs):
        run = simulate_sgd(
            model,
            parameters,
            state,
            [0.0, delta],
            dimension,
            replicas=runs,
            seed=int(seed),
            **options,
        )
        assert run.steps.values.tolist() == [0, 1]
        parts.append((vectors(run) - vectors(run, 0)) / delta)
    return np.concatenate(parts)


def one_raw_step(name, dimension, samples, rng, batch=1):
    """The same from the definition: components, features, one gradient step, its statistics; NumPy
    only.
    """
    model, raw, parameters, state = case(name)
    directions, x = realise_weights(model, parameters, state, dimension)
    means = np.array(model.mixture.coordinates.tolist(), float) @ directions
    component = rng.choice(len(means), size=samples * batch, p=parameters.weights)
    y = means[component] + rng.standard_normal((samples * batch, dimension)) / np.sqrt(
        parameters.precision
    )
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
    after = np.concatenate(
        [overlap.reshape(samples, -1), gram[:, upper[0], upper[1]], readout], axis=1
    )
    return (after - state.flatten()) / delta


def moments_agree(name, dimension, rng, size=20_000, batch=1, **options):
    """Whether first and second moments of a step are those of raw samples, and their largest z."""
    raw = one_raw_step(name, dimension, size, rng, batch)
    centre = raw.mean(axis=0)
    kernel = with_products(one_step(name, dimension, size, rng, batch=batch, **options), centre)
    raw = with_products(one_raw_step(name, dimension, size, rng, batch), centre)
    error = np.sqrt((kernel.var(axis=0) + raw.var(axis=0)) / size) + 1e-12
    z = np.abs(kernel.mean(axis=0) - raw.mean(axis=0)) / error
    print(f"largest z {z.max():.2f} of {z.size}, threshold {threshold(z.size):.2f}")
    return z.max() <= threshold(z.size)


@lru_cache(maxsize=None)
def theory(name, what):
    """Drift (with or without corrector) or covariance of the diffusion, as numbers at the state of
    the case.
    """
    model, _, parameters, state = case(name)

    def values(expressions):
        estimate = compile_expressions(model, tuple(expressions), "numpy").estimate(
            parameters, state
        )
        assert estimate.errors.max(initial=0.0) < 1e-4
        return estimate.values

    if what == "covariance":
        diffusion = derive_diffusion(model)
        size = diffusion.mean.shape[0]
        mean = values(diffusion.mean)
        return values(diffusion.second_moment).reshape(size, size) - np.outer(mean, mean)
    drift = derive_drift(model)
    return values((drift if what == "drift" else drift.without_corrector()).vector)


def largest_z(samples, expected):
    """Largest deviation of the mean of matrices or vectors in standard errors."""
    error = samples.std(axis=0) / np.sqrt(len(samples)) + 1e-12
    return float(np.max(np.abs(samples.mean(axis=0) - expected) / error))
