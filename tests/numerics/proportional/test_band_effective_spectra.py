"""Effective spectra of mixtures with bands: against dense matrices of growing dimension, moments of
the definition, and isotropic noise written as bands.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest
import sympy as sp
from band_cases import classes_in_bands, random_state
from dense_band_spectra import BandNumbers, leading
from growing_dimensions import limits
from helpers import fresh_rng
from law_cases import threshold

from numerics import (
    Problem,
    State,
    draw_data,
    effective_spectrum,
    emergence,
    integrate_curves,
    measure_outliers,
)
from numerics.proportional.covariance.covariance_law import covariance_law
from numerics.proportional.limiting_spectrum import solve_spectrum
from numerics.proportional.resolvent import Resolvent
from theory import Bands, kgmm

RATIO = 3.0
# an outlier farther from the edge than this share of it
FAR = 0.4
# well separated outliers of a block, of H and of G: means correlated across the bands, scales of
# their own for every class
GRAMS = (
    [["1/2", "1/20", "-1/10"], ["1/20", "3/5", "1/10"], ["-1/10", "1/10", "2/5"]],
    [["3/5", "-1/10", "1/5"], ["-1/10", "1/2", "0"], ["1/5", "0", "7/10"]],
)
SCALES = [[1, "1/2"], ["3/2", "1/2"], ["7/10", 1]]
OVERLAP = (
    [[0.5, -0.3, -0.4], [-0.2, 0.4, -0.2], [-0.1, -0.3, 0.5]],
    [[0.6, 0.1, -0.5], [-0.5, 0.3, 0.1], [0.0, -0.6, 0.4]],
)
PERP = (0.3 * np.eye(3), 0.4 * np.eye(3) + 0.05)


@lru_cache(maxsize=1)
def mixed_example():
    """k = 3 and B = 2, its state, and the same as plain numbers."""
    bands = Bands(["1/4", "3/4"], SCALES)
    weights = ["1/2", "3/10", "1/5"]
    model = kgmm(
        3, weights=weights, directions_gram=GRAMS, precision=4, ridge=0, step=1, bands=bands
    )
    state = State(OVERLAP, PERP)
    grams = np.array([sp.Matrix(gram).tolist() for gram in GRAMS], dtype=float)
    scales = np.array(bands.scales.tolist(), dtype=float)
    fractions = np.array([0.25, 0.75])
    shares = np.array([0.5, 0.3, 0.2])
    numbers = BandNumbers(shares, 4.0, fractions, scales, grams, state.overlap, state.gram_perp)
    return Problem(model), state, numbers


def extrapolated(sizes, kind, block, count, rng):
    """Outliers and overlaps for d -> infinity, with standard errors: straight lines in 1 / d."""
    _, _, numbers = mixed_example()
    means, errors = [], []
    for dimension, runs in sizes:
        found = np.array(
            [
                np.concatenate(leading(numbers, dimension, RATIO, kind, block, count, rng))
                for _ in range(runs)
            ]
        )
        means.append(found.mean(axis=0))
        errors.append(found.std(axis=0) / np.sqrt(runs))
    return limits([d for d, _ in sizes], means, errors)


def agrees(found, seen, count):
    """Whether outliers and overlaps are those of an extrapolation, within its errors."""
    exact = np.concatenate([found.outliers.values[:count], found.overlap.values[:count]])
    # beside the edge overlaps bend in 1 / d: straight lines were 5 % off there
    far = np.append(np.ones(count, dtype=bool), found.edge_distance.values[:count] > FAR)
    print(exact, *seen, far)
    close = np.abs(seen[0] - exact) <= threshold(4 * exact.size) * seen[1]
    return bool(close[far].all())


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["hessian", "gradient"])
def test_outliers_of_a_block_are_those_of_growing_dimensions(kind):
    problem, state, _ = mixed_example()
    sizes = [(80, 500), (160, 250), (320, 80)]
    found = effective_spectrum(problem, state, RATIO, matrix=kind, block=(0, 0), density=False)
    count = len(found.outliers)
    assert count == {"hessian": 2, "gradient": 1}[kind]
    seen = extrapolated(sizes, kind, (0, 0), count, fresh_rng())
    assert agrees(found, seen, count)
    # the scales of the other band are another law
    bands = Bands(["1/4", "3/4"], [row[::-1] for row in SCALES])
    model = kgmm(3, directions_gram=GRAMS, bands=bands)
    other = Problem(model, weights=[0.5, 0.3, 0.2], precision=4, ridge=0, step=1)
    wrong = effective_spectrum(other, state, RATIO, matrix=kind, block=(0, 0), density=False)
    assert len(wrong.outliers) < count or not agrees(wrong, seen, count)


def test_bands_of_equal_noise_are_isotropic_noise():
    rng = fresh_rng()
    factor = rng.uniform(-1, 1, (2, 2, 2))
    grams = factor @ np.swapaxes(factor, 1, 2) + 0.3 * np.eye(2)
    overlap = rng.uniform(-1, 1, (2, 2, 2))
    perp = np.array([0.2 * np.eye(2), 0.3 * np.eye(2)])
    share = float(rng.uniform(0.2, 0.8))
    bands = Bands([share, 1 - share], [[1, 1], [1, 1]])
    numbers = {"weights": [0.6, 0.4], "precision": 3.0, "ridge": 0.1, "step": 1}
    two = Problem(kgmm(2, directions_gram=grams.tolist(), bands=bands), **numbers)
    gram = grams.sum(axis=0)
    one = Problem(kgmm(2, directions_gram=gram.tolist()), **numbers)
    state = State(overlap, perp)
    # what the first bands hold of the weights beside the directions is orthogonal to these as well
    whole = overlap.sum(axis=0)
    inside = overlap @ np.linalg.inv(grams) @ np.swapaxes(overlap, 1, 2)
    q = (perp + inside).sum(axis=0)
    plain = State(whole, q - whole @ np.linalg.solve(gram, whole.T))
    for kind, block in (("hessian", "first_layer"), ("gradient", (1, 1))):
        left, right = (
            effective_spectrum(p, s, RATIO, matrix=kind, block=block, density=False)
            for p, s in ((two, state), (one, plain))
        )
        assert np.allclose(left.edges, right.edges, rtol=1e-9)
        assert np.allclose(left.outliers, right.outliers, rtol=1e-9)
        assert np.allclose(left.overlap, right.overlap, rtol=1e-6, atol=1e-9)
        assert np.allclose(left.weight_share, right.weight_share, rtol=1e-6, atol=1e-9)


def direct_density(model, problem, state, points):
    """Density of block (1, 1) at points, from the fixed-point equations of its bands alone: Newton
    steps at one z after the other, from high above the axis, on a product of Hermite nodes.
    """
    x, w = np.polynomial.hermite_e.hermegauss(80)
    z, chance = (
        np.stack([g.ravel() for g in np.meshgrid(x, x)]),
        np.outer(w, w).ravel() / w.sum() ** 2,
    )
    scales, rho = np.array(model.mixture.bands.scales, float), np.array([0.1, 0.3, 0.6])
    rate, p = 1 / problem.parameters.precision, problem.parameters.weights
    shares, away = scales**2 * rate, np.array([[-1.0, 1, 0], [-1, 0, 1]])
    weights = []
    for l in range(3):
        covariance, mean = np.zeros((3, 3)), np.zeros(3)
        for g, (m, perp) in enumerate(zip(state.overlap, state.gram_perp, strict=True)):
            along = m @ np.linalg.pinv(problem.parameters.directions_gram[g]) @ m.T
            covariance += (perp + along) * shares[l, g]
            mean += m[:, l]
        root = np.linalg.cholesky(away @ covariance @ away.T)
        pi = 1 / (1 + np.exp((away @ mean)[:, None] + root @ z).sum(axis=0))
        weights.append(pi * (1 - pi))
    weights = np.array(weights)

    def newton(at, g):
        for _ in range(60):
            lost = weights / (1 - weights / RATIO * (shares @ (rho * g))[:, None])
            first, second = lost @ chance, lost**2 @ chance / RATIO
            left = at - (p * first) @ shares - 1 / g
            slope = np.diag(g**-2) - (shares.T * (p * second)) @ shares * rho
            step = np.linalg.solve(slope, -left)
            g = g + step
            if np.abs(step).max() < 1e-13 * np.abs(g).max():
                break
        return g

    found = []
    for place in points:
        height, g = 10.0, np.full(3, 1 / (place + 10j))
        while height > 1e-15:
            g, height = newton(place + 1j * height, g), 0.7 * height
        found.append(-(rho @ newton(place, g)).imag / np.pi)
    return np.array(found)


@pytest.mark.slow
def test_the_density_covers_its_error_where_two_bulks_nearly_part():
    """A series of cosines does not resolve the dip between them: it is 1.22 there for 0.55."""
    rng = np.random.default_rng(11649957276762949681)
    model = classes_in_bands(rng)
    problem, state = Problem(model), random_state(model, rng)
    grid = np.linspace(0.066, 0.074, 9)
    found = effective_spectrum(problem, state, RATIO, block=(0, 0), regularized=False, grid=grid)
    off = np.abs(found.density.values - direct_density(model, problem, state, grid))
    assert np.all(off <= found.density_error.values)
    # the equation is solved at every place where the series is cut
    assert found.density_error.values.max() < 1e-5 * found.density.values.max()


@pytest.mark.slow
def test_the_density_has_the_moments_of_the_definition():
    rng = fresh_rng()
    model = classes_in_bands(rng)
    problem, state = Problem(model), random_state(model, rng)
    found = effective_spectrum(problem, state, RATIO, block=(0, 0), regularized=False)
    low, high = found.edges.values[[0, -1], [0, 1]]
    theta = np.pi * (np.arange(3000) + 0.5) / 3000
    grid = (low + high) / 2 - (high - low) / 2 * np.cos(theta)
    density = effective_spectrum(
        problem, state, RATIO, block=(0, 0), regularized=False, grid=grid
    ).density.values
    mass = density * (high - low) / 2 * np.sin(theta) * np.pi / 3000
    moments = [float(np.sum(mass * grid**n)) for n in (0, 1, 2)]
    # D = pi_1 (1 - pi_1) at pre-activations drawn from their definition
    gamma, scales = problem.parameters.directions_gram, np.array(model.mixture.bands.scales, float)
    shares, rate = np.array([0.1, 0.3, 0.6]), 1 / problem.parameters.precision
    first, second = np.zeros(3), 0.0
    for l, weight in enumerate(problem.parameters.weights):
        u = np.zeros((200_000, 3))
        for g in range(3):
            m, inverse = state.overlap[g], np.linalg.pinv(gamma[g])
            gram = state.gram_perp[g] + m @ inverse @ m.T
            values, vectors = np.linalg.eigh(gram)
            root = vectors * np.sqrt(np.clip(values, 0, None) * rate) * scales[l, g]
            u += m[:, l] + rng.standard_normal(u.shape) @ root.T
        pi = np.exp(u - u.max(axis=1, keepdims=True))
        pi = pi[:, 0] / pi.sum(axis=1)
        d = pi * (1 - pi)
        first += weight * d.mean() * scales[l] ** 2 * rate
        second += weight * np.mean(d**2) * (shares @ scales[l] ** 2 * rate) ** 2
    second = second / RATIO + shares @ first**2
    assert abs(moments[0] - 1) < 1e-4
    assert abs(moments[1] / (shares @ first) - 1) < 1e-2
    assert abs(moments[2] / second - 1) < 2e-2


@pytest.mark.slow
def test_outliers_emerge_along_curves_of_bands():
    problem = mixed_example()[0]
    curve = integrate_curves(problem, State.zero(problem), [0.0, 1.0, 2.0])
    found = emergence(problem, curve, RATIO, block=(0, 0))
    last = effective_spectrum(problem, State.at(curve, 2.0), RATIO, block=(0, 0), density=False)
    right = last.outliers.values[last.side.values == 1]
    assert int(found["count"].values[-1, 0]) == right.size
    assert np.allclose(found.outlier.values[-1, 0, : right.size], right, rtol=1e-7)


def test_spikes_of_the_covariance_of_banded_data_are_those_of_samples():
    problem, _, numbers = mixed_example()
    rng = fresh_rng()
    seen = []
    for _ in range(60):
        y = numbers.draw(200, RATIO, rng)[0]
        seen.append(np.linalg.eigvalsh(y.T @ y / len(y))[:-3:-1])
    mean, error = np.mean(seen, axis=0), np.std(seen, axis=0) / np.sqrt(len(seen))

    def largest(model):
        law = covariance_law(model, problem.parameters)
        outliers = solve_spectrum(Resolvent(law, RATIO)).outliers
        return np.array([o.place for o in outliers[:2]])

    def agree(places):
        # what 200 dimensions differ by from the limit is a few of their number
        return np.all(np.abs(mean - places) <= threshold(4) * error + 0.02 * places)

    assert agree(largest(problem.model))
    quiet = Bands(["1/4", "3/4"], [["1/2", "1/4"]])
    assert not agree(largest(kgmm(3, directions_gram=GRAMS, bands=quiet)))


def test_measured_overlaps_are_with_the_parts_in_the_bands():
    problem, state, numbers = mixed_example()
    effective = effective_spectrum(problem, state, RATIO, block=(0, 0), density=False)
    data = draw_data(problem, state, 120, 360, fresh_rng())
    beside, _ = measure_outliers(data, effective)
    span = numbers.vectors(120)[3]
    size = data.derivatives("hessian")[0, 0]
    values, vectors = np.linalg.eigh((data.features.T * size) @ data.features / 360)
    top = vectors[:, ::-1][:, :2]
    assert np.allclose(beside.eigenvalue, values[::-1][:2])
    assert np.allclose(beside.overlap, np.sum((span @ top) ** 2, axis=0))
