"""The figure of a design: its legend hides no curve, and numbers of short axes stand apart."""

from __future__ import annotations

from itertools import pairwise

import pytest
from figure_checks import assert_inside, assert_legend_free
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from public_objects import MADE

import specalign as sa
from verify.figures.style import plain_log_ticks


@pytest.mark.slow
def test_the_legend_stands_above_the_course_of_training():
    figure = sa.plot_design(MADE[sa.Design](), MADE[sa.Confirmation]())
    assert_inside(figure)
    assert_legend_free(figure)


@pytest.mark.parametrize("ends", [(1, 40), (0.37, 1.9), (2.1, 4.9), (1e-3, 1e2)])
def test_numbers_of_a_logarithmic_axis_stand_apart(ends):
    figure = Figure(figsize=(3.6, 3.4))
    axes = figure.subplots()
    axes.set_xscale("log")
    axes.set_xlim(*ends)
    plain_log_ticks(axes.xaxis)
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw(renderer)
    shown = [t for t in axes.get_xticklabels(which="both") if t.get_text()]
    boxes = sorted((t.get_window_extent(renderer) for t in shown), key=lambda box: box.x0)
    assert all(left.x1 <= right.x0 for left, right in pairwise(boxes))
    low, high = axes.get_xlim()
    assert any(low <= t.get_position()[0] <= high for t in shown)
