"""Values as they are written: text on the command line, entries of a TOML file; and the names they
may have.

Numbers stay exact (``fractions.Fraction``) until a model asks for floats, so that 0.1 is 1/10 in a
formula.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from fractions import Fraction
from tokenize import TokenError
from typing import Any

import sympy as sp
from sympy.parsing.sympy_parser import auto_number, rationalize

from theory import InputError

# a float only where there is no fraction: NaN and infinities, which are refused by name
Number = Fraction | float


# --- values written as text on the command line ---------------------------------------------------


def parse_number(parameter: str, text: str) -> Number:
    """Read ``0.1``, ``1e-3`` or ``1/3``."""
    try:
        return exact_number(text.strip())
    except (ValueError, ZeroDivisionError) as error:
        raise InputError(
            parameter, repr(text), "a number such as 0.1, 1e-3 or 1/3", "check the spelling"
        ) from error


def parse_integer(parameter: str, text: str) -> int:
    """Read ``1000``."""
    try:
        return int(text)
    except ValueError as error:
        raise InputError(
            parameter, repr(text), "an integer", "write digits only, such as 1000"
        ) from error


def parse_list(parameter: str, text: str) -> list[Number]:
    """Read numbers separated by commas."""
    try:
        return [exact_number(entry.strip()) for entry in text.split(",")]
    except (ValueError, ZeroDivisionError) as error:
        raise InputError(
            parameter,
            repr(text),
            "numbers separated by commas, such as 0.5,0.3,0.2",
            "check the spelling",
        ) from error


def parse_names(parameter: str, text: str) -> list[str]:
    """Names separated by commas, each once."""
    names = [name.strip() for name in text.split(",")]
    if not all(names):
        raise InputError(parameter, repr(text), "names separated by commas", "write curves,chain")
    return list(dict.fromkeys(names))


def parse_rows(parameter: str, text: str) -> list[list[Number]]:
    """Read rows separated by semicolons, each of numbers separated by commas."""
    try:
        return [
            [exact_number(entry.strip()) for entry in row.split(",")] for row in text.split(";")
        ]
    except (ValueError, ZeroDivisionError) as error:
        raise InputError(
            parameter,
            repr(text),
            "rows separated by semicolons, such as '1,0.4;0.4,1'",
            "put the value in quotes, commas inside a row, semicolons between rows",
        ) from error


def exact_number(text: str) -> Number:
    """The fraction that a text writes; NaN and infinities as floats."""
    try:
        value = float(text)
    except ValueError:
        return Fraction(text)  # 1/3; anything else raises ValueError again
    if value == 0:
        return Fraction(0)
    return Fraction(text) if math.isfinite(value) else value


_FUNCTIONS = ("exp", "log", "sqrt", "sin", "cos", "pi", "Min", "Max")


def parse_schedule(parameter: str, text: str) -> sp.Expr:
    """Read an expression in t, such as ``1/(1 + t)``; nothing but numbers, t and elementary
    functions.
    """
    expected = f"an expression in t, of numbers, + - * / ** and {', '.join(_FUNCTIONS)}"
    words = set(re.findall(r"[A-Za-z_]\w*", re.sub(r"[\d.]+[eE][+-]?\d+", "0", text)))
    unknown = sorted(words - {"t", *_FUNCTIONS})
    if unknown or not re.fullmatch(r"[\w\s.+\-*/(),]+", text):
        remedy = "write ** for powers" if "^" in text else "check it"
        raise InputError(
            parameter,
            repr(text),
            expected,
            f"{unknown[0]} is not known here" if unknown else remedy,
        )
    if re.search(r"\*\*[\s(]*[\d.]+[\s)]*\*\*", text):
        raise InputError(
            parameter, repr(text), expected, "towers of powers are not worked out: write the number"
        )
    names = {name: getattr(sp, name) for name in _FUNCTIONS} | {
        "t": sp.Symbol("t", nonnegative=True)
    }
    try:
        found = sp.sympify(
            sp.parse_expr(text, local_dict=names, transformations=(auto_number, rationalize))
        )
    except (SyntaxError, TypeError, ValueError, AttributeError, TokenError) as error:
        raise InputError(
            parameter, repr(text), expected, "check the brackets and the spelling"
        ) from error
    if not isinstance(found, sp.Expr) or found.has(sp.I, sp.nan, sp.zoo, sp.oo):
        raise InputError(parameter, repr(text), expected, "give a real number for every t")
    return found


# --- values read from TOML ------------------------------------------------------------------------


def _read_number(key: str, value: Any) -> Number:
    if isinstance(value, str):
        # only what TOML cannot write as a number may be in quotes
        if "/" in value:
            return parse_number(key, value)
        raise InputError(
            key,
            f"the text {value!r}",
            "a number",
            "write numbers without quotes; only fractions such as '1/3' need them",
        )
    if isinstance(value, bool) or not isinstance(value, (int, float, Fraction)):
        raise InputError(key, _plain(value), "a number", f"write {key} = {_EXAMPLES.get(key, 1)}")
    return Fraction(value) if isinstance(value, int) else value


def _read_list(key: str, value: Any) -> list[Number]:
    if not isinstance(value, list) or not value:
        raise InputError(key, _plain(value), "a list of numbers", f"write {key} = [0.5, 0.5]")
    for entry in value:
        if isinstance(entry, list):
            raise InputError(
                key,
                _plain(value),
                "a list of numbers",
                f"write {key} = [0.5, 0.5], without inner brackets",
            )
    return [_read_number(key, entry) for entry in value]


def _read_rows(key: str, value: Any) -> list[list[Number]]:
    if not isinstance(value, list) or not value or not all(isinstance(row, list) for row in value):
        raise InputError(key, _plain(value), "a list of rows", f"write {key} = [[1, 0], [0, 1]]")
    return [_read_list(key, row) for row in value]


def _read_rows_or_name(key: str, value: Any) -> list[list[Number]] | str:
    return value if isinstance(value, str) else _read_rows(key, value)


def _read_time(key: str, value: Any) -> Number | list[Number]:
    if value == []:
        raise InputError(
            key,
            "[]",
            "the end of the run, or a list of times",
            f"write {key} = 16 or {key} = [0, 4, 16]",
        )
    return _read_list(key, value) if isinstance(value, list) else _read_number(key, value)


def _read_integer(key: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise InputError(
            key,
            _plain(value),
            "an integer",
            f"write {key} = {_meant(value) or _EXAMPLES.get(key, 1)}",
        )
    return value


def _read_text(key: str, value: Any) -> str:
    if not isinstance(value, str):
        raise InputError(
            key,
            _plain(value),
            "a text in quotes",
            f'write {key} = "{_EXAMPLES.get(key, "a text")}"',
        )
    return value


READERS: dict[str, Callable[[str, Any], Any]] = {
    "name": _read_text,
    "k": _read_integer,
    "width": _read_integer,
    "activation": _read_text,
    "weights": _read_list,
    "precision": _read_number,
    "ridge": _read_number,
    "step": _read_number,
    "directions_gram": _read_rows_or_name,
    "overlap": _read_rows,
    "gram_perp": _read_rows_or_name,
    "readout": _read_list,
    "time": _read_time,
    "dimension": _read_integer,
    "replicas": _read_integer,
    "samples": _read_integer,
    "seed": _read_integer,
    "method": _read_text,
    "batch": _read_integer,
    "schedule": _read_text,
    "noise": _read_text,
    "random": _read_number,
    "samples_per_dimension": _read_number,
}


# what a message proposes where the value itself says nothing
_EXAMPLES: dict[str, Any] = {
    "name": "kgmm",
    "activation": "relu",
    "k": 3,
    "width": 4,
    "precision": 10,
    "ridge": 0.1,
    "step": 1,
    "time": 16,
    "dimension": 1000,
    "replicas": 20,
    "samples": 20000,
    "seed": 0,
    "method": "reduced",
    "batch": 1,
    "schedule": "1/(1 + t)",
    "noise": "gaussian",
    "samples_per_dimension": 20,
}


def _meant(value: Any) -> str | None:
    """The integer somebody meant who wrote '3' or 3.0."""
    try:
        number = Fraction(value)
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        return None
    return str(number) if number.denominator == 1 and not isinstance(value, bool) else None


def _plain(value: Any) -> str:
    """A value as it stands in the file."""
    if isinstance(value, list):
        return f"[{', '.join(map(_plain, value))}]"
    return str(float(value)) if isinstance(value, Fraction) else repr(value)
