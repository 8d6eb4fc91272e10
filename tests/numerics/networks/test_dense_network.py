"""The matrix form of a network has the derivatives of the loss it stands for."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import fresh_rng

from numerics.alignment.layer_alignment import aligned_layers, weights_of_layer
from numerics.data.derivatives import compile_derivatives
from numerics.networks.dense_network import DenseNetwork
from theory import kgmm, mlp, xor
from theory.problem.layers import FIRST_LAYER, positions_of

CASES = {
    "softmax": (kgmm(2).mixture, DenseNetwork((2, 3), 2, "tanh", "softmax"), [1, 2]),
    "biases": (xor(2).mixture, DenseNetwork((2, 2), 1, "tanh", "logistic", biases=True), [0, 1]),
    "relu": (xor(2).mixture, DenseNetwork((2, 2, 2), 1, "relu", "logistic"), [0, 1]),
}


@pytest.mark.parametrize("name", CASES)
def test_derivatives_are_those_of_the_loss(name):
    """Gradients against code generated from the loss, blocks against differences of these."""
    mixture, network, values = CASES[name]
    model = mlp(
        mixture,
        units=list(network.widths),
        activation=network.activation,
        output=network.output,
        biases=network.biases,
    )
    rng = fresh_rng()
    samples, step = 5, 1e-5
    labels = rng.choice(values, samples).astype(float)
    inputs = rng.normal(size=(4, samples))
    x, v = rng.normal(size=(model.units, 4)), rng.normal(size=model.readout_size)
    assert network.readout_size == v.size
    assert aligned_layers(model) == network.layers
    gradient = compile_derivatives(model, "gradient")
    found = network.derivatives(labels, x @ inputs, v, inputs)
    exact = gradient(labels, x @ inputs, v)

    def central(change):  # type: ignore[no-untyped-def]
        ahead, behind = (gradient(labels, *change(h)) for h in (step, -step))
        return (ahead - behind) / (2 * step)

    assert np.allclose(found[FIRST_LAYER].slope, exact[: model.units], atol=1e-12)
    moved = central(lambda h: (x @ inputs + h * np.eye(model.units)[:, :1], v))
    block = (moved[0] * inputs) @ inputs.T / samples
    assert np.allclose(found[FIRST_LAYER].block("hessian", 0), block, atol=1e-7)
    for layer in network.layers[1:]:
        at = list(positions_of(model.loss.layers, layer))
        assert weights_of_layer(model, v, layer).size == len(at)
        derivatives, rows = found[layer], model.units + np.array(at)
        outer = derivatives.slope[:, None] * derivatives.inputs[None]
        assert np.allclose(outer.reshape(len(at), -1), exact[rows], atol=1e-12)
        differences = [
            central(lambda h, i=i: (x @ inputs, v + h * np.eye(v.size)[i]))[rows].mean(axis=1)
            for i in at
        ]
        assert np.allclose(derivatives.block("hessian"), differences, atol=1e-7)
        square = exact[rows] @ exact[rows].T / samples
        assert np.allclose(derivatives.block("gradient"), square, atol=1e-12)
