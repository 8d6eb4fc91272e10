"""Sweeps: a measurement at every point of a grid, on any executor, kept in one labelled store."""

from __future__ import annotations

import json
import pickle
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Executor, Future, wait
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import xarray as xr

from theory import InputError

from .dataset import TIME_UNIT
from .executors import ONE_THREAD, Engine, LocalEngine, SweepError, is_broken
from .measurements import MEASUREMENTS, Measurement
from .setting import MATRICES, MeasureOptions, Setting, Trial
from .state import as_integer
from .sweep_lock import locked
from .sweep_store import DONE, FAILED, OPEN, Layout, Store, check_place, open_store

# a point that took its process down this often is recorded as failed
STRIKES = 3
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
_DIMENSIONS = ("replica", "time", "unit", "unit_b", "direction", "parameter", "matrix")

Progress = Callable[[int, int, int], None]


class SweepInterrupted(KeyboardInterrupt):
    """The user interrupted the sweep.  ``done`` of ``total`` points are in the store."""

    def __init__(self, done: int, total: int) -> None:
        super().__init__(f"sweep interrupted: {done} of {total} points are kept")
        self.done, self.total = done, total


@dataclass(frozen=True, eq=False)
class Sweep:
    r"""A grid of settings and what to measure at each.

    Parameters
    ----------
    axes : mapping from names to sequences
        The grid is their product, the last axis fastest.  Values are numbers, texts or (nested) lists; a list or
        text gets a label beside an index.  An axis called ``seed`` replaces ``seed``.
    build : callable
        From a mapping of axis names to values to a :class:`Setting`; called once for each point, before any work.
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
    >>> from numerics import Parameters, State
    >>> def build(values):
    ...     return Setting(kgmm(2), Parameters([0.5, 0.5], values["precision"], 0.1, 1),
    ...                    State(np.zeros((2, 2)), np.eye(2)), time=[0, 1], dimension=values["dimension"])
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

    def __post_init__(self) -> None:
        if not self.axes:
            raise InputError("sweep", "no axis", "at least one axis", "name a parameter and list its values")
        for name, values in self.axes.items():
            if name in _DIMENSIONS:
                raise InputError(
                    name, "an axis of the sweep", "another name",
                    f"{name} is a dimension of what is measured; it is the same at every point",
                )
            if isinstance(values, (str, bytes)) or not len(values):
                raise InputError(name, repr(values), "a list of values", "list at least one value")
            texts = [_plain(v) for v in values]
            twice = next((t for i, t in enumerate(texts) if t in texts[:i]), None)
            if twice is not None:
                raise InputError(name, f"{twice} twice", "different values", "leave the repetition away")
        for seed in [self.seed, *self.axes.get("seed", [])]:
            as_integer("seed", seed, 0, "seeds are non-negative integers")
        if not self.measurements:
            raise InputError("measure", "nothing", f"some of {', '.join(MEASUREMENTS)}", "name a measurement")
        names = [name for m in self.measurements for name in m.variables]
        for i, name in enumerate(names):
            if name in names[:i] or name in self.axes or name in ("status", "seconds", "error"):
                raise InputError("measure", f"{name} twice", "names of their own", "rename the variable or the axis")
        points = [(number, setting) for number, setting in enumerate(self.settings)]
        for number, setting in points:
            for measurement in self.measurements:
                with _naming(self.values(number)):
                    measurement.check(setting)
        grids = {number: setting.grid for number, setting in points}
        for number, grid in grids.items():
            if not np.array_equal(grid, grids[0]):
                raise InputError(
                    "time", f"other times at {_described(self.values(number))}", "the same times at every point",
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
                    "measure", repr(given), f"some of {', '.join(MEASUREMENTS)}", "use a known measurement"
                )
        return tuple(found.values())

    def values(self, number: int) -> dict[str, Any]:
        """What the axes say at a point."""
        at = np.unravel_index(number, self.shape)
        return {name: values[int(i)] for (name, values), i in zip(self.axes.items(), at, strict=True)}

    @cached_property
    def settings(self) -> list[Setting]:
        """The settings of all points."""
        found = []
        for number in range(self.total):
            values = self.values(number)
            with _naming(values):
                found.append(self.build(values))
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
            name: variable for m in self.measurements for name, variable in m.variables.items()
            if all(sizes[d] for d in variable.dims)  # a model without readout has no variable of it
        }
        used = {d for variable in variables.values() for d in variable.dims}
        return Layout(
            dict(zip(self.axes, self.shape, strict=True)), self._coordinates(sizes, used), variables, sizes,
            self._identity(),
        )

    def _coordinates(self, sizes: Mapping[str, int], used: Iterable[str]) -> xr.Dataset:
        coordinates: dict[str, Any] = {}
        for name, values in self.axes.items():
            notes = {"long_name": _MEANINGS.get(name, name), "units": "1"}
            if all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in values):
                coordinates[name] = (name, np.array(values), notes)
            else:
                coordinates[name] = (name, np.arange(1, len(values) + 1), notes | {"labels": f"{name}_label"})
                coordinates[f"{name}_label"] = (name, np.array([_plain(v) for v in values]), notes)
        for name in sorted(used):
            if name == "time":
                coordinates[name] = ("time", self.settings[0].grid, {"units": TIME_UNIT, "long_name": "time"})
            elif name == "matrix":
                coordinates[name] = ("matrix", np.array(MATRICES), {"long_name": "Hessian or gradient matrix G"})
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


def run_sweep(
    sweep: Sweep,
    store: str | Path,
    executor: Executor | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
    *,
    retry_failed: bool = False,
) -> xr.Dataset:
    r"""Measure at every point that the store does not hold yet, and return the store.

    The numbers are the same for any executor and number of workers.  A point that raises is recorded with its error;
    the others go on.  A sweep that was stopped, by whatever, goes on with the same call.

    Parameters
    ----------
    sweep : Sweep
    store : path
        Directory of the Zarr group.
    executor : concurrent.futures.Executor, optional
        Any; worker processes on this machine when omitted.  It is not shut down.
    workers : int, optional
        Number of processes, all processors when omitted; with an executor, how many points it computes at a time.
    progress : callable, optional
        Called with the numbers of points done, failed and in all.
    retry_failed : bool
        Also compute again the points that failed.

    Returns
    -------
    xarray.Dataset
        Read from the store when needed.  Dimensions are the axes and those of the measurements, NaN where a point
        is smaller or missing; ``status`` (0 open, 1 done, 2 failed), ``seconds`` and ``error``.

    Raises
    ------
    theory.InputError
        Before any work: a store of another sweep, in use, or not writable.
    SweepInterrupted
        On Ctrl-C.
    SweepError
        The executor is broken; finished points are kept.

    Examples
    --------
    >>> import tempfile
    >>> from concurrent.futures import ThreadPoolExecutor
    >>> from theory import kgmm
    >>> from numerics import Parameters, State
    >>> def build(values):
    ...     return Setting(kgmm(2), Parameters([0.5, 0.5], values["precision"], 0.1, 1),
    ...                    State(np.zeros((2, 2)), np.eye(2)), time=[0, 1], dimension=20, replicas=3)
    >>> sweep = Sweep({"precision": [5, 10]}, build, ["statistics"], seed=1)
    >>> with tempfile.TemporaryDirectory() as place, ThreadPoolExecutor(2) as executor:
    ...     data = run_sweep(sweep, f"{place}/small.zarr", executor).load()
    >>> dict(data.misalignment.sizes), data.status.values
    ({'precision': 2, 'replica': 3, 'time': 2, 'unit': 2}, array([1, 1], dtype=int8))
    """
    place = Path(store)
    check_place(place)
    layout = sweep.layout
    if executor is None:
        _check_picklable(sweep)
    with locked(place):
        held = Store(place, layout)
        states = (OPEN, FAILED) if retry_failed else (OPEN,)
        waiting = list(held.points(*states))
        if waiting:
            engine = LocalEngine(min(workers, len(waiting)) if workers else workers) if executor is None else Engine(
                executor, workers
            )
            _Driver(sweep, held, engine, progress).run(waiting)
        elif progress is not None:
            progress(held.count(DONE), held.count(FAILED), sweep.total)
    return open_store(place)


@dataclass
class _Outcome:
    """What a worker sends back."""

    values: dict[str, Any] | None
    error: str
    seconds: float


def run_point(
    setting: Setting, measurements: tuple[Measurement, ...], entropy: int, number: int, options: MeasureOptions
) -> _Outcome:
    """Measure at one point, on one thread; an error is part of the outcome."""
    begin = perf_counter()
    try:
        with ONE_THREAD:
            trial = Trial(setting, entropy, number, options)
            values: dict[str, Any] = {}
            for measurement in measurements:
                values |= measurement.values(trial)
        return _Outcome(values, "", perf_counter() - begin)
    except Exception as error:  # whatever a point raises is its result, not the end of the sweep
        return _Outcome(None, _told(error), perf_counter() - begin)


class _Driver:
    """Keeps an engine busy, and the store up to date."""

    def __init__(self, sweep: Sweep, store: Store, engine: Engine, progress: Progress | None) -> None:
        self.sweep, self.store, self.engine, self.progress = sweep, store, engine, progress
        self.flying: dict[Future[Any], int] = {}
        self.strikes: dict[int, int] = {}

    def run(self, numbers: Sequence[int]) -> None:
        waiting, suspects = deque(numbers), deque[int]()
        try:
            self._tell()
            while waiting or suspects or self.flying:
                if suspects and not self.flying:
                    self._submit([suspects.popleft()])  # alone: if a process dies now, it is this point's doing
                elif not suspects:
                    free = max(self.engine.capacity - len(self.flying), 0)
                    self._submit([waiting.popleft() for _ in range(min(free, len(waiting)))])
                # an empty set means that a submission broke the executor
                done = wait(self.flying, timeout=1.0, return_when=FIRST_COMPLETED).done if self.flying else set()
                lost = [n for n in map(self._settle, done) if n is not None]
                if lost or self._broken:
                    lost += [self.flying.pop(future) for future in list(self.flying)]
                    self.engine.recover()
                    self._broken = False
                    self._blame(sorted(lost), waiting, suspects)
        except KeyboardInterrupt:
            raise SweepInterrupted(self.store.count(DONE), self.sweep.total) from None
        finally:
            self.engine.close(list(self.flying))

    _broken = False

    def _submit(self, numbers: Iterable[int]) -> None:
        sweep = self.sweep
        for number in numbers:
            arguments = (
                sweep.settings[number], sweep.measurements, sweep.entropy(number), number, sweep.options
            )
            try:
                future = self.engine.submit(run_point, *arguments)
            except Exception as error:
                if not is_broken(error):
                    raise SweepError(f"the executor takes no more points: {_told(error)}") from error
                self._broken = True
                future = Future()
            self.flying[future] = number

    def _settle(self, future: Future[Any]) -> int | None:
        """Keep what a future brings; return the number of a point that was lost with its worker."""
        number = self.flying[future]
        try:
            outcome = future.result()
        except CancelledError as error:
            raise SweepError("the executor gave up its points: its scheduler is gone, or it was shut down") from error
        except Exception as error:
            del self.flying[future]
            if is_broken(error):
                return number
            self.store.fail(number, _told(error))
        else:
            del self.flying[future]
            if outcome.values is None:
                self.store.fail(number, outcome.error, outcome.seconds)
            else:
                kept = {n: v for n, v in outcome.values.items() if n in self.store.layout.variables}
                self.store.write(number, kept, outcome.seconds)
        self._tell()
        return None

    def _blame(self, lost: list[int], waiting: deque[int], suspects: deque[int]) -> None:
        """A process died: points that were in flight go again, those that saw it twice one by one."""
        for number in reversed(lost):
            self.strikes[number] = self.strikes.get(number, 0) + 1
            if self.strikes[number] >= STRIKES:
                self.store.fail(
                    number,
                    f"the worker process died {STRIKES} times at this point, the last time with no other at work",
                )
                self._tell()
            elif self.strikes[number] == STRIKES - 1:
                suspects.appendleft(number)
            else:
                waiting.appendleft(number)

    def _tell(self) -> None:
        if self.progress is not None:
            self.progress(self.store.count(DONE), self.store.count(FAILED), self.sweep.total)


def _check_picklable(sweep: Sweep) -> None:
    for name, what in (("measure", sweep.measurements), ("options", sweep.settings[0].options)):
        try:
            pickle.dumps(what)
        except Exception as error:
            raise InputError(
                name, f"a function that cannot be sent to another process ({error})",
                "functions of an importable module", "move it to a module of its own, or give a ThreadPoolExecutor",
            ) from error


class _naming:
    """Says at which point a value was refused."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.values = values

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if isinstance(error, InputError):
            raise InputError(
                error.parameter, f"{error.got} (at {_described(self.values)})", error.expected, error.remedy
            ) from error


def _described(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} = {_plain(value)}" for name, value in values.items())


def _plain(value: Any) -> str:
    """A value as a label."""
    if isinstance(value, (list, tuple, np.ndarray)):
        return f"[{', '.join(map(_plain, value))}]"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _told(error: BaseException) -> str:
    """Kind, message and place of an error."""
    last = traceback.extract_tb(error.__traceback__)
    place = f" ({Path(last[-1].filename).name}, line {last[-1].lineno}, {last[-1].name})" if last else ""
    return f"{type(error).__name__}: {error}{place}"


def _jsonable(value: Any) -> Any:
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    raise InputError("configuration", repr(value), "numbers, texts and lists", "give values that JSON can write")


def _crc(texts: Iterable[str]) -> int:
    import zlib

    return zlib.crc32("".join(texts).encode())
