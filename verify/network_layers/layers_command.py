"""The command `layers`: at which layer, and at which precision, alignment stops."""

from __future__ import annotations

import json as json_format
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
from verify.settings.values import Number

if TYPE_CHECKING:
    import xarray as xr

_RIDGES = {"kgmm": 0.005, "xor": 0.002}
# in units of 1 / beta; how a run is looked at on its way
_END, _ON_THE_WAY = 4.0, (0.0, 1 / 16, 1 / 4, 1.0)


@takes_options
def layers(
    settings: Configuration,
    *,
    data: str,
    k: int,
    depth: int,
    widths: list[Number] | None,
    activation: str,
    precision: list[Number] | None,
    ridge: Number | None,
    step: Number | None,
    time: Number | None,
    dimension: int,
    replicas: int,
    samples: int,
    seed: int,
    theory: bool,
    epsilon: Number | None,
    output: Path | None,
    json: Path | None,
    plot: Path | None,
) -> None:
    """Train networks of several layers, and say at which layer alignment stops.

    Weights, Hessian and G blocks of every layer beside the layer's own space, the span of what it
    sees of the means, over widths and precisions.  epsilon is what lies off it: 0 within, 1
    nothing in it.

    Example:  specalign layers xor --depth 3 --activation relu --plot layers.png

    Example:  specalign layers kgmm --widths 3 --precision 100,1000 --theory
    """
    import numpy as np
    import xarray as xr

    from numerics.networks.breakdown import alignment_breakdown
    from numerics.networks.trained_layers import trained_layers
    from theory import kgmm, xor

    from .layers_tables import QUANTITIES, is_optimal, layers_tables, theory_table

    mixture = kgmm(k).mixture if data == "kgmm" else xor(4).mixture
    beta = _number("--ridge", ridge, _RIDGES[data], strict=False)
    end = _last_time(time, beta)
    limit = _number("--epsilon", epsilon, 0.3)
    sizes = _widths(widths)
    values = _precisions(precision)
    numbers: dict[str, Any] = {
        "precision": values, "ridge": beta, "step": _number("--step", step, 1.0),
        "activation": activation, "biases": data == "xor", "dimension": dimension,
        "time": end * np.array(_ON_THE_WAY), "replicas": replicas, "samples": samples,
        "seed": seed,
    }  # fmt: skip

    def trained(method: str) -> xr.Dataset:
        found = []
        for i, width in enumerate(sizes):
            with progress_bar(f"{method}, width {width}, {i + 1} of {len(sizes)}") as progress:
                units = [width] * depth
                found.append(
                    trained_layers(mixture, units, method=method, progress=progress, **numbers)
                )
        joined = xr.concat(found, "width", combine_attrs="drop_conflicts")
        return joined.assign_coords(width=sizes)

    predicted = trained("effective") if theory else None
    found = trained("sgd")
    say(_title(found, data, depth))
    # where nothing was learned there is nothing to align with
    learned = is_optimal(found)
    optimal = found.where(learned)
    if len(values) > 1:
        stops = alignment_breakdown(optimal, epsilon=limit)
        for table in layers_tables(found, stops):
            standard_output().print(table)
    if predicted is not None:
        standard_output().print(theory_table(found, predicted))
        found = found.assign({f"theory_{n}": predicted[n] for n in (*QUANTITIES, "accuracy")})
    if output is not None:
        write_data(found, output)
    if json is not None:
        content = found.to_dict()
        write_text(json, json_format.dumps(content, indent=1) + "\n")
    if plot is not None:
        from verify.figures.networks.trained_layers import plot_trained_layers

        some = bool(learned.any())
        title = f"{_title(found, data, depth)}; {'optimal ends' if some else 'none optimal'}"
        drawn = optimal if some else found
        write_figure(plot_trained_layers(drawn, predicted, epsilon=limit, title=title), plot)


def _number(name: str, given: Number | None, usual: float, *, strict: bool = True) -> float:
    from numerics.core.validation import as_scalar

    remedy = f"see --help for the meaning of {name}"
    return usual if given is None else as_scalar(name, float(given), 0.0, strict, remedy)


def _precisions(given: list[Number] | None) -> list[float]:
    usual = [1.0, 10.0, 100.0, 1e3, 1e4]
    return usual if given is None else [_number("--precision", value, 1.0) for value in given]


def _last_time(given: Number | None, ridge: float) -> float:
    if given is None and ridge == 0:
        remedy = "give a time, in units of steps * delta"
        raise InputError("--time", "nothing, without a ridge", "a time > 0", remedy)
    return _END / ridge if given is None else _number("--time", given, 1.0)


def _widths(given: list[Number] | None) -> list[int]:
    if given is None:
        return [2, 4, 8, 20]
    for value in given:
        if not float(value).is_integer():
            raise InputError("--widths", str(value), "whole numbers", "count the units of a layer")
    return [int(value) for value in given]


def _title(found: xr.Dataset, data: str, hidden: int) -> str:
    at = found.attrs
    name = f"{at['outputs']} classes" if data == "kgmm" else "XOR clusters"
    return (
        f"{name}, {hidden} hidden layers, {at['activation']}: β = {at['ridge']:g}, "
        f"d = {at['dimension']}, {found.sizes['replica']} runs, t = {float(found.time[-1]):g}, "
        f"seed {at['seed']}"
    )
