"""Figures: curves with replica bands, spectra, eigenvalues along training, alignment heat maps, exponents.

Every function returns a new ``matplotlib.figure.Figure``; nothing touches pyplot's global state or needs a display.
Colours are those of Okabe and Ito, which remain distinct under the common colour-vision deficiencies; where
there are more series than colours, the line style changes too.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike, NDArray

from .spectra import Row, has_bulk, pair_spectra

TIME_LABEL = "time t = steps·δ"
FORMATS = (".png", ".svg", ".pdf")

# Okabe–Ito without yellow (too light for a line on white); black is kept for references and predictions
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
_STYLES = ("-", "--", ":", "-.")
_GREY = "#595959"
_PREDICTED: dict[str, Any] = {"color": "black", "linestyle": (0, (4, 2.5)), "linewidth": 1.1}
_FONT = 10.0
SETTINGS: Any = {
    "font.size": _FONT, "axes.titlesize": _FONT + 1, "axes.labelsize": _FONT, "legend.fontsize": _FONT - 0.5,
    "xtick.labelsize": _FONT - 1, "ytick.labelsize": _FONT - 1, "axes.spines.top": False,
    "axes.spines.right": False, "axes.grid": True, "grid.color": "#e3e3e3", "grid.linewidth": 0.6,
    "axes.axisbelow": True, "legend.frameon": False, "svg.hashsalt": "specalign", "figure.facecolor": "white",
}
# thin replica lines drawn at most; the band uses all replicas
_MAX_REPLICA_LINES = 20
# what a spectrum figure shows; the rest is in the Dataset
_MAX_EIGENVALUES = 30
_MAX_MAP_ROWS = 12
_MAX_MAP_COLUMNS = 12


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure in the format of the file name (.png, .svg or .pdf)."""
    metadata = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}.get(path.suffix.lower())
    with rc_context(SETTINGS):
        figure.savefig(path, dpi=150, metadata=metadata)


def plot_curves(curve: xr.Dataset | None, runs: xr.Dataset | None = None, title: str | None = None) -> Figure:
    """Draw overlaps per unit, the diagonal of R_perp and the misalignment against time.

    Parameters
    ----------
    curve : xarray.Dataset or None
        Theory, as :func:`numerics.integrate_curves` returns it: solid lines.
    runs : xarray.Dataset, optional
        Simulations, as :func:`numerics.simulate_sgd` returns them: a thin line per replica, a thicker one for the
        mean and a band of one standard deviation over replicas; the theory is then dashed and black.
    title : str, optional

    Returns
    -------
    matplotlib.figure.Figure
    """
    data = curve if curve is not None else runs
    if data is None:
        raise ValueError("plot_curves needs a curve, runs, or both")
    units, directions = data.sizes["unit"], data.sizes["direction"]
    panels = units + 2
    columns = min(3 if panels <= 9 else 4, panels)
    rows = math.ceil(panels / columns)
    with rc_context(SETTINGS):
        beside = 0.0 if panels < rows * columns else 2.0
        figure = Figure(figsize=(3.5 * columns + beside, 2.5 * rows + 0.5), layout=_layout())
        grid = figure.subplots(rows, columns, squeeze=False).ravel()
        for a in range(units):
            axes = grid[a]
            axes.set_title(f"unit {a + 1}: overlaps with the directions", fontsize=_FONT)
            axes.set_ylabel(rf"overlap $x^{{{a + 1}}}\cdot e_s$")
            for s in range(directions):
                select = {"unit": a, "direction": s}
                _draw_series(axes, s, *(_pick(d, "overlap", select) for d in (curve, runs)))
        perpendicular, misaligned = grid[units], grid[units + 1]
        perpendicular.set_title("orthogonal to the directions", fontsize=_FONT)
        perpendicular.set_ylabel(r"squared length $R^\perp_{aa}$")
        misaligned.set_title("relative distance from the span", fontsize=_FONT)
        misaligned.set_ylabel(r"misalignment $\sqrt{R^\perp_{aa}/Q_{aa}}$")
        for a in range(units):
            select = {"unit": a, "unit_b": a}
            _draw_series(perpendicular, a, *(_pick(d, "gram_perp", select) for d in (curve, runs)))
            _draw_series(misaligned, a, *(_pick(d, "misalignment", {"unit": a}) for d in (curve, runs)))
        perpendicular.set_ylim(bottom=0)
        misaligned.set_ylim(bottom=0)
        for axes in grid[:panels]:
            axes.set_xlabel(TIME_LABEL)
            axes.margins(x=0)
        handles = [*_index_handles(units, directions), *_source_handles(curve, runs)]
        for axes in grid[panels:]:
            axes.set_axis_off()
        if panels < grid.size:
            # the first empty panel has room for the legend
            grid[panels].legend(handles=handles, loc="upper left", borderaxespad=0.0)
        else:
            _legend_beside(grid[columns - 1], handles)
        _set_title(figure, title)
    return figure


