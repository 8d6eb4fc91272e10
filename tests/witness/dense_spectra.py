"""Dense Hessians and G-matrices of drawn data, by NumPy alone: nothing of the project is used.

Directions are orthonormal here; derivatives of the losses are written out by hand.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
# of u (C, M), labels (M,) and v: g (C, M) and H (C, C, M)
Derivatives = Callable[[Array, Array, Array], tuple[Array, Array]]


@dataclass(frozen=True)
class Drawn:
    """Features, their weights, and the span of directions and weights as orthonormal rows."""

    features: Array
    gradient: Array
    hessian: Array
    span: Array

    def matrix(self, kind: str, block: object = "first_layer") -> Array:
        """(1/M) sum_i D_i (x) Y_i Y_i^T, without ridge."""
        g, h = self.gradient, self.hessian
        weight = h if kind == "hessian" else g[:, None] * g[None]
        rows = [block] if isinstance(block, tuple) else None
        y, m = self.features, len(self.features)
        if rows:
            a, b = rows[0]
            return (y * weight[a, b][:, None]).T @ y / m
        c = len(weight)
        parts = [[(y * weight[a, b][:, None]).T @ y / m for b in range(c)] for a in range(c)]
        return np.block(parts)


def softmax(u: Array, labels: Array, v: Array) -> tuple[Array, Array]:
    """-u_y + log sum exp u, with labels 1..k."""
    shifted = np.exp(u - u.max(axis=0))
    pi = shifted / shifted.sum(axis=0)
    one_hot = np.arange(1, len(u) + 1)[:, None] == labels
    hessian = np.eye(len(u))[:, :, None] * pi - pi[:, None] * pi[None]
    return pi - one_hot, hessian


def relu_logistic(u: Array, labels: Array, v: Array) -> tuple[Array, Array]:
    """-y f + log(1 + e^f), f = v . relu(u); second derivatives almost everywhere."""
    slope = v[:, None] * (u > 0)
    f = v @ np.maximum(u, 0)
    sigma = 1 / (1 + np.exp(-f))
    return (sigma - labels) * slope, sigma * (1 - sigma) * slope[:, None] * slope[None]


def draw(
    derivatives: Derivatives,
    *,
    means: ArrayLike,
    labels: ArrayLike,
    weights: ArrayLike,
    precision: float,
    overlap: ArrayLike,
    gram_perp: ArrayLike,
    readout: ArrayLike = (),
    dimension: int,
    samples: int,
    rng: np.random.Generator,
) -> Drawn:
    """Features mean + Z / sqrt(lambda), and derivatives at weights with the given statistics.

    Row a of the weights is (overlap[a], a row of a root of gram_perp, 0, ...).
    """
    mu = np.asarray(means, dtype=float)
    m = np.asarray(overlap, dtype=float)
    values, vectors = np.linalg.eigh(np.asarray(gram_perp, dtype=float))
    root = vectors * np.sqrt(np.maximum(values, 0))
    (n, r), c = mu.shape, len(m)
    x = np.zeros((c, dimension))
    x[:, :r], x[:, r : r + c] = m, root
    component = rng.choice(n, size=samples, p=np.asarray(weights, dtype=float))
    y = rng.standard_normal((samples, dimension)) / np.sqrt(precision)
    y[:, :r] += mu[component]
    g, h = derivatives(
        x @ y.T, np.asarray(labels, dtype=float)[component], np.asarray(readout, dtype=float)
    )
    return Drawn(y, g, h, np.eye(r + c, dimension))


XOR = {"means": [[1, 0], [-1, 0], [0, 1], [0, -1]], "labels": [1, 1, 0, 0], "weights": [0.25] * 4}
