"""The command `simulate`: SGD beside the theory."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from verify.settings.configuration import Configuration

from .command import takes_options
from .messages import complain, say
from .shared import problem_of
from .terminal import (
    INTERRUPTED,
    NOT_WELL,
    integrating,
    progress_bar,
    standard_output,
    write_data,
    write_figure,
)

if TYPE_CHECKING:
    import xarray as xr

    from numerics import Problem, State


@takes_options
def simulate(
    settings: Configuration, *, theory: bool, output: Path | None, plot: Path | None
) -> None:
    """Run online SGD, several independent times, and set it beside the theory.

    A run that diverges or is interrupted keeps what was recorded: it is still written to --output
    and --plot.

    Example:  specalign simulate --dimension 1000 --replicas 20 --time 16 --plot runs.png

    Example:  specalign simulate --method reduced --dimension 1000000 --replicas 4 --time 16

    Example:  specalign simulate xor --dimension 500 --replicas 8 --plot xor.png
    """
    times, pace = settings.times(), settings.pace()
    laws = (settings.value(name) for name in ("method", "noise"))
    settings.check_run(settings.value("replicas"), *laws)
    problem, initial = problem_of(settings)
    runs, code = _run(settings, problem, initial, times, output)
    if runs.sizes["time"] == 0:
        raise typer.Exit(code)
    # the runs are safe on disk before anything else is computed
    write_data(runs, output)
    from verify.tables.runs import course_table, error_warnings, final_table, over_bands
    from verify.tables.text import fine_times, numbers_sentence, parameters_text, run_text

    name, curve, fine = problem.model.name, None, None
    if theory and not code:
        from numerics import solve_curve

        grid = runs["time"].to_numpy()
        with integrating(f"integrating the effective dynamics of {name}", complains=False):
            solution = solve_curve(problem, initial, float(grid[-1]), **pace)
        curve = solution.dataset(grid)
        # a figure follows the curve between the times of a list too
        if plot is not None and isinstance(times, list):
            fine = solution.dataset(fine_times(runs))
    console, names = standard_output(), settings.kind.direction_names
    runs = over_bands(runs)
    curve, fine = (None if data is None else over_bands(data) for data in (curve, fine))
    done, d = runs.sizes["replica"], runs.attrs["dimension"]
    console.print(course_table(runs, f"SGD on {name}: mean of {done} runs in dimension {d}"))
    console.print(final_table(curve, runs, names))
    say(numbers_sentence(runs, problem.parameters, names))
    if curve is not None:
        say(
            "Expected distance of the SGD mean from the theory: a bias of order 1/d plus the "
            "standard error."
        )
        for warning in error_warnings(curve):
            say(warning)
    if plot is not None:
        from verify.figures import plot_curves

        what = "SGD" if curve is None else "SGD and effective dynamics"
        numbers = parameters_text(problem.parameters, directions=names)
        title = f"{name}: {what}, {numbers}{run_text(runs)}"
        write_figure(plot_curves(curve, runs, title, directions=names, fine=fine), plot)
    if code:
        raise typer.Exit(code)


def _run(
    settings: Configuration, problem: Problem, initial: State, times: Any, output: Path | None
) -> tuple[xr.Dataset, int]:
    """The runs, as far as they came, and the exit code."""
    from numerics import DivergenceError, SimulationInterrupted, simulate_sgd

    sizes = {name: settings.value(name) for name in ("dimension", "replicas", "seed")}
    laws = {name: settings.value(name) for name in ("method", "noise")}
    try:
        with progress_bar(f"SGD on {problem.model.name}") as report:
            runs = simulate_sgd(
                problem, initial, times, **sizes, **laws, **settings.pace(), progress=report
            )
            return runs, 0
    except DivergenceError as error:
        # the exception tells a caller in Python where the records are: here they are in a file
        cause = re.sub(r"What was recorded[^.]*\.partial\.?\s*", "", str(error))
        complain(f"stopped: {cause}; {_recorded(error.partial, times, settings, output)}")
        return error.partial, NOT_WELL
    except SimulationInterrupted as error:
        complain(f"interrupted: {_recorded(error.partial, times, settings, output)}")
        return error.partial, INTERRUPTED


def _recorded(runs: xr.Dataset, times: Any, settings: Configuration, output: Path | None) -> str:
    """How much of a stopped simulation was recorded, and where it is."""
    import numpy as np

    from numerics.core.validation import check_times

    wanted, done = settings.value("replicas"), runs.sizes["time"]
    if not done:
        return "no time was reached by any run, so there is nothing to write"
    grid = check_times(times)
    total = np.unique(np.rint(grid / runs.attrs["step_size"])).size  # a run records a step once
    reached = f"t = {float(runs['time'][-1]):.4g} of {grid[-1]:.4g}"
    replicas = f"{runs.sizes['replica']} of {wanted} runs"
    text = f"recorded {done} of {total} times ({reached}) in {replicas}"
    if output is None:
        return f"{text}; --output FILE.nc would have kept them"
    return f"{text}, written to {output}"
