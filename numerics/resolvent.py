r"""Matrix-valued Stieltjes transform of a weighted sample covariance in the proportional limit.

For :math:`\frac1M\sum_iD_i\otimes Z_iZ_i^T/\lambda` with M / d -> phi the resolvent is :math:`S(z)\otimes I_d`,

.. math:: S^{-1} = -zI + \lambda^{-1}E[A],\qquad A = D\,(I+SD/(\phi\lambda))^{-1},

(mathematics.md section 7).  Nothing divides by D.  Outside the support S is real and symmetric, and the positive map
:math:`X\mapsto\frac1{\phi\lambda^2}E[SAXAS]` has spectral radius below 1; at a square-root edge the radius is 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .state import Array
from .weight_law import WeightLaw


class ResolventError(ArithmeticError):
    """The equation for the resolvent was not solved at ``z``; ``residual`` is what was left."""

    def __init__(self, z: complex, residual: float) -> None:
        super().__init__(f"no solution of the Stieltjes equation at z = {z:.8g}: residual {residual:.3g}")
        self.z, self.residual = z, residual


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
        """Orthonormal rows that every D maps to 0: the matrix is exactly 0 there."""
        return self._split[0]

    @cached_property
    def range(self) -> Array:
        """Orthonormal rows spanning the rest."""
        return self._split[1]

    @cached_property
    def _split(self) -> tuple[Array, Array]:
        d = self.law.weight
        square = np.einsum("n,nij,njk->ik", self.law.probability, d, d)
        values, vectors = np.linalg.eigh(square)
        zero = values <= 1e-24 * values.max(initial=0.0)
        return vectors[:, zero].T, vectors[:, ~zero].T

    @cached_property
    def weight(self) -> Array:
        """D on the range."""
        p = self.range
        return np.asarray(np.ascontiguousarray(p @ self.law.weight @ p.T))

    @property
    def rows(self) -> int:
        """Size of S on the range."""
        return int(self.weight.shape[1])

    def propagate(self, s: Array) -> Array:
        """A_n = D_n (I + S D_n / (phi lambda))^-1 at every node, shape (N, k', k')."""
        d = self.weight
        inner = np.eye(self.rows) + (s @ d) / (self.aspect_ratio * self.law.precision)
        if self.rows == 1:
            return np.asarray(d / inner)
        # D (I + c S D)^-1 is symmetric: the transpose of (I + c D S)^-1 D
        return np.asarray(np.linalg.solve(np.swapaxes(inner, 1, 2), d))

    def mean(self, a: Array) -> Array:
        """lambda^-1 E[A]."""
        return np.asarray(np.einsum("n,nij->ij", self.law.probability, a)) / self.law.precision

    def curvature(self, a: Array) -> Array:
        """(phi lambda^2)^-1 E[A (x) A], k'^2 x k'^2: minus the derivative of lambda^-1 E[A] in S, on vec(dS)."""
        k = self.rows
        flat = a.reshape(len(a), k * k)
        outer = (flat * self.law.probability[:, None]).T @ flat
        # E[A_ij A_kl] -> (A dS A)_il = sum_jk A_ij dS_jk A_kl
        quad = outer.reshape(k, k, k, k).transpose(0, 3, 1, 2).reshape(k * k, k * k)
        return np.asarray(quad / (self.aspect_ratio * self.law.precision**2))

    def jacobian(self, inverse: Array, a: Array) -> Array:
        """Derivative of S^-1 - lambda^-1 E[A] in S, on vec(dS), from S^-1 and A."""
        return np.asarray(-np.kron(inverse, inverse) + self.curvature(a))

    def derivative(self, s: Array) -> Array:
        """dS/dz."""
        k = self.rows
        jacobian = self.jacobian(np.asarray(np.linalg.inv(s), dtype=float), self.propagate(s))
        return np.asarray(np.linalg.solve(jacobian, -np.eye(k).ravel()).reshape(k, k))
