"""Figures for users in Python, ``sa.plot``: each takes Matplotlib axes, or makes a figure of its
own that a notebook shows, and returns what it drew on.

A figure of several panels returns an array of axes, a figure of one panel its axes. On axes of
the user's one panel is drawn, with a legend and without a title.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from theory import InputError
from theory.errors import check_choice
from theory.keywords import with_known_keywords
from verify.settings.figure_table import FigureTable

from .alignment import draw_alignment, plot_alignment
from .canvas import canvas
from .curves import draw_curves, plot_curves
from .drawn_data import check_drawn
from .effective import draw_effective, plot_effective_spectrum
from .emergence import draw_emergence, draw_phases, plot_emergence, plot_phase_diagram
from .heatmaps import plot_alignment_heatmap
from .networks.layers import layers as layers
from .spectra import draw_spectrum, plot_spectrum
from .style import Shown, panel_of, save_figure, takes_axes
from .sweeps import draw_sweep, plot_sweep


@takes_axes
def curves(
    ax: Axes | None,
    curve: xr.Dataset | None,
    runs: xr.Dataset | None = None,
    *,
    quantity: str | None = None,
    unit: int = 1,
    directions: Sequence[str] = (),
) -> Shown:
    """Draw a curve, runs of SGD, or both.

    Parameters
    ----------
    curve : xarray.Dataset or None
        Of :func:`numerics.integrate_curves`.
    runs : xarray.Dataset, optional
        Of :func:`numerics.simulate_sgd`: mean, standard deviation and single runs, beneath the
        theory.
    ax : matplotlib.axes.Axes, optional
        Draw one quantity there; all of them in a new figure when omitted.
    quantity : {"overlap", "gram_perp", "misalignment", "readout"}, optional
        Draw this one alone; ``"overlap"`` on given axes when omitted.
    unit : int
        Whose overlaps, counted from 1.
    directions : sequence of str
        Names of the directions.
    size : (width, height) in inches, optional
    title : str, optional

    Returns
    -------
    matplotlib.axes.Axes or array of them

    Examples
    --------
    >>> import numpy as np
    >>> from matplotlib.figure import Figure
    >>> from numerics import Problem, State, integrate_curves
    >>> from theory import kgmm
    >>> problem = Problem(kgmm(2), weights=[0.5, 0.5], precision=10, ridge=0.1, step=1)
    >>> curve = integrate_curves(problem, State.zero(problem), time=np.linspace(0, 4, 9))
    >>> ax = curves(curve, ax=Figure().subplots(), quantity="misalignment")
    >>> ax.get_xlabel()
    'time t = steps·δ'
    """
    if ax is None and quantity is None:
        return plot_curves(curve, runs, directions=directions)
    ax = panel_of(ax)
    return ax, draw_curves(ax, curve, runs, quantity or "overlap", unit, directions)


@takes_axes
def spectrum(
    ax: Axes | None,
    population: xr.Dataset,
    empirical: xr.Dataset | None = None,
    *,
    directions: Sequence[str] = (),
) -> Shown:
    """Draw the eigenvalues of a spectrum, and how eigenvectors align with the means.

    Parameters
    ----------
    population : xarray.Dataset
        Of :func:`numerics.population_spectrum`, or an empirical one alone.
    empirical : xarray.Dataset, optional
        Of :func:`numerics.empirical_spectrum` with ``beside=population``.
    ax : matplotlib.axes.Axes, optional
        Draw the eigenvalues alone there.
    directions : sequence of str
        Names of the directions.
    size : (width, height) in inches, optional
    title : str, optional

    Returns
    -------
    matplotlib.axes.Axes or array of them
    """
    if ax is None:
        return plot_spectrum(population, empirical, directions=directions)
    draw_spectrum(ax, population, empirical)
    return ax, []


@takes_axes
def effective(
    ax: Axes | None,
    effective: xr.Dataset,
    eigenvalues: ArrayLike | xr.Dataset | None = None,
    measured: xr.Dataset | None = None,
    *,
    log: bool = False,
    data_label: str = "measured",
    part: str = "density",
) -> Shown:
    """Draw a predicted bulk with its outliers, and data beside it.

    Parameters
    ----------
    effective : xarray.Dataset
        Of :func:`numerics.effective_spectrum`.
    eigenvalues, measured
        Data, as :func:`verify.plot_effective_spectrum` takes them.
    ax : matplotlib.axes.Axes, optional
        Draw one part there.
    log : bool
        A logarithmic density.
    data_label : str
    part : {"density", "outliers"}
        What is drawn on ``ax``.
    size : (width, height) in inches, optional
    title : str, optional

    Returns
    -------
    matplotlib.axes.Axes or array of them
    """
    if ax is None:
        return plot_effective_spectrum(
            effective, eigenvalues, measured, log=log, data_label=data_label
        )
    check_choice("part", part, ("density", "outliers"))
    return ax, draw_effective(ax, effective, eigenvalues, measured, part, log, data_label)


@takes_axes
def emergence(ax: Axes | None, emergence: xr.Dataset, measured: xr.Dataset | None = None) -> Shown:
    """Draw outliers along training, with the times at which they leave the bulk.

    The axis shows the times of the events.  An outlier is dotted where it is within 2 % of the
    edge, where data do not tell it from the bulk.

    Parameters
    ----------
    emergence : xarray.Dataset
        Of :func:`numerics.emergence`.
    measured : xarray.Dataset, optional
        ``eigenvalue`` (time, [replica,] eigen) of data.
    ax : matplotlib.axes.Axes, optional
    size : (width, height) in inches, optional
    title : str, optional

    Returns
    -------
    matplotlib.axes.Axes
    """
    if ax is None:
        return plot_emergence(emergence, measured)
    check_drawn("emergence", emergence, ("time", "edge", "side", "event"), "emergence")
    return ax, draw_emergence(ax, emergence, measured)


@takes_axes
def phases(ax: Axes | None, diagram: xr.Dataset, *, quantity: str = "outlier_count") -> Shown:
    """Draw a phase diagram over aspect ratio and precision.

    Parameters
    ----------
    diagram : xarray.Dataset
        Of :func:`numerics.phase_diagram`.
    quantity : {"outlier_count", "excess", "alignment"}
    ax : matplotlib.axes.Axes, optional
    size : (width, height) in inches, optional
    title : str, optional

    Returns
    -------
    matplotlib.axes.Axes
    """
    if ax is None:
        return plot_phase_diagram(diagram, quantity=quantity)
    check_drawn("diagram", diagram, ("aspect_ratio", "precision"), "phase_diagram")
    return ax, draw_phases(ax, diagram, quantity)


@takes_axes
def alignment(ax: Axes | None, predicted: xr.Dataset, measured: xr.Dataset) -> Shown:
    """Draw measured against predicted alignment.

    Parameters
    ----------
    predicted : xarray.Dataset
        Of :func:`numerics.effective_spectrum` or :func:`numerics.emergence`.
    measured : xarray.Dataset
        Of :func:`numerics.measure_outliers`.
    ax : matplotlib.axes.Axes, optional
    size : (width, height) in inches, optional
    title : str, optional

    Returns
    -------
    matplotlib.axes.Axes
    """
    if ax is None:
        return plot_alignment(predicted, measured)
    return ax, draw_alignment(ax, predicted, measured)


@takes_axes
def sweep(
    ax: Axes | None,
    data: xr.Dataset,
    x: str | FigureTable,
    y: str | Sequence[str] = (),
    *,
    lines: str | None = None,
    select: Mapping[str, Any] | None = None,
    theory: str | Sequence[str] = (),
    log_x: bool = False,
    log_y: bool = False,
    fit: bool = False,
) -> Shown:
    """Draw measurements of a sweep against an axis; the title says over what it averages.

    Parameters
    ----------
    data : xarray.Dataset
        The store of a sweep, or what :func:`numerics.run_sweep` returns.
    x : str
        An axis of the sweep, or ``"time"``; or the table [figure] of its file, with everything.
    y : str or sequence of str
        Variables, a panel each; on ``ax`` one.
    lines : str, optional
        An axis with a line for each value.
    select : mapping, optional
        Labels of other axes that are kept; the rest is averaged. ``time`` has to be selected, or
        be ``x`` or ``lines``, where there is more than one.
    theory : str or sequence of str
        Variables drawn dashed, one for each of ``y``.
    log_x, log_y : bool
    fit : bool
        State the exponent of a power law.
    ax : matplotlib.axes.Axes, optional
    size : (width, height) in inches, optional
    title : str, optional

    Returns
    -------
    matplotlib.axes.Axes or array of them
    """
    if isinstance(x, FigureTable):
        table = x
    else:
        names = (y,) if isinstance(y, str) else tuple(y)
        dashed = (theory,) if isinstance(theory, str) else tuple(theory)
        check_drawn("data", data, (x, *names, *filter(None, dashed)), "run_sweep")
        _check_time(data, names, (x, lines, *(select or {})))
        count = len(names)
        table = FigureTable(
            x, names, lines, (dict(select or {}),) * count, dashed or ("",) * count,
            log_x, (log_y,) * count, (fit,) * count, ("",) * count,
        )  # fmt: skip
    if ax is None:
        return plot_sweep(data, table)
    if len(table.y) != 1:
        raise InputError("y", f"{len(table.y)} variables", "one on given axes", "leave ax away")
    draw_sweep(ax, data, table)
    return ax, ax.get_legend_handles_labels()[0]


def _check_time(data: xr.Dataset, names: Sequence[str], said: tuple[str | None, ...]) -> None:
    """A mean over times means nothing to anybody."""
    timed = [n for n in names if "time" in data[n].dims and data.sizes["time"] > 1]
    if timed and "time" not in said:
        times = data["time"].to_numpy()
        expected = f"one of the {times.size} times from {times[0]:g} to {times[-1]:g}"
        remedy = f'write select={{"time": {times[-1]:g}}}, or x="time"'
        raise InputError("select", f"no time of {timed[0]}", expected, remedy)


@with_known_keywords
def heatmap(
    matrix: ArrayLike,
    row_labels: Sequence[str],
    column_labels: Sequence[str],
    *,
    xlabel: str = "",
    ylabel: str = "",
    title: str | None = None,
    size: tuple[float, float] | None = None,
) -> Shown:
    """Draw squared cosines as a heat map in a new figure: a row per vector, a column per reference.

    Parameters
    ----------
    matrix : array, shape (rows, columns)
        Values in [0, 1].
    row_labels, column_labels : sequence of str
    xlabel, ylabel, title : str, optional
    size : (width, height) in inches, optional

    Returns
    -------
    matplotlib.axes.Axes
    """
    with canvas(shown=True, size=size):
        labels = {"xlabel": xlabel, "ylabel": ylabel}
        return plot_alignment_heatmap(matrix, row_labels, column_labels, title, **labels).axes[0]


def style(name: str) -> AbstractContextManager[None]:
    """The style of all figures drawn inside: ``"paper"``, small letters and at most the 7.1 inches
    that a journal has across both of its columns, or ``"talk"``, large letters.

    Parameters
    ----------
    name : {"paper", "talk"}

    Examples
    --------
    >>> from matplotlib import rcParams
    >>> with style("paper"):
    ...     pass
    """
    return canvas(style=name)


@with_known_keywords
def save(drawn: Figure | Axes | ArrayLike, path: str | Path) -> None:
    """Write the figure of some axes, whole or not at all: .png, .svg or .pdf.

    Parameters
    ----------
    drawn : Figure, Axes or array of Axes
        What a figure of ``sa.plot`` returns.
    path : str or Path
    """
    first = drawn.ravel()[0] if isinstance(drawn, np.ndarray) and drawn.size else drawn
    figure: Any = first.figure if isinstance(first, Axes) else first
    save_figure(figure, path)
