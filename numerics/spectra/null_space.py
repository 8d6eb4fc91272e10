"""The exact null space of an empirical matrix: what its weights and its number of samples leave at
zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from numerics.core.validation import Array
from numerics.data.one_pass import row_blocks

from .feature_rank import distinct_samples, feature_rank
from .operators import SecondMoment

# weights below this share of the largest are zero
ZERO_WEIGHT = 1e-12
# blocks up to which all subsets of them are looked at
MOST_SUBSETS = 6
BLOCK_SAMPLES = 2**14
# column spaces of weights up to which samples are counted by them
MOST_SPACES = 64


@dataclass(frozen=True)
class NullSpace:
    r"""What is known of the rank of :math:`\sum_iD_i\otimes Y_iY_i^T` (without the shift).

    Attributes
    ----------
    rank : int
        Upper bound, which features in general position within the space that they span attain.
    size : int
    kernel : array, shape (n, k)
        Orthonormal rows that span the common null space of all D_i.
    """

    rank: int
    size: int
    kernel: Array

    @property
    def mass(self) -> float:
        """Share of eigenvalues that are exactly zero (or the shift)."""
        return 1 - self.rank / self.size


def null_space(operator: SecondMoment, labels: Array | None = None) -> NullSpace:
    r"""Bound the rank through the weights.

    .. math:: \mathrm{rank} \le \min_W\Big(r\,|W| + \sum_i\mathrm{rank}\big((D_i)_{W^cW^c}\big)\Big)

    over sets W of blocks: rows in W can have r dimensions each, r the rank of the features, and a
    sample adds the rank of its weight on the others, once if it is repeated; samples whose weights
    have one column space (ReLU units that are active together) add at most r times its dimension.
    Where all D_i share a null space (those of a softmax loss do: its rows sum to zero; those of a
    unit that is never active) it is at most r times what the null space leaves too.  Zero weights
    of samples (ReLU) and few samples are counted alike.

    With the samples' ``labels`` features are looked at, which costs as much as their Gram matrix;
    without them they count as in general position.
    """
    k, d, samples = operator.blocks, operator.source.dimension, operator.source.samples
    size = k * d
    if operator.left.size:
        # sums of samples' gradients with the ridge in them: one rank each
        return NullSpace(min(size, samples), size, np.zeros((0, k)))
    kernel = _common_kernel(operator)
    room = k - len(kernel)
    # a weight of zero takes its sample out; a repeated sample only repeats its columns
    chosen = np.any([operator.weight(a, b) != 0 for a in range(k) for b in range(a, k)], axis=0)
    span = d
    if labels is not None:
        if k > 1:
            chosen &= distinct_samples(operator.source, labels)
        span = feature_rank(operator.source, chosen)
    if not room or not span:
        return NullSpace(0, size, kernel)
    subsets = [()] if k > MOST_SUBSETS else [s for n in range(k) for s in combinations(range(k), n)]
    rank = room * span
    if k == 1:  # what the samples of nonzero weight span is all of it
        return NullSpace(min(rank, int(chosen.sum())), size, kernel)
    for subset in subsets:
        rest = [a for a in range(k) if a not in subset]
        rank = min(
            rank,
            span * len(subset)
            + _total_rank(operator, rest, room, rank - span * len(subset), span, chosen),
        )
    return NullSpace(rank, size, kernel)


def _common_kernel(operator: SecondMoment) -> Array:
    k = operator.blocks
    columns = np.array([[operator.weight(a, b) for b in range(k)] for a in range(k)])
    squares = np.einsum("abi,cbi->ac", columns, columns)
    values, vectors = np.linalg.eigh(squares)
    largest = np.abs(columns).max(initial=0.0)
    if largest == 0:
        return np.eye(k)
    # the sum of squares finds candidates, every single weight confirms
    candidates = vectors[:, values < 1e-10 * values[-1]].T
    kept = [
        n
        for n in candidates
        if np.abs(np.tensordot(n, columns, (0, 0))).max() <= ZERO_WEIGHT * largest
    ]
    return np.array(kept).reshape(-1, k)


def _total_rank(
    operator: SecondMoment,
    rows: list[int],
    most: int,
    enough: int,
    span: int,
    chosen: NDArray[np.bool_],
) -> int:
    """Sum over chosen samples of the rank of D_i on ``rows``, no more than ``span`` times it for
    samples of one column space.

    No sample has more than ``most``: where D_i is small by cancellation (a confident softmax), its
    rounding errors are not small against it, and would count as rank.  At least ``enough`` once the
    sum of all ranks reaches that and there are too many column spaces to be told apart.
    """
    total, groups = 0, dict[bytes, list[int]]()
    for part in row_blocks(operator.source.samples, BLOCK_SAMPLES):
        weights = [[operator.weight(a, b)[part][chosen[part]] for b in rows] for a in rows]
        small = np.array(weights).transpose(2, 0, 1)
        values, vectors = np.linalg.eigh(small)
        values = np.abs(values)
        kept = values > 1e-14 * np.maximum(values.max(axis=1, keepdims=True), np.finfo(float).tiny)
        total += int(np.minimum(kept.sum(axis=1), most).sum())
        if len(groups) <= MOST_SPACES:
            # the projection onto the column space tells spaces apart
            spaces = np.round(np.einsum("iaj,ij,ibj->iab", vectors, kept, vectors), 6) + 0.0
            found, counts = np.unique(spaces.reshape(len(spaces), -1), axis=0, return_counts=True)
            for space, count in zip(found[: MOST_SPACES + 1], counts, strict=False):
                rank = min(round(space.reshape(len(rows), -1).trace()), most)
                groups.setdefault(space.tobytes(), [rank, 0])[1] += int(count)
        elif total >= enough:
            break
    if len(groups) > MOST_SPACES:
        return total
    return sum(rank * min(span, count) for rank, count in groups.values())
