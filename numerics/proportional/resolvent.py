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
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from numerics.core.errors import ResolventError
from numerics.core.packed_symmetric import Array, pack, positions, restrict, unpack

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
        return float(sizes.max(initial=0.0)) / self.law.precision

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
        return float(np.linalg.norm(self.weight, axis=(1, 2)).max(initial=0.0)) / self.law.precision

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
    def _beside(self) -> NodeWeights:
        """D at points between the nodes and beyond them."""
        noisy, beside = self.law.noisy, self.law.beside
        if beside is None or not len(beside):
            return RankOne(np.zeros(1), np.zeros((1, self.rows)))
        return node_weights(self.range @ beside[:, :noisy, :noisy] @ self.range.T)

    @cached_property
    def _whole(self) -> NodeWeights:
        return node_weights(self.weight)

    @property
    def unit(self) -> float:
        """phi lambda: S over it couples to the weights."""
        return self.aspect_ratio * self.law.precision

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
            weights = self.noise if name == "noise" else self._whole
            self._last[name] = asked, weights.propagate(s / self.unit)
        return self._last[name][1]

    @cached_property
    def _last(self) -> dict[str, tuple[tuple[str, bytes], Array]]:
        return {}

    def mean(self, a: Array) -> Array:
        """lambda^-1 E[A_11], from the packed A_11."""
        probability = self.law.probability.astype(a.dtype)  # of one type, for BLAS
        return unpack(probability @ a, self.rows) / self.law.precision

    def curvature(self, a: Array) -> Array:
        """Minus the derivative of lambda^-1 E[A_11] in S: X -> (phi lambda^2)^-1 E[A_11 X A_11], on
        packed X.
        """
        outer = (a * self.law.probability[:, None]).T @ a
        at, k = positions(self.rows), self.rows
        # E[A_ij A_kl] stands where (A X A)_il takes X_jk
        full = outer[at[:, None, :, None], at.T[None, :, None, :]].reshape(k * k, k * k)
        return restrict(full) / (self.unit * self.law.precision)

    def jacobian(self, inverse: Array, a: Array) -> Array:
        """Derivative of S^-1 - lambda^-1 E[A_11] in S, on packed matrices, from S^-1 and A."""
        return np.asarray(self.curvature(a) - restrict(np.kron(inverse, inverse)))

    def derivative(self, s: Array) -> Array:
        """dS/dz."""
        frame = Frame.of(self, s)
        jacobian = self.jacobian(*frame.terms(frame.inward(s))[:2])
        return frame.outward(unpack(np.linalg.solve(jacobian, -pack(frame.gram)), self.rows))

    def radius(self, s: Array) -> float:
        """Spectral radius of the positive map at a real S: below 1 only on the physical branch."""
        frame = Frame.of(self, s)
        x = frame.inward(s)
        mapped = restrict(np.kron(x, x)) @ self.curvature(frame.terms(x)[1])
        return float(np.abs(np.linalg.eigvals(mapped)).max(initial=0.0))

    def margin(self, s: Array) -> float:
        """How far I + Sigma K is from singular at the worst node, for a real S: its least singular
        value.
        """
        margins = [weights.margin(s / self.unit) for weights in (self.noise, self._beside)]
        return min(margins)

    def determinants(self, s: Array) -> Array:
        """det(I + Sigma K) at every node, for a real S: of constant sign on a branch."""
        return np.concatenate([w.determinants(s / self.unit) for w in (self.noise, self._beside)])

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
            last, residual = residual, _size(rest) / (_size(inverse) + abs(z) * _size(frame.gram))
            if residual <= accuracy or last / 2 < residual <= ROUNDED:
                return frame.outward(x)
            if not np.isfinite(residual):
                break
            change = unpack(np.linalg.solve(self.jacobian(inverse, a), -pack(rest)), self.rows)
            x = x + _damping(change, x) * change
        raise ResolventError(z, residual)

    def solve_trace(
        self, trace: float, start: Array, iterations: int = ITERATIONS
    ) -> tuple[float, Array]:
        """z and S with the given trace of S: Newton's method on the bordered system."""
        frame = Frame.of(self, start)
        x, k = frame.inward(start), self.rows
        inverse, a, mean = frame.terms(x)
        z = float(np.trace((mean - inverse) @ np.linalg.inv(frame.gram))) / k
        residual = np.inf
        for _ in range(iterations):
            inverse, a, mean = frame.terms(x)
            rest = inverse + z * frame.gram - mean
            miss = float(np.sum(frame.gram * x)) - trace
            last, residual = (
                residual,
                max(
                    _size(rest) / (_size(inverse) + abs(z) * _size(frame.gram)),
                    abs(miss) / max(abs(trace), _size(frame.gram * x)),
                ),
            )
            if residual <= SOLVED or last / 2 < residual <= ROUNDED:
                return z, frame.outward(x)
            if not np.isfinite(residual):
                break
            step = np.linalg.solve(frame.bordered(inverse, a), -np.append(pack(rest), miss))
            change = unpack(step[:-1], k)
            damping = _damping(change, x)
            x = x + damping * change
            z += damping * float(step[-1])
        raise ResolventError(z, residual)

    def along_trace(self, s: Array) -> tuple[float, Array]:
        """dz and dS per d(trace S), at a real S."""
        frame = Frame.of(self, s)
        bordered = frame.bordered(*frame.terms(frame.inward(s))[:2])
        right = np.zeros(len(bordered))
        right[-1] = 1
        step = np.linalg.solve(bordered, right)
        return float(step[-1]), frame.outward(unpack(step[:-1], self.rows))


