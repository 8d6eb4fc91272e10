"""Figures: spectra, eigenvalues along training, alignment heat maps, exponents; curves are in
verify.figures.curves.

Every function returns a new ``matplotlib.figure.Figure``; nothing touches pyplot's global state or
needs a display.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike, NDArray

from theory.keywords import with_known_keywords
from verify.tables.spectra import Row, has_bulk, pair_spectra
from verify.tables.text import direction_labels

from .canvas import font_size, new_figure, styled
from .drawn_data import check_drawn, spectrum_label
from .heatmaps import draw_heatmap
from .style import (
    GREY,
    PALETTE,
    TIME_LABEL,
    LabelledTuple,
    dot_style,
    legend_beside,
    legend_line,
    legend_mark,
    line_style,
    marks,
    set_title,
    spaced_layout,
)

# what a spectrum figure shows; the rest is in the Dataset
_MAX_EIGENVALUES = 30
_MAX_MAP_ROWS = 12
_MAX_MAP_COLUMNS = 12
# inches of a column of a map, and of maps that stand side by side
_CELL, _MAX_MAP_WIDTH = 0.58, 9.5


@with_known_keywords
@styled
def plot_spectrum(
    population: xr.Dataset,
    empirical: xr.Dataset | None = None,
    title: str | None = None,
    *,
    directions: Sequence[str] = (),
) -> Figure:
    """Draw eigenvalues with the bulk, farthest from it first, and the alignment of the outliers
    with the means.

    Parameters
    ----------
    population : xarray.Dataset
        As :func:`numerics.population_spectrum` returns it, or an empirical spectrum alone; labels
        say which.
    empirical : xarray.Dataset, optional
        As :func:`numerics.empirical_spectrum` returns it with ``beside=population``.
    title : str, optional
    directions : sequence of str, optional
        Names of the directions; they are means 1, 2, ... when omitted.

    Examples
    --------
    >>> from numerics import Problem, State, population_spectrum
    >>> from theory import kgmm
    >>> problem = Problem(kgmm(2), weights=[0.5, 0.5], precision=10, ridge=0, step=1)
    >>> found = population_spectrum(problem, State.zero(problem), block=(0, 0))
    >>> len(plot_spectrum(found).axes)                        # eigenvalues, alignment, its colours
    3
    """
    check_drawn("population", population, ("eigen", "eigenvalue"), "population_spectrum")
    if empirical is not None:
        check_drawn("empirical", empirical, ("eigen", "eigenvalue"), "empirical_spectrum")
    rows = pair_spectra(population, empirical)
    mapped = [row for row in rows if row.outlier][:_MAX_MAP_ROWS] or rows[:_MAX_MAP_ROWS]
    mapped.sort(key=lambda row: row.eigen)
    maps = []
    if "mean_overlap" in population and mapped:
        maps.append(
            (
                spectrum_label(population),
                *_cosines(population, [row.eigen for row in mapped], directions),
            )
        )
    if empirical is not None and "mean_overlap" in empirical and mapped:
        maps.append(
            ("empirical", *_cosines(empirical, [row.empirical for row in mapped], directions))
        )
    # two wide maps stand one below the other
    wide = max((max(2.4, _CELL * cosines.shape[1] + 1.1) for _, cosines, _ in maps), default=0.0)
    stacked = len(maps) * wide > _MAX_MAP_WIDTH
    across = 1 if stacked else len(maps)
    height = 4.6 if not stacked else max(4.6, 2 * (0.26 * len(mapped) + 1.3))
    figure = new_figure(4.9 + across * wide + 0.5 * bool(maps), height, spaced_layout())
    grid = figure.add_gridspec(
        len(maps) if stacked else 1, 1 + across, width_ratios=[4.9, *([wide] * across)]
    )
    _draw_eigenvalues(figure.add_subplot(grid[:, 0]), population, empirical, rows)
    panels = [
        figure.add_subplot(grid[i, 1] if stacked else grid[0, 1 + i]) for i in range(len(maps))
    ]
    image = None
    for axes, (name, cosines, labels) in zip(panels, maps, strict=True):
        image = draw_heatmap(axes, cosines, [str(row.eigen + 1) for row in mapped], labels)
        axes.set_title(f"{name} eigenvectors", fontsize=font_size())
        kind = "direction" if directions else "mean"
        kind = kind if "," not in labels[0] else f"unit, {kind}"
        axes.set_xlabel(f"{kind}; v: second layer" if labels[-1] == "v" else kind)
        if axes is panels[0] or stacked:
            axes.set_ylabel(
                "outlier, rank by size" if has_bulk(population) else "eigenvector, largest first"
            )
    if image is not None:
        where = panels if stacked else panels[-1]
        figure.colorbar(image, ax=where, label="squared cosine", ticks=[0, 0.25, 0.5, 0.75, 1])
    set_title(figure, title)
    return figure


@with_known_keywords
@styled
def plot_eigenvalues_along_training(
    times: ArrayLike,
    eigenvalues: ArrayLike,
    bulk: ArrayLike,
    measured: ArrayLike | None = None,
    *,
    measured_times: ArrayLike | None = None,
    title: str | None = None,
    ylabel: str = "eigenvalue",
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
        Empirical eigenvalues, largest first, drawn as dots; beyond the first E they are of the
        bulk, and grey.
    measured_times : array, shape (M,), optional
        Times of the measured eigenvalues; ``times`` when omitted.
    title, ylabel : str, optional
    """
    t, values, edges = np.asarray(times), np.asarray(eigenvalues), np.asarray(bulk)
    figure = new_figure(7.4, 4.0)
    axes = figure.subplots()
    handles: list[Any] = []
    if edges.ndim == 2:
        axes.fill_between(t, edges[:, 0], edges[:, 1], color="#d0d0d0", linewidth=0)
        handles.append(Patch(color="#d0d0d0", label="bulk, predicted"))
    else:
        axes.plot(t, edges, color=GREY, linestyle=(0, (1, 1)), linewidth=2)
        handles.append(
            legend_line(color=GREY, linestyle=(0, (1, 1)), linewidth=2, label="bulk, predicted")
        )
    for i in range(values.shape[1]):
        told = marks(i, values.shape[1]) if measured is None else {}
        axes.plot(t, values[:, i], **line_style(i), **told)
        look = line_style(i) | told | {"markevery": None}
        handles.append(legend_line(**look, label=f"eigenvalue {i + 1}, predicted"))
    if measured is not None:
        dots = np.asarray(measured)
        at = t if measured_times is None else np.asarray(measured_times)
        outliers = values.shape[1]
        for i in range(dots.shape[1]):
            style = dot_style(i) if i < outliers else dot_style(0, "#b0b0b0")
            axes.plot(at, dots[:, i], linestyle="none", **style)
        some = [legend_mark(**dot_style(i)) for i in range(min(outliers, 3))]
        handles.append(LabelledTuple("measured", tuple(some)))
        if dots.shape[1] > outliers:
            handles.append(
                legend_mark(**dot_style(0, "#b0b0b0"), label="measured, edge of the bulk")
            )
    axes.set(xlabel=TIME_LABEL, ylabel=ylabel)
    axes.margins(x=0.02)
    legend_beside(axes, handles)
    set_title(figure, title)
    return figure


