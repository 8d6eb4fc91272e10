"""Series of a panel: theory as lines, runs as bands, and the entries of their legend."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from .canvas import line_width
from .style import HEADING, PALETTE, legend_line, legend_mark, line_style, marks, predicted_style

# thin replica lines drawn at most; the band uses all replicas
_MAX_REPLICA_LINES = 20
# at recorded times
_DOTS: dict[str, Any] = {"marker": "o", "markersize": 4.5}
# as many recorded times are marked one by one
FEW_TIMES = 25
# curves closer than this share of the panel are seen as one: a line is wider for every later one
# that hides it
_COINCIDE, WIDTH, WIDER, LEVELS = 0.005, 1.8, 1.6, 3


Series = tuple[NDArray[np.float64], NDArray[np.float64]]


@dataclass(frozen=True)
class Drawn:
    """What is drawn of one statistic: times and values of a line, of dots, and of runs (replica,
    time).
    """

    line: Series | None
    dots: Series | None
    runs: Series | None
    sparse: bool


@dataclass(frozen=True)
class Sources:
    """Where lines and dots come from: a curve, runs, and the curve at more times."""

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

    def pick(self, variable: str, select: dict[str, int]) -> Drawn:
        mark = self.sparse and self.runs is None
        return Drawn(
            _pick(self.line, variable, select),
            _pick(self.curve if mark else None, variable, select),
            _pick(self.runs, variable, select),
            self.sparse,
        )


def draw_all(axes: Axes, sources: Sources, series: Sequence[Drawn]) -> None:
    """All series of a panel; of those that coincide the later ones, on top, are thinner."""
    widths = _widths([one.line for one in series] if sources.runs is None else [])
    for i, one in enumerate(series):
        _draw_series(axes, i, one, len(series), width=widths.get(i))


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
    return {i: WIDTH + WIDER * min(later, LEVELS) for i, later in enumerate(same) if later}


def _draw_series(
    axes: Axes, index: int, drawn: Drawn, count: int, *, width: float | None = None
) -> None:
    style = line_style(index) | ({} if width is None else {"linewidth": line_width(width)})
    told = marks(index, count)
    dots = _DOTS | {"marker": told["marker"]}
    colour = style["color"]
    if drawn.runs is not None:
        time, values = drawn.runs  # values: replica, time
        mean = values.mean(axis=0)
        spread = values.std(axis=0, ddof=1) if values.shape[0] > 1 else None
        if drawn.sparse:
            # nothing is known between few times: no line suggests that it is
            axes.errorbar(time, mean, spread, color=colour, linestyle="none", **dots, zorder=2)
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
            axes.plot(time, mean, **style, **(told if drawn.line is None else {}), zorder=2)
    if drawn.line is not None:
        look = style if drawn.runs is None else predicted_style(index)
        further = {} if drawn.sparse else told
        axes.plot(*drawn.line, **look, **further, zorder=3)
    if drawn.dots is not None:
        axes.plot(*drawn.dots, color=colour, linestyle="none", **dots, zorder=3)
    axes.yaxis.set_major_locator(MaxNLocator(5))


def named_handles(heading: str, kind: str, names: Sequence[str]) -> list[Line2D]:
    """Lines of a legend with a heading above them."""
    return [
        legend_mark(label=heading, gid=HEADING),
        *(
            legend_line(**line_style(i), **_mark(i), label=f"{kind} {name}")
            for i, name in enumerate(names)
        ),
    ]


def _mark(index: int) -> dict[str, Any]:
    """The mark of a series, as it stands in a legend."""
    return marks(index, 1) | {"markevery": None}


def source_handles(sources: Sources) -> list[Any]:
    """Entries of a legend that tell runs from theory."""
    colour = PALETTE[0]
    if sources.runs is None:
        dots = legend_line(color=colour, linestyle="none", **_DOTS, label="at the recorded times")
        return [dots] if sources.sparse else []
    replicas, dimension = sources.runs.sizes["replica"], sources.runs.attrs.get("dimension")
    where = f", d = {dimension:,}" if dimension is not None else ""
    handles: list[Any] = [legend_mark(label="in every colour", gid=HEADING)]
    if sources.sparse:
        spread = " ± 1 standard deviation" if replicas > 1 else ""
        label = f"SGD, mean{spread}\nof {replicas} runs{where}"
        handles.append(legend_line(color=colour, linestyle="none", **_DOTS, label=label))
    else:
        handles.append(
            legend_line(color=colour, linewidth=WIDTH, label=f"SGD, mean of {replicas} runs{where}")
        )
    if replicas > 1 and not sources.sparse:
        handles.append(
            Patch(color=colour, alpha=0.25, linewidth=0, label="SGD, mean ± 1 standard deviation")
        )
        handles.append(legend_line(color=colour, alpha=0.5, linewidth=0.6, label="SGD, single run"))
    if sources.curve is not None:
        handles.append(legend_line(**predicted_style(0), label="theory"))
    return handles
