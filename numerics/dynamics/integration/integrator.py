"""Solutions of a flow that are known at every time: explicit steps, and implicit ones where it is
stiff.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.integrate import DOP853, RK45, OdeSolution

from numerics.core.validation import Array

from .collocation import Field, StiffSteps
from .explicit_steps import ExplicitSteps

# the explicit method of order 8 pays below this accuracy
HIGH_ORDER = 1e-6
# The stability regions of the explicit methods reach 3.3 and 6.1 along the negative axis.  Steps
# whose fastest mode lies close to that end, so many of them without a few better ones in between,
# are stability's choice and not accuracy's.
STABLE = {RK45: 2.6, DOP853: 5.0}
STIFF_STEPS, GOOD_STEPS = 15, 6
# an explicit integration longer than this is tried implicitly, whatever limits its steps
MANY_STEPS = 600


class IntegrationStopped(ArithmeticError):
    """No step leads on from time ``reached``; ``is_short`` if none is short enough to succeed."""

    def __init__(self, reason: str, reached: float, is_short: bool) -> None:
        super().__init__(reason)
        self.reason, self.reached, self.is_short = reason, reached, is_short


@dataclass(frozen=True)
class Trajectory:
    """A solution on [0, end]: callable at every time.

    Attributes
    ----------
    solution : scipy OdeSolution
    evaluations : int
        Right-hand sides computed.
    """

    solution: OdeSolution
    evaluations: int

    @property
    def steps(self) -> Array:
        """Ends of the steps."""
        return np.asarray(self.solution.ts, dtype=float)


def integrate(
    field: Field, start: Array, end: float, accuracy: float, limit: float, copies: int = 1
) -> Trajectory:
    """Integrate ``copies`` of a flow, side by side in one vector, from time 0.

    Parameters
    ----------
    field : callable
        F(t, s); entries that are not finite reject a step.
    start : array
    end : float
    accuracy : float
        Relative and absolute, of a step.
    limit : float
        A statistic beyond is a diverging flow: without a stop the steps collapse and the
        integration runs for ever.
    copies : int

    Raises
    ------
    IntegrationStopped
    """
    method = DOP853 if accuracy < HIGH_ORDER else RK45
    explicit = ExplicitSteps(method, field, start, end, accuracy)
    stiffness = _Stiffness(STABLE[method])
    implicit: StiffSteps | None = None
    times: list[float] = [0.0]
    pieces: list[Callable[[Array], Array]] = []
    while times[-1] < end or not pieces:
        if implicit is None:
            piece = explicit.step()
            now, vector = explicit.solver.t, explicit.solver.y
            stalls = now < end and piece is not None and stiffness.seen(explicit.solver)
            if stalls or len(pieces) == MANY_STEPS:
                rest = explicit.solver.step_size
                implicit = StiffSteps(field, now, vector, end, accuracy, copies, rest)
        else:
            piece = implicit.step()
            now, vector = implicit.t, implicit.y
        if piece is None:
            raise IntegrationStopped("no step is short enough", now, True)
        if not np.abs(vector).max(initial=0.0) <= limit:
            raise IntegrationStopped(f"a statistic passed {limit:.3g}", now, False)
        times.append(now)
        pieces.append(piece)
    evaluations = explicit.evaluations + (implicit.evaluations if implicit else 0)
    return Trajectory(OdeSolution(times, pieces), evaluations)


class _Stiffness:
    """Whether explicit steps are held up by stability (Hairer and Wanner, section IV.2).

    The last stage of both methods and the state after the step belong to the same time: slopes and
    states differ there along the fastest mode, and their ratio is its rate.
    """

    def __init__(self, stable: float) -> None:
        self._stable = stable
        self._stiff, self._good = 0, 0

    def seen(self, solver: DOP853 | RK45) -> bool:
        """Look at the step just taken; True once the flow has proved stiff."""
        last, length = solver.n_stages - 1, solver.step_size
        stage = solver.y_old + length * solver.A[last, :last] @ solver.K[:last]
        distance = float(np.linalg.norm(solver.y - stage))
        change = float(np.linalg.norm(solver.f - solver.K[last]))
        if length * change > self._stable * distance > 0:
            self._stiff, self._good = self._stiff + 1, 0
        else:
            self._good += 1
            if self._good == GOOD_STEPS:
                self._stiff = 0
        return self._stiff >= STIFF_STEPS
