"""Drifts by brute force on the raw integrals: NumPy alone, nothing of the product.

Every family writes the gradient of its loss by hand.  The drift is that of the statistics as they
are, dm = -E[g Y.e] and dQ = -E[g u] - E[u g] + (c/lambda) E[g g], without integration by parts:
integrals over the pre-activations by Gauss-Legendre panels, halved towards every place where a
function of the family turns, far more of them than any accuracy needs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.special

EDGE = 11.5
FINEST = 1e-9


@dataclass(frozen=True)
class Problem:
    """One component law each of labels y, means S, probabilities p; state m, Q, v; lambda, beta, c.

    The directions are orthonormal.
    """

    labels: np.ndarray
    coordinates: np.ndarray
    weights: np.ndarray
    precision: float
    ridge: float
    step: float
    overlap: np.ndarray
    gram: np.ndarray
    readout: np.ndarray


@dataclass(frozen=True)
class Family:
    """A loss by hand: g (units, N), the derivative by v (q, N), and arguments that turn at zero."""

    gradient: Callable[[np.ndarray, float, np.ndarray], np.ndarray]
    readout: Callable[[np.ndarray, float, np.ndarray], np.ndarray]
    turns: Callable[[np.ndarray], np.ndarray]
    offset: float = 0.0
    # whether the arguments turn everywhere, as those of a sine do
    waves: bool = False


def sigmoid(t):
    return scipy.special.expit(t)


def network(activation, slope, output):
    """f = sum_a v_a h(u_a) under an output l(y, f); h and its derivative given."""

    def gradient(u, y, v):
        return output(y, v @ activation(u)) * v[:, None] * slope(u)

    def readout(u, y, v):
        return output(y, v @ activation(u)) * activation(u)

    return gradient, readout


def softmax_gradient(u, y, v):
    p = scipy.special.softmax(u, axis=0)
    p[int(y) - 1] -= 1.0
    return p


def nothing(u, y, v):
    return np.zeros((0, u.shape[1]))


def pairs_of(units):
    rows = [np.eye(units)[a] - np.eye(units)[b] for a in range(units) for b in range(a)]
    return np.array(rows)


def breakpoints(places, finest, equal=18):
    """Panels of [-EDGE, EDGE], each place met by panels halved towards it from both sides."""
    ladder = EDGE * 2.0 ** -np.arange(0, int(np.ceil(np.log2(EDGE / finest))) + 1)
    offsets = np.concatenate([-ladder, [0.0], ladder[::-1]])
    uniform = np.linspace(-EDGE, EDGE, equal + 1)
    points = [np.broadcast_to(uniform, (*places.shape[:-1], uniform.size))]
    points.append((places[..., None] + offsets).reshape(*places.shape[:-1], -1))
    return np.sort(np.clip(np.concatenate(points, axis=-1), -EDGE, EDGE), axis=-1)


def rule(ends, nodes):
    x, w = np.polynomial.legendre.leggauss(nodes)
    middle, half = (ends[..., 1:] + ends[..., :-1]) / 2, np.diff(ends, axis=-1) / 2
    z = (middle[..., None] + half[..., None] * x).reshape(*ends.shape[:-1], -1)
    weight = (half[..., None] * w).reshape(*ends.shape[:-1], -1)
    return z, weight * np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)


def moments(values, mean, factor, turns, offset, nodes, finest, waves=False):
    """E values(mean + factor z) for one or two normals; values maps (C, N) to (J, N)."""
    if factor.shape[1] == 0:
        return values(mean[:, None])[:, 0]
    heights, slopes = turns @ mean + offset, turns @ factor
    size = np.linalg.norm(slopes, axis=1)
    heights, slopes = heights[size > 0], slopes[size > 0]
    if factor.shape[1] == 1:
        equal = 18 + int(waves * 2 * EDGE * np.abs(slopes).max(initial=0.0) / 3)
        z, w = rule(breakpoints(-heights / slopes[:, 0], finest, equal), nodes)
        return values(mean[:, None] + factor * z) @ w
    # cross the turning lines as squarely as possible
    angles = (np.arange(90) + 0.5) * np.pi / 90
    second = np.stack([-np.sin(angles), np.cos(angles)])
    unit = slopes / np.linalg.norm(slopes, axis=1, keepdims=True)
    best = angles[int(np.argmax(np.abs(unit @ second).min(axis=0)))]
    turn = np.array([[np.cos(best), -np.sin(best)], [np.sin(best), np.cos(best)]])
    slopes, factor = slopes @ turn, factor @ turn
    places = [
        (heights[j] * slopes[i, 1] - heights[i] * slopes[j, 1])
        / (slopes[i, 0] * slopes[j, 1] - slopes[j, 0] * slopes[i, 1])
        for i in range(len(slopes))
        for j in range(i)
        if abs(slopes[i, 0] * slopes[j, 1] - slopes[j, 0] * slopes[i, 1]) > 1e-14
    ]
    places += list(-heights / np.where(slopes[:, 0] == 0, 1e-300, slopes[:, 0]))
    places = np.unique(np.clip(places, -EDGE, EDGE).round(12))
    total = 0.0
    outer, weights = rule(breakpoints(places, finest), nodes)
    real = weights > 1e-22
    for z, weight in zip(outer[real], weights[real], strict=True):
        at = -(heights + slopes[:, 0] * z) / slopes[:, 1]
        ends = np.unique(breakpoints(at, finest))
        inner, w = rule(ends, nodes)
        u = mean[:, None] + factor[:, :1] * z + factor[:, 1:] * inner
        total = total + weight * (values(u) @ w)
    return total


def drift(problem: Problem, family: Family, nodes: int = 20, finest: float | None = None):
    """(dm, dR_perp, dv) stacked as matrices, by brute force."""
    m, q, v = problem.overlap, problem.gram, problem.readout
    units = len(q)
    values, vectors = np.linalg.eigh(q)
    turns = family.turns(v)
    real = values > 1e-15 * values[-1]
    factor = vectors[:, real] * np.sqrt(values[real] / problem.precision)
    # gradients see u along the arguments that turn; the rest of u is independent, with mean 0
    _, sizes, seen = np.linalg.svd(turns @ factor, full_matrices=False)
    factor = factor @ seen[sizes > 1e-13 * sizes.max(initial=0.0)].T
    if finest is None:
        steepest = np.abs(turns @ factor).max(initial=1e-3)
        finest = min(0.5, 0.5 / steepest)
    inverse = np.linalg.pinv(q, hermitian=True, rcond=1e-15)
    dm, dq = -problem.ridge * m, -2 * problem.ridge * q
    dv = -problem.ridge * v
    for y, s, p in zip(problem.labels, problem.coordinates, problem.weights, strict=True):
        mean = m @ s

        def integrand(u, y=y, mean=mean):
            g = family.gradient(u, y, v)
            shift = u - mean[:, None]
            parts = [g]
            parts.append((g[:, None] * u[None]).reshape(units**2, -1))
            parts.append((g[:, None] * shift[None]).reshape(units**2, -1))
            parts.append((g[:, None] * g[None]).reshape(units**2, -1))
            parts.append(family.readout(u, y, v))
            return np.concatenate(parts)

        found = moments(integrand, mean, factor, turns, family.offset, nodes, finest, family.waves)
        g, gu, gw, gg, dl = np.split(found, np.cumsum([units, *[units**2] * 3]))
        gu, gw, gg = (x.reshape(units, units) for x in (gu, gw, gg))
        dm = dm - p * (np.outer(g, s) + gw @ inverse @ m)
        dq = dq - p * (gu + gu.T) + p * problem.step / problem.precision * gg
        dv = dv - p * dl
    change = dm @ m.T
    return dm, dq - change - change.T, dv
