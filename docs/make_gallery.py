"""Draw the figures of the gallery: ``PYTHONPATH=. python docs/make_gallery.py`` (about a minute).

Every snippet of docs/gallery.md below a heading ``### ... { #name }`` is run and its last figure
written to docs/img/gallery/name.png.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot
from matplotlib.figure import Figure

import specalign as sa

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "gallery.md"
PLACE = ROOT / "docs" / "img" / "gallery"
_ENTRY = re.compile(r"^### .*?\{ #(?P<name>\w+) \}$.*?^```python\n(?P<code>.*?)^```", re.S | re.M)
_DOTS_PER_INCH = 80


def snippets() -> Iterator[tuple[str, str]]:
    """Name of every figure and its code; that of the first lines has no name."""
    text = PAGE.read_text("utf-8")
    first = re.search(r"^```python\n(.*?)^```", text, re.S | re.M)
    assert first is not None
    yield "", first[1]
    for match in _ENTRY.finditer(text):
        yield match["name"], match["code"]


def draw(code: str, space: dict[str, Any]) -> Figure | None:
    """Run a snippet; the figure that it leaves, if it leaves one."""
    pyplot.close("all")
    lines = code.rstrip().splitlines()
    start = max((i for i, line in enumerate(lines) if re.match(r"sa\.plot", line)), default=None)
    if start is not None:  # figures of functions that return them
        lines[start] = f"_shown = {lines[start]}"
    exec(compile("\n".join(lines), "gallery.md", "exec"), space)
    shown = space.pop("_shown", None)
    if isinstance(shown, Figure):
        return shown
    return pyplot.gcf() if pyplot.get_fignums() else None


def main(*names: str) -> None:
    """Draw all figures, or those of these names."""
    space: dict[str, Any] = {}
    PLACE.mkdir(exist_ok=True)
    for name, code in snippets():
        if names and name and name not in names:
            continue
        figure = draw(code, space)
        if name:
            assert figure is not None, name
            with matplotlib.rc_context({"savefig.dpi": _DOTS_PER_INCH}):
                sa.plot.save(figure, PLACE / f"{name}.png")
            print(name, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
