"""What several commands share besides their options."""

from __future__ import annotations

from typing import TYPE_CHECKING

from theory.errors import InputError
from verify.settings.configuration import Configuration

from .messages import inform
from .terminal import integrating, spinner

if TYPE_CHECKING:
    from numerics import Problem, State

Block = tuple[int, int] | str


def problem_of(settings: Configuration) -> tuple[Problem, State]:
    """The problem and its initial state; a large model takes a while to build."""
    kind = settings.kind
    if settings.readout is not None and not kind.start(settings.size).readout:
        got = ", ".join(f"{float(v):g}" for v in settings.readout)
        expected = f"no readout for {settings.model_name}"
        remedy = "leave it away: the model has no second layer"
        raise InputError("readout", got, expected, remedy)
    activation = settings.value("activation")
    if activation != "relu" and settings.overlap is None:
        _hint_at_start(activation)
    with spinner(f"building the model for {settings.size_name}"):
        return settings.problem()


def _hint_at_start(activation: str) -> None:
    """Say that the default start is made for other units."""
    from theory.problem.activations import ARGUMENT, get_activation

    form = get_activation(activation).expression
    what = ": --overlap, --gram-perp and --readout give another one"
    if form.subs(ARGUMENT, -ARGUMENT) == -form:
        what = (
            ", and since this activation is odd, mu and -mu, of one label, get opposite outputs "
            "from any start"
        )
    inform(
        f"hint: the default start is made for ReLU units; with {activation} it may decay to 0{what}"
    )


def check_kink_rule(rule: str | None, matrix: str, settings: Configuration) -> str | None:
    """The rule that the Hessian of a model is asked to follow; None where nothing is asked.

    Raises
    ------
    theory.InputError
        A rule for anything but the Hessian of a loss with kinks.
    """
    if rule is None:
        return None
    for wrong, subject, reason in (
        (matrix != "hessian", matrix, "only a Hessian has second derivatives"),
        (is_smooth(settings), settings.shape.name, "its loss has no kinks"),
    ):
        if wrong:
            expected, remedy = f"no kink rule for {subject}", f"leave it away: {reason}"
            raise InputError("--kink-rule", repr(rule), expected, remedy)
    return rule


def is_smooth(settings: Configuration) -> bool:
    """Whether the loss has no kinks; the model is not built for it."""
    return settings.smallest.model().loss.is_smooth


def read_block(text: str, settings: Configuration, *further: str) -> Block:
    """Read a block: units count from 1 here, as in every printed symbol, and from 0 in Python.

    ``further`` are names that two layers have beside readout and all.
    """
    start, name = settings.kind.start(settings.size), text.strip()
    # the layers of a network by number, as Python names them
    name = {"layer 1": "full", "layer 2": "readout"}.get(name, name)
    of_two = ("readout", "all", *further)
    units, names = len(start.overlap), ("full", *of_two) if start.readout else ("full",)
    if name in names:
        return "first_layer" if name == "full" else name
    expected = f"A,B with units 1..{units}, or {', '.join(names)}"
    if name in of_two:
        remedy = f"the model {settings.model_name} has no readout parameters: full is everything"
        raise InputError("--block", repr(text), expected, remedy)
    parts = name.split(",")
    pair = tuple(int(p) for p in parts if p.strip().isdecimal() and len(p) < 9)
    if len(parts) != 2 or len(pair) != 2 or not all(1 <= a <= units for a in pair):
        other = min(2, units)
        remedy = f"write --block 1,{other} for the block of units 1 and {other}"
        raise InputError("--block", repr(text), expected, remedy)
    return pair[0] - 1, pair[1] - 1


def time_on_curve(time: object) -> float:
    """A time on the theoretical curve."""
    from numerics.core.validation import as_scalar

    remedy = "give a time in units of steps * c_delta / dimension"
    return as_scalar("--at", float(time), 0.0, False, remedy)  # type: ignore[arg-type]


def state_at(problem: Problem, initial: State, time: float | None) -> tuple[State, float]:
    """The state at a time of the theoretical curve, and its error there."""
    if not time:
        return initial, 0.0
    from numerics.dynamics.curves import solve_curve

    with integrating(f"integrating the effective dynamics of {problem.model.name} to t = {time:g}"):
        curve = solve_curve(problem, initial, time)
    return curve.state(time), curve.error_estimate


def moment(time: float | None) -> str:
    """The time of a state, for titles."""
    return f"t = {time:g}" if time else "the initial state"


def check_data(settings: Configuration, block: Block, *without: str) -> None:
    """Refuse data that cannot be held, and blocks that have no empirical counterpart."""
    from numerics.core.validation import check_memory
    from numerics.core.weights import check_dimension

    count, remedy = settings.samples, "take fewer samples, or a smaller dimension"
    check_memory("samples", count, count * settings.value("dimension"), remedy)
    shape = settings.shape
    check_dimension(settings.value("dimension"), shape.directions, shape.units)
    if block in without:
        remedy = "leave --samples or --block away"
        expected = "a block, full or readout"
        raise InputError("--block", f"{block!r} with --samples", expected, remedy)
