"""Dense softmax Hessians and G-matrices of mixtures with bands, by NumPy alone: nothing of the
project is used.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class BandNumbers:
    """Three classes in bands, as numbers; arrays (B, 3, 3) of the statistics."""

    weights: np.ndarray
    precision: float
    fractions: np.ndarray
    scales: np.ndarray  # classes x bands
    gamma: np.ndarray
    overlap: np.ndarray
    gram_perp: np.ndarray

    def vectors(self, dimension):
        """Means and weights in R^d, and rows that span their parts in the bands."""
        sizes = np.rint(self.fractions * dimension).astype(int)
        means, x = np.zeros((3, dimension)), np.zeros((3, dimension))
        span = np.zeros((6 * len(sizes), dimension))
        at = 0
        for g, size in enumerate(sizes):
            low = np.linalg.cholesky(self.gamma[g])
            means[:, at : at + 3] = low
            x[:, at : at + 3] = np.linalg.solve(low, self.overlap[g].T).T
            x[:, at + 3 : at + 6] = np.linalg.cholesky(self.gram_perp[g])
            span[6 * g : 6 * g + 6, at : at + 6] = np.eye(6)
            at += size
        return sizes, means, x, span

    def draw(self, dimension, ratio, rng):
        """Features and pre-activations, class probabilities and classes of ratio * d samples."""
        sizes, means, x, span = self.vectors(dimension)
        samples = round(ratio * dimension)
        label = rng.choice(3, size=samples, p=self.weights)
        spread = np.repeat(self.scales, sizes, axis=1) / np.sqrt(self.precision)
        y = means[label] + spread[label] * rng.standard_normal((samples, dimension))
        u = y @ x.T
        pi = np.exp(u - u.max(axis=1, keepdims=True))
        return y, pi / pi.sum(axis=1, keepdims=True), label, span


def factors(pi, label, kind):
    """Matrices A (M, 3, n) with H = A A^T or g g^T = A A^T at every sample."""
    if kind == "gradient":
        return (pi - np.eye(3)[label])[:, :, None]
    root = np.sqrt(pi)
    return root[:, :, None] * (np.eye(3) - root[:, :, None] * root[:, None, :])


def leading(numbers, dimension, ratio, kind, block, count, rng):
    """The largest eigenvalues and the squared lengths of their vectors on the span."""
    y, pi, label, span = numbers.draw(dimension, ratio, rng)
    a = factors(pi, label, kind)
    if block == "first_layer":
        columns = (a[:, :, None, :] * y[:, None, :, None]).transpose(1, 2, 0, 3)
        span = np.kron(np.eye(3), span)
    else:
        # H_aa = pi_a (1 - pi_a) is the squared length of the row, and so is g_a^2
        size = np.sqrt(np.sum(a[:, block[0]] ** 2, axis=1))
        columns = (size[:, None] * y).T
    columns = columns.reshape(len(span[0]), -1)
    values, vectors = np.linalg.eigh(columns @ columns.T / len(y))
    top = vectors[:, ::-1][:, :count]
    return values[::-1][:count], np.sum((span @ top) ** 2, axis=0)
