"""The command `sweep`: measurements at every point of a grid, on processes or a Dask cluster."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from theory.errors import InputError
from verify.settings.configuration import Configuration

from .command import takes_options
from .messages import complain, inform, say
from .terminal import INTERRUPTED, NOT_WELL, named_progress, spinner, standard_output, write_figure

if TYPE_CHECKING:
    import xarray as xr

    from numerics import Sweep
    from verify.settings.sweep_file import SweepFile

# failed points whose errors are printed
_SHOWN = 5
_STATUS = ("open", "done", "failed")


@takes_options
def sweep(
    settings: Configuration,
    *,
    file: Path,
    store: Path,
    workers: int | None,
    scheduler: str | None,
    retry_failed: bool,
    plot: Path | None,
    listing: bool,
) -> None:
    """Measure alignment, spectra, concentration, escape and more at every point of a grid of
    parameters.

    The numbers do not depend on the number of workers. A point that fails is recorded with its
    error, the others go on. A sweep that was stopped goes on with the same command. Times are in
    units of steps * c_delta / dimension.

    Example:  specalign sweep examples/sweep_dimension.toml --store dimension.zarr --plot
    dimension.png

    Example:  specalign sweep examples/sweep_escape.toml --store escape.zarr --scheduler
    tcp://10.0.0.1:8786
    """
    if scheduler is None and not listing:
        _prepare_processes()

    from verify.settings.sweep_file import read_sweep

    if workers is not None and scheduler is not None:
        remedy = "the scheduler has workers of its own"
        raise InputError("--workers", "given with --scheduler", "one of the two", remedy)
    described = read_sweep(file)
    if plot is not None and described.figure is None:
        remedy = f"add [figure] to {file}, as in examples/"
        raise InputError("--plot", plot, "a file with a table [figure]", remedy)

    from numerics.sweeps.store import check_place

    check_place(store)
    with spinner("building the models of the sweep"):
        grid = described.sweep()
    if listing:
        _list(grid, store)
        return
    data = _run(grid, store, workers, scheduler, retry_failed)
    failed = _report(grid, data, store)
    if plot is not None:
        _draw(described, data, plot)
    if failed:
        raise typer.Exit(NOT_WELL)


def _prepare_processes() -> None:
    """Let the process that workers are copies of (see numerics.sweeps.executors) import its
    packages while this one does.
    """
    if sys.platform == "linux":
        from multiprocessing import forkserver

        forkserver.set_forkserver_preload(["numerics.sweeps.run"])
        forkserver.ensure_running()


def _run(
    grid: Sweep, store: Path, workers: int | None, scheduler: str | None, retry_failed: bool
) -> xr.Dataset:
    from numerics import DamagedPointsWarning, SweepError, SweepInterrupted, run_sweep

    resume = "the same command goes on from here"
    try:
        with (
            _executor(scheduler) as executor,
            named_progress(f"{grid.total} points", reached=True) as report,
        ):

            def tell(done: int, failed: int, total: int) -> None:
                name = f"{done} finished, {failed} failed of {total} points"
                report(name, (done + failed) / total)

            with warnings.catch_warnings():
                # what was damaged is told in one line
                warnings.simplefilter("always", DamagedPointsWarning)
                warnings.showwarning = lambda message, *_: complain(f"warning: {message}")
                return run_sweep(grid, store, executor, workers, tell, retry_failed=retry_failed)
    except SweepInterrupted as error:
        complain(f"interrupted: {error.done} of {error.total} points are kept in {store}; {resume}")
        raise typer.Exit(INTERRUPTED) from error
    except SweepError as error:
        complain(f"stopped: {error}; what is finished is kept in {store}: {resume}")
        raise typer.Exit(NOT_WELL) from error


@contextmanager
def _executor(scheduler: str | None) -> Iterator[Any]:
    """The executor of a scheduler; None for processes of this machine."""
    from numerics import dask_executor
    from numerics.sweeps.executors import Engine

    with nullcontext() if scheduler is None else dask_executor(scheduler) as executor:
        if executor is not None and not Engine(executor).asked():
            inform(f"the scheduler at {scheduler} has no worker yet: the sweep waits for one")
        yield executor


def _report(grid: Sweep, data: xr.Dataset, store: Path) -> int:
    """Say how many points are done, and why others failed; returns how many did."""
    status = data["status"].to_numpy().ravel()
    failed = [i for i, state in enumerate(status) if state == _STATUS.index("failed")]
    say(f"{int((status == 1).sum())} of {grid.total} points done, {len(failed)} failed: {store}")
    for number in failed[:_SHOWN]:
        at = ", ".join(f"{name} = {value}" for name, value in grid.values(number).items())
        complain(f"failed at {at}: {data['error'].to_numpy().ravel()[number]}")
    if failed:
        further = f"{len(failed) - _SHOWN} more failed; " if len(failed) > _SHOWN else ""
        complain(f"{further}--list shows all, --retry-failed computes them again")
    return len(failed)


def _list(grid: Sweep, store: Path) -> None:
    import numpy as np

    from numerics import open_store

    status, seconds = np.zeros(grid.total, int), np.full(grid.total, np.nan)
    errors = [""] * grid.total
    if store.exists():
        data = open_store(store)
        if data["status"].shape != grid.shape:
            expected = f"a store of shape {grid.shape}, as {grid.total} points have"
            remedy = "it belongs to another sweep: choose another --store"
            raise InputError("store", store, expected, remedy)
        status, seconds = data["status"].to_numpy().ravel(), data["seconds"].to_numpy().ravel()
        errors = [str(e) for e in data["error"].to_numpy().ravel()]
    rows = []
    for i in range(grid.total):
        values = map(str, grid.values(i).values())
        time = "" if np.isnan(seconds[i]) else f"{seconds[i]:.2f}"
        rows.append([str(i + 1), *values, _STATUS[status[i]], time, errors[i]])
    title = f"{grid.total} points, measured: {', '.join(m.name for m in grid.measurements)}"
    columns = ["point", *grid.axes, "status", "seconds", "error"]
    from verify.tables.text import make_table

    standard_output().print(make_table(title, columns, rows, left=1))


def _draw(described: SweepFile, data: xr.Dataset, plot: Path) -> None:
    from verify.figures import plot_sweep

    assert described.figure is not None  # asked for before any work
    write_figure(plot_sweep(data, described.figure), plot)
