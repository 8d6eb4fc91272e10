r"""Sums over the tokens of a sample, of packed matrices, as the equation for S takes them.

Rows of K are those of all units at the first token, then at the second, and so on; S meets the
blocks of equal tokens, Tr_P.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from numerics.core.packed_symmetric import Array, positions, triangle


@lru_cache(maxsize=32)
def _blocks(size: int, tokens: int) -> NDArray[np.intp]:
    """Where the packed blocks of all tokens stand in the packed whole, shape (P, n)."""
    rows, columns = triangle(size)
    at = positions(size * tokens)
    return np.array([at[p * size + rows, p * size + columns] for p in range(tokens)])


def over_tokens(packed: Array, size: int, tokens: int) -> Array:
    """Sum of the diagonal blocks, (..., n), of packed matrices with a block per token.

    Examples
    --------
    >>> over_tokens(np.array([1.0, 9.0, 2.0]), 1, 2)
    array([3.])
    """
    if tokens == 1:
        return packed
    return np.asarray(packed[..., _blocks(size, tokens)].sum(axis=-2))


def operators_over_tokens(operators: Array, size: int, tokens: int) -> Array:
    """The operators X -> sum of the diagonal blocks of O(I_P x X), (..., n, n), from O on packed
    matrices with a block per token.

    Examples
    --------
    >>> operators_over_tokens(np.arange(9.0).reshape(3, 3), 1, 2)
    array([[16.]])
    """
    if tokens == 1:
        return operators
    blocks = _blocks(size, tokens)
    rows = operators[..., blocks, :].sum(axis=-3)
    return np.asarray(rows[..., blocks].sum(axis=-2))
