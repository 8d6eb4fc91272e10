"""A line of the header of printed formulas."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Note:
    """A line of the header, as text and as LaTeX."""

    text: str
    latex: str
