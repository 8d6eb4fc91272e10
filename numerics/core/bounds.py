"""Memory and work, estimated before they are asked for."""

from __future__ import annotations

import os

from theory import InputError

# bytes assumed where the machine does not say how many it has; seconds of one processor, a year
ASSUMED_BYTES, MOST_SECONDS = 16e9, 3.2e7
# steps of a run: beyond, the numbers of steps are no longer exact in double precision
MOST_STEPS = 2**53


def memory() -> float:
    """Bytes of memory of this machine."""
    try:
        return float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (AttributeError, ValueError, OSError):
        return ASSUMED_BYTES


def check_memory(parameter: str, value: object, numbers: float, remedy: str) -> None:
    """Refuse work that needs more double-precision numbers than the machine can hold.

    Parameters
    ----------
    parameter : str
        The parameter that makes it large.
    value : object
        Its value.
    numbers : float
        How many numbers are held at once.
    remedy : str

    Raises
    ------
    theory.InputError

    Examples
    --------
    >>> check_memory("samples", 10, 1e4, "take fewer")
    >>> check_memory("samples", 10**12, 1e18, "take fewer")
    Traceback (most recent call last):
        ...
    theory.errors.InputError: samples: got 1000000000000, which takes about 8e+09 GB of memory; ...
    """
    most = memory()
    if 8 * numbers > most:
        got = f"{value}, which takes about {8 * numbers / 1e9:.3g} GB of memory"
        raise InputError(parameter, got, f"at most {most / 1e9:.3g} GB, all there is", remedy)


def check_work(parameter: str, value: object, operations: float, remedy: str) -> None:
    """Refuse work that takes longer than a year, at 1e9 operations a second.

    Raises
    ------
    theory.InputError
    """
    if operations / 1e9 > MOST_SECONDS:
        years = operations / 1e9 / MOST_SECONDS
        got = f"{value}, which takes about {years:.3g} years of one processor"
        raise InputError(parameter, got, "at most a year", remedy)
