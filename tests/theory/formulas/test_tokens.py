"""Drift, diffusion, finite-size corrections and blocks of samples with tokens, on raw samples."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
from band_cases import value
from helpers import fresh_rng
from law_cases import threshold
from token_cases import draw, raw_increments, raw_steps, slopes_at, token_case

from theory import (
    Loss,
    Mixture,
    Model,
    derive_diffusion,
    derive_drift,
    derive_finite_size,
    derive_gradient,
    derive_gradient_matrix,
    derive_hessian,
    symbols,
)

ROUTES = ("stein", "projection")


def mean_z(samples, expected):
    """Largest deviation of a mean in standard errors."""
    error = samples.std(axis=0) / np.sqrt(len(samples)) + 1e-12
    return float(np.max(np.abs(samples.mean(axis=0) - expected) / error))


@pytest.fixture(scope="module")
def case():
    """A polynomial loss of two tokens, whose expectations a rule has exactly."""
    return token_case("polynomial", fresh_rng())


@pytest.mark.parametrize("batch", [1, pytest.param(3, marks=pytest.mark.slow)])
def test_drift_and_its_finite_part_are_the_mean_of_raw_steps(case, batch):
    drift = derive_drift(case.model).with_step(case.model.step / batch)
    extra = value(case, derive_finite_size(case.model, batch=batch).vector)
    limit, steps = value(case, drift.vector), raw_steps(case, 10_000, fresh_rng(), batch)
    bound = threshold(steps.shape[1])
    assert mean_z(steps, limit + extra / case.dimension) <= bound
    # without the corrector, or without what is of d dimensions alone, it is another mean
    assert mean_z(steps, value(case, drift.without_corrector().vector)) > bound


@pytest.mark.slow
def test_the_diffusion_is_the_covariance_of_raw_increments(case):
    found = derive_diffusion(case.model)
    samples, size = raw_increments(case, 60_000, fresh_rng()), len(case.statistics())
    rows, columns = np.triu_indices(size)
    second = value(case, found.second_moment).reshape(size, size)[rows, columns]
    products = samples[:, rows] * samples[:, columns]
    bound = threshold(size + rows.size)
    assert mean_z(samples, value(case, found.mean)) <= bound
    assert mean_z(products, second) <= bound
    assert mean_z(products, np.abs(second)) > bound


@pytest.mark.slow
@pytest.mark.parametrize("derive", [derive_hessian, derive_gradient_matrix])
def test_blocks_are_means_of_raw_matrices(case, derive):
    """Sum over p, q of h_ap,bq Y_p Y_q^T, with a block for two units, and one for a readout."""
    labels, features = draw(case, 40_000, fresh_rng())
    g, dv = slopes_at(case, labels, features)
    if derive is derive_hessian:
        u = np.einsum("ai,mpi->map", case.weights, features)
        pairs = case.second(labels, u, case.readout)
    else:
        pairs = g[:, :, :, None, None] * g[:, None, None, :, :]
    matrix = derive(case.model, regularized=False)
    vectors = np.concatenate([case.directions, case.weights])
    size, bound = len(vectors), threshold(case.dimension**2)
    for b in (0, 1):
        block = matrix.block(0, b)
        raw = np.einsum("mpq,mpi,mqj->mij", pairs[:, 0, :, b], features, features, optimize=True)
        *numbers, bulk = value(case, [*block.coefficients, block.bulk])
        dense = vectors.T @ np.reshape(numbers, (size, size)) @ vectors
        whole = dense + bulk * np.eye(case.dimension)
        assert mean_z(raw.reshape(len(raw), -1), whole.ravel()) <= bound
        # that the bulk of a block of one unit is missing is seen
        assert b or mean_z(raw.reshape(len(raw), -1), dense.ravel()) > bound
    if derive is derive_gradient_matrix:
        beside = np.einsum("map,mpi->mai", g * dv[:, :, None], features)[:, 0]
        assert mean_z(beside, value(case, matrix.mixed.row(0)) @ vectors) <= bound


@pytest.mark.slow
def test_the_gradient_is_the_mean_of_raw_gradients(case):
    labels, features = draw(case, 20_000, fresh_rng())
    g, _ = slopes_at(case, labels, features)
    found = derive_gradient(case.model)
    vectors = np.concatenate([case.directions, case.weights])
    row = value(case, found.first_layer.row(0)) @ vectors
    raw = np.einsum("mp,mpi->mi", g[:, 0], features) + 0.2 * case.weights[0]
    assert mean_z(raw, row) <= threshold(row.size)


@pytest.mark.slow
@pytest.mark.parametrize(
    "derive",
    [
        lambda m, route: derive_drift(m, route).vector,
        lambda m, route: derive_finite_size(m, route, 2).vector,
        lambda m, route: derive_diffusion(m, route).vector[:12],
        lambda m, route: derive_hessian(m, route).entries([(0, 1)], mixed=True),
        lambda m, route: derive_gradient_matrix(m, route, regularized=True).entries([(0, 1)]),
    ],
)
def test_both_routes_agree(case, derive):
    left, right = (value(case, derive(case.model, route)) for route in ROUTES)
    assert np.allclose(left, right, rtol=1e-9, atol=1e-9)


def test_one_token_is_the_model_without_tokens():
    """The same objects: expression trees are those of a single feature, symbol by symbol."""
    (u,) = symbols.vector("u", 1)
    ((at_token,),) = symbols.tokens("u", 1, 1)
    assert at_token == u
    loss = Loss(sp.tanh(u) ** 2, units=1, tokens=1)
    assert loss == Loss(sp.tanh(u) ** 2, units=1)
    same = {"labels": [1, 0], "weights": ["1/2", "1/2"], "directions_gram": [[1]]}
    one = Mixture.build(tokens=[[[1]], [[-1]]], **same)
    assert one == Mixture.build(coordinates=[[1], [-1]], **same)
    drift = derive_drift(Model.build(one, loss))
    text = "".join(map(sp.srepr, drift.vector))
    assert "u_1_1" not in text
