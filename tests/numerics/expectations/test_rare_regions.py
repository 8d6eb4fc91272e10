"""Where several wide fields are small at once: scrambled nodes may all miss it."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.integrate
import sympy as sp
from helpers import fresh_rng

from numerics import Problem, State
from numerics.expectations import estimation
from numerics.expectations.graded.rare_regions import rare_regions
from numerics.spectra.population_block import population_block
from theory import Loss, Mixture, Model, symbols

UNITS = 3


def committee(activation=sp.tanh):
    """The square of the error of three units, whose readout is trained too."""
    u, v = symbols.vector("u", UNITS), symbols.vector("v", UNITS)
    output = sum(b * activation(a) for a, b in zip(u, v, strict=True))
    data = Mixture.build(labels=[1, -1], coordinates=[[1], [1]], directions_gram=[[1]])
    loss = Loss((output - symbols.LABEL) ** 2 / 2, units=UNITS, readout_size=UNITS)
    numbers = {"weights": [0.5, 0.5], "precision": 1, "ridge": 0, "step": 1}
    return Problem(Model.build(data, loss), **numbers)


def off_diagonal(deviation, readout, seed):
    """E[v_1 v_2 s(u_1) s(u_2) Y_1^2] of slopes s, with its error, and by integrals on the line."""
    state = State(np.zeros((UNITS, 1)), np.eye(UNITS) * deviation**2, np.full(UNITS, readout))
    block = population_block(committee(), state, matrix="hessian", block=(0, 1), seed=seed)

    def slope(x):
        density = np.exp(-0.5 * (x / deviation) ** 2) / (np.sqrt(2 * np.pi) * deviation)
        return density / np.cosh(x) ** 2

    one = scipy.integrate.quad(slope, -40, 40)[0]
    # weights without an overlap: u and Y . e_1 are independent, E (1 + Z)^2 = 2
    return float(block.matrix[0, 0]), float(block.matrix_error[0, 0]), 2 * (readout * one) ** 2


@pytest.mark.slow
@pytest.mark.parametrize("deviation", [5.0, 30.0, 300.0, 3000.0])
def test_products_of_slopes_of_wide_fields_are_within_their_errors(deviation):
    rng = fresh_rng()
    for _ in range(3):
        value, error, right = off_diagonal(deviation, deviation / 3, int(rng.integers(2**32)))
        print(value, error, right)
        assert abs(value - right) <= 2 * error


@pytest.mark.slow
def test_without_the_guard_they_are_not(monkeypatch):
    monkeypatch.setattr(estimation, "sobol_misses", lambda *_: np.zeros(1))
    seeds = fresh_rng().integers(2**32, size=4).tolist()
    found = [off_diagonal(3000.0, 1000.0, seed) for seed in seeds]
    assert any(abs(value - right) > 2 * error for value, error, right in found)


def bump(shift):
    """A product of two narrow factors, and a field that is nowhere rare."""
    return np.array([np.exp(-(shift[:, 0] ** 2) - shift[:, 1] ** 2), np.abs(shift[:, 2])])


def test_regions_count_where_too_few_nodes_fall():
    """E exp(-u^2 - w^2) = 1 / (1 + 2 s^2) for fields of deviation s."""
    covariance, mean = np.diag([1e4, 1e4, 1.0]), np.zeros(3)
    found = rare_regions(mean, covariance, bump, 1000)
    assert found is not None
    right = 1 / (1 + 2e4)
    assert right <= found[0] <= 4 * right
    # narrow fields, many nodes and fields whose mean is elsewhere have no such region
    assert rare_regions(mean, np.eye(3), bump, 1000) is None
    assert rare_regions(mean, covariance, bump, 1e8) is None
    away = rare_regions(np.array([1e5, 1e5, 0.0]), covariance, bump, 1000)
    assert away is None or away[0] < 1e-100


def test_fields_that_are_one_are_small_together():
    """A pair that is one field is as rare as that field, of which 2,000 nodes see enough."""
    covariance = 2500.0 * np.ones((2, 2))
    covariance = np.block([[covariance, np.zeros((2, 1))], [np.zeros((1, 2)), np.ones((1, 1))]])
    assert rare_regions(np.zeros(3), covariance, bump, 2000) is None
