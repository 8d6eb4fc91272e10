"""Fluctuations, stability and fixed points of noise with bands."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from band_cases import band_case, classes_in_bands, random_state
from helpers import fresh_rng
from law_cases import threshold
from sgd_cases import vectors

from numerics import (
    Problem,
    State,
    drift_jacobian,
    integrate_curves,
    integrate_fluctuations,
    simulate_sgd,
    solve_fixed_point,
    stationary_fluctuations,
)
from theory import Bands, Loss, Mixture, Model, symbols

(U,) = symbols.vector("u", 1)


def square(bands, **numbers):
    """Least squares of one unit, means along one direction of which every band has its share."""
    shares = [1] if bands is None else bands.fractions
    data = Mixture.build(
        weights=["2/5", "3/5"], labels=[1, -1], coordinates=[[1], [-1]], precision=2, bands=bands,
        directions_gram=[[[rho]] for rho in shares] if bands else [[1]],
    )  # fmt: skip
    return Model.build(data, Loss((U - symbols.LABEL) ** 2 / 2, units=1), ridge="1/5", step="1/2")


def total(bands, size):
    """The map of a state vector of bands to that of their sums, of one unit and one direction."""
    return np.kron(np.eye(2), np.ones((1, bands)))[:, :size]


@pytest.mark.slow
def test_bands_of_one_scale_fluctuate_like_isotropic_noise():
    """The covariance of the sums, on a curve and at the fixed point; of other scales another."""
    rng = fresh_rng()
    m, r = rng.uniform(-1, 1), rng.uniform(0.3, 1)
    shares = np.array([0.3, 0.7])
    plain = Problem(square(None))
    start = State([[m]], [[r]])
    at_rest = State.at(solve_fixed_point(plain, start))
    for scales, same in (([1, 1], True), ([0.5, 1.2], False)):
        split = Problem(square(Bands(["3/10", "7/10"], scales)))
        parts = State(m * shares[:, None, None], r * shares[:, None, None])
        sums = total(2, 4)
        found, known = (
            integrate_fluctuations(p, s, [0.0, 1.0], tolerance=1e-6)
            for p, s in ((split, parts), (plain, start))
        )
        covariance = sums @ found.covariance.values[-1] @ sums.T
        assert np.allclose(covariance, known.covariance.values[-1], rtol=1e-4, atol=1e-5) == same
        point = State.at(solve_fixed_point(split, parts))
        assert np.allclose(sums @ point.flatten(), at_rest.flatten(), atol=1e-7) == same
        found, known = (
            stationary_fluctuations(split, point),
            stationary_fluctuations(plain, at_rest),
        )
        covariance = sums @ found.covariance.values @ sums.T
        assert np.allclose(covariance, known.covariance.values, rtol=1e-4, atol=1e-6) == same


@pytest.mark.slow
def test_the_fixed_point_is_where_the_curve_ends():
    """Of least squares in two bands of other scales, and stable; the default start leads there."""
    problem = Problem(square(Bands(["3/10", "7/10"], [[0.5, 1.2], [1, 0.4]])))
    end = State.at(integrate_curves(problem, State.zero(problem), [0.0, 150.0]), 150.0)
    point = solve_fixed_point(problem)
    assert point.overlap.dims == ("band", "unit", "direction")
    assert point.attrs["stability"] == "stable"
    assert np.allclose(State.at(point).flatten(), end.flatten(), rtol=1e-6, atol=1e-9)


def test_what_a_band_does_not_hold_has_no_rate():
    """A direction that is absent from a band leaves its two overlaps out of the eigenvalues."""
    case = band_case(fresh_rng())
    state = State.zero(case.model)
    state = State(state.overlap, state.gram_perp, case.readout)
    jacobian = drift_jacobian(Problem(case.model), state)
    assert jacobian.sizes["statistic"] == 15
    assert jacobian.sizes["eigen"] == 13


@pytest.mark.slow
def test_covariance_and_mean_of_runs_are_those_of_the_theory():
    """2,000 replicas of the chain at d = 1,000; the covariance of other scales is another."""
    rng, time, dimension, count = fresh_rng(), 0.5, 1_000, 2_000
    model = classes_in_bands(rng)
    problem, state = Problem(model), random_state(model, rng)
    runs = simulate_sgd(
        problem, state, [0.0, time], dimension=dimension, replicas=count,
        seed=int(rng.integers(2**32)), method="reduced",
    )  # fmt: skip
    found = vectors(runs)
    law = integrate_fluctuations(problem, state, [0.0, time])
    centred = found - found.mean(axis=0)
    products = centred[:, :, None] * centred[:, None, :]
    error = products.std(axis=0) / np.sqrt(count) + 1e-12
    predicted = law.covariance.values[-1] / dimension
    size = np.sqrt(np.outer(np.diag(predicted), np.diag(predicted)))
    z = (np.abs(products.mean(axis=0) - predicted) - 0.02 * size) / error
    print(f"covariance: largest z {z.max():.2f} of {z.size}")
    assert z.max() <= threshold(z.size)
    mean = law.state.values[-1] + law.mean_shift.values[-1] / dimension
    rest = 0.05 * np.abs(law.mean_shift.values[-1]).max() / dimension
    z = (np.abs(found.mean(axis=0) - mean) - rest) / (found.std(axis=0) / np.sqrt(count))
    print(f"mean: largest z {z.max():.2f} of {z.size}")
    assert z.max() <= threshold(z.size)
    scales = model.mixture.bands.scales[[1, 2, 0], :]
    bands = Bands(model.mixture.bands.fractions, scales)
    other = replace(model, mixture=replace(model.mixture, bands=bands))
    wrong = integrate_fluctuations(Problem(other), state, [0.0, time]).covariance.values[-1]
    z = (np.abs(products.mean(axis=0) - wrong / dimension) - 0.02 * size) / error
    assert z.max() > threshold(z.size)
