"""The commands `derive` and `curves`: what theory alone can say."""

from __future__ import annotations

from typing import Annotated

import typer

from theory import InputError

from . import options as opt
from .terminal import check_outputs, integrating, say, standard_output, write_data, write_figure


def curves(
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
    batch: opt.Batch = None,
    schedule: opt.ScheduleOption = None,
    limit: Annotated[
        str | None,
        typer.Option(
            metavar="exact|noiseless",
            show_default=False,
            rich_help_panel="Run",
            help="exact (default), or noiseless: lambda to infinity, sliding along kinks where the flow has to.",
        ),
    ] = None,
    output: opt.DataOutput = None,
    plot: opt.Plot = None,
) -> None:
    """Compute the theoretical training curves (dimension to infinity), with an error estimate.

    Works without any option. kgmm: three classes with equal weights, orthonormal means, overlap 0
    and R_perp the identity, the limit of a random start in high dimension. xor: four units, each
    leaning a little towards another cluster. Any other start is given by --overlap and --gram-perp,
    and --readout.

    Example:  specalign curves --weights 0.5,0.3,0.2 --time 16 --plot curves.png --output curves.nc

    Example:  specalign curves xor --limit noiseless --plot sliding.png
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
        batch=batch,
        schedule=schedule,
    )
    check_outputs(output=(output, opt.DATA_SUFFIXES), plot=(plot, opt.PLOT_SUFFIXES))
    flow = opt.chosen("--limit", limit or opt.Flow.exact, opt.Flow)
    if flow is opt.Flow.noiseless and precision is not None:
        raise InputError(
            "--precision",
            precision,
            "no number together with --limit noiseless",
            "leave --precision away",
        )
    times, pace = given.times(), given.pace()
    if flow is opt.Flow.noiseless and (batch, schedule) != (None, None):
        name, said = ("--batch", batch) if batch is not None else ("--schedule", schedule)
        raise InputError(
            name, said, "nothing of the kind together with --limit noiseless", f"leave {name} away"
        )
    model, parameters, initial = opt.numbers(given)

    from verify.tables.runs import course_table, curve_remarks, final_table
    from verify.tables.text import fine_times, parameters_text, run_text

    what = "noiseless dynamics" if flow is opt.Flow.noiseless else "effective dynamics"
    # a figure follows the curve between the times of a list too
    between = plot is not None and isinstance(times, list)
    fine = None
    with integrating(f"integrating the {what} of {model.name}", complains=False):
        if flow is opt.Flow.noiseless:
            from numerics.dynamics.noiseless_flow import integrate_noiseless

            data = integrate_noiseless(model, parameters, initial, times)
            fine = (
                integrate_noiseless(model, parameters, initial, fine_times(data))
                if between
                else None
            )
        else:
            from numerics.core.validation import check_times
            from numerics.dynamics.curves import solve_curve

            grid = check_times(times)
            solution = solve_curve(model, parameters, initial, float(grid[-1]), **pace)
            data = solution.dataset(grid)
            fine = solution.dataset(fine_times(data)) if between else None
    console, names = standard_output(), given.kind.direction_names
    console.print(course_table(data, f"Theoretical curve of {model.name}, {what}"))
    console.print(final_table(data, None, names))
    for remark in curve_remarks(data):
        say(remark)
    write_data(data, output)
    if plot is not None:
        from verify.figures import plot_curves

        numbers = parameters_text(
            parameters, directions=names, noiseless=flow is opt.Flow.noiseless
        )
        title = (
            f"{model.name}: {what}, {numbers}{'' if flow is opt.Flow.noiseless else run_text(data)}"
        )
        write_figure(plot_curves(data, title=title, directions=names, fine=fine), plot)
