"""Running a sweep: points go to an executor, what comes back goes to the store."""

from __future__ import annotations

import os
import pickle
import socket
import traceback
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Executor, Future, wait
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import xarray as xr

from numerics.core.errors import SweepError
from numerics.core.validation import as_integer, as_path, check_kind
from theory import InputError
from theory.keywords import with_known_keywords

from .executors import ONE_THREAD, Engine, LocalEngine, is_broken
from .grid import Sweep
from .integrity import DamagedPointsWarning
from .lock import locked
from .measure_options import MeasureOptions
from .measurements import Measurement
from .setting import Setting
from .source_identity import source_identity
from .store import Store, check_place, open_store
from .store_layout import DONE, FAILED, OPEN
from .trial import Trial

# a point that took its process down this often is recorded as failed
STRIKES = 3

Progress = Callable[[int, int, int], None]


class SweepInterrupted(KeyboardInterrupt):
    """The user interrupted the sweep.  ``done`` of ``total`` points are in the store.

    Examples
    --------
    >>> try:
    ...     raise SweepInterrupted(3, 8)                      # by run_sweep, on Ctrl-C
    ... except SweepInterrupted as stopped:
    ...     print(stopped)
    sweep interrupted: 3 of 8 points are kept
    """

    def __init__(self, done: int, total: int) -> None:
        super().__init__(f"sweep interrupted: {done} of {total} points are kept")
        self.done, self.total = done, total


