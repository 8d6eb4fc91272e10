"""Figures of runs of networks: two side by side, their risk, and the clusters they end with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from verify.figures.canvas import new_figure, styled
from verify.figures.style import PALETTE, TIME_LABEL, legend_line, predicted_style

Array = NDArray[np.float64]
_BLACK_DASHED: dict[str, Any] = {"color": "black", "linestyle": (0, (4, 2.5)), "linewidth": 1.1}


@styled
def plot_side_by_side(
    pairs: Sequence[tuple[str, xr.Dataset, xr.Dataset]], directions: Sequence[str], title: str
) -> Figure:
    """Draw several runs in columns: overlaps with every direction and the readouts, SGD replicas
    and theory.

    Parameters
    ----------
    pairs : sequence of (name, curve, runs)
    directions : sequence of str
        Names of the directions.
    title : str
    """
    rows = [*directions, "readout"]
    figure = new_figure(4.6 * len(pairs) + 1.6, 2.3 * len(rows) + 0.9)
    grid = figure.subplots(len(rows), len(pairs), sharex="col", sharey="row", squeeze=False)
    for column, (name, curve, runs) in enumerate(pairs):
        units = curve.sizes["unit"]
        for row, axes in enumerate(grid[:, column]):

            def series(data: xr.Dataset, i: int, row: int = row) -> Array:
                if row < len(directions):
                    return np.asarray(data.overlap.isel(unit=i, direction=row).values)
                return np.asarray(data.readout.isel(parameter=i).values)

            for i in range(units):
                colour = PALETTE[i % len(PALETTE)]
                axes.plot(runs.time, series(runs, i).T, color=colour, linewidth=0.5, alpha=0.35)
                axes.plot(curve.time, series(curve, i), **predicted_style(i))
        grid[0, column].set_title(name)
        grid[-1, column].set_xlabel(TIME_LABEL)
    for axes, label in zip(grid[:, 0], rows, strict=True):
        axes.set_ylabel("readout $v_i$" if label == "readout" else f"overlap $W_i\\cdot${label}")
    handles = [
        legend_line(color=PALETTE[i % len(PALETTE)], label=f"unit {i + 1}, SGD")
        for i in range(units)
    ]
    handles.append(legend_line(**predicted_style(0), label="effective dynamics, in every colour"))
    figure.legend(handles=handles, loc="outside right center")
    figure.suptitle(title)
    return figure


@styled
def plot_risk(curve: xr.Dataset, measured: xr.Dataset, title: str, note: str) -> Figure:
    """Draw loss and accuracy: the expectation along the curve, and fresh data of SGD runs with
    their spread.
    """
    figure = new_figure(8.6, 3.4)
    for axes, name in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        values = measured[name].values
        mean, error = values.mean(axis=0), values.std(axis=0, ddof=1) / np.sqrt(values.shape[0])
        axes.plot(curve.time, curve[name], **_BLACK_DASHED, label="effective dynamics")
        axes.errorbar(
            measured.time,
            mean,
            2 * error,
            fmt="o",
            markersize=4,
            color=PALETTE[0],
            capsize=2,
            label=note,
        )
        axes.set(xlabel=TIME_LABEL, ylabel=name)
        axes.legend()
    figure.suptitle(title)
    return figure


@styled
def plot_outcomes(
    ratios: Sequence[float],
    counts: Sequence[NDArray[np.int64]],
    probabilities: Sequence[float],
    title: str,
) -> Figure:
    """Draw the distribution of the number of separated clusters, and how all four departs as
    lambda/d falls.
    """
    figure = new_figure(9.6, 3.8)
    left, right = figure.subplots(1, 2)
    _draw_distribution(left, ratios, counts, probabilities)
    totals = np.array([c.sum() for c in counts])
    all_four = np.array([c[-1] for c in counts]) / totals
    bars = 2 * np.sqrt(all_four * (1 - all_four) / totals)
    right.errorbar(
        ratios,
        all_four,
        bars,
        fmt="o",
        color=PALETTE[1],
        capsize=3,
        label="SGD, two standard errors",
    )
    right.axhline(probabilities[-1], **_BLACK_DASHED, label="independent picks")
    right.set_xscale("log")
    right.set_xticks(ratios, labels=[plain_number(ratio) for ratio in ratios])
    right.set_xticks([], minor=True)
    right.set(xlabel="precision per dimension λ/d", ylabel="frequency of all four clusters")
    right.legend()
    figure.suptitle(title)
    return figure


def plain_number(value: float) -> str:
    """Three figures or all digits before the point, without exponent.

    Examples
    --------
    >>> plain_number(15625.0), plain_number(1 / 3)
    ('15625', '0.333')
    """
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _draw_distribution(
    axes: Axes,
    ratios: Sequence[float],
    counts: Sequence[NDArray[np.int64]],
    probabilities: Sequence[float],
) -> None:
    width = 0.8 / len(ratios)
    at = np.arange(len(counts[0]))
    for k, (ratio, count) in enumerate(zip(ratios, counts, strict=True)):
        share = count / count.sum()
        error = 2 * np.sqrt(share * (1 - share) / count.sum())
        axes.bar(
            at - 0.4 + (k + 0.5) * width,
            share,
            width,
            yerr=error,
            color=PALETTE[k % len(PALETTE)],
            ecolor="#595959",
            label=f"λ/d = {plain_number(ratio)}",
        )
    for n, p in enumerate(probabilities, start=1):
        axes.plot(
            [n - 0.42, n + 0.42],
            [p, p],
            **_BLACK_DASHED,
            label="independent picks" if n == 1 else None,
        )
    axes.set_xticks(at)
    axes.set(xlabel="number of separated clusters", ylabel="share of runs")
    axes.legend()
