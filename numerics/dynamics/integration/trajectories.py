"""One integration of the effective dynamics with one quadrature rule and one accuracy."""

from __future__ import annotations

import numpy as np

from numerics.core.errors import IntegrationError
from numerics.core.parameters import Parameters
from numerics.core.schedule import Pace
from numerics.core.state import State
from numerics.core.validation import Array
from numerics.expectations.compiled import CompiledExpressions
from numerics.expectations.quadrature import Rule

from .flow_field import check_finite, replicated_field
from .integrator import IntegrationStopped, Trajectory, integrate

# A statistic this many times larger than at the start is a diverging flow: without a stop the step
# size of the integrator collapses and it runs for ever.
DIVERGED = 1e6


class _Watched:
    """A field whose failures reject a step, and which remembers the last of them."""

    def __init__(
        self,
        compiled: CompiledExpressions,
        parameters: Parameters,
        rule: Rule,
        pace: Pace,
        limit: float,
    ) -> None:
        self._compiled, self._parameters, self._replicates = compiled, parameters, rule.replicates
        self._field = replicated_field(compiled, parameters, rule, pace)
        self._limit = limit
        self._failure: tuple[float, Array, Array] | None = None

    def __call__(self, time: float, vectors: Array) -> Array:
        try:
            slopes = self._field(time, vectors)
        except ArithmeticError:
            slopes = np.full_like(vectors, np.nan)
        # a trial step far outside overflows, which says nothing of the loss
        if not np.all(np.isfinite(slopes)) and np.abs(vectors).max(initial=0.0) <= self._limit:
            self._failure = time, vectors, slopes
        return slopes

    def explain(self) -> None:
        """Raise an error that names what was not a number, if anything was."""
        if self._failure is None:
            return
        time, *both = self._failure
        vectors, slopes = (x.reshape(self._replicates, -1) for x in both)
        worst = int(np.argmin(np.isfinite(slopes).all(axis=1)))
        check_finite(self._compiled, self._parameters, time, vectors[worst], slopes[worst])


def trajectory(
    compiled: CompiledExpressions,
    parameters: Parameters,
    initial: State,
    end: float,
    rule: Rule,
    accuracy: float,
    pace: Pace,
) -> Trajectory:
    """Integrate one curve for each replicate of the rule, all in one vector.

    Raises
    ------
    IntegrationError
        The flow diverges, or the drift is not a number; ``reached`` is the time reached.
    """
    start = np.tile(initial.flatten(), rule.replicates)
    limit = DIVERGED * (1.0 + float(np.abs(start).max(initial=0.0)))
    field = _Watched(compiled, parameters, rule, pace, limit)
    with np.errstate(all="ignore"):  # what is not finite rejects a step, or is refused by name
        field(0.0, start)
        field.explain()
        try:
            return integrate(field, start, end, accuracy, limit, rule.replicates)
        except IntegrationStopped as stopped:
            if stopped.is_short:
                field.explain()
            raise IntegrationError(
                f"the effective dynamics of {compiled.model.name} could not be integrated beyond "
                f"t = {stopped.reached:.6g} of {end:.6g}: {stopped.reason}; reduce the step "
                "c_delta or the time",
                stopped.reached,
            ) from stopped
