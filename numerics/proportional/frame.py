"""Rows in which a resolvent is of size one, for Newton's method."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from numerics.core.covariance.token_arrays import repeated
from numerics.core.packed_symmetric import Array, pack

from .covariance.balanced_root import balanced_root, is_plain
from .nodes.node_equation import NodeEquation
from .nodes.node_sums import NodeSums


@dataclass(frozen=True)
class Frame:
    """Rows in which a known S is of size one: S = B X B^T, with the same B in every band.

    Where an atom at zero or units of different sizes let the eigenvalues of S differ by many powers
    of ten, Newton's method loses the small ones to rounding; here it does not.  Elsewhere B is the
    unit matrix.

    Attributes
    ----------
    equation : NodeEquation
    root, inverse_root : array, shape (k, k)
        B, and its inverse.
    gram : array, shape (k, k)
        B^T B, which stands where the equation for S has the unit matrix.
    weights : list of NodeSums
        B^T D B.
    """

    equation: NodeEquation
    root: Array
    inverse_root: Array
    gram: Array
    weights: list[NodeSums]

    @classmethod
    def of(cls, equation: NodeEquation, s: Array) -> Frame:
        """The frame of S: B B^T = |Re S| + Im S, the mean over bands."""
        if is_plain(s):
            one = np.eye(equation.rows)
            return cls(equation, one, one, one, equation.node_sums)
        root, inverse = balanced_root(s)
        weights = equation.sums_of(
            equation.grouped_noise.congruent(repeated(root, equation.law.tokens))
        )
        return cls(equation, root, inverse, root.T @ root, weights)

    def inward(self, s: Array) -> Array:
        """X of S."""
        return np.asarray(self.inverse_root @ s @ self.inverse_root.T)

    def outward(self, x: Array) -> Array:
        """S of X."""
        s = self.root @ x @ self.root.T
        return np.asarray((s + np.swapaxes(s, -1, -2)) / 2)

    def terms(self, x: Array, squares: bool) -> tuple[Array, Array, Array | None]:
        """X^-1, lambda^-1 E[A] in this frame, and the curvature if it is asked for."""
        mean, curvature = self.equation.sums(x[None], squares, self.weights)
        return np.linalg.inv(x), mean[0], None if curvature is None else curvature[0]

    def jacobian(self, x: Array) -> Array:
        """Derivative of the equation for X in packed X."""
        inverse, _, curvature = self.terms(x, True)
        assert curvature is not None
        return self.equation.jacobian(inverse, curvature)

    def bordered(self, jacobian: Array) -> Array:
        """Derivative of (the equation for X, trace S) in (packed X, z)."""
        fractions = self.equation.law.covariances.fractions
        row = pack(2 * self.gram - np.diag(np.diag(self.gram)))  # off the diagonal twice
        out = np.zeros((len(jacobian) + 1, len(jacobian) + 1))
        out[:-1, :-1] = jacobian
        out[:-1, -1].reshape(len(fractions), -1)[:] = pack(self.gram)
        out[-1, :-1] = (fractions[:, None] * row).ravel()
        return out
