"""What several commands share besides their options."""

from __future__ import annotations

from typing import TypeVar

from theory import InputError
from verify.settings.configuration import Configuration
from verify.settings.values import parse_number

T = TypeVar("T")

# what is taken where nothing is said
DIMENSION, REPLICAS = 1000, 20


def or_default(value: T | None, default: T) -> T:
    """The value, or what is taken where nothing is said."""
    return default if value is None else value


def read_block(text: str, given: Configuration, *further: str) -> tuple[int, int] | str:
    """Read a block: units count from 1 here, as in every printed symbol, and from 0 in Python.

    ``further`` are names that two layers have beside readout and all.
    """
    start, name = given.kind.start(given.size), text.strip()
    of_two = ("readout", "all", *further)
    units, names = len(start.overlap), ("full", *of_two) if start.readout else ("full",)
    if name in names:
        return "first_layer" if name == "full" else name
    if name in of_two:
        raise InputError(
            "--block",
            repr(text),
            f"A,B with units 1..{units}, or full",
            f"the model {given.model_name} has no readout parameters: full is everything",
        )
    try:
        pair = tuple(int(part) for part in name.split(","))
    except ValueError:
        pair = ()
    if len(pair) != 2 or not all(1 <= a <= units for a in pair):
        raise InputError(
            "--block",
            repr(text),
            f"A,B with units 1..{units}, or {', '.join(names)}",
            f"write --block 1,{min(2, units)} for the block of units 1 and {min(2, units)}",
        )
    return pair[0] - 1, pair[1] - 1


def time_on_curve(text: str) -> float:
    """Read a time on the theoretical curve."""
    from numerics.core.validation import as_scalar

    return as_scalar(
        "--at",
        float(parse_number("--at", text)),
        0.0,
        False,
        "give a time in units of steps * c_delta / dimension",
    )
