"""Figures of curves and runs: overlaps unit by unit, the part off the directions, misalignment,
readouts.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
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

from theory import InputError
from theory.keywords import with_known_keywords
from verify.tables.text import SLIDING_SHARE, direction_labels, has_readout

from .drawn_data import check_drawn
from .style import (
    FONT,
    PALETTE,
    SETTINGS,
    TIME_LABEL,
    legend_line,
    legend_mark,
    line_style,
    predicted_style,
    set_title,
    spaced_layout,
)

# thin replica lines drawn at most; the band uses all replicas
_MAX_REPLICA_LINES = 20
# at recorded times
_DOTS: dict[str, Any] = {"marker": "o", "markersize": 4.5}
# as many recorded times are marked one by one
FEW_TIMES = 25
# entries of a legend that fit into a panel, and from which on they have to be small
_PANEL_LEGEND, _LONG_LEGEND = 13, 9
# curves closer than this share of the panel are seen as one: a line is wider for every later one
# that hides it
_COINCIDE, _WIDTH, _WIDER, _LEVELS = 0.005, 1.8, 1.6, 3


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
@rc_context(SETTINGS)
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
    units, names = data.sizes["unit"], direction_labels(directions, data.sizes["direction"])
    sources = _Sources(curve, runs, fine)
    second_layer, slides = has_readout(data), _sliding_shares(sources.line)
    panels = units + 2 + second_layer + bool(slides)
    columns = min(3 if panels <= 9 else 4, panels)
    rows = math.ceil(panels / columns)
    handles = [
        *([legend_mark(label="theory")] if runs is None else []),
        *_handles("directions, in the panels of units", "direction", names),
        *_handles(
            "units, in the other panels", "unit", list(map(str, range(1, _colours(data) + 1)))
        ),
        *_source_handles(sources),
    ]
    free = rows * columns - panels
    inside = free > 0 and len(handles) <= _PANEL_LEGEND * min(free, 2)
    beside = 0.0 if inside else 2.9
    figure = Figure(figsize=(3.5 * columns + beside, 2.5 * rows + 0.5), layout=spaced_layout())
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for a, axes in enumerate(grid[:units]):
        axes.set_title(f"unit {a + 1}: overlaps with the directions", fontsize=FONT)
        axes.set_ylabel(rf"overlap $x^{{{a + 1}}}\cdot e_s$")
        for s in range(len(names)):
            _draw_series(axes, s, sources.pick("overlap", {"unit": a, "direction": s}))
    _share_scale(list(grid[:units]))
    for axes, of_all_units in zip(grid[units:], _ALL_UNITS[: 2 + second_layer], strict=False):
        _draw_all_units(axes, sources, data, *of_all_units)
    for axes in grid[units : units + 2]:
        axes.set_ylim(bottom=0)
    if slides:
        _draw_sliding(grid[panels - 1], sources.line, slides, units)
    for axes in grid[:panels]:
        axes.set_xlabel(TIME_LABEL)
        axes.margins(x=0.02 if sources.sparse else 0)
    for axes in grid[panels:]:
        axes.set_axis_off()
    if inside:
        _legend_in_panel(grid[panels], handles)
    else:
        figure.legend(handles=handles, loc="outside right upper")
    set_title(figure, title)
    return figure


def _legend_in_panel(axes: Axes, handles: list[Any]) -> None:
    """The empty panels have room for the legend, in smaller letters where it is long."""
    two = len(handles) > _PANEL_LEGEND
    legend = axes.legend(
        handles=handles,
        loc="upper left",
        borderaxespad=0.0,
        columnspacing=1.0,
        labelspacing=0.3,
        ncols=1 + two,
        fontsize=FONT - (1.5 if len(handles) > _LONG_LEGEND else 0.5),
    )
    legend.set_in_layout(not two)  # two columns reach into the next empty panel


Series = tuple[NDArray[np.float64], NDArray[np.float64]]


@dataclass(frozen=True)
class _Drawn:
    """What is drawn of one statistic: times and values of a line, of dots, and of runs (replica,
    time).
    """

    line: Series | None
    dots: Series | None
    runs: Series | None
    sparse: bool


@dataclass(frozen=True)
class _Sources:
    curve: xr.Dataset | None
    runs: xr.Dataset | None
    fine: xr.Dataset | None

    @property
    def line(self) -> xr.Dataset | None:
        return self.curve if self.fine is None else self.fine

    @property
    def sparse(self) -> bool:
        """Whether the recorded times are few enough to be marked one by one."""
        data = self.curve if self.runs is None else self.runs
        return data is not None and self.fine is not None and data.sizes["time"] <= FEW_TIMES

    def pick(self, variable: str, select: dict[str, int]) -> _Drawn:
        mark = self.sparse and self.runs is None
        return _Drawn(
            _pick(self.line, variable, select),
            _pick(self.curve if mark else None, variable, select),
            _pick(self.runs, variable, select),
            self.sparse,
        )


def _draw_all_units(
    axes: Axes,
    sources: _Sources,
    data: xr.Dataset,
    title: str,
    label: str,
    variable: str,
    dims: tuple[str, ...],
) -> None:
    """A statistic of every unit, or readout parameter, in one panel."""
    axes.set_title(title, fontsize=FONT)
    axes.set_ylabel(label)
    series = [sources.pick(variable, dict.fromkeys(dims, i)) for i in range(data.sizes[dims[0]])]
    widths = _widths([one.line for one in series] if sources.runs is None else [])
    for i, one in enumerate(series):
        _draw_series(axes, i, one, width=widths.get(i))


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
    axes.set_title("sliding along kinks", fontsize=FONT)
    axes.set_ylabel("share of active samples")
    time, shares = (
        curve["time"].to_numpy(),
        curve["active_share"].transpose("surface", "time").to_numpy(),
    )
    unit = [_unit_of(str(curve["surface"].to_numpy()[i])) for i in picked]
    for i, (surface, a) in enumerate(zip(picked, unit, strict=True)):
        style = line_style(a if a is not None else units + i)
        # the later ones, on top, are thinner: symmetric units slide with one share
        width = _WIDTH + _WIDER * min(len(picked) - 1 - i, _LEVELS)
        axes.plot(
            time,
            np.where(_slides(shares[surface]), shares[surface], np.nan),
            **(style | {"linewidth": width}),
        )
    axes.set_ylim(-0.02, 1.02)
    axes.set_xlim(time[0], time[-1])


def _unit_of(surface: str) -> int | None:
    """0-based unit of a kink such as ``-m_2_1 > 0``."""
    match = re.match(r"-?m_(\d+)_\d+\b", surface)
    return None if match is None else int(match[1]) - 1


def _pick(data: xr.Dataset | None, variable: str, select: dict[str, int]) -> Series | None:
    if data is None:
        return None
    return data["time"].to_numpy(), data[variable].isel(select).to_numpy()


def _widths(curves: Sequence[Series | None]) -> dict[int, float]:
    """Line widths that leave coinciding curves visible: the later ones, on top, are thinner."""
    values = [c[1] for c in curves if c is not None]
    reach = max((float(np.abs(v).max(initial=0.0)) for v in values), default=0.0)
    same = [
        sum(
            bool(np.abs(values[i] - values[j]).max(initial=0.0) < _COINCIDE * reach)
            for j in range(i + 1, len(values))
        )
        for i in range(len(values))
    ]
    return {i: _WIDTH + _WIDER * min(later, _LEVELS) for i, later in enumerate(same) if later}


def _draw_series(axes: Axes, index: int, drawn: _Drawn, *, width: float | None = None) -> None:
    style = line_style(index) | ({} if width is None else {"linewidth": width})
    colour = style["color"]
    if drawn.runs is not None:
        time, values = drawn.runs  # values: replica, time
        mean = values.mean(axis=0)
        spread = values.std(axis=0, ddof=1) if values.shape[0] > 1 else None
        if drawn.sparse:
            # nothing is known between few times: no line suggests that it is
            axes.errorbar(time, mean, spread, color=colour, linestyle="none", **_DOTS, zorder=2)
        else:
            axes.plot(
                time,
                values[:_MAX_REPLICA_LINES].T,
                color=colour,
                alpha=0.35,
                linewidth=0.6,
                zorder=1.6,
            )
            if spread is not None:
                axes.fill_between(
                    time,
                    mean - spread,
                    mean + spread,
                    color=colour,
                    alpha=0.25,
                    linewidth=0,
                    zorder=1.5,
                )
            axes.plot(time, mean, **style, zorder=2)
    if drawn.line is not None:
        axes.plot(
            *drawn.line, **(style if drawn.runs is None else predicted_style(index)), zorder=3
        )
    if drawn.dots is not None:
        axes.plot(*drawn.dots, color=colour, linestyle="none", **_DOTS, zorder=3)
    axes.yaxis.set_major_locator(MaxNLocator(5))


def _handles(heading: str, kind: str, names: Sequence[str]) -> list[Line2D]:
    """Lines of a legend with a heading above them."""
    return [
        legend_mark(label=heading),
        *(legend_line(**line_style(i), label=f"{kind} {name}") for i, name in enumerate(names)),
    ]


def _source_handles(sources: _Sources) -> list[Any]:
    colour = PALETTE[0]
    if sources.runs is None:
        dots = legend_line(color=colour, linestyle="none", **_DOTS, label="at the recorded times")
        return [dots] if sources.sparse else []
    replicas, dimension = sources.runs.sizes["replica"], sources.runs.attrs.get("dimension")
    where = f", d = {dimension}" if dimension is not None else ""
    handles: list[Any] = [legend_mark(label="in every colour")]
    if sources.sparse:
        spread = " ± 1 standard deviation" if replicas > 1 else ""
        label = f"SGD, mean{spread}\nof {replicas} runs{where}"
        handles.append(legend_line(color=colour, linestyle="none", **_DOTS, label=label))
    else:
        handles.append(
            legend_line(
                color=colour, linewidth=_WIDTH, label=f"SGD, mean of {replicas} runs{where}"
            )
        )
    if replicas > 1 and not sources.sparse:
        handles.append(
            Patch(color=colour, alpha=0.25, linewidth=0, label="SGD, mean ± 1 standard deviation")
        )
        handles.append(legend_line(color=colour, alpha=0.5, linewidth=0.6, label="SGD, single run"))
    if sources.curve is not None:
        handles.append(legend_line(**predicted_style(0), label="theory"))
    return handles
