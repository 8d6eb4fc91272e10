"""Long texts cut to what a line of a report holds."""

from __future__ import annotations


def shorten(value: object, limit: int = 300) -> str:
    """``str(value)``, its end replaced by three dots where it is longer than ``limit``.

    Examples
    --------
    >>> shorten("abcdefgh", 6), shorten(12345, 6)
    ('abc...', '12345')
    """
    text = str(value)
    return text if len(text) <= limit else f"{text[: limit - 3]}..."
