"""Figures of outliers along training, and over precision and aspect ratio."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray

from numerics.proportional.emergence_times import times_of_action
from theory.keywords import with_known_keywords
from verify.tables.effective import effective_title, parameters_in
from verify.tables.spectra import matrix_name

from .canvas import new_figure, styled
from .drawn_data import check_drawn
from .style import (
    GREY,
    PALETTE,
    TIME_LABEL,
    dot_style,
    legend_beside,
    legend_line,
    legend_mark,
    line_style,
    marks,
    plain_log_ticks,
    set_title,
)

# events that the legend names one by one
_NAMED_EVENTS = 6
# of the edge: outliers closer to it are near critical
_NEAR_CRITICAL = 0.02
_DASHES = ("-", (0, (6, 2)), (0, (6, 2, 2, 2)))
# contrast of the map to lines on top of it
_PALE = 0.55

Floats = NDArray[np.float64]


@with_known_keywords
@styled
def plot_emergence(
    emergence: xr.Dataset, measured: xr.Dataset | None = None, title: str | None = None
) -> Figure:
    """Draw the outliers along training, the bulk shaded between its edges, and the times of
    emergence and merging.

    Parameters
    ----------
    emergence : xarray.Dataset
        As :func:`numerics.emergence` returns it.
    measured : xarray.Dataset, optional
        ``eigenvalue`` (time, [replica,] eigen) of data: dots, of replicas the mean with a bar of
        one standard deviation.
    title : str, optional
    """
    check_drawn("emergence", emergence, ("time", "edge", "side", "event"), "emergence")
    figure = new_figure(8.8, 4.4)
    axes = figure.subplots()
    legend_beside(axes, draw_emergence(axes, emergence, measured))
    set_title(figure, effective_title(emergence) + ", along training" if title is None else title)
    return figure


def draw_emergence(
    axes: Axes, emergence: xr.Dataset, measured: xr.Dataset | None = None
) -> list[Any]:
    """Draw on given axes, which show the times of the events; returns the entries of a legend."""
    time = emergence["time"].to_numpy()
    right, left = (emergence["edge"].sel(side=side).to_numpy() for side in (1, -1))
    axes.fill_between(time, left, right, color="#d0d0d0", linewidth=0)
    axes.plot(time, right, color=GREY, linewidth=1.0)
    axes.plot(time, left, color=GREY, linewidth=1.0)
    handles: list[Any] = [Patch(color="#d0d0d0", label="bulk, between its predicted edges")]
    shown = 0
    for side in (1, -1):
        for index in emergence["index"].to_numpy():
            t, values = _with_events(emergence, side, int(index))
            if np.isfinite(values).any():
                # marks are those of data where there are any; dots mean near critical
                told = marks(shown, emergence.sizes["index"])
                if measured is not None:
                    told = {"linestyle": _DASHES[shown % len(_DASHES)]}
                _draw_outlier(axes, emergence, (t, values), side, line_style(shown) | told)
                name = f"outlier {index}, {'right' if side > 0 else 'left'} of the bulk"
                look = line_style(shown) | told | {"markevery": None}
                handles.append(legend_line(**look, label=name))
                shown += 1
    near: dict[str, Any] = {"color": "black", "linestyle": (0, (1, 1)), "linewidth": 1.8}
    handles.append(legend_line(**near, label="within 2 % of the edge, in every colour"))
    handles += _draw_events(axes, emergence)
    if measured is not None:
        handles.append(_draw_measured(axes, measured))
    if not emergence.sizes["event"]:
        handles.append(legend_mark(label="no outlier emerges or merges"))
    axes.set(xlabel=TIME_LABEL, ylabel="eigenvalue")
    axes.margins(x=0.02)
    window = times_of_action(time, emergence["event_time"].to_numpy())
    if window is not None:
        axes.set_xlim(*window)
        handles.append(legend_mark(label=f"(the run goes on to t = {time[-1]:g})"))
    return handles


def _draw_outlier(
    axes: Axes, emergence: xr.Dataset, line: tuple[Floats, Floats], side: int, style: dict[str, Any]
) -> None:
    """An outlier, dotted where it is too near the edge to be told from the bulk in data."""
    t, values = line
    edge = np.interp(t, emergence["time"], emergence["edge"].sel(side=side))
    near = np.abs(values - edge) < _NEAR_CRITICAL * np.abs(edge)
    dotted = style | {"linestyle": (0, (1, 1)), "marker": "None"}
    axes.plot(t, values, **dotted, gid="outlier")
    axes.plot(t, np.where(near, np.nan, values), **style)


def _with_events(emergence: xr.Dataset, side: int, index: int) -> tuple[Floats, Floats]:
    """An outlier as a line that begins and ends where it leaves the bulk."""
    here = (emergence["event_side"].to_numpy() == side) & (
        emergence["event_index"].to_numpy() == index
    )
    time = np.append(emergence["time"].to_numpy(), emergence["event_time"].to_numpy()[here])
    values = np.append(
        emergence["outlier"].sel(side=side, index=index).to_numpy(),
        emergence["event_place"].to_numpy()[here],
    )
    order = np.argsort(time, kind="stable")
    return time[order], values[order]


def _draw_events(axes: Axes, emergence: xr.Dataset) -> list[Any]:
    handles: list[Any] = []
    events = range(emergence.sizes["event"])
    for i in events:
        event = emergence.isel(event=i)
        t, error = float(event["event_time"]), float(event["event_time_error"])
        emerges = int(event["event_change"]) > 0
        style: dict[str, Any] = {
            "marker": "^" if emerges else "v",
            "color": "black",
            "markersize": 7.0,
            "markerfacecolor": "white",
        }
        axes.axvline(t, color="black", linestyle=(0, (1, 2)), linewidth=0.9, zorder=1)
        axes.errorbar(
            t,
            float(event["event_place"]),
            xerr=error,
            capsize=3,
            zorder=4,
            linestyle="none",
            **style,
        )
        word = "emerges" if emerges else "merges"
        label = f"outlier {int(event['event_index'])} {word} at t = {_with_error(t, error)}"
        if i < _NAMED_EVENTS:
            handles.append(legend_mark(**style, label=label))
    if len(events) > _NAMED_EVENTS:
        handles.append(legend_mark(label=f"and {len(events) - _NAMED_EVENTS} more"))
    return handles


def _with_error(value: float, error: float) -> str:
    """A value with four figures, and its error where these show it; tables state smaller ones."""
    shown = f"{value:.4g}"
    return shown if error < 1e-4 * abs(value) else f"{shown} ± {error:.1g}"


def _draw_measured(axes: Axes, measured: xr.Dataset) -> Any:
    values = measured["eigenvalue"]
    spread, mean = None, values
    if "replica" in values.dims:
        spread = values.std("replica", ddof=1) if values.sizes["replica"] > 1 else None
        mean = values.mean("replica")
    for i in range(mean.sizes["eigen"]):
        error = None if spread is None else spread.isel(eigen=i)
        axes.errorbar(
            measured["time"],
            mean.isel(eigen=i),
            error,
            color="black",
            linestyle="none",
            elinewidth=0.9,
            capsize=2,
            **(dot_style(0, "#f0f0f0") | {"markersize": 4.5}),
            zorder=3,
        )
    label = (
        "measured"
        if spread is None
        else f"measured, mean ± 1 standard\ndeviation of {values.sizes['replica']}"
    )
    return legend_mark(**dot_style(0, "#f0f0f0"), label=label)


@with_known_keywords
@styled
def plot_phase_diagram(
    diagram: xr.Dataset, title: str | None = None, *, quantity: str = "outlier_count"
) -> Figure:
    """Draw the number of outliers, or another quantity, over phi and lambda, with the thresholds as
    lines.

    The legend says where a threshold lies outside the grid.

    Parameters
    ----------
    diagram : xarray.Dataset
        As :func:`numerics.phase_diagram` returns it.
    title : str, optional
    quantity : {"outlier_count", "excess", "alignment"}
    """
    check_drawn("diagram", diagram, ("aspect_ratio", "precision"), "phase_diagram")
    figure = new_figure(9.4, 4.6)
    axes = figure.subplots()
    axes.legend(
        handles=draw_phases(axes, diagram, quantity),
        loc="upper center",
        bbox_to_anchor=(0.5, -0.16),
        ncols=1,
        borderaxespad=0.0,
    )
    set_title(figure, _phase_title(diagram) if title is None else title)
    return figure


def draw_phases(axes: Axes, diagram: xr.Dataset, quantity: str) -> list[Any]:
    """Draw on given axes; returns the entries of a legend."""
    phi, precision = diagram["aspect_ratio"].to_numpy(), diagram["precision"].to_numpy()
    lines = _thresholds(diagram)
    _draw_map(axes, diagram, quantity)
    handles = []
    for name, label, colour, style, sign in lines:
        values = diagram[name].to_numpy()
        axes.plot(
            phi,
            values,
            color=colour,
            linestyle=style,
            linewidth=2.0,
            marker=".",
            markersize=5,
            zorder=3,
        )
        if name == "threshold":
            axes.errorbar(
                phi, values, diagram["threshold_error"], color=colour, linestyle="none", capsize=2
            )
        text = "\n".join([label, *_outside(phi, values, sign)])
        handles.append(legend_line(color=colour, linestyle=style, linewidth=2.0, label=text))
    axes.set(xscale="log", yscale="log")
    axes.set(xlabel="aspect ratio φ = M/d", ylabel="precision λ")
    axes.set_xlim(*_borders(phi)[[0, -1]])
    axes.set_ylim(*_borders(precision)[[0, -1]])
    axes.grid(False)
    for axis in (axes.xaxis, axes.yaxis):
        plain_log_ticks(axis)
    return handles


def _thresholds(diagram: xr.Dataset) -> tuple[tuple[str, str, str, Any, Floats | None], ...]:
    """Name, label, colour, line style and sign over the grid of every threshold."""
    n, share, means = (
        int(diagram.attrs["count"]),
        float(diagram.attrs["share"]),
        int(diagram.attrs["means"]),
    )
    lines: tuple[tuple[str, str, str, Any, Floats | None], ...] = (
        ("threshold", f"outlier {n} exists above", PALETTE[1], "-", _sign(diagram["excess"], 0.0)),
        (
            "alignment_threshold",
            f"every $x^a$ has a share > {share:g} above",
            PALETTE[0],
            "--",
            _sign(diagram["alignment"], share),
        ),
        (
            "bbp_threshold",
            f"the data show {'their mean' if means == 1 else f'all {means} means'} above (BBP)",
            "black",
            (0, (1, 1.2)),
            None,
        ),
    )
    if np.any(np.isfinite(diagram["threshold_left"].to_numpy())):
        label = f"outlier {n} left of the bulk exists above"
        above = _sign(diagram["excess_left"], 0.0)
        lines += (("threshold_left", label, PALETTE[2], "-.", above),)
    return lines


def _phase_title(diagram: xr.Dataset) -> str:
    parameters = parameters_in(diagram)
    tail = f", tail = {diagram.attrs['tail']:g}" if diagram.attrs["tail"] else ""
    return (
        f"{diagram.attrs['model']}: {matrix_name(diagram)}, over λ and φ, β = "
        f"{parameters.ridge:g}, "
        rf"$c_\delta$ = {parameters.step:g}" + tail
    )


def _draw_map(axes: Axes, diagram: xr.Dataset, quantity: str) -> None:
    values = diagram[quantity].transpose("precision", "aspect_ratio").to_numpy()
    x, y = (_borders(diagram[name].to_numpy()) for name in ("aspect_ratio", "precision"))
    options: dict[str, Any] = {"cmap": "cividis", "alpha": _PALE}
    if quantity == "outlier_count":
        low, high = int(values.min()), int(values.max())
        bounds = np.arange(low, high + 2) - 0.5
        options |= {
            "cmap": colormaps["cividis"].resampled(max(2, high - low + 1)),
            "norm": BoundaryNorm(bounds, max(2, high - low + 1)),
        }
    else:
        reach = float(np.abs(values).max())
        signed = {"vmin": -reach, "vmax": reach, "cmap": "PuOr"}
        options |= {"vmin": 0, "vmax": 1} if quantity == "alignment" else signed
    image = axes.pcolormesh(x, y, values, **options, rasterized=True)
    name = str(diagram[quantity].attrs.get("long_name", quantity))
    if values.min() >= 0:  # every cell was solved
        name = name.removesuffix(", -1 where not solved")
    bar = axes.figure.colorbar(image, ax=axes, label=name)
    if quantity == "outlier_count":
        bar.set_ticks(range(int(values.min()), int(values.max()) + 1))


def _borders(centres: Floats) -> Floats:
    """Boundaries of cells between points on a logarithmic axis."""
    at = np.log(centres)
    inner = (at[1:] + at[:-1]) / 2
    half = (at[1] - at[0]) / 2 if at.size > 1 else 0.1
    last = (at[-1] - at[-2]) / 2 if at.size > 1 else 0.1
    return np.asarray(np.exp(np.concatenate([[at[0] - half], inner, [at[-1] + last]])))


def _sign(values: xr.DataArray, level: float) -> Floats:
    """For every aspect ratio 1 where all precisions lie above a level, -1 where none does,
    else 0.
    """
    above = values.transpose("precision", "aspect_ratio").to_numpy() > level
    return above.all(axis=0).astype(float) - (~above).all(axis=0)


def _outside(phi: Floats, values: Floats, sign: Floats | None) -> list[str]:
    """Where a threshold is not within the grid, and on which side it then lies."""
    lost = ~np.isfinite(values)
    if not lost.any():
        return []
    if sign is None:
        return [f"(outside the grid at φ = {_listed(phi[lost])})"]
    kinds = ((1, "below the grid"), (-1, "above the grid"), (0, "not crossed upwards"))
    return [
        f"({word} at φ = {_listed(phi[lost & (sign == which)])})"
        for which, word in kinds
        if (lost & (sign == which)).any()
    ]


def _listed(values: Floats) -> str:
    if values.size > 3:
        return f"{values[0]:.3g}, ..., {values[-1]:.3g}"
    return ", ".join(f"{v:.3g}" for v in values)
