"""The figure of a network's layers: how far each is off its space, one panel a layer."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray

from theory.keywords import with_known_keywords
from verify.figures.canvas import new_figure, styled
from verify.figures.style import (
    GREY,
    legend_line,
    line_style,
    marks,
    plain_log_ticks,
    predicted_style,
    set_title,
    spaced_layout,
)

ROWS = {"weights": "weights", "hessian": "Hessian blocks", "gradient": "G blocks"}
# logarithmic above, linear below, where the samples of the blocks decide and zeros stand
_LINEAR = 1e-3
# between points of neighbouring widths, so that their bars are told apart
_APART = 1.08
_BAND = "#f0f0f0"


@with_known_keywords
@styled
def plot_trained_layers(
    found: xr.Dataset,
    theory: xr.Dataset | None = None,
    *,
    epsilon: float = 0.3,
    title: str | None = None,
) -> Figure:
    """Draw epsilon of weights, Hessian and G blocks against the precision: a column for each layer,
    a line for each width, bars of two standard errors of the mean over runs, down to zero at most.

    The axis of epsilon is logarithmic down to 1e-3, and linear from there to zero, in a grey band.
    Points of several widths stand side by side; a single run has no bar.

    Parameters
    ----------
    found : xarray.Dataset
        Of :func:`numerics.trained_layers`; with a dimension ``width`` of several networks.  Runs of
        NaN are left out.
    theory : xarray.Dataset, optional
        The same by the effective dynamics, dashed.
    epsilon : float
        Up to which a layer counts as aligned, a grey line.
    title : str, optional
    """
    several = "width" in found.dims
    data = found if several else found.expand_dims(width=[found.attrs["widths"][0]])
    layers = list(data.layer.values)
    figure = new_figure(2.5 * len(layers) + 1.0, 6.6, spaced_layout())
    panels = figure.subplots(len(ROWS), len(layers), sharex=True, sharey=True, squeeze=False)
    handles: list[Any] = []
    for (name, label), line in zip(ROWS.items(), panels, strict=True):
        for layer, axes in zip(layers, line, strict=True):
            at = data[name].sel(layer=layer).isel(time=-1)
            handles = _panel(axes, at, epsilon)
            if theory is not None:
                predicted = theory[name].sel(layer=layer).isel(time=-1).mean("replica")
                axes.plot(theory.precision, predicted.squeeze().values, **predicted_style(0))
        line[0].set_ylabel(f"ε of {label}")
    for layer, top, bottom in zip(layers, panels[0], panels[-1], strict=True):
        top.set_title("readout" if layer == layers[-1] else str(layer))
        bottom.set_xlabel("precision λ")
    if theory is not None:
        handles.append(legend_line(**predicted_style(0), label="effective dynamics"))
    handles.append(legend_line(color=GREY, linestyle=":", label=f"aligned below ε = {epsilon:g}"))
    handles.append(Patch(color=_BAND, label="linear below $10^{-3}$"))
    figure.legend(handles=handles, loc="outside lower center", ncols=6)
    set_title(figure, title)
    return figure


def _panel(axes: Axes, at: xr.DataArray, epsilon: float) -> list[Any]:
    handles, count = [], at.sizes["width"]
    axes.axhspan(0, _LINEAR, color=_BAND, linewidth=0)
    for i, width in enumerate(at.width.values):
        values = at.sel(width=width).transpose("replica", "precision").values
        mean, bars = np.array([_mean_and_bar(v[np.isfinite(v)]) for v in values.T]).T
        look = line_style(i) | marks(i, count) | {"markevery": None}
        place = at.precision * _APART ** (i - (count - 1) / 2)
        axes.errorbar(place, mean, [np.minimum(bars, mean), bars], capsize=2, **look)
        handles.append(legend_line(**look, label=f"width {width}"))
    axes.axhline(epsilon, color=GREY, linestyle=":", linewidth=1.0)
    axes.set_yscale("symlog", linthresh=_LINEAR, linscale=0.6, subs=range(2, 10))
    # a little below zero, so that marks there are whole
    axes.set(xscale="log", ylim=(-0.3 * _LINEAR, 1.3))
    if at.precision.max() < 10 * at.precision.min():
        plain_log_ticks(axes.xaxis)  # powers of ten touch each other there
    return handles


def _mean_and_bar(values: NDArray[np.float64]) -> tuple[float, float]:
    """The mean and two standard errors; nothing is drawn of no runs."""
    if values.size < 2:
        return (float(values[0]) if values.size else np.nan), 0.0
    return float(values.mean()), float(2 * values.std(ddof=1) / np.sqrt(values.size))
