"""What there is to say about an option."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any

from theory.errors import InputError, check_choice

from .models import DEFAULT_MODEL, MODELS
from .values import INTEGER, TEXT, Kind


@dataclass(frozen=True)
class Option:
    """An option of commands and, where ``table`` names one, a key of configuration files.

    Attributes
    ----------
    name : str
        In Python and in files; ``--name`` with dashes on the command line.
    metavar : str
        What stands for the value in a help text.
    meaning : str
        One or two sentences.
    kind : Kind
        How values are read.
    table : str or None
        Table of the file whose key it is.
    commands : tuple of str
        Commands that take it; none for what only the file of a sweep holds.
    panel : str
        Where a help text shows it.
    domain : str
        Which values it may have.
    least, most : number, optional
        Bounds of numbers (of their size, upwards), checked where they are read; what else depends
        on other values is checked by the function that uses it.
    tiny : float, optional
        Positive numbers below are refused too, where 0 has a meaning or an error of its own.
    beyond : str
        What to do about a value above ``most`` or below ``tiny``, and why there is a limit.
    default : object
        What is taken where nothing is said; a mapping from models where it depends on the model; a
        text in brackets describes it.
    choices : tuple of str
        All values there are.
    offered : tuple of str
        Values that a shell offers where others may be valid too, or are refused elsewhere.
        All values there are, where they are few.
    example : object
        What messages about files propose.
    flags : tuple of str
        How it is written, where that is not ``--name`` alone; a first flag without dashes is that
        of an argument.
    aliases : tuple of str
        Further spellings that are understood, and not shown.
    fixed : str
        Why it cannot be the axis of a sweep, and what to do.
    type : type
        Of what Typer hands on: str, bool, Path, or a list of paths.
    required : bool
    words : int
        Words of a value, which need no quotes; an option of type list[str] may be given repeatedly.
    suffixes : tuple of str
        Endings of the files that it writes; None for a path that is only read.
    """

    name: str
    metavar: str
    meaning: str
    kind: Kind = TEXT
    table: str | None = None
    commands: tuple[str, ...] = ()
    panel: str | None = None
    domain: str = ""
    least: float | None = None
    most: float | None = None
    tiny: float | None = None
    beyond: str = ""
    default: Any = None
    choices: tuple[str, ...] = ()
    offered: tuple[str, ...] = ()
    example: Any = None
    flags: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    fixed: str = ""
    type: Any = str
    required: bool = False
    words: int = 1
    suffixes: tuple[str, ...] | None = None

    @property
    def spellings(self) -> tuple[str, ...]:
        """How it is written on the command line."""
        return self.flags or (f"--{self.name.replace('_', '-')}",)

    @property
    def is_argument(self) -> bool:
        return not self.spellings[0].startswith("-")

    @property
    def label(self) -> str:
        """Its name in messages: that of the key where there is one, so that both ways agree."""
        return self.name if self.table or self.is_argument else self.spellings[0].partition("/")[0]

    @property
    def default_text(self) -> str:
        """What is taken where nothing is said, for help texts and the documentation."""
        if isinstance(self.default, Mapping):
            values = {model: f"{value:g}" for model, value in self.default.items()}
            if len(set(values.values())) == 1:
                return values[DEFAULT_MODEL]
            return ", ".join(f"{model} {value}" for model, value in values.items())
        if self.default is None or isinstance(self.default, bool):
            return ""
        return str(self.default).removeprefix("(").removesuffix(")")

    @property
    def help(self) -> str:
        """The meaning with the domain and the default."""
        default = f"default: {self.default_text}" if self.default_text else ""
        notes = "; ".join(filter(None, (self.domain, default)))
        return f"{self.meaning} ({notes})." if notes else f"{self.meaning}."

    def default_of(self, model: str) -> Any:
        """The value that is taken where nothing is said; None where words describe it."""
        value = self.default[model] if isinstance(self.default, Mapping) else self.default
        return None if isinstance(value, str) and value.startswith("(") else value

    def read_text(self, text: Any) -> Any:
        """The value that a text of the command line writes.

        Raises
        ------
        theory.InputError
        """
        if self.choices:
            return check_choice(self.label, text, self.choices, kind="value")
        return self.check(self.kind.text(self.label, text))

    def read_toml(self, value: Any) -> Any:
        """The value of an entry of a file.

        Raises
        ------
        theory.InputError
        """
        example = self.default_of(DEFAULT_MODEL) if self.example is None else self.example
        example = 1 if example is None else example
        text = f"{example:g}" if isinstance(example, float) else example
        return self.check(self.kind.toml(self.name, value, text))

    def check(self, value: Any) -> Any:
        """The value, refused where a number in it is outside the bounds.

        NaN and infinities pass: whoever uses them refuses them by name.
        """
        default = self.default_text
        known = default not in ("", "none")
        meaning = self.meaning[:1].lower() + self.meaning[1:]
        remedy = f"leave it away for {default}" if known else f"it says: {meaning}"
        for number in _numbers(value):
            if self.least is not None and number < _exactly(self.least):
                expected = self.bound(">=", self.least)
                raise InputError(self.label, brief_number(number), expected, remedy)
            if self.tiny is not None and 0 < number < _exactly(self.tiny):
                expected = self.bound(">=", self.tiny)
                raise InputError(self.label, brief_number(number), expected, self.beyond or remedy)
            if self.most is not None and max(number, -number) > _exactly(self.most):
                expected = self.bound("<=", self.most)
                raise InputError(self.label, brief_number(number), expected, self.beyond or remedy)
        return value

    def bound(self, sign: str, value: float) -> str:
        """A bound in words."""
        return (
            f"{'an integer' if self.kind is INTEGER else 'a number'} {sign} {brief_number(value)}"
        )


def _numbers(value: Any) -> Iterator[int | Fraction]:
    """The exact numbers in a value."""
    if isinstance(value, list):
        for entry in value:
            yield from _numbers(entry)
    elif isinstance(value, (int, Fraction)):
        yield value


@lru_cache(maxsize=64)
def _exactly(bound: float) -> Fraction:
    """The decimal that a bound is written as: the double beside it may lie above."""
    return Fraction(str(bound))


def brief_number(value: Any) -> str:
    """A bound or a value in few characters."""
    if isinstance(value, int):
        # 10^100 - 1 is the largest integer of 100 digits
        return str(value) if abs(value) < 10**20 else f"{len(str(abs(value)))} digits"
    return f"{float(value):g}"


def by_model(attribute: str) -> dict[str, float]:
    """The values of all models."""
    return {name: float(getattr(kind, attribute)) for name, kind in MODELS.items()}
