"""Models whose samples hold several tokens, with the gradient of each loss written out by hand.

Samples, steps and matrices are realised in d dimensions from their definition; nothing of the
engine enters.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import sympy as sp

from numerics import State
from theory import Loss, Mixture, Model, Softmax, Softplus, symbols

Y = symbols.LABEL


@dataclass(frozen=True)
class TokenCase:
    """A model of numbers, directions (r x d), weights (C x d) and a readout.

    ``gradient(y, u, v)`` of labels (M,) and pre-activations u (M, C, P) is the derivative in u, of
    the shape of u, and that in v, (M, q); ``second`` that in (u_a_p, u_b_q), (M, C, P, C, P).
    """

    model: Model
    directions: np.ndarray
    weights: np.ndarray
    readout: np.ndarray
    gradient: Callable[..., tuple[np.ndarray, np.ndarray]]
    second: Callable[..., np.ndarray]

    @property
    def dimension(self):
        return self.weights.shape[1]

    @property
    def state(self):
        size = self.model.units * self.model.directions
        vector = self.statistics()
        gram = np.zeros([self.model.units] * 2)
        upper = np.triu_indices(self.model.units)
        gram[upper] = vector[size : size + upper[0].size]
        gram = gram + np.triu(gram, 1).T
        return State(vector[:size].reshape(-1, self.model.directions), gram, self.readout)

    def statistics(self, weights=None, readout=None):
        """The state vector of weights (..., C, d), from its definition."""
        x = self.weights if weights is None else weights
        readout = self.readout if readout is None else readout
        e = self.directions
        overlap = x @ e.T
        away = x - overlap @ np.linalg.inv(e @ e.T) @ e
        gram = away @ np.swapaxes(away, -1, -2)
        upper = np.triu_indices(gram.shape[-1])
        lead = overlap.shape[:-2]
        return np.concatenate([overlap.reshape(*lead, -1), gram[..., *upper], readout], axis=-1)


def token_case(name, rng, dimension=7):
    """A case at random directions and weights."""
    loss, tokens, labels, gradient, second = LOSSES[name]()
    r = len(tokens[0][0])
    part = sp.Matrix(
        r, dimension, [sp.Rational(int(k), 5) for k in rng.integers(-2, 3, r * dimension)]
    )
    for s in range(r):
        part[s, s] += 1
    data = Mixture.build(
        weights=["2/5", "3/5"],
        labels=labels,
        tokens=tokens,
        directions_gram=part * part.T,
        precision=2,
    )
    model = Model.build(data, loss, ridge="1/5", step="1/2", name=name)
    weights = 0.5 * rng.standard_normal((loss.units, dimension))
    readout = rng.uniform(0.3, 1, loss.readout_size)
    numbers = np.array(part.tolist(), dtype=float)
    return TokenCase(model, numbers, weights, readout, gradient, second)


def polynomial():
    """(u_1_1 u_2_2 + v u_1_2 + u_2_1 - y)^2 / 2, two tokens of two directions."""
    u, (v,) = symbols.tokens("u", 2, 2), symbols.vector("v", 1)
    output = u[0][0] * u[1][1] + v * u[0][1] + u[1][0]
    loss = Loss((output - Y) ** 2 / 2, units=2, readout_size=1, tokens=2)
    tokens = [[[1, 0], [0, "1/2"]], [["-1/2", 1], [0, 0]]]
    return loss, tokens, [0, 1], _polynomial_gradient, _polynomial_second


def _polynomial_parts(y, u, v):
    error = u[:, 0, 0] * u[:, 1, 1] + v[0] * u[:, 0, 1] + u[:, 1, 0] - y
    slope = np.empty_like(u)
    slope[:, 0, 0], slope[:, 1, 1] = u[:, 1, 1], u[:, 0, 0]
    slope[:, 0, 1], slope[:, 1, 0] = v[0], 1.0
    return error, slope


def _polynomial_gradient(y, u, v):
    error, slope = _polynomial_parts(y, u, v)
    return error[:, None, None] * slope, (error * u[:, 0, 1])[:, None]


def _polynomial_second(y, u, v):
    error, slope = _polynomial_parts(y, u, v)
    out = slope[:, :, :, None, None] * slope[:, None, None, :, :]
    out[:, 0, 0, 1, 1] += error
    out[:, 1, 1, 0, 0] += error
    return out


def patches():
    """Two tanh units that look at two patches: log(1 + e^f) - y f, f = sum_ap v_a tanh(u_a_p)."""
    u, v = symbols.tokens("u", 2, 2), symbols.vector("v", 2)
    f = sum(v[a] * sp.tanh(u[a][p]) for a in range(2) for p in range(2))
    loss = Loss(Softplus(f) - Y * f, units=2, readout_size=2, tokens=2)
    return loss, [[[1], [0]], [[0], [-1]]], [1, 0], _patch_gradient, _patch_second


def three_units():
    """Three tanh units at three tokens, readout v: as :func:`patches`."""
    u, v = symbols.tokens("u", 3, 3), symbols.vector("v", 3)
    f = sum(v[a] * sp.tanh(u[a][p]) for a in range(3) for p in range(3))
    loss = Loss(Softplus(f) - Y * f, units=3, readout_size=3, tokens=3)
    tokens = [[[1], [0], [0]], [[0], ["-1/2"], [1]]]
    return loss, tokens, [1, 0], _patch_gradient, _patch_second


def _sigmoid(f):
    return 1.0 / (1.0 + np.exp(-f))


def _patch_parts(u, v):
    h = np.tanh(u)
    return h, np.einsum("a,map->m", v, h)


def _patch_gradient(y, u, v):
    h, f = _patch_parts(u, v)
    error = _sigmoid(f) - y
    return error[:, None, None] * v[:, None] * (1 - h**2), error[:, None] * h.sum(axis=2)


def _patch_second(y, u, v):
    h, f = _patch_parts(u, v)
    probability = _sigmoid(f)
    slope, bend = v[:, None] * (1 - h**2), -2 * v[:, None] * h * (1 - h**2)
    spread = probability * (1 - probability)
    out = np.einsum("m,map,mbq->mapbq", spread, slope, slope)
    for a in range(u.shape[1]):
        for p in range(u.shape[2]):
            out[:, a, p, a, p] += (probability - y) * bend[:, a, p]
    return out


def attention():
    """Scores u_1_p of a query, values u_2_p: logistic loss of f = sum_p softmax_p(u_1) u_2_p."""
    score, value = symbols.tokens("u", 2, 2)
    f = sum(Softmax(p + 1, *score) * value[p] for p in range(2))
    gauge = sp.ImmutableDenseMatrix([1, 0, 1, 0])  # all scores together
    loss = Loss(Softplus(f) - Y * f, units=2, tokens=2, gauge=gauge)
    tokens = [[[1, 0], [0, 1]], [[-1, 0], [0, 1]]]
    return loss, tokens, [1, 0], _attention_gradient, _attention_second


def _attention_parts(u):
    scores, values = u[:, 0], u[:, 1]
    share = np.exp(scores - scores.max(axis=1, keepdims=True))
    share /= share.sum(axis=1, keepdims=True)
    return share, values, np.sum(share * values, axis=1)


def _attention_gradient(y, u, v):
    share, values, f = _attention_parts(u)
    slope = np.stack([share * (values - f[:, None]), share], axis=1)
    return (_sigmoid(f) - y)[:, None, None] * slope, np.zeros((len(u), 0))


def _attention_second(y, u, v):
    """By differences of the gradient, which is written out."""
    out, h = np.empty((*u.shape, *u.shape[1:])), 1e-4
    for a in range(2):
        for p in range(2):
            shift = np.zeros(u.shape[1:])
            shift[a, p] = h
            up, down = (_attention_gradient(y, u + s * shift, v)[0] for s in (1, -1))
            out[:, :, :, a, p] = (up - down) / (2 * h)
    return out


def contrastive():
    """A pair of views: log(1 + exp(-y u_1 u_2)), y = 1 where both are of one cluster, else -1."""
    (u,) = symbols.tokens("u", 1, 2)
    loss = Loss(Softplus(-Y * u[0] * u[1]), units=1, tokens=2)
    return loss, [[[1], [1]], [[1], [-1]]], [1, -1], _pair_gradient, _pair_second


def _pair_gradient(y, u, v):
    pull = _sigmoid(-y * u[:, 0, 0] * u[:, 0, 1])
    return -(y * pull)[:, None, None] * u[:, :, ::-1], np.zeros((len(u), 0))


def _pair_second(y, u, v):
    left, right = u[:, 0, 0], u[:, 0, 1]
    pull = _sigmoid(-y * left * right)
    spread = y**2 * pull * (1 - pull)
    out = np.empty((len(u), 1, 2, 1, 2))
    out[:, 0, 0, 0, 0], out[:, 0, 1, 0, 1] = spread * right**2, spread * left**2
    out[:, 0, 0, 0, 1] = out[:, 0, 1, 0, 0] = spread * left * right - y * pull
    return out


LOSSES = {
    "polynomial": polynomial,
    "patches": patches,
    "three units": three_units,
    "attention": attention,
    "contrastive": contrastive,
}


def draw(case, samples, rng):
    """Components, labels, and features (M, P, d)."""
    mixture = case.model.mixture
    component = rng.choice(2, size=samples, p=[float(p) for p in mixture.weights])
    coordinates = np.array(mixture.coordinates.tolist(), dtype=float)
    coordinates = coordinates.reshape(2, mixture.tokens, -1)
    noise = rng.standard_normal((samples, mixture.tokens, case.dimension))
    features = (coordinates @ case.directions)[component]
    labels = np.array([float(y) for y in mixture.labels])[component]
    return labels, features + noise / np.sqrt(float(mixture.precision))


def slopes_at(case, labels, features):
    """The derivatives of the loss in u_a_p, (M, C, P), and in v at samples."""
    u = np.einsum("ai,mpi->map", case.weights, features)
    return case.gradient(labels, u, case.readout)


def raw_steps(case, samples, rng, batch=1):
    """Changes of the statistics in single steps of SGD over delta, from the definition alone."""
    delta, beta = float(case.model.step) / case.dimension, float(case.model.ridge)
    moved = np.repeat((1 - delta * beta) * case.weights[None], samples, axis=0)
    readout = np.repeat((1 - delta * beta) * case.readout[None], samples, axis=0)
    for _ in range(batch):
        labels, features = draw(case, samples, rng)
        g, dv = slopes_at(case, labels, features)
        moved -= delta / batch * np.einsum("map,mpi->mai", g, features)
        readout -= delta / batch * dv
    return (case.statistics(moved, readout) - case.statistics()) / delta


def raw_increments(case, samples, rng):
    """The random part G of an increment for d -> infinity, sample by sample."""
    labels, features = draw(case, samples, rng)
    g, dv = slopes_at(case, labels, features)
    e, x = case.directions, case.weights
    away = x - x @ e.T @ np.linalg.inv(e @ e.T) @ e
    moved = np.einsum("map,mpi->mai", g, features)
    overlap = (moved @ e.T).reshape(samples, -1)
    zeta = moved @ away.T
    share = float(case.model.step / case.model.mixture.precision)
    gram = zeta + np.swapaxes(zeta, 1, 2) - share * np.einsum("map,mbp->mab", g, g)
    return np.concatenate([overlap, gram[:, *np.triu_indices(len(x))], dv], axis=1)
