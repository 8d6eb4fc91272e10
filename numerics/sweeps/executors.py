"""Where the points of a sweep are computed: processes of this machine, or any executor that exists
already.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import (
    BrokenExecutor,
    Executor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
)
from contextlib import contextmanager, suppress
from multiprocessing.connection import wait
from time import monotonic
from typing import Any

from threadpoolctl import ThreadpoolController

from numerics.core.errors import SweepError
from numerics.core.validation import as_integer, check_kind
from theory import InputError
from theory.keywords import with_known_keywords

from .source_identity import make_identifier, source_identity

# seconds until a scheduler that does not answer is given up
PATIENCE = 8.0
# seconds for which the number of workers of a cluster is taken as known
FORGET = 5.0


class Engine:
    """Any :class:`concurrent.futures.Executor`; it stays with its owner.

    Parameters
    ----------
    executor : concurrent.futures.Executor
    workers : int, optional
        How many points it computes at a time; asked of the executor when omitted.
    """

    def __init__(self, executor: Executor, workers: int | None = None) -> None:
        self.executor = executor
        self.workers = None if workers is None else _checked(workers)
        self._asked_at, self._answer = -FORGET, 0

    @property
    def capacity(self) -> int:
        """Points in flight: enough that no worker waits for the next."""
        return 2 * max(self.workers or self.asked(), 1)

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        return self.executor.submit(function, *arguments)

    def check_workers(self) -> None:
        """Refuse workers of a cluster that would compute with other code than this process.

        Raises
        ------
        theory.InputError
            Naming the workers, their version and ours.
        """
        client = getattr(self.executor, "_client", None)
        if client is None:
            return  # threads and processes of this machine import the files that we did
        try:
            answers = client.run(make_identifier())
        except Exception as error:
            raise SweepError(f"the workers do not answer: {error}") from error
        others = {name: found for name, found in answers.items() if found != source_identity()}
        if others:
            named = "; ".join(f"{name} has {found}" for name, found in list(others.items())[:3])
            raise InputError(
                "scheduler",
                f"{len(others)} of {len(answers)} workers with another version ({named})",
                f"workers with {source_identity()}",
                "install the same version of specalign on every worker and start them again",
            )

    def recover(self) -> None:
        """Called when a worker took its executor down."""
        raise SweepError(
            "the executor is broken: a worker died. Finished points are kept: start it again and "
            "resume"
        )

    def close(self, futures: list[Future[Any]]) -> None:
        """Take back what has not begun."""
        for future in futures:
            future.cancel()

    def asked(self) -> int:
        """How many points the executor says it computes at a time."""
        client = getattr(self.executor, "_client", None)
        if client is not None:
            # workers of a cluster come and go; asking takes a while
            if monotonic() - self._asked_at > FORGET:
                try:
                    self._answer = sum(client.nthreads().values())
                except Exception as error:
                    raise SweepError(f"the scheduler is gone: {error}") from error
                self._asked_at = monotonic()
            return self._answer
        known = getattr(self.executor, "_max_workers", None)
        return known if isinstance(known, int) else os.cpu_count() or 1


class LocalEngine(Engine):
    """Processes of this machine; a pool that lost a worker is replaced by a new one.

    Parameters
    ----------
    workers : int, optional
        Processes; all processors when omitted.
    """

    def __init__(self, workers: int | None = None) -> None:
        count = _checked(workers) if workers is not None else os.cpu_count() or 1
        self._greeting: Future[Any] | None = None
        super().__init__(self._pool(count), count)

    def _pool(self, count: int) -> ProcessPoolExecutor:
        pool = ProcessPoolExecutor(count, _context(), initializer=begin_worker)
        self._greeting = pool.submit(_greet)
        return pool

    def recover(self) -> None:
        if (
            self._greeting is not None
            and self._greeting.done()
            and self._greeting.exception() is not None
        ):
            raise SweepError(
                "worker processes do not start. In a script, call run_sweep below "
                "`if __name__ == '__main__':`"
            )
        self._end(wait_for_points=False)
        self.executor = self._pool(self.workers or 1)

    def close(self, futures: list[Future[Any]]) -> None:
        super().close(futures)
        self._end(wait_for_points=all(future.done() for future in futures))

    def _end(self, wait_for_points: bool) -> None:
        processes = list((getattr(self.executor, "_processes", None) or {}).values())
        results = getattr(self.executor, "_result_queue", None)
        if not wait_for_points:
            for process in processes:
                process.terminate()
        self.executor.shutdown(wait=wait_for_points, cancel_futures=True)
        for process in processes:
            process.join(PATIENCE)
        if not wait_for_points and results is not None:
            # A worker that ends while it sends a result leaves half of it, and the thread that
            # reads it waits for the rest, and Python for the thread, as long as anyone may write.
            results._writer.close()


def _context() -> multiprocessing.context.BaseContext:
    """How processes start: as copies of one that has only imported what they need, where the system
    can do that.

    Copies of the driver itself would inherit its threads and locks.
    """
    if sys.platform != "linux":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["numerics.sweeps.run"])
    return context


@with_known_keywords
@contextmanager
def dask_executor(address: str) -> Iterator[Executor]:
    """An executor of the Dask scheduler at ``address``.

    Raises
    ------
    theory.InputError
        Dask is not installed; the scheduler does not answer within seconds.

    Examples
    --------
    >>> with dask_executor("tcp://10.0.0.1:8786") as executor:              # doctest: +SKIP
    ...     data = run_sweep(sweep, "sweep.zarr", executor)
    >>> with dask_executor(8786):
    ...     pass
    Traceback (most recent call last):
        ...
    theory.errors.InputError: address: got 8786; ... Remedy: give a text such as tcp://10.0.0.1:8786.
    """
    check_kind("address", address, str, "give a text such as tcp://10.0.0.1:8786")
    try:
        from distributed import Client
        from distributed.comm import connect
        from distributed.security import Security
    except ImportError as error:
        raise InputError(
            "scheduler",
            address,
            "an installed Dask",
            "pip install 'specalign[dask]', or leave the scheduler away",
        ) from error

    async def greet() -> None:
        arguments = Security().get_connection_args("client")
        comm = await asyncio.wait_for(connect(address, timeout=PATIENCE / 2, **arguments), PATIENCE)
        await comm.close()

    try:
        # a Client waits without end for a listener that never says a word; a loop of our own can
        # give up
        with ThreadPoolExecutor(1) as loop:
            loop.submit(asyncio.run, greet()).result()
        client = Client(address, timeout=PATIENCE, set_as_default=False, name="specalign")
    except Exception as error:  # whatever a stranger behind the address answers
        reason = str(error) or f"no answer within {PATIENCE:g} s"
        raise InputError(
            "scheduler",
            repr(address),
            f"the address of a running Dask scheduler ({reason})",
            "start one with `dask scheduler`, and give the address that it prints, such as "
            "tcp://10.0.0.1:8786",
        ) from error
    try:
        yield client.get_executor()
    finally:
        # a scheduler that is gone makes even closing an error
        with suppress(Exception, asyncio.CancelledError):
            client.close(timeout=PATIENCE)


# --- in the worker --------------------------------------------------------------------------------


def begin_worker() -> None:
    """Leave Ctrl-C to the driver, and end with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # a copy of the driver has its ways; a worker ends when it is told to
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)


def _greet() -> None:
    """Shows that workers start."""


class _OneThread:
    """Linear algebra on one thread while any point is at work in this process, whichever thread it
    is in.
    """

    def __init__(self) -> None:
        self._lock, self._count = threading.Lock(), 0
        self._limit: Any = None

    def __enter__(self) -> None:
        with self._lock:
            if self._count == 0:
                self._limit = ThreadpoolController().limit(limits=1)
            self._count += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._count -= 1
            if self._count == 0:
                self._limit.restore_original_limits()


ONE_THREAD = _OneThread()


def is_broken(error: BaseException) -> bool:
    """Whether an executor was taken down by one of its workers."""
    return isinstance(error, BrokenExecutor)


def _checked(workers: int) -> int:
    return as_integer("workers", workers, 1, "use at least one worker")
