"""How every figure looks: colours, line styles, fonts, room for titles and legends, file formats.

Colours are those of Okabe and Ito, which remain distinct under the common colour-vision
deficiencies; where there are more series than colours, the line style changes too.
"""

from __future__ import annotations

import inspect
import io
import re
import textwrap
import unicodedata
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial, wraps
from itertools import combinations, pairwise
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.legend import Legend
from matplotlib.legend_handler import HandlerTuple
from matplotlib.lines import Line2D
from matplotlib.mathtext import MathTextParser
from matplotlib.text import Text
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from numerics.core.files import replacing
from numerics.core.validation import as_path, check_kind, kind_of
from theory.errors import InputError, brief, printable
from theory.keywords import check_keywords, with_known_keywords

from .canvas import (
    canvas,
    colours,
    current_canvas,
    font_size,
    line_width,
    mark_size,
    new_figure,
    styled,
)

TIME_LABEL = "time t = steps·δ"
# of a title or label
MOST_CHARACTERS = 2000
FORMATS = (".png", ".svg", ".pdf")

# Okabe–Ito without yellow (too light for a line on white); black is kept for references and
# predictions
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
# of the ends of an axis
_SEVERAL_DECADES = 300.0
_STYLES = ("-", "--", ":", "-.")
GREY = "#595959"
PREDICTED: dict[str, Any] = {"color": "black", "linestyle": (0, (4, 2.5)), "linewidth": 1.1}
# marks of series, so that they are told apart without colours and where they coincide
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p")


# entries of a legend that are drawn nowhere else: a line, and a mark without one
legend_line = partial(Line2D, [], [])
# marks an entry of a legend that stands above the ones behind it
HEADING = "heading"
legend_mark = partial(Line2D, [], [], linestyle="none")


@with_known_keywords
def save_figure(figure: Figure, path: str | Path) -> None:
    """Write a figure, whole or not at all, in the format of the file name (.png, .svg or .pdf).

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as place:
    ...     save_figure(Figure(figsize=(2, 1)), f"{place}/empty.svg")
    ...     [file.name for file in Path(place).iterdir()]
    ['empty.svg']
    """
    path = as_path("path", path)
    check_kind("figure", figure, Figure, "the order is save_figure(figure, path)")
    for text in figure.findobj(Text):
        check_text("figure", text.get_text())  # names and labels, also of the user's own axes
    ending = path.suffix.lower()
    known = figure.canvas.get_supported_filetypes()
    if ending and ending.removeprefix(".") not in known:
        expected = "a name that ends in " + ", ".join(f".{name}" for name in known)
        raise InputError("path", path.name, expected, "write .png, .svg or .pdf")
    if not path.parent.is_dir():
        expected = "a file in a folder that exists"
        raise InputError("path", brief(path), expected, f"make the folder {brief(path.parent)}")
    metadata = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}.get(ending)
    # into memory first: a writer that a full disk stops leaves its file open
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # of a size that somebody asked for
        warnings.filterwarnings("ignore", "constrained_layout not applied")
        _write(figure, buffer, ending.removeprefix(".") or None, metadata)
    with replacing(path) as new:
        new.write_bytes(buffer.getbuffer())


@styled
def _write(figure: Figure, buffer: io.BytesIO, kind: str | None, metadata: Any) -> None:
    figure.savefig(buffer, format=kind, metadata=metadata)


def spaced_layout() -> ConstrainedLayoutEngine:
    """Room between neighbouring panels, so that no label touches the next panel's."""
    return ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.06, wspace=0.03, hspace=0.03)


@dataclass(frozen=True)
class LabelledTuple:
    """Several handles of a legend that share a label."""

    label: str
    handles: tuple[Any, ...]


def legend_beside(axes: Axes, handles: Sequence[Any]) -> None:
    """A legend to the right of the axes, where it hides nothing."""
    shown = [handle.handles if isinstance(handle, LabelledTuple) else handle for handle in handles]
    axes.legend(
        shown,
        [
            handle.label if isinstance(handle, LabelledTuple) else handle.get_label()
            for handle in handles
        ],
        handler_map={tuple: HandlerTuple(ndivide=None)},
        loc="upper left",
        bbox_to_anchor=(1.02, 1.0),
        borderaxespad=0.0,
    )


