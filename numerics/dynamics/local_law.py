"""Drift, diffusion and their derivatives along a curve: coefficients of the law of fluctuations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from numerics.core.errors import IntegrationError
from numerics.core.flatten import unflatten
from numerics.core.geometry import field_gram
from numerics.core.parameters import Parameters
from numerics.core.schedule import Pace
from numerics.core.state import State
from numerics.core.validation import Array
from numerics.expectations.compiled import CompiledExpressions, compile_expressions
from numerics.expectations.quadrature import Rule, rule_of, sobol
from theory import Drift, InputError, Model, derive_diffusion, derive_finite_size, symbols

from .refinement import SOBOL_REPLICATES

# step of the differences of fourth order, in units of the state; smaller near the edge of the
# positive Gram matrices
STEP = 0.02

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
        # evaluated once where the drift is evaluated a hundred times: arrays, nothing to wait for
        return cls(
            model,
            parameters,
            pace,
            compile_expressions(model, pace.drift(drift).vector, closed_forms=False),
            compile_expressions(model, extra, "numpy", closed_forms=False),
            compile_expressions(model, diffusion.vector, "numpy", closed_forms=False),
        )

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
        gram = field_gram(self.model, self.parameters, overlap, gram_perp)[1]
        basis = self.drift.quadrature_basis
        reduced = basis @ gram @ basis.T
        return float(np.linalg.eigvalsh(reduced)[0]) if reduced.size else 1.0

    def at(
        self, resolution: Resolution, replicate: int, time: float, vector: Array
    ) -> LocalCoefficients:
        """Everything at one state and time."""
        model, n = self.model, vector.size
        eta, now = self.pace.at(self.parameters, time)
        rule = resolution(self.drift.dimension)

        def field(at: Array, when: float = time) -> Array:
            factor, here = self.pace.at(self.parameters, when)
            return factor * self.drift.evaluate(here, *unflatten(at, model), rule, replicate)

        def value(compiled: CompiledExpressions) -> Array:
            return compiled.evaluate(
                now, *unflatten(vector, model), resolution(compiled.dimension), replicate
            )

        overlap, gram_perp, _ = unflatten(vector, model)
        step = min(STEP, 0.05 * self._smallest(overlap, gram_perp))
        if step <= 1e-9:
            raise IntegrationError(
                f"the Gram matrix Q of {model.name} becomes singular at t = {time:.6g}", time
            )
        center = field(vector)

        def around(direction: Array) -> list[Array]:
            return [field(vector + k * step * direction) for k in (-2, -1, 1, 2)]

        jacobian = np.empty((n, n))
        for j in range(n):
            far_down, down, up, far_up = around(np.eye(n)[j])
            jacobian[:, j] = (8 * (up - down) - (far_up - far_down)) / (12 * step)

        def bend(covariance: Array) -> Array:
            sizes, directions = np.linalg.eigh(covariance)
            total = np.zeros(n)
            for size, direction in zip(sizes, directions.T, strict=True):
                if size > 1e-14 * sizes[-1]:
                    far_down, down, up, far_up = around(direction)
                    total += (
                        size
                        * (16 * (up + down) - (far_up + far_down) - 30 * center)
                        / (24 * step**2)
                    )
            return total

        moments = value(self.diffusion)
        mean = moments[n * n :]
        noise = moments[: n * n].reshape(n, n) - np.outer(mean, mean)
        noise *= eta**2 * self.parameters.step / self.pace.batch
        # F1 is proportional to its step eta c_delta, of which ``now`` has 1 / b
        extra = eta * self.pace.batch * value(self.extra)
        change = jacobian @ center
        if self.pace.schedule is not None:
            early, late = max(time - 1e-5, 0.0), time + 1e-5
            change = change + (field(vector, late) - field(vector, early)) / (late - early)
        return LocalCoefficients(center, jacobian, noise, extra, bend, change)


def deterministic_rules(family: str, size: int) -> Resolution:
    """Tensor or panel rules of a size, for any number of dimensions."""
    return lambda dimension: rule_of(family, dimension, size)


def sobol_rules(size: int, seed: int) -> Resolution:
    """Scrambled Sobol rules of a size, for any number of dimensions."""
    return lambda dimension: sobol(dimension, size, SOBOL_REPLICATES, seed)
