"""Tables that the commands print: curves, simulations and verdicts at a glance."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr
from rich.table import Table

from .text import ROUNDING, SLIDING_SHARE, direction_labels, fixed, has_readout, make_table, number

if TYPE_CHECKING:
    pass

# overlaps shown in a table; the rest is in the file written by --output
_COLUMNS = 6
# one unit of the last digit that a table of statistics shows
_LAST_DIGIT = 1e-4
# what to do about an error
_LOWERS = (
    "It grows with the noise and with the time: a shorter --time or a larger --precision lowers it"
)


def over_bands(data: xr.Dataset) -> xr.Dataset:
    """The statistics that bands have together: overlaps and Gram matrices of the whole weights, and
    R_perp off the parts of the directions in all bands.
    """
    if "band" not in data.dims:
        return data
    names = [name for name, variable in data.data_vars.items() if "band" in variable.dims]
    return data.assign({name: data[name].sum("band", keep_attrs=True) for name in names}).drop_vars(
        "band"
    )


def course_table(data: xr.Dataset, title: str) -> Table:
    """Size of the statistics along the run: means over replicas where there are any."""
    mean = data.mean("replica") if "replica" in data.dims else data
    count = mean.sizes["time"]
    picked = np.unique(np.linspace(0, count - 1, min(count, 9)).round().astype(int))
    diagonal = np.diagonal(mean["gram_perp"].to_numpy(), axis1=1, axis2=2)
    misalignment = mean["misalignment"].to_numpy()
    columns = {
        "time t": mean["time"].to_numpy(),
        "largest |overlap|": np.abs(mean["overlap"].to_numpy()).max(axis=(1, 2)),
        "mean R_aa": diagonal.mean(axis=1),
        "least misalignment": misalignment.min(axis=1),
        "most misalignment": misalignment.max(axis=1),
    }
    if has_readout(data):
        columns["largest |v_i|"] = np.abs(mean["readout"].to_numpy()).max(axis=1)
    rows = [[number(float(values[i])) for values in columns.values()] for i in picked]
    return make_table(title, list(columns), rows, left=0)


def final_table(
    curve: xr.Dataset | None, runs: xr.Dataset | None, names: Sequence[str] = ()
) -> Table:
    """Statistics of every unit at the last time: a row for SGD and one for the theory.

    ``names`` are those of the directions, where they have any; a readout stands in the row of the
    unit it reads.
    """
    data = runs if runs is not None else curve
    if data is None:
        raise ValueError("final_table needs a curve, runs, or both")
    units, directions = data.sizes["unit"], min(data.sizes["direction"], _COLUMNS)
    hidden = directions < data.sizes["direction"]
    # which direction a unit sees most, where not all are shown
    last = data["overlap"].isel(time=-1)
    most = np.abs((last.mean("replica") if "replica" in last.dims else last).to_numpy()).argmax(
        axis=1
    )
    parameters = data.sizes["parameter"] if has_readout(data) else 0
    sources = [("SGD", runs)] if runs is not None else []
    sources += [("theory", curve)] if curve is not None else []
    rows = []
    for a in range(units):
        picks: list[tuple[str, dict[str, int]]] = [
            *(("overlap", {"unit": a, "direction": s}) for s in range(directions)),
            *([("overlap", {"unit": a, "direction": int(most[a])})] if hidden else []),
            ("gram_perp", {"unit": a, "unit_b": a}),
            ("misalignment", {"unit": a}),
            *([("readout", {"parameter": a})] if a < parameters else []),
        ]
        for name, source in sources:
            cells = [_last(source, variable, select) for variable, select in picks]
            if hidden and cells[directions]:
                cells[directions] += f" ({direction_labels(names, most.max() + 1)[most[a]]})"
            rows.append([str(a + 1), name, *cells])
    title = f"At t = {number(float(data['time'].to_numpy()[-1]))}"
    if runs is not None and runs.sizes["replica"] > 1:
        title += ", SGD as mean ± standard error"
    if hidden:
        title += f"; overlaps with the first {directions} directions, "
        title += "and the largest of each unit (its direction)"
    labels = [f"overlap {names[s] if names else s + 1}" for s in range(directions)]
    labels += ["largest overlap"] if hidden else []
    columns = ["unit", "", *labels, "R_aa", "misalignment", *(["readout v"] if parameters else [])]
    return make_table(title, columns, rows, left=2)


def curve_remarks(data: xr.Dataset) -> Iterator[str]:
    """The error of a curve, and where a noiseless one slides at the end."""
    if "error_estimate" in data.attrs:
        yield (
            f"Error of any statistic at any time: at most about {data.attrs['error_estimate']:.2g}"
            f" ({data.attrs['error_meaning']})."
        )
        yield from error_warnings(data)
        return
    tolerance, meaning = data.attrs["tolerance"], data.attrs["error_meaning"]
    yield f"Tolerance of the integrator: {tolerance:.2g} ({meaning})."
    if "active_share" not in data:
        return
    last = data["active_share"].isel(time=-1)
    steps = [str(surface).removesuffix(" > 0") for surface in last["surface"].to_numpy()]
    sliding = [
        f"{step.removeprefix('-')} = 0 with step({step}) = {share:.3g}"
        for step, share in zip(steps, last.to_numpy(), strict=True)
        if SLIDING_SHARE < share < 1 - SLIDING_SHARE
    ]
    if sliding:
        yield (
            "Sliding along kinks at the end, a step being the share of active samples:"
            f" {'; '.join(sliding)}."
        )
    elif steps:
        yield "Not sliding along any kink at the end."


def error_warnings(curve: xr.Dataset) -> Iterator[str]:
    """Warnings where the error of a curve is larger than was asked for, or than its table, of four
    decimals, suggests.
    """
    error = float(curve.attrs.get("error_estimate", 0.0))
    certain = "" if error > _LAST_DIGIT else ", less than the last printed digit"
    if error > (tolerance := float(curve.attrs.get("tolerance", math.inf))):
        yield (
            f"Warning: the tolerance {tolerance:.2g} was not reached; the error is estimated at"
            f" {error:.2g}{certain}. {_LOWERS}."
        )
    if error > _LAST_DIGIT:
        decimals = max(0, math.floor(-math.log10(error)))
        sure = {0: "no decimal is", 1: "only the first decimal is"}.get(
            decimals, f"only {decimals} decimals are"
        )
        yield (
            f"Warning: the estimated error {error:.2g} of the theory is larger than the last"
            f" printed digit: {sure} certain. {_LOWERS}."
        )


def _last(data: xr.Dataset | None, variable: str, select: dict[str, int]) -> str:
    if data is None:
        return ""
    values = data[variable].isel(select | {"time": -1}).to_numpy()
    # what is smaller than the error, or than rounding, is zero to a reader
    mean = fixed(
        float(values.mean()), zero=max(ROUNDING, float(data.attrs.get("error_estimate", 0.0)))
    )
    if values.size == 1:
        return mean
    return f"{mean} ± {fixed(float(values.std(ddof=1) / np.sqrt(values.size)), zero=ROUNDING)}"
