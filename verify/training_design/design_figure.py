"""The figure of a design: the settings that were compared, and the best one beside SGD."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from numerics.training_design.axes import Axis
from numerics.training_design.design import SEARCH_NODES, Design
from numerics.training_design.quantities import QUANTITIES
from theory.keywords import with_known_keywords
from verify.figures.canvas import colours, line_width, mark_size, new_figure, styled
from verify.figures.style import GREY, PALETTE, plain_log_ticks, set_title, spaced_layout

from .confirmation import Confirmation
from .design_tables import SYMBOLS, goal_text

_TIMES = 41


@with_known_keywords
@styled
def plot_design(
    found: Design, runs: Confirmation | None = None, title: str | None = None
) -> Figure:
    """Draw what every setting that was compared gives, a panel for each number that was chosen, and
    the course of training in the best one.

    Parameters
    ----------
    found : numerics.training_design.design.Design
    runs : Confirmation, optional
        SGD in the best setting.
    title : str, optional
    """
    count = len(found.slices) + 1
    figure = new_figure(3.6 * count, 3.4, spaced_layout())
    panels = figure.subplots(1, count, squeeze=False)[0]
    for axes, part in zip(panels[:-1], found.slices, strict=True):
        _settings(axes, found, part.name)
    panels[0].set_ylabel(_result_label(found))
    _course(panels[-1], found, runs)
    set_title(figure, title or f"{found.problem.model.name}: {goal_text(found)}")
    return figure


def _result_label(found: Design) -> str:
    return f"{found.clock} / d" if found.target is not None else found.quantity


def _settings(axes: Axes, found: Design, name: str) -> None:
    """Results of all settings against one of their numbers."""
    part = next(s for s in found.slices if s.name == name)
    own = colours(PALETTE)[0]
    pairs = np.array([(s.number(name), r) for s, r in found.looked_at if np.isfinite(r)])
    axes.axvspan(*part.as_good, color=own, alpha=0.15, linewidth=0)
    axes.plot(*pairs.T, "o", color=GREY, markersize=mark_size(3))
    best = found.when if found.target is not None else found.value
    axes.plot([part.value], [best], "o", color=own, markersize=mark_size(6))
    if found.target is not None:
        axes.set_yscale("log")
        plain_log_ticks(axes.yaxis)
    if Axis(name, part.low, part.high).is_logarithmic:
        axes.set_xscale("log")
        plain_log_ticks(axes.xaxis)
    label = SYMBOLS.get(name, name).replace("c_δ", r"$c_\delta$")
    axes.set_xlabel(f"{label}; shaded: at most 1 % worse")


def _course(axes: Axes, found: Design, runs: Confirmation | None) -> None:
    """The quantity along the training of the best setting."""
    of, own = QUANTITIES[found.quantity].of, colours(PALETTE)[0]
    times = np.linspace(0, 1.2 * found.when if found.target is not None else found.when, _TIMES)
    theory = [of(found.trained, found.at(t), SEARCH_NODES)[0] for t in times]
    axes.plot(times, theory, color="black", linewidth=line_width(1.5), label="theory")
    if runs is not None:
        axes.errorbar(
            runs.times, runs.values.mean(axis=0), runs.values.std(axis=0, ddof=1), fmt="o",
            color=own, markersize=mark_size(4), capsize=2, linewidth=line_width(1.0),
            label=f"SGD, d = {runs.dimension}, ± 1 deviation of runs",
        )  # fmt: skip
    if found.target is not None:
        axes.axhline(found.target, color=GREY, linestyle=":", linewidth=line_width(1.0))
    axes.axvline(found.when, color=GREY, linestyle=":", linewidth=line_width(1.0))
    axes.set_xlabel(f"{found.clock} / d, best setting")
    axes.set_ylabel(found.quantity)
    # above the panel, where no curve can be
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), borderaxespad=0.2)
