"""What a command works on: model, numbers, initial state and run, from a TOML file and from options.

Numbers stay exact (``fractions.Fraction``) until a model asks for floats, so that 0.1 is 1/10 in a formula.
"""

from __future__ import annotations

import difflib
import math
import tomllib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, fields, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from theory import InputError, Model, kgmm

if TYPE_CHECKING:
    from numerics import Parameters, State

# a float only where there is no fraction: NaN and infinities, which are refused by name
Number = Fraction | float

MODELS: dict[str, Callable[..., Model]] = {"kgmm": kgmm}
DEFAULT_MODEL = "kgmm"
DEFAULT_CLASSES = 3
ORTHONORMAL = "orthonormal"


@dataclass(frozen=True)
class Configuration:
    """Everything that can be said in a file or by options; None means not said."""

    name: str | None = field(default=None, metadata={"table": "model"})
    k: int | None = field(default=None, metadata={"table": "model"})
    weights: list[Number] | None = field(default=None, metadata={"table": "parameters"})
    precision: Number | None = field(default=None, metadata={"table": "parameters"})
    ridge: Number | None = field(default=None, metadata={"table": "parameters"})
    step: Number | None = field(default=None, metadata={"table": "parameters"})
    directions_gram: list[list[Number]] | str | None = field(default=None, metadata={"table": "parameters"})
    overlap: list[list[Number]] | None = field(default=None, metadata={"table": "initial"})
    gram_perp: list[list[Number]] | str | None = field(default=None, metadata={"table": "initial"})
    readout: list[Number] | None = field(default=None, metadata={"table": "initial"})
    time: Number | list[Number] | None = field(default=None, metadata={"table": "run"})
    dimension: int | None = field(default=None, metadata={"table": "run"})
    replicas: int | None = field(default=None, metadata={"table": "run"})
    samples: int | None = field(default=None, metadata={"table": "run"})
    seed: int | None = field(default=None, metadata={"table": "run"})

    def override(self, other: Configuration) -> Configuration:
        """Return this configuration with everything that ``other`` says."""
        said = {f.name: getattr(other, f.name) for f in fields(other) if getattr(other, f.name) is not None}
        return replace(self, **said)

    @property
    def classes(self) -> int:
        return DEFAULT_CLASSES if self.k is None else self.k

    def symbolic_model(self) -> Model:
        """The model with the numbers that were given, and symbols for the others."""
        gram = self.directions_gram if isinstance(self.directions_gram, str) else _exact_rows(self.directions_gram)
        return self._build(
            weights=_exact(self.weights), precision=_finite("precision", self.precision),
            ridge=_finite("ridge", self.ridge), step=_finite("step", self.step), directions_gram=gram,
        )

    def model(self) -> Model:
        """The model with symbols for all numbers: one compilation serves every set of parameters."""
        return self._build()

    def parameters(self) -> Parameters:
        """The numbers, with defaults: equal weights, precision 10, ridge 0.1, step 1, orthonormal means."""
        import numpy as np

        from numerics import Parameters

        name, k = self._known_name(), self.classes
        if k < 2:
            raise InputError("k", k, f"an integer >= 2, the number of classes of {name}", "give two classes or more")
        if self.weights is not None and len(self.weights) != k:
            raise InputError(
                "weights", f"{len(self.weights)} entries", f"{k}, one per class",
                f"give {k} weights" + (f", or k = {len(self.weights)}" if len(self.weights) > 1 else ""),
            )
        gram = self.directions_gram
        if isinstance(gram, str):
            if gram != ORTHONORMAL:
                raise InputError(
                    "directions_gram", repr(gram), f"{ORTHONORMAL!r} or rows of numbers", "check the spelling"
                )
            gram = None
        return Parameters(
            np.full(k, 1 / k) if self.weights is None else np.array(self.weights, dtype=float),
            10.0 if self.precision is None else float(self.precision),
            0.1 if self.ridge is None else float(self.ridge),
            1.0 if self.step is None else float(self.step),
            np.eye(k) if gram is None else _floats("directions_gram", gram, (k, k)),
        )

    def initial(self, model: Model) -> State:
        """The initial state, by default what x^a ~ N(0, I/d) tends to: overlap 0, gram_perp the identity."""
        import numpy as np

        from numerics import State

        shape = (model.units, model.directions)
        gram_perp = self.gram_perp
        if isinstance(gram_perp, str):
            if gram_perp != "identity":
                raise InputError(
                    "gram_perp", repr(gram_perp), "'identity' or rows of numbers", "check the spelling"
                )
            gram_perp = None
        return State(
            np.zeros(shape) if self.overlap is None else _floats("overlap", self.overlap, shape),
            np.eye(model.units) if gram_perp is None else _floats("gram_perp", gram_perp, (model.units,) * 2),
            np.zeros(model.readout_size) if self.readout is None else np.array(self.readout, dtype=float),
        )

    def numbers(self) -> tuple[Model, Parameters, State]:
        """Model, parameters and initial state, checked against each other."""
        from numerics.state import check_parameters, check_state

        parameters = self.parameters()  # before the model, whose derivatives take long for many classes
        model = self.model()
        initial = self.initial(model)
        check_parameters(model, parameters)
        check_state(model, initial)
        return model, parameters, initial

    def times(self) -> Any:
        """The end of the run or the list of its times, as the numeric functions take it; 16 by default."""
        from numerics.flow import check_times

        time = 16.0 if self.time is None else self.time
        value = [float(t) for t in time] if isinstance(time, list) else float(time)
        check_times(value)
        return value

    def _build(self, **numbers: Any) -> Model:
        return MODELS[self._known_name()](self.classes, **numbers)

    def _known_name(self) -> str:
        return check_choice("model", DEFAULT_MODEL if self.name is None else self.name, MODELS)