def plot_spectrum(population: xr.Dataset, empirical: xr.Dataset | None = None, title: str | None = None) -> Figure:
    """Draw eigenvalues with the bulk, farthest from it first, and the alignment of the outliers with the means.

    Parameters
    ----------
    population : xarray.Dataset
        As :func:`numerics.population_spectrum` returns it.
    empirical : xarray.Dataset, optional
        As :func:`numerics.empirical_spectrum` returns it with ``beside=population``.
    title : str, optional
    """
    rows = pair_spectra(population, empirical)
    mapped = [row for row in rows if row.outlier][:_MAX_MAP_ROWS] or rows[:_MAX_MAP_ROWS]
    maps = []
    if "mean_overlap" in population and mapped:
        maps.append(("population", *_cosines(population, [row.eigen for row in mapped])))
    if empirical is not None and "mean_overlap" in empirical and mapped:
        maps.append(("empirical", *_cosines(empirical, [row.empirical for row in mapped])))
    widths = [4.6, *(max(2.4, 0.58 * cosines.shape[1] + 1.1) for _, cosines, _ in maps)]
    with rc_context(SETTINGS):
        figure = Figure(figsize=(sum(widths) + 0.5 * bool(maps), 4.6), layout=_layout())
        panels = figure.subplots(1, len(widths), squeeze=False, width_ratios=widths)[0]
        _draw_eigenvalues(panels[0], population, empirical, rows[:_MAX_EIGENVALUES])
        image = None
        for axes, (name, cosines, labels) in zip(panels[1:], maps, strict=True):
            image = draw_heatmap(axes, cosines, [str(row.eigen + 1) for row in mapped], labels)
            axes.set_title(f"{name} eigenvectors", fontsize=_FONT)
            axes.set_xlabel("mean" if "," not in labels[0] else "unit, mean")
            if axes is panels[1]:
                axes.set_ylabel("outlier, rank by size" if has_bulk(population) else "eigenvector, largest first")
        if image is not None:
            figure.colorbar(image, ax=panels[-1], label="squared cosine", ticks=[0, 0.25, 0.5, 0.75, 1])
        _set_title(figure, title)
    return figure


def plot_eigenvalues_along_training(
    times: ArrayLike, eigenvalues: ArrayLike, bulk: ArrayLike, measured: ArrayLike | None = None, *,
    measured_times: ArrayLike | None = None, title: str | None = None, ylabel: str = "eigenvalue",
) -> Figure:
    """Draw the outlying eigenvalues and the bulk of a block against training time.

    Parameters
    ----------
    times : array, shape (T,)
    eigenvalues : array, shape (T, E)
        Predicted, largest first.
    bulk : array, shape (T,) or (T, 2)
        The bulk eigenvalue, or the lower and upper edge of the bulk.
    measured : array, shape (M, E'), optional
        Empirical eigenvalues, largest first, drawn as dots; beyond the first E they are of the bulk, and grey.
    measured_times : array, shape (M,), optional
        Times of the measured eigenvalues; ``times`` when omitted.
    title, ylabel : str, optional
    """
    t, values, edges = np.asarray(times), np.asarray(eigenvalues), np.asarray(bulk)
    with rc_context(SETTINGS):
        figure = Figure(figsize=(7.4, 4.0), layout="constrained")
        axes = figure.subplots()
        handles: list[Any] = []
        if edges.ndim == 2:
            axes.fill_between(t, edges[:, 0], edges[:, 1], color="#d0d0d0", linewidth=0)
            handles.append(Patch(color="#d0d0d0", label="bulk, predicted"))
        else:
            axes.plot(t, edges, color=_GREY, linestyle=(0, (1, 1)), linewidth=2)
            handles.append(
                Line2D([], [], color=_GREY, linestyle=(0, (1, 1)), linewidth=2, label="bulk, predicted")
            )
        for i in range(values.shape[1]):
            axes.plot(t, values[:, i], **_line(i))
            handles.append(Line2D([], [], **_line(i), label=f"eigenvalue {i + 1}, predicted"))
        if measured is not None:
            dots = np.asarray(measured)
            at = t if measured_times is None else np.asarray(measured_times)
            outliers = values.shape[1]
            for i in range(dots.shape[1]):
                axes.plot(at, dots[:, i], linestyle="none", **(_dot(i) if i < outliers else _dot(0, "#b0b0b0")))
            handles.append(Line2D([], [], linestyle="none", **_dot(0, "white"), label="measured"))
            if dots.shape[1] > outliers:
                handles.append(
                    Line2D([], [], linestyle="none", **_dot(0, "#b0b0b0"), label="measured, edge of the bulk")
                )
        axes.set_xlabel(TIME_LABEL)
        axes.set_ylabel(ylabel)
        axes.margins(x=0.02)
        _legend_beside(axes, handles)
        _set_title(figure, title)
    return figure


