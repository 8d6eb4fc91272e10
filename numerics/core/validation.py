"""Checks of numbers and arrays that come from outside."""

from __future__ import annotations

import os
import sys
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theory import InputError

# eigenvalues of a Gram matrix below this, relative to the largest, are directions of length zero
RANK_TOLERANCE = 1e-13
SEEDS = "seeds are non-negative integers"


Array = NDArray[np.float64]

# a Gram matrix computed in floating point may have eigenvalues this far below 0, relative to its
# largest
PSD_SLACK = 1e-10
# numbers of a list or another sequence that is no array; digits of an integer, beyond which
# estimates in double precision overflow
MOST_ENTRIES, MOST_DIGITS = 5_000_000, 100


def check_times(time: ArrayLike) -> Array:
    """Return increasing finite times >= 0; a scalar T becomes 201 equidistant times on [0, T]."""
    if not hasattr(time, "__len__") or getattr(time, "ndim", 1) == 0 or isinstance(time, str):
        stop = as_scalar(
            "time", time, 0.0, True, "give a positive end or an increasing list of times"
        )
        return np.linspace(0.0, stop, 201)
    times = as_array("time", time, 1)
    if times.size == 0 or times[0] < 0 or np.any(np.diff(times) <= 0):
        raise InputError(
            "time",
            times.tolist() if times.size < 20 else f"{times.size} values",
            "one or more increasing times >= 0",
            "sort the times and remove repetitions" if times.size else "give at least one time",
        )
    return times


def as_array(name: str, value: ArrayLike, dimensions: int) -> Array:
    """Return a fresh finite float array of so many dimensions, or say what is wrong."""
    check_entries(name, value)
    if isinstance(value, np.ndarray):  # a view may have more entries than memory
        check_memory(name, f"{value.size} entries", value.size, "give fewer numbers")
    expected = f"numbers in {dimensions} dimension(s)"
    try:
        odd = _first_no_number(value)
        with np.errstate(over="ignore"):  # beyond the largest double: refused below as infinite
            array = np.empty(0) if odd is not None else np.array(value, dtype=float)
    # what is no array may raise anything where it is asked for one
    except Exception as error:
        nested = isinstance(value, (list, tuple, np.ndarray))
        remedy = "give an array, or nested lists of numbers"
        if isinstance(error, OverflowError):
            remedy = "give numbers that double precision can hold"
        elif nested:
            remedy = "give rows of equal length"
        got = repr_of(value) if nested else kind_of(value)
        raise InputError(name, got, expected, remedy) from error
    if odd is not None:
        raise InputError(name, kind_of(odd), expected, "write real numbers, without quotes")
    if array.ndim != dimensions:
        raise InputError(
            name,
            f"{array.ndim} dimension(s), shape {array.shape}",
            f"{dimensions} dimension(s)",
            "check the nesting of the lists",
        )
    if not np.all(np.isfinite(array)):
        raise InputError(name, array.tolist(), "finite numbers", "remove NaN and infinities")
    return array


def check_entries(name: str, value: object) -> None:
    """Refuse what holds more numbers than can be copied, and arrays with masked entries."""
    if isinstance(value, np.ndarray):
        if np.ma.is_masked(value):
            remedy = "fill the masked entries, or leave them out: value.compressed()"
            raise InputError(name, "an array with masked entries", "numbers", remedy)
        return
    count, entries = 0, [value]
    for _ in range(2):  # rows, and what stands in them
        if len(entries) == 1 and not isinstance(entries[0], (list, tuple)):
            count = check_length(entries[0])
        else:
            count = sum(map(check_length, entries))
        if count > MOST_ENTRIES:
            expected = f"at most {MOST_ENTRIES} numbers that stand in no array"
            raise InputError(name, f"{count} entries", expected, "give a NumPy array")
        entries = [row for e in entries if isinstance(e, (list, tuple)) for row in e]


def check_length(value: object) -> int:
    """Entries of a sequence or array; 0 of what is none."""
    if isinstance(value, (str, bytes)) or not hasattr(type(value), "__len__"):
        return 0
    try:
        return len(value)  # type: ignore[arg-type]
    except OverflowError:  # longer than an index can count
        return MOST_ENTRIES + 1
    except Exception:
        return 0  # is refused where it is read


def as_scalar(name: str, value: object, low: float, strict: bool, remedy: str) -> float:
    """Return ``value`` as a finite float above ``low`` (or equal to it unless ``strict``)."""
    if _is_no_number(value) or getattr(value, "ndim", 0) != 0:
        raise InputError(name, kind_of(value), "a number", remedy)
    try:
        number = float(value)  # type: ignore[arg-type]
    except OverflowError as error:
        limit = f"a finite number {'>' if strict else '>='} {low:g}"
        got = "a number beyond the largest double"
        raise InputError(name, got, limit, remedy) from error
    except Exception as error:  # what is no number may raise anything
        raise InputError(name, kind_of(value), "a number", remedy) from error
    if not np.isfinite(number) or number < low or (strict and number == low):
        raise InputError(name, number, f"a finite number {'>' if strict else '>='} {low:g}", remedy)
    return number


def repr_of(value: object) -> str:
    """The repr of a value, or what it is where that fails."""
    try:
        return repr(value)
    except Exception:  # integers of thousands of digits, objects of the user's
        return f"a {type(value).__name__}"


