"""The one shape of an input error: parameter, what was got, what was expected, the remedy."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

# characters of a value that a message shows, half of them from either end
MOST_SHOWN = 1000
# letters that may stand for the beginning of a known name
BEGINNING = 3
# and of each part of an object that shows what it is made of
MOST_OF_PART = 120


def brief(value: object, most: int = MOST_SHOWN) -> str:
    r"""The text of a value for one line of a terminal: cut where it is long, escaped where it is
    not printable.

    A value may come from anywhere: its text may be endless, hold codes that move the cursor or
    turn the direction of writing, or fail to be made.

    Examples
    --------
    >>> brief("a\u202eb") == r"a\u202eb", len(brief("9" * 5000)) < 1100
    (True, True)
    """
    try:
        text = str(value)
    except Exception:  # integers of thousands of digits, objects of the user's
        text = f"a value of the type {type(value).__name__}"
    if len(text) > most:
        half = most // 2
        text = f"{text[:half]} ... {text[-half:]} ({len(text)} characters)"
    return printable(text)


def brief_parts(**parts: object) -> str:
    """``name=value`` of the parts of an object in one line, each cut where it is long.

    Examples
    --------
    >>> brief_parts(step=1, gram=[[1, 0], [0, 1]])
    'step=1, gram=[[1, 0], [0, 1]]'
    """
    return ", ".join(f"{name}={brief(value, MOST_OF_PART)}" for name, value in parts.items())


def printable(text: str) -> str:
    """The text with codes that would move the cursor or turn the writing as escapes."""
    return "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in text)


class InputError(ValueError):
    """A value the user gave cannot be used; raised before any work starts.

    Parameters
    ----------
    parameter : str
        Name of the parameter at fault, as the user wrote it.
    got : object
        The offending value (its ``str`` is shown, cut where it is long).
    expected : str
        What would have been accepted.
    remedy : str
        What to do about it.

    Examples
    --------
    >>> print(InputError("precision", -1, "a number > 0", "give lambda, not the variance"))
    precision: got -1; expected a number > 0. Remedy: give lambda, not the variance.
    """

    def __init__(self, parameter: str, got: object, expected: str, remedy: str) -> None:
        self.parameter = parameter
        self.got = got
        self.expected = expected
        self.remedy = remedy
        stop = "" if remedy.endswith(("?", ".")) else "."
        name, value, wanted, help = map(brief, (parameter, got, expected, remedy))
        super().__init__(f"{name}: got {value}; expected {wanted}. Remedy: {help}{stop}")

    def __reduce__(self) -> tuple[type[InputError], tuple[str, object, str, str]]:
        return type(self), (self.parameter, self.got, self.expected, self.remedy)


def check_choice(parameter: str, got: object, known: Iterable[str], kind: str = "name") -> str:
    """Return ``got`` if it is known, else refuse it with the nearest known name."""
    names = list(known)
    if isinstance(got, str) and got in names:
        return got
    typed = str(got) if isinstance(got, str) and len(got) < MOST_SHOWN else ""
    close = difflib.get_close_matches(typed, names, n=1, cutoff=0.5)
    if not close and len(typed) >= BEGINNING:
        close = [name for name in names if name.startswith(typed)]
    remedy = f"did you mean {close[0]!r}" if close else f"use a known {kind}"
    shown = repr(got) if isinstance(got, str) else brief(got)
    raise InputError(parameter, shown, f"one of {', '.join(names)}", remedy)