@with_known_keywords
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

    The numbers are the same for any executor and number of workers.  A point that raises is
    recorded with its error; the others go on.  A sweep that was stopped, by whatever, goes on with
    the same call.

    Parameters
    ----------
    sweep : Sweep
    store : path
        Directory of the Zarr group.
    executor : concurrent.futures.Executor, optional
        Any; worker processes on this machine when omitted.  It is not shut down.
    workers : int, optional
        Number of processes, all processors when omitted; with an executor, how many points it
        computes at a time.
    progress : callable, optional
        Called with the numbers of points done, failed and in all.
    retry_failed : bool
        Also compute again the points that failed.

    Returns
    -------
    xarray.Dataset
        Read from the store when needed.  Dimensions are the axes and those of the measurements, NaN
        where a point is smaller or missing; ``status`` (0 open, 1 done, 2 failed), ``seconds`` and
        ``error``.

    Warns
    -----
    DamagedPointsWarning
        Finished points that are not what was written: they are named and computed again.

    Raises
    ------
    theory.InputError
        Before any work: a store of another sweep, in use, damaged, or not writable; workers with
        another version of the package.
    SweepInterrupted
        On Ctrl-C.
    SweepError
        The executor is broken; finished points are kept.

    Examples
    --------
    >>> import tempfile
    >>> from concurrent.futures import ThreadPoolExecutor
    >>> from theory import kgmm
    >>> from numerics import Problem, State
    >>> def build(values):
    ...     problem = Problem(kgmm(2), weights=[0.5, 0.5], precision=values["precision"], ridge=0.1,
    ...                       step=1)
    ...     return Setting(problem, State.zero(problem), time=[0, 1], dimension=20, replicas=3)
    >>> sweep = Sweep({"precision": [5, 10]}, build, ["statistics"], seed=1)
    >>> with tempfile.TemporaryDirectory() as place, ThreadPoolExecutor(2) as executor:
    ...     data = run_sweep(sweep, f"{place}/small.zarr", executor).load()
    >>> dict(data.misalignment.sizes), data.status.values
    ({'precision': 2, 'replica': 3, 'time': 2, 'unit': 2}, array([1, 1], dtype=int8))
    """
    check_kind("sweep", sweep, Sweep, "the order is run_sweep(sweep, store)")
    place = as_path("store", store)
    if workers is not None:
        as_integer("workers", workers, 1, "use at least one worker")
    check_place(place)
    layout = sweep.layout
    if executor is None:
        _check_picklable(sweep)
    with locked(place):
        held = Store(place, layout)
        if held.damaged:
            warnings.warn(_damage(sweep, held), DamagedPointsWarning, stacklevel=2)
        states = (OPEN, FAILED) if retry_failed else (OPEN,)
        waiting = list(held.points(*states))
        if waiting:
            engine = (
                LocalEngine(min(workers, len(waiting)) if workers else workers)
                if executor is None
                else Engine(executor, workers)
            )
            try:
                engine.check_workers()
            except BaseException:
                engine.close([])
                raise
            _Driver(sweep, held, engine, progress).run(waiting)
        elif progress is not None:
            progress(held.count(DONE), held.count(FAILED), sweep.total)
    return open_store(place, verify=False)


def _damage(sweep: Sweep, store: Store) -> str:
    """Which points are damaged, in words."""
    named = [
        f"point {n + 1} ({', '.join(f'{k} = {v}' for k, v in sweep.values(n).items())})"
        for n in store.damaged[:5]
    ]
    more = f" and {len(store.damaged) - 5} more" if len(store.damaged) > 5 else ""
    return f"{store.path} was damaged: {'; '.join(named)}{more} computed again"


@dataclass
class _Outcome:
    """What a worker sends back, and what code it ran."""

    values: dict[str, Any] | None
    error: str
    seconds: float
    identity: str
    place: str


def run_point(
    setting: Setting,
    measurements: tuple[Measurement, ...],
    entropy: int,
    number: int,
    options: MeasureOptions,
) -> _Outcome:
    """Measure at one point, on one thread; an error is part of the outcome."""
    begin = perf_counter()
    who = source_identity(), f"process {os.getpid()} on {socket.gethostname()}"
    try:
        with ONE_THREAD:
            trial = Trial(setting, entropy, number, options)
            values: dict[str, Any] = {}
            for measurement in measurements:
                values |= measurement.values(trial)
        return _Outcome(values, "", perf_counter() - begin, *who)
    except Exception as error:  # whatever a point raises is its result, not the end of the sweep
        return _Outcome(None, _told(error), perf_counter() - begin, *who)


class _Driver:
    """Keeps an engine busy, and the store up to date."""

    def __init__(
        self, sweep: Sweep, store: Store, engine: Engine, progress: Progress | None
    ) -> None:
        self.sweep, self.store, self.engine, self.progress = sweep, store, engine, progress
        self.flying: dict[Future[Any], int] = {}
        self.strikes: dict[int, int] = {}
        # points whose workers sent an error of their own
        self.returned: list[int] = []

    def run(self, numbers: Sequence[int]) -> None:
        waiting, suspects = deque(numbers), deque[int]()
        try:
            self._tell()
            while waiting or suspects or self.flying:
                if suspects and not self.flying:
                    self._submit(
                        [suspects.popleft()]
                    )  # alone: if a process dies now, it is this point's doing
                elif not suspects:
                    free = max(self.engine.capacity - len(self.flying), 0)
                    self._submit([waiting.popleft() for _ in range(min(free, len(waiting)))])
                # an empty set means that a submission broke the executor
                done = (
                    wait(self.flying, timeout=1.0, return_when=FIRST_COMPLETED).done
                    if self.flying
                    else set()
                )
                lost = [n for n in map(self._settle, done) if n is not None]
                waiting.extend(self.returned)
                self.returned.clear()
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
                sweep.settings[number],
                sweep.measurements,
                sweep.entropy(number),
                number,
                sweep.options,
            )
            try:
                future = self.engine.submit(run_point, *arguments)
            except Exception as error:
                if not is_broken(error):
                    raise SweepError(
                        f"the executor takes no more points: {_told(error)}"
                    ) from error
                self._broken = True
                future = Future()
            self.flying[future] = number

    def _settle(self, future: Future[Any]) -> int | None:
        """Keep what a future brings; return the number of a point that was lost with its worker."""
        number = self.flying[future]
        try:
            outcome = future.result()
        except CancelledError as error:
            raise SweepError(
                "the executor gave up its points: its scheduler is gone, or it was shut down"
            ) from error
        except Exception as error:
            del self.flying[future]
            if is_broken(error):
                return number
            # a point keeps its own errors, so this one comes from the way to the worker and back:
            # of a worker that was asked to end, say, and another one may do better
            self.engine.check_workers()
            self.strikes[number] = self.strikes.get(number, 0) + 1
            if self.strikes[number] < STRIKES:
                self.returned.append(number)
            else:
                self.store.fail(number, _told(error))
        else:
            del self.flying[future]
            if getattr(outcome, "identity", None) != source_identity():
                raise SweepError(
                    f"a worker, {getattr(outcome, 'place', 'of an older version')}, runs "
                    f"{getattr(outcome, 'identity', 'another version of specalign')}, and this "
                    f"driver {source_identity()}: install the same version on both"
                )
            if outcome.values is None:
                self.store.fail(number, outcome.error, outcome.seconds)
            else:
                kept = {n: v for n, v in outcome.values.items() if n in self.store.layout.variables}
                self.store.write(number, kept, outcome.seconds)
        self._tell()
        return None

    def _blame(self, lost: list[int], waiting: deque[int], suspects: deque[int]) -> None:
        """A process died: points in flight go again, those that saw it twice one by one."""
        for number in reversed(lost):
            self.strikes[number] = self.strikes.get(number, 0) + 1
            if self.strikes[number] >= STRIKES:
                self.store.fail(
                    number,
                    f"the worker process died {STRIKES} times at this point, the last time with no "
                    "other at work",
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
                name,
                f"a function that cannot be sent to another process ({error})",
                "functions of an importable module",
                "move it to a module of its own, or give a ThreadPoolExecutor",
            ) from error


def _told(error: BaseException) -> str:
    """Kind, message and place of an error."""
    last = traceback.extract_tb(error.__traceback__)
    place = (
        f" ({Path(last[-1].filename).name}, line {last[-1].lineno}, {last[-1].name})"
        if last
        else ""
    )
    return f"{type(error).__name__}: {error}{place}"
