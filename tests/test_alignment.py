"""Alignment measures against brute force: least squares, explicit minimisation, singular values."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import fresh_rng
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse.linalg import aslinearoperator

from numerics.alignment import (
    SMALL,
    eigenspace_share,
    matrix_misalignment,
    operator_norm,
    orthonormal_rows,
    principal_angles,
    vector_misalignment,
)
from theory import InputError

seeds = st.integers(0, 2**32 - 1)
ROUNDING = 1e-10  # sums of tens of O(1) numbers, condition number of the random bases below 1e4 in practice


def random_case(seed, size=7):
    rng = np.random.default_rng(seed)
    rank = int(rng.integers(1, size))
    # orthonormal rows mixed by a matrix with singular values in [1, 3]: the conditioning is capped for every seed
    frame = np.linalg.qr(rng.standard_normal((size, size)))[0][:rank]
    left, right = (np.linalg.qr(rng.standard_normal((rank, rank)))[0] for _ in range(2))
    basis = (left * rng.uniform(1, 3, rank)) @ right @ frame
    matrix = rng.standard_normal((size, size))
    return rng, basis, frame, matrix + matrix.T


@given(seeds)
def test_vector_misalignment_is_the_least_squares_residual(seed):
    rng, basis, _, _ = random_case(seed)
    x = rng.standard_normal((3, basis.shape[1]))
    fitted = np.linalg.lstsq(basis.T, x.T)[0]
    residual = np.linalg.norm(x.T - basis.T @ fitted, axis=0) / np.linalg.norm(x, axis=1)
    assert np.abs(vector_misalignment(x, basis) - residual).max() < ROUNDING
    assert abs(vector_misalignment(x[0], basis) - residual[0]) < ROUNDING


@given(seeds)
def test_share_and_misalignment_obey_pythagoras(seed):
    rng, basis, _, _ = random_case(seed)
    x = rng.standard_normal((4, basis.shape[1]))
    total = eigenspace_share(basis, x) + vector_misalignment(x, basis) ** 2
    assert np.abs(total - 1).max() < ROUNDING


@given(seeds)
def test_no_matrix_with_image_in_the_subspace_is_closer(seed):
    rng, basis, frame, matrix = random_case(seed)
    found = matrix_misalignment(matrix, basis)
    norm = np.linalg.norm(matrix, 2)
    optimal = frame.T @ frame @ matrix
    assert abs(np.linalg.norm(matrix - optimal, 2) / norm - found) < ROUNDING
    for _ in range(20):
        other = optimal + frame.T @ rng.normal(scale=0.3, size=(len(frame), matrix.shape[0]))
        assert np.linalg.norm(matrix - other, 2) / norm > found - ROUNDING


@given(seeds)
def test_measures_depend_on_the_span_only(seed):
    rng, basis, frame, matrix = random_case(seed)
    doubled = np.vstack([basis, basis[:1] * 2])  # dependent rows
    x = rng.standard_normal(basis.shape[1])
    assert abs(vector_misalignment(x, doubled) - vector_misalignment(x, frame)) < ROUNDING
    assert abs(matrix_misalignment(matrix, doubled) - matrix_misalignment(matrix, frame)) < ROUNDING
    assert orthonormal_rows(doubled).shape == frame.shape


@given(seeds)
def test_principal_angles_are_the_singular_values(seed):
    rng, basis, frame, _ = random_case(seed)
    other = np.linalg.qr(rng.standard_normal(basis.T.shape))[0].T
    cosines = np.linalg.svd(frame @ other.T, compute_uv=False)
    expected = np.sort(np.arccos(np.clip(cosines, -1, 1)))[::-1]
    # arccos near 1 turns rounding eps into sqrt(eps)
    assert np.abs(principal_angles(basis, other) - expected).max() < 1e-7


def test_large_operators_agree_with_small_matrices():
    size = SMALL + 50
    rng = np.random.default_rng(5)
    frame = np.linalg.qr(rng.standard_normal((size, size)))[0]
    matrix = (frame * np.linspace(-1.0, 2.0, size) ** 9 / 64) @ frame.T
    matrix = (matrix + matrix.T) / 2
    basis = rng.standard_normal((4, size))
    q = np.linalg.qr(basis.T)[0]
    expected = np.linalg.norm(matrix - q @ (q.T @ matrix), 2) / 8.0
    assert abs(operator_norm(matrix) - 8.0) < 1e-9
    for given_matrix in (matrix, aslinearoperator(matrix)):
        assert abs(matrix_misalignment(given_matrix, basis) - expected) < 1e-8


def test_zero_vectors_and_matrices_lie_everywhere():
    basis = [[1.0, 0.0, 0.0]]
    assert vector_misalignment([0.0, 0.0, 0.0], basis) == 0
    assert eigenspace_share(basis, [[0.0, 0.0, 0.0]]) == 1
    assert matrix_misalignment(np.zeros((3, 3)), basis) == 0
    size = SMALL + 1
    assert operator_norm(np.zeros((size, size))) == 0


def test_hand_case():
    matrix = np.array([[2.0, 1.0], [1.0, 2.0]])  # eigenvalues 3 and 1
    assert matrix_misalignment(matrix, [[1.0, 0.0]]) == pytest.approx(np.sqrt(5) / 3, abs=1e-14)
    assert matrix_misalignment(matrix, [[1.0, 1.0]]) == pytest.approx(1 / 3, abs=1e-14)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: vector_misalignment([1.0, 2.0], [[1.0, 0.0, 0.0]]), "basis: got 3 columns; expected 2"),
        (lambda: vector_misalignment([1.0, np.nan], [[1.0, 0.0]]), "x: got .*finite"),
        (lambda: eigenspace_share([[1.0]], [[1.0, 2.0]]), "vectors: got 1 columns; expected 2"),
        (lambda: principal_angles([[1.0, 0.0]], [[1.0]]), "b: got 1 columns"),
        (lambda: principal_angles([[1.0, 0.0]], [[0.0, 0.0]]), "only zero rows"),
        (lambda: matrix_misalignment([[1.0, 2.0], [0.0, 1.0]], [[1.0, 0.0]]), "matrix: .*symmetric"),
        (lambda: matrix_misalignment([[1.0, 2.0]], [[1.0, 0.0]]), "matrix: .*symmetric"),
        (lambda: matrix_misalignment(np.eye(2), [[1.0]]), "basis: got 1 columns"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(InputError, match=message):
        call()


def test_a_small_angle_beside_a_large_one_is_accurate():
    """One common direction and one turned by theta, in a random frame: both angles to rounding."""
    rng = fresh_rng()
    for theta in rng.uniform(0.0, np.pi / 2, 50):
        frame = np.linalg.qr(rng.normal(size=(6, 6)))[0]
        turned = np.cos(theta) * frame[1] + np.sin(theta) * frame[2]
        for a, b in (([frame[0], frame[1]], [frame[0], turned]), ([frame[0]], [frame[0], turned])):
            angles = principal_angles(a, b)
            expected = [theta, 0.0] if len(a) == 2 else [0.0]
            assert np.abs(angles - expected).max() < 1e-13
