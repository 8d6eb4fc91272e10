"""A rule of another family on the line, beside Gauss-Hermite ones that may miss a turn together."""

from __future__ import annotations

import numpy as np

from numerics.core.validation import Array
from numerics.expectations.quadrature import Rule

from .weight_law import WeightNodes

# first panels: fine where the normal density is, coarse out to where growing weights count
ENDS = np.concatenate([np.arange(-16, -6, 2.0), np.arange(-6, 6, 0.5), np.arange(6, 17, 2.0)])
NODES = 12
# the last two Legendre coefficients of a resolved panel, relative to the largest weight, times the
# probability of the panel
RESOLVED = 1e-9
ROUNDS, MOST_PANELS = 20, 250


def line_witness(nodes: WeightNodes) -> Rule:
    """Gauss-Legendre panels in the normal coordinate, halved until the weights are polynomials."""
    points, weights = np.polynomial.legendre.leggauss(NODES)
    # coefficients of the last two Legendre polynomials from the values at the nodes
    orders = np.arange(NODES)
    basis = np.polynomial.legendre.legvander(points, NODES - 1)
    last = ((2 * orders + 1) / 2 * basis * weights[:, None])[:, -2:]
    done: list[tuple[float, float]] = []
    low, high = ENDS[:-1], ENDS[1:]
    size = 0.0
    for _ in range(ROUNDS):
        z = (low + high)[:, None] / 2 + (high - low)[:, None] / 2 * points
        values = _weights_at(nodes, z).reshape(-1, len(low), NODES)
        size = max(size, float(np.abs(values).max(initial=0.0)))
        rough = np.abs(values @ last).max(axis=(0, 2))
        nearest = np.where(low * high < 0, 0.0, np.minimum(np.abs(low), np.abs(high)))
        wrong = rough * (high - low) * np.exp(-(nearest**2) / 2) > RESOLVED * size
        if len(done) + 2 * len(low) > MOST_PANELS:
            wrong[:] = False
        done += list(zip(low[~wrong], high[~wrong], strict=True))
        middle = (low + high) / 2
        low, high = (
            np.concatenate([low[wrong], middle[wrong]]),
            np.concatenate([middle[wrong], high[wrong]]),
        )
        if not low.size:
            break
    done += list(zip(low, high, strict=True))
    ends = np.array(sorted(done))
    half = np.diff(ends, axis=1) / 2
    z = ends.mean(axis=1)[:, None] + half * points
    density = half * weights * np.exp(-(z**2) / 2)
    return Rule("gauss-legendre", z.reshape(1, -1, 1), (density / density.sum()).ravel(), NODES)


def _weights_at(nodes: WeightNodes, z: Array) -> Array:
    """All entries of the weights of every component, shape (entries, nodes)."""
    flat = z.reshape(1, -1, 1)
    law = nodes.law(Rule("gauss-legendre", flat, np.full(z.size, 1 / z.size), NODES))
    entries = law.weight.reshape(-1, z.size, law.weight[0].size)
    return np.moveaxis(entries, 2, 1).reshape(-1, z.size)
