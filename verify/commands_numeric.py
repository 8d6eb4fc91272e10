"""The commands `simulate` and `spectrum`: SGD and empirical matrices beside the theory."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from theory import InputError, Model, derive_hessian
from theory.kinks import ALMOST_EVERYWHERE, DISTRIBUTIONAL

from . import options as opt
from .configuration import Configuration
from .console import (
    check_outputs,
    complain,
    progress_bar,
    say,
    spinner,
    standard_output,
    write_data,
    write_figure,
)
from .values import parse_number

if TYPE_CHECKING:
    import xarray as xr

T = TypeVar("T")
# what is taken where nothing is said
DIMENSION, REPLICAS = 1000, 20


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
        typer.Option("--theory/--no-theory", help="Also compute the theoretical curve.", rich_help_panel="Run"),
    ] = True,
    output: opt.DataOutput = None,
    plot: opt.Plot = None,
) -> None:
    """Run online SGD, several independent times, and set it beside the theory.

    A run that diverges or is interrupted keeps what was recorded: it is still written to --output and --plot.

    Example:  specalign simulate --dimension 1000 --replicas 20 --time 16 --plot runs.png

    Example:  specalign simulate --method reduced --dimension 1000000 --replicas 4 --time 16

    Example:  specalign simulate xor --dimension 500 --replicas 8 --plot xor.png
    """
    given = opt.configure(
        config, name=name, k=k, width=width, activation=activation, weights=weights, precision=precision, ridge=ridge,
        step=step, directions_gram=directions_gram, overlap=overlap, gram_perp=gram_perp, readout=readout, time=time,
        dimension=dimension, replicas=replicas, seed=seed, method=method, batch=batch, schedule=schedule, noise=noise,
    )
    check_outputs(output=(output, opt.DATA_SUFFIXES), plot=(plot, opt.PLOT_SUFFIXES))
    times, pace = given.times(), given.pace()
    model, parameters, initial = opt.numbers(given)

    from numerics.sgd import DivergenceError, SimulationInterrupted, simulate_sgd

    code = 0
    try:
        with progress_bar(f"SGD on {model.name}") as report:
            runs = simulate_sgd(
                model, parameters, initial, times, or_default(given.dimension, DIMENSION),
                or_default(given.replicas, REPLICAS), or_default(given.seed, 0),
                method=or_default(given.method, "direct"), noise=or_default(given.noise, "gaussian"), **pace,
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
    from .summaries import course_table, error_warnings, final_table, fine_times, parameters_text, run_text

    curve = fine = None
    if theory and not code:
        from numerics.flow import solve_curve

        grid = runs["time"].to_numpy()
        with spinner(f"integrating the effective dynamics of {model.name}"):
            solution = solve_curve(model, parameters, initial, float(grid[-1]), **pace)
        curve = solution.dataset(grid)
        # a figure follows the curve between the times of a list too
        fine = solution.dataset(fine_times(runs)) if plot is not None and isinstance(times, list) else None
    console = standard_output()
    replicas_done, d = runs.sizes["replica"], runs.attrs["dimension"]
    console.print(course_table(runs, f"SGD on {model.name}: mean of {replicas_done} runs in dimension {d}"))
    names = given.kind.direction_names
    console.print(final_table(curve, runs, names))
    if curve is not None:
        say("Expected distance of the SGD mean from the theory: a bias of order 1/d plus the standard error.")
        for warning in error_warnings(curve):
            say(warning)
    if plot is not None:
        from .figures import plot_curves

        what = "SGD" if curve is None else "SGD and effective dynamics"
        title = f"{model.name}: {what}, {parameters_text(parameters, directions=names)}{run_text(runs)}"
        write_figure(plot_curves(curve, runs, title, directions=names, fine=fine), plot)
    if code:
        raise typer.Exit(code)


def spectrum(
    name: opt.ModelName = None,
    matrix: Annotated[
        str,
        typer.Option(
            metavar=opt.metavar(opt.Matrix), rich_help_panel="Matrix",
            help="Hessian of the loss, or the gradient matrix G, the mean of grad grad^T.",
        ),
    ] = "hessian",
    block: Annotated[
        str,
        typer.Option(
            metavar="A,B|full|readout|all", rich_help_panel="Matrix",
            help="Block of two units, counted from 1; or the full first layer, the second layer, everything.",
        ),
    ] = "1,1",
    kink_rule: opt.HessianRule = None,
    at: Annotated[
        str | None,
        typer.Option(
            metavar="T", show_default=False, rich_help_panel="Matrix",
            help="Time on the theoretical curve, in units of steps * c_delta / dimension (default: initial state).",
        ),
    ] = None,
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
    dimension: opt.Dimension = None,
    samples: opt.Samples = None,
    seed: opt.Seed = None,
    output: opt.DataOutput = None,
    plot: opt.Plot = None,
) -> None:
    """Compute eigenvalues of the Hessian or gradient matrix and how their vectors align with the means.

    The population spectrum is exact in any dimension; --samples adds the spectrum of an empirical matrix. The block
    readout is set against the features that the second layer sees of the means.

    Example:  specalign spectrum --matrix hessian --block 1,1 --at 8 --samples 20000 --plot spectrum.png

    Example:  specalign spectrum xor --block readout --at 30 --samples 20000
    """
    given = opt.configure(
        config, name=name, k=k, width=width, activation=activation, weights=weights, precision=precision, ridge=ridge,
        step=step, directions_gram=directions_gram, overlap=overlap, gram_perp=gram_perp, readout=readout,
        dimension=dimension, samples=samples, seed=seed,
    )
    check_outputs(output=(output, opt.DATA_SUFFIXES), plot=(plot, opt.PLOT_SUFFIXES))
    kind = opt.chosen("--matrix", matrix, opt.Matrix).value
    when = None if at is None else time_on_curve(at)
    part = read_block(block, given)
    count = _check_samples(given, part)
    model, parameters, state = opt.numbers(given)
    rule = _kink_rule(opt.check_kink_rule(kink_rule, kind, model), kind, model, count is not None)

    from numerics.flow import solve_curve
    from numerics.layout import check_dimension
    from numerics.population import population_spectrum
    from numerics.state import as_integer

    d = check_dimension(or_default(given.dimension, DIMENSION), model.directions, model.units)
    root = as_integer("seed", or_default(given.seed, 0), 0, "seeds are non-negative integers")
    state_error = 0.0
    if when:
        with spinner(f"integrating the effective dynamics of {model.name} to t = {when:g}"):
            curve = solve_curve(model, parameters, state, when)
        state, state_error = curve.state(when), curve.error_estimate
    with spinner(f"population spectrum of {model.name}"):
        blocks = None if rule is None else derive_hessian(model, kink_rule=rule)
        population = population_spectrum(
            model, parameters, state, matrix=kind, block=part, dimension=d, blocks=blocks
        )
        if rule is not None:
            population.attrs["kink_rule"] = rule
    empirical = None
    if count is not None:
        with spinner(f"empirical spectrum of {count} samples in dimension {d}"):
            from numerics.empirical import empirical_spectrum

            empirical = empirical_spectrum(
                model, parameters, state, dimension=d, samples=count, seed=root, matrix=kind, block=part,
                beside=None if part == "readout" else population,
            )

    from .spectra import join_spectra, matrix_name, readout_remarks, spectrum_remarks, spectrum_table
    from .summaries import parameters_text

    names = given.kind.direction_names
    standard_output().print(spectrum_table(population, empirical, names))
    if part == "readout":
        from numerics.features import readout_alignment

        spectra = [data for data in (population, empirical) if data is not None]
        for remark in readout_remarks(*(readout_alignment(data, model, parameters, state) for data in spectra)):
            say(remark)
    for remark in spectrum_remarks(population, empirical, when, state_error):
        say(remark)
    if output is not None:
        write_data(join_spectra(population, empirical), output)
    if plot is not None:
        from .figures import plot_spectrum

        moment = "the initial state" if not when else f"t = {when:g}"
        title = f"{model.name}: {matrix_name(population)} at {moment}, {parameters_text(parameters, directions=names)}"
        write_figure(plot_spectrum(population, empirical, title, directions=names), plot)


def _kink_rule(asked: str | None, matrix: str, model: Model, beside_data: bool) -> str | None:
    """The kink rule of a Hessian: beside data almost-everywhere; None where there is nothing to choose."""
    if matrix != opt.Matrix.hessian or model.loss.is_smooth:
        return None
    if not beside_data:
        return asked or DISTRIBUTIONAL
    if asked not in (None, ALMOST_EVERYWHERE):
        raise InputError(
            "--kink-rule", repr(asked), f"{ALMOST_EVERYWHERE!r} with --samples",
            "samples never lie on a kink; leave --samples or --kink-rule away",
        )
    return ALMOST_EVERYWHERE


def _kept(runs: xr.Dataset, times: float | list[float], given: Configuration, output: Path | None) -> str:
    """How much of a stopped simulation was recorded, and where it is."""
    import numpy as np

    from numerics.flow import check_times

    wanted, done = or_default(given.replicas, REPLICAS), runs.sizes["time"]
    if not done:
        return "no time was reached by any run, so there is nothing to write"
    grid = check_times(times)
    total = np.unique(np.rint(grid / runs.attrs["step_size"])).size  # a run records a step once
    text = (
        f"recorded {done} of {total} times (t = {float(runs['time'][-1]):.4g} of {grid[-1]:.4g}) in "
        f"{runs.sizes['replica']} of {wanted} runs"
    )
    return f"{text}, written to {output}" if output is not None else f"{text}; --output FILE.nc would have kept them"


def or_default(value: T | None, default: T) -> T:
    """The value, or what is taken where nothing is said."""
    return default if value is None else value


def read_block(text: str, given: Configuration, *further: str) -> tuple[int, int] | str:
    """Read a block: units count from 1 here, as in every printed symbol, and from 0 in Python.

    ``further`` are names that two layers have beside readout and all.
    """
    start, name = given.kind.start(given.size), text.strip()
    of_two = ("readout", "all", *further)
    units, names = len(start.overlap), ("full", *of_two) if start.readout else ("full",)
    if name in names:
        return "first_layer" if name == "full" else name
    if name in of_two:
        raise InputError(
            "--block", repr(text), f"A,B with units 1..{units}, or full",
            f"the model {given.model_name} has no readout parameters: full is everything",
        )
    try:
        pair = tuple(int(part) for part in name.split(","))
    except ValueError:
        pair = ()
    if len(pair) != 2 or not all(1 <= a <= units for a in pair):
        raise InputError(
            "--block", repr(text), f"A,B with units 1..{units}, or {', '.join(names)}",
            f"write --block 1,{min(2, units)} for the block of units 1 and {min(2, units)}",
        )
    return pair[0] - 1, pair[1] - 1


def _check_samples(given: Configuration, part: tuple[int, int] | str) -> int | None:
    """The number of samples, if any are to be drawn for this part."""
    from numerics.state import as_integer

    if given.samples is None:
        return None
    if part == "all":
        raise InputError(
            "--block", "'all' with --samples", "a block, full or readout", "leave --samples or --block away"
        )
    return as_integer("samples", given.samples, 1, "ask for at least one sample")


def time_on_curve(text: str) -> float:
    """Read a time on the theoretical curve."""
    from numerics.state import as_scalar

    return as_scalar(
        "--at", float(parse_number("--at", text)), 0.0, False, "give a time in units of steps * c_delta / dimension"
    )
