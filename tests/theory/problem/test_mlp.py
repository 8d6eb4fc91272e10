"""Networks of several layers against a plain forward pass; their layers; what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
from helpers import fresh_rng

from theory import (
    InputError,
    Layer,
    Loss,
    Mixture,
    Model,
    derive_readout_features,
    mlp,
    symbols,
    xor,
)

FUNCTIONS = {
    "tanh": np.tanh,
    "relu": lambda z: np.maximum(z, 0),
    "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
}


def mixture(labels):
    return Mixture.build(
        labels=labels, coordinates=sp.eye(len(labels)), directions_gram=sp.eye(len(labels))
    )


def forward(u, weights, g, biases):
    """Outputs and the input of every layer behind the first."""
    h, seen = g(u + (biases if biases is not None else 0)), []
    for matrix in weights:
        h = np.append(h, 1.0) if biases is not None else h
        seen.append(h)
        f = matrix @ h
        h = g(f)
    return f, seen


CASES = [
    ([3, 2], "tanh", "softmax", [1, 2, 3], False),
    ([2, 3, 2], "sigmoid", "logistic", [0, 1, 1], True),
    ([2, 2], "relu", "square", [sp.Rational(1, 2), -2], True),
    ([4], "relu", "logistic", [1, 0], False),
]


@pytest.mark.parametrize(("units", "activation", "output", "labels", "biased"), CASES)
def test_the_loss_is_that_of_a_plain_forward_pass(units, activation, output, labels, biased):
    rng = fresh_rng()
    model = mlp(mixture(labels), units, activation=activation, output=output, biases=biased)
    loss, y = model.loss, labels[int(rng.integers(len(labels)))]
    u, v = rng.normal(size=units[0]), rng.normal(size=loss.readout_size)
    first = v[: units[0]] if biased else None
    at, weights = units[0] if biased else 0, []
    outputs = len(set(labels)) if output == "softmax" else 1
    for rows, columns in zip([*units[1:], outputs], units, strict=True):
        size = rows * (columns + biased)
        weights.append(v[at : at + size].reshape(rows, columns + biased))
        at += size
    assert at == loss.readout_size
    f, seen = forward(u, weights, FUNCTIONS[activation], first)
    expected = {
        "softmax": lambda: np.log(np.exp(f).sum()) - f[int(y) - 1],
        "logistic": lambda: np.log1p(np.exp(f[0])) - float(y) * f[0],
        "square": lambda: (f[0] - float(y)) ** 2 / 2,
    }[output]()
    point = dict(zip(loss.variables, [*u, *v], strict=True)) | {symbols.LABEL: y}
    assert float(loss.expression.xreplace(point)) == pytest.approx(expected, rel=1e-12)
    # the layers share out v, and each names what the plain pass feeds it
    named = [layer for layer in loss.layers if layer.name.startswith("layer")]
    assert [layer.name for layer in named] == [f"layer {j + 2}" for j in range(len(units))]
    for layer, matrix, h in zip(named, weights, seen, strict=True):
        assert (layer.rows, layer.columns) == matrix.shape
        numbers = [float(sp.sympify(e).xreplace(point)) for e in layer.features]
        np.testing.assert_allclose(numbers, h, rtol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("layer", ["layer 2", "layer 3"])
def test_features_are_those_of_the_means(layer):
    model = mlp(mixture([1, 0]), [2, 2], biases=True)
    rng = fresh_rng()
    m, v = rng.normal(size=(2, 2)), rng.normal(size=model.readout_size)
    point = dict(
        zip([*model.symbols.overlap, *model.symbols.readout], [*m.ravel(), *v], strict=True)
    )
    vectors = derive_readout_features(model, layer).vectors.xreplace(point)
    for l in range(2):
        _, seen = forward(m[:, l], [v[2:8].reshape(2, 3), v[8:].reshape(1, 3)], np.tanh, v[:2])
        row = [float(e) for e in vectors.row(l)]
        np.testing.assert_allclose(row, seen[int(layer[-1]) - 2], rtol=1e-12)


def test_wrong_features_are_refused():
    u, v = symbols.vector("u", 2), symbols.vector("v", 4)
    h = [sp.tanh(v[0] * u[0]), sp.tanh(v[1] * u[1])]
    loss = (v[2] * h[0] + v[3] * h[1] - symbols.LABEL) ** 2 / 2

    def model(features):
        layers = (Layer("scales", 1, 2, u), Layer("layer 2", 1, 2, features))
        return Model.build(mixture([1, 0]), Loss(loss, 2, 4, layers=layers))

    assert derive_readout_features(model(tuple(h)), "layer 2").vectors.shape == (2, 2)
    with pytest.raises(InputError, match="features"):
        derive_readout_features(model((h[0], 2 * h[1])), "layer 2")


def test_a_loss_without_layers_has_one():
    assert [(a.name, a.rows, a.columns) for a in xor(3).loss.layers] == [("layer 2", 1, 3)]


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"units": []}, "units"),
        ({"units": [2, 0]}, "units"),
        ({"units": [True]}, "units"),
        ({"units": "33"}, "units"),
        ({"units": 3}, "units"),
        ({"output": "sigmoid"}, "output"),
        ({"output": "softmax"}, "labels"),
        ({"mixture": mixture([1, 2])}, "labels"),
        ({"mixture": 3}, "mixture"),
        ({"activation": "gelu"}, "activation"),
        ({"biases": 1}, "biases"),
    ],
)
def test_what_does_not_fit_is_refused(change, match):
    arguments = {"mixture": mixture([0, 1]), "units": [2, 2]} | change
    with pytest.raises(InputError, match=match):
        mlp(**arguments)


@pytest.mark.parametrize(
    ("layers", "match"),
    [
        ((Layer("layer 2", 1, 3),), "3 weights"),
        ((Layer("a", 1, 1), Layer("a", 1, 1)), "twice"),
        (("a",), "class Layer"),
        (Layer("a", 1, 2), "sequence"),
    ],
)
def test_layers_share_out_v(layers, match):
    u, v = symbols.vector("u", 1), symbols.vector("v", 2)
    with pytest.raises(InputError, match=match):
        Loss(v[0] * v[1] * u[0] ** 2, 1, 2, layers=layers)


@pytest.mark.parametrize(
    "arguments",
    [
        ("readout", 1, 2),
        ("layer 1", 1, 2),
        ("", 1, 2),
        ("a", 0, 2),
        ("a", 1, 1.5),
        ("a", 1, 2, (1,)),
    ],
)
def test_layers_have_a_name_and_a_shape(arguments):
    with pytest.raises(InputError):
        Layer(*arguments)
