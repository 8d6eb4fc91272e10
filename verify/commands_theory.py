"""The commands `derive` and `curves`: what theory alone can say."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from theory import InputError

from . import options as opt
from .configuration import ORTHONORMAL, Configuration
from .console import check_outputs, say, spinner, standard_output, write_data, write_figure


def derive(
    name: opt.ModelName = None,
    quantity: Annotated[
        str,
        typer.Option(metavar=opt.metavar(opt.Quantity), help="What to derive.", rich_help_panel="Formula"),
    ] = "drift",
    route: Annotated[
        str | None,
        typer.Option(
            metavar=opt.metavar(opt.Route), rich_help_panel="Formula", show_default=False,
            help="How Gaussian moments are evaluated; both give equal values (default: stein; projection for matrices"
            " of a loss with kinks).",
        ),
    ] = None,
    limit: Annotated[
        str | None,
        typer.Option(
            metavar="exact|noiseless|N", show_default=False, rich_help_panel="Formula",
            help="exact (default), noiseless (lambda to infinity), or the order N of the expansion in 1/lambda (losses"
            " without kinks).",
        ),
    ] = None,
    style: Annotated[
        str,
        typer.Option(
            "--format", metavar=opt.metavar(opt.Format), help="How to write formulas.", rich_help_panel="Formula"
        ),
    ] = "text",
    entry: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", show_default=False, rich_help_panel="Formula",
            help="Only this formula or block, such as m_1_1, R_1_2, v_1, H_1_2 or 1,2; H_1_v_2 of x^1 and v_2, H_v of"
            " the second layer. Indices count from 1.",
        ),
    ] = None,
    kink_rule: opt.DerivedRule = None,
    assignment: Annotated[
        str | None,
        typer.Option(
            metavar="C1,C2,...", show_default=False, rich_help_panel="Formula",
            help="xor, fixed-point: the cluster mu, -mu, nu, -nu that each unit picks, or 0 for an idle one (default:"
            " mu,-mu,nu,-nu in turn).",
        ),
    ] = None,
    output: opt.TextOutput = None,
    config: opt.Config = None,
    k: opt.Classes = None,
    width: opt.Width = None,
    activation: opt.ActivationName = None,
    weights: opt.Weights = None,
    precision: opt.Precision = None,
    ridge: opt.Ridge = None,
    step: opt.Step = None,
    directions_gram: opt.DirectionsGram = None,
) -> None:
    """Print closed-form theory: drift, Hessian, gradient, diffusion or fixed point, as formulas.

    Numbers that are not given stay symbols: the defaults named below are for the other commands.

    Example:  specalign derive --k 2 --quantity drift --limit noiseless --entry m_1_1 --format latex

    Example:  specalign derive xor --quantity fixed-point --assignment mu,-mu,nu,0
    """
    from . import formulas

    given = opt.configure(
        config, name=name, k=k, width=width, activation=activation, weights=weights, precision=precision, ridge=ridge,
        step=step, directions_gram=directions_gram,
    )
    check_outputs(output=(output, ()))
    what, how = opt.chosen("--quantity", quantity, opt.Quantity), opt.chosen("--format", style, opt.Format)
    by = None if route is None else opt.chosen("--route", route, opt.Route)
    chosen = _check_limit(what, limit, precision)
    clusters = _assignment(what, assignment, given)
    if clusters is not None:
        _check_closed_form(given)
    if chosen != "exact":
        given = replace(given, precision=None)
    if what is opt.Quantity.fixed_point and given.directions_gram is None:
        given = replace(given, directions_gram=ORTHONORMAL)
    with spinner(f"deriving the {what.value} for {given.size_name}"):
        model = given.symbolic_model()
        rule = opt.check_kink_rule(kink_rule, what.value, model)
        found = formulas.collect(
            model, what.value, None if by is None else by.value, kink_rule=rule, assignment=clusters,
            notation=given.kind.notation,
        )
        if entry is not None:
            found = formulas.select(found, entry)
        text = formulas.render(formulas.apply_limit(found, chosen), how.value)
    if output is None:
        say(text.rstrip("\n"))
    else:
        output.write_text(text, encoding="utf-8")
        say(f"wrote {output}")


def _check_limit(quantity: opt.Quantity, limit: str | None, precision: str | None) -> str:
    if limit is None:
        return "exact"
    if quantity is opt.Quantity.fixed_point:
        raise InputError(
            "--limit", repr(limit), "no limit for fixed-point", "the fixed point is that of the noiseless dynamics"
        )
    if limit != "exact" and precision is not None:
        raise InputError(
            "--precision", precision, f"no number together with --limit {limit}", "leave --precision away"
        )
    return limit


def _assignment(quantity: opt.Quantity, text: str | None, given: Configuration) -> list[str] | None:
    """The clusters that the units pick at a fixed point; None for a model whose fixed point is unique."""
    kind = given.kind
    if text is not None and (quantity is not opt.Quantity.fixed_point or not kind.clusters):
        wrong = quantity.value if kind.clusters else f"the model {given.model_name}"
        raise InputError(
            "--assignment", repr(text), f"no assignment for {wrong}",
            "leave it away: it names one of the fixed points of xor",
        )
    if quantity is not opt.Quantity.fixed_point or not kind.clusters:
        return None
    return kind.unit_clusters(given.size) if text is None else [part.strip() for part in text.split(",")]


def _check_closed_form(given: Configuration) -> None:
    """Separated fixed points are known for ReLU units and orthonormal directions only."""
    elsewhere = "use numerics.solve_fixed_point in Python for another one"
    if given.activation not in (None, "relu"):
        raise InputError(
            "activation", repr(given.activation), "relu for fixed-point: its closed form is that of ReLU units",
            f"leave --activation away, or {elsewhere}",
        )
    gram = given.directions_gram
    if isinstance(gram, list) and gram != [[1, 0], [0, 1]]:
        rows = ";".join(",".join(f"{float(x):g}" for x in row) for row in gram)
        raise InputError(
            "directions_gram", repr(rows), "orthonormal for fixed-point: its closed form is that of orthonormal mu, nu",
            f"leave --directions-gram away, or {elsewhere}",
        )


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
            metavar="exact|noiseless", show_default=False, rich_help_panel="Run",
            help="exact (default), or noiseless: lambda to infinity, sliding along kinks where the flow has to.",
        ),
    ] = None,
    output: opt.DataOutput = None,
    plot: opt.Plot = None,
) -> None:
    """Compute the theoretical training curves (dimension to infinity), with an error estimate.

    Works without any option. kgmm: three classes with equal weights, orthonormal means, overlap 0 and R_perp the
    identity, the limit of a random start in high dimension. xor: four units, each leaning a little towards another
    cluster. Any other start is given by --overlap and --gram-perp, and --readout.

    Example:  specalign curves --weights 0.5,0.3,0.2 --time 16 --plot curves.png --output curves.nc

    Example:  specalign curves xor --limit noiseless --plot sliding.png
    """
    given = opt.configure(
        config, name=name, k=k, width=width, activation=activation, weights=weights, precision=precision, ridge=ridge,
        step=step, directions_gram=directions_gram, overlap=overlap, gram_perp=gram_perp, readout=readout, time=time,
        batch=batch, schedule=schedule,
    )
    check_outputs(output=(output, opt.DATA_SUFFIXES), plot=(plot, opt.PLOT_SUFFIXES))
    flow = opt.chosen("--limit", limit or opt.Flow.exact, opt.Flow)
    if flow is opt.Flow.noiseless and precision is not None:
        raise InputError(
            "--precision", precision, "no number together with --limit noiseless", "leave --precision away"
        )
    times, pace = given.times(), given.pace()
    if flow is opt.Flow.noiseless and (batch, schedule) != (None, None):
        name, said = ("--batch", batch) if batch is not None else ("--schedule", schedule)
        raise InputError(name, said, "nothing of the kind together with --limit noiseless", f"leave {name} away")
    model, parameters, initial = opt.numbers(given)

    from .summaries import course_table, curve_remarks, final_table, fine_times, parameters_text, run_text

    what = "noiseless dynamics" if flow is opt.Flow.noiseless else "effective dynamics"
    # a figure follows the curve between the times of a list too
    between = plot is not None and isinstance(times, list)
    fine = None
    with spinner(f"integrating the {what} of {model.name}"):
        if flow is opt.Flow.noiseless:
            from numerics.sliding import integrate_noiseless

            data = integrate_noiseless(model, parameters, initial, times)
            fine = integrate_noiseless(model, parameters, initial, fine_times(data)) if between else None
        else:
            from numerics.flow import check_times, solve_curve

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
        from .figures import plot_curves

        numbers = parameters_text(parameters, directions=names, noiseless=flow is opt.Flow.noiseless)
        title = f"{model.name}: {what}, {numbers}{'' if flow is opt.Flow.noiseless else run_text(data)}"
        write_figure(plot_curves(data, title=title, directions=names, fine=fine), plot)
