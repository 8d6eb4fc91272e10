"""The canvas that the next figure is drawn on: its size, title and style, and who shows it.

Figures honour ``matplotlib.rcParams``: what the user has changed there stays as it is, and what is
as Matplotlib ships it gets the look of :data:`SETTINGS`. A style is a set of rcParams in turn.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import matplotlib
from matplotlib import rc_context
from matplotlib.figure import Figure

from numerics.core.validation import as_scalar, kind_of
from theory import InputError
from theory.errors import check_choice

FONT = 10.0
# names of rcParams are texts here
rcParams: Any = matplotlib.rcParams
rcParamsDefault: Any = matplotlib.rcParamsDefault
_LINE, _MARKER = (float(rcParamsDefault[f"lines.{name}"]) for name in ("linewidth", "markersize"))
# sizes of texts are set beside that of all texts
_OFFSETS = {
    "axes.titlesize": 1.0,
    "axes.labelsize": 0.0,
    "legend.fontsize": -0.5,
    "xtick.labelsize": -1.0,
    "ytick.labelsize": -1.0,
}
SETTINGS: dict[str, Any] = {
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e3e3e3",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "svg.hashsalt": "specalign",
    "figure.facecolor": "white",
    "savefig.dpi": 150,
}
STYLES: dict[str, dict[str, Any]] = {
    "paper": {
        "font.size": 8.0,
        "lines.linewidth": 1.2,
        "lines.markersize": 5.0,
        "axes.linewidth": 0.6,
        "grid.linewidth": 0.4,
        "savefig.dpi": 300,
        "pdf.fonttype": 42,
    },
    "talk": {
        "font.size": 15.0,
        "lines.linewidth": 2.4,
        "lines.markersize": 9.0,
        "axes.linewidth": 1.2,
    },
}
# inches
_SMALLEST, _LARGEST = 1.0, 60.0
# no page of a journal has room for more: 180 mm, both of its columns
_WIDEST = {"paper": 7.1}


@dataclass(frozen=True)
class Canvas:
    """What is asked of a figure; None where the figure knows best.

    Attributes
    ----------
    size : (width, height) in inches, optional
    title : str, optional
        "" for none.
    style : str, optional
        One of STYLES.
    shown : bool
        Whether pyplot holds the figure, which shows it in a notebook and by ``plt.show()``.
    """

    size: tuple[float, float] | None = None
    title: str | None = None
    style: str | None = None
    shown: bool = False


_PLAIN = Canvas()
_CANVAS: ContextVar[Canvas] = ContextVar("canvas", default=_PLAIN)
Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


def current_canvas() -> Canvas:
    """The canvas of the next figure."""
    return _CANVAS.get()


@contextmanager
def canvas(**asked: Any) -> Iterator[None]:
    """Draw on a canvas like this; what is None stays as it is.

    Examples
    --------
    >>> with canvas(size=(3, 2)):
    ...     print(new_figure(8, 4).get_size_inches())
    [3. 2.]
    """
    given = {name: value for name, value in asked.items() if value is not None}
    if "size" in given:
        given["size"] = check_size(given["size"])
    if "style" in given:
        check_choice("style", given["style"], STYLES)
    token = _CANVAS.set(replace(_CANVAS.get(), **given))
    try:
        yield
    finally:
        _CANVAS.reset(token)


def check_size(size: object) -> tuple[float, float]:
    """Width and height in inches.

    Raises
    ------
    theory.InputError
        Anything but two numbers of a reasonable size.
    """
    remedy = "give width and height in inches, such as (7, 4)"
    if not isinstance(size, (tuple, list)) or len(size) != 2:
        raise InputError("size", kind_of(size), "two numbers", remedy)
    width, height = (as_scalar("size", length, 0.0, True, remedy) for length in size)
    for length in (width, height):
        if not _SMALLEST <= length <= _LARGEST:
            expected = f"from {_SMALLEST:g} to {_LARGEST:g} inches"
            raise InputError("size", f"{length:g}", expected, remedy)
    return width, height


def _settings() -> dict[str, Any]:
    """Our look where the user has none of their own, and the style that is asked for."""
    style = _CANVAS.get().style
    asked = {} if style is None else STYLES[style]
    font = asked.get("font.size", rcParams["font.size"])
    wanted = SETTINGS | {name: font + offset for name, offset in _OFFSETS.items()}
    return {n: v for n, v in wanted.items() if rcParams[n] == rcParamsDefault[n]} | asked


def styled(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Decorate a function that draws."""

    @wraps(function)
    def draw(*arguments: Parameters.args, **named: Parameters.kwargs) -> Result:
        settings: Any = _settings()
        with rc_context(settings):
            return function(*arguments, **named)

    return draw


def new_figure(width: float, height: float, layout: Any = "constrained") -> Figure:
    """A figure of this size for letters of ten points, or of the size that is asked for."""
    asked, scale = _CANVAS.get(), rcParams["font.size"] / FONT
    size: Any = (min(width, room_across()) * scale, height * scale)
    if asked.size is not None:
        size = asked.size
    elif rcParams["figure.figsize"] != rcParamsDefault["figure.figsize"]:
        size = tuple(rcParams["figure.figsize"])
    if asked.shown:
        from matplotlib import pyplot

        return pyplot.figure(figsize=size, layout=layout)
    return Figure(figsize=size, layout=layout)


def room_across() -> float:
    """Inches that a figure can be wide, for letters of ten points; infinite where nobody set it.

    Examples
    --------
    >>> with canvas(size=(3, 2)):
    ...     print(room_across())
    3.0
    """
    asked = _CANVAS.get()
    widest = _WIDEST.get(asked.style or "", math.inf)
    if asked.size is not None:
        widest = asked.size[0]
    return widest * FONT / float(rcParams["font.size"])


def font_size(offset: float = 0.0) -> float:
    """The size of texts, a little larger or smaller."""
    return float(rcParams["font.size"]) + offset


def line_width(width: float) -> float:
    """A width of lines, in proportion to what the user has."""
    return width * float(rcParams["lines.linewidth"]) / _LINE


def mark_size(size: float) -> float:
    """A size of marks, likewise."""
    return size * float(rcParams["lines.markersize"]) / _MARKER


def colours(palette: tuple[str, ...]) -> tuple[str, ...]:
    """The colours of the user's cycle where there is one, else ours."""
    cycle = rcParams["axes.prop_cycle"]
    if cycle == rcParamsDefault["axes.prop_cycle"]:
        return palette
    return tuple(cycle.by_key().get("color", palette))
