"""Normals and exponentials by the ziggurat, as ``numpy.random.Generator`` draws them.

NumPy and Numba reach the bits of a generator through a pointer to a function for every number,
which costs more than the arithmetic; compiled into one loop, normals take a quarter of the time.
Source: Marsaglia & Tsang 2000, "The ziggurat method for generating random variables", with NumPy's
tables.  A test compares every function with NumPy's own stream.
"""

from __future__ import annotations

import math

import numpy as np
from numba.extending import register_jitable
from numba.np.random import _constants as tables

from numerics.core.validation import Array

from .words import States, compiled, load, next_word, step, store, uniform

# The sign of a normal is the bit beside the eight of its layer: a table of both signs needs no
# branch, which would be mispredicted every other time.
_WIDTHS = np.concatenate([tables.wi_double, -tables.wi_double])
# numbers of 52 and 53 bits compare as signed words too, which convert to doubles faster
_INSIDE = tables.ki_double.astype(np.int64)
_HEIGHTS = tables.fi_double.copy()
_TAIL, _INVERSE_TAIL = tables.ziggurat_nor_r, tables.ziggurat_nor_inv_r
_EXPONENTIAL_WIDTHS = tables.we_double.copy()
_EXPONENTIAL_INSIDE = tables.ke_double.astype(np.int64)
_EXPONENTIAL_HEIGHTS = tables.fe_double.copy()
_EXPONENTIAL_TAIL = tables.ziggurat_exp_r
_MASK = np.uint64((1 << 52) - 1)


@register_jitable
def body(word):  # type: ignore[no-untyped-def]
    """The normal of a word, and whether it is inside of its layer: else it is not decided."""
    distance = np.int64(word >> np.uint64(9) & _MASK)
    x = distance * _WIDTHS[np.int64(word & np.uint64(511))]
    return x, distance < _INSIDE[np.int64(word & np.uint64(255))]


@compiled
def fill_normals(state: States, scale: float, out: Array) -> None:
    """Fill ``out``, of one dimension, with independent normals of standard deviation ``scale``."""
    words = load(state)
    for i in range(out.size):
        word, words = step(state, words)
        x, inside = body(word)
        if not inside:  # once in a hundred times
            store(state, words)
            x = _normal_from(state, word)
            words = load(state)
        out[i] = scale * x
    store(state, words)


@compiled
def normal(state: States) -> float:
    """A standard normal."""
    word = next_word(state)
    x, inside = body(word)
    return x if inside else _normal_from(state, word)


@compiled
def _normal_from(state: States, word: np.uint64) -> float:
    """The standard normal that begins with this word."""
    while True:
        layer = np.int64(word & np.uint64(255))
        x, inside = body(word)
        if inside:
            return x
        if layer == 0:
            negative = word >> np.uint64(17) & np.uint64(1)
            while True:
                beyond = -_INVERSE_TAIL * math.log1p(-uniform(state))
                height = -math.log1p(-uniform(state))
                if height + height > beyond * beyond:
                    return -(_TAIL + beyond) if negative else _TAIL + beyond
        low = _HEIGHTS[layer]
        if (_HEIGHTS[layer - 1] - low) * uniform(state) + low < math.exp(-0.5 * x * x):
            return x
        word = next_word(state)


@compiled
def exponential(state: States) -> float:
    """A standard exponential variable."""
    while True:
        word = next_word(state) >> np.uint64(3)
        layer = np.int64(word & np.uint64(255))
        distance = np.int64(word >> np.uint64(8))
        x = distance * _EXPONENTIAL_WIDTHS[layer]
        if distance < _EXPONENTIAL_INSIDE[layer]:
            return x
        if layer == 0:
            return _EXPONENTIAL_TAIL - math.log1p(-uniform(state))
        low = _EXPONENTIAL_HEIGHTS[layer]
        if (_EXPONENTIAL_HEIGHTS[layer - 1] - low) * uniform(state) + low < math.exp(-x):
            return x
