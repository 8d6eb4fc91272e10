"""Heat maps of alignment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from theory.keywords import with_known_keywords

from .canvas import font_size, new_figure, styled
from .style import set_title


@with_known_keywords
@styled
def plot_alignment_heatmap(
    matrix: ArrayLike,
    row_labels: Sequence[str],
    column_labels: Sequence[str],
    title: str | None = None,
    *,
    xlabel: str = "",
    ylabel: str = "",
    colorbar_label: str = "squared cosine",
) -> Figure:
    """Draw squared cosines as a heat map: a row per vector, a column per reference vector.

    Parameters
    ----------
    matrix : array, shape (rows, columns)
        Values in [0, 1].
    row_labels, column_labels : sequence of str
    title, xlabel, ylabel, colorbar_label : str, optional

    Examples
    --------
    >>> figure = plot_alignment_heatmap([[0.9, 0.1], [0.2, 0.8]], ["x1", "x2"], ["e1", "e2"])
    >>> figure.axes[0].images[0].get_array().shape
    (2, 2)
    """
    values = np.asarray(matrix, dtype=float)
    rows, columns = values.shape
    margin = 0.075 * max(map(len, row_labels), default=0) + 0.3 * bool(ylabel)
    wide = max(max(map(len, column_labels), default=0) * 0.085, 0.62)
    figure = new_figure(wide * columns + margin + 1.7, max(2.6, 0.4 * rows + 1.5))
    axes = figure.subplots()
    image = draw_heatmap(axes, values, row_labels, column_labels)
    axes.set(xlabel=xlabel, ylabel=ylabel)
    set_title(figure, title)
    figure.colorbar(image, ax=axes, label=colorbar_label, ticks=[0, 0.25, 0.5, 0.75, 1])
    return figure


def draw_heatmap(
    axes: Axes, values: NDArray[np.float64], row_labels: Sequence[str], column_labels: Sequence[str]
) -> Any:
    """Squares of values in [0, 1], each with its number where there is room; NaN stays empty.
    Returns the image.
    """
    rows, columns = values.shape
    image = axes.imshow(values, cmap="cividis", vmin=0, vmax=1, aspect="auto")
    axes.grid(False)
    axes.spines[:].set_visible(False)
    axes.set_xticks(range(columns), labels=list(column_labels))
    axes.set_yticks(range(rows), labels=list(row_labels))
    axes.tick_params(length=0)
    size = font_size(-1 if columns <= 10 else -3)
    if columns <= 20:
        for i in range(rows):
            for j in range(columns):
                if np.isnan(values[i, j]):
                    continue
                # black and white have equal contrast to cividis near 0.48
                shade = "black" if values[i, j] > 0.48 else "white"
                axes.text(
                    j,
                    i,
                    f"{values[i, j]:.2f}",
                    ha="center",
                    va="center",
                    color=shade,
                    fontsize=size,
                )
    return image
