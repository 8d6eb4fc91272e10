"""The commands `simulate` and `spectrum`: SGD and empirical matrices beside the theory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from theory import InputError, Model, derive_hessian
from theory.problem.kinks import ALMOST_EVERYWHERE, DISTRIBUTIONAL
from verify.settings.configuration import Configuration

from . import options as opt
from .shared import DIMENSION, or_default, read_block, time_on_curve
from .terminal import (
    check_outputs,
    integrating,
    say,
    spinner,
    standard_output,
    write_data,
    write_figure,
)

if TYPE_CHECKING:
    pass


def spectrum(
    name: opt.ModelName = None,
    matrix: Annotated[
        str,
        typer.Option(
            metavar=opt.metavar(opt.Matrix),
            rich_help_panel="Matrix",
            help="Hessian of the loss, or the gradient matrix G, the mean of grad grad^T.",
        ),
    ] = "hessian",
    block: Annotated[
        str,
        typer.Option(
            metavar="A,B|full|readout|all",
            rich_help_panel="Matrix",
            help="Block of two units, counted from 1; or the full first layer, the second layer, everything.",
        ),
    ] = "1,1",
    kink_rule: opt.HessianRule = None,
    at: Annotated[
        str | None,
        typer.Option(
            metavar="T",
            show_default=False,
            rich_help_panel="Matrix",
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
    """Compute eigenvalues of the Hessian or gradient matrix and how their vectors align with the
    means.

    The population spectrum is exact in any dimension; --samples adds the spectrum of an empirical
    matrix. The block readout is set against the features that the second layer sees of the means.

    Example:  specalign spectrum --matrix hessian --block 1,1 --at 8 --samples 20000 --plot
    spectrum.png

    Example:  specalign spectrum xor --block readout --at 30 --samples 20000
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
        dimension=dimension,
        samples=samples,
        seed=seed,
    )
    check_outputs(output=(output, opt.DATA_SUFFIXES), plot=(plot, opt.PLOT_SUFFIXES))
    kind = opt.chosen("--matrix", matrix, opt.Matrix).value
    when = None if at is None else time_on_curve(at)
    part = read_block(block, given)
    count = _check_samples(given, part)
    model, parameters, state = opt.numbers(given)
    rule = _kink_rule(opt.check_kink_rule(kink_rule, kind, model), kind, model, count is not None)

    from numerics.core.validation import as_integer
    from numerics.core.weights import check_dimension
    from numerics.dynamics.curves import solve_curve
    from numerics.spectra.population_spectrum import population_spectrum

    d = check_dimension(or_default(given.dimension, DIMENSION), model.directions, model.units)
    root = as_integer("seed", or_default(given.seed, 0), 0, "seeds are non-negative integers")
    state_error = 0.0
    if when:
        with integrating(f"integrating the effective dynamics of {model.name} to t = {when:g}"):
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
            from numerics.spectra.empirical_spectrum import empirical_spectrum

            empirical = empirical_spectrum(
                model,
                parameters,
                state,
                dimension=d,
                samples=count,
                seed=root,
                matrix=kind,
                block=part,
                beside=None if part == "readout" else population,
            )

    from verify.tables.spectra import (
        join_spectra,
        matrix_name,
        readout_remarks,
        spectrum_remarks,
        spectrum_table,
    )
    from verify.tables.text import parameters_text

    names = given.kind.direction_names
    standard_output().print(spectrum_table(population, empirical, names))
    if part == "readout":
        from numerics.alignment.readout_alignment import readout_alignment

        spectra = [data for data in (population, empirical) if data is not None]
        for remark in readout_remarks(
            *(readout_alignment(model, parameters, state, data) for data in spectra)
        ):
            say(remark)
    for remark in spectrum_remarks(population, empirical, when, state_error):
        say(remark)
    if output is not None:
        write_data(join_spectra(population, empirical), output)
    if plot is not None:
        from verify.figures import plot_spectrum

        moment = "the initial state" if not when else f"t = {when:g}"
        title = f"{model.name}: {matrix_name(population)} at {moment}, {parameters_text(parameters, directions=names)}"
        write_figure(plot_spectrum(population, empirical, title, directions=names), plot)


def _kink_rule(asked: str | None, matrix: str, model: Model, beside_data: bool) -> str | None:
    """The kink rule of a Hessian: beside data almost-everywhere; None where there is nothing to
    choose.
    """
    if matrix != opt.Matrix.hessian or model.loss.is_smooth:
        return None
    if not beside_data:
        return asked or DISTRIBUTIONAL
    if asked not in (None, ALMOST_EVERYWHERE):
        raise InputError(
            "--kink-rule",
            repr(asked),
            f"{ALMOST_EVERYWHERE!r} with --samples",
            "samples never lie on a kink; leave --samples or --kink-rule away",
        )
    return ALMOST_EVERYWHERE


def _check_samples(given: Configuration, part: tuple[int, int] | str) -> int | None:
    """The number of samples, if any are to be drawn for this part."""
    from numerics.core.validation import as_integer

    if given.samples is None:
        return None
    if part == "all":
        raise InputError(
            "--block",
            "'all' with --samples",
            "a block, full or readout",
            "leave --samples or --block away",
        )
    return as_integer("samples", given.samples, 1, "ask for at least one sample")
