"""What every figure must keep to: nothing outside, no legend over a mark."""

from __future__ import annotations

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