def check_text(name: str, text: object) -> str:
    """Return a text that a figure can show; between two dollar signs stands mathematics.

    Raises
    ------
    theory.InputError
        No text, too long a one, characters that no font has, mathematics that is none.
    """
    if not isinstance(text, str):
        raise InputError(name, kind_of(text), "a text", "write it in quotes")
    if len(text) > MOST_CHARACTERS:
        expected = f"at most {MOST_CHARACTERS} characters"
        raise InputError(name, f"{len(text)} characters", expected, "write a shorter text")
    odd = [c for c in text if c != "\n" and unicodedata.category(c) in ("Cc", "Cf", "Cs", "Co")]
    if odd:
        expected = "characters that are printed"
        raise InputError(name, ascii(odd[0]), expected, "leave control characters away")
    if text.count("$") > 1:
        try:
            for line in text.splitlines():
                if line.count("$") > 1:
                    _mathematics().parse(line)
        except (ValueError, RecursionError) as error:
            reason = printable(" ".join(str(error).split())[-200:])
            expected = f"mathematics of matplotlib between dollar signs ({reason})"
            remedy = r"mend it, or write \$ for a dollar sign"
            raise InputError(name, ascii(text[:100]), expected, remedy) from error
    return text


@lru_cache(maxsize=1)
def _mathematics() -> MathTextParser[Any]:
    return MathTextParser("path")


def set_title(figure: Figure, title: str | None, *, beside: Legend | None = None) -> None:
    """A title above everything, broken into lines that fit the figure, or what a legend at its
    right leaves; one that was asked for comes first.
    """
    asked = current_canvas().title
    title = title if asked is None else asked
    if title is not None and check_text("title", title):
        # mathematics is written with more characters than it shows
        hidden = len(title) - len(re.sub(r"\$[^$]*\$", "xx", title))
        width = figure.get_figwidth()
        free = width if beside is None else width - _width_of(beside)
        characters = int(max(free, 0.2 * width) * 95 / font_size()) + hidden
        # no line ends within an equation, nor within a list in brackets
        kept = title.replace(" = ", "\u00a0=\u00a0")
        kept = re.sub(r"\([^()\n]{,40}\)", lambda list_: list_[0].replace(" ", "\u00a0"), kept)
        lines = [line for part in kept.splitlines() for line in textwrap.wrap(part, characters)]
        lines = [line.replace("\u00a0", " ") for line in lines]
        figure.suptitle("\n".join(lines), x=free / width / 2, fontsize=font_size(1.5))


def _width_of(legend: Legend) -> float:
    """Inches that a legend takes."""
    figure: Any = legend.figure
    return float(legend.get_window_extent(RendererAgg(1, 1, figure.dpi)).width / figure.dpi)


def plain_log_ticks(axis: Axis) -> None:
    """Numbers written out: 1, 2 and 5 of every decade, since an axis may span less than one; on an
    axis of several decades 1 alone.
    """

    def number(value: float, _: int | None = None) -> str:
        low, high = sorted(axis.get_view_interval())
        text = f"{value:.0e}"
        return f"{value:g}" if text[0] == "1" or high < _SEVERAL_DECADES * low else ""

    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(FuncFormatter(number))
    axis.set_minor_formatter(NullFormatter())


