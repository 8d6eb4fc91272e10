r"""Derivatives of a network of fully connected layers at samples, by matrix products.

.. math:: h^1 = g(u + b),\quad s^j = V^jh^{j-1},\quad h^j = g(s^j),\qquad
          \delta^j = \partial_{s^j}\ell,\quad B^j = \partial^2_{s^j}\ell

so that the gradient of a layer is :math:`\delta^j(h^{j-1})^T` and its diagonal block of the Hessian
:math:`B^j\otimes h^{j-1}(h^{j-1})^T`, almost everywhere where g has a kink.  Unlike the derivatives
of a :class:`theory.Loss` these need no symbols, whose number grows with the fourth power of the
width.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from numerics.core.validation import Array
from theory.problem.layers import FIRST_LAYER


@dataclass(frozen=True)
class LayerDerivatives:
    """What the gradient and the Hessian of one layer are made of, sample by sample.

    Attributes
    ----------
    inputs : array, shape (columns, M)
        h of the layer below, 1 at the end for a bias; for layer 1 what it was given.
    slope : array, shape (rows, M)
        First derivatives with respect to the layer's outputs before g.
    curvature : array, shape (rows, rows, M)
    """

    inputs: Array
    slope: Array
    curvature: Array

    def block(self, matrix: str, unit: int | None = None) -> Array:
        """Mean over samples of the block of the layer's weights, row by row; of one row if asked.

        Of ``"hessian"`` or ``"gradient"``.
        """
        rows = range(len(self.slope)) if unit is None else [unit]
        columns, samples = self.inputs.shape
        found = np.empty((len(rows), columns, len(rows), columns))
        for i, a in enumerate(rows):
            for j, b in enumerate(rows[: i + 1]):
                weight = self.curvature[a, b]
                if matrix == "gradient":
                    weight = self.slope[a] * self.slope[b]
                found[i, :, j] = (self.inputs * weight) @ self.inputs.T / samples
                found[j, :, i] = found[i, :, j].T
        return found.reshape(len(rows) * columns, -1)


@dataclass(frozen=True)
class DenseNetwork:
    """The network of :func:`theory.mlp` with these arguments.

    Attributes
    ----------
    widths : tuple of int
        Of the hidden layers.
    outputs : int
        1 for "logistic".
    activation : {"tanh", "relu"}
    output : {"logistic", "softmax"}
    biases : bool
    """

    widths: tuple[int, ...]
    outputs: int
    activation: str
    output: str
    biases: bool = False

    @property
    def shapes(self) -> list[tuple[int, int]]:
        """Rows and columns of V^2, V^3, ..."""
        rows = [*self.widths[1:], self.outputs]
        return [(r, w + self.biases) for r, w in zip(rows, self.widths, strict=True)]

    @property
    def layers(self) -> tuple[str, ...]:
        return tuple(f"layer {j + 1}" for j in range(len(self.widths) + 1))

    @property
    def readout_size(self) -> int:
        return self.widths[0] * self.biases + sum(r * c for r, c in self.shapes)

    def weights(self, readout: Array) -> tuple[Array, list[Array]]:
        """Biases of layer 1 (zeros without), and V^2, V^3, ..."""
        at = self.widths[0] * self.biases
        found = []
        for rows, columns in self.shapes:
            found.append(np.asarray(readout)[at : at + rows * columns].reshape(rows, columns))
            at += rows * columns
        biases = readout[: self.widths[0]] if self.biases else np.zeros(self.widths[0])
        return biases, found

    def features(self, u: Array, readout: Array) -> list[Array]:
        """What layers 2, 3, ... see, each of shape (columns, M)."""
        return self._forward(u, readout)[1]

    def guesses(self, u: Array, readout: Array) -> Array:
        """The label that the network gives every sample, (M,)."""
        form = self._forward(u, readout)[0][-1]
        if self.output == "logistic":
            return (form[0] > 0).astype(float)
        return 1.0 + np.argmax(form, axis=0)

    def derivatives(
        self, labels: Array, u: Array, readout: Array, inputs: Array | None = None
    ) -> dict[str, LayerDerivatives]:
        """Derivatives of the loss in every layer, at pre-activations u (C, M) of the first one.

        ``inputs`` are the samples, shape (d, M), for layer 1.
        """
        forms, features = self._forward(u, readout)
        matrices = self.weights(readout)[1]
        slope, curvature = self._output(labels, forms[-1])
        found = {}
        for j in range(len(matrices), 0, -1):
            found[f"layer {j + 1}"] = LayerDerivatives(features[j - 1], slope, curvature)
            v = matrices[j - 1][:, : self.widths[j - 1]]
            first, second = self._slopes(forms[j - 1])
            back = v.T @ slope
            inner = np.einsum("ka,klm,lb->abm", v, curvature, v, optimize=True)
            curvature = first[:, None] * first[None] * inner
            curvature[np.arange(len(first)), np.arange(len(first))] += second * back
            slope = first * back
        given = np.empty((0, u.shape[1])) if inputs is None else inputs
        found[FIRST_LAYER] = LayerDerivatives(given, slope, curvature)
        return found

    def _forward(self, u: Array, readout: Array) -> tuple[list[Array], list[Array]]:
        biases, matrices = self.weights(readout)
        forms, features = [u + biases[:, None]], []
        for v in matrices:
            h = np.tanh(forms[-1]) if self.activation == "tanh" else np.maximum(forms[-1], 0.0)
            features.append(np.vstack([h, np.ones((1, h.shape[1]))]) if self.biases else h)
            forms.append(v @ features[-1])
        return forms, features

    def _slopes(self, form: Array) -> tuple[Array, Array]:
        """First and second derivative of the activation."""
        if self.activation == "tanh":
            h = np.tanh(form)
            return 1.0 - h**2, -2.0 * h * (1.0 - h**2)
        return (form > 0).astype(float), np.zeros_like(form)

    def _output(self, labels: Array, form: Array) -> tuple[Array, Array]:
        """First and second derivative of the loss with respect to the outputs."""
        if self.output == "logistic":
            p = 1.0 / (1.0 + np.exp(-form))
            return p - labels, (p * (1.0 - p))[None]
        shifted = np.exp(form - form.max(axis=0))
        p = shifted / shifted.sum(axis=0)
        right = np.arange(1, self.outputs + 1)[:, None] == labels
        return p - right, p[:, None] * np.eye(self.outputs)[:, :, None] - p[:, None] * p[None]
