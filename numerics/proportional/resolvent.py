r"""Matrix-valued Stieltjes transform of a weighted sample covariance in the proportional limit.

For :math:`\frac1M\sum_iD_i\otimes Z_iZ_i^T` with Z of variance 1 / lambda and M / d -> phi, the
resolvent is :math:`S(z)\otimes I_d`,

.. math:: S^{-1} = -zI + \lambda^{-1}E[A_{11}],\qquad A = K\,(I+\Sigma K)^{-1},\quad
          \Sigma=\mathrm{diag}\big(S/(\phi\lambda),0\big),

where D = K_11 is the part of a sample's weight K that multiplies features, and the rest of K
belongs to a finite number of other parameters (mathematics.md section 7, where K = D).  Nothing
divides by K.  Outside the support S is real and symmetric, and the positive map
:math:`X\mapsto\frac1{\phi\lambda^2}E[SA_{11}XA_{11}S]` has spectral radius below 1; at a
square-root edge the radius is 1.

Noise with bands has one S a band, and the resolvent is :math:`\sum_gS_g(z)\otimes P_g`: S is an
array (B, k, k), and what changes is what couples S to a weight and what is collected from it
(:mod:`numerics.proportional.covariance.noise_covariances`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from numerics.core.errors import ResolventError
from numerics.core.packed_symmetric import Array, congruence, pack, sandwich, unpack

from .covariance.balanced_root import balanced_root, damping, largest_entry
from .covariance.grouped_weights import GroupedWeights, slices_of
from .node_weights import NodeWeights, RankOne, node_weights
from .weight_law import WeightLaw

# Newton's method: iterations, and the residual relative to the largest term
ITERATIONS, SOLVED = 60, 1e-13
# below this a residual that no longer falls is rounding of sums over nodes
ROUNDED = 1e-11
# rows of K this small, relative to the largest entry, are zero up to rounding
NULL = 1e-12
# eigenvalues of rows with weights this small, of one sign, are not told from the atom at zero
NEGLIGIBLE = 1e-7
# share of a weight outside the null rows below which it lies in them
LEFT_OVER = 1e-6


@dataclass(frozen=True)
class Resolvent:
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
        noise = law.weight[:, : law.noisy, : law.noisy]
        largest = float(np.abs(law.weight).max(initial=0.0))
        weights = node_weights(noise)
        if isinstance(weights, RankOne):
            # of one sign, weights move eigenvalues by their quadratic forms at most
            seen = np.abs(weights.size) * law.probability
            _, vectors = np.linalg.eigh((weights.direction * seen[:, None]).T @ weights.direction)
            forms = np.abs(weights.size)[:, None] * (weights.direction @ vectors) ** 2
            forms = forms.max(axis=0, initial=0.0)
            # a row may also meet readout parameters alone: more than a positive K lets it
            beside = law.weight[:, law.noisy :, : law.noisy] @ vectors
            coupling = np.abs(beside).max(axis=(0, 1), initial=0.0)
            alone = coupling**2 <= np.maximum(forms, NULL**2 * largest) * largest
            zero = (forms <= NEGLIGIBLE * largest) & alone
            return vectors[:, zero].T, vectors[:, ~zero].T
        square = np.einsum("n,nij,njk->ik", law.probability, law.weight, law.weight)
        values, vectors = np.linalg.eigh(square[: law.noisy, : law.noisy])
        # squares hide what is below the root of rounding: of small ones the products decide
        small = values <= 1e-13 * values.max(initial=0.0)
        sizes = np.abs(law.weight[:, :, : law.noisy] @ vectors).max(axis=(0, 1), initial=0.0)
        zero = small & (sizes <= NULL * largest)
        return vectors[:, zero].T, vectors[:, ~zero].T

    @cached_property
    def neglected(self) -> float:
        """What the rows that count as null may move eigenvalues by."""
        weights = self.null @ self.law.weight[:, : self.law.noisy, : self.law.noisy] @ self.null.T
        sizes = np.linalg.norm(weights, axis=(1, 2))
        return float(sizes.max(initial=0.0)) * self.law.covariances.largest / self.law.precision

    @property
    def rows(self) -> int:
        """k, the size of S: noisy rows that are not null."""
        return int(self.range.shape[0])

    @cached_property
    def weight(self) -> Array:
        """K without the null rows, shape (N, p, p)."""
        noisy = self.law.noisy
        p = np.eye(self.rows + self.law.weight.shape[1] - noisy, self.law.weight.shape[1])
        p[: self.rows, :noisy] = self.range
        p[self.rows :] = np.eye(self.law.weight.shape[1])[noisy:]
        return np.ascontiguousarray(p @ self.law.weight @ p.T)

    @cached_property
    def scale(self) -> float:
        """Size of the largest weight over lambda."""
        largest = float(np.linalg.norm(self.weight, axis=(1, 2)).max(initial=0.0))
        return largest * self.law.covariances.largest / self.law.precision

    @cached_property
    def noise(self) -> NodeWeights:
        """D, the part of K that multiplies features."""
        noise = self.weight[:, : self.rows, : self.rows]
        if len(self.null):
            # what a weight in null rows leaves in the others is rounding, of any direction
            noisy = self.law.noisy
            whole = np.linalg.norm(self.law.weight[:, :noisy, :noisy], axis=(1, 2))
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
        noisy, beside, groups = self.law.noisy, self.law.beside, self.law.covariances.groups
        if beside is None or not len(beside):
            nothing = RankOne(np.zeros(1), np.zeros((1, self.rows)))
            return GroupedWeights((nothing,) * groups)
        weights = node_weights(self.range @ beside[:, :noisy, :noisy] @ self.range.T)
        return GroupedWeights.of(weights, slices_of(self.law.group_beside, groups))

    @cached_property
    def _whole(self) -> GroupedWeights:
        return GroupedWeights.of(node_weights(self.weight), self.slices)

    @cached_property
    def slices(self) -> list[slice]:
        """Where the nodes of every group stand."""
        return slices_of(self.law.group, self.law.covariances.groups)

    def couplings(self, s: Array) -> Array:
        """Sigma of every group of nodes, shape (G, k, k)."""
        return self.law.covariances.coupled(s) / (self.aspect_ratio * self.law.precision)

    def multiple(self, factor: complex) -> Array:
        """A multiple of the unit matrix in every band, as S is far from the support."""
        return np.broadcast_to(
            factor * np.eye(self.rows), (self.law.covariances.bands, self.rows, self.rows)
        )

    def trace(self, s: Array) -> Array:
        """Of S per dimension, the bands by their shares; of S with any axes in front."""
        return self.law.covariances.trace(s)

    def propagate(self, s: Array) -> Array:
        """The packed A_11 = D (I + S D / (phi lambda))^-1 at every node, shape (N, k(k+1)/2)."""
        return self._remembered("noise", s)

    def propagate_all(self, s: Array) -> Array:
        """The packed A at every node, shape (N, p(p+1)/2)."""
        return self._remembered("noise" if self.weight.shape[1] == self.rows else "whole", s)

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

    def mean(self, a: Array) -> Array:
        """lambda^-1 E[A_11] of every band, from the packed A_11."""
        probability = self.law.probability.astype(a.dtype)  # of one type, for BLAS
        sums = np.array([probability[nodes] @ a[nodes] for nodes in self.slices])
        return unpack(self.law.covariances.collected(sums), self.rows) / self.law.precision

    def curvature(self, a: Array) -> Array:
        """Minus the derivative of lambda^-1 E[A_11] in S: X -> (phi lambda^2)^-1 E[A_11 X A_11], on
        packed X of all bands.
        """
        probability = self.law.probability[:, None]
        products = np.array([(a[at] * probability[at]).T @ a[at] for at in self.slices])
        whole = self.law.covariances.both(sandwich(products, self.rows))
        return whole / (self.aspect_ratio * self.law.precision**2)

    def jacobian(self, inverse: Array, a: Array) -> Array:
        """Derivative of S^-1 - lambda^-1 E[A_11] in S, on packed matrices, from S^-1 and A."""
        out = self.curvature(a)
        n = len(out) // len(inverse)
        for g, own in enumerate(congruence(inverse)):
            out[g * n : (g + 1) * n, g * n : (g + 1) * n] -= own
        return out

    def derivative(self, s: Array) -> Array:
        """dS/dz."""
        frame = Frame.of(self, s)
        jacobian = self.jacobian(*frame.terms(frame.inward(s))[:2])
        right = np.broadcast_to(-pack(frame.gram), (len(s), len(jacobian) // len(s)))
        return frame.outward(self.unpacked(np.linalg.solve(jacobian, right.ravel())))

    def unpacked(self, packed: Array) -> Array:
        """A matrix a band from the packed ones, one behind the other."""
        return unpack(packed.reshape(self.law.covariances.bands, -1), self.rows)

    def radius(self, s: Array) -> float:
        """Spectral radius of the positive map at a real S: below 1 only on the physical branch."""
        frame = Frame.of(self, s)
        x = frame.inward(s)
        curvature = self.curvature(frame.terms(x)[1])
        mapped = congruence(x) @ curvature.reshape(len(x), -1, len(curvature))
        mapped = mapped.reshape(curvature.shape)
        return float(np.abs(np.linalg.eigvals(mapped)).max(initial=0.0))

    def margin(self, s: Array) -> float:
        """How far I + Sigma K is from singular at the worst node, for a real S: its least singular
        value.
        """
        couplings = self.couplings(s)
        return min(weights.margin(couplings) for weights in (self.grouped_noise, self._beside))

    def determinants(self, s: Array) -> Array:
        """det(I + Sigma K) at every node, for a real S: of constant sign on a branch."""
        couplings = self.couplings(s)
        both = (self.grouped_noise, self._beside)
        return np.concatenate([weights.determinants(couplings) for weights in both])

    def signs(self, s: Array) -> Array:
        """Signs of the determinants."""
        return np.asarray(np.sign(self.determinants(s)))

    def solve_at(
        self, z: complex, start: Array, iterations: int = ITERATIONS, accuracy: float = SOLVED
    ) -> Array:
        """S at z by Newton's method from a nearby solution; real if z and ``start`` are.

        Raises
        ------
        ResolventError
            No convergence.
        """
        frame = Frame.of(self, start)
        x, residual = frame.inward(start), np.inf
        for _ in range(iterations):
            inverse, a, mean = frame.terms(x)
            rest = inverse + z * frame.gram - mean
            last, residual = (
                residual,
                largest_entry(rest) / (largest_entry(inverse) + abs(z) * largest_entry(frame.gram)),
            )
            if residual <= accuracy or last / 2 < residual <= ROUNDED:
                return frame.outward(x)
            if not np.isfinite(residual):
                break
            step = np.linalg.solve(self.jacobian(inverse, a), -pack(rest).ravel())
            change = self.unpacked(step)
            x = x + damping(change, x) * change
        raise ResolventError(z, residual)

    def solve_trace(
        self, trace: float, start: Array, iterations: int = ITERATIONS
    ) -> tuple[float, Array]:
        """z and S with the given trace of S: Newton's method on the bordered system."""
        frame = Frame.of(self, start)
        x = frame.inward(start)
        inverse, a, mean = frame.terms(x)
        z = float(self.trace((mean - inverse) @ np.linalg.inv(frame.gram))) / self.rows
        residual = np.inf
        for _ in range(iterations):
            inverse, a, mean = frame.terms(x)
            rest = inverse + z * frame.gram - mean
            miss = float(self.trace(frame.gram @ x)) - trace
            last, residual = (
                residual,
                max(
                    largest_entry(rest)
                    / (largest_entry(inverse) + abs(z) * largest_entry(frame.gram)),
                    abs(miss) / max(abs(trace), largest_entry(frame.gram * x)),
                ),
            )
            if residual <= SOLVED or last / 2 < residual <= ROUNDED:
                return z, frame.outward(x)
            if not np.isfinite(residual):
                break
            step = np.linalg.solve(frame.bordered(inverse, a), -np.append(pack(rest).ravel(), miss))
            change = self.unpacked(step[:-1])
            share = damping(change, x)
            x = x + share * change
            z += share * float(step[-1])
        raise ResolventError(z, residual)

    def along_trace(self, s: Array) -> tuple[float, Array]:
        """dz and dS per d(trace S), at a real S."""
        frame = Frame.of(self, s)
        bordered = frame.bordered(*frame.terms(frame.inward(s))[:2])
        right = np.zeros(len(bordered))
        right[-1] = 1
        step = np.linalg.solve(bordered, right)
        return float(step[-1]), frame.outward(self.unpacked(step[:-1]))


