"""What a fit says of data, against plain NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import fresh_rng

from numerics import FittedMixture, Problem, bin_spectrum, fit_mixture, population_spectrum
from numerics.real_data.training import (
    SoftmaxNetwork,
    correct_by_class,
    plain_model,
    train_with_replacement,
)
from numerics.real_data.training import at_weights as samples_at
from theory import InputError, Mixture, mlp


@pytest.fixture
def random_seed() -> int:
    return int(fresh_rng().integers(2**31))


def drawn(seed: int, d: int = 7, k: int = 3, per_class: int = 30):
    """Classes with covariances that have nothing in common."""
    generator = np.random.default_rng(seed)
    x, y = [], []
    for c in range(k):
        root = generator.standard_normal((d, d)) * generator.uniform(0.2, 2, d)
        shift = 3 * generator.standard_normal(d)
        x.append(generator.standard_normal((per_class + c, d)) @ root + shift)
        y += [f"class {c}"] * (per_class + c)
    return np.concatenate(x), np.array(y)


def second_moment(fitted: FittedMixture) -> np.ndarray:
    """E[Y Y^T] from the numbers of the mixture alone, in the eigenbasis of the bands."""
    bands, precision = fitted.bands, float(fitted.precision)
    weights = np.array(fitted.weights, dtype=float)
    scales = np.array(bands.scales.tolist(), dtype=float)
    variances = scales[:, fitted.fit.assignment] ** 2 / precision
    means = np.array(fitted.coordinates.tolist(), dtype=float) @ fitted.fit.directions
    basis = fitted.fit.basis
    return (means.T * weights) @ means + (basis * (weights @ variances)) @ basis.T


@pytest.mark.parametrize("clusters", [1, 2])
def test_with_all_bands_first_and_second_moments_are_those_of_the_data(random_seed, clusters):
    x, y = drawn(random_seed)
    fitted = fit_mixture(x, y, clusters=clusters)
    rows = fitted.data.features
    assert np.allclose(second_moment(fitted), rows.T @ rows / len(rows), atol=1e-10)
    assert np.allclose(sum(fitted.weights), 1)
    assert isinstance(fitted, Mixture)
    assert fitted.components == 3 * clusters


def test_clusters_that_are_left_with_a_sample_are_given_up():
    """Ten times the same point, and two far from it, in six clusters."""
    x = np.zeros((2, 12, 3))
    x[:, 10:] = [[9.0, 0, 0], [0, 9, 0]]
    x[1] += [1, 1, 1]
    x[:, :, 2] += np.linspace(0, 1e-3, 12)
    fitted = fit_mixture(x.reshape(24, 3), np.repeat([0, 1], 12), clusters=6)
    assert fitted.fit.moments.counts.min() >= 2
    assert fitted.fit.moments.counts.sum() == 24
    assert np.allclose(second_moment(fitted), fitted.data.features.T @ fitted.data.features / 24)


def test_gram_matrices_of_the_bands_are_those_of_the_directions(random_seed):
    fitted = fit_mixture(*drawn(random_seed), bands=3)
    assert fitted.band_count <= 3
    e = fitted.fit.directions @ fitted.fit.basis
    for g in range(fitted.band_count):
        part = e[:, fitted.fit.assignment == g]
        assert np.allclose(np.array(fitted.band_gram(g).tolist(), dtype=float), part @ part.T)
    assert np.allclose(np.array(fitted.total_gram.tolist(), dtype=float), np.eye(2), atol=1e-9)


@pytest.mark.parametrize("bands", [None, 2])
def test_what_is_dropped_is_what_is_missing(random_seed, bands):
    """Also: nothing, where the covariances have a common eigenbasis."""
    x, y = drawn(random_seed)
    fitted = fit_mixture(x, y, bands=bands)
    basis, missing = fitted.fit.basis, []
    for c, name in enumerate(fitted.data.classes):
        rows = fitted.data.features[y == name]
        covariance = np.cov(rows.T, bias=True)
        kept = (basis * fitted.fit.spread[c]) @ basis.T
        missing.append(np.linalg.norm(covariance - kept) / np.linalg.norm(covariance))
    assert np.allclose(fitted.dropped, missing)
    assert min(missing) > 0.1
    pooled = np.linalg.eigvalsh(fitted.fit.moments.pooled)
    error = 0.0 if bands is None else bin_spectrum(pooled, bands).frobenius_error
    assert fitted.binning_error == pytest.approx(error, abs=1e-12)


def test_nothing_is_dropped_of_covariances_that_commute():
    signs = np.array([[a, b, c] for a in (-1, 1) for b in (-1, 1) for c in (-1, 1)], dtype=float)
    x = np.concatenate([signs * [1, 2, 3] + [5, 0, 0], signs * [2, 1, 4] - [5, 0, 0]])
    fitted = fit_mixture(x, [1] * 8 + [2] * 8, scale="none")
    assert np.abs(fitted.dropped).max() < 1e-7
    assert fitted.directions == 1
    spread = np.sort(fitted.fit.spread, axis=1)
    assert np.allclose(spread, [[1, 4, 9], [1, 4, 16]])


def test_weights_have_the_statistics_that_make_them(random_seed):
    fitted = fit_mixture(*drawn(random_seed), bands=3)
    x = np.random.default_rng(random_seed).standard_normal((2, 7))
    state, e = fitted.state(x, [0.5]), fitted.fit.directions
    if fitted.band_count > 1:
        assert np.allclose(state.overlap.sum(axis=0), x @ e.T)
        grams = np.array([fitted.band_gram(g).tolist() for g in range(fitted.band_count)], float)
        assert np.allclose(state.gram(grams).sum(axis=0), x @ x.T)
    single = fit_mixture(*drawn(random_seed))
    assert np.allclose(single.realise(single.state(x), 0), x, atol=1e-6)
    with pytest.raises(InputError, match="one row per unit"):
        fitted.state(x[:, :5])


def test_samples_have_the_moments_of_the_fit(random_seed):
    """Of either covariance; five standard errors of sums of thousands, with a broken one beside."""
    fitted = fit_mixture(*drawn(random_seed, d=3))
    count = 40_000
    for covariance in ("bands", "full"):
        rows, labels = fitted.samples(count, random_seed, covariance=covariance)
        for c in range(3):
            own = rows[labels == c + 1]
            found = np.cov(own.T)
            basis = fitted.fit.basis
            kept = (basis * fitted.fit.spread[c]) @ basis.T
            expected = kept if covariance == "bands" else fitted.fit.moments.covariances[c]
            scale = np.trace(expected) / np.sqrt(len(own))
            assert np.abs(found - expected).max() < 9 * scale
            assert np.abs(own.mean(axis=0) - fitted.fit.moments.means[c]).max() < 7 * np.sqrt(
                np.trace(expected) / len(own)
            )
    with pytest.raises(InputError, match="covariance"):
        fitted.samples(10, 1, covariance="whole")


@pytest.mark.slow
def test_spectra_of_theory_are_those_of_gaussian_samples(random_seed):
    """Two routes that share no code: the blocks of the banded theory, and plain sums over samples
    of the fit; the isotropic theory is refuted by the same tolerance.
    """
    fitted = fit_mixture(*drawn(random_seed, d=5, k=2))
    x = np.random.default_rng(random_seed).standard_normal((2, 5))
    x -= x.mean(axis=0)
    network = SoftmaxNetwork()
    rows, _ = fitted.samples(60_000, random_seed)
    u = rows @ (x[1] - x[0])
    weight = 1 / (2 + 2 * np.cosh(np.clip(u, -300, 300)))
    # both units weigh the same: an eigenvalue of the full matrix is twice one of a block
    parts = [2 * (rows[i::10].T * weight[i::10]) @ rows[i::10] / 6000 for i in range(10)]
    values = np.linalg.eigvalsh(np.mean(parts, axis=0))[::-1]
    slack = 8 * np.linalg.norm(np.std(parts, axis=0) / np.sqrt(9), 2)
    for mixture, close in ((fitted, True), (fit_mixture(fitted.data, isotropic=True), False)):
        problem = Problem(network.model(mixture))
        found = population_spectrum(problem, mixture.state(x)).eigenvalue.values[:5]
        assert (np.abs(found - values[: found.size]).max() < slack) == close
    assert found.size


def test_a_fitted_mixture_stands_where_a_mixture_does(random_seed):
    fitted = fit_mixture(*drawn(random_seed), bands=2)
    assert mlp(fitted, [2], output="softmax").mixture is fitted
    isotropic = fit_mixture(fitted.data, isotropic=True)
    assert isotropic.band_count == 1
    assert isotropic.precision == fitted.precision


def test_steps_are_those_of_plain_numpy(random_seed):
    """Softmax regression with ridge, sample by sample, with the indices drawn in the same order."""
    fitted = fit_mixture(*drawn(random_seed))
    network = SoftmaxNetwork(ridge=0.3, step=0.7)
    model, data = plain_model(network, fitted), fitted.data
    start = network.start(model, 7, 0)
    runs = train_with_replacement(model, data, start, np.array([0.0, 1.0, 2.0]), 1, random_seed)
    generator = np.random.default_rng(np.random.SeedSequence(random_seed).spawn(1)[0])
    x, delta = np.zeros((3, 7)), 0.7 / 7
    for at in (1, 2):
        for i in generator.integers(len(data.features), size=10):
            u = x @ data.features[i]
            g = np.exp(u - u.max())
            g /= g.sum()
            g[data.labels[i] - 1] -= 1
            x = x - delta * (np.outer(g, data.features[i]) + 0.3 * x)
        assert np.allclose(runs.weights[0, at], x, atol=1e-10)
    assert np.allclose(runs.time, [0, 1, 2])
    chosen = (data.features @ x.T).argmax(axis=1) + 1
    share = [(chosen[data.labels == c] == c).mean() for c in (1, 2, 3)]
    assert np.allclose(correct_by_class(samples_at(model, data, x, np.zeros(0))), share)


def test_digits_have_the_known_outliers_and_isotropic_noise_misses_them():
    datasets = pytest.importorskip("sklearn.datasets", reason="the extra data is not installed")
    x, y = datasets.load_digits(return_X_y=True)
    fitted = fit_mixture(x, y, classes=[0, 1, 2])
    assert fitted.dimension == 56
    at_zero = np.linalg.eigvalsh(second_moment(fitted))[::-1] / 3
    assert np.allclose(at_zero[:4], [0.475, 0.280, 0.161, 0.092], atol=5e-4)
    plain = fit_mixture(fitted.data, isotropic=True)
    isotropic = np.linalg.eigvalsh(second_moment(plain))[::-1] / 3
    assert np.allclose(isotropic[:2], [0.437, 0.195], atol=5e-4)
    assert isotropic[2] < 0.02
