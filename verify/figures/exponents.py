"""Power laws with fitted and predicted exponents."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from theory.keywords import with_known_keywords

from .canvas import new_figure, styled
from .style import PALETTE, legend_beside, set_title


@with_known_keywords
@styled
def plot_exponent(
    x: ArrayLike,
    y: ArrayLike,
    error: ArrayLike | None,
    slope: float,
    predicted_slope: float,
    xlabel: str,
    ylabel: str,
    *,
    title: str | None = None,
    slope_error: float | None = None,
) -> Figure:
    """Draw a power law on log-log axes: points with error bars, the fitted and the predicted slope.

    Parameters
    ----------
    x, y : array, shape (N,)
        Positive.
    error : array, shape (N,) or None
        Standard errors of y.
    slope, predicted_slope : float
        Exponents; both lines pass through the weighted centre of the points.
    xlabel, ylabel : str
        With units.
    title : str, optional
    slope_error : float, optional
        Standard error of the slope, shown in the legend.
    """
    at, values = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    bars = np.zeros_like(values) if error is None else np.asarray(error, dtype=float)
    with np.errstate(divide="ignore"):
        weight = np.where(bars > 0, (values / np.where(bars > 0, bars, 1)) ** 2, 1.0)
    centre_x = np.average(np.log(at), weights=weight)
    centre_y = np.average(np.log(values), weights=weight)
    ends = np.array([at.min() / 1.15, at.max() * 1.15])

    def line(exponent: float) -> NDArray[np.float64]:
        return np.exp(centre_y + exponent * (np.log(ends) - centre_x))

    spread = "" if slope_error is None else f" ± {slope_error:.2g}"
    figure = new_figure(6.8, 3.8)
    axes = figure.subplots()
    axes.set(xscale="log", yscale="log")
    axes.plot(
        ends,
        line(predicted_slope),
        color="black",
        linestyle="--",
        linewidth=1.3,
        label=f"predicted slope {_signed(predicted_slope)}",
    )
    axes.plot(
        ends,
        line(slope),
        color=PALETTE[0],
        linewidth=1.6,
        label=f"fitted slope {_signed(slope)}{spread}",
    )
    axes.errorbar(
        at,
        values,
        yerr=None if error is None else _downward_safe(values, bars),
        fmt="o",
        color=PALETTE[1],
        capsize=3,
        label="measured" if error is None else "measured ± 1 s.e.",
    )
    if at.size <= 8:
        # the measured places are better ticks than powers of ten
        axes.set_xticks(at, labels=[f"{value:g}" for value in at])
        axes.set_xticks([], minor=True)
    axes.set(xlabel=xlabel, ylabel=ylabel)
    axes.grid(True, which="both")
    legend_beside(axes, axes.get_legend_handles_labels()[0])
    set_title(figure, title)
    return figure


def _signed(value: float) -> str:
    return f"{value:.3g}".replace("-", "−")


def _downward_safe(values: NDArray[np.float64], bars: NDArray[np.float64]) -> NDArray[np.float64]:
    """Error bars that stay positive on a logarithmic axis."""
    return np.array([np.minimum(bars, 0.95 * values), bars])
