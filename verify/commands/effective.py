"""The command `effective`: spectra in the proportional limit, at one state or along training,
beside data.
"""

from __future__ import annotations

import json as json_format
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from theory import InputError
from verify.settings.configuration import Configuration
from verify.settings.values import parse_number

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
    write_text,
)

if TYPE_CHECKING:
    import xarray as xr

    from numerics import Parameters, State
    from theory import Model

ASPECT_RATIO = 4.0
END = "end"


def effective(
    name: opt.ModelName = None,
    matrix: Annotated[
        str,
        typer.Option(
            metavar=opt.metavar(opt.Matrix),
            rich_help_panel="Matrix",
            help="Hessian of the loss, almost everywhere, or the gradient matrix G, the mean of grad grad^T.",
        ),
    ] = "hessian",
    block: Annotated[
        str,
        typer.Option(
            metavar="A,B|full|readout|mixed|all",
            rich_help_panel="Matrix",
            help="Block of two units, counted from 1; or the full first layer, the second layer, the blocks of both,"
            " everything.",
        ),
    ] = "1,1",
    aspect_ratio: opt.AspectRatio = None,
    tail: opt.Tail = None,
    at: Annotated[
        str | None,
        typer.Option(
            metavar="T|end",
            show_default=False,
            rich_help_panel="Matrix",
            help="Time on the theoretical curve, in units of steps * c_delta / dimension, or the end of the run, --time"
            " (default: initial state).",
        ),
    ] = None,
    emergence: Annotated[
        bool,
        typer.Option(
            "--emergence",
            rich_help_panel="Matrix",
            help="Follow the outliers along the curve to the end of --time, and find when they leave the bulk.",
        ),
    ] = False,
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
    samples: opt.Samples = None,
    seed: opt.Seed = None,
    log: Annotated[
        bool,
        typer.Option(
            "--log", rich_help_panel="Output", help="Draw the density on a logarithmic scale."
        ),
    ] = False,
    output: opt.DataOutput = None,
    json: Annotated[
        Path | None,
        typer.Option(
            "--json",
            metavar="FILE",
            show_default=False,
            rich_help_panel="Output",
            help="Write everything but the density as JSON.",
        ),
    ] = None,
    plot: opt.Plot = None,
) -> None:
    """Predict the spectrum of an empirical matrix of M fresh samples, M / d -> phi: bulk, outliers,
    overlaps.

    --samples sets a matrix of data beside it. --emergence finds when outliers leave the bulk or
    fall back into it.

    Example:  specalign effective --block full --at 8 --aspect-ratio 4 --plot effective.png

    Example:  specalign effective --precision 2 --emergence --time 20 --plot emergence.png
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
        samples=samples,
        seed=seed,
    )
    check_outputs(
        output=(output, opt.DATA_SUFFIXES), json=(json, ()), plot=(plot, opt.PLOT_SUFFIXES)
    )
    kind = opt.chosen("--matrix", matrix, opt.Matrix).value
    part = read_block(block, given, "mixed")
    share = _share(tail)
    if emergence:
        _check_emergence(part, at, samples)
        ratio = _ratio(aspect_ratio)
        _follow(given, kind, part, ratio, share, output, json, plot)
        return
    when = _when(at, given)
    ratio, d, count = _sizes(given, aspect_ratio, part)
    model, parameters, state = opt.numbers(given)

    from numerics import effective_spectrum
    from numerics.core.validation import as_integer
    from numerics.core.weights import check_dimension
    from numerics.dynamics.curves import solve_curve

    root = as_integer("seed", or_default(given.seed, 0), 0, "seeds are non-negative integers")
    if count is not None:
        check_dimension(d, model.directions, model.units)
    state_error = 0.0
    if when:
        with integrating(f"integrating the effective dynamics of {model.name} to t = {when:g}"):
            curve = solve_curve(model, parameters, state, when)
        state, state_error = curve.state(when), curve.error_estimate
    with spinner(f"effective spectrum of {model.name}"):
        data = effective_spectrum(
            model, parameters, state, ratio, matrix=kind, block=part, tail=share
        )
    measured = spectrum = None
    if count is not None:
        measured, spectrum = _measure(model, parameters, state, d, count, root, data)

    from verify.tables.effective import as_json, effective_remarks, effective_table, effective_title

    moment = "the initial state" if not when else f"t = {when:g}"
    title = f"{effective_title(data)}, at {moment}"
    standard_output().print(effective_table(data, measured, _plain(title)))
    for remark in effective_remarks(data, measured, when, state_error):
        say(remark)
    _write(data, measured, as_json(data, measured), output, json)
    if plot is not None:
        from verify.figures import plot_effective_spectrum

        label = f"data, d = {d}" if count is not None else "measured"
        write_figure(
            plot_effective_spectrum(data, spectrum, measured, title, log=log, data_label=label),
            plot,
        )


def _follow(
    given: Configuration,
    kind: str,
    part: tuple[int, int] | str,
    ratio: float,
    tail: float,
    output: Path | None,
    json: Path | None,
    plot: Path | None,
) -> None:
    """Outliers along training."""
    times = given.times()
    model, parameters, state = opt.numbers(given)

    from numerics import emergence as along_training
    from numerics.core.validation import check_times
    from numerics.dynamics.curves import solve_curve

    grid = check_times(times) if isinstance(times, list) else None
    with spinner(f"following the outliers of {model.name} along training"):
        curve = solve_curve(model, parameters, state, float(check_times(times)[-1]))
        data = along_training(
            model, parameters, curve, ratio, matrix=kind, block=part, time=grid, tail=tail
        )

    from verify.tables.effective import as_json, effective_title, emergence_remarks, emergence_table

    title = f"{effective_title(data)}, along training"
    if data.sizes["event"]:
        standard_output().print(emergence_table(data, _plain(title)))
    for remark in emergence_remarks(data):
        say(remark)
    _write(data, None, as_json(data), output, json)
    if plot is not None:
        from verify.figures import plot_emergence

        write_figure(plot_emergence(data, title=title), plot)


def _measure(
    model: Model,
    parameters: Parameters,
    state: State,
    d: int,
    samples: int,
    seed: int,
    data: xr.Dataset,
) -> tuple[xr.Dataset, Any]:
    from numerics import draw_data
    from numerics.proportional.measured_outliers import measure_outliers

    with spinner(f"empirical spectrum of {samples} samples in dimension {d}"):
        return measure_outliers(draw_data(model, parameters, state, d, samples, seed), data)


def _write(
    data: xr.Dataset,
    measured: xr.Dataset | None,
    content: dict[str, Any],
    output: Path | None,
    json: Path | None,
) -> None:
    if output is not None:
        from verify.tables.spectra import join_spectra

        write_data(join_spectra(data, measured), output)
    if json is not None:
        write_text(json, json_format.dumps(content, indent=1, allow_nan=False) + "\n")


def _plain(title: str) -> str:
    """A title of a figure without its LaTeX."""
    return title.replace(r"$c_\delta$", "c_δ")


def _share(text: str | None) -> float:
    from numerics.proportional.effective_spectrum import check_tail

    return 0.0 if text is None else check_tail(float(parse_number("--tail", text)))


def _ratio(text: str | None) -> float:
    from numerics.core.validation import as_scalar

    if text is None:
        return ASPECT_RATIO
    value = float(parse_number("--aspect-ratio", text))
    return as_scalar("--aspect-ratio", value, 0.0, True, "give M / d, samples per dimension")


def _when(text: str | None, given: Configuration) -> float | None:
    if text is None:
        return None
    if text.strip() != END:
        return time_on_curve(text)
    times = given.times()
    return float(times[-1] if isinstance(times, list) else times)


def _sizes(
    given: Configuration, text: str | None, part: tuple[int, int] | str
) -> tuple[float, int, int | None]:
    """phi, d and M; with data phi is M / d."""
    from numerics.core.validation import as_integer

    d, ratio = or_default(given.dimension, DIMENSION), _ratio(text)
    if given.samples is None:
        return ratio, d, None
    if part in ("mixed", "all"):
        raise InputError(
            "--block",
            f"{part!r} with --samples",
            "a block, full or readout",
            "leave --samples or --block away",
        )
    count = as_integer("samples", given.samples, 1, "ask for at least one sample")
    d = as_integer("dimension", d, 1, "give the number of coordinates of a feature")
    if text is not None and round(ratio * d) != count:
        raise InputError(
            "--aspect-ratio",
            text,
            f"M / d = {count / d:g}, that of --samples and --dimension",
            f"leave it away, or ask for {round(ratio * d)} samples",
        )
    return count / d, d, count


def _check_emergence(part: tuple[int, int] | str, at: str | None, samples: str | None) -> None:
    for option, said in (("--at", at), ("--samples", samples)):
        if said is not None:
            raise InputError(
                option,
                said,
                "nothing of the kind together with --emergence",
                f"leave {option} or --emergence away",
            )
    if part in ("readout", "mixed"):
        raise InputError(
            "--block",
            repr(part),
            "a block with a bulk together with --emergence",
            "use A,B, full or all",
        )
