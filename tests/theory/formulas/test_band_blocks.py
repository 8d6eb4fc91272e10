"""Gradient, Hessian and gradient matrix of mixtures with bands, against dense raw samples."""

from __future__ import annotations

import numpy as np
import pytest
from band_cases import band_case, generators, raw_samples, value
from helpers import fresh_rng
from law_cases import largest_z, threshold

from theory import derive_gradient, derive_gradient_matrix, derive_hessian

SAMPLES = 40_000


def dense(case, block, v):
    """V B V^T + sum_g c_g P_g."""
    coefficients = value(case, block.coefficients).reshape(v.shape[1], -1)
    bulk = value(case, block.bulk if case.model.bands > 1 else [block.bulk])
    return v @ coefficients @ v.T + np.diag(np.repeat(bulk, case.sizes))


@pytest.mark.slow
@pytest.mark.parametrize("bands", [2, 1])
def test_blocks_are_means_of_dense_matrices(bands):
    rng = fresh_rng()
    case = band_case(rng, bands=bands)
    v, beta = generators(case), float(case.model.ridge)
    y, g, h = raw_samples(case, SAMPLES, rng)
    x = np.concatenate(case.weights, axis=1)
    identity, outer = np.eye(len(v)), y[:, :, None] * y[:, None, :]
    bound = threshold(4 * v.size)
    hessian = derive_hessian(case.model)
    for a, b in ((0, 0), (0, 1)):
        expected = dense(case, hessian.block(a, b), v) - beta * (a == b) * identity
        assert largest_z(h[:, a, b, None, None] * outer, expected) <= bound
        # a multiple of one projector P_g more is seen, where samples can tell it
        samples = h[:, a, b, None, None] * outer
        error = samples.std(axis=0).max() / np.sqrt(SAMPLES)
        first = np.arange(len(v)) < case.sizes[0]
        assert largest_z(samples, expected + 3 * bound * error * np.diag(first)) > bound
    whole = derive_gradient_matrix(case.model, regularized=True)
    # of L = loss + beta / 2 |x|^2, which has no small noise to hide in
    one, other = (g[:, a, None] * y + beta * x[a] for a in (0, 1))
    assert (
        largest_z(one[:, :, None] * other[:, None, :], dense(case, whole.block(0, 1), v)) <= bound
    )
    mixed = v @ value(case, whole.mixed.row(1))
    last = g[:, 2, None] + beta * case.readout[0]
    assert largest_z(other * last, mixed) <= bound
    mixed = v @ value(case, hessian.mixed.row(0))
    assert largest_z(h[:, 0, 2, None] * y, mixed) <= bound
    gradient = derive_gradient(case.model)
    assert largest_z(one, v @ value(case, gradient.first_layer.row(0))) <= bound


@pytest.mark.parametrize("bands", [2])
def test_both_routes_agree_and_entries_are_those_of_the_blocks(bands):
    case = band_case(fresh_rng(), bands=bands)
    for derive in (derive_hessian, derive_gradient_matrix):
        left, right = (derive(case.model, route) for route in ("stein", "projection"))
        pairs = [(0, 1), (1, 1)]
        a, b = (value(case, m.entries(pairs, mixed=True, readout=[0])) for m in (left, right))
        assert np.abs(a - b).max() <= 1e-9 * np.abs(a).max()
        explicit = left.map(lambda e: e)  # entry by entry
        assert np.allclose(value(case, explicit.entries(pairs, mixed=True, readout=[0])), a)