def _cosines(
    data: xr.Dataset, picked: Sequence[int | None], names: Sequence[str]
) -> tuple[NDArray[np.float64], list[str]]:
    """Squared cosines (picked eigenvectors, references) with the names of the references; None
    makes an empty row.
    """
    values = data["mean_overlap"]
    directions = values.sizes["direction"]
    labels = direction_labels(names, directions)
    if "unit" not in values.dims:
        table = values.to_numpy()
    elif values.sizes["unit"] * directions <= _MAX_MAP_COLUMNS:
        ordered = values.transpose("eigen", "unit", "direction").to_numpy()
        table = ordered.reshape(ordered.shape[0], -1)
        labels = [f"{a + 1},{label}" for a in range(values.sizes["unit"]) for label in labels]
    else:
        table = values.sum("unit").transpose("eigen", "direction").to_numpy()
    if "eigenvector_readout" in data:
        # of a matrix of both layers: what of the vector lies in the second
        table = np.column_stack(
            [table, (data["eigenvector_readout"] ** 2).sum("parameter").to_numpy()]
        )
        labels = [*labels, "v"]
    return np.array(
        [np.full(len(labels), np.nan) if i is None else table[i] for i in picked]
    ), labels


def draw_spectrum(axes: Axes, population: xr.Dataset, empirical: xr.Dataset | None) -> None:
    """Draw the eigenvalues on given axes."""
    check_drawn("population", population, ("eigen", "eigenvalue"), "population_spectrum")
    if empirical is not None:
        check_drawn("empirical", empirical, ("eigen", "eigenvalue"), "empirical_spectrum")
    _draw_eigenvalues(axes, population, empirical, pair_spectra(population, empirical))


