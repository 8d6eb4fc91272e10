"""Blocks and alignment of the layers of a network, against gradients of a plain backward pass."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
from helpers import fresh_rng

from numerics import (
    Problem,
    State,
    draw_data,
    effective_spectrum,
    empirical_operator,
    empirical_spectrum,
    population_block,
    readout_alignment,
)
from theory import InputError, Mixture, kgmm, mlp, xor

LAYERS = {"layer 2": slice(0, 4), "layer 3": slice(4, 8)}


@pytest.fixture(scope="module")
def case():
    mixture = Mixture.build(labels=[1, 2], coordinates=sp.eye(2), directions_gram=sp.eye(2))
    model = mlp(mixture, [2, 2], output="softmax")
    problem = Problem(model, weights=[0.4, 0.6], precision=20, ridge=0.03, step=1)
    rng = fresh_rng()
    half = rng.normal(size=(2, 2)) / 4
    state = State(rng.normal(size=(2, 2)), half @ half.T, rng.normal(size=8))
    return problem, state


def backward(data):
    """Gradients of every sample with respect to both matrices, row by row, M x 8."""
    second, third = data.readout[:4].reshape(2, 2), data.readout[4:].reshape(2, 2)
    first = np.tanh(data.features @ data.weights.T)
    hidden = np.tanh(first @ second.T)
    f = hidden @ third.T
    error = np.exp(f - f.max(axis=1, keepdims=True))
    error /= error.sum(axis=1, keepdims=True)
    error[np.arange(len(f)), data.labels.astype(int) - 1] -= 1
    inner = (error @ third) * (1 - hidden**2)
    return np.concatenate(
        [
            (d[:, :, None] * h[:, None]).reshape(len(f), -1)
            for d, h in ((inner, first), (error, hidden))
        ],
        axis=1,
    )


@pytest.mark.parametrize("name", LAYERS)
def test_the_g_block_of_a_layer_is_that_of_a_backward_pass(case, name):
    data = draw_data(*case, dimension=12, samples=500, seed=1)
    gradient = backward(data)[:, LAYERS[name]]
    found = empirical_operator(data, matrix="gradient", block=name) @ np.eye(4)
    np.testing.assert_allclose(found, gradient.T @ gradient / 500, atol=1e-12)
    spectrum = empirical_spectrum(data, matrix="gradient", block=name)
    assert spectrum.parameter.values.tolist() == list(range(1, 9))[LAYERS[name]]


@pytest.mark.slow
@pytest.mark.parametrize("matrix", ["hessian", "gradient"])
def test_the_blocks_of_a_layer_are_parts_of_the_readout(case, matrix):
    whole = population_block(*case, matrix=matrix, block="readout")
    for name, part in LAYERS.items():
        found = population_block(*case, matrix=matrix, block=name)
        slack = whole.matrix_error[part, part] + found.matrix_error
        assert np.all(np.abs(found.matrix - whole.matrix[part, part]) <= slack)
        assert found.bulk.size == 0
        # no bulk: in the proportional limit the block is that of the population
        limit = effective_spectrum(*case, matrix=matrix, block=name, aspect_ratio=3)
        values = np.linalg.eigvalsh(found.matrix)[::-1]
        np.testing.assert_allclose(limit.outliers.values, values, atol=1e-4)


def test_layer_1_is_the_first_layer(case):
    first = population_block(*case, block="first_layer")
    assert np.array_equal(population_block(*case, block="layer 1").matrix, first.matrix)
    assert population_block(*case, block="layer 1").block == "first_layer"


@pytest.mark.parametrize("name", LAYERS)
def test_weights_along_the_features_are_aligned_and_others_are_not(name):
    """With more units than components the features leave room for weights off their span."""
    mixture = Mixture.build(labels=[1, 0], coordinates=[[1], [-1]], directions_gram=[[1]])
    # an odd activation gives both components the same feature up to its sign
    model = mlp(mixture, [2, 2], activation="tanh")
    problem = Problem(model, weights=[0.5, 0.5], precision=1e6, ridge=0.0, step=1)
    overlap, rng = np.array([[0.7], [-0.4]]), fresh_rng()
    h = np.tanh(overlap[:, 0])
    mixing = rng.normal(size=(2, 1)) * h
    hidden = np.tanh(mixing @ h)
    along = np.concatenate([mixing.ravel(), hidden])
    state = State(overlap, np.zeros((2, 2)), along)

    def share(state):
        data = draw_data(problem, state, dimension=20, samples=400, seed=2)
        spectrum = empirical_spectrum(data, matrix="gradient", block=name)
        return readout_alignment(problem, state, spectrum)

    found = share(state)
    assert found["rank"].item() == 1
    assert found.feature_share.item() == pytest.approx(1, abs=1e-9)
    # gradients of all samples are along the features, up to noise of variance 1e-6
    assert found.feature_angle.values.max() < 0.05
    turned = {
        "layer 2": np.concatenate([(mixing[:, ::-1] * [1, -1]).ravel(), hidden]),
        "layer 3": np.concatenate([mixing.ravel(), hidden[::-1] * [1, -1]]),
    }[name]
    assert share(State(overlap, np.zeros((2, 2)), turned)).feature_share.item() < 0.9


@pytest.mark.slow
def test_names_that_no_layer_has_are_refused(case):
    with pytest.raises(InputError, match="layer 3"):
        population_block(*case, block="layer 4")
    with pytest.raises(InputError, match="a pair of units"):
        population_block(
            Problem(kgmm(2), weights=[0.5, 0.5], precision=1, ridge=0, step=1),
            State(np.eye(2), np.eye(2)),
            block="layer 2",
        )
    data = draw_data(*case, dimension=12, samples=50, seed=1)
    with pytest.raises(InputError, match="layer 2, layer 3"):
        readout_alignment(*case, empirical_spectrum(data, block="readout"))


@pytest.mark.slow
def test_the_only_layer_of_v_is_the_readout():
    problem = Problem(xor(2), weights=[0.25] * 4, precision=5, ridge=0.1, step=1)
    state = State([[0.5, -1.0], [1.0, 0.2]], np.eye(2) / 9, [0.3, -0.6])
    whole, layer = (
        population_block(problem, state, block=b).matrix for b in ("readout", "layer 2")
    )
    assert np.array_equal(whole, layer)


def test_opposite_features_span_one_line():
    """tanh units on the XOR mixture: four features, two lines, and a readout in their span."""
    problem = Problem(xor(3, activation="tanh"), weights=[0.25] * 4, precision=1e4, ridge=0, step=1)
    overlap = np.array([[1.0, 0.3], [-0.5, 1.2], [0.8, -0.7]])
    state = State(overlap, np.zeros((3, 3)), np.tanh(overlap[:, 0]) - np.tanh(overlap[:, 1]))
    data = draw_data(problem, state, dimension=20, samples=400, seed=3)
    found = readout_alignment(problem, state, empirical_spectrum(data, block="readout"))
    assert found["rank"].item() == 2
    assert found.feature_share.item() == pytest.approx(1, abs=1e-9)
