"""Figures of a sweep: a measured variable against an axis, a line for every value of another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from theory import InputError
from theory.errors import check_choice

from .statistics import fit_exponent
from .values import READERS

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from numerics import Sweep

# dimensions over which values are independent draws of one quantity
RANDOM = ("replica", "seed")
# a 95 % interval is this many standard errors wide on either side
_QUANTILE = 1.96
SYMBOLS = {
    "precision": "λ", "ridge": "β", "step": "c_δ", "dimension": "d", "samples": "M", "samples_per_dimension": "M/d",
    "k": "k", "width": "K", "time": "t", "matrix": "", "unit": "unit", "replica": "run",
}
_AXIS_LABELS = {
    "precision": "precision λ", "ridge": "ridge β", "step": "step $c_\\delta$", "dimension": "dimension d",
    "samples": "test samples M", "samples_per_dimension": "test samples over dimension, M/d",
    "k": "number of classes k", "width": "hidden units K", "seed": "seed", "batch": "batch size",
}
_NAMES = {"hessian": "Hessian", "gradient": "G"}


@dataclass(frozen=True)
class FigureTable:
    """The table [figure].

    Attributes
    ----------
    x : str
        Axis, or the dimension ``time``.
    y : tuple of str
        Variables, a panel for each.
    lines : str or None
        Axis or dimension with a line for each value.
    select : tuple of mapping
        For each panel, labels kept of other axes and dimensions; the rest is averaged.
    theory : tuple of str
        For each panel a variable drawn dashed, or "".
    log_x : bool
    log_y, fit : tuple of bool
        For each panel; ``fit`` states the exponent of a power law.
    labels : tuple of str
        For each panel, of the vertical axis.
    title : str or None
    """

    x: str
    y: tuple[str, ...]
    lines: str | None = None
    select: tuple[Mapping[str, Any], ...] = ()
    theory: tuple[str, ...] = ()
    log_x: bool = False
    log_y: tuple[bool, ...] = ()
    fit: tuple[bool, ...] = ()
    labels: tuple[str, ...] = ()
    title: str | None = None

    def check(self, sweep: Sweep) -> None:
        """Refuse names that the sweep does not have.

        Raises
        ------
        theory.InputError
        """
        layout = sweep.layout
        for key, names in (("y", self.y), ("theory", self.theory)):
            for name in filter(None, names):
                check_choice(f"[figure] {key}", name, layout.variables, kind="variable of the measurements")
        dims = {d for name in self.y for d in layout.variables[name].dims}
        check_choice("[figure] x", self.x, [*layout.axes, *(["time"] if "time" in dims else [])], kind="axis")
        known = [*layout.axes, *dims]
        if self.lines is not None:
            check_choice("[figure] lines", self.lines, [n for n in known if n != self.x], kind="axis or dimension")
        for name, value in [item for panel in self.select for item in panel.items()]:
            check_choice("[figure] select", name, [n for n in known if n not in (self.x, self.lines)], kind="name")
            labels = layout.coordinates[name].to_numpy().tolist()
            if value not in labels:
                raise InputError(
                    f"[figure] select {name}", value, f"one of {', '.join(map(str, labels))}", "select a label"
                )


def read_figure(path: Path, table: Any) -> FigureTable:
    """Read the table [figure].

    Raises
    ------
    theory.InputError
    """
    where = f"config {path.name} [figure]"
    if not isinstance(table, Mapping):
        raise InputError(where, "figure = ...", "a table [figure]", "put keys below it")
    for key in table:
        check_choice(where, key, FigureTable.__dataclass_fields__, kind="key")
    for key in ("x", "y"):
        if key not in table:
            raise InputError(where, f"no {key}", f"{key} = ...", 'write x = "dimension" and y = "alignment"')
    y = _texts("y", table["y"])
    select = table.get("select", {})
    select = select if isinstance(select, list) else [select]
    if not select or not all(isinstance(panel, Mapping) for panel in select):
        raise InputError("[figure] select", repr(select), "a table or a list of tables", "write select = { unit = 1 }")
    return FigureTable(
        READERS["name"]("x", table["x"]), y, None if "lines" not in table else READERS["name"]("lines", table["lines"]),
        _each("select", tuple(
            {k: v if isinstance(v, str) else float(READERS["ridge"](k, v)) for k, v in panel.items()}
            for panel in select
        ), len(y)),
        _each("theory", _texts("theory", table.get("theory", "")), len(y)),
        _flags("log_x", table.get("log_x", False))[0],
        _each("log_y", _flags("log_y", table.get("log_y", False)), len(y)),
        _each("fit", _flags("fit", table.get("fit", False)), len(y)),
        _each("labels", _texts("labels", table.get("labels", "")), len(y)),
        None if "title" not in table else READERS["name"]("title", table["title"]),
    )


def _texts(key: str, value: Any) -> tuple[str, ...]:
    given = value if isinstance(value, list) else [value]
    if not given or not all(isinstance(v, str) for v in given):
        raise InputError(f"[figure] {key}", repr(value), "a text or a list of texts", f'write {key} = "..."')
    return tuple(given)


def _flags(key: str, value: Any) -> tuple[bool, ...]:
    given = value if isinstance(value, list) else [value]
    if not given or not all(isinstance(v, bool) for v in given):
        raise InputError(f"[figure] {key}", repr(value), "true or false", f"write {key} = true")
    return tuple(given)


def _each(key: str, given: tuple[Any, ...], panels: int) -> tuple[Any, ...]:
    """One entry serves all panels."""
    if len(given) not in (1, panels):
        raise InputError(f"[figure] {key}", f"{len(given)} entries", f"1 or {panels}, as y has", "give one for each y")
    return given * panels if len(given) == 1 else given


@dataclass(frozen=True)
class Series:
    """One line: means, standard errors (NaN where a point has one value only) and positions."""

    label: str
    x: NDArray[np.float64]
    mean: NDArray[np.float64]
    error: NDArray[np.float64]


def series_of(data: xr.Dataset, table: FigureTable, variable: str, panel: int = 0) -> list[Series]:
    """The lines of a variable: means over everything that is neither ``x`` nor ``lines``.

    Runs and seeds are independent: their spread gives the standard error.  Whatever else is left is averaged first.
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
        Series(_line_label(data, lines, i), x, mean[i], error[i]) for i in range(values.sizes[lines])
        if np.isfinite(mean[i]).any()
    ]


