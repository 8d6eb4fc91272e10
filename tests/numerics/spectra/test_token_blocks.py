"""Population blocks and spectra of samples that hold several tokens, against dense matrices."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import fresh_rng
from law_cases import threshold
from token_cases import draw, slopes_at, token_case

from numerics import Problem, population_block, population_spectrum
from numerics.data.samples import draw_data
from theory import InputError

SAMPLES = 20_000


def raw_matrices(case, matrix, frame, rng):
    """Sum over p, q of h_apbq F_ap F_bq^T of samples, F = frame @ Y: (M, C, f, C, f)."""
    labels, features = draw(case, SAMPLES, rng)
    if matrix == "hessian":
        u = np.einsum("ai,mpi->map", case.weights, features)
        pairs = case.second(labels, u, case.readout)
    else:
        g, _ = slopes_at(case, labels, features)
        pairs = g[:, :, :, None, None] * g[:, None, None, :, :]
    seen = features @ frame.T
    return np.einsum("mapbq,mpi,mqj->maibj", pairs, seen, seen, optimize=True)


def largest_z(samples, expected, error):
    size = samples.std(axis=0) / np.sqrt(len(samples)) + 1e-12
    away = np.maximum(np.abs(samples.mean(axis=0) - expected) - error, 0.0)
    return float(np.max(away / size))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "matrix"),
    [("patches", "gradient"), ("attention", "hessian"), ("contrastive", "hessian")],
)
def test_the_first_layer_is_the_mean_of_raw_matrices(name, matrix):
    """On the span of directions and weights, and in one direction off it, where the bulk is."""
    rng = fresh_rng()
    case = token_case(name, rng)
    problem, state = Problem(case.model), case.state
    small = population_block(problem, state, matrix=matrix, regularized=False, tolerance=1e-3)
    vectors = np.concatenate([case.directions, case.weights])
    basis = small.basis.coefficients @ vectors
    assert np.allclose(basis @ basis.T, np.eye(len(basis)), atol=1e-9)
    off = np.linalg.svd(vectors)[2][-1:]
    raw = raw_matrices(case, matrix, np.concatenate([basis, off]), rng)
    units, rank = case.model.units, len(basis)
    inside = raw[:, :, :rank, :, :rank].reshape(SAMPLES, units * rank, -1)
    bound = threshold(2 * small.matrix.size)
    assert largest_z(inside, small.matrix, small.matrix_error) <= bound
    outside = raw[:, :, rank, :, rank]
    assert largest_z(outside, small.bulk, small.bulk_error) <= bound
    # the weight of the last unit alone is positive: twice its mean is seen
    last = small.bulk[-1, -1], small.bulk_error[-1, -1]
    assert largest_z(outside[:, -1, -1], 2 * last[0], last[1]) > bound
    # the spectrum is that of the dense matrix: quadratic forms of its vectors are its values
    found = population_spectrum(
        problem, state, matrix=matrix, block="first_layer", regularized=False, tolerance=1e-3
    )
    values = found.eigenvalue.values
    forms = np.einsum(
        "eai,maibj,ebj->me",
        *(found.eigenvector.values, raw[:, :, :rank, :, :rank], found.eigenvector.values),
        optimize=True,
    )
    assert largest_z(forms, values, found.eigenvalue_error.values) <= bound


def test_spectra_of_data_refuse_tokens_by_name():
    case = token_case("contrastive", fresh_rng())
    with pytest.raises(InputError, match=r"tokens: got samples of 2 tokens.*draw_data"):
        draw_data(Problem(case.model), case.state, dimension=20, samples=10, seed=1)