def line_style(index: int) -> dict[str, Any]:
    """Colour, and with every round of the palette another line style."""
    palette = colours(PALETTE)
    style = _STYLES[(index // len(palette)) % len(_STYLES)]
    return {
        "color": palette[index % len(palette)],
        "linestyle": style,
        "linewidth": line_width(1.8),
    }


def marks(index: int, count: int) -> dict[str, Any]:
    """A few marks along a line: of every series another one, and at other places, so that lines
    are told apart without colours and where one lies on top of the other.
    """
    step = 0.22
    return {
        "marker": MARKERS[index % len(MARKERS)],
        "markersize": mark_size(5.0),
        "markeredgecolor": "white",
        "markeredgewidth": 0.6,
        "markevery": (step * (0.25 + index) / max(count, 1), step),
    }


def predicted_style(index: int) -> dict[str, Any]:
    """Dashed, in a dark shade of the colour of what is predicted, so that it is seen on top
    of it.
    """
    palette = colours(PALETTE)
    dark = tuple(0.45 * channel for channel in to_rgb(palette[index % len(palette)]))
    return PREDICTED | {"color": dark, "linewidth": line_width(PREDICTED["linewidth"])}


def dot_style(index: int, face: str | None = None) -> dict[str, Any]:
    """Marks of a colour of the palette with a white edge, or filled with ``face`` and edged in
    black.
    """
    palette = colours(PALETTE)
    colour = palette[index % len(palette)]
    edge = "black" if face else "white"
    return {
        "marker": MARKERS[0 if face else index % len(MARKERS)],
        "markersize": mark_size(5.5),
        "markerfacecolor": face or colour,
        "markeredgecolor": edge,
        "markeredgewidth": 0.7,
    }


Shown = Any  # axes, or an array of them


def takes_axes(function: Callable[..., Shown]) -> Callable[..., Shown]:
    """Give a function of axes the keywords ``ax``, ``size`` and ``title``."""

    @wraps(function)
    def draw(*arguments: Any, ax: Axes | None = None, **named: Any) -> Shown:
        if ax is not None:
            check_kind("ax", ax, Axes, "axes of figure.subplots() or pyplot.subplots()")
        check_keywords(function.__name__, named, known)
        size, title = named.pop("size", None), named.pop("title", None)
        with canvas(size=size, title=title, shown=ax is None or None):
            found = _drawn(function, ax, *arguments, **named)
        if isinstance(found, Figure):
            # panels without data hold a legend at most, colour bars have no data of their own
            panels = [a for a in found.axes if a.axison and a.get_label() != "<colorbar>"]
            return panels[0] if len(panels) == 1 else np.array(panels)
        return found

    # what is shown as the signature is what can be written
    first, *others = inspect.signature(function).parameters.values()
    words = {"ax": first.annotation, "size": "tuple[float, float] | None", "title": "str | None"}
    keyword = inspect.Parameter.KEYWORD_ONLY
    further = [
        inspect.Parameter(name, keyword, default=None, annotation=annotation)
        for name, annotation in words.items()
    ]
    known = [parameter.name for parameter in (*others, *further)]
    draw.__signature__ = inspect.Signature([*others, *further])  # type: ignore[attr-defined]
    return draw


@styled
def _drawn(function: Callable[..., Shown], ax: Axes | None, *arguments: Any, **named: Any) -> Shown:
    """The figure, or the axes with their legend: inside of axes of the user's, else below."""
    found = function(ax, *arguments, **named)
    if isinstance(found, Figure):
        return found
    panel, handles = found
    if ax is not None:
        _leave_out_repeated_label(panel)
    if handles and ax is None:
        legend_below(panel.figure, handles, 2)
    elif handles:
        look: dict[str, Any] = {"frameon": True, "framealpha": 0.8, "edgecolor": "none"}
        panel.legend(handles=handles, loc="best", fontsize=font_size(-2), **look)
    title = current_canvas().title
    if title:
        panel.set_title(check_text("title", title))
    return panel


def legend_below(figure: Any, handles: Sequence[Any], columns: int) -> None:
    """A legend beneath all panels, of so many columns."""
    below: dict[str, Any] = {"loc": "outside lower center", "ncols": columns}
    narrow: dict[str, Any] = {"handlelength": 1.6, "columnspacing": 1.0}
    shown = in_columns(handles, columns)
    figure.legend(handles=shown, fontsize=font_size(-1), **below, **narrow)


def in_columns(handles: Sequence[Any], columns: int) -> list[Any]:
    """Entries of a legend of so many columns, each of which begins with a heading if there are
    enough of them.

    Legends fill one column after the other: shorter ones are made up with empty entries.
    """
    headed = [i for i, handle in enumerate(handles) if i and handle.get_gid() == HEADING]
    if len(headed) + 1 < columns:
        return list(handles)
    cuts = [[0, *chosen, len(handles)] for chosen in combinations(headed, columns - 1)]
    ways = [[handles[i:j] for i, j in pairwise(cut)] for cut in cuts]
    rows, parts = min(((max(map(len, way)), way) for way in ways), key=itemgetter(0))
    padded = ([*part, *(legend_mark(label=" ") for _ in range(rows - len(part)))] for part in parts)
    return [handle for part in padded for handle in part]


def _leave_out_repeated_label(panel: Axes) -> None:
    """In a row of axes with one scale the first one says what it is of."""
    place = panel.get_subplotspec()
    if place is None or place.is_first_col():
        return
    for other in panel.get_shared_y_axes().get_siblings(panel):
        there = other.get_subplotspec()
        if (
            there is not None
            and there.is_first_col()
            and there.rowspan == place.rowspan
            and other.get_ylabel() == panel.get_ylabel()
        ):
            panel.set_ylabel("")


def panel_of(ax: Axes | None) -> Axes:
    """The axes given, or those of a new figure."""
    return new_figure(5.2, 3.6).subplots() if ax is None else ax
