"""Population blocks of mixtures with bands against raw samples in R^d, and spectra of banded
samples beside them.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from band_cases import band_case, classes_in_bands, generators, random_state, raw_samples
from helpers import fresh_rng
from law_cases import largest_z, threshold

from numerics import (
    Parameters,
    Problem,
    State,
    draw_data,
    empirical_projection,
    empirical_spectrum,
    population_block,
    population_spectrum,
    realise_weights,
    state_of_weights,
)
from numerics.core.geometry import span_basis
from theory import InputError

SAMPLES = 20_000


def problem_of(case):
    """The problem and state of a case whose weights are known."""
    overlaps, grams = [], []
    for e, x in zip(case.directions, case.weights, strict=True):
        inside = np.linalg.pinv(e) @ e
        away = x - x @ inside
        overlaps.append(x @ e.T)
        grams.append(away @ away.T)
    one = len(overlaps) == 1
    overlap, gram = (overlaps[0], grams[0]) if one else (np.array(overlaps), np.array(grams))
    return Problem(case.model), State(overlap, gram, case.readout)


def dense(small, axes, sizes):
    """The matrix in R^(n d) of a part of the first layer, from basis vectors as rows ``axes``."""
    n, d = small.rows, sum(sizes)
    bulk = small.bulk.reshape(-1, n, n)
    out = np.zeros((n, d, n, d))
    small_blocks = small.matrix.reshape(n, small.basis.rank, n, small.basis.rank)
    for a in range(n):
        for b in range(n):
            level = np.repeat(bulk[:, a, b], sizes)
            inner = small_blocks[a, :, b] - np.diag(bulk[small.basis.bands, a, b])
            out[a, :, b] = axes.T @ inner @ axes + np.diag(level)
    return out


@pytest.mark.parametrize("bands", [2, 1])
def test_blocks_on_the_span_are_means_of_dense_matrices(bands):
    rng = fresh_rng()
    case = band_case(rng, bands=bands)
    problem, state = problem_of(case)
    y, g, h = raw_samples(case, SAMPLES, rng)
    outer = y[:, :, None] * y[:, None, :]
    bound = threshold(8 * len(y[0]) ** 2)
    for matrix, weights in (
        ("hessian", h[:, :2, :2]),
        ("gradient", g[:, :2, None] * g[:, None, :2]),
    ):
        small = population_block(problem, state, matrix=matrix, regularized=False)
        axes = small.basis.coefficients @ generators(case).T
        assert np.allclose(axes @ axes.T, np.eye(small.basis.rank), atol=1e-8)
        whole = dense(small, axes, case.sizes)
        for a, b in ((0, 0), (0, 1)):
            samples = weights[:, a, b, None, None] * outer
            assert largest_z(samples, whole[a, :, b]) <= bound
            # the level of another band in its place is seen, where samples can tell it
            error = samples.std(axis=0).max() / np.sqrt(SAMPLES)
            wrong = whole[a, :, b] + 3 * bound * error * np.diag(np.arange(len(axes.T)) < 6)
            assert largest_z(samples, wrong) > bound


def test_the_spectrum_is_that_of_the_dense_matrix():
    rng = fresh_rng()
    case = band_case(rng)
    problem, state = problem_of(case)
    d = sum(case.sizes)
    for block in ("first_layer", (0, 0)):
        small = population_block(problem, state, block=block)
        exact = np.linalg.eigvalsh(
            dense(small, small.basis.coefficients @ generators(case).T, case.sizes).reshape(
                small.rows * d, -1
            )
        )
        found = population_spectrum(problem, state, block=block, dimension=d)
        assert found.bulk.dims == ("band", "level")
        bulk = np.repeat(found.bulk.values.ravel(), found.bulk_multiplicity.values.ravel())
        every = np.sort(np.concatenate([found.eigenvalue.values, bulk]))
        assert np.allclose(every, exact, atol=1e-9 * np.abs(exact).max())


def test_weights_and_samples_have_the_statistics_asked_for():
    rng = fresh_rng()
    model = classes_in_bands(rng)
    problem, state = Problem(model), random_state(model, rng)
    directions, x = realise_weights(problem, state, 80)
    again = state_of_weights(problem, x, state.readout)
    assert np.allclose(again.overlap, state.overlap)
    assert np.allclose(again.gram_perp, state.gram_perp)
    gamma = problem.parameters.directions_gram
    edges = np.array([0, 8, 32, 80])
    for g, (low, high) in enumerate(pairwise(edges)):
        part = directions[:, low:high]
        assert np.allclose(part @ part.T, gamma[g])
        assert np.allclose(x[:, low:high] @ part.T, state.overlap[g])
    data = draw_data(problem, state, 80, SAMPLES, rng)
    scales = np.array(model.mixture.bands.scales.tolist(), dtype=float)
    for l, label in enumerate(problem.labels):
        noise = data.features[data.labels == label] - directions[l]
        variances = np.repeat(scales[l] ** 2 / problem.parameters.precision, np.diff(edges))
        assert largest_z(noise**2, variances) <= threshold(3 * 80)
    small = Problem(model)
    with pytest.raises(InputError, match=r"dimension.*band 1 has 1"):
        draw_data(small, state, 10, 5, 0)
    with pytest.raises(InputError, match=r"dimension.*multiple of 10"):
        draw_data(small, state, 81, 5, 0)


def test_samples_of_bands_stand_beside_the_population():
    rng = fresh_rng()
    model = classes_in_bands(rng)
    problem, state = Problem(model), random_state(model, rng)
    small = population_block(problem, state)
    seen = empirical_projection(
        problem, state, dimension=80, samples=SAMPLES, seed=rng.integers(99)
    )
    rank, c = small.basis.rank, model.units
    exact = small.matrix.reshape(c, rank, c, rank).transpose(0, 2, 1, 3)
    bound = threshold(exact.size + 3 * c * c)
    assert np.abs((seen.matrix - exact) / (seen.matrix_error + 1e-12)).max() <= bound
    assert np.abs((seen.bulk - small.bulk) / (seen.bulk_error + 1e-12)).max() <= bound
    population = population_spectrum(problem, state, block=(0, 0), dimension=80)
    beside = empirical_spectrum(
        problem, state, dimension=80, samples=SAMPLES, seed=1, block=(0, 0), beside=population
    )
    top = int(beside.population_eigen[0]) - 1
    assert top == 0
    # the bulk of 80 dimensions and 20000 samples is off by some 2 sqrt(d / M) of its level
    assert abs(beside.eigenvalue[0] / population.eigenvalue[0] - 1) < 0.3


def test_one_band_of_scale_one_is_isotropic_noise():
    rng = fresh_rng()
    plain = Parameters([0.5, 0.5], 3, 0, 1, directions_gram=[[2, 1], [1, 2]])
    state = State(rng.uniform(-1, 1, (2, 2)), np.diag(rng.uniform(0.1, 1, 2)))
    basis = span_basis(plain, state)
    assert basis.directions == 2
    assert not basis.bands.any()
    assert np.allclose(basis.along @ basis.along.T, plain.directions_gram)
    assert np.array_equal(basis.coordinates, np.concatenate([basis.along, basis.weights]))
