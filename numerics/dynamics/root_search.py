"""The way to a root of the drift with one quadrature rule: Newton's method, after the flow where it
must.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.optimize

from numerics.core.errors import FixedPointError
from numerics.core.flatten import unflatten
from numerics.core.parameters import Parameters
from numerics.core.state import State, nearest_psd
from numerics.core.validation import Array
from numerics.expectations.compiled import CompiledExpressions
from numerics.expectations.quadrature import Rule

from .integration.integrator import IntegrationStopped, integrate
from .jacobian import Field, autonomous_field, integrated_gram_eigenvalues, is_singular

# a root of the field is accepted when the field is this small relative to the size of the state
ROOT_RESIDUAL = 1e-10
# lengths of the relaxation tried before Newton's method, in units of the slowest linear time 1/beta
FLOW_TIMES = (4.0, 16.0, 64.0)
# without a ridge no rate is known beforehand: units of the larger of 1 and lambda
FREE_FLOW_TIMES = tuple(4.0**k for k in range(1, 11))
# accuracy of the flow, which only has to come near
FLOW_ACCURACY = 1e-5
# Without a ridge the field may vanish at infinity alone, where its residual is as small as one
# likes: there a root must lie where the flow has come, and Newton's last step must be short.
NEAR_FLOW, LAST_STEP = 0.05, 1e-4
# statistics below this are those of the zero fixed point, up to the accuracy of the flow
ZERO = 1e-5
# the flow that has come this close to 0 is taken to lead there
NEAR_ZERO = 1e-2
# growth of the state by this factor is divergence
DIVERGED = 1e4
# Singular values of a Jacobian of differences below this share of the largest are not told from
# zero; the share below which a root is not told from a field that fades away.
NEUTRAL, FADED = 1e-8, 1e-10
# difference step of a Jacobian for Newton's method, relative to the size of the state
DIFFERENCE = 1e-6
NEWTON_STEPS = 30
# Closed forms keep symmetries to the last digit, where nodes and SGD do not: the flow starts this
# far from the start, so that it leaves a symmetric saddle.
NUDGE = 1e-10


@dataclass(frozen=True)
class RootSearch:
    """The drift of one problem, and how its roots are looked for.

    Attributes
    ----------
    compiled : CompiledExpressions
    parameters : Parameters
    """

    compiled: CompiledExpressions
    parameters: Parameters

    def field(self, rule: Rule, replicate: int = 0) -> Field:
        """The drift as a function of the state vector."""
        return autonomous_field(self.compiled, self.parameters, rule, replicate)

    def first_root(self, start: State, rule: Rule, newton_first: bool) -> tuple[Array, str]:
        """A root and the way to it: Newton from the start if asked for, then from further and
        further down the flow.

        Raises
        ------
        FixedPointError
        """
        field, vector = self.field(rule), start.flatten()
        if newton_first:
            point, _, is_root = newton(field, vector)
            if is_root and self.is_state(point) and not self.is_degenerate(point):
                return point, "Newton"
        elif rule.kind == "closed" and not start.overlap.any():
            overlaps = start.overlap.size
            vector[:overlaps] = NUDGE * np.arange(1, overlaps + 1)
        residual, time = np.inf, 0.0
        for i, until in enumerate(self._flow_times):
            vector = self._follow(field, vector, until - time)
            time = until
            residual = float(np.abs(field(vector)).max(initial=0.0))
            point, _, is_root = newton(field, vector, conserves=self.parameters.ridge == 0)
            # a jump to a singular Q counts only where the flow itself has come there
            settled = not self.is_degenerate(point) or bool(np.abs(vector).max() <= NEAR_ZERO)
            last = i == len(self._flow_times) - 1
            near = self.parameters.ridge > 0 or _is_near(field, point, vector)
            if is_root and near and self.is_state(point) and (settled or last):
                return point, f"flow over t = {time:g}, then Newton"
        raise FixedPointError(self._nothing(residual, time), residual)

    @property
    def _flow_times(self) -> list[float]:
        """Times at which Newton's method is tried."""
        if self.parameters.ridge > 0:
            return list(np.cumsum(FLOW_TIMES) / self.parameters.ridge)
        return [t * max(1.0, self.parameters.precision) for t in FREE_FLOW_TIMES]

    def _follow(self, field: Field, vector: Array, time: float) -> Array:
        """Follow the flow roughly, to get near an attractor."""
        limit = DIVERGED * (1.0 + float(np.abs(vector).max(initial=0.0)))
        try:
            with np.errstate(all="ignore"):  # what is not finite rejects a step
                found = integrate(lambda _, s: field(s), vector, time, FLOW_ACCURACY, limit)
        except IntegrationStopped as stopped:
            residual = float(np.abs(field(vector)).max())
            raise FixedPointError(
                f"no fixed point of {self.compiled.model.name} was found: from this start the "
                f"dynamics diverge, {stopped.reason} (residual {residual:.3g}); take a smaller "
                "step c_delta",
                residual,
            ) from stopped
        end: Array = found.solution(time)
        return end

    def _nothing(self, residual: float, time: float) -> str:
        text = f"no fixed point of {self.compiled.model.name} was found: "
        if self.parameters.ridge > 0:
            return f"{text}the drift is still {residual:.3g}; start closer, or take a smaller step"
        return (
            f"{text}at t = {time:.3g} the drift is still {residual:.3g}. Without a ridge a loss "
            "that falls without end, such as the cross-entropy of classes that can be separated, "
            "has none; a ridge > 0 confines the weights"
        )

    def is_state(self, vector: Array) -> bool:
        """A root with a Gram matrix that is not positive semidefinite is none."""
        _, gram_perp, _ = unflatten(vector, self.compiled.model)
        lowest = np.linalg.eigvalsh(gram_perp)
        return bool(np.all(lowest[..., 0] > -1e-8 * (1.0 + lowest[..., -1])))

    def is_degenerate(self, vector: Array) -> bool:
        """Whether Q is singular or 0 at a root: Newton's method may jump there from far away."""
        overlap, gram_perp, readout = unflatten(vector, self.compiled.model)
        state = State(overlap, nearest_psd(gram_perp), readout)
        eigenvalues = integrated_gram_eigenvalues(self.compiled, self.parameters, state)
        return is_singular(eigenvalues) or bool(eigenvalues[-1] <= ZERO**2)


