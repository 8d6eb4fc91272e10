"""Tables of the command `layers`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import xarray as xr
from rich.table import Table

from verify.tables.text import make_table

QUANTITIES = {"weights": "weights", "hessian": "Hessian", "gradient": "G"}
# accuracy that a run at an optimal end may miss
MISSED = 0.05


def layers_tables(found: xr.Dataset, breakdown: xr.Dataset) -> Iterator[Table]:
    """Where alignment stops; epsilon of every layer; the two kinds of ends; along training."""
    yield _breakdown_table(found, breakdown)
    yield _epsilon_table(found)
    yield _rank_table(found)
    yield _ends_table(found)
    yield _course_table(found)


def theory_table(found: xr.Dataset, theory: xr.Dataset) -> Table:
    """SGD beside the effective dynamics from the same weights."""
    title = "epsilon at the end, SGD / effective dynamics from the same weights"
    columns, rows = ["λ", "of", *map(str, found.layer.values)], []
    for value in found.precision.values:
        for name, label in QUANTITIES.items():
            both = [d[name].sel(precision=value).isel(time=-1, width=0) for d in (found, theory)]
            difference = both[0] - both[1]
            cells = [
                " / ".join(f"{float(d.sel(layer=j).mean()):.3f}" for d in both)
                + f" (difference {mean_text(difference.sel(layer=j).values)})"
                for j in found.layer.values
            ]
            rows.append([f"{value:g}", label, *cells])
    return make_table(title, columns, rows)


def is_optimal(found: xr.Dataset) -> xr.DataArray:
    """Whether runs end as good as the best classifier, up to ``MISSED`` of the accuracy."""
    last = found.isel(time=-1)
    return last.accuracy >= last.best_accuracy - MISSED


def _breakdown_table(found: xr.Dataset, breakdown: xr.Dataset) -> Table:
    title = (
        f"λ* below which a layer is off its space by more than {breakdown.epsilon:g}, optimal runs"
    )
    columns, rows = ["width", "of", *map(str, found.layer.values)], []
    highest = float(found.precision.values.max())
    for width in found.width.values:
        for name, label in QUANTITIES.items():
            cells = []
            for layer in found.layer.values:
                at = breakdown.sel(width=width, quantity=name, layer=layer)
                names = ("precision", "low", "high", "lowest")
                center, low, high, lowest = (float(at[k]) for k in names)
                cells.append(breakdown_text(center, low, high, lowest, highest))
            rows.append([str(width), label, *cells])
    return make_table(title, columns, rows)


def breakdown_text(center: float, low: float, high: float, lowest: float, highest: float) -> str:
    """The precision where alignment stops, and its bracket; of runs between two precisions.

    Examples
    --------
    >>> breakdown_text(5.13, 4.4, 5.72, 0.5, 32.0), breakdown_text(0.0, 0.0, 0.0, 0.5, 32.0)
    ('5.1 (4.4 to 5.7)', '< 0.5')
    """
    if np.isinf(lowest):
        return "-"

    def text(value: float) -> str:
        if value == 0:
            return f"< {lowest:g}"
        # two digits, and zeros in place of an exponent
        return f"> {highest:g}" if np.isinf(value) else f"{float(f'{value:.2g}'):g}"

    if text(low) == text(high) == text(center):
        return text(center)
    return f"{text(center)} ({text(low)} to {text(high)})"


def _epsilon_table(found: xr.Dataset) -> Table:
    title = "epsilon at the end, mean over runs ± standard error (random rows have the last column)"
    columns, rows = ["width", "λ", "layer", *QUANTITIES.values(), "random"], []
    last = found.isel(time=-1)
    for width in found.width.values:
        for value in found.precision.values:
            for layer in found.layer.values:
                at = last.sel(width=width, precision=value, layer=layer)
                cells = [mean_text(at[name].values) for name in (*QUANTITIES, "random")]
                rows.append([str(width), f"{value:g}", str(layer), *cells])
    return make_table(title, columns, rows)


def _rank_table(found: xr.Dataset) -> Table:
    title = "ranks at the end, widest network: space, weights, aligned eigenvectors of H, of G"
    columns, rows = ["λ", *map(str, found.layer.values)], []
    last = found.isel(time=-1, width=-1)
    names = ("rank", "weight_rank", "hessian_rank", "gradient_rank")
    for value in found.precision.values:
        at = last.sel(precision=value)
        cells = [
            ", ".join(f"{float(at[n].sel(layer=layer).mean()):.1f}" for n in names)
            for layer in found.layer.values
        ]
        rows.append([f"{value:g}", *cells])
    return make_table(title, columns, rows)


def _ends_table(found: xr.Dataset) -> Table:
    title = f"ends, all widths: optimal within {MISSED:g} of the best accuracy; epsilon of weights"
    columns = ["λ", "end", "runs", "accuracy", *map(str, found.layer.values)]
    rows = []
    last, optimal = found.isel(time=-1), is_optimal(found)
    for value in found.precision.values:
        for label, chosen in (("optimal", optimal), ("sub-optimal", ~optimal)):
            at = last.sel(precision=value)
            keep = chosen.sel(precision=value).values
            if not keep.any():
                continue
            cells = [
                mean_text(_chosen(at.weights.sel(layer=layer), chosen.sel(precision=value)))
                for layer in found.layer.values
            ]
            accuracy = mean_text(_chosen(at.accuracy, chosen.sel(precision=value)))
            rows.append([f"{value:g}", label, str(int(keep.sum())), accuracy, *cells])
    return make_table(title, columns, rows)


def _course_table(found: xr.Dataset) -> Table:
    value = found.precision.values[found.precision.size // 2]
    width = found.width.values[-1]
    title = f"along training: epsilon of weights, Hessian, G at λ = {value:g}, width {width}"
    columns, rows = ["t", *map(str, found.layer.values), "accuracy"], []
    for time in found.time.values:
        at = found.sel(precision=value, width=width, time=time)
        cells = [
            ", ".join(f"{float(at[n].sel(layer=layer).mean()):.3f}" for n in QUANTITIES)
            for layer in found.layer.values
        ]
        rows.append([f"{time:g}", *cells, f"{float(at.accuracy.mean()):.3f}"])
    return make_table(title, columns, rows)


def _chosen(values: xr.DataArray, keep: xr.DataArray) -> Any:
    both = xr.broadcast(values, keep)
    return both[0].values[both[1].values]


def mean_text(values: Any) -> str:
    """Mean and standard error."""
    if values.size < 2:
        return f"{float(values.mean()):.3f}"
    return f"{values.mean():.3f} ± {values.std(ddof=1) / values.size**0.5:.3f}"
