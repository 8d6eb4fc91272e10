"""Figures of curves and runs: overlaps unit by unit, the part off the directions, misalignment,
readouts.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from theory import InputError
from theory.errors import check_choice
from theory.keywords import with_known_keywords
from verify.tables.text import SLIDING_SHARE, direction_labels, has_readout

from .canvas import font_size, new_figure, room_across, styled
from .drawn_data import check_drawn
from .series import LEVELS, WIDER, WIDTH, Sources, draw_all, named_handles, source_handles
from .style import (
    TIME_LABEL,
    in_columns,
    legend_below,
    legend_mark,
    line_style,
    set_title,
    spaced_layout,
)

# inches: the least width of a panel, and that of a legend
_NARROW, _LEGEND = 2.7, 2.9
# share of the time that is left free on both sides, so that marks at the ends are whole
_ROOM = 0.02
# entries of a legend that fit into a panel, and from which on they have to be small
_PANEL_LEGEND, _LONG_LEGEND = 13, 9


# panels of all units: title, label, variable and the dimensions a unit is an index of
_ALL_UNITS = (
    (
        "orthogonal to the directions",
        r"squared length $R^\perp_{aa}$",
        "gram_perp",
        ("unit", "unit_b"),
    ),
    (
        "relative distance from the span",
        r"misalignment $\sqrt{R^\perp_{aa}/Q_{aa}}$",
        "misalignment",
        ("unit",),
    ),
    ("second layer", "readout $v_i$", "readout", ("parameter",)),
)


@with_known_keywords
@styled
def plot_curves(
    curve: xr.Dataset | None,
    runs: xr.Dataset | None = None,
    title: str | None = None,
    *,
    directions: Sequence[str] = (),
    fine: xr.Dataset | None = None,
) -> Figure:
    """Draw overlaps per unit, the diagonal of R_perp, the misalignment and the readouts, if any,
    against time.

    All panels of overlaps have one scale.  A noiseless curve that slides has a panel of the shares
    of active samples.

    Parameters
    ----------
    curve : xarray.Dataset or None
        Theory, as :func:`numerics.integrate_curves` returns it: solid lines.
    runs : xarray.Dataset, optional
        Simulations, as :func:`numerics.simulate_sgd` returns them: a thin line per replica, a
        thicker one for the mean and a band of one standard deviation over replicas; the theory is
        then dashed, in a dark shade of the same colour.
    title : str, optional
    directions : sequence of str, optional
        Names of the directions; numbers when omitted.
    fine : xarray.Dataset, optional
        The same theory at many times, where ``curve`` has few: lines follow it, and dots are at the
        times of ``curve`` or, where there are any, of the mean of ``runs``.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> from numerics import Problem, State, integrate_curves
    >>> from theory import kgmm
    >>> problem = Problem(kgmm(2), weights=[0.5, 0.5], precision=10, ridge=0.1, step=1)
    >>> figure = plot_curves(integrate_curves(problem, State.zero(problem), time=[0, 1, 2, 3, 4]))
    >>> len(figure.axes)
    6
    """
    data = curve if curve is not None else runs
    if data is None:
        raise InputError("curve", "no data", "a curve, runs, or both", "give one of them")
    if curve is not None:
        check_drawn("curve", curve, ("time", "unit", "overlap"), "integrate_curves")
    if runs is not None:
        check_drawn("runs", runs, ("time", "unit", "overlap"), "simulate_sgd")
        shapes = [(d.sizes["unit"], d.sizes["direction"]) for d in (runs, data)]
        if shapes[0] != shapes[1]:
            got, expected = ("{} units and {} directions".format(*shape) for shape in shapes)
            raise InputError(
                "runs", got, f"{expected}, as the curve has", "give runs and a curve of one model"
            )
    if fine is not None:
        check_drawn("fine", fine, ("time", "unit", "overlap"), "integrate_curves")
    for name, drawn in (("curve", curve), ("runs", runs), ("fine", fine)):
        if drawn is not None and "band" in drawn.dims:
            expected = "statistics of isotropic noise: bands have no panels"
            remedy = f"take one band: {name}.sel(band=1), or their sum"
            raise InputError(name, f"statistics of {drawn.sizes['band']} bands", expected, remedy)
    units, names = data.sizes["unit"], direction_labels(directions, data.sizes["direction"])
    sources = Sources(curve, runs, fine)
    second_layer, slides = has_readout(data), _sliding_shares(sources.line)
    panels = units + 2 + second_layer + bool(slides)
    room = room_across()
    columns = max(int(min(3 if panels <= 9 else 4, panels, room / _NARROW)), 1)
    rows = math.ceil(panels / columns)
    handles = [
        *([legend_mark(label="theory")] if runs is None else []),
        *named_handles("directions, in the panels of units", "direction", names),
        *named_handles(
            "units, in the other panels", "unit", list(map(str, range(1, _colours(data) + 1)))
        ),
        *source_handles(sources),
    ]
    free = rows * columns - panels
    inside = free > 0 and len(handles) <= _PANEL_LEGEND * min(free, 2)
    beside = not inside and _NARROW * columns + _LEGEND <= room
    groups = max(int(min(3 if runs is not None else 2, room / _LEGEND)), 1)
    below = 0.0 if inside or beside else 0.2 * len(handles) / groups
    figure = new_figure(3.5 * columns + _LEGEND * beside, 2.5 * rows + 0.5 + below, spaced_layout())
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for a, axes in enumerate(grid[:units]):
        axes.set_title(f"unit {a + 1}: overlaps", fontsize=font_size())
        axes.set_ylabel(rf"overlap $x^{{{a + 1}}}\cdot e_s$")
        draw_all(
            axes,
            sources,
            [sources.pick("overlap", {"unit": a, "direction": s}) for s in range(len(names))],
        )
    _share_scale(list(grid[:units]))
    for axes, of_all_units in zip(grid[units:], _ALL_UNITS[: 2 + second_layer], strict=False):
        _draw_all_units(axes, sources, data, *of_all_units)
    for axes in grid[units : units + 2]:
        axes.set_ylim(bottom=0)
    if slides:
        _draw_sliding(grid[panels - 1], sources.line, slides, units)
    for axes in grid[:panels]:
        axes.set_xlabel(TIME_LABEL)
        axes.margins(x=_ROOM)
    for axes in grid[panels:]:
        axes.set_axis_off()
    legend = None
    if inside:
        _legend_in_panel(grid[panels], handles)
    elif beside:
        legend = figure.legend(handles=handles, loc="outside right upper")
    else:
        legend_below(figure, handles, groups)
    set_title(figure, title, beside=legend)
    return figure


def _legend_in_panel(axes: Axes, handles: list[Any]) -> None:
    """The empty panels have room for the legend, in smaller letters where it is long."""
    two = len(handles) > _PANEL_LEGEND
    legend = axes.legend(
        handles=in_columns(handles, 1 + two),
        loc="upper left",
        borderaxespad=0.0,
        columnspacing=1.0,
        labelspacing=0.3,
        ncols=1 + two,
        fontsize=font_size(-1.5 if len(handles) > _LONG_LEGEND else -0.5),
    )
    legend.set_in_layout(not two)  # two columns reach into the next empty panel


def _draw_all_units(
    axes: Axes,
    sources: Sources,
    data: xr.Dataset,
    title: str,
    label: str,
    variable: str,
    dims: tuple[str, ...],
) -> None:
    """A statistic of every unit, or readout parameter, in one panel."""
    axes.set_title(title, fontsize=font_size())
    axes.set_ylabel(label)
    picked = [sources.pick(variable, dict.fromkeys(dims, i)) for i in range(data.sizes[dims[0]])]
    draw_all(axes, sources, picked)


def _colours(data: xr.Dataset) -> int:
    return max(data.sizes["unit"], data.sizes.get("parameter", 0))


def _share_scale(panels: Sequence[Axes]) -> None:
    """One range of values for all panels."""
    low, high = (f(axes.get_ylim()[i] for axes in panels) for f, i in ((min, 0), (max, 1)))
    for axes in panels:
        axes.set_ylim(low, high)


def _sliding_shares(curve: xr.Dataset | None) -> list[int]:
    """Positions of the kinks along which a noiseless curve slides at any time."""
    if curve is None or "active_share" not in curve:
        return []
    shares = curve["active_share"].transpose("surface", "time").to_numpy()
    return [i for i, share in enumerate(shares) if np.any(_slides(share))]


def _slides(share: NDArray[np.float64]) -> NDArray[np.bool_]:
    return (share > SLIDING_SHARE) & (share < 1 - SLIDING_SHARE)


def _draw_sliding(axes: Axes, curve: xr.Dataset | None, picked: Sequence[int], units: int) -> None:
    """Shares of active samples of the steps, drawn while the flow slides: a colour a unit, that of
    the other panels.
    """
    assert curve is not None
    axes.set_title("sliding along kinks", fontsize=font_size())
    axes.set_ylabel("share of active samples")
    time, shares = (
        curve["time"].to_numpy(),
        curve["active_share"].transpose("surface", "time").to_numpy(),
    )
    unit = [_unit_of(str(curve["surface"].to_numpy()[i])) for i in picked]
    for i, (surface, a) in enumerate(zip(picked, unit, strict=True)):
        style = line_style(a if a is not None else units + i)
        # the later ones, on top, are thinner: symmetric units slide with one share
        width = WIDTH + WIDER * min(len(picked) - 1 - i, LEVELS)
        axes.plot(
            time,
            np.where(_slides(shares[surface]), shares[surface], np.nan),
            **(style | {"linewidth": width}),
        )
    axes.set_ylim(-0.02, 1.02)
    # nothing is drawn where nothing slides, and the axis is that of the other panels all the same
    axes.update_datalim([(time[0], 0.0), (time[-1], 1.0)])
    axes.autoscale_view(scaley=False)


def _unit_of(surface: str) -> int | None:
    """0-based unit of a kink such as ``-m_2_1 > 0``."""
    match = re.match(r"-?m_(\d+)_\d+\b", surface)
    return None if match is None else int(match[1]) - 1


# statistics by the names that users give them
QUANTITIES = {"overlap": ("overlap", ("unit", "direction"))} | {
    name: (variable, dims)
    for name, (_, _, variable, dims) in zip(
        ("gram_perp", "misalignment", "readout"), _ALL_UNITS, strict=True
    )
}


def draw_curves(
    axes: Axes,
    curve: xr.Dataset | None,
    runs: xr.Dataset | None,
    quantity: str,
    unit: int,
    directions: Sequence[str] = (),
) -> list[Any]:
    """Draw one statistic on given axes; returns the entries of a legend.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    curve, runs
        As for :func:`plot_curves`.
    quantity : str
        One of QUANTITIES; ``overlap`` is that of ``unit``, counted from 1, with every direction,
        the others are of all units.
    unit : int
    directions : sequence of str
    """
    data = curve if curve is not None else runs
    if data is None:
        raise InputError("curve", "no data", "a curve, runs, or both", "give one of them")
    variable, dims = QUANTITIES[check_choice("quantity", quantity, QUANTITIES)]
    check_drawn("curve" if data is curve else "runs", data, ("time", variable), "integrate_curves")
    sources = Sources(curve, runs, None)
    if quantity == "overlap":
        if not 1 <= unit <= data.sizes["unit"]:
            expected = f"a unit from 1 to {data.sizes['unit']}"
            raise InputError("unit", unit, expected, "units count from 1")
        names = direction_labels(directions, data.sizes["direction"])
        series = [
            sources.pick(variable, {"unit": unit - 1, "direction": s}) for s in range(len(names))
        ]
        draw_all(axes, sources, series)
        axes.set_ylabel(rf"overlap $x^{{{unit}}}\cdot e_s$")
        handles = named_handles("", "direction", names)[1:]
    else:
        _, label, *_ = next(one for one in _ALL_UNITS if one[2] == variable)
        _draw_all_units(axes, sources, data, "", label, variable, dims)
        count = data.sizes[dims[0]]
        handles = named_handles("", "unit", list(map(str, range(1, count + 1))))[1:]
    axes.set_xlabel(TIME_LABEL)
    axes.margins(x=_ROOM)
    return [*handles, *source_handles(sources)]
