"""The command `derive`."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from theory import InputError
from verify.settings.configuration import ORTHONORMAL, Configuration

from . import options as opt
from .terminal import check_outputs, say, spinner, write_text


def derive(
    name: opt.ModelName = None,
    quantity: Annotated[
        str,
        typer.Option(
            metavar=opt.metavar(opt.Derivable), help="What to derive.", rich_help_panel="Formula"
        ),
    ] = "drift",
    route: Annotated[
        str | None,
        typer.Option(
            metavar=opt.metavar(opt.Route),
            rich_help_panel="Formula",
            show_default=False,
            help="How Gaussian moments are evaluated; both give equal values (default: stein; projection for matrices"
            " of a loss with kinks).",
        ),
    ] = None,
    limit: Annotated[
        str | None,
        typer.Option(
            metavar="exact|noiseless|N",
            show_default=False,
            rich_help_panel="Formula",
            help="exact (default), noiseless (lambda to infinity), or the order N of the expansion in 1/lambda (losses"
            " without kinks).",
        ),
    ] = None,
    style: Annotated[
        str,
        typer.Option(
            "--format",
            metavar=opt.metavar(opt.Format),
            help="How to write formulas.",
            rich_help_panel="Formula",
        ),
    ] = "text",
    entry: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            show_default=False,
            rich_help_panel="Formula",
            help="Only this formula or block, such as m_1_1, R_1_2, v_1, H_1_2 or 1,2; H_1_v_2 of x^1 and v_2, H_v of"
            " the second layer. Indices count from 1.",
        ),
    ] = None,
    kink_rule: opt.DerivedRule = None,
    assignment: Annotated[
        str | None,
        typer.Option(
            metavar="C1,C2,...",
            show_default=False,
            rich_help_panel="Formula",
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
    from verify.printing import formulas

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
    )
    check_outputs(output=(output, ()))
    what, how = (
        opt.chosen("--quantity", quantity, opt.Derivable),
        opt.chosen("--format", style, opt.Format),
    )
    by = None if route is None else opt.chosen("--route", route, opt.Route)
    chosen = _check_limit(what, limit, precision)
    clusters = _assignment(what, assignment, given)
    if clusters is not None:
        _check_closed_form(given)
    if chosen != "exact":
        given = replace(given, precision=None)
    if what is opt.Derivable.fixed_point and given.directions_gram is None:
        given = replace(given, directions_gram=ORTHONORMAL)
    with spinner(f"deriving the {what.value} for {given.size_name}"):
        model = given.symbolic_model()
        rule = opt.check_kink_rule(kink_rule, what.value, model)
        found = formulas.collect(
            model,
            what.value,
            None if by is None else by.value,
            kink_rule=rule,
            assignment=clusters,
            notation=given.kind.notation,
        )
        if entry is not None:
            found = formulas.select(found, entry)
        text = formulas.render(formulas.apply_limit(found, chosen), how.value)
    if output is None:
        say(text.rstrip("\n"))
    else:
        write_text(output, text)


def _check_limit(quantity: opt.Derivable, limit: str | None, precision: str | None) -> str:
    if limit is None:
        return "exact"
    if quantity is opt.Derivable.fixed_point:
        raise InputError(
            "--limit",
            repr(limit),
            "no limit for fixed-point",
            "the fixed point is that of the noiseless dynamics",
        )
    if limit != "exact" and precision is not None:
        raise InputError(
            "--precision",
            precision,
            f"no number together with --limit {limit}",
            "leave --precision away",
        )
    return limit


def _assignment(
    quantity: opt.Derivable, text: str | None, given: Configuration
) -> list[str] | None:
    """The clusters that the units pick at a fixed point; None for a model whose fixed point is
    unique.
    """
    kind = given.kind
    if text is not None and (quantity is not opt.Derivable.fixed_point or not kind.clusters):
        wrong = quantity.value if kind.clusters else f"the model {given.model_name}"
        raise InputError(
            "--assignment",
            repr(text),
            f"no assignment for {wrong}",
            "leave it away: it names one of the fixed points of xor",
        )
    if quantity is not opt.Derivable.fixed_point or not kind.clusters:
        return None
    return (
        kind.unit_clusters(given.size)
        if text is None
        else [part.strip() for part in text.split(",")]
    )


def _check_closed_form(given: Configuration) -> None:
    """Separated fixed points are known for ReLU units and orthonormal directions only."""
    elsewhere = "use numerics.solve_fixed_point in Python for another one"
    if given.activation not in (None, "relu"):
        raise InputError(
            "activation",
            repr(given.activation),
            "relu for fixed-point: its closed form is that of ReLU units",
            f"leave --activation away, or {elsewhere}",
        )
    gram = given.directions_gram
    if isinstance(gram, list) and gram != [[1, 0], [0, 1]]:
        rows = ";".join(",".join(f"{float(x):g}" for x in row) for row in gram)
        raise InputError(
            "directions_gram",
            repr(rows),
            "orthonormal for fixed-point: its closed form is that of orthonormal mu, nu",
            f"leave --directions-gram away, or {elsewhere}",
        )
