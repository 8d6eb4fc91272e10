"""The nodes of a law as the equation for S meets them: rows without weight left out."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from numerics.core.covariance.token_arrays import repeated
from numerics.core.packed_symmetric import Array, congruence, unpack
from numerics.proportional.covariance.grouped_weights import GroupedWeights, slices_of

from .node_sums import NodeSums
from .node_weights import NodeWeights, RankOne, node_weights
from .token_traces import operators_over_tokens, over_tokens
from .weight_law import WeightLaw

# rows of K this small, relative to the largest entry, are zero up to rounding
NULL = 1e-12
# eigenvalues of rows with weights this small, of one sign, are not told from the atom at zero
NEGLIGIBLE = 1e-7
# share of a weight outside the null rows below which it lies in them
LEFT_OVER = 1e-6
# where phi is larger than this, A is not taken as the difference of terms that are phi / S
CANCELLING = 100.0


@dataclass(frozen=True)
class NodeEquation:
    """The equation for S at one law and aspect ratio.

    Attributes
    ----------
    law : WeightLaw
    aspect_ratio : float
        phi = M / d.
    split : tuple of array, optional
        ``null`` and ``range`` where they are known: of a law that stands for another.
    """

    law: WeightLaw
    aspect_ratio: float
    split: tuple[Array, Array] | None = None

    @cached_property
    def null(self) -> Array:
        """Orthonormal combinations of noisy rows that every K maps to 0: the matrix is exactly 0
        there.
        """
        return self._split[0]

    @cached_property
    def range(self) -> Array:
        """Orthonormal combinations of noisy rows spanning the rest."""
        return self._split[1]

    @cached_property
    def _split(self) -> tuple[Array, Array]:
        if self.split is not None:
            return self.split
        law = self.law
        seeing, size = law.seeing, (law.tokens, law.noisy)
        noise = law.weight[:, :seeing, :seeing]
        largest = float(np.abs(law.weight).max(initial=0.0))
        weights = node_weights(noise)
        if isinstance(weights, RankOne):
            # of one sign, weights move eigenvalues by their quadratic forms at most
            seen = np.abs(weights.size) * law.probability
            directions = weights.direction.reshape(len(weights.direction), *size)
            flat = directions.reshape(-1, law.noisy)
            _, vectors = np.linalg.eigh((flat * np.repeat(seen, law.tokens)[:, None]).T @ flat)
            forms = np.abs(weights.size)[:, None] * ((directions @ vectors) ** 2).sum(axis=1)
            forms = forms.max(axis=0, initial=0.0)
            # a row may also meet readout parameters alone: more than a positive K lets it
            beside = law.weight[:, seeing:, :seeing]
            beside = beside.reshape(*beside.shape[:2], *size) @ vectors
            coupling = np.abs(beside).max(axis=(0, 1, 2), initial=0.0)
            alone = coupling**2 <= np.maximum(forms, NULL**2 * largest) * largest
            zero = (forms <= NEGLIGIBLE * largest) & alone
            return vectors[:, zero].T, vectors[:, ~zero].T
        square = np.einsum("n,nij,njk->ik", law.probability, law.weight, law.weight)
        square = square[:seeing, :seeing].reshape(size + size)
        values, vectors = np.linalg.eigh(np.einsum("pipj->ij", square))
        # squares hide what is below the root of rounding: of small ones the products decide
        small = values <= 1e-13 * values.max(initial=0.0)
        moved = law.weight[:, :, :seeing].reshape(*law.weight.shape[:2], *size) @ vectors
        sizes = np.abs(moved).max(axis=(0, 1, 2), initial=0.0)
        zero = small & (sizes <= NULL * largest)
        return vectors[:, zero].T, vectors[:, ~zero].T

    @cached_property
    def neglected(self) -> float:
        """What the rows that count as null may move eigenvalues by."""
        seeing, null = self.law.seeing, repeated(self.null, self.law.tokens)
        weights = null @ self.law.weight[:, :seeing, :seeing] @ null.T
        sizes = np.linalg.norm(weights, axis=(1, 2))
        return float(sizes.max(initial=0.0)) * self.law.covariances.largest / self.law.precision

    @property
    def rows(self) -> int:
        """k, the size of S: noisy rows that are not null."""
        return int(self.range.shape[0])

    @property
    def seeing(self) -> int:
        """Rows of K that multiply features: P k, one for every token of a row of S."""
        return self.rows * self.law.tokens

    @cached_property
    def at_tokens(self) -> Array:
        """``range`` at every token, shape (P k, rows of K that multiply features)."""
        return repeated(self.range, self.law.tokens)

    @cached_property
    def weight(self) -> Array:
        """K without the null rows, shape (N, p, p)."""
        seeing, size = self.law.seeing, self.law.weight.shape[1]
        p = np.eye(self.seeing + size - seeing, size)
        p[: self.seeing, :seeing] = self.at_tokens
        p[self.seeing :] = np.eye(size)[seeing:]
        return np.ascontiguousarray(p @ self.law.weight @ p.T)

    @cached_property
    def scale(self) -> float:
        """Size of the largest weight over lambda."""
        largest = float(np.linalg.norm(self.weight, axis=(1, 2)).max(initial=0.0))
        return largest * self.law.covariances.largest / self.law.precision

    @cached_property
    def noise(self) -> NodeWeights:
        """D, the part of K that multiplies features."""
        noise = self.weight[:, : self.seeing, : self.seeing]
        if len(self.null):
            # what a weight in null rows leaves in the others is rounding, of any direction
            seeing = self.law.seeing
            whole = np.linalg.norm(self.law.weight[:, :seeing, :seeing], axis=(1, 2))
            some = np.linalg.norm(noise, axis=(1, 2)) > LEFT_OVER * whole
            noise = np.where(some[:, None, None], noise, 0.0)
        return node_weights(noise)

    @cached_property
    def grouped_noise(self) -> GroupedWeights:
        """D, group by group."""
        return GroupedWeights.of(self.noise, self.slices)

    @cached_property
    def _beside(self) -> GroupedWeights:
        """D at points between the nodes and beyond them."""
        seeing, beside, groups = self.law.seeing, self.law.beside, self.law.covariances.groups
        if beside is None or not len(beside):
            nothing = RankOne(np.zeros(1), np.zeros((1, self.seeing)))
            return GroupedWeights((nothing,) * groups)
        weights = node_weights(self.at_tokens @ beside[:, :seeing, :seeing] @ self.at_tokens.T)
        return GroupedWeights.of(weights, slices_of(self.law.group_beside, groups))

    @cached_property
    def _sums_beside(self) -> list[NodeSums]:
        parts = self._beside.parts
        return [NodeSums(part, np.zeros(part.count)) for part in parts]

    @cached_property
    def _whole(self) -> GroupedWeights:
        return GroupedWeights.of(node_weights(self.weight), self.slices)

    @cached_property
    def slices(self) -> list[slice]:
        """Where the nodes of every group stand."""
        return slices_of(self.law.group, self.law.covariances.groups)

    def couplings(self, s: Array) -> Array:
        """Sigma of every group of nodes, shape (G, P k, P k): the same at every token."""
        one = self.law.covariances.coupled(s) / (self.aspect_ratio * self.law.precision)
        return repeated(one, self.law.tokens)

    def multiple(self, factor: complex) -> Array:
        """A multiple of the unit matrix in every band, as S is far from the support."""
        return np.broadcast_to(
            factor * np.eye(self.rows), (self.law.covariances.bands, self.rows, self.rows)
        )

    def trace(self, s: Array) -> Array:
        """Of S per dimension, the bands by their shares; of S with any axes in front."""
        return self.law.covariances.trace(s)

    def propagate(self, s: Array) -> Array:
        """The packed A_11 = D (I + S D / (phi lambda))^-1 at every node, with P k rows."""
        return self._remembered("noise", s)

    def propagate_all(self, s: Array) -> Array:
        """The packed A at every node, shape (N, p(p+1)/2)."""
        return self._remembered("noise" if self.weight.shape[1] == self.seeing else "whole", s)

    def _remembered(self, name: str, s: Array) -> Array:
        """A where it was asked for last: fields and their slopes meet at one S."""
        asked = s.dtype.char, s.tobytes()
        if self._last.get(name, (None, None))[0] != asked:
            weights = self.grouped_noise if name == "noise" else self._whole
            self._last[name] = asked, weights.propagate(self.couplings(s))
        return self._last[name][1]

    @cached_property
    def _last(self) -> dict[str, tuple[tuple[str, bytes], Array]]:
        return {}

    @cached_property
    def node_sums(self) -> list[NodeSums]:
        """D and probabilities, group by group."""
        return self.sums_of(self.grouped_noise)

    def sums_of(self, grouped: GroupedWeights) -> list[NodeSums]:
        """The same of other weights at these nodes."""
        parts = zip(grouped.parts, self.slices, strict=True)
        careful = self.aspect_ratio > CANCELLING
        return [NodeSums(w, self.law.probability[nodes], careful) for w, nodes in parts]

    def sums(
        self, s: Array, squares: bool = True, of: list[NodeSums] | None = None
    ) -> tuple[Array, Array | None]:
        """lambda^-1 E[A_11] of every band, and minus its derivative in S: X -> (phi lambda^2)^-1
        E[A_11 X A_11], on packed X of all bands.

        Parameters
        ----------
        s : array, shape (Z, B, k, k)
        squares : bool
            Whether the derivative is asked for.
        of : list of NodeSums, optional
            Other weights than D at the same nodes.

        Returns
        -------
        mean : array, shape (Z, B, k, k)
        curvature : array, shape (Z, B n, B n), or None
        """
        couplings = self.couplings(s)
        found = [each.at(couplings[:, g], squares) for g, each in enumerate(of or self.node_sums)]
        tokens = self.law.tokens
        means = over_tokens(_beside_each_other([mean for mean, _ in found]), self.rows, tokens)
        covariances, precision = self.law.covariances, self.law.precision
        mean = unpack(covariances.collected(means), self.rows) / precision
        if not squares:
            return mean, None
        several = _beside_each_other([o for _, o in found if o is not None])
        several = operators_over_tokens(several, self.rows, tokens)
        return mean, covariances.both(several) / (self.aspect_ratio * precision**2)

    def jacobian(self, inverse: Array, curvature: Array) -> Array:
        """Derivative of S^-1 - lambda^-1 E[A_11] in S, on packed matrices, from S^-1, with any axes
        in front.
        """
        out = np.array(curvature)
        bands = inverse.shape[-3]
        n = out.shape[-1] // bands
        own = congruence(inverse)
        for g in range(bands):
            out[..., g * n : (g + 1) * n, g * n : (g + 1) * n] -= own[..., g, :, :]
        return out

    def unpacked(self, packed: Array) -> Array:
        """A matrix a band from the packed ones, one behind the other, with any axes in front."""
        bands = self.law.covariances.bands
        return unpack(packed.reshape(*packed.shape[:-1], bands, -1), self.rows)

    def margin(self, s: Array) -> float:
        """How far I + Sigma K is from singular at the worst node, for a real S: its least singular
        value.
        """
        couplings = self.couplings(s)
        return min(weights.margin(couplings) for weights in (self.grouped_noise, self._beside))

    def determinants(self, s: Array) -> Array:
        """det(I + Sigma K) at every node, for a real S: of constant sign on a branch."""
        couplings = self.couplings(s)
        both = zip((*self.node_sums, *self._sums_beside), (*couplings, *couplings), strict=True)
        return np.concatenate([sums.determinants(coupling) for sums, coupling in both])

    def signs(self, s: Array) -> Array:
        """Signs of the determinants."""
        return np.asarray(np.sign(self.determinants(s)))


def _beside_each_other(parts: list[Array]) -> Array:
    """What every group has at each S, shape (Z, G, ...)."""
    return parts[0][:, None] if len(parts) == 1 else np.stack(parts, axis=1)
