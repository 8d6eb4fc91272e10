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

import numba
import numpy as np

from numerics.core.errors import ResolventError
from numerics.core.packed_symmetric import Array, pack, positions, restrict, unpack

from .weight_law import WeightLaw

# Newton's method: iterations, and the residual relative to the largest term
ITERATIONS, SOLVED = 60, 1e-13
# below this a residual that no longer falls is rounding of sums over nodes
ROUNDED = 1e-11
# rows of K this small, relative to the largest entry, are zero up to rounding
NULL = 1e-12


@dataclass(frozen=True)
class Resolvent:
    """The equation for S at one law and aspect ratio.

    Attributes
    ----------
    law : WeightLaw
    aspect_ratio : float
        phi = M / d.
    """

    law: WeightLaw
    aspect_ratio: float

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
        law = self.law
        square = np.einsum("n,nij,njk->ik", law.probability, law.weight, law.weight)[
            : law.noisy, : law.noisy
        ]
        values, vectors = np.linalg.eigh(square)
        # squares hide what is below the root of rounding: of small ones the products decide
        small = values <= 1e-13 * values.max(initial=0.0)
        sizes = np.abs(law.weight[:, :, : law.noisy] @ vectors).max(axis=(0, 1), initial=0.0)
        zero = small & (sizes <= NULL * np.abs(law.weight).max(initial=0.0))
        return vectors[:, zero].T, vectors[:, ~zero].T

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
    def noise(self) -> Array:
        """D, the part of K that multiplies features, shape (N, k, k)."""
        return np.ascontiguousarray(self.weight[:, : self.rows, : self.rows])

    def propagate(self, s: Array) -> Array:
        """The packed A_11 = D (I + S D / (phi lambda))^-1 at every node, shape (N, k(k+1)/2)."""
        return self._kept("noise", self.noise, s)

    def propagate_all(self, s: Array) -> Array:
        """The packed A at every node, shape (N, p(p+1)/2)."""
        if self.weight.shape[1] == self.rows:
            return self.propagate(s)
        return self._kept("weight", self.weight, s)

    def _kept(self, name: str, weight: Array, s: Array) -> Array:
        """A where it was asked for last: Newton's method, slopes and fields meet at one S."""
        asked = s.dtype.char, s.tobytes()
        if self._last.get(name, (None, None))[0] != asked:
            self._last[name] = asked, self._propagated(weight, s)
        return self._last[name][1]

    @cached_property
    def _last(self) -> dict[str, tuple[tuple[str, bytes], Array]]:
        return {}

    def _propagated(self, weight: Array, s: Array) -> Array:
        coupling, p = s / (self.aspect_ratio * self.law.precision), weight.shape[1]
        if p == 1 and self.rows == 1:
            d = weight[:, :, 0]
            return np.asarray(d / (1 + coupling[0, 0] * d))
        out = np.empty((len(weight), p * (p + 1) // 2), dtype=coupling.dtype)
        _solve_nodes(weight, np.ascontiguousarray(coupling), out)
        return out

    def mean(self, a: Array) -> Array:
        """lambda^-1 E[A_11], from the packed A_11."""
        return unpack(self.law.probability @ a, self.rows) / self.law.precision

    def curvature(self, a: Array) -> Array:
        """Minus the derivative of lambda^-1 E[A_11] in S: X -> (phi lambda^2)^-1 E[A_11 X A_11], on
        packed X.
        """
        outer = (a * self.law.probability[:, None]).T @ a
        at, k = positions(self.rows), self.rows
        # E[A_ij A_kl] stands where (A X A)_il takes X_jk
        full = outer[at[:, None, :, None], at.T[None, :, None, :]].reshape(k * k, k * k)
        return restrict(full) / (self.aspect_ratio * self.law.precision**2)

    def jacobian(self, inverse: Array, a: Array) -> Array:
        """Derivative of S^-1 - lambda^-1 E[A_11] in S, on packed matrices, from S^-1 and A."""
        return np.asarray(self.curvature(a) - restrict(np.kron(inverse, inverse)))

    def derivative(self, s: Array) -> Array:
        """dS/dz."""
        jacobian = self.jacobian(np.asarray(np.linalg.inv(s)), self.propagate(s))
        return unpack(np.linalg.solve(jacobian, -pack(np.eye(self.rows))), self.rows)

    def radius(self, s: Array) -> float:
        """Spectral radius of the positive map at a real S: below 1 only on the physical branch."""
        mapped = restrict(np.kron(s, s)) @ self.curvature(self.propagate(s))
        return float(np.abs(np.linalg.eigvals(mapped)).max(initial=0.0))

    def margin(self, s: Array) -> float:
        """How far I + Sigma K is from singular at the worst node, for a real S: its least singular
        value.
        """
        return float(np.linalg.svd(self._inner(s), compute_uv=False)[:, -1].min())

    def signs(self, s: Array) -> Array:
        """Sign of det(I + Sigma K) at every node, for a real S: constant on a branch."""
        return np.asarray(np.sign(np.linalg.det(self._inner(s))))

    def _inner(self, s: Array) -> Array:
        coupling = s / (self.aspect_ratio * self.law.precision)
        return np.asarray(np.eye(self.rows) + coupling @ self.noise)

    def solve_at(
        self, z: complex, start: Array, iterations: int = ITERATIONS, accuracy: float = SOLVED
    ) -> Array:
        """S at z by Newton's method from a nearby solution; real if z and ``start`` are.

        Raises
        ------
        ResolventError
            No convergence.
        """
        s, unit = np.array(start), np.eye(self.rows)
        residual = np.inf
        for _ in range(iterations):
            a = self.propagate(s)
            inverse = np.linalg.inv(s)
            rest = inverse + z * unit - self.mean(a)
            last, residual = residual, float(np.abs(rest).max() / (np.abs(inverse).max() + abs(z)))
            if residual <= accuracy or last / 2 < residual <= ROUNDED:
                return np.asarray(s)
            if not np.isfinite(residual):
                break
            change = unpack(np.linalg.solve(self.jacobian(inverse, a), -pack(rest)), self.rows)
            s = s + _damping(change, s) * change
        raise ResolventError(z, residual)

    def solve_trace(
        self, trace: float, start: Array, iterations: int = ITERATIONS
    ) -> tuple[float, Array]:
        """z and S with the given trace of S: Newton's method on the bordered system."""
        s, k = np.array(start), self.rows
        inverse = np.linalg.inv(s)
        z = float(np.trace(self.mean(self.propagate(s)) - inverse)) / k
        residual = np.inf
        for _ in range(iterations):
            a = self.propagate(s)
            inverse = np.linalg.inv(s)
            rest = inverse + z * np.eye(k) - self.mean(a)
            size, miss = np.abs(inverse).max() + abs(z), float(np.trace(s)) - trace
            last, residual = (
                residual,
                float(max(np.abs(rest).max() / size, abs(miss) / np.abs(s).max())),
            )
            if residual <= SOLVED or last / 2 < residual <= ROUNDED:
                return z, s
            if not np.isfinite(residual):
                break
            step = np.linalg.solve(self._bordered(inverse, a), -np.append(pack(rest), miss))
            change = unpack(step[:-1], k)
            damping = _damping(change, s)
            s = s + damping * change
            z += damping * float(step[-1])
        raise ResolventError(z, residual)

    def along_trace(self, s: Array) -> tuple[float, Array]:
        """dz and dS per d(trace S), at a real S."""
        bordered = self._bordered(np.linalg.inv(s), self.propagate(s))
        right = np.zeros(len(bordered))
        right[-1] = 1
        step = np.linalg.solve(bordered, right)
        return float(step[-1]), unpack(step[:-1], self.rows)

    def _bordered(self, inverse: Array, a: Array) -> Array:
        """Derivative of (the equation for S, trace S) in (packed S, z)."""
        unit = pack(np.eye(self.rows))[None]
        return np.asarray(np.block([[self.jacobian(inverse, a), unit.T], [unit, np.zeros((1, 1))]]))


def _damping(change: Array, s: Array) -> float:
    """Let S change by at most half its size in one step: the equation has poles."""
    return min(1.0, 0.5 * float(np.linalg.norm(s)) / max(float(np.linalg.norm(change)), 1e-300))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _solve_nodes(weight, coupling, out):  # type: ignore[no-untyped-def]
    """out[n] = packed (I + K Sigma)^-1 K, by elimination with partial pivoting."""
    nodes, p = weight.shape[0], weight.shape[1]
    k = coupling.shape[0]
    left = np.empty((p, p), dtype=out.dtype)
    right = np.empty((p, p), dtype=out.dtype)
    for n in range(nodes):
        for i in range(p):
            for j in range(p):
                right[i, j] = weight[n, i, j]
                left[i, j] = 1.0 if i == j else 0.0
            for j in range(k):
                total = left[i, j]
                for m in range(k):
                    total += weight[n, i, m] * coupling[m, j]
                left[i, j] = total
        for j in range(p):
            best = j
            for i in range(j + 1, p):
                if abs(left[i, j]) > abs(left[best, j]):
                    best = i
            if best != j:
                for m in range(p):
                    left[j, m], left[best, m] = left[best, m], left[j, m]
                    right[j, m], right[best, m] = right[best, m], right[j, m]
            for i in range(j + 1, p):
                factor = left[i, j] / left[j, j]
                for m in range(j + 1, p):
                    left[i, m] -= factor * left[j, m]
                for m in range(p):
                    right[i, m] -= factor * right[j, m]
        for i in range(p - 1, -1, -1):
            for m in range(p):
                total = right[i, m]
                for j in range(i + 1, p):
                    total -= left[i, j] * right[j, m]
                right[i, m] = total / left[i, i]
        at = 0
        for i in range(p):
            for j in range(i, p):
                out[n, at] = right[i, j]
                at += 1
