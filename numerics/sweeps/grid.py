"""Sweeps: a grid of settings, what is measured at each, and the labels of both."""

from __future__ import annotations

import json
import math
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import xarray as xr

from numerics.core.results import TIME_UNIT
from numerics.core.validation import (
    as_integer,
    check_callable,
    check_entries,
    check_kind,
    check_length,
    kind_of,
)
from theory import InputError
from theory.keywords import with_known_keywords
from theory.notebook import short_repr

from .measure_options import MeasureOptions
from .measurements import MEASUREMENTS, Measurement
from .setting import Setting
from .store_layout import Layout
from .trial import MATRICES

_MEANINGS = {
    "precision": "lambda, inverse noise variance of a feature",
    "ridge": "beta, weight decay",
    "step": "c_delta, step size times dimension",
    "dimension": "d, number of coordinates of a feature",
    "samples": "M, number of test samples",
    "samples_per_dimension": "M/d, test samples for each dimension",
    "k": "k, number of classes",
    "width": "K, number of hidden units",
    "seed": "root of the random numbers",
    "replicas": "number of independent runs",
    "batch": "samples of a step",
}
# every point has a setting that is checked before any work, and files of its own in the store
MOST_POINTS = 100_000
SPLIT = "take fewer values, or write several sweeps"
_DIMENSIONS = ("replica", "time", "unit", "unit_b", "direction", "parameter", "matrix")


