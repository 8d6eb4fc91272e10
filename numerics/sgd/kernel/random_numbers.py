"""Random numbers of SFC64 for the compiled kernels: NumPy's streams, bit for bit, drawn in place.

A generator is its state: an array of four words, (a, b, c, counter).  NumPy and Numba reach theirs
through a pointer to a function for every number, which costs more than the arithmetic; compiled
into the loop that uses them, normals take less than half of the time.  The algorithms are those of
``numpy.random.Generator``, whose streams do not change: SFC64 (Doty-Humphrey), normals and
exponentials by the ziggurat (Marsaglia & Tsang 2000, "The ziggurat method for generating random
variables"), gamma variables by Marsaglia & Tsang 2000, "A simple method for generating gamma
variables".  A test compares every function with NumPy's own stream.
"""

from __future__ import annotations

import math

import numba
import numpy as np
from numba.np.random import _constants as tables
from numpy.typing import NDArray

from numerics.core.validation import Array

States = NDArray[np.uint64]

# The sign of a normal is the bit beside the eight of its layer: a table of both signs needs no
# branch, which would be mispredicted every other time.
_WIDTHS = np.concatenate([tables.wi_double, -tables.wi_double])
# the comparisons of 52 and 53 bits hold for signed words too, which convert to doubles faster
_INSIDE = tables.ki_double.astype(np.int64)
_HEIGHTS = tables.fi_double.copy()
_TAIL, _INVERSE_TAIL = tables.ziggurat_nor_r, tables.ziggurat_nor_inv_r
_EXPONENTIAL_WIDTHS = tables.we_double.copy()
_EXPONENTIAL_INSIDE = tables.ke_double.astype(np.int64)
_EXPONENTIAL_HEIGHTS = tables.fe_double.copy()
_EXPONENTIAL_TAIL = tables.ziggurat_exp_r
_UNIT = 1.0 / 9007199254740992.0
_OF_NORMAL = np.uint64((1 << 52) - 1)


@numba.njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _step(  # type: ignore[no-untyped-def]
    a, b, c, counter
):
    """64 random bits, and the state after them."""
    word = a + b + counter
    rotated = c << np.uint64(24) | c >> np.uint64(40)
    return (
        word,
        b ^ (b >> np.uint64(11)),
        c + (c << np.uint64(3)),
        rotated + word,
        counter + np.uint64(1),
    )


@numba.njit(cache=True, nogil=True, error_model="numpy")
def next_word(state: States) -> np.uint64:
    """64 random bits."""
    word, state[0], state[1], state[2], state[3] = _step(state[0], state[1], state[2], state[3])
    return word


@numba.njit(cache=True, nogil=True, error_model="numpy")
def uniform(state: States) -> float:
    """A double in [0, 1)."""
    return np.int64(next_word(state) >> np.uint64(11)) * _UNIT


@numba.njit(cache=True, nogil=True, error_model="numpy")
def fill_normals(state: States, scale: float, out: Array) -> None:
    """Fill ``out``, of one dimension, with independent normals of standard deviation ``scale``."""
    a, b, c, counter = state
    for i in range(out.size):
        word, a, b, c, counter = _step(a, b, c, counter)
        distance = np.int64(word >> np.uint64(9) & _OF_NORMAL)
        x = distance * _WIDTHS[np.int64(word & np.uint64(511))]
        if distance >= _INSIDE[np.int64(word & np.uint64(255))]:
            state[0], state[1], state[2], state[3] = a, b, c, counter
            x = _normal_from(state, word)
            a, b, c, counter = state
        out[i] = scale * x
    state[0], state[1], state[2], state[3] = a, b, c, counter


@numba.njit(cache=True, nogil=True, error_model="numpy")
def normal(state: States) -> float:
    """A standard normal."""
    word = next_word(state)
    distance = np.int64(word >> np.uint64(9) & _OF_NORMAL)
    if distance < _INSIDE[np.int64(word & np.uint64(255))]:
        return distance * _WIDTHS[np.int64(word & np.uint64(511))]
    return _normal_from(state, word)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _normal_from(state: States, word: np.uint64) -> float:
    """The standard normal that begins with this word."""
    while True:
        layer = np.int64(word & np.uint64(255))
        distance = np.int64(word >> np.uint64(9) & _OF_NORMAL)
        x = distance * _WIDTHS[np.int64(word & np.uint64(511))]
        if distance < _INSIDE[layer]:
            return x
        if layer == 0:
            negative = distance >> 8 & 1
            while True:
                beyond = -_INVERSE_TAIL * math.log1p(-uniform(state))
                height = -math.log1p(-uniform(state))
                if height + height > beyond * beyond:
                    return -(_TAIL + beyond) if negative else _TAIL + beyond
        low = _HEIGHTS[layer]
        if (_HEIGHTS[layer - 1] - low) * uniform(state) + low < math.exp(-0.5 * x * x):
            return x
        word = next_word(state)


@numba.njit(cache=True, nogil=True, error_model="numpy")
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


@numba.njit(cache=True, nogil=True, error_model="numpy")
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


@numba.njit(cache=True, nogil=True, error_model="numpy")
def fill_gammas(state: States, shape: float, out: Array) -> None:
    """Fill ``out``, of one dimension, with independent gamma variables; zeros for shape <= 0."""
    if shape <= 1.0:
        for i in range(out.size):
            out[i] = _small_gamma(state, shape) if shape > 0.0 else 0.0
        return
    p, q, r, n = state
    centre = shape - 1.0 / 3.0
    slope = 1.0 / math.sqrt(9.0 * centre)
    for i in range(out.size):
        before = p, q, r, n
        word, p, q, r, n = _step(p, q, r, n)
        distance = np.int64(word >> np.uint64(9) & _OF_NORMAL)
        x = distance * _WIDTHS[np.int64(word & np.uint64(511))]
        plain = distance < _INSIDE[np.int64(word & np.uint64(255))]
        v = 1.0 + slope * x
        word, p, q, r, n = _step(p, q, r, n)
        u = np.int64(word >> np.uint64(11)) * _UNIT
        if plain and v > 0.0 and u < 1.0 - 0.0331 * (x * x) * (x * x):
            out[i] = centre * (v * v * v)
        else:  # once in fifty times: again, from the beginning
            state[0], state[1], state[2], state[3] = before
            out[i] = gamma(state, shape)
            p, q, r, n = state
    state[0], state[1], state[2], state[3] = p, q, r, n


@numba.njit(cache=True, nogil=True, error_model="numpy")
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
