"""Values as they are written: text on the command line, entries of a TOML file.

Numbers stay exact (``fractions.Fraction``) until a model asks for floats, so that 0.1 is 1/10 in a
formula. Text is never evaluated: it is matched against what a number looks like in ASCII, so that
no other script's letters or digits pass for ours.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

from theory.errors import InputError

# a float only where there is no fraction: NaN and infinities, which are refused by name
Number = Fraction | float

# characters of a number, digits of an integer, characters of a text and of a message's excerpt:
# Python's own conversions take time that grows with the square of the length
MAX_NUMBER, MAX_DIGITS, MAX_TEXT, _SHOWN = 120, 100, 400, 60


@dataclass(frozen=True)
class Kind:
    """How values are read.

    Attributes
    ----------
    text : callable, (parameter, text) -> value
        From the command line.
    toml : callable, (key, value, example) -> value
        From a file; the example is what a message proposes.
    rank : int
        0 for one value, 1 for a list, 2 for rows.
    """

    text: Callable[[str, Any], Any]
    toml: Callable[[str, Any, Any], Any]
    rank: int = 0


def shown(value: object) -> str:
    """A value for a message, cut where it is long."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}... ({len(text)} characters)"


# --- text of the command line ---------------------------------------------------------------------


def exact_number(text: str) -> Number:
    """The fraction that a text writes; NaN and infinities as floats.

    Raises
    ------
    ValueError
        No number, too long, or not 0 and yet below the least double.
    """
    text = text.strip()
    if len(text) > MAX_NUMBER or not text.isascii():
        raise ValueError(text[:_SHOWN])
    if "/" in text:
        return Fraction(text)
    value = float(text)
    if value == 0:
        if re.search("[1-9]", text.lower().partition("e")[0]):
            raise ValueError(text)
        # a fraction would raise ten to whatever exponent is written beside it
        return Fraction(0)
    # by way of a decimal, which takes half the time
    return Fraction(Decimal(text)) if math.isfinite(value) else value


def _numbers(text: str) -> list[Number]:
    return [exact_number(entry) for entry in text.split(",")]


def _text_reader(
    read: Callable[[str], Any], expected: str, remedy: str = "check the spelling"
) -> Callable[[str, str], Any]:
    """A reader of text whose failures become one message."""

    def parse(parameter: str, text: str) -> Any:
        try:
            return read(text)
        except (ValueError, ZeroDivisionError) as error:
            raise InputError(parameter, shown(text), expected, remedy) from error

    return parse


def _whole(text: str) -> int:
    text = text.strip()
    if not re.fullmatch(r"[+-]?[0-9]+(_[0-9]+)*", text) or len(text) > MAX_DIGITS:
        raise ValueError(text[:_SHOWN])
    return int(text)


def _rows_or_name(text: str) -> list[list[Number]] | str:
    """A word is a name, to be judged where it is used; anything with a digit is rows."""
    is_name = text.isalpha() and text.lower() not in ("nan", "inf")
    return text if is_name else [_numbers(row) for row in text.split(";")]


