"""Rows whose own weight is zero but that meet readout parameters have outliers all the same."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import fresh_rng

from numerics import Parameters, State, effective_spectrum
from numerics.data.samples import draw_data
from theory import xor

EQUAL = Parameters([0.25] * 4, 100, 0.05, 1)
OVERLAP, NORMS = np.array([[0.4, -0.2], [0.5, 0.3]]), np.array([[0.5, 0.1], [0.1, 0.4]])


def dense_matrix(model, state, dimension, samples, seed):
    """Hessian of both layers from the derivatives of fresh data."""
    data = draw_data(model, EQUAL, state, dimension, samples, seed)
    k, y, c = data.derivatives("hessian"), data.features, model.units
    size = c * dimension
    first = np.einsum("abm,md,me->adbe", k[:c, :c], y, y, optimize=True).reshape(size, size)
    mixed = np.einsum("aqm,md->adq", k[:c, c:], y).reshape(size, -1)
    return np.block([[first, mixed], [mixed.T, k[c:, c:].sum(axis=-1)]]) / samples


@pytest.mark.slow
def test_a_unit_without_second_layer_weight_meets_its_own():
    """v_2 = 0: the second unit has no Hessian of its own, yet two outliers."""
    state = State(OVERLAP, NORMS, readout=np.array([0.7, 0.0]))
    found = effective_spectrum(xor(2), EQUAL, state, 4.0, block="all", regularized=False)
    assert found.side.values.tolist() == [1, 1, 1, -1, -1]
    dimension, replicas = 250, 8
    values = []
    for seed in fresh_rng().integers(2**31, size=replicas):
        whole = dense_matrix(xor(2), state, dimension, 4 * dimension, int(seed))
        eigenvalues = np.linalg.eigvalsh(whole)[::-1]
        values.append([*eigenvalues[:3], *eigenvalues[-2:]])
    expected, mean = found.outliers.values, np.mean(values, axis=0)
    error = np.std(values, axis=0, ddof=1) / np.sqrt(replicas)
    assert np.all(np.abs(mean - expected) < 8 * error + 10 / dimension * np.abs(expected))
    assert found.attrs["atom"] == pytest.approx(0.5)


@pytest.mark.parametrize("density", [True, False])
def test_one_mixed_block_is_two_singular_values(density):
    """K = 1: plus and minus the length of E[h Y], from fresh data."""
    state = State(OVERLAP[:1], NORMS[:1, :1], readout=np.array([0.7]))
    found = effective_spectrum(xor(1), EQUAL, state, 2.0, block="mixed", density=density)
    assert found.side.values.tolist() == [1, -1]
    right, left = found.outliers.values
    assert right == pytest.approx(-left, rel=1e-9)
    squares = []
    dimension = 200
    for seed in fresh_rng().integers(2**31, size=16):
        data = draw_data(xor(1), EQUAL, state, dimension, 2 * dimension, int(seed))
        mixed = data.derivatives("hessian")[0, 1] @ data.features / len(data.features)
        squares.append(float(mixed @ mixed))
    error = np.std(squares, ddof=1) / 4
    off = abs(np.mean(squares) - right**2)
    assert off < 7 * error + 10 / dimension * np.mean(squares)


@pytest.mark.parametrize("block", ["mixed", "all"])
def test_nothing_at_all_is_an_atom(block):
    """A unit that is never active: no weight, no coupling."""
    state = State([[0.0, 0.0]], [[0.0]], readout=np.array([0.7]))
    found = effective_spectrum(xor(1), EQUAL, state, 2.0, block=block, regularized=False)
    assert found.attrs["atom"] == 1
    np.testing.assert_allclose(found.outliers, 0, atol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("matrix", ["hessian", "gradient"])
@pytest.mark.parametrize("units", [2, 3])
def test_mixed_blocks_of_several_units(units, matrix):
    """No row multiplies features on both sides: all but finitely many eigenvalues are zero."""
    state = State(
        np.array([[1, 0.1], [-0.9, 0.2], [0.1, 0.8]])[:units],
        0.1 * np.eye(units) + 0.05,
        readout=np.array([0.8, 0.7, -0.9])[:units],
    )
    found = effective_spectrum(xor(units), EQUAL, state, 4.0, block="mixed", matrix=matrix)
    assert found.attrs["atom"] == 1
    places = found.outliers.values
    assert np.sum(places > 0) == np.sum(places < 0) >= units
    np.testing.assert_allclose(places, -places[::-1], rtol=1e-9, atol=1e-12)
