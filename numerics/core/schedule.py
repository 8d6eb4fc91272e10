"""Step-size schedules: delta(t) = schedule(t) c_delta / d with the nominal time t = steps * c_delta
/ d.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import sympy as sp

from theory import Drift, InputError, symbols
from theory.errors import brief
from theory.keywords import with_known_keywords
from theory.notebook import short_repr

from . import codegen
from .parameters import Parameters
from .validation import Array, as_integer, kind_of

TIME = sp.Symbol("t", nonnegative=True)
"""The nominal time t = steps * c_delta / d, for schedules: ``schedule=1 / (1 + TIME)``."""

# As many steps are looked at before the work starts; all of them, if there are no more.
LOOKED_AT = 100_000

# A curve takes steps shorter than every rise and fall of its schedule; so many are minutes of work.
MOST_TURNS = 1e5


@with_known_keywords
@dataclass(frozen=True)
class Schedule:
    """A factor of the step size as a function of time, known to be positive and finite where it was
    looked at.

    Attributes
    ----------
    function : callable, array of times -> array of factors
    text : str
        What the user gave, for the attributes of a result.

    Examples
    --------
    >>> decay = Schedule.of(1 / (1 + TIME))
    >>> decay.text, decay(np.array([0.0, 3.0]))
    ('1/(t + 1)', array([1.  , 0.25]))
    """

    function: Callable[[Array], Array]
    text: str

    def __repr__(self) -> str:
        return short_repr(self, repr(brief(self.text)))

    @classmethod
    def of(cls, given: sp.Expr | str | Callable[[Array], Array] | None) -> Schedule | None:
        """Read what a user says: an expression in t, or a function of an array of times; None for a
        constant step.

        Raises
        ------
        theory.InputError
            An expression with other symbols than t, or something that is no function.

        Examples
        --------
        >>> Schedule.of(1 / (1 + TIME))(np.array([0.0, 1.0]))
        array([1. , 0.5])
        """
        if given is None or isinstance(given, Schedule):
            return given
        if isinstance(given, sp.Expr):
            # a symbol t of other assumptions is the same time
            expression = given.xreplace({s: TIME for s in given.free_symbols if str(s) == "t"})
            if expression.free_symbols - {TIME}:
                raise InputError(
                    "schedule",
                    str(given),
                    "an expression in t alone",
                    "write time as t, numbers for the rest",
                )
            source = codegen.generate_function("schedule", (("t", (TIME,)),), [expression], "numpy")
            compiled = codegen.load_module(source).schedule

            def evaluate(times: Array) -> Array:
                out = np.empty((1, times.size))
                compiled(times, out)
                return out[0]

            return cls(evaluate, str(given))
        if callable(given):
            return cls(given, getattr(given, "__qualname__", repr(given)))
        raise InputError(
            "schedule",
            kind_of(given),
            "a SymPy expression in t, or a function of an array of times",
            "for instance 1 / (1 + sa.TIME)",
        )

    def __call__(self, times: Array) -> Array:
        """The factors at the given times, refused unless positive and finite."""
        with np.errstate(all="ignore"):  # what is not finite is refused below
            factors = np.asarray(self.function(times), dtype=float)
        if factors.shape != times.shape:
            if factors.ndim:
                raise InputError(
                    "schedule",
                    f"shape {factors.shape} for times of shape {times.shape}",
                    "a factor for each time",
                    "write a function that works on arrays, as NumPy's do",
                )
            factors = np.full(times.shape, float(factors))
        bad = np.flatnonzero(~(np.isfinite(factors) & (factors > 0)))
        if bad.size:
            raise InputError(
                "schedule",
                f"{factors[bad[0]]:.6g} at t = {times[bad[0]]:.6g} from {self.text}",
                "positive finite factors of the step size at all times of the run",
                "end the run before, or bound the schedule from below",
            )
        return factors

    def check(self, steps: int, delta: float) -> None:
        """Refuse a schedule that is not positive on a run of so many steps."""
        count = min(max(steps, 1), LOOKED_AT)
        self(np.asarray(np.linspace(0.0, max(steps - 1, 0), count).round() * delta, dtype=float))

    def check_turns(self, end: float) -> None:
        """Refuse a schedule that rises and falls too often on [0, end] to be followed.

        Its total variation over its mean is estimated from slopes at points of every scale of time.
        """
        times = np.unique(
            np.concatenate([np.linspace(0, end, 4001), np.geomspace(1e-15, 1, 4001) * end])
        )
        times = times[1:-1]
        apart = 1e-6 * times
        factors = self(times)
        slopes = np.abs(self(times - apart) - factors) / apart
        turns = np.trapezoid(slopes, times) / (2 * factors.mean())
        if turns > MOST_TURNS:
            raise InputError(
                "schedule",
                f"{self.text}, which rises and falls about {turns:.1g} times",
                f"at most {MOST_TURNS:.0e} times until t = {end:g}",
                "a factor this fast acts by its mean and its mean square: write a slower one",
            )

    def rates(self, begin: int, end: int, delta: float) -> Array:
        """Step sizes of the steps begin .. end - 1."""
        return delta * self(np.arange(begin, end, dtype=float) * delta)


@dataclass(frozen=True)
class Pace:
    r"""How fast a run moves: schedule and batch size, as the effective dynamics feel them.

    With :math:`\delta=\eta(t)c_\delta/d` and batches of b samples the time :math:`t=` steps
    :math:`\cdot c_\delta/d` runs :math:`\eta` times as fast, and the corrector belongs to the step
    :math:`\eta c_\delta/b`: :math:`\dot s=\eta(t)\,F(s;\,\eta(t)c_\delta/b)`.

    Attributes
    ----------
    schedule : Schedule, optional
    batch : int
    """

    schedule: Schedule | None = None
    batch: int = 1

    @classmethod
    def of(
        cls, schedule: sp.Expr | Callable[[Array], Array] | None, batch: int, end: float
    ) -> Pace:
        """Read what a user says, and look at the schedule on [0, end]."""
        pace = cls(
            Schedule.of(schedule), as_integer("batch", batch, 1, "a step needs at least one sample")
        )
        if pace.schedule is not None:
            pace.schedule(np.linspace(0.0, end, 10_001))
            if end > 0:
                pace.schedule.check_turns(end)
        return pace

    @property
    def is_plain(self) -> bool:
        """A constant step, one sample a step."""
        return self.schedule is None and self.batch == 1

    def factor(self, time: float) -> float:
        """eta(t)."""
        return 1.0 if self.schedule is None else float(self.schedule(np.array([time]))[0])

    def at(self, parameters: Parameters, time: float) -> tuple[float, Parameters]:
        """eta(t), and the parameters with the step that the corrector belongs to."""
        factor = self.factor(time)
        return factor, parameters if self.is_plain else parameters.with_step(
            parameters.step * factor / self.batch
        )

    def drift(self, drift: Drift) -> Drift:
        """The drift with a step that can be varied, also where the model fixes it to a number."""
        if self.is_plain:
            return drift
        return drift.with_step(symbols.STEP)

    @property
    def attributes(self) -> dict[str, str | int]:
        """What a result says of it."""
        return {
            "batch": self.batch,
            "schedule": "constant" if self.schedule is None else self.schedule.text,
        }
