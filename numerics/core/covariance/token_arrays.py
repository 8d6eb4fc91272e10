"""The law of the fields of samples that hold several tokens, from that of one of them."""

from __future__ import annotations

import numpy as np

from numerics.core.validation import Array
from theory import Model


def over_tokens(model: Model, matrices: Array) -> Array:
    """Matrices (..., C, C) with a block for every token, (..., P C, P C): I_P x Q; the same arrays
    where a sample is one feature.
    """
    return repeated(matrices, model.tokens)


def repeated(matrices: Array, times: int) -> Array:
    """Matrices (..., n, k) as often on the diagonal of larger ones, (..., times n, times k).

    Examples
    --------
    >>> repeated(np.array([[1, 2]]), 2)
    array([[1, 2, 0, 0],
           [0, 0, 1, 2]])
    """
    if times == 1:
        return matrices
    n, k = matrices.shape[-2:]
    out = np.zeros((*matrices.shape[:-2], times * n, times * k), dtype=matrices.dtype)
    for p in range(times):
        out[..., p * n : (p + 1) * n, p * k : (p + 1) * k] = matrices
    return out


def means_of_components(model: Model, means: Array) -> Array:
    """Means (..., n P, C) with a row of all fields for every component, (..., n, P C)."""
    if model.tokens == 1:
        return means
    return means.reshape(*means.shape[:-2], model.components, model.tokens * means.shape[-1])