def kind_of(value: object) -> str:
    """What an argument of a wrong kind is, in words: ``a Dataset of overlap, gram_perp``."""
    if value is None:
        return "None"
    # who holds a Dataset has imported its package, which takes a third of a second
    xarray = sys.modules.get("xarray")
    if xarray is not None and isinstance(value, xarray.Dataset):
        names = list(map(str, value.data_vars))
        return f"a Dataset of {', '.join(names[:4])}{', ...' if len(names) > 4 else ''}"
    if isinstance(value, np.ndarray) and value.ndim:
        return f"an array of shape {value.shape}"
    if isinstance(value, (str, bytes, int, float, complex, np.generic, np.ndarray)):
        return repr_of(value)
    name = getattr(value, "__qualname__", None)  # a class, or a function
    if name is not None:
        return f"the {'class' if isinstance(value, type) else 'function'} {name}"
    kind = type(value).__name__
    return f"{'an' if kind[0] in 'AEIOUaeiou' else 'a'} {kind}"


def check_kind(name: str, value: object, kind: type, remedy: str) -> None:
    """Refuse a value of the argument ``name`` that is not of its kind."""
    if not isinstance(value, kind):
        package = kind.__module__.partition(".")[0]
        # what is public a user reaches as sa.…
        public = kind.__name__ in getattr(sys.modules.get(package), "__all__", ())
        expected = f"{'sa' if public else package}.{kind.__name__}"
        raise InputError(name, kind_of(value), expected, remedy)


def check_callable(name: str, value: object, remedy: str) -> None:
    """Refuse a value of the argument ``name`` that cannot be called."""
    if not callable(value):
        raise InputError(name, kind_of(value), "a function", remedy)


def as_path(name: str, value: object) -> Path:
    """Return the path that a text or a Path names."""
    if not isinstance(value, (str, Path)):
        raise InputError(name, kind_of(value), "the path of a file or folder", "give its name")
    if "\0" in str(value):
        expected, remedy = "a path without zero bytes", "check where the name comes from"
        raise InputError(name, repr(str(value)), expected, remedy)
    return Path(value)


def _is_infinite(value: object) -> bool:
    return isinstance(value, (float, np.floating)) and bool(value == np.inf)


def _is_no_number(value: object) -> bool:
    """True for texts, truth values, dates and complex numbers, which NumPy would turn into numbers
    without a word.
    """
    kind = getattr(getattr(value, "dtype", None), "kind", "O")
    return isinstance(value, (str, bytes, bool, complex, date, timedelta)) or kind not in "iufO"


def _first_no_number(value: ArrayLike) -> object:
    """The first entry of a nested sequence that is none, or None."""
    if getattr(getattr(value, "dtype", None), "kind", "O") in "iuf":
        return None
    return next((e for e in np.array(value, dtype=object).ravel() if _is_no_number(e)), None)


def as_integer(name: str, value: object, low: int, remedy: str) -> int:
    """Return ``value`` as an integer >= ``low``, of at most MOST_DIGITS digits."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise InputError(
            name, kind_of(value), f"an integer >= {low}", _meant_integer(value, low) or remedy
        )
    if value < low:
        raise InputError(name, kind_of(value), f"an integer >= {low}", remedy)
    if value >= 10**MOST_DIGITS:
        expected = f"an integer of at most {MOST_DIGITS} digits"
        raise InputError(name, f"{int(value).bit_length()} bits", expected, remedy)
    return int(value)


def _meant_integer(value: object, low: int) -> str | None:
    """What to write for a text or a float that is an integer as soon as it is spelt as one."""
    try:
        number = float(value) if isinstance(value, (str, float)) else np.nan
    except Exception:  # texts of the user's own kind may raise anything
        return None
    if not number.is_integer() or not low <= number < 2**53:
        return None
    return f"write {int(number)}, without {'quotes' if isinstance(value, str) else 'decimal point'}"


def as_generator(seed: object) -> np.random.Generator:
    """The random numbers of a seed: an integer >= 0, a SeedSequence, or a Generator itself."""
    if isinstance(seed, np.random.Generator):
        return seed
    if isinstance(seed, np.random.SeedSequence):
        return np.random.default_rng(seed)
    return np.random.default_rng(as_integer("seed", seed, 0, SEEDS))


def check_square(name: str, matrix: Array) -> None:
    """Refuse a matrix that is not square."""
    if matrix.shape[0] != matrix.shape[1]:
        raise InputError(name, f"shape {matrix.shape}", "a square matrix", "give a Gram matrix")


def check_gram(name: str, gram: Array, definite: bool = False) -> None:
    """Refuse a matrix that is not square, symmetric and positive semidefinite (definite on
    request).
    """
    check_square(name, gram)
    scale = np.abs(gram).max(initial=0.0)
    if np.abs(gram - gram.T).max(initial=0.0) > PSD_SLACK * scale:
        raise InputError(name, gram.tolist(), "a symmetric matrix", "symmetrise it: (G + G.T) / 2")
    lowest = np.linalg.eigvalsh(gram)[0] if gram.size else 0.0
    negative = lowest < -PSD_SLACK * scale
    if negative or (definite and lowest <= 1e-12 * np.trace(gram)):
        raise InputError(
            name,
            f"{gram.tolist()} (smallest eigenvalue {lowest:.6g})",
            "a positive definite matrix, that is linearly independent means"
            if definite
            else "a positive semidefinite matrix",
            "a Gram matrix of real vectors has no negative eigenvalue"
            if negative
            else "state means that depend on each other by coordinates in fewer directions: "
            "kgmm(k, means=...)",
        )


# float32 or float64
Floats = NDArray[np.floating[Any]]


# --- memory and work, estimated before they are asked for -----------------------------------------

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
