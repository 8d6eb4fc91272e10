"""Alignment measures against brute force: least squares, explicit minimisation, singular values."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse.linalg import aslinearoperator

from numerics.alignment.eigenspace_angles import eigenspace_share, principal_angles
from numerics.alignment.misalignment import (
    SMALL,
    matrix_misalignment,
    operator_norm,
    vector_misalignment,
)
from numerics.core.geometry import orthonormal_rows
from theory import InputError
from verify import strategies

SIZE = 7
ROUNDING = (
    1e-10  # sums of tens of O(1) numbers; the bases below have a condition number of at most 3
)
BASES = st.integers(1, SIZE - 1).flatmap(lambda rank: strategies.bases(rank, SIZE, condition=9))
VECTORS = strategies.bases(4, SIZE)


def projector(basis):
    """On the rows of a basis, by least squares."""
    return basis.T @ np.linalg.lstsq(basis.T, np.eye(basis.shape[1]))[0]


@pytest.mark.slow
@given(BASES, VECTORS)
def test_vector_misalignment_is_the_least_squares_residual(basis, x):
    fitted = np.linalg.lstsq(basis.T, x.T)[0]
    residual = np.linalg.norm(x.T - basis.T @ fitted, axis=0) / np.linalg.norm(x, axis=1)
    assert np.abs(vector_misalignment(x, basis) - residual).max() < ROUNDING
    assert abs(vector_misalignment(x[0], basis) - residual[0]) < ROUNDING


@given(BASES, VECTORS)
def test_share_and_misalignment_obey_pythagoras(basis, x):
    total = eigenspace_share(basis, x) + vector_misalignment(x, basis) ** 2
    assert np.abs(total - 1).max() < ROUNDING


@pytest.mark.slow
@given(BASES, strategies.symmetric_matrices(SIZE), strategies.symmetric_matrices(SIZE))
def test_no_matrix_with_image_in_the_subspace_is_closer(basis, matrix, direction):
    found = matrix_misalignment(matrix, basis)
    norm = np.linalg.norm(matrix, 2)
    onto = projector(basis)
    optimal = onto @ matrix
    assert abs(np.linalg.norm(matrix - optimal, 2) / norm - found) < ROUNDING
    for size in np.geomspace(1e-3, 10, 10):
        for sign in (1, -1):
            other = optimal + sign * size * onto @ direction
            assert np.linalg.norm(matrix - other, 2) / norm > found - ROUNDING


@pytest.mark.slow
@given(BASES, strategies.symmetric_matrices(SIZE), VECTORS)
def test_measures_depend_on_the_span_only(basis, matrix, x):
    frame = np.linalg.qr(basis.T)[0].T
    doubled = np.vstack([basis, basis[:1] * 2])  # dependent rows
    assert abs(vector_misalignment(x[0], doubled) - vector_misalignment(x[0], frame)) < ROUNDING
    assert abs(matrix_misalignment(matrix, doubled) - matrix_misalignment(matrix, frame)) < ROUNDING
    assert orthonormal_rows(doubled).shape == frame.shape


@given(BASES, strategies.frames(SIZE, SIZE))
def test_principal_angles_are_the_singular_values(basis, rotation):
    other = rotation[: len(basis)]
    cosines = np.linalg.svd(np.linalg.qr(basis.T)[0].T @ other.T, compute_uv=False)
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
        (
            lambda: vector_misalignment([1.0, 2.0], [[1.0, 0.0, 0.0]]),
            "basis: got 3 columns; expected 2",
        ),
        (lambda: vector_misalignment([1.0, np.nan], [[1.0, 0.0]]), "x: got .*finite"),
        (lambda: eigenspace_share([[1.0]], [[1.0, 2.0]]), "vectors: got 1 columns; expected 2"),
        (lambda: principal_angles([[1.0, 0.0]], [[1.0]]), "b: got 1 columns"),
        (lambda: principal_angles([[1.0, 0.0]], [[0.0, 0.0]]), "only zero rows"),
        (
            lambda: matrix_misalignment([[1.0, 2.0], [0.0, 1.0]], [[1.0, 0.0]]),
            "matrix: .*symmetric",
        ),
        (lambda: matrix_misalignment([[1.0, 2.0]], [[1.0, 0.0]]), "matrix: .*symmetric"),
        (lambda: matrix_misalignment(np.eye(2), [[1.0]]), "basis: got 1 columns"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(InputError, match=message):
        call()


@given(st.floats(0, np.pi / 2), strategies.frames(3, 6))
def test_a_small_angle_beside_a_large_one_is_accurate(theta, frame):
    """One common direction and one turned by theta, in any frame: both angles to rounding."""
    turned = np.cos(theta) * frame[1] + np.sin(theta) * frame[2]
    for a, b in (([frame[0], frame[1]], [frame[0], turned]), ([frame[0]], [frame[0], turned])):
        angles = principal_angles(a, b)
        expected = [theta, 0.0] if len(a) == 2 else [0.0]
        assert np.abs(angles - expected).max() < 1e-13
