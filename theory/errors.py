"""The one shape of an input error: parameter, what was got, what was expected, the remedy."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """A value the user gave cannot be used; raised before any work starts.

    Parameters
    ----------
    parameter : str
        Name of the parameter at fault, as the user wrote it.
    got : object
        The offending value (its ``str`` is shown).
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
        super().__init__(f"{parameter}: got {got}; expected {expected}. Remedy: {remedy}{stop}")

    def __reduce__(self) -> tuple[type[InputError], tuple[str, object, str, str]]:
        return type(self), (self.parameter, self.got, self.expected, self.remedy)


def check_choice(parameter: str, got: object, known: Iterable[str], kind: str = "name") -> str:
    """Return ``got`` if it is known, else refuse it with the nearest known name."""
    names = list(known)
    if isinstance(got, str) and got in names:
        return got
    close = difflib.get_close_matches(str(got), names, n=1, cutoff=0.5)
    remedy = f"did you mean {close[0]!r}" if close else f"use a known {kind}"
    raise InputError(parameter, repr(got), f"one of {', '.join(names)}", remedy)
