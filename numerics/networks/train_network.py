r"""Online SGD of a network of fully connected layers, of any depth and width.

.. math:: x\leftarrow x-\delta(\delta^1Y^T+\beta x),\qquad
          V^j\leftarrow V^j-\delta(\delta^j(h^{j-1})^T+\beta V^j),\qquad \delta=c_\delta/d

with a fresh sample Y each step and the derivatives of :mod:`numerics.networks.dense_network`.  The
kernel of :func:`numerics.simulate_sgd` is generated from the loss as one expression, which grows
with every path through the network; this one is a loop over layers, the same for all networks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray

from numerics.core.random_numbers.numpy_generators import words_of
from numerics.core.random_numbers.words import uniform
from numerics.core.random_numbers.ziggurat import fill_normals
from numerics.core.validation import Array
from theory import InputError

from .dense_network import DenseNetwork


@dataclass(frozen=True)
class NetworkWeights:
    """Weights of a network in d dimensions.

    Attributes
    ----------
    first : array, shape (C, d)
    readout : array, shape (q,)
        Biases of layer 1 and V^2, V^3, ..., row by row, as in :class:`DenseNetwork`.
    """

    first: Array
    readout: Array


@dataclass(frozen=True)
class Clusters:
    """A Gaussian mixture in numbers: the means lie in the first r coordinates of R^d.

    Attributes
    ----------
    means : array, shape (n, r)
    labels, weights : array, shape (n,)
    precision : float
        lambda, the inverse variance of the noise.
    """

    means: Array
    labels: Array
    weights: Array
    precision: float

    def draw(self, generator: np.random.Generator, samples: int) -> tuple[NDArray[np.intp], Array]:
        """Which component every sample is from, and the first r coordinates of all, (r, M)."""
        component = generator.choice(len(self.weights), samples, p=self.weights)
        noise = generator.standard_normal((self.means.shape[1], samples))
        return component, self.means[component].T + noise / np.sqrt(self.precision)

    def best_guesses(self, seen: Array) -> Array:
        """The likeliest label of samples, of which the first r coordinates tell all there is."""
        distance = np.sum((self.means[:, :, None] - seen) ** 2, axis=1)
        exponent = -0.5 * self.precision * (distance - distance.min(axis=0))
        likelihood = self.weights[:, None] * np.exp(exponent)
        values = np.unique(self.labels)
        likely = [likelihood[self.labels == value].sum(axis=0) for value in values]
        return np.asarray(values[np.argmax(likely, axis=0)])


def random_weights(
    network: DenseNetwork, dimension: int, generator: np.random.Generator
) -> NetworkWeights:
    """Weight vectors of length about one in every layer; biases of zero."""
    first = generator.standard_normal((network.widths[0], dimension)) / np.sqrt(dimension)
    parts = [np.zeros(network.widths[0] * network.biases)]
    for rows, columns in network.shapes:
        width = columns - network.biases
        v = np.zeros((rows, columns))
        v[:, :width] = generator.standard_normal((rows, width)) / np.sqrt(width)
        parts.append(v.ravel())
    return NetworkWeights(first, np.concatenate(parts))


def train_network(
    network: DenseNetwork,
    clusters: Clusters,
    start: NetworkWeights,
    steps: Sequence[int],
    *,
    ridge: float,
    step: float,
    generator: np.random.Generator,
) -> list[NetworkWeights]:
    """Weights of a run at the recorded numbers of steps, ascending.

    Parameters
    ----------
    start : NetworkWeights
        In d dimensions, of which the first are those of the means.
    steps : sequence of int
    ridge, step : float
        beta and c_delta; a step is of size c_delta / d.
    generator : numpy.random.Generator
        Of a PCG64, as ``numpy.random.default_rng`` makes it.

    Raises
    ------
    theory.InputError
        The run diverged: the step is too large; the generator is of another kind.
    """
    state, kept, done = _Padded.of(network, start), [], 0
    for count in steps:
        with words_of(generator) as words:
            _advance(
                words, state.first, state.bias, state.matrices, state.sizes,
                clusters.means, clusters.labels, np.cumsum(clusters.weights),
                clusters.precision**-0.5, step / start.first.shape[1], ridge, count - done,
                network.activation == "relu", network.output == "softmax", network.biases,
            )  # fmt: skip
        done = count
        kept.append(state.weights(network))
        if not (np.isfinite(state.first).all() and np.isfinite(kept[-1].readout).all()):
            remedy = f"take a smaller step than {step:g}"
            raise InputError("step", step, "one at which runs do not diverge", remedy)
    return kept


@dataclass(frozen=True)
class _Padded:
    """The weights as arrays that a kernel can loop over: V^2, V^3, ... in one, filled by zeros."""

    first: Array
    bias: Array
    matrices: Array
    sizes: np.ndarray

    @classmethod
    def of(cls, network: DenseNetwork, start: NetworkWeights) -> _Padded:
        biases, matrices = network.weights(start.readout)
        most = np.max(network.shapes, axis=0)
        padded = np.zeros((len(matrices), *most))
        for target, v in zip(padded, matrices, strict=True):
            target[: v.shape[0], : v.shape[1]] = v
        sizes = np.array([*network.widths, network.outputs])
        return cls(np.array(start.first, dtype=float), np.array(biases), padded, sizes)

    def weights(self, network: DenseNetwork) -> NetworkWeights:
        parts = [self.bias] if network.biases else []
        for v, (rows, columns) in zip(self.matrices, network.shapes, strict=True):
            parts.append(v[:rows, :columns].ravel())
        return NetworkWeights(self.first.copy(), np.concatenate(parts))


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract"})
def _advance(  # type: ignore[no-untyped-def]
    words, x, bias, v, sizes, means, labels, cumulative, spread, rate, ridge, steps, relu, softmax,
    biased,
):  # fmt: skip
    """So many steps of SGD, in place."""
    d, r, last = x.shape[1], means.shape[1], sizes.size - 1
    widest = sizes.max()
    y = np.empty(d)
    form = np.zeros((sizes.size, widest))
    h = np.ones((sizes.size, widest + 1))
    slope = np.zeros((sizes.size, widest))
    keep = 1.0 - rate * ridge
    for _ in range(steps):
        draw = uniform(words)
        l = 0
        while l < cumulative.size - 1 and draw >= cumulative[l]:
            l += 1
        fill_normals(words, spread, y)
        for i in range(r):
            y[i] += means[l, i]
        for a in range(sizes[0]):
            total = 0.0
            for i in range(d):
                total += x[a, i] * y[i]
            form[0, a] = total + bias[a]
        for j in range(last):
            n = sizes[j]
            for a in range(n):
                h[j, a] = max(form[j, a], 0.0) if relu else np.tanh(form[j, a])
            h[j, n] = 1.0
            for k in range(sizes[j + 1]):
                total = 0.0
                for a in range(n + biased):
                    total += v[j, k, a] * h[j, a]
                form[j + 1, k] = total
        _output_slope(form[last], slope[last], sizes[last], labels[l], softmax)
        for j in range(last - 1, -1, -1):
            n = sizes[j]
            slope[j, :n] = 0.0
            for k in range(sizes[j + 1]):
                for a in range(n):
                    slope[j, a] += v[j, k, a] * slope[j + 1, k]
                for a in range(n + biased):
                    v[j, k, a] = keep * v[j, k, a] - rate * slope[j + 1, k] * h[j, a]
            for a in range(n):
                if relu:
                    slope[j, a] *= form[j, a] > 0.0
                else:
                    slope[j, a] *= 1.0 - h[j, a] * h[j, a]
        for a in range(sizes[0]):
            if biased:
                bias[a] = keep * bias[a] - rate * slope[0, a]
            factor = rate * slope[0, a]
            for i in range(d):
                x[a, i] = keep * x[a, i] - factor * y[i]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _output_slope(form, slope, count, label, softmax):  # type: ignore[no-untyped-def]
    """Derivative of the loss with respect to the outputs."""
    if not softmax:
        slope[0] = 1.0 / (1.0 + np.exp(-form[0])) - label
        return
    top = form[:count].max()
    total = 0.0
    for k in range(count):
        slope[k] = np.exp(form[k] - top)
        total += slope[k]
    for k in range(count):
        slope[k] = slope[k] / total - (label == k + 1)