@dataclass(frozen=True)
class Frame:
    """Rows in which a known S is of size one: S = B X B^T, with the same B in every band.

    Where an atom at zero or units of different sizes let the eigenvalues of S differ by many powers
    of ten, Newton's method loses the small ones to rounding; here it does not.

    Attributes
    ----------
    resolvent : Resolvent
    root, inverse_root : array, shape (k, k)
        B, and its inverse.
    gram : array, shape (k, k)
        B^T B, which stands where the equation for S has the unit matrix.
    weights : GroupedWeights
        B^T D B.
    """

    resolvent: Resolvent
    root: Array
    inverse_root: Array
    gram: Array
    weights: GroupedWeights

    @classmethod
    def of(cls, resolvent: Resolvent, s: Array) -> Frame:
        """The frame of S: B B^T = |Re S| + Im S, the mean over bands."""
        root, inverse = balanced_root(s)
        return cls(resolvent, root, inverse, root.T @ root, resolvent.grouped_noise.congruent(root))

    def inward(self, s: Array) -> Array:
        """X of S."""
        return np.asarray(self.inverse_root @ s @ self.inverse_root.T)

    def outward(self, x: Array) -> Array:
        """S of X."""
        s = self.root @ x @ self.root.T
        return np.asarray((s + np.swapaxes(s, -1, -2)) / 2)

    def terms(self, x: Array) -> tuple[Array, Array, Array]:
        """X^-1, the packed A and lambda^-1 E[A], in this frame."""
        a = self.weights.propagate(self.resolvent.couplings(x))
        return np.asarray(np.linalg.inv(x)), a, self.resolvent.mean(a)

    def bordered(self, inverse: Array, a: Array) -> Array:
        """Derivative of (the equation for X, trace S) in (packed X, z)."""
        jacobian = self.resolvent.jacobian(inverse, a)
        fractions = self.resolvent.law.covariances.fractions
        row = pack(2 * self.gram - np.diag(np.diag(self.gram)))  # off the diagonal twice
        out = np.zeros((len(jacobian) + 1, len(jacobian) + 1))
        out[:-1, :-1] = jacobian
        out[:-1, -1].reshape(len(fractions), -1)[:] = pack(self.gram)
        out[-1, :-1] = (fractions[:, None] * row).ravel()
        return out
