"""Figures: ``sa.plot.curves`` and its like take Matplotlib axes or make a figure, and return axes.

The module is :mod:`verify.figures.on_axes`, which is loaded with Matplotlib for the first figure
that is asked for.

>>> import specalign as sa
>>> "curves" in dir(sa.plot)
True
"""

from __future__ import annotations

from typing import Any

FIGURES = (
    "alignment",
    "curves",
    "effective",
    "emergence",
    "heatmap",
    "layers",
    "phases",
    "spectrum",
    "sweep",
)
_OTHERS = ("save", "style")


def __getattr__(name: str) -> Any:
    if name in FIGURES or name in _OTHERS:
        from verify.figures import on_axes

        return getattr(on_axes, name)
    raise AttributeError(f"specalign.plot has no figure {name!r}: dir(specalign.plot) lists them")


def __dir__() -> list[str]:
    return sorted((*FIGURES, *_OTHERS))
