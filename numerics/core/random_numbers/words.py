"""64 random bits at a time, of two generators of NumPy's: SFC64 and PCG64.

A generator is its state, an array of words: (a, b, c, counter) of SFC64 (Doty-Humphrey), and of
PCG64 (O'Neill 2014, XSL-RR of a linear congruential generator modulo 2^128) the rows (state,
increment), each of a high and a low word.  The number of dimensions of the array tells them apart
while a loop is compiled.  Their streams for a seed are promised by NumPy not to change; a test
compares them.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic, overload, register_jitable
from numpy.typing import NDArray

States = NDArray[np.uint64]

# What is not said is taken over from the first caller that is compiled: fast arithmetic would make
# the last bits of a number depend on that.
compiled = numba.njit(cache=True, nogil=True, error_model="numpy", fastmath=False)

_MULTIPLIER = 0x2360ED051FC65DA44385DF649FCCF645
_HIGH, _LOW = np.uint64(_MULTIPLIER >> 64), np.uint64(_MULTIPLIER & (1 << 64) - 1)
_UNIT = 1.0 / 9007199254740992.0


@intrinsic
def _high_product(typingctx, x, y):  # type: ignore[no-untyped-def]
    """The upper 64 bits of a product of two words."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        wide = ir.IntType(128)
        product = builder.mul(*(builder.zext(each, wide) for each in arguments))
        return builder.trunc(builder.lshr(product, ir.Constant(wide, 64)), ir.IntType(64))

    return types.uint64(types.uint64, types.uint64), generate


@register_jitable
def _sfc64(words):  # type: ignore[no-untyped-def]
    a, b, c, counter = words
    drawn = a + b + counter
    rotated = c << np.uint64(24) | c >> np.uint64(40)
    first, second = b ^ (b >> np.uint64(11)), c + (c << np.uint64(3))
    return drawn, (first, second, rotated + drawn, counter + np.uint64(1))


@register_jitable
def _pcg64(words):  # type: ignore[no-untyped-def]
    high, low, add_high, add_low = words
    carried = _high_product(low, _LOW)  # type: ignore[call-arg,var-annotated]
    high = carried + high * _LOW + low * _HIGH
    low = low * _LOW + add_low
    high += add_high + (np.uint64(1) if low < add_low else np.uint64(0))
    folded, turn = high ^ low, high >> np.uint64(58)
    back = (np.uint64(64) - turn) & np.uint64(63)
    return folded >> turn | folded << back, (high, low, add_high, add_low)


def step(state: States, words: Any) -> Any:
    """64 random bits, and the words after them; of ``state`` only the kind of generator counts.

    For compiled loops, between :func:`load` and :func:`store`: the words stay in registers.
    """
    raise NotImplementedError  # the two versions are below


@overload(step)
def _step(state, words):  # type: ignore[no-untyped-def]
    if state.ndim == 1:
        return lambda state, words: _sfc64(words)
    return lambda state, words: _pcg64(words)


def load(state: States) -> Any:
    """The four words of a state."""
    raise NotImplementedError


@overload(load)
def _load(state):  # type: ignore[no-untyped-def]
    if state.ndim == 1:
        return lambda state: (state[0], state[1], state[2], state[3])
    return lambda state: (state[0, 0], state[0, 1], state[1, 0], state[1, 1])


def store(state: States, words: Any) -> None:
    """Write the words back."""
    raise NotImplementedError


@overload(store)
def _store(state, words):  # type: ignore[no-untyped-def]
    if state.ndim == 1:

        def write(state, words):  # type: ignore[no-untyped-def]
            state[0], state[1], state[2], state[3] = words

    else:

        def write(state, words):  # type: ignore[no-untyped-def]
            state[0, 0], state[0, 1], state[1, 0], state[1, 1] = words

    return write


@compiled
def next_word(state: States) -> np.uint64:
    """64 random bits."""
    word, words = step(state, load(state))
    store(state, words)
    return word


@register_jitable
def unit(word):  # type: ignore[no-untyped-def]
    """A double in [0, 1) of 53 of the bits of a word."""
    # signed words convert to doubles faster, and these are small
    return np.int64(word >> np.uint64(11)) * _UNIT


@compiled
def uniform(state: States) -> float:
    """A double in [0, 1)."""
    return unit(next_word(state))
