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
    """The state that the effective dynamics reach, as a function of the parameters."""
    check_kind("model", model, Model, "the order is (model, start, time)")
    check_state(model, start, "start")
    time = as_scalar("time", time, 0.0, True, "give a time in units of steps * delta")
    return lambda parameters: solve_curve(model, parameters, start, time).state(time)
