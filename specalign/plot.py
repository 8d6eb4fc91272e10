"""Figures under short names: ``sa.plot.curves`` is :func:`verify.plot_curves`.

>>> import specalign as sa
>>> "curves" in dir(sa.plot)
True
"""

from __future__ import annotations

from typing import Any

_PREFIX = "plot_"


def __getattr__(name: str) -> Any:
    # a figure needs matplotlib, which is loaded for the first one that is asked for
    if not name.startswith("_"):
        import verify

        if _PREFIX + name in verify.__all__:
            return getattr(verify, _PREFIX + name)
        if name == "save":
            return verify.save_figure
    raise AttributeError(f"specalign.plot has no figure {name!r}: dir(specalign.plot) lists them")


def __dir__() -> list[str]:
    import verify

    return sorted(
        ["save", *(n.removeprefix(_PREFIX) for n in verify.__all__ if n.startswith(_PREFIX))]
    )