def newton(field: Field, vector: Array, conserves: bool = False) -> tuple[Array, float, bool]:
    """Solve field = 0 from ``vector``; returns the point, its residual and whether it is a root.

    Powell's hybrid method; where the flow ``conserves`` something, as without a ridge, Newton's
    method with the shortest steps, which leaves the conserved quantities as they are.
    """
    if conserves:
        point = _shortest_steps(field, vector)
    else:
        found = scipy.optimize.root(field, vector, method="hybr", options={"xtol": 1e-13})
        point = np.asarray(found.x, dtype=float)
    residual = float(np.abs(field(point)).max())
    return point, residual, bool(residual <= ROOT_RESIDUAL * (1.0 + np.abs(point).max()))


def _shortest_steps(field: Field, vector: Array) -> Array:
    """Newton's method with least-squares steps of least norm, while the residual falls."""
    point, residual = vector, float(np.abs(field(vector)).max())
    for _ in range(NEWTON_STEPS):
        left, values, right = np.linalg.svd(_differences(field, point))
        moving = values > NEUTRAL * values[0]
        step = (right[moving].T / values[moving]) @ (left[:, moving].T @ field(point))
        ahead = point - step
        if not np.all(np.isfinite(ahead)):
            break
        after = float(np.abs(field(ahead)).max())
        if not after < residual:
            break
        point, residual = ahead, after
    return point


def _differences(field: Field, point: Array) -> Array:
    """The Jacobian by central differences."""
    size = DIFFERENCE * (1.0 + np.abs(point))
    columns = [
        (field(point + shift) - field(point - shift)) / (2.0 * step)
        for step, shift in zip(size, np.diag(size), strict=True)
    ]
    return np.array(columns).T


def _is_near(field: Field, point: Array, vector: Array) -> bool:
    """Whether a root lies where the flow has come, and is one and not a field that fades away.

    Where F fades, so does a singular value of J, and their ratio stays; along a direction in which
    nothing moves both vanish, to their accuracy.
    """
    size = 1.0 + float(np.abs(point).max())
    left, values, _ = np.linalg.svd(_differences(field, point))
    if values[0] == 0 or float(np.abs(point - vector).max()) > NEAR_FLOW * size:
        return False
    steps = np.abs(left.T @ field(point)) / np.maximum(values, FADED * values[0])
    return float(steps.max()) <= LAST_STEP * size
