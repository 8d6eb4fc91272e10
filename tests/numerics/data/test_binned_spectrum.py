"""Spectra binned into bands, and curves of noise whose spectrum is a power law."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from helpers import fresh_rng

from numerics import Problem, State, bin_spectrum, integrate_curves
from theory import InputError, kgmm


def test_bands_have_the_least_ratio_and_keep_the_trace():
    rng = fresh_rng()
    kappa = rng.permutation(np.exp(rng.normal(size=9)))
    binned = bin_spectrum(kappa, bands=3)
    scales = np.array(binned.bands.scales.tolist()[0], dtype=float)
    shares = np.array(binned.bands.fractions, dtype=float)
    assert np.isclose(np.sum(shares * scales**2), kappa.mean(), rtol=1e-12)
    ordered = np.sort(kappa)

    def ratio(cuts):
        ends = (0, *cuts, kappa.size)
        return max(ordered[b - 1] / ordered[a] for a, b in itertools.pairwise(ends))

    best = min(ratio(cuts) for cuts in itertools.combinations(range(1, kappa.size), 2))
    parts = [kappa[binned.assignment == g] for g in range(3)]
    assert np.isclose(max(part.max() / part.min() for part in parts), best, rtol=1e-12)
    off = max(np.max(np.abs(part.mean() - part) / part) for part in parts)
    assert np.isclose(binned.largest_error, off, rtol=1e-12)
    spread = np.sqrt(sum(np.sum((part - part.mean()) ** 2) for part in parts))
    assert np.isclose(binned.frobenius_error, spread / np.linalg.norm(kappa), rtol=1e-9)


def test_there_are_never_more_bands_than_asked_for():
    """One band of eigenvalues over decades: a rounded width left the last of them out."""
    rng = fresh_rng()
    for _ in range(300):
        kappa = 10 ** rng.uniform(-3, 3, size=int(rng.integers(2, 8)))
        asked = int(rng.integers(1, 3))
        assert bin_spectrum(kappa, bands=asked).bands.count <= asked


def test_the_curve_of_a_binned_power_law_tends_to_that_of_the_spectrum():
    kappa = np.arange(1, 25.0) ** -1.0
    angles = np.outer([1.0, 2.0], np.arange(kappa.size))
    directions = (1 + np.cos(angles)) / np.sqrt(kappa.size)

    def curve(bands):
        binned = bin_spectrum(kappa, bands)
        grams = binned.gram_matrices(directions)
        model = kgmm(
            2, weights=["1/2", "1/2"], directions_gram=grams, precision=1, ridge=0, step=1,
            bands=binned.bands,
        )  # fmt: skip
        found = integrate_curves(Problem(model), State.zero(model), [0.0, 2.0])
        return binned, found.overlap.sum("band").values[-1]

    exact, limit = curve(kappa.size)
    assert exact.bands.count == kappa.size
    assert exact.largest_error <= 1e-15
    errors = []
    for bands in (2, 4, 12):
        binned, found = curve(bands)
        errors.append(np.abs(found - limit).max())
        assert errors[-1] <= binned.largest_error * np.abs(limit).max()
    assert errors[2] < errors[0] / 10


def test_what_is_no_spectrum_is_named():
    for eigenvalues in ([], [1.0, 0.0], [1.0, -2.0]):
        with pytest.raises(InputError, match="eigenvalues"):
            bin_spectrum(eigenvalues)
    with pytest.raises(InputError, match="bands"):
        bin_spectrum([1.0], bands=0)
    with pytest.raises(InputError, match="directions: got 3"):
        bin_spectrum([1.0, 2.0]).gram_matrices([[1.0, 0.0, 0.0]])
