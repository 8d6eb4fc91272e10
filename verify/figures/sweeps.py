"""Figures of a sweep: a measured variable against an axis, a line for every value of another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from theory.keywords import with_known_keywords
from verify.settings.figure_table import RANDOM, FigureTable
from verify.verdict.extrapolation import fit_exponent

from .canvas import new_figure, styled
from .style import (
    PREDICTED,
    TIME_LABEL,
    dot_style,
    legend_beside,
    line_style,
    plain_log_ticks,
    set_title,
    spaced_layout,
)

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray


# a 95 % interval is this many standard errors wide on either side
_QUANTILE = 1.96
SYMBOLS = {
    "precision": "λ",
    "ridge": "β",
    "step": "c_δ",
    "dimension": "d",
    "samples": "M",
    "samples_per_dimension": "M/d",
    "k": "k",
    "width": "K",
    "time": "t",
    "matrix": "",
    "unit": "unit",
    "replica": "run",
}
_AXIS_LABELS = {
    "precision": "precision λ",
    "ridge": "ridge β",
    "step": "step $c_\\delta$",
    "dimension": "dimension d",
    "samples": "test samples M",
    "samples_per_dimension": "test samples over dimension, M/d",
    "k": "number of classes k",
    "width": "hidden units K",
    "seed": "seed",
    "batch": "batch size",
}
_NAMES = {"hessian": "Hessian", "gradient": "G"}


@dataclass(frozen=True)
class Series:
    """One line: means, standard errors (NaN where a point has one value only) and positions."""

    label: str
    x: NDArray[np.float64]
    mean: NDArray[np.float64]
    error: NDArray[np.float64]


def series_of(data: xr.Dataset, table: FigureTable, variable: str, panel: int = 0) -> list[Series]:
    """The lines of a variable: means over everything that is neither ``x`` nor ``lines``.

    Runs and seeds are independent: their spread gives the standard error.  Whatever else is left is
    averaged first.
    """
    values = data[variable]
    select = table.select[panel] if table.select else {}
    values = values.sel({k: v for k, v in select.items() if k in values.dims})
    lines = table.lines if table.lines in values.dims else None
    keep = [d for d in (lines, table.x) if d is not None]
    draws = [d for d in RANDOM if d in values.dims and d not in keep]
    values = values.mean([d for d in values.dims if d not in (*keep, *draws)], skipna=True)
    numbers = values.transpose(*keep, *draws).to_numpy().astype(float)
    numbers = numbers.reshape(*(values.sizes[d] for d in keep), -1)
    count = np.isfinite(numbers).sum(axis=-1)
    filled = np.where(np.isfinite(numbers), numbers, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.where(count > 0, filled.sum(axis=-1) / count, np.nan)
        spread = np.where(np.isfinite(numbers), numbers - mean[..., None], 0.0)
        error = np.where(count > 1, np.sqrt((spread**2).sum(axis=-1) / (count - 1) / count), np.nan)
    x = data[table.x].to_numpy().astype(float)
    if lines is None:
        return [Series("", x, mean, error)]
    return [
        Series(_line_label(data, lines, i), x, mean[i], error[i])
        for i in range(values.sizes[lines])
        if np.isfinite(mean[i]).any()
    ]


def exponent_of(series: Series) -> tuple[float, float] | None:
    """Exponent of a power law and the half width of its 95 % interval; None for fewer than three
    points.

    The standard error is enlarged where points scatter about the line more than their errors allow.
    """
    good = np.isfinite(series.mean) & (series.mean > 0) & (series.x > 0)
    if good.sum() < 3:
        return None
    x, mean = series.x[good], series.mean[good]
    known = np.isfinite(series.error[good]).all() and (series.error[good] > 0).all()
    relative = series.error[good] / mean if known else np.ones(mean.size)
    fit = fit_exponent(x, mean, relative)
    rest = np.log(mean) - fit.slope * np.log(x)
    rest -= np.average(rest, weights=relative**-2)
    excess = float(np.sum((rest / relative) ** 2) / (mean.size - 2))
    return fit.slope, _QUANTILE * fit.error * float(np.sqrt(max(excess, 1.0) if known else excess))


def averaged(data: xr.Dataset, table: FigureTable) -> str:
    """Over what the means of a figure are taken, as a sentence; empty where they are single
    numbers.
    """
    found: dict[str, int] = {}
    for i, variable in enumerate(table.y):
        select = table.select[i] if table.select else {}
        for name in data[variable].dims:
            if name not in (table.x, table.lines, *select) and data.sizes[name] > 1:
                found[str(name)] = data.sizes[name]
    if not found:
        return ""
    return "mean over " + ", ".join(f"{count} {_plural(name)}" for name, count in found.items())


def _plural(name: str) -> str:
    known = {"replica": "runs", "time": "times", "matrix": "matrices", "block": "blocks"}
    return known.get(name, f"{name}s")


@with_known_keywords
@styled
def plot_sweep(data: xr.Dataset, table: FigureTable) -> Figure:
    """Draw the figure that a table describes.

    Parameters
    ----------
    data : xarray.Dataset
        The store of a sweep.
    table : FigureTable

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> import xarray as xr
    >>> data = xr.Dataset(
    ...     {"alignment": (("dimension", "replica"), [[0.4, 0.5], [0.6, 0.7], [0.8, 0.9]])},
    ...     {"dimension": [100, 200, 400]},
    ... )
    >>> panel = {"select": ({},), "theory": ("",), "labels": ("",)}
    >>> panel |= {"log_y": (True,), "fit": (False,)}
    >>> (axes,) = plot_sweep(data, FigureTable("dimension", ("alignment",), **panel)).axes
    >>> axes.get_xlabel(), axes.get_ylabel()
    ('dimension d', 'alignment')
    """
    figure = new_figure(4.4 * len(table.y) + 1.2, 3.8, spaced_layout())
    panels = figure.subplots(1, len(table.y), squeeze=False)[0]
    for i, variable in enumerate(table.y):
        _panel(panels[i], data, table, i, variable)
    # one legend serves all panels, unless it says something of each
    if any(table.fit):
        for axes in panels:
            if axes.get_legend_handles_labels()[0]:
                axes.legend(fontsize="small")
    else:
        longest = max(panels, key=lambda axes: len(axes.get_legend_handles_labels()[0]))
        if longest.get_legend_handles_labels()[0]:
            legend_beside(panels[-1], longest.get_legend_handles_labels()[0])
    note = averaged(data, table)
    title = "\n".join(filter(None, (table.title, note)))
    set_title(figure, title)
    return figure


def draw_sweep(axes: Axes, data: xr.Dataset, table: FigureTable) -> None:
    """Draw the one panel of a table on given axes."""
    _panel(axes, data, table, 0, table.y[0])


def _panel(axes: Axes, data: xr.Dataset, table: FigureTable, i: int, variable: str) -> None:
    if table.log_x:
        axes.set_xscale("log")
    if table.log_y[i]:
        axes.set_yscale("log")
    drawn = series_of(data, table, variable, i)
    for j, series in enumerate(drawn):
        label = series.label
        law = exponent_of(series) if table.fit[i] else None
        if law is not None:
            text = f"exponent {law[0]:.2f} ± {law[1]:.2f}".replace("-", "−")
            label = f"{label}: {text}" if label else text
        error = np.nan_to_num(series.error)
        if np.isfinite(series.error).any():
            axes.errorbar(
                series.x,
                series.mean,
                yerr=error,
                fmt="none",
                ecolor=line_style(j)["color"],
                capsize=2.5,
            )
        many = series.x.size > 30
        style = line_style(j) | ({} if many else dot_style(j))
        axes.plot(series.x, series.mean, label=label or None, **style)
    if table.theory[i]:
        colours = {series.label: line_style(j)["color"] for j, series in enumerate(drawn)}
        for series in series_of(data, table, table.theory[i], i):
            axes.plot(
                series.x, series.mean, **PREDICTED | {"color": colours.get(series.label, "black")}
            )
        theory = "population" if table.theory[i].startswith("population") else "effective dynamics"
        axes.plot([], [], label=theory, **PREDICTED)
    _ticks(axes, data, table)
    if table.log_y[i]:
        plain_log_ticks(axes.yaxis)
    axes.set_xlabel(_AXIS_LABELS.get(table.x, _x_label(table.x)))
    axes.set_ylabel(table.labels[i] or variable.replace("_", " "))


def _ticks(axes: Axes, data: xr.Dataset, table: FigureTable) -> None:
    """A tick for each value of an axis; texts as they are."""
    x = data[table.x]
    if table.x == "time" or x.size > 12:
        return
    label = f"{table.x}_label"
    values = x.to_numpy().astype(float)
    texts = data[label].to_numpy().tolist() if label in data.coords else [f"{v:g}" for v in values]
    axes.set_xticks(values, texts)
    axes.minorticks_off()


def _line_label(data: xr.Dataset, name: str, i: int) -> str:
    label = f"{name}_label"
    value = (data[label] if label in data.coords else data[name]).to_numpy()[i]
    text = str(value) if isinstance(value, str) else f"{value:g}"
    if name == "matrix":
        return _NAMES[text]
    symbol = SYMBOLS.get(name, name)
    return f"{symbol} {text}" if symbol in ("unit", "run") else f"{symbol} = {text}"


def _x_label(name: str) -> str:
    return TIME_LABEL if name == "time" else name
