"""Spectral density: quadrature against exact eigenvalues within its own errors, atoms, mass, bad
grids.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest
import scipy.stats
from helpers import fresh_rng

import numerics.spectra.empirical_density as density
from numerics import Parameters, State, draw_data, empirical_density, user_data
from numerics.spectra.empirical_parts import block_operator
from theory import InputError, Loss, Mixture, Model, kgmm, symbols, xor

FAMILY_ERROR = 1e-6
SOFTMAX = Parameters([0.5, 0.3, 0.2], 10.0, 0.1, 1.0)
STATE = State(2.0 * np.eye(3) - 0.5, 0.5 * np.eye(3) + 0.1)
PROBES = 40


@lru_cache(maxsize=None)
def softmax():
    return kgmm(3)


def seed():
    return int(fresh_rng().integers(2**31))


def distribution(operator, points, mass_of_atom):
    """Share of exact eigenvalues up to each point; those of the atom count from the shift on,
    rounding or not.
    """
    values = np.linalg.eigvalsh(operator.dense())
    null = round(mass_of_atom * values.size)
    order = np.argsort(np.abs(values - operator.shift_value))
    values[order[:null]] = operator.shift_value
    return np.mean(values[:, None] <= points, axis=0)


def excess(found, exact):
    """Deviation beyond the resolution over the standard error, at every boundary."""
    beyond = np.abs(found.distribution.values - exact) - found.distribution_resolution.values
    return np.clip(beyond, 0, None) / (found.distribution_error.values + 1e-9)


def critical(comparisons):
    """Two-sided quantile of Student's law over the probes at FAMILY_ERROR, Bonferroni."""
    return scipy.stats.t.isf(FAMILY_ERROR / comparisons / 2, PROBES - 1)


CASES = [
    ("softmax", 200, 1600, "hessian", "full"),
    ("softmax", 200, 1600, "gradient", "full"),
    ("softmax", 200, 90, "hessian", "full"),
    ("softmax", 300, 900, "hessian", (0, 1)),
    ("xor", 150, 1200, "hessian", "full"),
    ("xor", 150, 110, "gradient", "full"),
    ("xor", 300, 250, "hessian", (0, 0)),
]


@pytest.mark.parametrize(("name", "d", "samples", "matrix", "block"), CASES)
def test_quadrature_is_exact_within_its_errors(name, d, samples, matrix, block):
    if name == "softmax":
        model, parameters, state = softmax(), SOFTMAX, STATE
    else:
        model, parameters = xor(3), Parameters([0.25] * 4, 10.0, 0.05, 1.0, np.eye(2))
        state = State([[1.0, 0.2], [-0.5, 0.4], [0.1, -0.8]], 0.5 * np.eye(3), [1.0, -0.7, 0.4])
    data = draw_data(model, parameters, state, d, samples, seed())
    operator = block_operator(data, matrix, "first_layer" if block == "full" else block, False)
    spread = np.linalg.eigvalsh(operator.dense())
    # no boundary on an eigenvalue: rounding would decide on which side it counts
    grid = np.linspace(1.01 * min(0.0, spread[0]), 1.01 * spread[-1], 40)
    call = {"matrix": matrix, "block": block, "regularized": False, "grid": grid}
    found = empirical_density(data, method="lanczos", probes=PROBES, seed=seed(), **call)
    exact = distribution(operator, grid, float(found.atom_mass.sum()))
    assert excess(found, exact).max() < critical(grid.size)
    assert found.distribution_resolution.max() < 0.12
    assert found.distribution_error.max() < 0.05
    # a spectrum off by a factor of two is refuted
    off = distribution(operator, grid / 2, float(found.atom_mass.sum()))
    assert excess(found, off).max() > critical(grid.size)
    dense = empirical_density(data, method="dense", **call)
    assert dense.attrs["method"] == "dense eigvalsh"
    assert np.abs(dense.distribution - exact).max() < 1e-12
    np.testing.assert_allclose(dense.atom_mass, found.atom_mass)
    mass = float((found.density * np.diff(grid)).sum() + found.atom_mass.sum())
    assert mass == pytest.approx(1 - found.attrs["mass_outside"], abs=1e-12)


@pytest.mark.slow
def test_errors_over_probes_cover_repeatedly():
    """The share of deviations beyond one standard error is that of Student's law, over independent
    seeds.
    """
    data = draw_data(softmax(), SOFTMAX, STATE, 30, 240, seed())
    operator = block_operator(data, "hessian", "first_layer", False)
    point = float(np.quantile(np.linalg.eigvalsh(operator.dense()), 0.7))
    exact = distribution(operator, np.array([point]), 1 / 3)[0]
    rng, repeats, probes, inside = fresh_rng(), 100, 12, 0
    for _ in range(repeats):
        found = empirical_density(
            data,
            regularized=False,
            grid=[0, point, 1],
            method="lanczos",
            probes=probes,
            steps=60,
            seed=int(rng.integers(2**31)),
        )
        # nearly all eigenvalues are found: what is left is the error over probes
        deviation = abs(float(found.distribution[1]) - exact)
        inside += deviation <= float(found.distribution_error[1] + found.distribution_resolution[1])
    expected = 1 - 2 * scipy.stats.t.sf(1, probes - 1)
    # the resolution can only add; too few is a defect, at 1e-6
    least = scipy.stats.binom.ppf(FAMILY_ERROR, repeats, expected)
    assert inside >= least
    # errors ten times too small would be seen
    assert least > repeats * (1 - 2 * scipy.stats.t.sf(0.1, probes - 1))


