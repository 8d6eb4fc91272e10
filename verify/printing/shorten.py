"""Long texts cut to what a line of a report holds."""

from __future__ import annotations

from itertools import islice
from typing import Any

import sympy as sp
from sympy.printing.str import StrPrinter

# expressions of more parts are not printed to their end, which takes longer than to judge them
LONG = 300


def shorten(value: object, limit: int = 300) -> str:
    """``str(value)``, its end replaced by three dots where it is longer than ``limit``.

    Examples
    --------
    >>> shorten("abcdefgh", 6), shorten(12345, 6)
    ('abc...', '12345')
    """
    large = isinstance(value, sp.Expr) and _parts_reach(value, LONG)
    text = _Beginning(limit).doprint(value) if large else str(value)
    return text if len(text) <= limit else f"{text[: limit - 3]}..."


def _parts_reach(value: sp.Expr, count: int) -> bool:
    # counting operations would split every fraction
    return any(True for _ in islice(sp.preorder_traversal(value), count, None))


class _Beginning(StrPrinter):
    """Prints as many parts of an expression as characters are shown, in the order they stand in."""

    def __init__(self, limit: int) -> None:
        super().__init__({"order": "none"})
        self._left = limit

    def _print(self, expr: Any, **further: Any) -> str:
        self._left -= 1
        return "..." if self._left < 0 else str(super()._print(expr, **further))
