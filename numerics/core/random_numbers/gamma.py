"""Gamma variables as ``numpy.random.Generator`` draws them.

Source: Marsaglia & Tsang 2000, "A simple method for generating gamma variables", and for shapes
below 1 the rejection of Ahrens & Dieter 1974, as in NumPy.
"""

from __future__ import annotations

import math

from numerics.core.validation import Array

from .words import States, compiled, load, step, store, uniform, unit
from .ziggurat import body, exponential, normal


@compiled
def gamma(state: States, shape: float) -> float:
    """A gamma variable of scale 1: half a chi-square variable with 2 ``shape`` degrees of freedom;
    0 for shape 0.
    """
    if shape <= 1.0:
        return _small_gamma(state, shape)
    b = shape - 1.0 / 3.0
    c = 1.0 / math.sqrt(9.0 * b)
    while True:
        x = normal(state)
        v = 1.0 + c * x
        while v <= 0.0:
            x = normal(state)
            v = 1.0 + c * x
        v = v * v * v
        u = uniform(state)
        if u < 1.0 - 0.0331 * (x * x) * (x * x):
            return b * v
        # log(0) is -infinity and accepts, as NumPy's does
        if math.log(u) < 0.5 * x * x + b * (1.0 - v + math.log(v)):
            return b * v


@compiled
def fill_gammas(state: States, shape: float, out: Array) -> None:
    """Fill ``out``, of one dimension, with independent gamma variables; zeros for shape <= 0."""
    if shape <= 1.0:
        for i in range(out.size):
            out[i] = _small_gamma(state, shape) if shape > 0.0 else 0.0
        return
    words = load(state)
    centre = shape - 1.0 / 3.0
    slope = 1.0 / math.sqrt(9.0 * centre)
    for i in range(out.size):
        before = words
        word, words = step(state, words)
        x, inside = body(word)
        v = 1.0 + slope * x
        word, words = step(state, words)
        if inside and v > 0.0 and unit(word) < 1.0 - 0.0331 * (x * x) * (x * x):
            out[i] = centre * (v * v * v)
        else:  # once in fifty times: again, from the beginning
            store(state, before)
            out[i] = gamma(state, shape)
            words = load(state)
    store(state, words)


@compiled
def _small_gamma(state: States, shape: float) -> float:
    """A gamma variable with shape <= 1."""
    if shape == 0.0:
        return 0.0
    if shape == 1.0:
        return exponential(state)
    while True:
        u = uniform(state)
        v = exponential(state)
        if u <= 1.0 - shape:
            x = u ** (1.0 / shape)
            if x <= v:
                return x
        else:
            y = -math.log((1.0 - u) / shape)
            x = (1.0 - shape + shape * y) ** (1.0 / shape)
            if x <= v + y:
                return x
