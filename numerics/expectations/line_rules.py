"""Rules on the line to many digits: trapezoidal for smooth integrands, panels between kinks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any

import mpmath
import numpy as np

from .high_precision import GUARD, Row

# longest panel, in standard deviations
PANEL = 8.5


def edge_of(digits: int) -> Any:
    """Beyond it the normal density is below the last digit, with room for growing integrands."""
    return mpmath.sqrt(2 * mpmath.log(10) * (digits + GUARD))


def trapezoid(
    at: Callable[[Sequence[Any]], list[Any]], step: float, digits: int, count: int
) -> list[Any]:
    """The trapezoidal rule on the line, as far as the density matters."""
    total = [mpmath.mpf(0)] * count
    for z, weight in _trapezoid_nodes(step, digits, mpmath.mp.prec):
        _accumulate(total, weight, at((z,)))
    return total


@lru_cache(maxsize=32)
def _trapezoid_nodes(step: float, digits: int, precision: int) -> list[tuple[Any, Any]]:
    """Nodes and weights at a precision of mpmath, in bits."""
    h, edge = mpmath.mpf(step), edge_of(digits)
    limit = int(edge / h) + 1
    half = [(h * i, h * mpmath.npdf(h * i)) for i in range(limit + 1)]
    return [(-z, weight) for z, weight in half[:0:-1]] + half


def panels(
    at: Callable[[Sequence[Any]], list[Any]],
    kinks: list[tuple[Any, Row]],
    nodes: int,
    digits: int,
    count: int,
) -> list[Any]:
    """Gauss-Legendre between kinks, each panel cut further so that the density is a polynomial to
    it.
    """
    edge = edge_of(digits)
    total = [mpmath.mpf(0)] * count
    cuts = [-offset / slope for offset, (slope,) in kinks if slope != 0]
    for z, weight in _panel_nodes(cuts, edge, nodes):
        _accumulate(total, weight, at((z,)))
    return total


def _panel_nodes(cuts: list[Any], edge: Any, nodes: int) -> Iterator[tuple[Any, Any]]:
    inside = sorted({c for c in cuts if -edge < c < edge})
    points, weights = _legendre(nodes, mpmath.mp.dps)
    ends = [-edge]
    for high in [*inside, edge]:
        low, parts = ends[-1], int((high - ends[-1]) / PANEL) + 1
        ends += [low + (high - low) * i / parts for i in range(1, parts + 1)]
    for low, high in pairwise(ends):
        middle, half = (low + high) / 2, (high - low) / 2
        for x, w in zip(points, weights, strict=True):
            z = middle + half * x
            yield z, half * w * mpmath.npdf(z)


@lru_cache(maxsize=32)
def _legendre(nodes: int, digits: int) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """Nodes and weights on [-1, 1]: the double-precision nodes, improved by Newton's method in
    fixed-point integers.
    """
    start, _ = np.polynomial.legendre.leggauss(nodes)
    bits = int((digits + 10) * 3.33)
    one = 1 << bits

    def values(x: int) -> tuple[int, int]:
        """P_n(x) and its derivative, times 2**bits."""
        before, value = one, x
        for n in range(2, nodes + 1):
            before, value = value, ((2 * n - 1) * (x * value >> bits) - (n - 1) * before) // n
        return value, nodes * (((x * value) >> bits) - before) * one // ((x * x >> bits) - one)

    points, weights = [], []
    for x0 in start[start >= 0]:
        x = int(mpmath.mpf(float(x0)) * one)
        correct = 14
        while correct < digits + 8:
            value, slope = values(x)
            x -= value * one // slope
            correct = 2 * correct - 2
        _, slope = values(x)
        point, tangent = mpmath.mpf(x) / one, mpmath.mpf(slope) / one
        weight = 2 / ((1 - point * point) * tangent**2)
        points.append(point)
        weights.append(weight)
        if x0 > 1e-15:
            points.append(-point)
            weights.append(weight)
    return tuple(points), tuple(weights)


def _accumulate(total: list[Any], weight: Any, values: list[Any]) -> None:
    for j, value in enumerate(values):
        total[j] += weight * value