@dataclass(frozen=True)
class Frame:
    """Rows in which a known S is of size one: S = B X B^T.

    Where an atom at zero or units of different sizes let the eigenvalues of S differ by many powers
    of ten, Newton's method loses the small ones to rounding; here it does not.

    Attributes
    ----------
    resolvent : Resolvent
    root, inverse_root : array, shape (k, k)
        B, and its inverse.
    gram : array, shape (k, k)
        B^T B, which stands where the equation for S has the unit matrix.
    weights : NodeWeights
        B^T D B.
    """

    resolvent: Resolvent
    root: Array
    inverse_root: Array
    gram: Array
    weights: NodeWeights

    @classmethod
    def of(cls, resolvent: Resolvent, s: Array) -> Frame:
        """The frame of S: B B^T = |Re S| + Im S."""
        root, inverse = balanced_root(s)
        return cls(resolvent, root, inverse, root.T @ root, resolvent.noise.congruent(root))

    def inward(self, s: Array) -> Array:
        """X of S."""
        return np.asarray(self.inverse_root @ s @ self.inverse_root.T)

    def outward(self, x: Array) -> Array:
        """S of X."""
        s = self.root @ x @ self.root.T
        return np.asarray((s + s.T) / 2)

    def terms(self, x: Array) -> tuple[Array, Array, Array]:
        """X^-1, the packed A and lambda^-1 E[A], in this frame."""
        a = self.weights.propagate(x / self.resolvent.unit)
        return np.asarray(np.linalg.inv(x)), a, self.resolvent.mean(a)

    def bordered(self, inverse: Array, a: Array) -> Array:
        """Derivative of (the equation for X, trace S) in (packed X, z)."""
        jacobian = self.resolvent.jacobian(inverse, a)
        column = pack(self.gram)[:, None]
        row = pack(2 * self.gram - np.diag(np.diag(self.gram)))[None]  # off the diagonal twice
        return np.asarray(np.block([[jacobian, column], [row, np.zeros((1, 1))]]))


def balanced_root(s: Array) -> tuple[Array, Array]:
    """B and B^-1 with B B^T = |Re S| + Im S, for Im S >= 0.

    Examples
    --------
    >>> balanced_root(np.array([[-4.0]]))
    (array([[2.]]), array([[0.5]]))
    """
    values, vectors = np.linalg.eigh(s.real)
    positive = (vectors * np.abs(values)) @ vectors.T
    if np.iscomplexobj(s):
        positive = positive + s.imag
    values, vectors = np.linalg.eigh((positive + positive.T) / 2)
    roots = np.sqrt(np.maximum(values, 1e-30 * max(float(values[-1]), 1e-270)))
    return np.asarray(vectors * roots), np.asarray((vectors / roots).T)


def _size(matrix: Array) -> float:
    return float(np.abs(matrix).max(initial=0.0))


def _damping(change: Array, s: Array) -> float:
    """Let S change by at most half its size in one step: the equation has poles."""
    return min(1.0, 0.5 * frobenius(s) / max(frobenius(change), 1e-300))


def frobenius(matrix: Array) -> float:
    """Frobenius norm without overflow of the squares: near a pole steps are huge."""
    largest = _size(matrix)
    scaled = 0.0 < largest < np.inf
    return largest * float(np.linalg.norm(matrix / largest)) if scaled else largest
