"""Drift, diffusion and their derivatives along a curve: coefficients of the law of fluctuations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from numerics.core.errors import IntegrationError
from numerics.core.flatten import unflatten
from numerics.core.geometry import law_eigenvalues
from numerics.core.parameters import Parameters
from numerics.core.schedule import Pace
from numerics.core.state import State
from numerics.core.validation import Array
from numerics.expectations.compiled import CompiledExpressions, compile_expressions
from numerics.expectations.quadrature import MAX_PANEL_DIMENSION, Rule, rule_of, sobol
from theory import Drift, InputError, Model, derive_diffusion, derive_finite_size, symbols

from .refinement import SOBOL_REPLICATES

# step of the differences of fourth order, in units of the state; smaller near the edge of the
# positive Gram matrices
STEP = 0.02
# of those of second order, where quasi-Monte Carlo of a smooth loss is less exact than they are: a
# difference on fixed nodes has no other error than its own
SHORT_STEP = 0.003
# multiples of the step, with what they weigh in the first and in the second derivative
Stencil = tuple[tuple[int, float, float], ...]
SECOND_ORDER: Stencil = ((-1, -1 / 2, 1.0), (1, 1 / 2, 1.0))
FOURTH_ORDER: Stencil = (
    (-2, 1 / 12, -1 / 12),
    (-1, -8 / 12, 16 / 12),
    (1, 8 / 12, 16 / 12),
    (2, -1 / 12, -1 / 12),
)

# dimension of an integral -> its rule
Resolution = Callable[[int], Rule]


@dataclass(frozen=True)
class LocalCoefficients:
    """The law of the steps at one state and time.

    Attributes
    ----------
    drift : array, shape (n,)
        eta F.
    jacobian : array, shape (n, n)
        eta J.
    noise : array, shape (n, n)
        What C gains in a unit of time.
    extra : array, shape (n,)
        eta F1.
    bend : callable, C -> eta / 2 sum_ij C_ij d_i d_j F
    change : array, shape (n,)
        Second derivative of the curve in time.
    """

    drift: Array
    jacobian: Array
    noise: Array
    extra: Array
    bend: Callable[[Array], Array]
    change: Array


@dataclass(frozen=True)
class LocalLaw:
    """Drift, its 1/d part and the diffusion, compiled."""

    model: Model
    parameters: Parameters
    pace: Pace
    drift: CompiledExpressions
    extra: CompiledExpressions
    diffusion: CompiledExpressions

    @classmethod
    def compile(cls, model: Model, parameters: Parameters, drift: Drift, pace: Pace) -> LocalLaw:
        """Compile the parts, those of the step with a step that can be varied."""
        free = replace(model, step=symbols.STEP)
        diffusion = derive_diffusion(free)
        extra = derive_finite_size(free, batch=pace.batch).vector
        # by quadrature: all three at the same resolution, of which diffusions have no closed forms
        flow = compile_expressions(model, pace.drift(drift).vector, closed_forms=False)
        # evaluated once where the drift is evaluated a hundred times: arrays, nothing to wait for,
        # unless there are so many nodes that machine code pays
        many = model.loss.is_smooth and flow.dimension > MAX_PANEL_DIMENSION
        target = "numba" if many else "numpy"
        steps, noise = (
            compile_expressions(model, e, target, closed_forms=False)
            for e in (extra, diffusion.vector)
        )
        return cls(model, parameters, pace, flow, steps, noise)

    def check(self, state: State, name: str) -> None:
        """Refuse a singular Q, where the drift has no two-sided derivatives."""
        smallest = self._smallest(state.overlap, state.gram_perp)
        if smallest <= 1e-10:
            raise InputError(
                name,
                f"a Gram matrix Q with smallest eigenvalue {smallest:.3g} along the integration "
                "directions",
                "a positive definite Q",
                "the drift cannot be expanded at a singular Q; add noise to gram_perp",
            )

    def _smallest(self, overlap: Array, gram_perp: Array) -> float:
        """The smallest eigenvalue of the Gram matrix of the fields that are integrated over."""
        basis = self.drift.quadrature_basis
        return float(law_eigenvalues(self.model, self.parameters, overlap, gram_perp, basis)[0])

    def at(
        self, resolution: Resolution, replicate: int, time: float, vector: Array
    ) -> LocalCoefficients:
        """Everything at one state and time."""
        model, n = self.model, vector.size
        eta, now = self.pace.at(self.parameters, time)
        rule = resolution(self.drift.dimension)

        def fields(states: Array, when: float = time) -> Array:
            factor, here = self.pace.at(self.parameters, when)
            return factor * self.drift.evaluate_states(here, states, rule, replicate)

        def value(compiled: CompiledExpressions) -> Array:
            return compiled.evaluate(
                now, *unflatten(vector, model), resolution(compiled.dimension), replicate
            )

        overlap, gram_perp, _ = unflatten(vector, model)
        rough = rule.kind == "sobol" and model.loss.is_smooth
        stencil, longest = (SECOND_ORDER, SHORT_STEP) if rough else (FOURTH_ORDER, STEP)
        step = min(longest, 0.05 * self._smallest(overlap, gram_perp))
        if step <= 1e-9:
            raise IntegrationError(
                f"the Gram matrix Q of {model.name} becomes singular at t = {time:.6g}", time
            )
        center = fields(vector[None])[0]

        def around(directions: Array) -> Array:
            """The drift at the points of the stencil along each direction, (points, k, n)."""
            shifts = np.array([k * step for k, _, _ in stencil])
            states = vector + shifts[:, None, None] * directions
            return fields(states.reshape(-1, n)).reshape(shifts.size, -1, n)

        slopes = np.array([first for _, first, _ in stencil])
        jacobian = np.tensordot(slopes, around(np.eye(n)), axes=1).T / step

        def bend(covariance: Array) -> Array:
            sizes, directions = np.linalg.eigh(covariance)
            seen = sizes > 1e-14 * sizes[-1]
            if not seen.any():
                return np.zeros(n)
            weights = np.array([second for _, _, second in stencil])
            bends = np.tensordot(weights, around(directions.T[seen]), axes=1)
            bends -= weights.sum() * center
            return np.asarray(sizes[seen] @ bends / (2 * step**2))

        moments = value(self.diffusion)
        mean = moments[n * n :]
        noise = moments[: n * n].reshape(n, n) - np.outer(mean, mean)
        noise *= eta**2 * self.parameters.step / self.pace.batch
        # F1 is proportional to its step eta c_delta, of which ``now`` has 1 / b
        extra = eta * self.pace.batch * value(self.extra)
        change = jacobian @ center
        if self.pace.schedule is not None:
            early, late = max(time - 1e-5, 0.0), time + 1e-5
            ahead, behind = (fields(vector[None], when)[0] for when in (late, early))
            change = change + (ahead - behind) / (late - early)
        return LocalCoefficients(center, jacobian, noise, extra, bend, change)


def deterministic_rules(family: str, size: int) -> Resolution:
    """Tensor or panel rules of a size, for any number of dimensions."""
    return lambda dimension: rule_of(family, dimension, size)


def sobol_rules(size: int, seed: int) -> Resolution:
    """Scrambled Sobol rules of a size, for any number of dimensions."""
    return lambda dimension: sobol(dimension, size, SOBOL_REPLICATES, seed)