def _draw_eigenvalues(
    axes: Axes, population: xr.Dataset, empirical: xr.Dataset | None, rows: Sequence[Row]
) -> None:
    values = population["eigenvalue"].to_numpy()
    shown = rows[:_MAX_EIGENVALUES]
    everything = [values[row.eigen] for row in shown]
    bulk = has_bulk(population)
    name = spectrum_label(population)
    kinds = [(f"{name} outliers" if bulk else name, True, PALETTE[0])]
    kinds += [(f"{name}, in or near the bulk", False, GREY)] if bulk else []
    for label, outlier, colour in kinds:
        picked = [(row.eigen + 1, values[row.eigen]) for row in shown if row.outlier is outlier]
        if picked:
            axes.plot(
                *np.array(picked).T,
                linestyle="none",
                marker="o",
                markersize=8.0,
                label=label,
                color=colour,
                markerfacecolor="none",
                markeredgewidth=1.5,
            )
    if empirical is not None:
        measured = empirical["eigenvalue"].to_numpy()
        paired = [
            (row.eigen + 1, measured[row.empirical]) for row in shown if row.empirical is not None
        ]
        everything += [value for _, value in paired]
        if paired:
            axes.plot(
                *np.array(paired).T,
                linestyle="none",
                marker="x",
                markersize=6.0,
                color=PALETTE[1],
                markeredgewidth=1.5,
                label=(
                    f"empirical, {empirical.attrs['samples']} samples, "
                    f"d = {empirical.attrs['dimension']}"
                ),
            )
        if bulk and "bulk_edge" in empirical:
            low, high = empirical["bulk_edge"].to_numpy()
            everything += [low, high]
            axes.axhspan(
                low,
                high,
                color=PALETTE[1],
                alpha=0.15,
                linewidth=0,
                zorder=0.5,
                label="empirical bulk",
            )
    if bulk:
        levels = population["bulk"].to_numpy().ravel()
        everything += list(levels)
        for i, value in enumerate(levels):
            axes.axhline(
                value,
                color=GREY,
                linestyle=(0, (1, 1)),
                linewidth=1.6,
                zorder=1,
                label=f"{name} bulk" if i == 0 else None,
            )
    if min(everything) > 0 and max(everything) > 50 * min(everything):
        axes.set_yscale("log")
    # few enough ranks to be read, in the order of size
    axes.xaxis.set_major_locator(MaxNLocator(nbins=10, integer=True, min_n_ticks=1))
    ranks = [row.eigen + 1 for row in shown]
    axes.set_xlim(min(ranks) - 0.6, max(ranks) + 0.6)
    axes.set(xlabel="rank by size, largest first", ylabel="eigenvalue")
    # above the data, where nothing is drawn
    axes.legend(
        loc="lower left", bbox_to_anchor=(0, 1.0), borderaxespad=0.2, ncols=2, columnspacing=1.0
    )
