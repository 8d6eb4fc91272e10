"""Losses that hold statistics of the weights, each with its step written out by hand in NumPy."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import sympy as sp
from update_cases import UpdateCase, data, moved

from theory import Loss, Mixture, Model, Softplus, symbols

(U1, U2), (V1,), Y = symbols.vector("u", 2), symbols.vector("v", 1), symbols.LABEL
Q, M = symbols.symmetric("Q", 2), symbols.rectangular("m", 2, 2)
NUMBERS = {"ridge": "1/10", "step": "1/2"}


def spiked():
    """Data without labels along one direction."""
    return Mixture.build(
        labels=[0, 0], weights=["1/3", "2/3"], coordinates=[[1], [-1]], directions_gram=[[1]],
        precision=3,
    )  # fmt: skip


@lru_cache(maxsize=None)
def oja():
    return Model.build(spiked(), Loss(-(U1**2) + Q[0, 0] * U1**2 / 2, units=1), **NUMBERS)


def oja_step(x, v, y, labels, delta, beta, means):
    """Oja's rule in its symmetric form: x + 2 delta (u y - (|x|^2 u y + u^2 x) / 2)."""
    u = y @ x[0]
    norm = x[0] @ x[0]
    change = -2 * u[:, None] * y + norm * u[:, None] * y + (u**2)[:, None] * x[0]
    after = x[0] - delta * (change + beta * x[0])
    return after[:, None, :], np.broadcast_to(v, (len(y), 0))


@lru_cache(maxsize=None)
def normalised():
    """A logistic unit v x / |x|."""
    f = V1 * U1 / sp.sqrt(Q[0, 0])
    loss = Loss(Softplus(f) - Y * f, units=1, readout_size=1)
    return Model.build(data(((1,), (-1,)), (1, 0), 2), loss, **NUMBERS)


def normalised_step(x, v, y, labels, delta, beta, means):
    length = np.sqrt(x[0] @ x[0])
    unit = x[0] / length
    error = 1 / (1 + np.exp(-v[0] * (y @ unit))) - labels
    # the gradient of v x . y / |x| in x is what of v y / |x| is orthogonal to x
    across = (y - (y @ unit)[:, None] * unit) * v[0] / length
    after = x[0] - delta * (error[:, None] * across + beta * x[0])
    return after[:, None, :], v - delta * ((error * (y @ unit))[:, None] + beta * v)


@lru_cache(maxsize=None)
def pair():
    """Two units, the product of whose weights and whose overlaps stand in the loss."""
    square = (U1 + U2 - Y) ** 2 / 2
    loss = Loss(square + U1 * Q[0, 1] / 2 + U2**2 * M[0, 1] / 3 + Q[1, 1] / 4, units=2)
    return Model.build(data(((1, 0), (0, 1)), (1, -1), 2), loss, **NUMBERS)


def pair_step(x, v, y, labels, delta, beta, means):
    u = y @ x.T
    product, directions = x[0] @ x[1], means  # coordinates (1, 0) and (0, 1): the means are e_s
    overlap = x[0] @ directions[1]
    error = u.sum(axis=1) - labels
    g = np.stack([error + product / 2, error + 2 * u[:, 1] * overlap / 3], axis=1)
    after, v = moved(x, v, g, np.zeros((len(y), 0)), y, delta, beta)
    half = u[:, :1] / 2
    after[:, 0] -= delta * (half * x[1] + u[:, 1:] ** 2 / 3 * directions[1])
    after[:, 1] -= delta * (half * x[0] + x[1] / 2)
    return after, v


CASES = {
    "oja": UpdateCase(oja, oja_step),
    "normalised": UpdateCase(normalised, normalised_step),
    "pair": UpdateCase(pair, pair_step),
}
