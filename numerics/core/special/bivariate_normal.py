"""The bivariate normal probability, for generated code.

Source: A. Genz, Statistics and Computing 14 (2004) 251 (section 2.2 and the program BVND): an
integral over the correlation by Gauss-Legendre, and near correlation 1 an expansion whose remainder
is integrated.  The error is about 1e-15, absolute: in the far tails, where both bounds are below
-10, the relative error grows, up to some percent at -25.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numba
import numpy as np

from numerics.core.validation import Array

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(20)
# from here on the integrand over the correlation is too steep for the nodes
NEAR_ONE = 0.925
# exp of less is 0
LEAST_EXPONENT = -740.0
TWO_PI = 2 * math.pi


@numba.njit(cache=True, nogil=True, error_model="numpy")
def normal_probability(h: float) -> float:
    """P(X < h) of a standard normal variable."""
    return 0.5 * math.erfc(-h / math.sqrt(2.0))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _remainder(h: float, k: float, product: float, square: float) -> float:
    """The integral from the correlation to 1, for 1 - r^2 = square, by Genz's expansion."""
    root = math.sqrt(square)
    gap = (h - k) ** 2
    c, d = (4 - product) / 8, (12 - product) / 16
    total = 0.0
    exponent = -(gap / square + product) / 2
    if exponent > LEAST_EXPONENT:
        series = 1 - c * (gap - square) * (1 - d * gap / 5) / 3 + c * d * square**2 / 5
        total = root * math.exp(exponent) * series
    if product > LEAST_EXPONENT:
        distance = math.sqrt(gap)
        tail = math.sqrt(TWO_PI) * normal_probability(-distance / root) * distance
        total -= math.exp(-product / 2) * tail * (1 - c * gap * (1 - d * gap / 5) / 3)
    for i in range(_NODES.size):
        x = (root / 2 * (_NODES[i] + 1)) ** 2
        exponent = -(gap / x + product) / 2
        if exponent > LEAST_EXPONENT:
            s = math.sqrt(1 - x)
            exact = math.exp(-product * x / (2 * (1 + s) ** 2)) / s
            known = 1 + c * x * (1 + d * x)
            total += root / 2 * _WEIGHTS[i] * math.exp(exponent) * (exact - known)
    return total / TWO_PI


@numba.njit(cache=True, nogil=True, error_model="numpy")
def bivariate_normal(h: float, k: float, r: float) -> float:
    """P(X < h, Y < k) of standard normal variables with correlation r in [-1, 1]."""
    if abs(r) < NEAR_ONE:
        angle, total = math.asin(r), 0.0
        for i in range(_NODES.size):
            s = math.sin(angle * (_NODES[i] + 1) / 2)
            total += _WEIGHTS[i] * math.exp((s * h * k - (h * h + k * k) / 2) / (1 - s * s))
        return normal_probability(h) * normal_probability(k) + total * angle / (2 * TWO_PI)
    # in the tails beyond (h, k), as Genz writes it; a negative correlation mirrors k
    a, b = -h, -k if r > 0 else k
    square = max((1 - r) * (1 + r), 0.0)
    rest = _remainder(a, b, a * b, square) if square > 0 else 0.0
    if r > 0:
        return normal_probability(-max(a, b)) - rest
    overlap = 0.0
    if b > a:
        low, high = (a, b) if a < 0 else (-b, -a)  # the tail that keeps its digits
        overlap = normal_probability(high) - normal_probability(low)
    return overlap + rest


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _fill(arguments: Array, out: Array) -> None:
    for i in range(out.size):
        h, k, r = arguments[:, i]
        out[i] = bivariate_normal(h, k, r)


def bivariate_normal_array(h: Any, k: Any, r: Any) -> Any:
    """The same for arrays that broadcast, and for numbers that have a rule of their own."""
    return over_arrays("bivariate_normal", _fill, h, k, r)


def over_arrays(name: str, fill: Callable[[Array, Array], None], *arguments: Any) -> Any:
    """A probability of arrays that broadcast, by a loop that fills; or by the rule of this name
    that a number has.
    """
    for x in arguments:
        rule = getattr(x, name, None)
        if rule is not None:
            return rule(*arguments)
    arrays = np.broadcast_arrays(*(np.asarray(x, dtype=float) for x in arguments))
    out = np.empty(arrays[0].size)
    fill(np.array([x.ravel() for x in arrays]), out)
    return out.reshape(arrays[0].shape)