def exponent_of(series: Series) -> tuple[float, float] | None:
    """Exponent of a power law and the half width of its 95 % interval; None for fewer than three points.

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
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    from .figure_style import SETTINGS, legend_beside, set_title, spaced_layout

    with rc_context(SETTINGS):
        figure = Figure(figsize=(4.4 * len(table.y) + 1.2, 3.8), layout=spaced_layout())
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
        set_title(figure, table.title)
    return figure


def _panel(axes: Axes, data: xr.Dataset, table: FigureTable, i: int, variable: str) -> None:
    from matplotlib.ticker import LogLocator, NullFormatter

    from .figure_style import PREDICTED, dot_style, line_style

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
            axes.errorbar(series.x, series.mean, yerr=error, fmt="none", ecolor=line_style(j)["color"], capsize=2.5)
        many = series.x.size > 30
        style = line_style(j) | ({} if many else dot_style(j))
        axes.plot(series.x, series.mean, label=label or None, **style)
    if table.theory[i]:
        colours = {series.label: line_style(j)["color"] for j, series in enumerate(drawn)}
        for series in series_of(data, table, table.theory[i], i):
            axes.plot(series.x, series.mean, **PREDICTED | {"color": colours.get(series.label, "black")})
        theory = "population" if table.theory[i].startswith("population") else "effective dynamics"
        axes.plot([], [], label=theory, **PREDICTED)
    _ticks(axes, data, table)
    if table.log_y[i]:
        # a law may span less than a decade: numbers between the powers of ten too
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter(NullFormatter())
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
    from .figure_style import TIME_LABEL

    return TIME_LABEL if name == "time" else name
