"""What to say when a result is less accurate than was asked for."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

from .errors import ToleranceWarning

_PACKAGE = str(Path(__file__).resolve().parent.parent)


def warn_of_tolerance(what: str, error: float, tolerance: float, reason: str) -> None:
    """Warn if the error estimate of a result is not within its tolerance; points at the caller of
    the package.

    Parameters
    ----------
    what : str
        The result, with its article.
    error, tolerance : float
    reason : str
        What reaches no more.
    """
    if error <= tolerance:
        return
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        level, frame = level + 1, frame.f_back
    warnings.warn(
        f"{what} has an estimated error of {error:.2g}, more than the tolerance {tolerance:.2g}: "
        f"{reason}",
        ToleranceWarning,
        stacklevel=level,
    )