def read_configuration(path: Path) -> Configuration:
    """Read a TOML file with the tables [model], [parameters], [initial] and [run].

    Raises
    ------
    theory.InputError
        The file cannot be read or is not TOML; a table or key is unknown (with the nearest known name), or a value
        has the wrong kind.
    """
    try:
        with path.open("rb") as file:
            data = tomllib.load(file, parse_float=_number)
    except OSError as error:
        raise InputError(
            "config", path, "a readable TOML file", f"{error.strerror or error}; see the files in examples/"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError("config", path, f"valid TOML ({error})", "see the files in examples/") from error
    known: dict[str, list[str]] = {}
    for f in fields(Configuration):
        known.setdefault(f.metadata["table"], []).append(f.name)
    values: dict[str, Any] = {}
    for table, content in data.items():
        check_choice(f"config {path.name}", table, known, kind="table")
        if not isinstance(content, dict):
            raise InputError(f"config {path.name}", f"{table} = ...", f"a table [{table}]", "put keys below it")
        for key, value in content.items():
            check_choice(f"config {path.name} [{table}]", key, known[table], kind="key")
            values[key] = _READERS[key](key, value)
    return Configuration(**values)


def check_choice(parameter: str, got: str, known: Iterable[str], kind: str = "name") -> str:
    """Return ``got`` if it is known, else refuse it with the nearest known name."""
    names = list(known)
    if got in names:
        return got
    close = difflib.get_close_matches(got, names, n=1, cutoff=0.5)
    remedy = f"did you mean {close[0]!r}" if close else f"use a known {kind}"
    raise InputError(parameter, repr(got), f"one of {', '.join(names)}", remedy)


# --- values written as text on the command line ---------------------------------------------------------


def parse_number(parameter: str, text: str) -> Number:
    """Read ``0.1``, ``1e-3`` or ``1/3``."""
    try:
        return _number(text.strip())
    except (ValueError, ZeroDivisionError) as error:
        raise InputError(
            parameter, repr(text), "a number such as 0.1, 1e-3 or 1/3", "check the spelling"
        ) from error


def parse_integer(parameter: str, text: str) -> int:
    """Read ``1000``."""
    try:
        return int(text)
    except ValueError as error:
        raise InputError(parameter, repr(text), "an integer", "write digits only, such as 1000") from error


def parse_list(parameter: str, text: str) -> list[Number]:
    """Read numbers separated by commas."""
    try:
        return [_number(entry.strip()) for entry in text.split(",")]
    except (ValueError, ZeroDivisionError) as error:
        raise InputError(
            parameter, repr(text), "numbers separated by commas, such as 0.5,0.3,0.2", "check the spelling"
        ) from error


def parse_rows(parameter: str, text: str) -> list[list[Number]]:
    """Read rows separated by semicolons, each of numbers separated by commas."""
    try:
        return [[_number(entry.strip()) for entry in row.split(",")] for row in text.split(";")]
    except (ValueError, ZeroDivisionError) as error:
        raise InputError(
            parameter, repr(text), "rows separated by semicolons, such as '1,0.4;0.4,1'",
            "put the value in quotes, commas inside a row, semicolons between rows",
        ) from error


def _number(text: str) -> Number:
    try:
        value = float(text)
    except ValueError:
        return Fraction(text)  # 1/3; anything else raises ValueError again
    if value == 0:
        return Fraction(0)
    return Fraction(text) if math.isfinite(value) else value


# --- values read from TOML ---------------------------------------------------------------------------------


def _read_number(key: str, value: Any) -> Number:
    if isinstance(value, str):
        # only what TOML cannot write as a number may be in quotes
        if "/" in value:
            return parse_number(key, value)
        raise InputError(
            key, f"the text {value!r}", "a number",
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
                key, _plain(value), "a list of numbers", f"write {key} = [0.5, 0.5], without inner brackets"
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
        raise InputError(key, "[]", "the end of the run, or a list of times", f"write {key} = 16 or {key} = [0, 4, 16]")
    return _read_list(key, value) if isinstance(value, list) else _read_number(key, value)


def _read_integer(key: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise InputError(key, _plain(value), "an integer", f"write {key} = {_meant(value) or _EXAMPLES[key]}")
    return value


def _read_text(key: str, value: Any) -> str:
    if not isinstance(value, str):
        raise InputError(key, _plain(value), "a text in quotes", f'write {key} = "kgmm"')
    return value


_READERS: dict[str, Callable[[str, Any], Any]] = {
    "name": _read_text, "k": _read_integer, "weights": _read_list, "precision": _read_number,
    "ridge": _read_number, "step": _read_number, "directions_gram": _read_rows_or_name, "overlap": _read_rows,
    "gram_perp": _read_rows_or_name, "readout": _read_list, "time": _read_time, "dimension": _read_integer,
    "replicas": _read_integer, "samples": _read_integer, "seed": _read_integer,
}


# what a message proposes where the value itself says nothing
_EXAMPLES: dict[str, Any] = {
    "k": DEFAULT_CLASSES, "precision": 10, "ridge": 0.1, "step": 1, "time": 16, "dimension": 1000, "replicas": 20,
    "samples": 20000, "seed": 0,
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


# --- conversions ---------------------------------------------------------------------------------------------


def _floats(name: str, rows: list[list[Number]], shape: tuple[int, int]) -> Any:
    got = [len(row) for row in rows]
    if got != [shape[1]] * shape[0]:
        raise InputError(
            name, f"{len(rows)} rows of {', '.join(map(str, sorted(set(got)))) or 'no'} entries",
            f"{shape[0]} rows of {shape[1]} entries", "check commas and semicolons, and the number of classes k",
        )
    return [[float(entry) for entry in row] for row in rows]


def _finite(name: str, value: Number | None) -> Number | None:
    if isinstance(value, float):
        raise InputError(name, value, "a finite number", "remove NaN and infinities")
    return value


def _exact(values: list[Number] | None) -> list[Number | None] | None:
    return None if values is None else [_finite("weights", value) for value in values]


def _exact_rows(rows: list[list[Number]] | None) -> list[list[Number | None]] | None:
    return None if rows is None else [[_finite("directions_gram", value) for value in row] for row in rows]