def _names(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    if not all(names):
        raise ValueError(text)
    return list(dict.fromkeys(names))


def _assignments(text: str) -> dict[str, Number]:
    """T=0.5,margin=1: each name once."""
    pairs = [part.split("=") for part in text.split(",")]
    if any(len(pair) != 2 or not pair[0].strip().isidentifier() for pair in pairs):
        raise ValueError(text)
    names = [name.strip() for name, _ in pairs]
    if len(set(names)) < len(names):
        raise ValueError(text)
    return dict(zip(names, (exact_number(number) for _, number in pairs), strict=True))


def _name_and_numbers(count: int) -> Callable[[str], tuple[Any, ...]]:
    """A reader of a name and so many numbers, with blanks between them."""

    def read(text: str) -> tuple[Any, ...]:
        name, *numbers = text.split()
        if not name.isidentifier() or len(numbers) != count:
            raise ValueError(text)
        return name, *map(exact_number, numbers)

    return read


parse_number = _text_reader(exact_number, "a number such as 0.1, 1e-3 or 1/3")
parse_integer = _text_reader(
    _whole, f"an integer of at most {MAX_DIGITS} digits", "write digits only, such as 1000"
)
parse_list = _text_reader(_numbers, "numbers separated by commas, such as 0.5,0.3,0.2")
_ROWS = (
    "rows separated by semicolons, such as '1,0.4;0.4,1'",
    "put the value in quotes, commas inside a row, semicolons between rows",
)
parse_rows = _text_reader(lambda text: [_numbers(row) for row in text.split(";")], *_ROWS)
parse_assignments = _text_reader(
    _assignments, "names and numbers such as T=0.5,margin=1", "give every name one number"
)
parse_names = _text_reader(_names, "names separated by commas", "write curves,chain")


# --- entries of a TOML file -----------------------------------------------------------------------


def read_number(key: str, value: Any, example: Any = 1) -> Number:
    """A number of a file; a fraction may stand in quotes."""
    if isinstance(value, str):
        # only what TOML cannot write as a number may be in quotes
        if "/" in value:
            return parse_number(key, value)
        remedy = "write numbers without quotes; only fractions such as '1/3' need them"
        raise InputError(key, f"the text {shown(value)}", "a number", remedy)
    if isinstance(value, bool) or not isinstance(value, (int, float, Fraction)):
        raise InputError(key, _as_written(value), "a number", f"write {key} = {example}")
    return Fraction(read_integer(key, value)) if isinstance(value, int) else value


def read_list(key: str, value: Any, example: Any = None) -> list[Number]:
    """A list of numbers."""
    remedy = f"write {key} = [0.5, 0.5]"
    if not isinstance(value, list) or not value:
        raise InputError(key, _as_written(value), "a list of numbers", remedy)
    if any(isinstance(entry, list) for entry in value):
        remedy = f"{remedy}, without inner brackets"
        raise InputError(key, _as_written(value), "a list of numbers", remedy)
    return [read_number(key, entry) for entry in value]


def read_assignments(key: str, value: Any, example: Any = None) -> dict[str, Number]:
    """A table of names and numbers, or the text of the command line."""
    if isinstance(value, str):
        return dict(parse_assignments(key, value))
    if not isinstance(value, dict):
        expected, remedy = "a table of numbers", f"write {key} = {{T = 0.5}}"
        raise InputError(key, shown(value), expected, remedy)
    return {name: read_number(f"{key}.{name}", number) for name, number in value.items()}


def read_rows(key: str, value: Any, example: Any = None) -> list[list[Number]]:
    """A list of lists of numbers."""
    if not isinstance(value, list) or not value or not all(isinstance(row, list) for row in value):
        remedy = f"write {key} = [[1, 0], [0, 1]]"
        raise InputError(key, _as_written(value), "a list of rows", remedy)
    return [read_list(key, row) for row in value]


def _read_rows_or_name(key: str, value: Any, example: Any = None) -> list[list[Number]] | str:
    return value if isinstance(value, str) else read_rows(key, value)


def _read_time(key: str, value: Any, example: Any = 16) -> Number | list[Number]:
    if value == []:
        expected = "the end of the run, or a list of times"
        raise InputError(key, "[]", expected, f"write {key} = 16 or {key} = [0, 4, 16]")
    return read_list(key, value) if isinstance(value, list) else read_number(key, value, example)


def read_integer(key: str, value: Any, example: Any = 1) -> int:
    """An integer."""
    if isinstance(value, bool) or not isinstance(value, int):
        remedy = f"write {key} = {_meant(value) or example}"
        raise InputError(key, _as_written(value), "an integer", remedy)
    if abs(value) >= 10**MAX_DIGITS:
        expected = f"an integer of at most {MAX_DIGITS} digits"
        raise InputError(key, f"{value.bit_length()} bits", expected, "check the value")
    return value


def read_text(key: str, value: Any, example: Any = "a text") -> str:
    """A text."""
    if not isinstance(value, str):
        raise InputError(key, _as_written(value), "a text in quotes", f'write {key} = "{example}"')
    return str(_short_text(key, value))


def _meant(value: Any) -> str | None:
    """The integer somebody meant who wrote '3' or 3.0."""
    try:
        number = exact_number(value) if isinstance(value, str) else Fraction(value)
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        return None
    is_whole = isinstance(number, Fraction) and number.denominator == 1
    return str(number) if is_whole and not isinstance(value, bool) else None


def _as_written(value: Any) -> str:
    """A value as it stands in the file."""
    if isinstance(value, list):
        return f"[{', '.join(map(_as_written, value))}]"
    return str(float(value)) if isinstance(value, Fraction) else shown(value)


def _short_text(parameter: str, value: Any) -> Any:
    if len(value) > MAX_TEXT:
        expected = f"at most {MAX_TEXT} characters"
        raise InputError(parameter, shown(value), expected, "check the value")
    return value


def _parse_size(parameter: str, text: str) -> list[Number]:
    """Width and height, such as 7x4."""
    parts = text.lower().replace("×", "x").split("x")
    if len(parts) != 2:
        expected, remedy = "width x height in inches", "write 7x4"
        raise InputError(parameter, shown(text), expected, remedy)
    return [parse_number(parameter, part) for part in parts]


NUMBER = Kind(parse_number, read_number)
INTEGER = Kind(parse_integer, read_integer)
LIST = Kind(parse_list, read_list, rank=1)
ROWS = Kind(parse_rows, read_rows, rank=2)
ROWS_OR_NAME = Kind(_text_reader(_rows_or_name, *_ROWS), _read_rows_or_name)
TEXT = Kind(_short_text, read_text)
NAMES = Kind(parse_names, read_text)
ASSIGNMENTS = Kind(parse_assignments, read_assignments)
NAME_AND_NUMBER = Kind(
    _text_reader(_name_and_numbers(1), "a name and a number, such as accuracy 0.9"), read_text
)
NAME_AND_BOUNDS = Kind(
    _text_reader(_name_and_numbers(2), "a name and two numbers, such as step 0.1 3"), read_text
)
TIME = Kind(lambda p, text: (parse_list if "," in text else parse_number)(p, text), _read_time)
SIZE = Kind(_parse_size, read_text)
# a time, or the word for the end of the run
END = "end"
NUMBER_OR_END = Kind(
    lambda p, text: END if text.strip() == END else parse_number(p, text), read_number
)
