"""The command `simulate`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from verify.settings.configuration import Configuration

from . import options as opt
from .shared import DIMENSION, REPLICAS, or_default
from .terminal import (
    check_outputs,
    complain,
    integrating,
    progress_bar,
    say,
    standard_output,
    write_data,
    write_figure,
)

if TYPE_CHECKING:
    import xarray as xr


def simulate(
    name: opt.ModelName = None,
    config: opt.Config = None,
    k: opt.Classes = None,
    width: opt.Width = None,
    activation: opt.ActivationName = None,
    weights: opt.Weights = None,
    precision: opt.Precision = None,
    ridge: opt.Ridge = None,
    step: opt.Step = None,
    directions_gram: opt.DirectionsGram = None,
    overlap: opt.Overlap = None,
    gram_perp: opt.GramPerp = None,
    readout: opt.Readout = None,
    time: opt.Time = None,
    dimension: opt.Dimension = None,
    replicas: opt.Replicas = None,
    seed: opt.Seed = None,
    method: opt.Method = None,
    batch: opt.Batch = None,
    schedule: opt.ScheduleOption = None,
    noise: opt.NoiseOption = None,
    theory: Annotated[
        bool,
        typer.Option(
            "--theory/--no-theory",
            help="Also compute the theoretical curve.",
            rich_help_panel="Run",
        ),
    ] = True,
    output: opt.DataOutput = None,
    plot: opt.Plot = None,
) -> None:
    """Run online SGD, several independent times, and set it beside the theory.

    A run that diverges or is interrupted keeps what was recorded: it is still written to --output
    and --plot.

    Example:  specalign simulate --dimension 1000 --replicas 20 --time 16 --plot runs.png

    Example:  specalign simulate --method reduced --dimension 1000000 --replicas 4 --time 16

    Example:  specalign simulate xor --dimension 500 --replicas 8 --plot xor.png
    """
    given = opt.configure(
        config,
        name=name,
        k=k,
        width=width,
        activation=activation,
        weights=weights,
        precision=precision,
        ridge=ridge,
        step=step,
        directions_gram=directions_gram,
        overlap=overlap,
        gram_perp=gram_perp,
        readout=readout,
        time=time,
        dimension=dimension,
        replicas=replicas,
        seed=seed,
        method=method,
        batch=batch,
        schedule=schedule,
        noise=noise,
    )
    check_outputs(output=(output, opt.DATA_SUFFIXES), plot=(plot, opt.PLOT_SUFFIXES))
    times, pace = given.times(), given.pace()
    model, parameters, initial = opt.numbers(given)

    from numerics import DivergenceError, SimulationInterrupted, simulate_sgd

    code = 0
    try:
        with progress_bar(f"SGD on {model.name}") as report:
            runs = simulate_sgd(
                model,
                parameters,
                initial,
                times,
                or_default(given.dimension, DIMENSION),
                or_default(given.replicas, REPLICAS),
                or_default(given.seed, 0),
                method=or_default(given.method, "direct"),
                noise=or_default(given.noise, "gaussian"),
                **pace,
                progress=report,
            )
    except DivergenceError as error:
        runs, code = error.partial, opt.NOT_WELL
        # the exception tells a caller in Python where the records are: here they are in a file
        cause = re.sub(r"What was recorded[^.]*\.partial\.?\s*", "", str(error))
        complain(f"stopped: {cause}; {_kept(runs, times, given, output)}")
    except SimulationInterrupted as error:
        runs, code = error.partial, opt.INTERRUPTED
        complain(f"interrupted: {_kept(runs, times, given, output)}")
    if runs.sizes["time"] == 0:
        raise typer.Exit(code)
    # the runs are safe on disk before anything else is computed
    write_data(runs, output)
    from verify.tables.runs import course_table, error_warnings, final_table
    from verify.tables.text import fine_times, parameters_text, run_text

    curve = fine = None
    if theory and not code:
        from numerics import solve_curve

        grid = runs["time"].to_numpy()
        with integrating(f"integrating the effective dynamics of {model.name}", complains=False):
            solution = solve_curve(model, parameters, initial, float(grid[-1]), **pace)
        curve = solution.dataset(grid)
        # a figure follows the curve between the times of a list too
        fine = (
            solution.dataset(fine_times(runs))
            if plot is not None and isinstance(times, list)
            else None
        )
    console = standard_output()
    replicas_done, d = runs.sizes["replica"], runs.attrs["dimension"]
    console.print(
        course_table(runs, f"SGD on {model.name}: mean of {replicas_done} runs in dimension {d}")
    )
    names = given.kind.direction_names
    console.print(final_table(curve, runs, names))
    if curve is not None:
        say(
            "Expected distance of the SGD mean from the theory: a bias of order 1/d plus the standard error."
        )
        for warning in error_warnings(curve):
            say(warning)
    if plot is not None:
        from verify.figures import plot_curves

        what = "SGD" if curve is None else "SGD and effective dynamics"
        title = (
            f"{model.name}: {what}, {parameters_text(parameters, directions=names)}{run_text(runs)}"
        )
        write_figure(plot_curves(curve, runs, title, directions=names, fine=fine), plot)
    if code:
        raise typer.Exit(code)


def _kept(
    runs: xr.Dataset, times: float | list[float], given: Configuration, output: Path | None
) -> str:
    """How much of a stopped simulation was recorded, and where it is."""
    import numpy as np

    from numerics.core.validation import check_times

    wanted, done = or_default(given.replicas, REPLICAS), runs.sizes["time"]
    if not done:
        return "no time was reached by any run, so there is nothing to write"
    grid = check_times(times)
    total = np.unique(np.rint(grid / runs.attrs["step_size"])).size  # a run records a step once
    text = (
        f"recorded {done} of {total} times (t = {float(runs['time'][-1]):.4g} of {grid[-1]:.4g}) in "
        f"{runs.sizes['replica']} of {wanted} runs"
    )
    return (
        f"{text}, written to {output}"
        if output is not None
        else f"{text}; --output FILE.nc would have kept them"
    )