def plot_alignment_heatmap(
    matrix: ArrayLike, row_labels: Sequence[str], column_labels: Sequence[str], title: str | None = None, *,
    xlabel: str = "", ylabel: str = "", colorbar_label: str = "squared cosine",
) -> Figure:
    """Draw squared cosines as a heat map: a row per vector, a column per reference vector.

    Parameters
    ----------
    matrix : array, shape (rows, columns)
        Values in [0, 1].
    row_labels, column_labels : sequence of str
    title, xlabel, ylabel, colorbar_label : str, optional
    """
    values = np.asarray(matrix, dtype=float)
    rows, columns = values.shape
    with rc_context(SETTINGS):
        margin = 0.075 * max(map(len, row_labels), default=0) + 0.3 * bool(ylabel)
        wide = max(max(map(len, column_labels), default=0) * 0.085, 0.62)
        figure = Figure(
            figsize=(wide * columns + margin + 1.7, max(2.6, 0.4 * rows + 1.5)), layout="constrained"
        )
        axes = figure.subplots()
        image = draw_heatmap(axes, values, row_labels, column_labels)
        axes.set_xlabel(xlabel)
        axes.set_ylabel(ylabel)
        _set_title(figure, title)
        figure.colorbar(image, ax=axes, label=colorbar_label, ticks=[0, 0.25, 0.5, 0.75, 1])
    return figure


def plot_exponent(
    x: ArrayLike, y: ArrayLike, error: ArrayLike | None, slope: float, predicted_slope: float, xlabel: str,
    ylabel: str, *, title: str | None = None, slope_error: float | None = None,
) -> Figure:
    """Draw a power law on log-log axes: points with error bars, the fitted and the predicted slope.

    Parameters
    ----------
    x, y : array, shape (N,)
        Positive.
    error : array, shape (N,) or None
        Standard errors of y.
    slope, predicted_slope : float
        Exponents; both lines pass through the weighted centre of the points.
    xlabel, ylabel : str
        With units.
    title : str, optional
    slope_error : float, optional
        Standard error of the slope, shown in the legend.
    """
    at, values = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    bars = np.zeros_like(values) if error is None else np.asarray(error, dtype=float)
    with np.errstate(divide="ignore"):
        weight = np.where(bars > 0, (values / np.where(bars > 0, bars, 1)) ** 2, 1.0)
    centre_x = np.average(np.log(at), weights=weight)
    centre_y = np.average(np.log(values), weights=weight)
    ends = np.array([at.min() / 1.15, at.max() * 1.15])

    def line(exponent: float) -> NDArray[np.float64]:
        return np.exp(centre_y + exponent * (np.log(ends) - centre_x))

    spread = "" if slope_error is None else f" ± {slope_error:.2g}"
    with rc_context(SETTINGS):
        figure = Figure(figsize=(6.8, 3.8), layout="constrained")
        axes = figure.subplots()
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.plot(ends, line(predicted_slope), color="black", linestyle="--", linewidth=1.3,
                  label=f"predicted slope {_signed(predicted_slope)}")
        axes.plot(ends, line(slope), color=PALETTE[0], linewidth=1.6, label=f"fitted slope {_signed(slope)}{spread}")
        axes.errorbar(
            at, values, yerr=None if error is None else _downward_safe(values, bars), fmt="o", color=PALETTE[1],
            capsize=3, label="measured" if error is None else "measured ± 1 s.e.",
        )
        if at.size <= 8:
            # the measured places are better ticks than powers of ten
            axes.set_xticks(at, labels=[f"{value:g}" for value in at])
            axes.set_xticks([], minor=True)
        axes.set_xlabel(xlabel)
        axes.set_ylabel(ylabel)
        axes.grid(True, which="both")
        _legend_beside(axes, axes.get_legend_handles_labels()[0])
        _set_title(figure, title)
    return figure


