"""Figure of alignment: what the effective theory predicts against what data show."""

from __future__ import annotations

from typing import Any

import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from theory.keywords import with_known_keywords
from verify.tables.effective import close_groups, effective_title

from .canvas import new_figure, styled
from .style import PALETTE, legend_beside, legend_line, legend_mark, set_title

# outliers closer than this, relative to the larger, may mix their eigenvectors at finite size: they
# count together
MIXED = 0.05


@with_known_keywords
@styled
def plot_alignment(predicted: xr.Dataset, measured: xr.Dataset, title: str | None = None) -> Figure:
    """Draw measured against predicted alignment: overlaps, shares of x^a in eigenvectors and in the
    leading eigenspace.

    Outliers within 5 % of each other count together, since data mix their eigenvectors: the mean of
    their overlaps and shares is drawn.

    Parameters
    ----------
    predicted : xarray.Dataset
        As :func:`numerics.effective_spectrum` or :func:`numerics.emergence` returns it.
    measured : xarray.Dataset
        Any of ``overlap``, ``weight_share`` and ``leading_share`` with the dimensions of
        ``predicted``, and ``replica`` or not: with it, bars are one standard deviation over
        replicas; else those of variables such as ``overlap_error``, if there are any.
    title : str, optional

    Examples
    --------
    >>> axis = {"eigen": [0, 1]}
    >>> predicted = xr.Dataset({"overlap": ("eigen", [0.8, 0.3])}, axis)
    >>> measured = xr.Dataset({"overlap": ("eigen", [0.78, 0.35])}, axis)
    >>> plot_alignment(predicted, measured, title="outliers").axes[0].get_xlabel()
    'predicted squared cosine'
    """
    figure = new_figure(8.8, 4.6)
    axes = figure.subplots()
    legend_beside(axes, draw_alignment(axes, predicted, measured))
    set_title(figure, effective_title(predicted) if title is None else title)
    return figure


def draw_alignment(axes: Axes, predicted: xr.Dataset, measured: xr.Dataset) -> list[Any]:
    """Draw on given axes; returns the entries of a legend."""
    names = {
        "overlap": ("overlap with span(e, x)", "o"),
        "weight_share": ("in an eigenvector", "^v<>12"),
        "leading_share": ("in the leading eigenspace", "sDPXph"),
    }
    axes.plot([0, 1], [0, 1], color="black", linestyle="--", linewidth=1.0)
    handles: list[Any] = [legend_line(color="black", linestyle="--", linewidth=1.0, label="equal")]
    # units are told apart without colours
    for variable, (label, markers) in names.items():
        if variable not in predicted or variable not in measured:
            continue
        theory, theory_error, data, error = _beside(predicted, measured, variable)
        units = theory.sizes.get("unit", 0)
        for a in range(units or 1):
            x, dx, y, dy = (
                _flat(v, a if units else None) for v in (theory, theory_error, data, error)
            )
            colour = PALETTE[(a + 1) % len(PALETTE)] if units else PALETTE[0]
            face = colour if variable != "weight_share" else "white"
            style: dict[str, Any] = {
                "marker": markers[a % len(markers)],
                "color": colour,
                "markerfacecolor": face,
                "markersize": 6.0,
            }
            axes.errorbar(
                x, y, yerr=dy, xerr=dx, linestyle="none", elinewidth=0.9, capsize=2, **style
            )
            text = f"share of $x^{{{a + 1}}}$ {label}" if units else label
            handles.append(legend_mark(**style, label=text))
    axes.set_xlim(-0.03, 1.03)
    axes.set_ylim(-0.03, 1.03)
    axes.set_aspect("equal")
    axes.set(xlabel="predicted squared cosine", ylabel="measured squared cosine")
    return handles


def _flat(values: xr.DataArray | None, unit: int | None) -> Any:
    """All numbers, or those of a unit."""
    if values is None:
        return None
    return (values if unit is None else values.isel(unit=unit)).to_numpy().ravel()


def _beside(
    predicted: xr.Dataset, measured: xr.Dataset, variable: str
) -> tuple[xr.DataArray, xr.DataArray | None, xr.DataArray, xr.DataArray | None]:
    """Theory, its error, data and their error, all with the same dimensions."""
    theory, data = xr.align(predicted[variable], measured[variable], join="inner")
    theory_error, error = (source.get(f"{variable}_error") for source in (predicted, measured))
    if "eigen" in theory.dims and "outliers" in predicted:
        places = predicted["outliers"].sel(eigen=theory["eigen"]).to_numpy()
        groups = xr.DataArray(close_groups(places, MIXED), dims="eigen", name="group")
        theory, data = (v.groupby(groups).mean() for v in (theory, data))
        theory_error, error = (
            None if v is None else v.groupby(groups).max() for v in (theory_error, error)
        )
    if "replica" in data.dims:
        error = data.std("replica", ddof=1) if data.sizes["replica"] > 1 else None
        data = data.mean("replica")
    data = data.transpose(*theory.dims)
    return theory, theory_error, data, error