@with_known_keywords
@dataclass(frozen=True, eq=False)
class Sweep:
    r"""A grid of settings and what to measure at each.

    Parameters
    ----------
    axes : mapping from names to sequences
        The grid is their product, the last axis fastest.  Values are numbers, texts or (nested)
        lists; a list or text gets a label beside an index.  An axis called ``seed`` replaces
        ``seed``.
    build : callable
        From a mapping of axis names to values to a :class:`Setting`; called once for each point,
        before any work.
    measure : sequence of str or Measurement
        Names of :data:`numerics.MEASUREMENTS`, or measurements of one's own.
    seed : int
        Root of all random numbers: point i has those of ``SeedSequence(seed, spawn_key=(i,))``.
    options : MeasureOptions
    configuration : mapping, optional
        Whatever else identifies the sweep, in values that JSON can write.

    Raises
    ------
    theory.InputError
        No axis, an empty or repeated one, an unknown measurement, a point that cannot be built.

    Examples
    --------
    >>> from theory import kgmm
    >>> from numerics import Problem, State
    >>> def build(values):
    ...     problem = Problem(kgmm(2), weights=[0.5, 0.5], precision=values["precision"], ridge=0.1,
    ...                       step=1)
    ...     return Setting(problem, State.zero(problem), time=[0, 1], dimension=values["dimension"])
    >>> sweep = Sweep({"precision": [5, 10], "dimension": [20, 40, 80]}, build, ["statistics"])
    >>> sweep.total, sweep.values(4)
    (6, {'precision': 10, 'dimension': 40})
    """

    axes: Mapping[str, Sequence[Any]]
    build: Callable[[Mapping[str, Any]], Setting]
    measure: Sequence[str | Measurement]
    seed: int = 0
    options: MeasureOptions = field(default_factory=MeasureOptions)
    configuration: Mapping[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        sizes = {name: f"{len(values)} values" for name, values in self.axes.items()}
        return short_repr(
            self,
            *[f"{size} of {name}" for name, size in sizes.items()],
            measure=[m.name for m in self.measurements],
            seed=self.seed,
        )

    def __post_init__(self) -> None:
        check_kind("axes", self.axes, Mapping, "write {name: values}")
        check_callable("build", self.build, "give a function from values of the axes to a Setting")
        check_kind("options", self.options, MeasureOptions, "write MeasureOptions(threshold=...)")
        check_kind("configuration", self.configuration, Mapping, "write {name: value}")
        check_entries("measure", self.measure)
        if isinstance(self.measure, str) or not isinstance(self.measure, Sequence):
            expected = "a list of measurements"
            raise InputError("measure", kind_of(self.measure), expected, 'write ["statistics"]')
        if not self.axes:
            raise InputError(
                "sweep", "no axis", "at least one axis", "name a parameter and list its values"
            )
        total = math.prod(_length(name, values) for name, values in self.axes.items())
        if total > MOST_POINTS:
            expected = f"at most {MOST_POINTS}"
            raise InputError("sweep", f"{total} points", expected, SPLIT)
        for name, values in self.axes.items():
            if name in _DIMENSIONS:
                raise InputError(
                    name,
                    "an axis of the sweep",
                    "another name",
                    f"{name} is a dimension of what is measured; it is the same at every point",
                )
            counts = Counter(map(_plain, values))
            twice, count = counts.most_common(1)[0]
            if count > 1:
                raise InputError(
                    name, f"{twice} twice", "different values", "leave the repetition away"
                )
        for seed in [self.seed, *self.axes.get("seed", [])]:
            as_integer("seed", seed, 0, "seeds are non-negative integers")
        if not self.measurements:
            raise InputError(
                "measure", "nothing", f"some of {', '.join(MEASUREMENTS)}", "name a measurement"
            )
        names = [name for m in self.measurements for name in m.variables]
        for i, name in enumerate(names):
            if name in names[:i] or name in self.axes or name in ("status", "seconds", "error"):
                raise InputError(
                    "measure",
                    f"{name} twice",
                    "names of their own",
                    "rename the variable or the axis",
                )
        points = [(number, setting) for number, setting in enumerate(self.settings)]
        for number, setting in points:
            for measurement in self.measurements:
                with _naming(self.values(number)):
                    measurement.check(setting)
        most = max(setting.sizes["unit"] for _, setting in points)
        for unit in self.options.blocks or ():
            if unit > most:
                raise InputError(
                    "blocks", unit, f"units 1..{most}", "no point of the sweep has this unit"
                )
        grids = {number: setting.grid for number, setting in points}
        for number, grid in grids.items():
            if not np.array_equal(grid, grids[0]):
                raise InputError(
                    "time",
                    f"other times at {_described(self.values(number))}",
                    "the same times at every point",
                    "give one time or list of times",
                )

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(len(values) for values in self.axes.values())

    @property
    def total(self) -> int:
        """Number of points."""
        return int(np.prod(self.shape))

    @cached_property
    def measurements(self) -> tuple[Measurement, ...]:
        """What is measured, each once."""
        found: dict[str, Measurement] = {}
        for given in self.measure:
            if isinstance(given, Measurement):
                found[given.name] = given
            elif given in MEASUREMENTS:
                found[given] = MEASUREMENTS[given]
            else:
                raise InputError(
                    "measure",
                    repr(given),
                    f"some of {', '.join(MEASUREMENTS)}",
                    "use a known measurement",
                )
        return tuple(found.values())

    def values(self, number: int) -> dict[str, Any]:
        """What the axes say at a point."""
        at = np.unravel_index(number, self.shape)
        return {
            name: values[int(i)] for (name, values), i in zip(self.axes.items(), at, strict=True)
        }

    @cached_property
    def settings(self) -> list[Setting]:
        """The settings of all points."""
        found = []
        for number in range(self.total):
            values = self.values(number)
            with _naming(values):
                setting = self.build(values)
                check_kind("build", setting, Setting, "return sa.Setting(...)")
                found.append(setting)
        return found

    def entropy(self, number: int) -> int:
        """Root of the random numbers of a point."""
        return int(self.values(number).get("seed", self.seed))

    @cached_property
    def layout(self) -> Layout:
        """Shape of the store."""
        sizes: dict[str, int] = {name: 0 for name in _DIMENSIONS}
        for setting in self.settings:
            sizes = {name: max(size, setting.sizes[name]) for name, size in sizes.items()}
        for measurement in self.measurements:
            sizes |= measurement.sizes
        variables = {
            name: variable
            for m in self.measurements
            for name, variable in m.variables.items()
            if all(sizes[d] for d in variable.dims)  # a model without readout has no variable of it
        }
        used = {d for variable in variables.values() for d in variable.dims}
        return Layout(
            dict(zip(self.axes, self.shape, strict=True)),
            self._coordinates(sizes, used),
            variables,
            sizes,
            self._identity(),
        )

    def _coordinates(self, sizes: Mapping[str, int], used: Iterable[str]) -> xr.Dataset:
        coordinates: dict[str, Any] = {}
        for name, values in self.axes.items():
            notes = {"long_name": _MEANINGS.get(name, name), "units": "1"}
            if all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in values):
                coordinates[name] = (name, np.array(values), notes)
            else:
                coordinates[name] = (
                    name,
                    np.arange(1, len(values) + 1),
                    notes | {"labels": f"{name}_label"},
                )
                coordinates[f"{name}_label"] = (name, np.array([_plain(v) for v in values]), notes)
        for name in sorted(used):
            if name == "time":
                coordinates[name] = (
                    "time",
                    self.settings[0].grid,
                    {"units": TIME_UNIT, "long_name": "time"},
                )
            elif name == "matrix":
                coordinates[name] = (
                    "matrix",
                    np.array(MATRICES),
                    {"long_name": "Hessian or gradient matrix G"},
                )
            else:
                coordinates[name] = (name, np.arange(1, sizes[name] + 1), {"units": "1"})
        return xr.Dataset(coords=coordinates)

    def _identity(self) -> dict[str, Any]:
        options = {"threshold": self.options.threshold, "blocks": self.options.blocks}
        prints = [setting.digest() for setting in self.settings]
        identity = {
            **self.configuration,
            "seed": self.seed,
            "sweep": {name: list(values) for name, values in self.axes.items()},
            "measure": sorted(m.name for m in self.measurements),
            "measurement": {k: v for k, v in options.items() if v is not None},
            "variables": {n: v.dims for m in self.measurements for n, v in m.variables.items()},
            "fingerprint": f"{_crc(prints):08x} of all numbers of all points",
        }
        # as it will be read back
        return dict(json.loads(json.dumps(identity, default=_jsonable)))


def _length(name: str, values: object) -> int:
    """Number of values of an axis; what is no list of values is refused."""
    found = check_length(values)
    if isinstance(values, (str, bytes, Mapping)) or not hasattr(values, "__getitem__") or not found:
        raise InputError(name, kind_of(values), "a list of values", "list at least one value")
    return found


class _naming:
    """Says at which point a value was refused."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.values = values

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if isinstance(error, InputError):
            raise InputError(
                error.parameter,
                f"{error.got} (at {_described(self.values)})",
                error.expected,
                error.remedy,
            ) from error


def _described(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} = {_plain(value)}" for name, value in values.items())


def _plain(value: Any) -> str:
    """A value as a label."""
    if isinstance(value, (list, tuple, np.ndarray)):
        return f"[{', '.join(map(_plain, value))}]"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _jsonable(value: Any) -> Any:
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    raise InputError(
        "configuration", repr(value), "numbers, texts and lists", "give values that JSON can write"
    )


def _crc(texts: Iterable[str]) -> int:
    return zlib.crc32("".join(texts).encode())