def _layout() -> ConstrainedLayoutEngine:
    """Room between neighbouring panels, so that no label touches the next panel's."""
    return ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.06, wspace=0.03, hspace=0.03)


def _legend_beside(axes: Axes, handles: Sequence[Any]) -> None:
    """A legend to the right of the axes, where it hides nothing."""
    axes.legend(handles=handles, loc="upper left", bbox_to_anchor=(1.02, 1.0), borderaxespad=0.0)


def _set_title(figure: Figure, title: str | None) -> None:
    """A title above everything, broken into lines that fit the figure."""
    if title:
        characters = int(figure.get_figwidth() * 9.5)
        lines = [line for part in title.splitlines() for line in textwrap.wrap(part, characters)]
        figure.suptitle("\n".join(lines), fontsize=_FONT + 1.5)


def _cosines(data: xr.Dataset, picked: Sequence[int | None]) -> tuple[NDArray[np.float64], list[str]]:
    """Squared cosines (picked eigenvectors, references) with the names of the references; None makes an empty row."""
    values = data["mean_overlap"]
    directions = values.sizes["direction"]
    if "unit" not in values.dims:
        table, labels = values.to_numpy(), [str(s + 1) for s in range(directions)]
    elif values.sizes["unit"] * directions <= _MAX_MAP_COLUMNS:
        ordered = values.transpose("eigen", "unit", "direction").to_numpy()
        table = ordered.reshape(ordered.shape[0], -1)
        labels = [f"{a + 1},{s + 1}" for a in range(values.sizes["unit"]) for s in range(directions)]
    else:
        table = values.sum("unit").transpose("eigen", "direction").to_numpy()
        labels = [str(s + 1) for s in range(directions)]
    return np.array([np.full(len(labels), np.nan) if i is None else table[i] for i in picked]), labels


def _draw_eigenvalues(
    axes: Axes, population: xr.Dataset, empirical: xr.Dataset | None, rows: Sequence[Row]
) -> None:
    values = population["eigenvalue"].to_numpy()
    places = np.arange(1, len(rows) + 1)
    everything = [values[row.eigen] for row in rows]
    bulk = has_bulk(population)
    kinds = [("population outliers" if bulk else "population", True, PALETTE[0])]
    kinds += [("population, in or at the bulk", False, _GREY)] if bulk else []
    for label, outlier, colour in kinds:
        picked = [(x, values[row.eigen]) for x, row in zip(places, rows, strict=True) if row.outlier is outlier]
        axes.plot(
            *(np.array(picked).T if picked else ([], [])), linestyle="none", marker="o", markersize=8.0, label=label,
            color=colour, markerfacecolor="none", markeredgewidth=1.5,
        )
    if empirical is not None:
        measured = empirical["eigenvalue"].to_numpy()
        paired = [
            (x, measured[row.empirical]) for x, row in zip(places, rows, strict=True) if row.empirical is not None
        ]
        everything += [value for _, value in paired]
        axes.plot(
            *(np.array(paired).T if paired else ([], [])), linestyle="none", marker="x", markersize=6.0,
            color=PALETTE[1], markeredgewidth=1.5,
            label=f"empirical, {empirical.attrs['samples']} samples, d = {empirical.attrs['dimension']}",
        )
        if bulk and "bulk_edge" in empirical:
            low, high = empirical["bulk_edge"].to_numpy()
            everything += [low, high]
            axes.axhspan(low, high, color=PALETTE[1], alpha=0.15, linewidth=0, zorder=0.5, label="empirical bulk")
    if bulk:
        levels = population["bulk"].to_numpy()
        everything += list(levels)
        for i, value in enumerate(levels):
            axes.axhline(
                value, color=_GREY, linestyle=(0, (1, 1)), linewidth=1.6, zorder=1,
                label="population bulk" if i == 0 else None,
            )
    if min(everything) > 0 and max(everything) > 50 * min(everything):
        axes.set_yscale("log")
    axes.set_xticks(places, labels=[str(row.eigen + 1) for row in rows])
    if len(rows) > 12:
        axes.tick_params(axis="x", labelsize=_FONT - 3)
    axes.set_xlabel("rank by size, farthest from the bulk first" if bulk else "rank, largest first")
    axes.set_ylabel("eigenvalue")
    # above the data, where nothing is drawn
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), borderaxespad=0.2)


