"""Weights at nodes in groups, each of which meets a coupling of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from numerics.core.packed_symmetric import Array
from numerics.proportional.nodes.node_weights import NodeWeights


@dataclass(frozen=True)
class GroupedWeights:
    """The weights of every group, one behind the other.

    Attributes
    ----------
    parts : tuple of NodeWeights
    """

    parts: tuple[NodeWeights, ...]

    @classmethod
    def of(cls, weights: NodeWeights, slices: Sequence[slice]) -> GroupedWeights:
        """Weights cut into groups."""
        if len(slices) == 1:
            return cls((weights,))
        return cls(tuple(weights.part(nodes) for nodes in slices))

    def propagate(self, couplings: Array) -> Array:
        """The packed (I + K Sigma)^-1 K at every node, from a Sigma a group."""
        found = [p.propagate(c) for p, c in zip(self.parts, couplings, strict=True)]
        return found[0] if len(found) == 1 else np.concatenate(found)

    def congruent(self, b: Array) -> GroupedWeights:
        """B^T K B at every node."""
        return GroupedWeights(tuple(part.congruent(b) for part in self.parts))

    def determinants(self, couplings: Array) -> Array:
        """det(I + Sigma K) at every node."""
        found = [p.determinants(c) for p, c in zip(self.parts, couplings, strict=True)]
        return found[0] if len(found) == 1 else np.concatenate(found)

    def margin(self, couplings: Array) -> float:
        """Least singular value of I + Sigma K over all nodes."""
        return min(p.margin(c) for p, c in zip(self.parts, couplings, strict=True))


def slices_of(group: NDArray[np.intp] | None, groups: int) -> list[slice]:
    """Where the nodes of every group stand, from the group of each node, in increasing order.

    Examples
    --------
    >>> slices_of(np.array([0, 0, 2]), 3)
    [slice(0, 2, None), slice(2, 2, None), slice(2, 3, None)]
    """
    if group is None or groups == 1:
        return [slice(None)]
    ends = np.searchsorted(group, np.arange(groups + 1)).tolist()
    return [slice(low, high) for low, high in pairwise(ends)]
