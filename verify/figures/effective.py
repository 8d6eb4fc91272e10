"""Figures of effective spectra: the bulk with its histogram, and outliers with their overlaps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import ArrayLike, NDArray

from theory import InputError
from theory.keywords import with_known_keywords
from verify.tables.effective import atom_place, close_groups, effective_title

from .canvas import font_size, new_figure, styled
from .drawn_data import check_drawn
from .style import GREY, PALETTE, legend_beside, legend_line, legend_mark, set_title, spaced_layout

# eigenvalues this close to the atom, relative to the largest, are of it
_AT_ATOM = 1e-9
# a bulk narrower than this share of what is drawn has a panel with a scale of its own
_NARROW = 0.12
# outliers closer than this, relative to the larger, are one mark
_SEEN_AS_ONE = 0.005
_EDGES: dict[str, Any] = {"critical": "-", "essential": ":", "zero": "--"}
_EDGE_NAMES = {
    "critical": "edge of the support, density like a square root",
    "essential": "edge of the support, behind a thin tail",
    "zero": "end of the support, at the atom",
}

Floats = NDArray[np.float64]


@with_known_keywords
@styled
def plot_effective_spectrum(
    effective: xr.Dataset,
    eigenvalues: ArrayLike | xr.Dataset | None = None,
    measured: xr.Dataset | None = None,
    title: str | None = None,
    *,
    log: bool = False,
    data_label: str = "measured",
) -> Figure:
    """Draw the density of the bulk above, and the outliers with their overlaps below.

    The lower panel has the scale of the upper one, unless the bulk is narrow beside the outliers.

    Parameters
    ----------
    effective : xarray.Dataset
        As :func:`numerics.effective_spectrum` returns it.
    eigenvalues : array, shape (n,) or (replicas, n), or xarray.Dataset, optional
        All eigenvalues of matrices of data, :func:`numerics.empirical_spectrum` of all of them, or
        their density as :func:`numerics.empirical_density` returns it.
    measured : xarray.Dataset, optional
        Outliers of data, as :func:`numerics.proportional.measured_outliers.measure_outliers`
        returns them: ``eigenvalue``, ``overlap``.
    title : str, optional
        Model, matrix, block, lambda and phi when omitted.
    log : bool
        A logarithmic density, on which single eigenvalues and thin tails are seen.
    data_label : str
        What the data are called in the legend.
    """
    check_drawn("effective", effective, ("interval", "outliers"), "effective_spectrum")
    if measured is not None:
        check_drawn("measured", measured, ("eigenvalue", "overlap"), "measure_outliers")
    handles: list[Any] = []
    histogram = None if eigenvalues is None else _histogram(effective, eigenvalues)
    bulk = bool(effective.sizes["interval"])
    figure = new_figure(9.6, 5.6 if bulk else 3.2, spaced_layout())
    everything, inside = _ranges(effective, histogram, measured)
    narrow = bulk and np.ptp(inside) < _NARROW * np.ptp(everything)
    panels = figure.subplots(1 + bulk, 1, height_ratios=[1.5, 1][: 1 + bulk], squeeze=False)[:, 0]
    if bulk:
        handles += _draw_density(panels[0], effective, histogram, log, data_label)
        panels[0].set_xlim(*(inside if narrow else everything))
        where = "the bulk, with a scale of its own" if narrow else "eigenvalues"
        panels[0].set_title(f"density of {where}", fontsize=font_size())
    handles += _draw_outliers(panels[-1], effective, histogram, measured, data_label)
    panels[-1].set_title("bulk and outliers" if narrow else "outliers", fontsize=font_size())
    panels[-1].set_xlim(*everything)
    panels[-1].set_xlabel("eigenvalue")
    legend_beside(panels[0], handles)
    set_title(figure, effective_title(effective) if title is None else title)
    return figure


def draw_effective(
    axes: Axes,
    effective: xr.Dataset,
    eigenvalues: ArrayLike | xr.Dataset | None,
    measured: xr.Dataset | None,
    part: str,
    log: bool,
    data_label: str,
) -> list[Any]:
    """Draw the density or the outliers on given axes; returns the entries of a legend."""
    check_drawn("effective", effective, ("interval", "outliers"), "effective_spectrum")
    if measured is not None:
        check_drawn("measured", measured, ("eigenvalue", "overlap"), "measure_outliers")
    histogram = None if eigenvalues is None else _histogram(effective, eigenvalues)
    everything, inside = _ranges(effective, histogram, measured)
    axes.set_xlabel("eigenvalue")
    if part == "outliers":
        axes.set_xlim(*everything)
        handles = _draw_outliers(axes, effective, histogram, measured, data_label)
        # a legend inside the axes has room above all marks
        axes.set_ylim(top=1.1 + 0.11 * len(handles))
        return handles
    axes.set_xlim(*inside)
    return _draw_density(axes, effective, histogram, log, data_label)


@dataclass(frozen=True)
class _Histogram:
    """Densities on cells, the mass at the atom, and all eigenvalues if they are known, one row a
    replica.
    """

    cells: Floats
    density: Floats
    error: Floats | None
    atom: float
    values: Floats | None


def _histogram(effective: xr.Dataset, eigenvalues: ArrayLike | xr.Dataset) -> _Histogram:
    if isinstance(eigenvalues, xr.Dataset) and "eigenvalue" in eigenvalues:
        _check_whole(eigenvalues)
        eigenvalues = eigenvalues["eigenvalue"]  # a spectrum, of which these are drawn
    if isinstance(eigenvalues, xr.Dataset):
        check_drawn("eigenvalues", eigenvalues, ("density", "atom_mass"), "empirical_density")
        mass = float(eigenvalues["atom_mass"].sum())
        error = eigenvalues["density_error"].to_numpy() if "density_error" in eigenvalues else None
        return _Histogram(
            eigenvalues["boundary"].to_numpy(), eigenvalues["density"].to_numpy(), error, mass, None
        )
    values = np.atleast_2d(np.asarray(eigenvalues, dtype=float))
    place, mass = atom_place(effective), 0.0
    kept = values.ravel()
    if effective.attrs["atom"] > 0:
        beside = np.abs(kept - place) > _AT_ATOM * np.abs(kept).max()
        mass, kept = float(1 - beside.mean()), kept[beside]
    edges = effective["edges"].to_numpy()
    width = (edges.max() - edges.min()) / int(np.clip(2 * values.shape[1] ** (1 / 2), 15, 60))
    low, high = min(kept.min(), edges.min()), max(kept.max(), edges.max())
    # a cell begins at the left edge
    first = edges.min() - width * np.ceil((edges.min() - low) / width)
    cells = first + width * np.arange(int(np.ceil((high - first) / width)) + 1)
    counts, _ = np.histogram(kept, cells)
    return _Histogram(cells, counts / (values.size * width), None, mass, values)


def _check_whole(spectrum: xr.Dataset) -> None:
    """The largest eigenvalues alone are no density of all: their share of the mass is not one."""
    count = spectrum["eigenvalue"].size
    vectors = spectrum.get("eigenvector")
    if vectors is not None and count * count < vectors.size:
        size = vectors.size // count
        got, expected = f"{count} eigenvalues of {size}", "all of them, for a density"
        remedy = f"write empirical_spectrum(..., count={size}), or give empirical_density(...)"
        raise InputError("eigenvalues", got, expected, remedy)


def _ranges(
    effective: xr.Dataset, histogram: _Histogram | None, measured: xr.Dataset | None
) -> tuple[tuple[float, float], tuple[float, float]]:
    """What of the axis shows everything, and what the bulk alone."""
    edges = effective["edges"].to_numpy().ravel()
    parts = [edges, effective["outliers"].to_numpy()]
    if histogram is not None:
        filled = np.flatnonzero(histogram.density > 0)
        parts.append(histogram.cells[[filled[0], filled[-1] + 1]])
    if measured is not None:
        parts.append(measured["eigenvalue"].to_numpy().ravel())
    whole = np.concatenate(parts)
    whole = whole[np.isfinite(whole)]
    bulk = edges if edges.size else whole

    def padded(values: Floats) -> tuple[float, float]:
        space = 0.05 * (np.ptp(values) or abs(float(values[0])) or 1.0)
        return float(values.min() - space), float(values.max() + space)

    return padded(whole), padded(bulk)


def _draw_density(
    axes: Axes, effective: xr.Dataset, histogram: _Histogram | None, log: bool, data_label: str
) -> list[Any]:
    handles: list[Any] = []
    place, atom = atom_place(effective), float(effective.attrs["atom"])
    if histogram is not None:
        axes.stairs(
            histogram.density, histogram.cells, fill=True, color=PALETTE[4], alpha=0.55, linewidth=0
        )
        note = (
            f"\natom at {place:g}: mass {histogram.atom:.4g}"
            if atom > 0 or histogram.atom > 0
            else ""
        )
        handles.append(Patch(color=PALETTE[4], alpha=0.55, linewidth=0, label=data_label + note))
        if histogram.error is not None:
            middle = (histogram.cells[:-1] + histogram.cells[1:]) / 2
            axes.errorbar(
                middle,
                histogram.density,
                histogram.error,
                color=PALETTE[0],
                linestyle="none",
                linewidth=0.7,
            )
    if "density" in effective:
        x, rho = effective["grid"].to_numpy(), effective["density"].to_numpy()
        error = effective["density_error"].to_numpy()
        # no line across gaps
        for a, b in effective["edges"].to_numpy():
            inside = (x >= a) & (x <= b)
            axes.fill_between(
                x[inside],
                np.maximum(rho - error, 0)[inside],
                (rho + error)[inside],
                color=PALETTE[1],
                alpha=0.3,
                linewidth=0,
            )
            axes.plot(x[inside], rho[inside], color=PALETTE[1], linewidth=1.6)
        note = f"\natom at {place:g}: mass {atom:.4g}" if atom > 0 else ""
        handles.append(
            legend_line(color=PALETTE[1], linewidth=1.6, label="predicted, with its error" + note)
        )
        _limit_density(axes, rho, histogram, log)
    handles += _draw_edges(axes, effective)
    axes.set_ylabel("density per unit of eigenvalue")
    return handles


def _limit_density(axes: Axes, rho: Floats, histogram: _Histogram | None, log: bool) -> None:
    """A density that diverges at an end of the support does not hide the rest."""
    shown = float(np.quantile(rho, 0.97)) * 1.15 if rho.size else 1.0
    if histogram is not None:
        shown = max(shown, 1.1 * float(histogram.density.max()))
    top = min(1.1 * float(rho.max(initial=0.0)), 2 * shown)
    top = max(top, 0.0 if histogram is None else 1.1 * float(histogram.density.max()))
    if not log:
        axes.set_ylim(0, top)
        return
    axes.set_yscale("log")
    filled = np.zeros(0) if histogram is None else histogram.density[histogram.density > 0]
    floor = 0.5 * float(filled.min()) if filled.size else 1e-4 * float(rho.max(initial=1.0))
    axes.set_ylim(floor, 2 * top)


def _draw_edges(axes: Axes, effective: xr.Dataset) -> list[Any]:
    """Edges of the support as vertical lines; of another kind, another style."""
    edges, used = effective["edges"].to_numpy(), []
    for i, (left, right) in enumerate(edges):
        outer = {left: i == 0 and "left", right: i == len(edges) - 1 and "right"}
        for place, side in outer.items():
            kind = str(effective.attrs[f"edge_kind_{side}"]) if side else "critical"
            axes.axvline(place, color=GREY, linestyle=_EDGES[kind], linewidth=1.1, zorder=1.5)
            used.append(kind)
    return [
        legend_line(color=GREY, linestyle=style, linewidth=1.1, label=_EDGE_NAMES[kind])
        for kind, style in _EDGES.items()
        if kind in used
    ]


def _draw_outliers(
    axes: Axes,
    effective: xr.Dataset,
    histogram: _Histogram | None,
    measured: xr.Dataset | None,
    data_label: str,
) -> list[Any]:
    handles: list[Any] = []
    style: dict[str, Any]
    for left, right in effective["edges"].to_numpy():
        axes.axvspan(left, right, color="#d0d0d0", linewidth=0, zorder=0.6)
    if effective.sizes["interval"]:
        handles.append(Patch(color="#d0d0d0", label="support of the bulk, predicted"))
    place, overlap = effective["outliers"].to_numpy(), effective["overlap"].to_numpy()
    near = effective["near_critical"].to_numpy() == 1
    for picked, face, label in (
        (~near, PALETTE[1], "outlier, predicted"),
        (near, "white", "outlier near an edge, predicted"),
    ):
        if picked.any():
            style = {"marker": "D", "color": PALETTE[1], "markerfacecolor": face, "markersize": 6.0}
            axes.vlines(
                place[picked], 0, overlap[picked], color=PALETTE[1], linewidth=0.9, zorder=2
            )
            axes.errorbar(
                place[picked],
                overlap[picked],
                yerr=effective["overlap_error"].to_numpy()[picked],
                xerr=effective["outlier_error"].to_numpy()[picked],
                linestyle="none",
                elinewidth=0.9,
                **style,
            )
            handles.append(legend_mark(**style, label=label))
    groups = close_groups(place, _SEEN_AS_ONE)
    for group in np.unique(groups):
        members = np.flatnonzero(groups == group)
        if members.size > 1:
            axes.annotate(
                f"×{members.size}",
                (place[members[0]], overlap[members].max()),
                (7, -3),
                textcoords="offset points",
                fontsize=font_size(-1),
            )
    if measured is not None and measured.sizes.get("eigen"):
        style = {
            "marker": "o",
            "color": PALETTE[0],
            "markerfacecolor": "none",
            "markersize": 8.0,
            "markeredgewidth": 1.4,
        }
        axes.plot(measured["eigenvalue"], measured["overlap"], linestyle="none", **style, zorder=3)
        handles.append(legend_mark(**style, label=f"outlier, {data_label}"))
    if histogram is not None and histogram.values is not None and effective.sizes["interval"]:
        low, high = effective["edges"].to_numpy().min(), effective["edges"].to_numpy().max()
        values = histogram.values
        beyond = (values < low) | (values > high)
        beyond &= np.abs(values - atom_place(effective)) > _AT_ATOM * np.abs(values).max()
        rows, columns = np.nonzero(beyond)
        style = {"marker": "|", "color": PALETTE[0], "markersize": 9.0, "markeredgewidth": 1.3}
        axes.plot(values[rows, columns], -0.07 - 0.06 * rows, linestyle="none", **style)
        label = "eigenvalues beyond the support,\nmeasured, a row a matrix"
        handles.append(legend_mark(**style, label=label))
        axes.set_ylim(-0.12 - 0.06 * len(values), 1.05)
    else:
        axes.set_ylim(-0.05, 1.05)
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1])
    axes.set_ylabel(r"overlap $|P_{\mathrm{span}(e,x)}\,v|^2$")
    return handles
