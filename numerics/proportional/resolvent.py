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
from typing import Any

import numpy as np

from numerics.core.errors import ResolventError
from numerics.core.packed_symmetric import Array, congruence, pack

from .covariance.balanced_root import damping, is_plain, largest_entry
from .frame import Frame
from .nodes.node_equation import NodeEquation

# Newton's method: iterations, and the residual relative to the largest term
ITERATIONS, SOLVED = 60, 1e-13
# below this a residual that no longer falls is rounding of sums over nodes
ROUNDED = 1e-11
# A residual this small leaves the derivative as it is, which costs more than the equation itself,
# as long as every step divides the residual by the second number.
SMALL, FALLING = 1e-4, 0.03
# A step along a branch that has not brought the residual there after half of the few iterations it
# may take is too long a one.
HOPELESS = 0.5


@dataclass(frozen=True)
class Resolvent(NodeEquation):
    """The equation for S at one law and aspect ratio, and its solutions."""

    def _frame(self, s: Array) -> Frame:
        """The frame of S; where it was asked for last, with what its sums remember."""
        asked = s.dtype.char, s.tobytes()
        # both at once, so that no thread gets the frame of another one's S
        last, frame = self._last_frame.get("last", (None, None))
        if frame is None or last != asked:
            frame = Frame.of(self, s)
            self._last_frame["last"] = asked, frame
        return frame

    @cached_property
    def _last_frame(self) -> dict[str, Any]:
        return {}

    def derivative(self, s: Array) -> Array:
        """dS/dz."""
        frame = self._frame(s)
        jacobian = frame.jacobian(frame.inward(s))
        right = np.broadcast_to(-pack(frame.gram), (len(s), len(jacobian) // len(s)))
        return frame.outward(self.unpacked(np.linalg.solve(jacobian, right.ravel())))

    def radius(self, s: Array) -> float:
        """Spectral radius of the positive map at a real S: below 1 only on the physical branch."""
        frame = self._frame(s)
        x = frame.inward(s)
        curvature = frame.terms(x, True)[2]
        assert curvature is not None
        mapped = congruence(x) @ curvature.reshape(len(x), -1, len(curvature))
        mapped = mapped.reshape(curvature.shape)
        return float(np.abs(np.linalg.eigvals(mapped)).max(initial=0.0))

    def solve_at(
        self, z: complex, start: Array, iterations: int = ITERATIONS, accuracy: float = SOLVED
    ) -> Array:
        """S at z by Newton's method from a nearby solution; real if z and ``start`` are.

        Raises
        ------
        ResolventError
            No convergence.
        """
        frame = self._frame(start)
        x, residual, jacobian = frame.inward(start), np.inf, None
        for _ in range(iterations):
            inverse, mean, curvature = frame.terms(x, jacobian is None or residual > SMALL)
            rest = inverse + z * frame.gram - mean
            size = largest_entry(inverse) + abs(z) * largest_entry(frame.gram)
            last, residual = residual, largest_entry(rest) / size
            if last / 2 < residual <= ROUNDED or not np.isfinite(residual):
                break
            if curvature is not None:
                jacobian = self.jacobian(inverse, curvature)
            elif accuracy < residual > FALLING * last:
                jacobian = frame.jacobian(x)
            assert jacobian is not None
            change = self.unpacked(np.linalg.solve(jacobian, -pack(rest).ravel()))
            x = x + damping(change, x) * change
            if residual <= accuracy:  # the last step is for nothing
                break
        if residual <= max(accuracy, ROUNDED):
            return frame.outward(x)
        raise ResolventError(z, residual)

    def solve_many(
        self, z: Array, start: Array, iterations: int, trusted: bool = False
    ) -> tuple[Array, Array]:
        """S at many z at once, each from a solution nearby: what :meth:`solve_at` does, without
        frames.

        Parameters
        ----------
        z : array, shape (Z,)
        start : array, shape (Z, B, k, k)
        iterations : int
        trusted : bool
            Most starts are solutions already: the derivative is asked for where they are not.

        Returns
        -------
        solutions : array, shape (Z, B, k, k)
            Not a number where it was not solved, as where frames are needed.
        solved : bool array, shape (Z,)
        """
        out, solved = np.full(start.shape, np.nan, dtype=start.dtype), np.zeros(len(z), dtype=bool)
        at = np.flatnonzero(is_plain(start)) if len(z) else np.zeros(0, dtype=np.intp)
        x, residual = np.array(start[at]), np.full(len(at), np.inf)
        size = self.law.covariances.bands * self.rows * (self.rows + 1) // 2
        jacobian, unit = np.empty((len(at), size, size), dtype=start.dtype), np.eye(self.rows)
        begun = np.zeros(len(at), dtype=bool)  # whether there is a derivative
        for _ in range(iterations):
            if not len(at):
                break
            inverse, fresh = np.linalg.inv(x), (residual > SMALL) & ~(trusted & ~begun)
            mean = self._means(x, inverse, fresh, jacobian)
            places = z[at, None, None, None]
            rest = inverse + places * unit - mean
            scale = np.abs(inverse).max(axis=(1, 2, 3)) + np.abs(z[at])
            last, residual = residual, np.abs(rest).max(axis=(1, 2, 3)) / scale
            begun = begun | fresh
            done = (last / 2 < residual) & (residual <= ROUNDED) | ~begun & (residual <= SOLVED)
            out[at[done]], solved[at[done]] = x[done], True
            left = ~done & np.isfinite(residual)
            slow = left & ~fresh & (residual > SOLVED) & (~begun | (residual > FALLING * last))
            if slow.any():
                curvature = self.sums(x[slow], True)[1]
                assert curvature is not None
                jacobian[slow], begun = self.jacobian(inverse[slow], curvature), begun | slow
            at, x, residual, rest = at[left], x[left], residual[left], rest[left]
            jacobian, begun = jacobian[left], begun[left]
            if not len(at):
                break
            right = -pack(rest).reshape(len(at), -1, 1)
            change = self.unpacked(np.linalg.solve(jacobian, right)[..., 0])
            x = x + damping(change, x) * change
            done = residual <= SOLVED  # the last step is for nothing
            out[at[done]], solved[at[done]] = x[done], True
            at, x, residual = at[~done], x[~done], residual[~done]
            jacobian, begun = jacobian[~done], begun[~done]
        return out, solved

    def _means(self, x: Array, inverse: Array, fresh: Array, jacobian: Array) -> Array:
        """lambda^-1 E[A] at many S, and in some of them the derivative, which is put in its place:
        it costs more than the means.
        """
        mean = np.empty_like(x)
        if fresh.any():
            mean[fresh], curvature = self.sums(x[fresh], True)
            assert curvature is not None
            jacobian[fresh] = self.jacobian(inverse[fresh], curvature)
        if not fresh.all():
            mean[~fresh] = self.sums(x[~fresh], False)[0]
        return mean

    def solve_trace(
        self, trace: float, start: Array, iterations: int = ITERATIONS
    ) -> tuple[float, Array]:
        """z and S with the given trace of S: Newton's method on the bordered system."""
        frame = self._frame(start)
        x, z, residual, jacobian = frame.inward(start), None, np.inf, None
        for i in range(iterations):
            if _is_hopeless(i, iterations, residual):
                break
            inverse, mean, curvature = frame.terms(x, jacobian is None or residual > SMALL)
            if z is None:
                z = float(self.trace((mean - inverse) @ np.linalg.inv(frame.gram))) / self.rows
            rest = inverse + z * frame.gram - mean
            miss = float(self.trace(frame.gram @ x)) - trace
            size = largest_entry(inverse) + abs(z) * largest_entry(frame.gram)
            off = abs(miss) / max(abs(trace), largest_entry(frame.gram * x))
            last, residual = residual, max(largest_entry(rest) / size, off)
            if last / 2 < residual <= ROUNDED or not np.isfinite(residual):
                break
            if curvature is not None:
                jacobian = frame.bordered(self.jacobian(inverse, curvature))
            elif SOLVED < residual > FALLING * last:
                jacobian = frame.bordered(frame.jacobian(x))
            assert jacobian is not None
            step = np.linalg.solve(jacobian, -np.append(pack(rest).ravel(), miss))
            change = self.unpacked(step[:-1])
            share = float(damping(change, x).item())
            x = x + share * change
            z += share * float(step[-1])
            if residual <= SOLVED:  # the last step is for nothing
                break
        if z is not None and residual <= ROUNDED:
            return z, frame.outward(x)
        raise ResolventError(np.nan if z is None else z, residual)

    def along_trace(self, s: Array) -> tuple[float, Array]:
        """dz and dS per d(trace S), at a real S."""
        frame = self._frame(s)
        bordered = frame.bordered(frame.jacobian(frame.inward(s)))
        right = np.zeros(len(bordered))
        right[-1] = 1
        step = np.linalg.solve(bordered, right)
        return float(step[-1]), frame.outward(self.unpacked(step[:-1]))


def _is_hopeless(done: int, iterations: int, residual: float) -> bool:
    """Whether a step along a branch is given up after so many of a few iterations."""
    return iterations < ITERATIONS and done >= HOPELESS * iterations and residual > SMALL
