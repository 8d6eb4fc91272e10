"""Long texts cut to what a line of a report holds."""

from __future__ import annotations

import sympy as sp

# sums of more operations are not printed to their end, which takes longer than to judge them
LONG = 300


def shorten(value: object, limit: int = 300) -> str:
    """``str(value)``, its end replaced by three dots where it is longer than ``limit``.

    Examples
    --------
    >>> shorten("abcdefgh", 6), shorten(12345, 6)
    ('abc...', '12345')
    """
    text = _beginning(value, limit) if isinstance(value, sp.Add) else str(value)
    return text if len(text) <= limit else f"{text[: limit - 3]}..."


def _beginning(value: sp.Add, limit: int) -> str:
    """The text of a sum, or its first terms where these alone are longer than ``limit``."""
    if value.count_ops() <= LONG:
        return str(value)
    text = ""
    for term in value.args:
        text += f" + {term}" if text else str(term)
        if len(text) > limit:
            return text.replace(" + -", " - ")
    return str(value)
