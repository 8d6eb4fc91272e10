"""One point of a sweep: what is simulated there."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from numerics.core.parameters import Parameters
from numerics.core.problem import Problem
from numerics.core.results import expression_text
from numerics.core.schedule import Schedule
from numerics.core.state import State
from numerics.core.validation import Array, as_integer, check_kind, check_memory, check_times
from numerics.core.weights import check_dimension
from numerics.sgd.run_size import check_size
from numerics.sgd.simulate import check_method, simulate_sgd
from theory import InputError, Model
from theory.keywords import with_known_keywords
from theory.notebook import short_repr

from .random_start import RandomStart

MATRICES = ("hessian", "gradient")
# arguments of simulate_sgd that a setting does not choose
_OWN = {
    "problem",
    "initial",
    "time",
    "dimension",
    "replicas",
    "seed",
    "workers",
    "keep_weights",
    "progress",
}


@with_known_keywords
@dataclass(frozen=True, eq=False)
class Setting:
    """What is simulated and measured at one point of a sweep.

    Parameters
    ----------
    problem : Problem
    initial : State or RandomStart
    time : float or sequence of float
        Recorded times, as :func:`numerics.simulate_sgd` takes them.
    dimension : int
        d >= r + C.
    replicas : int
        Independent runs.
    samples : int, optional
        M, fresh samples of every empirical matrix; needed by the measurements that draw data.
    options : mapping, optional
        Further arguments of :func:`numerics.simulate_sgd` by name, such as ``method="reduced"``.

    Raises
    ------
    theory.InputError
        Values that do not fit each other.

    Examples
    --------
    >>> from numerics import Problem, RandomStart
    >>> from theory import kgmm
    >>> problem = Problem(kgmm(2), weights=[0.5, 0.5], precision=10, ridge=0.1, step=1)
    >>> setting = Setting(problem, RandomStart(0.1), time=[0, 1], dimension=50, replicas=3)
    >>> setting.model.name, setting.grid
    ('kgmm2', array([0., 1.]))
    """

    problem: Problem
    initial: State | RandomStart
    time: float | Sequence[float]
    dimension: int
    replicas: int = 1
    samples: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        names = ("problem", "initial", "time", "dimension", "replicas", "samples", "options")
        return short_repr(self, **{name: getattr(self, name) for name in names})

    def __post_init__(self) -> None:
        check_kind(
            "problem", self.problem, Problem, "write Setting(Problem(model, parameters), ...)"
        )
        if not isinstance(self.initial, RandomStart):
            self.problem.check_state(self.initial, "initial")
        elif len(self.initial.readout) != self.model.readout_size:
            raise InputError(
                "readout",
                f"{len(self.initial.readout)} entries",
                f"{self.model.readout_size} entries",
                "give one number for each readout parameter",
            )
        object.__setattr__(
            self,
            "dimension",
            check_dimension(self.dimension, self.model.directions, self.model.units),
        )
        object.__setattr__(
            self, "replicas", as_integer("replicas", self.replicas, 1, "ask for at least one run")
        )
        if self.samples is not None:
            as_integer("samples", self.samples, 1, "give the number M of test samples")
        check_kind("options", self.options, Mapping, "write {name: value}")
        known = sorted(set(inspect.signature(simulate_sgd).parameters) - _OWN)
        for name in self.options:
            if name not in known:
                raise InputError(
                    "options",
                    repr(name),
                    f"further arguments of simulate_sgd: {', '.join(known) or 'none'}",
                    "leave it away",
                )
        as_integer("batch", self.options.get("batch", 1), 1, "a step needs at least one sample")
        law = {name: self.options[name] for name in ("noise", "frame") if name in self.options}
        method, batch = self.options.get("method", "direct"), self.options.get("batch", 1)
        check_method(method, **law)
        sizes = {"method": method, "batch": batch}
        step = self.parameters.step
        check_size(self.model, step, self.time, self.dimension, self.replicas, **sizes)
        if self.samples is not None:
            remedy = "take fewer samples, or a smaller dimension"
            check_memory("samples", self.samples, self.samples * self.dimension, remedy)
        delta = self.parameters.step / self.dimension
        schedule = Schedule.of(self.options.get("schedule"))
        if schedule is not None:
            schedule.check(int(np.rint(self.grid[-1] / delta)), delta)

    @property
    def model(self) -> Model:
        """The model of the problem."""
        return self.problem.model

    @property
    def parameters(self) -> Parameters:
        """The numbers of the problem."""
        return self.problem.parameters

    @property
    def grid(self) -> Array:
        """The times asked for."""
        return check_times(self.time)

    @property
    def sizes(self) -> dict[str, int]:
        """Sizes of the dimensions that measurements may have."""
        model = self.model
        return {
            "replica": self.replicas,
            "time": self.grid.size,
            "unit": model.units,
            "unit_b": model.units,
            "direction": model.directions,
            "parameter": model.readout_size,
            "matrix": len(MATRICES),
        }

    def digest(self) -> str:
        """A short fingerprint of every number in it."""
        start = self.initial
        # the text of a function has its place in memory, which says nothing
        options = {n: getattr(v, "__qualname__", str(v)) for n, v in self.options.items()}
        parts = (
            self.model.name,
            expression_text(self.model.loss.expression),
            str(self.model.mixture.coordinates),
            self.parameters.to_json(),
            self.grid.tolist(),
            self.dimension,
            self.replicas,
            self.samples,
            sorted(options.items()),
            *([] if self.model.update is None else [self.model.update.text]),
            start.flatten().tolist() if isinstance(start, State) else (start.scale, start.readout),
        )
        return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]
