"""The figure of data beside the theories fitted to them."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from theory.keywords import with_known_keywords
from verify.figures.canvas import colours, font_size, line_width, mark_size, new_figure, styled
from verify.figures.style import (
    GREY,
    MARKERS,
    PALETTE,
    TIME_LABEL,
    legend_line,
    legend_mark,
    set_title,
    spaced_layout,
)

# eigenvalues of a spectrum below this share of the largest are drawn at the end of the axis
_SMALLEST = 1e-5
# pairs of eigenvalues that are drawn along training
_DRAWN = 8
# share of the axis of time that is left free on both sides, so that marks at the ends are whole
_ROOM = 0.02


@with_known_keywords
@styled
def plot_comparison(found: xr.Dataset, title: str | None = None) -> Figure:
    """Draw accuracy and leading eigenvalues along training, the whole spectrum at the end, and
    what is off in each class.

    Parameters
    ----------
    found : xarray.Dataset
        As :func:`numerics.real_data.comparison.compare_with_data` returns it.
    title : str, optional
    """
    figure = new_figure(9.6, 7.0, spaced_layout())
    panels = figure.subplots(2, 2)
    _accuracy(panels[0, 0], found)
    _eigenvalues(panels[0, 1], found)
    _spectrum(panels[1, 0], found)
    _classes(panels[1, 1], found)
    entries = [
        legend_mark(marker="o", color=GREY, markersize=mark_size(5), label="data, mean of runs"),
        legend_line(color="black", linewidth=line_width(1.5), label="theory with bands"),
        legend_line(color="black", linewidth=line_width(1.2), linestyle=":",
            label="theory of isotropic noise"),
    ]  # fmt: skip
    figure.legend(handles=entries, loc="outside lower center", ncols=3)
    set_title(figure, title)
    return figure


def _times(axes: Axes, found: xr.Dataset) -> Any:
    """A time axis that shows the start as well as the end."""
    t = found.time.to_numpy()
    first = t[t > 0].min() if np.any(t > 0) else 1.0
    axes.set_xscale("symlog", linthresh=first, linscale=0.6)
    axes.margins(x=_ROOM)
    ticks = [0.0, *(x for x in t if x > 0)]
    axes.set_xticks(ticks, [f"{x:.3g}" for x in ticks])
    axes.minorticks_off()
    axes.set_xlabel(TIME_LABEL)
    return t


def _accuracy(axes: Axes, found: xr.Dataset) -> None:
    found = found.isel(time=found.time.to_numpy() > 0)
    t, colour = _times(axes, found), colours(PALETTE)[0]
    axes.set_xscale("log")
    axes.set_xticks(t, [f"{x:.3g}" for x in t])
    axes.minorticks_off()
    own = 100 * found["accuracy"]
    axes.errorbar(
        t, own.mean("run"), own.std("run", ddof=1), fmt="o", color=colour,
        markersize=mark_size(4.5), capsize=2, linewidth=line_width(1.0),
    )  # fmt: skip
    theory = 100 * found["theory_accuracy"].mean("run")
    axes.plot(t, theory.sel(theory="bands"), color="black", linewidth=line_width(1.5))
    axes.plot(
        t, theory.sel(theory="isotropic"), color="black", linestyle=":", linewidth=line_width(1.2)
    )
    axes.set_ylabel("accuracy (%); bars: scatter of runs")


def _eigenvalues(axes: Axes, found: xr.Dataset) -> None:
    t, palette = _times(axes, found), colours(PALETTE)
    own = found["eigenvalue"].sel(matrix="hessian").mean("run").to_numpy()
    theory = found["theory_eigenvalue"].sel(matrix="hessian").mean("run")
    for j in range(min(_DRAWN, found.sizes["eigen"])):
        colour, marker = palette[j % len(palette)], MARKERS[j % len(MARKERS)]
        axes.plot(
            t, own[:, j], marker, color=colour, markersize=mark_size(4.5), markeredgecolor="white",
            markeredgewidth=0.5,
        )  # fmt: skip
        axes.plot(t, theory.sel(theory="bands")[:, j], color=colour, linewidth=line_width(1.3))
        axes.plot(
            t, theory.sel(theory="isotropic")[:, j], color=colour, linestyle=":",
            linewidth=line_width(1.0),
        )  # fmt: skip
    axes.set_yscale("log")
    axes.set_ylabel("leading eigenvalues of the Hessian")


def _spectrum(axes: Axes, found: xr.Dataset) -> None:
    """All eigenvalues at the last time, in their order."""
    own = found["spectrum"].sel(matrix="hessian")[-1].to_numpy()
    low = _SMALLEST * own[0]
    rank = np.arange(1, own.size + 1)
    shown = own > low
    axes.plot(
        rank[shown], own[shown], "o", color=colours(PALETTE)[0], markersize=mark_size(3.5),
        markeredgecolor="white", markeredgewidth=0.3,
    )  # fmt: skip
    theory = found["theory_spectrum"].sel(matrix="hessian")
    for name, style, width in (("bands", "-", 1.5), ("isotropic", ":", 1.2)):
        values = theory.sel(theory=name)[-1].to_numpy()
        kept = values > low
        axes.plot(
            rank[kept], values[kept], color="black", linestyle=style, linewidth=line_width(width)
        )
    axes.set_yscale("log")
    axes.set_xlabel(f"eigenvalue, by size, at t = {float(found.time[-1]):.3g}")
    axes.set_ylabel("eigenvalues of the Hessian")


def _classes(axes: Axes, found: xr.Dataset) -> None:
    """Distance of each class's part of the Hessian at the last time."""
    distance = 100 * found["class_distance"][:, -1].to_numpy()
    names = [str(label)[:14] for label in found["class"].to_numpy()]
    places, width = np.arange(len(names)), 0.26
    palette = colours(PALETTE)
    labels = ("with bands", "whole covariances", "isotropic")
    for j, label in enumerate(labels):
        colour = GREY if label == "isotropic" else palette[1 + j]
        axes.bar(places + (j - 1) * width, distance[j], width * 0.92, color=colour, label=label)
    axes.set_xticks(places, names)
    axes.set_ylabel("Hessian of a class, off by (%)")
    axes.set_xlabel("class; at the same weights as the data")
    axes.grid(visible=False, axis="x")
    axes.set_ylim(0, 1.28 * max(distance.max(), 1e-9))
    axes.legend(loc="upper left", ncols=3, fontsize=font_size(-2), columnspacing=1.0)
