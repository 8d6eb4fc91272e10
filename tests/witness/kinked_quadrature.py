"""Gaussian expectations in one or two pre-activations by Gauss-Legendre panels split at the kinks.

Reads only the integrand and the law of a node; kinks lie at fixed values of single pre-activations,
so the panels meet every kink at an edge and the integrand is analytic inside.  Independent of
``numerics``.
"""

from __future__ import annotations

from collections import defaultdict
from functools import lru_cache
from itertools import pairwise

import numpy as np
import sympy as sp

from theory import symbols

REACH = 8.0  # standard deviations: the Gaussian tail beyond is 1e-15
WIDTH = 2.7  # of a panel, in standard deviations
NODES = 14  # a panel

FUNCTIONS = {
    "Softplus": lambda f: np.logaddexp(0.0, f),
    "Sigmoid": lambda f: 0.5 * (1 + np.tanh(f / 2)),
    "ReLU": lambda f: np.maximum(f, 0.0),
    "Step": lambda f: (f > 0) * 1.0,
}


legendre = lru_cache(maxsize=None)(np.polynomial.legendre.leggauss)


def panels(mean: float, deviation: float, kinks) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and Lebesgue weights on mean -+ REACH deviations, no panel across a kink."""
    low, high = mean - REACH * deviation, mean + REACH * deviation
    edges = [low, *sorted(float(k) for k in kinks if low < k < high), high]
    x, w = legendre(NODES)
    points, weights = [], []
    for a, b in pairwise(edges):
        parts = np.linspace(a, b, 1 + int(np.ceil((b - a) / (WIDTH * deviation))))
        for left, right in pairwise(parts):
            points.append((left + right) / 2 + (right - left) / 2 * x)
            weights.append((right - left) / 2 * w)
    return np.concatenate(points), np.concatenate(weights)


def density(u: np.ndarray, mean: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """Density of N(mean, covariance) at the columns of u."""
    z = np.linalg.solve(np.linalg.cholesky(covariance), u - mean[:, None])
    return np.exp(-(z**2).sum(0) / 2) / np.sqrt(np.linalg.det(2 * np.pi * covariance))


def grid(mean: np.ndarray, covariance: np.ndarray, kinks) -> tuple[np.ndarray, np.ndarray]:
    """Nodes (C, N) and probability weights (N,) for C = 1 or 2; ``kinks`` the values where any u_a
    has one.
    """
    axes = [panels(m, np.sqrt(s), kinks) for m, s in zip(mean, np.diag(covariance), strict=True)]
    u = np.stack([g.ravel() for g in np.meshgrid(*(a[0] for a in axes), indexing="ij")])
    w = np.prod(np.meshgrid(*(a[1] for a in axes), indexing="ij"), axis=0).ravel()
    return u, w * density(u, mean, covariance)


def expectations(nodes, values: dict, kinks=(0.0,)) -> dict:
    """Numbers of expectation nodes, deltas of single pre-activations included, as sympy.Float."""
    result = {}
    groups = defaultdict(list)
    for node in dict.fromkeys(nodes):
        groups[node.law].append(node)
    for law, group in groups.items():
        mean, gram = (
            np.array(sp.Matrix(m).xreplace(values).tolist(), float)
            for m in (list(law.mean), law.gram)
        )
        mean, covariance = mean.ravel(), gram / float(law.precision.xreplace(values))
        inverse = np.linalg.inv(gram)
        u = list(law.variables)
        smooth, singular = [], []
        for node in group:
            integrand = node.integrand.xreplace(
                {s: x for s, x in values.items() if s not in law.bound}
            )
            deltas = sorted(integrand.atoms(sp.DiracDelta), key=str)
            names = [sp.Dummy() for _ in deltas]
            named = sp.expand(integrand.xreplace(dict(zip(deltas, names, strict=True))))
            smooth.append(named.xreplace(dict.fromkeys(names, sp.Integer(0))))
            singular.append(
                [(d.args[0], named.coeff(n)) for d, n in zip(deltas, names, strict=True)]
            )
        x, p = grid(mean, covariance, kinks)
        whitened = inverse @ (x - mean[:, None])
        function = _compile([*u, *law.whitened], smooth)
        totals = [float((p * f).sum()) for f in function(*x, *whitened)]
        for j, parts in enumerate(singular):
            totals[j] += sum(
                _on_kink(k, c, law, mean, covariance, inverse, kinks) for k, c in parts
            )
        result |= {n: sp.Float(t, 17) for n, t in zip(group, totals, strict=True)}
    return result


def _on_kink(kink, coefficient, law, mean, covariance, inverse, kinks) -> float:
    """E[c(u) delta(k)] with k = a u_j + b: the density on the line u_j = -b/a, divided by |a|."""
    (name,) = kink.free_symbols
    u = list(law.variables)
    j, slope = u.index(name), float(kink.diff(name))
    place = -float(kink.xreplace({name: sp.Integer(0)})) / slope
    # ReLU(k) and u_j - place vanish on the line; sides of other kinks are those of the point
    if len(u) == 1:
        x, w = np.array([[place]]), np.ones(1)
    else:
        rest, w = panels(mean[1 - j], np.sqrt(covariance[1 - j, 1 - j]), kinks)
        x = np.full((2, rest.size), place)
        x[1 - j] = rest
    p = w * density(x, mean, covariance) / abs(slope)
    (values,) = _compile([*u, *law.whitened], [coefficient])(*x, *(inverse @ (x - mean[:, None])))
    return float((p * values).sum())


def _compile(arguments, expressions):
    function = sp.lambdify(arguments, expressions, [FUNCTIONS, "numpy"], cse=True)

    def evaluate(*columns):
        return [np.broadcast_to(f, columns[0].shape) for f in function(*columns)]

    return evaluate


def numbers(derived, values: dict, kinks=(0.0,)):
    """A derived object with every expression evaluated."""
    values = {s: sp.Float(float(x), 17) for s, x in values.items()}
    table = expectations(derived.expectations(), values, kinks)
    return derived.map(lambda e: sp.sympify(e).xreplace({**table, **values}).evalf(17))


def risk(
    x: np.ndarray, v: np.ndarray, *, directions, weights, precision, ridge, activation, kinks=(0.0,)
) -> float:
    """The population risk of the two-layer network on the XOR mixture, from its definition.

    x is K x d with K = 1 or 2, directions 2 x d; the loss is log(1 + e^f) - y f, f = v .
    activation(x Y).
    """
    covariance = x @ x.T / precision
    total = ridge / 2 * (np.sum(x**2) + np.sum(v**2))
    for p, label, sign, s in zip(weights, (1, 1, 0, 0), (1, -1, 1, -1), (0, 0, 1, 1), strict=True):
        u, w = grid(x @ (sign * directions[s]), covariance, kinks)
        f = v @ activation(u)
        total += p * float(w @ (np.logaddexp(0.0, f) - label * f))
    return total


def state_values(model, x, v, *, directions, weights, precision, ridge, step) -> dict:
    """Values of all symbols of a two-layer XOR model for vectors of R^d (rows of x and of
    directions).
    """
    s = model.symbols
    gamma, overlap, gram = directions @ directions.T, x @ directions.T, x @ x.T
    perpendicular = x - np.linalg.lstsq(directions.T, x.T)[0].T @ directions
    pairs = (
        (s.overlap, overlap),
        (s.gram, gram),
        (s.gram_perp, perpendicular @ perpendicular.T),
        (s.gram_inverse, np.linalg.inv(gram)),
        (model.mixture.directions_gram, gamma),
    )
    out: dict = {}
    for names, array in pairs:
        out |= {
            names[i, j]: array[i, j]
            for i in range(names.rows)
            for j in range(names.cols)
            if names[i, j].is_Symbol
        }
    out |= dict(zip(s.readout, v, strict=True))
    out |= dict(zip(model.mixture.weights, weights, strict=True))
    return out | {symbols.PRECISION: precision, symbols.RIDGE: ridge, symbols.STEP: step}
