"""The command `fit`: data of the user's beside the Gaussian mixture that is fitted to them."""

from __future__ import annotations

import json as json_format
from pathlib import Path
from typing import TYPE_CHECKING

from theory.errors import InputError
from verify.commands.command import takes_options
from verify.commands.messages import say
from verify.commands.terminal import (
    progress_bar,
    standard_output,
    write_data,
    write_figure,
    write_text,
)
from verify.settings.configuration import Configuration
from verify.settings.values import Number, exact_number

if TYPE_CHECKING:
    from numerics.real_data.fitted_mixture import FittedMixture
    from numerics.real_data.training import SoftmaxNetwork


@takes_options
def fit(
    settings: Configuration,
    *,
    data: list[str],
    label_column: str | None,
    labels: list[str] | None,
    scale: str,
    bands: int | None,
    clusters: int,
    network: str,
    width: int,
    activation: str,
    ridge: Number | None,
    step: Number | None,
    time: Number | None,
    replicas: int,
    count: int,
    samples: int,
    seed: int,
    output: Path | None,
    json: Path | None,
    plot: Path | None,
) -> None:
    """Fit a Gaussian mixture to data, and set curves and spectra of both side by side.

    SGD runs on the data, each step on a sample drawn with replacement; the theory knows their
    class weights, means and variances alone. The tables say how far it is off, where, and for
    which classes, with the theory of isotropic noise beside it.

    Example:  specalign fit sklearn:digits --labels 0,1,2 --plot digits.png

    Example:  specalign fit table.csv --scale standard --network two-layer
    """
    from numerics.real_data.comparison import compare_with_data

    net = _network(network, width, activation, ridge, step)
    fitted = _fitted(data, label_column, labels, scale, bands, clusters, seed)

    from .comparison_tables import comparison_json, comparison_remarks, comparison_tables, fit_lines

    for line in fit_lines(fitted, _name(data)):
        say(line)
    end = 16.0 if time is None else float(time)
    with progress_bar(f"SGD and theory on {_name(data)}") as progress:
        found = compare_with_data(
            fitted, net, end, runs=replicas, count=count, samples=samples, seed=seed,
            progress=progress,
        )  # fmt: skip
    for table in comparison_tables(found):
        standard_output().print(table)
    for line in comparison_remarks(found):
        say(line)
    if output is not None:
        write_data(found, output)
    if json is not None:
        content = comparison_json(found, fitted, _name(data))
        write_text(json, json_format.dumps(content, indent=1, allow_nan=False) + "\n")
    if plot is not None:
        from .comparison_figure import plot_comparison

        write_figure(plot_comparison(found, _title(found, _name(data))), plot)


def _fitted(
    data: list[str],
    label_column: str | None,
    labels: list[str] | None,
    scale: str,
    bands: int | None,
    clusters: int,
    seed: int,
) -> FittedMixture:
    """Load and fit."""
    from numerics.real_data.fitted_mixture import fit_mixture
    from numerics.real_data.labelled_data import label_data
    from numerics.real_data.labelled_files import load_labelled

    features, classes = load_labelled(data, label=label_column)
    arrays = label_data(features, classes, classes=labels, scale=_scale(scale))
    return fit_mixture(arrays, bands=bands, clusters=clusters, seed=seed)


def _scale(text: str) -> str | float:
    """A name, or a number."""
    from numerics.real_data.labelled_data import SCALES

    if text in SCALES:
        return text
    try:
        return float(exact_number(text))
    except (ValueError, ZeroDivisionError) as error:
        expected = f"a number, or one of {', '.join(SCALES)}"
        raise InputError("--scale", repr(text), expected, "check the spelling") from error


def _network(
    kind: str, width: int, activation: str, ridge: Number | None, step: Number | None
) -> SoftmaxNetwork:
    from numerics.core.validation import as_scalar
    from numerics.real_data.training import SoftmaxNetwork

    beta = 0.0 if ridge is None else float(ridge)
    rate = 1.0 if step is None else float(step)
    return SoftmaxNetwork(
        hidden=width if kind == "two-layer" else 0,
        activation=activation,
        ridge=as_scalar("--ridge", beta, 0.0, False, "give the weight decay beta"),
        step=as_scalar("--step", rate, 0.0, True, "give c_delta, the step size times dimension"),
    )


def _name(data: list[str]) -> str:
    """What the data are called in titles."""
    return " and ".join(Path(part).name for part in data)


def _title(found: object, name: str) -> str:
    from typing import Any

    attributes: Any = found.attrs  # type: ignore[attr-defined]
    return (
        f"{name}, {attributes['samples']} samples, d = {attributes['dimension']}, "
        f"{attributes['bands']} bands: {attributes['model']}, β = {attributes['ridge']:g}, "
        rf"$c_\delta$ = {attributes['step']:g}"
    )
