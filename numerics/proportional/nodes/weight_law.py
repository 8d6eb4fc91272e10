"""The law of a sample's weight K and of its coordinates w, as a weighted set of nodes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from numerics.core.geometry import SpanBasis
from numerics.core.packed_symmetric import pack, triangle, unpack
from numerics.core.validation import Array
from numerics.proportional.covariance.noise_covariances import ISOTROPIC, NoiseCovariances

# a law of at most as many weights is taken as discrete
ATOMS = 20


@dataclass(frozen=True)
class WeightLaw:
    """Nodes n with probabilities q_n.

    Attributes
    ----------
    probability : array, shape (N,)
        Sum 1, or less when rare weights are left out: the rest has weight 0.
    weight : array, shape (N, p, p)
        K_n, symmetric.
    noisy : int
        k: the first P k rows multiply the features, the others are readout parameters.
    place : array, shape (N, P rank + 1)
        E[(w, 1) | n].
    free : array, shape (G, P rank + 1, P rank + 1)
        Covariance of (w, 1) given a node, of every group: of the coordinates that u does not see.
    precision : float
        lambda: the other coordinates of Y have variance 1 / lambda, times that of their band.
    basis : SpanBasis
        L.
    beside : array, shape (n, p, p)
        K at further points of the law's support, rare ones among them: of no probability, but no
        pole of the resolvent lies between a node and one of these.
    lost : array, shape (N,), optional
        Rounding of K_n, summed over its entries.
    covariances : NoiseCovariances
        Bands, and the variances in them of every group of nodes.
    group, group_beside : int array, shapes (N,) and (n,), optional
        The group of every node, in increasing order; all are of one where left out.
    tokens : int
        P features a sample.
    """

    probability: Array
    weight: Array
    noisy: int
    place: Array
    free: Array
    precision: float
    basis: SpanBasis
    beside: Array | None = None
    lost: Array | None = None
    covariances: NoiseCovariances = ISOTROPIC
    group: NDArray[np.intp] | None = None
    group_beside: NDArray[np.intp] | None = None
    tokens: int = 1

    @property
    def seeing(self) -> int:
        """Rows of K that multiply features: P k."""
        return self.noisy * self.tokens

    @cached_property
    def is_discrete(self) -> bool:
        """Whether the weight takes few values, so that every node is an atom of its law."""
        rows = self.weight.reshape(len(self.weight), -1)
        spread = rows[:: max(1, len(rows) // (4 * ATOMS))]  # of a continuous law enough
        return all(len(np.unique(some.round(12), axis=0)) <= ATOMS for some in (spread, rows))

    @cached_property
    def rounding(self) -> float:
        """Share of E|K| that rounding is, among the weights that were left."""
        size = float(self.probability @ np.abs(self.weight).sum(axis=(1, 2)))
        return float(self.probability @ self.lost) / size if self.lost is not None and size else 0.0

    def without_tail(self, share: float) -> WeightLaw:
        """Give weight 0 to the samples with the most extreme D, of probability ``share`` at each
        end of 0.
        """
        if not share:
            return self
        values = np.linalg.eigvalsh(self.weight[:, : self.seeing, : self.seeing])
        probability = np.array(self.probability)
        for size in (values[:, -1], -values[:, 0]):
            order = np.argsort(-size)
            # of the node on the border, the part that belongs to the rest is kept
            rest = np.clip(np.cumsum(self.probability[order]) - share, 0, self.probability[order])
            probability[order] = np.where(
                size[order] > 0, np.minimum(probability[order], rest), probability[order]
            )
        kept = probability > 0
        beside, group_beside = self.beside, self.group_beside
        if beside is not None:
            most, least = values[kept, -1].max(initial=0.0), values[kept, 0].min(initial=0.0)
            far = np.linalg.eigvalsh(beside[:, : self.seeing, : self.seeing])
            near = (far[:, -1] <= most) & (far[:, 0] >= least)
            beside = beside[near]
            group_beside = None if group_beside is None else group_beside[near]
        return replace(
            self,
            probability=probability[kept],
            weight=self.weight[kept],
            place=self.place[kept],
            lost=None if self.lost is None else self.lost[kept],
            beside=beside,
            group=None if self.group is None else self.group[kept],
            group_beside=group_beside,
        )

    def border(self, share: float) -> float:
        """Largest probability of a node on the border of a tail of that share, at either end."""
        values = np.linalg.eigvalsh(self.weight[:, : self.seeing, : self.seeing])
        largest = 0.0
        for size in (values[:, -1], -values[:, 0]):
            order = np.argsort(-size)
            at = int(np.searchsorted(np.cumsum(self.probability[order]), share))
            if at < len(order) and size[order[at]] > 0:
                largest = max(largest, float(self.probability[order[at]]))
        return largest

    @property
    def moment(self) -> Array:
        """E[(w, 1)(w, 1)^T | n], shape (N, P rank + 1, P rank + 1)."""
        return unpack(self.packed_moment, self.place.shape[1])

    @property
    def packed_moment(self) -> Array:
        """The same, packed."""
        rows, columns = triangle(self.place.shape[1])
        free = pack(self.free)
        place = np.ascontiguousarray(self.place.T)  # whole rows are gathered faster than columns
        seen = (place[rows] * place[columns]).T
        return np.asarray(seen + (free if self.group is None else free[self.group]))