def _signed(value: float) -> str:
    return f"{value:.3g}".replace("-", "−")


def _downward_safe(values: NDArray[np.float64], bars: NDArray[np.float64]) -> NDArray[np.float64]:
    """Error bars that stay positive on a logarithmic axis."""
    return np.array([np.minimum(bars, 0.95 * values), bars])


def draw_heatmap(
    axes: Axes, values: NDArray[np.float64], row_labels: Sequence[str], column_labels: Sequence[str]
) -> Any:
    rows, columns = values.shape
    image = axes.imshow(values, cmap="cividis", vmin=0, vmax=1, aspect="auto")
    axes.grid(False)
    axes.spines[:].set_visible(False)
    axes.set_xticks(range(columns), labels=list(column_labels))
    axes.set_yticks(range(rows), labels=list(row_labels))
    axes.tick_params(length=0)
    size = _FONT - 1 if columns <= 10 else _FONT - 3
    if columns <= 20:
        for i in range(rows):
            for j in range(columns):
                if np.isnan(values[i, j]):
                    continue
                # black and white have equal contrast to cividis near 0.48
                shade = "black" if values[i, j] > 0.48 else "white"
                axes.text(j, i, f"{values[i, j]:.2f}", ha="center", va="center", color=shade, fontsize=size)
    return image


def _line(index: int) -> dict[str, Any]:
    """Colour, and with every round of the palette another line style."""
    style = _STYLES[(index // len(PALETTE)) % len(_STYLES)]
    return {"color": PALETTE[index % len(PALETTE)], "linestyle": style, "linewidth": 1.8}


def _dot(index: int, face: str | None = None) -> dict[str, Any]:
    colour = PALETTE[index % len(PALETTE)]
    edge = "black" if face else "white"
    return {"marker": "o", "markersize": 5.5, "markerfacecolor": face or colour, "markeredgecolor": edge,
            "markeredgewidth": 0.7}


def _pick(
    data: xr.Dataset | None, variable: str, select: dict[str, int]
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    if data is None:
        return None
    return data["time"].to_numpy(), data[variable].isel(select).to_numpy()


def _draw_series(
    axes: Axes, index: int, theory: tuple[NDArray[np.float64], NDArray[np.float64]] | None,
    runs: tuple[NDArray[np.float64], NDArray[np.float64]] | None,
) -> None:
    style = _line(index)
    colour = style["color"]
    if runs is not None:
        time, values = runs  # values: replica, time
        axes.plot(time, values[:_MAX_REPLICA_LINES].T, color=colour, alpha=0.35, linewidth=0.6, zorder=1.6)
        mean = values.mean(axis=0)
        if values.shape[0] > 1:
            spread = values.std(axis=0, ddof=1)
            axes.fill_between(
                time, mean - spread, mean + spread, color=colour, alpha=0.25, linewidth=0, zorder=1.5
            )
        axes.plot(time, mean, **style, zorder=2)
    if theory is not None:
        axes.plot(*theory, **(style if runs is None else _PREDICTED), zorder=3)
    axes.yaxis.set_major_locator(MaxNLocator(5))


def _index_handles(units: int, directions: int) -> list[Line2D]:
    handles = []
    for i in range(max(units, directions)):
        names = [name for name, size in (("direction", directions), ("unit", units)) if i < size]
        handles.append(Line2D([], [], **_line(i), label=f"{' / '.join(names)} {i + 1}"))
    return handles


def _source_handles(curve: xr.Dataset | None, runs: xr.Dataset | None) -> list[Any]:
    if runs is None:
        return [Line2D([], [], color=_GREY, linewidth=1.8, label="theory")]
    replicas = runs.sizes["replica"]
    dimension = runs.attrs.get("dimension")
    where = f", d = {dimension}" if dimension is not None else ""
    handles: list[Any] = [Line2D([], [], color=_GREY, linewidth=1.8, label=f"SGD, mean of {replicas} runs{where}")]
    if replicas > 1:
        handles.append(Patch(color=_GREY, alpha=0.3, linewidth=0, label="SGD, mean ± 1 standard deviation"))
        handles.append(Line2D([], [], color=_GREY, alpha=0.6, linewidth=0.6, label="SGD, single run"))
    if curve is not None:
        handles.append(Line2D([], [], **_PREDICTED, label="theory"))
    return handles
