"""The law of the fields of samples that hold several tokens, from that of one of them."""

from __future__ import annotations

import numpy as np

from numerics.core.validation import Array
from theory import Model


def over_tokens(model: Model, matrices: Array) -> Array:
    """Matrices (..., C, C) with a block for every token, (..., P C, P C): I_P x Q; the same arrays
    where a sample is one feature.
    """
    tokens, size = model.tokens, matrices.shape[-1]
    if tokens == 1:
        return matrices
    out = np.zeros((*matrices.shape[:-2], tokens * size, tokens * size))
    for p in range(tokens):
        rows = slice(p * size, (p + 1) * size)
        out[..., rows, rows] = matrices
    return out


def means_of_components(model: Model, means: Array) -> Array:
    """Means (..., n P, C) with a row of all fields for every component, (..., n, P C)."""
    if model.tokens == 1:
        return means
    return means.reshape(*means.shape[:-2], model.components, model.tokens * means.shape[-1])
