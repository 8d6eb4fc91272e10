"""Checks of several systems on several processes.

Checks that share measurements stay together (:data:`TOGETHER`), in one process; every process
begins with a system of its own, the longest checks first, and, when nothing is left of it, helps
with the others, from their end: what is done last is short, and no process waits long.  A
measurement has the seed of its name, so that results do not depend on who makes it.
"""

from __future__ import annotations

import contextlib
import multiprocessing
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from types import TracebackType
from typing import Any, Self

from threadpoolctl import threadpool_limits

from numerics.sweeps.executors import begin_worker
from verify.checks.judged_theory import Theory
from verify.evidence.evidence import Evidence
from verify.evidence.levels import get_level
from verify.evidence.systems import get_system
from verify.verdict.results import CheckResult, Exhibit

from .one_check import run_check

# checks that use the same simulations, or the same curves
TOGETHER = (
    ("curves", "finite_size", "chain", "risk", "drift"),
    ("alignment", "precision_exponents", "separated_points"),
    ("layer_spectra", "layer_alignment", "layer_rank"),
)
# beside these, those that take longest, in this order
LONG = ("blocks", "proportional", "outcomes", "eigenspaces", "fluctuations", "curvature", "span")


@dataclass(frozen=True)
class Job:
    """What every process is told when it starts.

    Attributes
    ----------
    level : str
    seed : int
    shares : mapping, system -> float
        Probability that one check of it refutes a true theory by chance.
    prepare : callable, optional
        What is made of an exhibit in the process that measured it; exhibits are left out without.
    """

    level: str
    seed: int
    shares: Mapping[str, float]
    prepare: Callable[[Exhibit], Exhibit] | None = None


def groups_of(names: Sequence[str]) -> list[tuple[str, ...]]:
    """Names of checks, those that share measurements together and first, then those that take long.

    Examples
    --------
    >>> groups_of(["curves", "routes", "chain"])
    [('curves', 'chain'), ('routes',)]
    """
    shared = [tuple(n for n in names if n in group) for group in TOGETHER]
    alone = [n for n in names if not any(n in group for group in TOGETHER)]
    ranks = {name: rank for rank, name in enumerate(LONG)}
    alone.sort(key=lambda name: ranks.get(name, len(LONG)))
    return [*filter(None, shared), *((name,) for name in alone)]


class CheckPool:
    """Results of checks by system and name; processes start when the first one is asked for.

    Parameters
    ----------
    names : mapping, system -> sequence of str
        Its checks.
    job : Job
    processes : int
    """

    def __init__(self, names: Mapping[str, Sequence[str]], job: Job, processes: int) -> None:
        self._job = job
        self._open = {system: deque(groups_of(checks)) for system, checks in names.items()}
        self._total = sum(map(len, names.values()))
        groups = sum(map(len, self._open.values()))
        self._count = max(1, min(processes, groups))
        self._results: dict[tuple[str, str], CheckResult] = {}
        self._workers: dict[Connection, Any] = {}
        self._closed = False
        # the system that each process works for first
        self._home: dict[Connection, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()

    @property
    def done(self) -> float:
        """Fraction of the checks that have finished."""
        return len(self._results) / max(self._total, 1)

    def result(self, system: str, name: str) -> CheckResult:
        """Wait for a check.

        Raises
        ------
        Exception
            Whatever a check raised.
        KeyboardInterrupt
            The pool was closed before the check had finished.
        """
        if self._closed and (system, name) not in self._results:
            raise KeyboardInterrupt
        if not self._workers:
            self._start()
        while (system, name) not in self._results:
            for ready in wait(list(self._workers)):
                assert isinstance(ready, Connection)
                self._receive(ready)
        return self._results[system, name]

    def finished(self, system: str, names: Iterable[str]) -> list[CheckResult]:
        """Results that are there, in the order of ``names``."""
        return [self._results[system, n] for n in names if (system, n) in self._results]

    def close(self) -> None:
        """End all processes, whatever they are at."""
        for connection, process in self._workers.items():
            process.kill()
            process.join()
            connection.close()
        self._workers, self._closed = {}, True

    def _start(self) -> None:
        # copies of this process have imported everything
        methods = multiprocessing.get_all_start_methods()
        context = multiprocessing.get_context("fork" if "fork" in methods else "spawn")
        systems = list(self._open)
        for i in range(self._count):
            ours, theirs = context.Pipe()
            unused = [*self._workers, ours]
            process = context.Process(  # type: ignore[attr-defined]
                target=_work, args=(theirs, unused, self._job), daemon=True
            )
            process.start()
            theirs.close()
            self._workers[ours] = process
            self._home[ours] = systems[i % len(systems)]
        for connection in list(self._workers):
            self._give(connection)

    def _give(self, worker: Connection) -> None:
        """Send the next group: of the system of the process, else the last one of the longest."""
        own = self._open[self._home[worker]]
        if own:
            worker.send((self._home[worker], own.popleft()))
            return
        system, groups = max(self._open.items(), key=lambda item: len(item[1]))
        if groups:
            worker.send((system, groups.pop()))

    def _receive(self, worker: Connection) -> None:
        try:
            message = worker.recv()
        except (EOFError, ConnectionError):
            process = self._workers[worker]
            process.join()
            raise RuntimeError(
                f"a process that judged checks ended with code {process.exitcode}"
            ) from None
        if message is None:
            self._give(worker)
        elif isinstance(message, BaseException):
            raise message
        else:
            system, result = message
            self._results[system, result.name] = result


# --- in the process that judges -------------------------------------------------------------------


def _work(connection: Connection, unused: Sequence[Connection], job: Job) -> None:
    """Judge groups of checks until nobody asks any more."""
    for other in unused:
        other.close()
    begin_worker()
    subjects: dict[str, tuple[Theory, Evidence]] = {}
    with (
        contextlib.suppress(EOFError, ConnectionError),
        # many small matrix products: threads of the linear algebra library would only wait for
        # each other, and the replicas already use all processors
        threadpool_limits(limits=1, user_api="blas"),
    ):
        while True:
            system, names = connection.recv()
            try:
                if system not in subjects:
                    chosen = get_system(system)
                    evidence = Evidence(chosen, get_level(job.level), job.seed)
                    subjects[system] = Theory.derive(chosen.model), evidence
                for name in names:
                    result = run_check(name, *subjects[system], job.shares[system])
                    connection.send((system, replace(result, exhibits=_prepared(result, job))))
            except ConnectionError:
                raise
            except Exception as error:
                connection.send(error)
            connection.send(None)


def _prepared(result: CheckResult, job: Job) -> tuple[Exhibit, ...]:
    return () if job.prepare is None else tuple(map(job.prepare, result.exhibits))
