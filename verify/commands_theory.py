"""The commands `derive` and `curves`: what theory alone can say."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from theory import InputError
from theory.moments import default_route

from . import options as opt
from .configuration import ORTHONORMAL
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
            help="exact (default), noiseless (lambda to infinity), or the order N of the expansion in 1/lambda.",
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
            help="Only this formula or block, such as m_1_1, R_1_2, H_1_2 or 1,2; indices count from 1.",
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
    if chosen != "exact":
        given = replace(given, precision=None)
    if what is opt.Quantity.fixed_point and given.directions_gram is None:
        given = replace(given, directions_gram=ORTHONORMAL)
    with spinner(f"deriving the {what.value} for {given.size_name}"):
        model = given.symbolic_model()
        curved = what not in (opt.Quantity.drift, opt.Quantity.gradient)
        found = formulas.collect(model, what.value, default_route(model, curvatures=curved) if by is None else by.value)
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
    output: opt.DataOutput = None,
    plot: opt.Plot = None,
) -> None:
    """Compute the theoretical training curves (dimension to infinity), with an error estimate.

    Works without any option: three classes with equal weights, orthonormal means, overlap 0 and R_perp the identity,
    the limit of a random start in high dimension. Any other start is given by --overlap and --gram-perp.

    Example:  specalign curves --weights 0.5,0.3,0.2 --time 16 --plot curves.png --output curves.nc
    """
    given = opt.configure(
        config, name=name, k=k, width=width, activation=activation, weights=weights, precision=precision, ridge=ridge,
        step=step, directions_gram=directions_gram, overlap=overlap, gram_perp=gram_perp, readout=readout, time=time,
    )
    check_outputs(output=(output, opt.DATA_SUFFIXES), plot=(plot, opt.PLOT_SUFFIXES))
    times = given.times()
    model, parameters, initial = opt.numbers(given)

    from numerics.flow import integrate_curves

    from .summaries import course_table, final_table, parameters_text

    with spinner(f"integrating the effective dynamics of {model.name}"):
        data = integrate_curves(model, parameters, initial, times)
    console = standard_output()
    console.print(course_table(data, f"Theoretical curve of {model.name}"))
    console.print(final_table(data, None))
    say(
        f"Error of any statistic at any time: at most about {data.attrs['error_estimate']:.2g} "
        f"({data.attrs['error_meaning']})."
    )
    write_data(data, output)
    if plot is not None:
        from .figures import plot_curves

        write_figure(plot_curves(data, title=f"{model.name}: effective dynamics, {parameters_text(parameters)}"), plot)