@pytest.mark.parametrize("method", ["dense", "lanczos"])
def test_nothing_below_zero_and_mass_one(method):
    """A positive semidefinite matrix on its default grid: cells from the ridge on, all mass in them
    and the atom.
    """
    for samples in (60, 700):
        data = draw_data(softmax(), SOFTMAX, STATE, 80, samples, seed())
        for matrix, shift in (("hessian", 0.1), ("gradient", 0.0)):
            found = empirical_density(data, matrix=matrix, method=method, seed=seed())
            assert found.attrs["positive"] == 1
            assert found.boundary.values[0] == shift
            assert np.all(found.density >= -1e-12)
            assert np.all(np.diff(found.distribution) >= -1e-12)
            assert found.attrs["mass_outside"] == 0
            widths = np.diff(found.boundary.values)
            assert float((found.density * widths).sum() + found.atom_mass.sum()) == pytest.approx(
                1, abs=1e-12
            )
            assert found.atom_value.values == shift
            rank = min(2 * 80, 2 * samples) if matrix == "hessian" else min(2 * 80, samples)
            assert float(found.atom_mass[0]) == pytest.approx(1 - rank / 240, abs=1e-12)


def test_a_negative_part_is_kept():
    """Off-diagonal softmax blocks are negative semidefinite: their mass lies below zero."""
    data = draw_data(softmax(), SOFTMAX, STATE, 100, 1000, seed())
    for method in ("dense", "lanczos"):
        found = empirical_density(data, block=(0, 1), method=method, seed=seed())
        assert found.attrs["positive"] == 0
        assert found.distribution.sel(boundary=found.boundary[found.boundary <= 0][-1]) > 0.98
        assert float((found.density * np.diff(found.boundary.values)).sum()) == pytest.approx(
            1, abs=1e-9
        )


def test_marchenko_pastur_by_hand():
    """The square loss has D = 1: quartiles of the law of ratio d / M = 1/4, to the fluctuations of
    order 1 / d.
    """
    u = symbols.vector("u", 1)
    one = Mixture.build(weights=[1], labels=[0], coordinates=[[1]], directions_gram=[[1]])
    model = Model.build(one, Loss(u[0] ** 2 / 2, units=1))
    rng, d, samples = fresh_rng(), 300, 1200
    data = user_data(
        model, rng.standard_normal((samples, d)), np.zeros(samples), np.ones((1, d)), ridge=0.0
    )
    t = np.linspace(0.25, 2.25, 20_001)[1:-1]
    law = np.sqrt((2.25 - t) * (t - 0.25)) / (2 * np.pi * 0.25 * t)
    cumulative = np.cumsum(law) * (t[1] - t[0])
    grid = np.interp([0.25, 0.5, 0.75], cumulative, t)
    for method in ("dense", "lanczos"):
        found = empirical_density(data, grid=grid, method=method, probes=PROBES, seed=seed())
        allowed = 8 / d + critical(3) * found.distribution_error + found.distribution_resolution
        assert np.all(np.abs(found.distribution - [0.25, 0.5, 0.75]) <= allowed)


def test_few_samples_in_groups_of_probes(monkeypatch):
    """Probes that do not fit into memory together give the same numbers."""
    data = draw_data(softmax(), SOFTMAX, STATE, 40, 100, 3)
    call = {"method": "lanczos", "probes": 5, "steps": 20, "seed": 1}
    together = empirical_density(data, **call)
    monkeypatch.setattr(density, "GROUP_BYTES", 2 * 20 * 120 * 8)
    apart = empirical_density(data, **call)
    # rounding of sums over columns that are multiplied together
    assert np.abs(together.distribution.values - apart.distribution.values).max() < 1e-9


def test_the_size_chooses():
    data = draw_data(softmax(), SOFTMAX, STATE, 20, 60, 0)
    assert "dense" in empirical_density(data).attrs["method"]
    assert empirical_density(data, method="lanczos").attrs["passes"] <= 80


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"grid": [1.0]}, "grid: got .* expected at least two increasing numbers"),
        ({"grid": [0.0, 0.0, 1.0]}, "grid: got"),
        ({"grid": [0.0, np.nan]}, "grid: got"),
        ({"probes": 1}, "probes: got 1; expected an integer >= 2"),
        ({"steps": 1}, "steps: got 1"),
        ({"method": "krylov"}, "method: got 'krylov'"),
        ({"block": (3, 0)}, r"block: got \(3, 0\)"),
        (
            {"block": (0, 1), "matrix": "gradient", "regularized": True},
            "expected a symmetric block",
        ),
    ],
)
def test_bad_input_is_named(change, message):
    data = draw_data(softmax(), SOFTMAX, STATE, 10, 20, 0)
    with pytest.raises(InputError, match=message):
        empirical_density(data, **change)
