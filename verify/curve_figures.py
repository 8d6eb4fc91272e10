"""Figures of curves and runs: overlaps unit by unit, the part off the directions, misalignment, readouts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from .figure_style import (
    FONT,
    GREY,
    PREDICTED,
    SETTINGS,
    TIME_LABEL,
    legend_beside,
    line_style,
    set_title,
    spaced_layout,
)
from .spectra import direction_labels
from .summaries import has_readout

# thin replica lines drawn at most; the band uses all replicas
_MAX_REPLICA_LINES = 20
# entries of a legend that fit beside a row of panels
_LONG_LEGEND = 14
# curves closer than this share of the panel are seen as one: a line is wider for every later one that hides it
_COINCIDE, _WIDTH, _WIDER, _LEVELS = 0.005, 1.8, 1.6, 3


def plot_curves(
    curve: xr.Dataset | None, runs: xr.Dataset | None = None, title: str | None = None, *,
    directions: Sequence[str] = (),
) -> Figure:
    """Draw overlaps per unit, the diagonal of R_perp, the misalignment and the readouts, if any, against time.

    Parameters
    ----------
    curve : xarray.Dataset or None
        Theory, as :func:`numerics.integrate_curves` returns it: solid lines.
    runs : xarray.Dataset, optional
        Simulations, as :func:`numerics.simulate_sgd` returns them: a thin line per replica, a thicker one for the
        mean and a band of one standard deviation over replicas; the theory is then dashed and black.
    title : str, optional
    directions : sequence of str, optional
        Names of the directions; numbers when omitted.

    Returns
    -------
    matplotlib.figure.Figure
    """
    data = curve if curve is not None else runs
    if data is None:
        raise ValueError("plot_curves needs a curve, runs, or both")
    units, names = data.sizes["unit"], direction_labels(directions, data.sizes["direction"])
    second_layer = has_readout(data)
    panels = units + 2 + second_layer
    columns = min(3 if panels <= 9 else 4, panels)
    rows = math.ceil(panels / columns)
    with rc_context(SETTINGS):
        beside = 0.0 if panels < rows * columns else 2.0
        figure = Figure(figsize=(3.5 * columns + beside, 2.5 * rows + 0.5), layout=spaced_layout())
        grid = figure.subplots(rows, columns, squeeze=False).ravel()
        for a in range(units):
            axes = grid[a]
            axes.set_title(f"unit {a + 1}: overlaps with the directions", fontsize=FONT)
            axes.set_ylabel(rf"overlap $x^{{{a + 1}}}\cdot e_s$")
            for s in range(len(names)):
                select = {"unit": a, "direction": s}
                _draw_series(axes, s, *(_pick(d, "overlap", select) for d in (curve, runs)))
        perpendicular, misaligned = grid[units], grid[units + 1]
        perpendicular.set_title("orthogonal to the directions", fontsize=FONT)
        perpendicular.set_ylabel(r"squared length $R^\perp_{aa}$")
        misaligned.set_title("relative distance from the span", fontsize=FONT)
        misaligned.set_ylabel(r"misalignment $\sqrt{R^\perp_{aa}/Q_{aa}}$")
        by_unit: list[tuple[Axes, str, list[dict[str, int]]]] = [
            (perpendicular, "gram_perp", [{"unit": a, "unit_b": a} for a in range(units)]),
            (misaligned, "misalignment", [{"unit": a} for a in range(units)]),
        ]
        if second_layer:
            grid[units + 2].set_title("second layer", fontsize=FONT)
            grid[units + 2].set_ylabel("readout $v_i$")
            by_unit.append((grid[units + 2], "readout", [{"parameter": i} for i in range(data.sizes["parameter"])]))
        for axes, variable, selections in by_unit:
            series = [[_pick(d, variable, select) for d in (curve, runs)] for select in selections]
            widths = _widths([theory for theory, _ in series] if runs is None else [])
            for a, (theory, simulated) in enumerate(series):
                _draw_series(axes, a, theory, simulated, width=widths.get(a))
        perpendicular.set_ylim(bottom=0)
        misaligned.set_ylim(bottom=0)
        for axes in grid[:panels]:
            axes.set_xlabel(TIME_LABEL)
            axes.margins(x=0)
        handles = [*_index_handles(max(units, data.sizes.get("parameter", 0)), names), *_source_handles(curve, runs)]
        for axes in grid[panels:]:
            axes.set_axis_off()
        if panels < grid.size:
            # the first empty panel has room for the legend
            # two columns of short labels where there are many
            short = len(handles) > _LONG_LEGEND and runs is None
            grid[panels].legend(
                handles=handles, loc="upper left", borderaxespad=0.0, ncols=2 if short else 1, columnspacing=1.0,
            )
        else:
            legend_beside(grid[columns - 1], handles)
        set_title(figure, title)
    return figure


def _pick(
    data: xr.Dataset | None, variable: str, select: dict[str, int]
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    if data is None:
        return None
    return data["time"].to_numpy(), data[variable].isel(select).to_numpy()


def _widths(curves: Sequence[tuple[NDArray[np.float64], NDArray[np.float64]] | None]) -> dict[int, float]:
    """Line widths that leave coinciding curves visible: the later ones, on top, are thinner."""
    values = [c[1] for c in curves if c is not None]
    reach = max((float(np.abs(v).max(initial=0.0)) for v in values), default=0.0)
    same = [
        sum(bool(np.abs(values[i] - values[j]).max(initial=0.0) < _COINCIDE * reach) for j in range(i + 1, len(values)))
        for i in range(len(values))
    ]
    return {i: _WIDTH + _WIDER * min(later, _LEVELS) for i, later in enumerate(same) if later}


def _draw_series(
    axes: Axes, index: int, theory: tuple[NDArray[np.float64], NDArray[np.float64]] | None,
    runs: tuple[NDArray[np.float64], NDArray[np.float64]] | None, *, width: float | None = None,
) -> None:
    style = line_style(index) | ({} if width is None else {"linewidth": width})
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
        axes.plot(*theory, **(style if runs is None else PREDICTED), zorder=3)
    axes.yaxis.set_major_locator(MaxNLocator(5))


def _index_handles(units: int, names: Sequence[str]) -> list[Line2D]:
    """One line a colour: it stands for a direction in the panels of units and for a unit in the others."""
    handles = []
    for i in range(max(units, len(names))):
        parts = [f"direction {names[i]}"] if i < len(names) else []
        numbered = i < len(names) and names[i] == str(i + 1)
        if i < units:
            parts = [f"direction / unit {i + 1}"] if numbered else [*parts, f"unit {i + 1}"]
        handles.append(Line2D([], [], **line_style(i), label=" / ".join(parts)))
    return handles


def _source_handles(curve: xr.Dataset | None, runs: xr.Dataset | None) -> list[Any]:
    if runs is None:
        return [Line2D([], [], color=GREY, linewidth=1.8, label="theory")]
    replicas = runs.sizes["replica"]
    dimension = runs.attrs.get("dimension")
    where = f", d = {dimension}" if dimension is not None else ""
    handles: list[Any] = [Line2D([], [], color=GREY, linewidth=1.8, label=f"SGD, mean of {replicas} runs{where}")]
    if replicas > 1:
        handles.append(Patch(color=GREY, alpha=0.3, linewidth=0, label="SGD, mean ± 1 standard deviation"))
        handles.append(Line2D([], [], color=GREY, alpha=0.6, linewidth=0.6, label="SGD, single run"))
    if curve is not None:
        handles.append(Line2D([], [], **PREDICTED, label="theory"))
    return handles
