"""Nodes of several replicates and labels at once, as NumPy sums over them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from numerics.core.validation import Array


@dataclass(frozen=True)
class NodeBlock:
    """Nodes of some pairs of a replicate and a label, one pair after the other.

    Labels, readouts and laws have a row for every pair; ``u``, ``white`` (C, pairs nodes).
    """

    labels: Array
    readouts: Array
    u: Array
    white: Array
    weights: Array
    forms: Array
    offsets: Array
    regression: Array
    kink_regression: Array
    whitened_regression: Array

    def over(self, values: Array) -> Array:
        """The number of a pair at every node of it, along the last axis."""
        return np.repeat(values, self.weights.size, axis=-1)

    def apart(self, values: Array) -> Array:
        """(row, node) as (pair, row, node of the pair)."""
        return values.reshape(len(values), len(self.labels), -1).swapaxes(0, 1)

    def sums(self, values: Array) -> Array:
        """Sums over the nodes of every pair: (pair, row)."""
        return np.asarray((values.reshape(len(values), len(self.labels), -1) @ self.weights).T)

    @cached_property
    def label(self) -> Array:
        return self.over(self.labels)

    @cached_property
    def readout(self) -> Array:
        return self.over(self.readouts.T)

    @cached_property
    def kinks(self) -> Array:
        """k_j at every node."""
        products = self.forms @ self.apart(self.u)
        return products.swapaxes(0, 1).reshape(-1, self.u.shape[1]) + self.over(self.offsets.T)
