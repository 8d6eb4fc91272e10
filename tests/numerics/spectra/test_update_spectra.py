"""Matrices of models with an update: those of the loss; ridges by layer where they are known."""

from __future__ import annotations

import numpy as np
import pytest
from update_cases import network, random_start

from numerics import (
    Problem,
    draw_data,
    effective_spectrum,
    empirical_density,
    empirical_operator,
    empirical_spectrum,
    population_spectrum,
)
from numerics.sweeps.setting import Setting
from theory import InputError, Update

RIDGES = network(Update(ridges={"unit 1": "1/2", "layer 2": 0}))
RATES = network(Update(rates={"unit 1": 7}, frozen=["layer 2"], momentum="1/2"))


def test_spectra_of_rates_and_momentum_are_those_of_the_loss():
    state = random_start(RATES, np.random.default_rng(1))
    for matrix in ("hessian", "gradient"):
        found, plain = (
            population_spectrum(Problem(model), state, matrix=matrix, block=(0, 0), dimension=50)
            for model in (RATES, RATES.with_update(None))
        )
        assert np.array_equal(found.eigenvalue, plain.eigenvalue)


def test_ridges_by_unit_shift_their_own_blocks():
    state = random_start(RIDGES, np.random.default_rng(2))
    plain = RIDGES.with_update(None)
    for block, shift in (((0, 0), 0.4), ((1, 1), 0.0), ("layer 2", -0.1)):
        found, other = (
            population_spectrum(Problem(model), state, block=block, dimension=50)
            for model in (RIDGES, plain)
        )
        assert np.allclose(found.eigenvalue, other.eigenvalue + shift, rtol=1e-9, atol=1e-10)


def test_spectra_that_know_one_ridge_refuse_several():
    problem = Problem(RIDGES)
    state = random_start(RIDGES, np.random.default_rng(3))
    samples = draw_data(problem, state, dimension=9, samples=20, seed=0)
    message = r"regularized: got True for a model with ridges by layer or unit; expected False"
    for ask in (
        lambda **more: empirical_spectrum(samples, block=(0, 0), **more),
        lambda **more: empirical_operator(samples, block=(0, 0), **more),
        lambda **more: empirical_density(samples, block=(0, 0), **more),
        lambda **more: effective_spectrum(problem, state, 3.0, block=(0, 0), **more),
    ):
        with pytest.raises(InputError, match=message):
            ask()
    assert empirical_operator(samples, block=(0, 0), regularized=False).shape == (9, 9)


def test_results_and_sweeps_tell_updates_apart():
    state = random_start(RATES, np.random.default_rng(4))
    settings = [
        Setting(Problem(model), state, [0.0, 1.0], 50)
        for model in (RATES, RATES.with_update(None), RIDGES)
    ]
    assert len({setting.digest() for setting in settings}) == 3
    found = population_spectrum(Problem(RATES), state, block=(0, 0), dimension=50)
    assert "momentum" in found.attrs["update"]
    plain = population_spectrum(Problem(RATES.with_update(None)), state, block=(0, 0), dimension=50)
    assert "update" not in plain.attrs
