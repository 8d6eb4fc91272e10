"""The exact mean increment at finite dimension: two routes, raw samples, mutants."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest
from helpers import fresh_rng
from law_cases import one_raw_step, theory, threshold
from sgd_cases import case

from numerics import Parameters, State, compile_expressions
from theory import InputError, derive_finite_size, xor


@lru_cache(maxsize=None)
def correction(name, route, batch):
    model, _, parameters, state = case(name)
    found = compile_expressions(model, derive_finite_size(model, route, batch).vector, "numpy")
    return found.estimate(parameters, state)


@pytest.mark.parametrize("name", ["softmax", "twolayer"])
@pytest.mark.parametrize("batch", [1, 3])
def test_routes_agree(name, batch):
    stein, projection = (correction(name, route, batch) for route in ("stein", "projection"))
    bound = stein.errors + projection.errors + 1e-13
    assert np.all(np.abs(stein.values - projection.values) <= bound)
    assert np.abs(stein.values).max() > 0.05


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "dimension", "batch"), [("softmax", 6, 1), ("twolayer", 5, 1), ("softmax", 6, 3)]
)
def test_mean_of_a_raw_step_is_exact_at_the_smallest_dimension(name, dimension, batch):
    """E[change] / delta = F + F1 / d with nothing left; without F1 the test fails."""
    size = 200_000
    steps = one_raw_step(name, dimension, size, fresh_rng(), batch)
    drift, less = theory(name, "drift"), theory(name, "without corrector")
    limit = less + (drift - less) / batch
    extra = correction(name, None, batch).values
    error = steps.std(axis=0) / np.sqrt(size) + 1e-12

    def largest_z(predicted):
        return float((np.abs(steps.mean(axis=0) - predicted) / error).max())

    level = threshold(steps.shape[1])
    assert largest_z(limit + extra / dimension) <= level
    assert largest_z(limit) > level + 3
    assert largest_z(limit - extra / dimension) > level + 3


@pytest.mark.slow
def test_kinks_by_projection():
    """XOR with three units: F1 against raw samples in d = 5."""
    model, rng, size, d = xor(3), fresh_rng(), 400_000, 5
    parameters = Parameters([0.4, 0.3, 0.2, 0.1], 2.0, 0.3, 2.0, np.eye(2))
    state = State(rng.normal(size=(3, 2)), 0.4 * np.eye(3) + 0.2, rng.normal(size=3))
    from numerics import realise_weights
    from theory import derive_drift

    directions, x = realise_weights(model, parameters, state, d)
    means = np.array(model.mixture.coordinates.tolist(), float) @ directions
    l = rng.choice(4, size=size, p=parameters.weights)
    y = means[l] + rng.standard_normal((size, d)) / np.sqrt(2.0)
    u, v = y @ x.T, state.readout
    residual = 1 / (1 + np.exp(-np.maximum(u, 0) @ v)) - np.array([1, 1, 0, 0])[l]
    g = residual[:, None] * v * (u > 0)
    delta = parameters.step / d
    moved = x - delta * (g[:, :, None] * y[:, None, :] + parameters.ridge * x)
    away = moved[:, :, 2:]
    upper = np.triu_indices(3)
    change = ((away @ away.transpose(0, 2, 1)) - state.gram_perp)[:, upper[0], upper[1]] / delta

    def values(vector):
        found = compile_expressions(model, tuple(vector), "numpy").estimate(
            parameters, state, tolerance=1e-5
        )
        return found.values[6:12], found.errors[6:12]

    (drift, e1), (extra, e2) = (
        values(derive_drift(model).vector),
        values(derive_finite_size(model).vector),
    )
    error = change.std(axis=0) / np.sqrt(size)
    z = np.maximum(np.abs(change.mean(axis=0) - drift - extra / d) - e1 - e2 / d, 0) / error
    assert z.max() <= threshold(6)
    assert (np.abs(change.mean(axis=0) - drift) / error).max() > 10


@pytest.mark.parametrize("batch", [0, -1, 1.5, True])
def test_bad_batch(batch):
    with pytest.raises(InputError, match="batch: got"):
        derive_finite_size(xor(1), batch=batch)
