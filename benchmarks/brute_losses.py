"""Losses with first and second derivatives by hand, and their integrals on a line: NumPy and SciPy
alone, nothing of the project.

The pre-activations are u = a t with t normal, so that any number of units has integrals on a line,
by Gauss-Legendre panels halved towards every place where something turns.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import scipy.special

sys.path.append(str(Path(__file__).parents[1] / "tests" / "witness"))
import brute_expectations as brute  # found only then

Array = np.ndarray
# values, first and second derivatives, by element
Activation = tuple[Callable[[Array], Array], Callable[[Array], Array], Callable[[Array], Array]]


def _sech2(t: Array) -> Array:
    small = np.exp(-2 * np.abs(t))
    return 4 * small / (1 + small) ** 2


def _bell(t: Array) -> Array:
    return np.sqrt(2 / np.pi) * np.exp(-t * t / 2)


ACTIVATIONS: dict[str, Activation] = {
    "tanh": (np.tanh, _sech2, lambda t: -2 * np.tanh(t) * _sech2(t)),
    "erf": (
        lambda t: scipy.special.erf(t / np.sqrt(2)), _bell, lambda t: -t * _bell(t)
    ),
    "relu": (lambda t: np.maximum(t, 0), lambda t: (t > 0) * 1.0, np.zeros_like),
}  # fmt: skip


def _sigmoid_slope(f: Array) -> Array:
    return scipy.special.expit(f) * scipy.special.expit(-f)


# slope and curvature of the output's loss in f
OUTPUTS = {
    "logistic": (lambda y, f: scipy.special.expit(f) - y, lambda y, f: _sigmoid_slope(f)),
    "square": (lambda y, f: f - y, lambda y, f: np.ones_like(f)),
    "squared hinge": (
        lambda y, f: -2 * (2 * y - 1) * np.maximum(1 - (2 * y - 1) * f, 0),
        lambda y, f: 2.0 * ((2 * y - 1) * f < 1),
    ),
}


@dataclass(frozen=True)
class Network:
    """f = sum_i v_i h(u_i + b_i) under an output, or f = u_1 if there is no activation."""

    output: str
    activation: str | None = None
    biases: bool = False

    def derivatives(self, u: Array, y: float, v: Array) -> tuple[Array, Array]:
        """g (C, N) and H (C, C, N) almost everywhere."""
        first, second = OUTPUTS[self.output]
        if self.activation is None:
            return first(y, u[0])[None], second(y, u[0])[None, None]
        h, slope, bend = ACTIVATIONS[self.activation]
        c = len(u)
        t = u + v[c:, None] if self.biases else u
        f, s = v[:c] @ h(t), v[:c, None] * slope(t)
        hessian = second(y, f) * s[:, None] * s[None]
        hessian[np.arange(c), np.arange(c)] += first(y, f) * v[:c, None] * bend(t)
        return first(y, f) * s, hessian

    def jumps(self, along: Array, y: float, v: Array) -> list[tuple[int, float, float]]:
        """Units whose slope jumps along the line: the unit, t, and the mass of H_ii there in t."""
        if self.activation != "relu":
            return []
        c = len(along)
        b = v[c:] if self.biases else np.zeros(c)
        out = []
        for i in np.flatnonzero(along):
            t = -b[i] / along[i]
            f = v[:c] @ np.maximum(along * t + b, 0)
            slope = OUTPUTS[self.output][0](y, f)
            out.append((int(i), float(t), float(slope * v[i] / abs(along[i]))))
        return out

    def places(self, along: Array, y: float, v: Array) -> tuple[Array, float]:
        """Where something turns at u = a t, and how sharply at most."""
        c, steepest = len(along), float(np.abs(along).max(initial=0.0))
        if self.activation is None:
            sides = [0.0, 1.0, -1.0]
            return np.array(sides) / (along[0] if along[0] else 1.0), steepest
        b = v[c:] if self.biases else np.zeros(c)
        kinks = -b[along != 0] / along[along != 0]
        sharp = steepest * max(1.0, float(np.abs(v[:c]).sum()) if self.activation == "relu" else 1)
        if self.activation == "relu":
            kinks = np.append(kinks, _zeros_of_ramps(along, b, v[:c], np.unique(kinks)))
        return kinks, sharp


@dataclass(frozen=True)
class Softmax:
    """-u_y + log sum exp u, labels from 1."""

    def derivatives(self, u: Array, y: float, v: Array) -> tuple[Array, Array]:
        """g (C, N) and H (C, C, N)."""
        p = scipy.special.softmax(u, axis=0)
        # 1 - p without cancellation, so that a class that is nearly certain keeps its digits
        rest = np.array([np.delete(p, a, axis=0).sum(axis=0) for a in range(len(p))])
        hessian = -p[:, None] * p[None]
        hessian[np.arange(len(p)), np.arange(len(p))] = p * rest
        g = p.copy()
        g[int(y) - 1] = -rest[int(y) - 1]
        return g, hessian

    def jumps(self, along: Array, y: float, v: Array) -> list[tuple[int, float, float]]:
        """None: it is smooth."""
        return []

    def places(self, along: Array, y: float, v: Array) -> tuple[Array, float]:
        """Every pair of classes turns at t = 0."""
        return np.zeros(1), float(along.max() - along.min())


def _zeros_of_ramps(along: Array, b: Array, v: Array, kinks: Array) -> Array:
    """Zeros of the broken line sum_i v_i max(a_i t + b_i, 0)."""
    reach = 1.0 + np.abs(kinks).max(initial=0.0)
    ends = np.concatenate([[-2 * reach], kinks, [2 * reach]])
    out = []
    for low, high in pairwise(ends):
        middle = (low + high) / 2
        active = along * middle + b > 0
        slope = float(np.sum((v * along)[active]))
        if slope:
            zero = -float(np.sum((v * b)[active])) / slope
            outside = low == ends[0] or high == ends[-1]
            if low < zero < high or outside:
                out.append(zero)
    return np.array(out)


def line_rule(
    center: float, deviation: float, places: Array, steepest: float, nodes: int
) -> tuple[Array, Array]:
    """Nodes t and weights of N(center, deviation^2)."""
    if deviation == 0.0:
        return np.array([center]), np.ones(1)
    finest = float(np.clip(0.5 / max(steepest * deviation, 1e-300), 1e-14, 0.5))
    at = np.unique(np.clip((places - center) / deviation, -brute.EDGE, brute.EDGE))
    ends = np.unique(brute.breakpoints(at, finest))
    z, w = brute.rule(ends[None], nodes)
    return center + deviation * z[0], w[0]
