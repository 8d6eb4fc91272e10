"""Generators of many replicas at once: the states that NumPy would give them, one array for all.

A replica draws from SFC64, seeded by the i-th child of a SeedSequence. To make these objects takes
longer than many a short run; here is the same arithmetic on arrays. Both algorithms are fixed by
NumPy's promise that streams of a seed do not change (O'Neill 2015, "Developing a seed_seq
alternative"; numpy.random.SeedSequence and SFC64).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint32]
States = NDArray[np.uint64]

# words of the pool of a SeedSequence, and its constants
_POOL = 4
_INIT_A, _MULT_A = 0x43B0D7E5, 0x931E8875
_INIT_B, _MULT_B = 0x8B51F9DD, 0x58F38DED
_MIX_LEFT, _MIX_RIGHT = np.uint32(0xCA01F9DD), np.uint32(0x4973F715)
_SHIFT = np.uint32(16)
# rounds of SFC64 that are thrown away after seeding
_ROUNDS = 12


class _Hash:
    """Multiplication and shift by a constant that changes with every use."""

    def __init__(self, start: int, factor: int) -> None:
        self._constant, self._factor = start, factor

    def __call__(self, words: Words) -> Words:
        words = words ^ np.uint32(self._constant)
        self._constant = self._constant * self._factor & 0xFFFFFFFF
        words = words * np.uint32(self._constant)
        return words ^ (words >> _SHIFT)


def _mix(x: Words, y: Words) -> Words:
    mixed = x * _MIX_LEFT - y * _MIX_RIGHT
    return mixed ^ (mixed >> _SHIFT)


def _words(number: int) -> list[int]:
    """The words of 32 bits of an integer >= 0, the lowest first."""
    return [number >> 32 * i & 0xFFFFFFFF for i in range(max(1, -(-number.bit_length() // 32)))]


def _child_pool(seed: int, first: int, count: int) -> list[Words]:
    """The pools of the children ``first`` .. ``first + count`` of a SeedSequence."""
    own = _words(seed)
    own += [0] * (_POOL - len(own))
    entropy = [np.full(count, word, np.uint32) for word in own]
    entropy.append(np.arange(first, first + count, dtype=np.uint32))
    hashed = _Hash(_INIT_A, _MULT_A)
    pool = [hashed(words) for words in entropy[:_POOL]]
    for source in range(_POOL):
        for target in range(_POOL):
            if source != target:
                pool[target] = _mix(pool[target], hashed(pool[source]))
    for words in entropy[_POOL:]:
        for target in range(_POOL):
            pool[target] = _mix(pool[target], hashed(words))
    return pool


def sfc64_states(seed: int, first: int, count: int) -> States:
    """States of ``SFC64(SeedSequence(seed, spawn_key=(i,)))``, i = first .. first + count.

    Parameters
    ----------
    seed : int
    first, count : int
        Below 2^32.

    Returns
    -------
    array of uint64, shape (count, 4)

    Examples
    --------
    >>> child = np.random.SeedSequence(7).spawn(3)[2]
    >>> state = np.random.SFC64(child).state["state"]["state"]
    >>> bool((sfc64_states(7, 2, 1) == state).all())
    True
    """
    pool, hashed = _child_pool(seed, first, count), _Hash(_INIT_B, _MULT_B)
    words = [hashed(pool[i % _POOL]).astype(np.uint64) for i in range(6)]
    a, b, c = (words[2 * i] | words[2 * i + 1] << np.uint64(32) for i in range(3))
    counter = np.ones(count, np.uint64)
    for _ in range(_ROUNDS):
        drawn = a + b + counter
        counter = counter + np.uint64(1)
        a, b = b ^ (b >> np.uint64(11)), c + (c << np.uint64(3))
        c = (c << np.uint64(24) | c >> np.uint64(40)) + drawn
    return np.stack([a, b, c, counter], axis=1)
