"""The version that results are made with."""

from __future__ import annotations

from functools import lru_cache


@lru_cache(maxsize=1)
def version() -> str:
    """Version of specalign, also from a source tree that was not installed."""
    # it searches the files of every installed package: once, and only where it is asked for
    from importlib import metadata

    try:
        return metadata.version("specalign")
    except metadata.PackageNotFoundError:
        return "0+source"
