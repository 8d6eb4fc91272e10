"""The box of settings that a design is chosen from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import numpy as np
import sympy as sp

from numerics.core import codegen
from numerics.core.parameters import Parameters
from numerics.core.problem import Problem
from numerics.core.schedule import TIME
from numerics.core.validation import Array, as_scalar, kind_of
from theory import InputError
from theory.errors import check_choice
from theory.keywords import RELATIONS

# other names of the same number, and what each means in a design
ALIASES = {
    "c_delta": "step",
    **dict.fromkeys(("beta", "weight_decay"), "ridge"),
    "batch_size": "batch",
}
LEAST = {"step": (0.0, True), "ridge": (0.0, False), "batch": (1.0, False)}
# a box whose ends are so far apart is looked at on a logarithmic scale
LOGARITHMIC = 8.0
MOST_AXES = 5
CLOCKS = ("samples", "steps")


@dataclass(frozen=True)
class Setting:
    """How training is set: step c_delta, ridge, samples a step, numbers of the loss, letters of
    the schedule.
    """

    step: float
    ridge: float
    batch: float = 1.0
    values: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    letters: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))

    def number(self, name: str) -> float:
        """The number of this name."""
        if name in LEAST:
            return float(getattr(self, name))
        return float({**self.values, **self.letters}[name])

    def but(self, name: str, value: float) -> Setting:
        """The same with another number."""
        numbers: dict[str, Any] = {name: value}
        if name not in LEAST:
            group = "letters" if name in self.letters else "values"
            numbers = {group: {**getattr(self, group), name: value}}
        return replace(self, **numbers)

    def per_unit(self, clock: str) -> float:
        """Time t that passes while the clock, samples or steps over d, advances by one."""
        return self.step / (self.batch if clock == "samples" else 1.0)


@dataclass(frozen=True)
class Axis:
    """A number that is chosen between two bounds; its coordinate runs from 0 to 1."""

    name: str
    low: float
    high: float

    @property
    def is_logarithmic(self) -> bool:
        return self.low > 0 and self.high / self.low >= LOGARITHMIC

    def value(self, coordinate: float) -> float:
        """The number at a coordinate."""
        x = min(max(coordinate, 0.0), 1.0)
        if x in (0.0, 1.0):
            return self.high if x else self.low
        if self.is_logarithmic:
            return float(self.low * (self.high / self.low) ** x)
        return self.low + x * (self.high - self.low)

    def coordinate(self, value: float) -> float:
        """Where a number lies; outside of [0, 1] where the box does not hold it."""
        if self.is_logarithmic:
            return float(np.log(value / self.low) / np.log(self.high / self.low))
        return (value - self.low) / (self.high - self.low)


def read_axes(
    over: object, problem: Problem, letters: Iterable[str], initial: Setting
) -> tuple[Axis, ...]:
    """The axes of a box, checked.

    Raises
    ------
    theory.InputError
        No axes, unknown names, bounds that are none, or a number that the model fixes.
    """
    if not isinstance(over, Mapping) or not over:
        remedy = 'write over={"step": (0.1, 3), "ridge": (0, 1)}'
        raise InputError("over", kind_of(over), "names with their bounds", remedy)
    known = [*LEAST, *letters, *initial.values]
    axes: dict[str, Axis] = {}
    for written, bounds in over.items():
        if written in RELATIONS and RELATIONS[written][0] in LEAST and written not in known:
            meant, relation = RELATIONS[written]
            raise InputError("over", repr(written), f"the setting {meant}", relation)
        name = check_choice("over", ALIASES.get(written, written), known, kind="setting")
        if name in axes:
            raise InputError("over", repr(written), "every setting once", "leave one of them out")
        axes[name] = Axis(name, *_bounds(name, bounds))
    if len(axes) > MOST_AXES:
        expected = f"at most {MOST_AXES} settings"
        raise InputError("over", f"{len(axes)} settings", expected, "search in two stages")
    _check_model(problem, axes)
    return tuple(axes.values())


def _bounds(name: str, bounds: object) -> tuple[float, float]:
    if not isinstance(bounds, Sequence) or isinstance(bounds, str) or len(bounds) != 2:
        remedy = f'write "{name}": (0.1, 3)'
        raise InputError(f"over {name}", kind_of(bounds), "a lower and an upper bound", remedy)
    least, strict = LEAST.get(name, (-np.inf, False))
    remedy = "give bounds that training can have"
    low, high = (as_scalar(f"over {name}", b, least, strict, remedy) for b in bounds)
    if not low < high:
        expected = "a lower bound below the upper one"
        raise InputError(f"over {name}", f"{low:g} and {high:g}", expected, "exchange them")
    return low, high


def _check_model(problem: Problem, axes: Mapping[str, Axis]) -> None:
    """A ridge that the model fixes cannot be chosen, and numbers of the loss have ranges."""
    fixed = problem.model.ridge
    if "ridge" in axes and fixed.is_number:
        expected, remedy = "a ridge that the model leaves open", "build the model with ridge=None"
        raise InputError("over ridge", f"{fixed} in {problem.model.name}", expected, remedy)
    declared = {each.name: each for each in problem.model.loss.free_parameters}
    for name, axis in axes.items():
        if name in declared:
            declared[name].check(axis.low)
            declared[name].check(axis.high)


@dataclass(frozen=True)
class ScheduleFamily:
    """A schedule with letters in it that are chosen; compiled once for all their values."""

    expression: sp.Expr | None
    names: tuple[str, ...]

    @classmethod
    def of(cls, expression: object, over: object) -> ScheduleFamily:
        """Read a schedule whose symbols other than t are letters; each has bounds.

        Raises
        ------
        theory.InputError
            No expression, or a letter without bounds.
        """
        if expression is None:
            return cls(None, ())
        if not isinstance(expression, sp.Expr):
            remedy = "write for instance 1 / (1 + a * sa.TIME), and bounds of a in over"
            raise InputError("schedule", kind_of(expression), "a SymPy expression in t", remedy)
        free: set[sp.Symbol] = expression.free_symbols
        expression = expression.xreplace({s: TIME for s in free if str(s) == "t"})
        letters = sorted((s for s in free if str(s) != "t"), key=str)
        missing = [str(s) for s in letters if not isinstance(over, Mapping) or str(s) not in over]
        clash = [str(s) for s in letters if str(s) in (*LEAST, *ALIASES)]
        if clash:
            expected = "letters that are no names of settings"
            raise InputError("schedule", clash[0], expected, "choose another letter")
        if missing:
            expected = f"bounds of {missing[0]} in over"
            raise InputError("schedule", str(expression), expected, "give them, or a number")
        return cls(expression, tuple(map(str, letters)))

    def at(self, letters: Mapping[str, float]) -> sp.Expr | None:
        """The schedule with numbers for its letters."""
        if self.expression is None:
            return None
        symbols = {s: letters[str(s)] for s in self.expression.free_symbols if str(s) in letters}
        return self.expression.xreplace({s: sp.Float(x) for s, x in symbols.items()})

    def compiled(self) -> Any:
        """A function of letters that returns a function of an array of times; None without."""
        if self.expression is None:
            return None
        ordered = sorted(self.expression.free_symbols - {TIME}, key=str)
        groups = (("t", (TIME,)), ("a", tuple(ordered)))
        source = codegen.generate_function("schedule", groups, [self.expression], "numpy")
        function = codegen.load_module(source).schedule

        def with_letters(letters: Mapping[str, float]) -> Any:
            numbers = np.array([letters[str(s)] for s in ordered])

            def factors(times: Array) -> Array:
                out = np.empty((1, times.size))
                function(times, numbers, out)
                return out[0]

            return factors

        return with_letters


def with_setting(problem: Problem, setting: Setting) -> Problem:
    """The problem with step, ridge and numbers of a setting; its batch is not in it."""
    now = problem.parameters
    values = {**now.values, **setting.values}
    numbers = now.weights, now.precision, setting.ridge, now.step, now.directions_gram, values
    return problem.with_parameters(Parameters(*numbers)).with_step(setting.step)
