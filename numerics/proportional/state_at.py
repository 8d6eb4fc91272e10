"""States for phase diagrams: at the fixed point, or at a time of the curve, for every precision."""

from __future__ import annotations

from collections.abc import Callable

from numerics.core.parameters import Parameters
from numerics.core.state import State, check_state
from numerics.core.validation import as_scalar, check_kind
from numerics.dynamics.curves import solve_curve
from numerics.dynamics.fixed_points import solve_fixed_point
from theory import Model
from theory.keywords import with_known_keywords


@with_known_keywords
def state_at_fixed_point(model: Model, start: State | None = None) -> Callable[[Parameters], State]:
    """The fixed point of the effective dynamics, as a function of the parameters; see
    :func:`solve_fixed_point`.

    Examples
    --------
    >>> import numpy as np
    >>> from theory import kgmm
    >>> state = state_at_fixed_point(kgmm(2))
    >>> m = state(Parameters([0.5, 0.5], 1e6, 0.1, 1)).overlap
    >>> s = m[0, 0] - m[1, 0]
    >>> bool(abs(0.1 * s * (np.exp(s) + 1) - 1) < 1e-5)
    True
    """

    check_kind("model", model, Model, "the order is (model, start)")
    if start is not None:
        check_state(model, start, "start")

    def state(parameters: Parameters) -> State:
        point = solve_fixed_point(model, parameters, start)
        return State.at(point)

    return state


@with_known_keywords
def state_at_time(model: Model, start: State, time: float) -> Callable[[Parameters], State]:
    """The state that the effective dynamics reach, as a function of the parameters.

    Examples
    --------
    >>> from theory import kgmm
    >>> state = state_at_time(kgmm(2), State([[0, 0], [0, 0]], [[0, 0], [0, 0]]), time=1.0)
    >>> noisy, clean = (state(Parameters([0.5, 0.5], precision, 0.05, 1)) for precision in (2, 20))
    >>> bool(noisy.gram_perp[0, 0] > clean.gram_perp[0, 0])   # the corrector is that of the noise
    True
    """
    check_kind("model", model, Model, "the order is (model, start, time)")
    check_state(model, start, "start")
    time = as_scalar("time", time, 0.0, True, "give a time in units of steps * delta")
    return lambda parameters: solve_curve(model, parameters, start, time).state(time)
