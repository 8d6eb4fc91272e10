"""Ridges, weights and Gram matrices at which claims about fixed points are looked at."""

from __future__ import annotations

import numpy as np
import sympy as sp

from theory import Model, symbols

Values = dict[sp.Symbol, sp.Expr]

# ridges from small to large; of a network as parts of the largest at which the fixed point exists
RIDGES = ((20, 61), (100, 301), (500, 2001))
PARTS = ((15, 26), (35, 46), (55, 66))
# the largest weight over the smallest; the flatter minima of networks are found less closely
SPREAD, SPREAD_OF_NETWORKS = 30, 4


def parameter_draws(model: Model, rng: np.random.Generator) -> list[Values]:
    """Nearly equal weights with a small ridge, then unequal ones with ridges of every size.

    The order of eigenvalues is that of the weights, or depends on the ridge. Three unequal draws
    hold the same weights in some order, in the reverse of it and in one that is rotated: no two
    weights, and no weight and its rank, stand in the same relation in all of them.
    """
    weights = model.mixture.weights
    near = _draw(model, rng, rng.integers(80, 121, len(weights)), n=0)
    if not (weights[0].is_Symbol or model.ridge.is_Symbol or _open_gram(model)):
        return [near]
    n = len(weights)
    spread = SPREAD_OF_NETWORKS if model.readout_size else SPREAD
    steps = spread ** (np.arange(n) / max(n - 1, 1))
    sizes = np.array([max(1, round(x)) for x in 100 * steps * rng.uniform(0.95, 1.05, n)])
    rank = rng.permutation(n)
    ranks = (rank, n - 1 - rank, (rank + 1) % n)
    wide = [
        _draw(model, rng, np.sort(sizes)[order], n=int(size), gram=True)
        for order, size in zip(ranks, rng.permutation(3), strict=True)
    ]
    return [near, *(values for values in wide if _exists(model, values))]


def _open_gram(model: Model) -> bool:
    return bool(model.mixture.directions_gram.free_symbols)


def _draw(
    model: Model, rng: np.random.Generator, sizes: np.ndarray, n: int, gram: bool = False
) -> Values:
    """Weights like sizes, the n-th range of the ridge, squared lengths other than 1 with gram."""
    values: Values = {}
    weights = model.mixture.weights
    if weights[0].is_Symbol:
        total = int(sizes.sum())
        values |= {p: sp.Rational(int(x), total) for p, x in zip(weights, sizes, strict=True)}
    if model.ridge.is_Symbol:
        values[model.ridge] = sp.Rational(int(rng.integers(*RIDGES[n])), 1000)
        if model.readout_size:
            part = sp.Rational(int(rng.integers(*PARTS[n])), 100)
            values[model.ridge] = part * _largest_ridge(model, values)
    matrix = model.mixture.directions_gram
    for i, j in symbols.upper_triangle(model.directions):
        if matrix[i, j].is_Symbol and i == j:
            square = int(rng.integers(60, 181)) if gram else 100
            values[matrix[i, j]] = sp.Rational(square, 100)
        elif matrix[i, j].is_Symbol:
            values[matrix[i, j]] = sp.Rational(int(rng.integers(-20, 21)), 100)
    return values


def _largest_ridge(model: Model, values: Values) -> sp.Expr:
    """Clusters of a network are separated while 2 beta < p_l."""
    return min(sp.sympify(p).xreplace(values) for p in model.mixture.weights) / 2


def _exists(model: Model, values: Values) -> bool:
    if not model.readout_size:
        return True
    return bool(sp.sympify(model.ridge).xreplace(values) < _largest_ridge(model, values))
