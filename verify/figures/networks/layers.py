"""Figures of how the layers of a network align."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from numerics.core.validation import kind_of
from theory import InputError
from verify.figures.canvas import new_figure, styled
from verify.figures.heatmaps import draw_heatmap
from verify.figures.style import (
    TIME_LABEL,
    Shown,
    legend_line,
    line_style,
    marks,
    panel_of,
    takes_axes,
)

from .trained_layers import plot_trained_layers

Array = NDArray[np.float64]


@dataclass(frozen=True)
class HeatPanel:
    """One heat map: values in [0, 1], a row per vector, a column per time."""

    title: str
    values: Array
    rows: Sequence[str]


@styled
def plot_layer_heatmaps(panels: Sequence[HeatPanel], times: Sequence[str], title: str) -> Figure:
    """Draw heat maps of alignment in a grid of two columns, with one colour scale."""
    lines = (len(panels) + 1) // 2
    tallest = max(len(p.rows) for p in panels)
    figure = new_figure(1.5 * len(times) + 3.0, lines * (0.42 * tallest + 1.2) + 0.5)
    grid = figure.subplots(lines, 2, squeeze=False)
    for axes in grid.flat[len(panels) :]:
        axes.set_axis_off()
    for axes, panel in zip(grid.flat, panels, strict=False):
        image = draw_heatmap(axes, panel.values, panel.rows, times)
        axes.set_title(panel.title)
    for axes in grid[-1]:
        axes.set_xlabel(TIME_LABEL)
    figure.suptitle(title)
    figure.colorbar(
        image,
        ax=grid,
        label="share of the squared length",
        ticks=[0, 0.25, 0.5, 0.75, 1],
        shrink=0.8,
    )
    return figure


@takes_axes
def layers(
    ax: Axes | None,
    shares: Mapping[str, ArrayLike] | xr.Dataset,
    times: ArrayLike | None = None,
    *,
    theory: xr.Dataset | None = None,
    epsilon: float = 0.3,
) -> Shown:
    """Draw how every layer aligns: along training, a line a layer; or over precisions and widths, a
    panel a layer.

    Parameters
    ----------
    shares : mapping from names of layers to arrays, shape (T,), or xarray.Dataset
        A share of squared length, such as ``share_of_directions`` of a spectrum of the first layer
        and ``weight_share`` of :func:`numerics.readout_alignment` of another.  Or what
        :func:`numerics.trained_layers` returns, for a figure of its own.
    times : array, shape (T,)
        Of the shares.
    theory : xarray.Dataset, optional
        With a Dataset: the effective dynamics, dashed.
    epsilon : float
        With a Dataset: up to which a layer counts as aligned.
    ax : matplotlib.axes.Axes, optional
    size : (width, height) in inches, optional
    title : str, optional

    Returns
    -------
    matplotlib.axes.Axes
    """
    if isinstance(shares, xr.Dataset):
        if ax is not None:
            remedy = "leave ax away: every layer has a panel of its own"
            raise InputError("ax", kind_of(ax), "nothing, with a Dataset", remedy)
        return plot_trained_layers(shares, theory, epsilon=epsilon)
    if not isinstance(shares, Mapping) or not shares:
        expected = "a mapping from names of layers to numbers at the times"
        remedy = 'write {"layer 1": shares, "layer 2": shares}'
        raise InputError("shares", kind_of(shares), expected, remedy)
    if times is None:
        raise InputError(
            "times", "nothing", "the times of the shares", "write layers(shares, times)"
        )
    ax = panel_of(ax)
    named = {str(name): np.asarray(share) for name, share in shares.items()}
    return ax, draw_layers(ax, named, np.asarray(times, dtype=float))


def draw_layers(
    axes: Axes, shares: Mapping[str, ArrayLike], times: NDArray[np.float64]
) -> list[Any]:
    """Draw a share of squared length of every layer; returns the entries of a legend."""
    handles = []
    for i, (name, share) in enumerate(shares.items()):
        values = np.asarray(share, dtype=float)
        if values.shape != times.shape:
            expected = f"{times.size} numbers, one at a time"
            remedy = "give the share at every time"
            raise InputError(f"shares {name!r}", f"shape {values.shape}", expected, remedy)
        look = line_style(i) | marks(i, len(shares))
        axes.plot(times, values, **look)
        handles.append(legend_line(**(look | {"markevery": None}), label=str(name)))
    axes.set(xlabel=TIME_LABEL, ylabel="share of the squared length", ylim=(-0.03, 1.03))
    return handles
