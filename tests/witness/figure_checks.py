"""What every figure must keep to: nothing outside, no legend over a mark, no mark cut."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure


def texts(figure: Figure) -> list[str]:
    axes = figure.axes
    found = [t for a in axes for t in (a.get_title(), a.get_xlabel(), a.get_ylabel())]
    legends = [*figure.legends, *(a.get_legend() for a in axes if a.get_legend())]
    found += [t.get_text() for legend in legends for t in legend.get_texts()]
    found += [t.get_text() for t in figure.texts]
    return [t for t in found if t]


def assert_inside(figure: Figure) -> None:
    """Titles, axis labels and legends lie within the figure, and no legend over its title."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    width, height = figure.bbox.width, figure.bbox.height
    items = [a.get_legend() for a in figure.axes if a.get_legend()] + list(figure.legends)
    items += [
        t
        for a in figure.axes
        if a.axison
        for t in (a.title, a.xaxis.label, a.yaxis.label)
        if t.get_text()
    ]
    items += [t for t in figure.texts if t.get_text()]
    titles = [t.get_window_extent(renderer) for t in figure.texts if t.get_text()]
    for legend in figure.legends:
        assert not any(legend.get_window_extent(renderer).overlaps(title) for title in titles)
    for item in items:
        box = item.get_window_extent(renderer)
        assert box.x0 >= -2, item
        assert box.y0 >= -2, item
        assert box.x1 <= width + 2, item
        assert box.y1 <= height + 2, item


def assert_title_free(figure: Figure) -> None:
    """No legend lies over the title above everything."""
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw(renderer)
    (title,) = (t for t in figure.texts if t.get_text())
    place = title.get_window_extent(renderer)
    for legend in figure.legends:
        assert not place.overlaps(legend.get_window_extent(renderer))


def assert_legend_free(figure: Figure) -> None:
    """No legend lies over a panel that holds data."""
    renderer = FigureCanvasAgg(figure).get_renderer()
    for axes in figure.axes:
        legend = axes.get_legend()
        if legend is None:
            continue
        box = legend.get_window_extent(renderer)
        for other in figure.axes:
            if other.axison and other.has_data():
                panel = other.get_window_extent(renderer)
                overlap = box.intersection(box, panel)
                assert overlap is None or overlap.width < 3 or overlap.height < 3


def assert_marks_whole(axes: Axes) -> None:
    """No mark of a series is cut by the left or right side of a panel."""
    figure = axes.figure
    FigureCanvasAgg(figure).draw()
    for line in axes.lines:
        if line.get_marker() in ("None", "", "_", "|"):
            continue
        radius = (line.get_markersize() + line.get_markeredgewidth()) / 2 * figure.dpi / 72
        places = axes.transData.transform(np.column_stack(line.get_data(orig=False)))
        assert places[:, 0].min() - radius >= axes.bbox.x0, line
        assert places[:, 0].max() + radius <= axes.bbox.x1, line


def assert_labels_beside_panels(figure: Figure) -> None:
    """A label of a vertical axis is no longer than the axis."""
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw(renderer)
    for axes in figure.axes:
        label = axes.yaxis.label.get_window_extent(renderer)
        assert label.y0 >= axes.bbox.y0, axes.get_ylabel()
        assert label.y1 <= axes.bbox.y1, axes.get_ylabel()
