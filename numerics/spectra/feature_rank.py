"""Rank of features: pixels that are never lit, low rank, and samples that repeat others."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from numerics.core.validation import Array, Floats
from numerics.data.sources import Source

# eigenvalues of a Gram matrix this small, relative to the largest and to its size, are rounding
GRAM_ROUNDING = 4 * np.finfo(float).eps
# the smaller side of the features up to which their Gram matrix is formed
MOST_ROWS = 6000


def distinct_samples(source: Source, labels: Array) -> NDArray[np.bool_]:
    """Mark the first of all samples that are equal, label included."""
    seen: set[bytes] = set()
    first = np.zeros(source.samples, dtype=bool)
    for start, block in source.blocks():
        for i, row in enumerate(block, start):
            key = hashlib.blake2b(row.tobytes() + labels[i].tobytes(), digest_size=16).digest()
            first[i] = key not in seen
            seen.add(key)
    return first


def feature_rank(source: Source, chosen: NDArray[np.bool_]) -> int:
    """Rank of the chosen rows of Y, from the smaller of their Gram matrices; an upper bound where
    that is too large to be formed.
    """
    count, d = int(chosen.sum()), source.dimension
    if not count:
        return 0
    if count < d <= MOST_ROWS or (count <= MOST_ROWS < d):
        rows = np.concatenate([block for block in _chosen(source, chosen)]).astype(float)
        gram = rows @ rows.T
    elif d <= MOST_ROWS:
        gram = np.zeros((d, d))
        for block in _chosen(source, chosen):
            gram += block.T.astype(float) @ block
    else:
        lit = np.zeros(d, dtype=bool)
        for block in _chosen(source, chosen):
            lit |= block.any(axis=0)
        return min(count, int(lit.sum()))
    values = np.linalg.eigvalsh(gram)
    return int(np.sum(values > GRAM_ROUNDING * max(count, d) * values[-1])) if values[-1] else 0


def _chosen(source: Source, chosen: NDArray[np.bool_]) -> Iterator[Floats]:
    for start, block in source.blocks():
        yield block[chosen[start : start + len(block)]]
