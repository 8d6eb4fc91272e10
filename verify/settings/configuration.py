"""What a command works on: model, numbers, initial state and run, from a TOML file and from
options.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import sympy as sp

from theory import InputError, Model, symbols
from theory.errors import check_choice
from theory.expectations.noiseless_limit import WITHOUT_NOISE
from theory.problem.activations import ACTIVATIONS

from .models import DEFAULT_MODEL, MODELS, ModelKind
from .values import READERS, Number, exact_number, parse_schedule

if TYPE_CHECKING:
    from numerics import Parameters, State

ORTHONORMAL = "orthonormal"
IDENTITY = "identity"
# what only some models have: the size under its own name, and further options
_OWN = ("k", "width", "activation")


@dataclass(frozen=True)
class Configuration:
    """Everything that can be said in a file or by options; None means not said."""

    name: str | None = field(default=None, metadata={"table": "model"})
    k: int | None = field(default=None, metadata={"table": "model"})
    width: int | None = field(default=None, metadata={"table": "model"})
    activation: str | None = field(default=None, metadata={"table": "model"})
    weights: list[Number] | None = field(default=None, metadata={"table": "parameters"})
    precision: Number | None = field(default=None, metadata={"table": "parameters"})
    ridge: Number | None = field(default=None, metadata={"table": "parameters"})
    step: Number | None = field(default=None, metadata={"table": "parameters"})
    directions_gram: list[list[Number]] | str | None = field(
        default=None, metadata={"table": "parameters"}
    )
    overlap: list[list[Number]] | None = field(default=None, metadata={"table": "initial"})
    gram_perp: list[list[Number]] | str | None = field(default=None, metadata={"table": "initial"})
    readout: list[Number] | None = field(default=None, metadata={"table": "initial"})
    time: Number | list[Number] | None = field(default=None, metadata={"table": "run"})
    dimension: int | None = field(default=None, metadata={"table": "run"})
    replicas: int | None = field(default=None, metadata={"table": "run"})
    samples: int | None = field(default=None, metadata={"table": "run"})
    seed: int | None = field(default=None, metadata={"table": "run"})
    method: str | None = field(default=None, metadata={"table": "run"})
    batch: int | None = field(default=None, metadata={"table": "run"})
    schedule: str | None = field(default=None, metadata={"table": "run"})
    noise: str | None = field(default=None, metadata={"table": "run"})

    def override(self, other: Configuration) -> Self:
        """Return this configuration with everything that ``other`` says."""
        said = {
            f.name: getattr(other, f.name)
            for f in fields(other)
            if getattr(other, f.name) is not None
        }
        return replace(self, **said)

    @property
    def model_name(self) -> str:
        """The name of the model, that of the default one where none is given."""
        return DEFAULT_MODEL if self.name is None else self.name

    @property
    def kind(self) -> ModelKind:
        """The model asked for.

        Raises
        ------
        theory.InputError
            An unknown model, or an option that it does not have.
        """
        name = check_choice("model", self.model_name, MODELS)
        kind = MODELS[name]
        for option in _OWN:
            if getattr(self, option) is not None and option not in (kind.size, *kind.options):
                owners = [
                    n for n, other in MODELS.items() if option in (other.size, *other.options)
                ]
                others = ", ".join(o for o in (kind.size, *kind.options))
                raise InputError(
                    option,
                    getattr(self, option),
                    f"no {option} for the model {name}",
                    f"leave it away: {option} belongs to {' and '.join(owners)}, and {name} has {others}",
                )
        if self.activation is not None:
            check_choice("activation", self.activation, ACTIVATIONS)
        return kind

    @property
    def size(self) -> int:
        """Number of classes or of hidden units."""
        kind = self.kind
        return kind.check_size(getattr(self, kind.size))

    @property
    def size_name(self) -> str:
        """Name and value of the size, for messages."""
        return f"{self.kind.size} = {self.size}"

    def symbolic_model(self) -> Model:
        """The model with the numbers that were given, and symbols for the others."""
        gram: Any = self._named_gram()
        self._check_weights()
        return self._build(
            weights=_exact(self.weights),
            precision=_finite("precision", self.precision),
            ridge=_finite("ridge", self.ridge),
            step=_finite("step", self.step),
            directions_gram=sp.eye(self.kind.directions(self.size))
            if gram == ORTHONORMAL
            else _exact_rows(gram),
        )

    def model(self) -> Model:
        """The model with symbols for all numbers: one compilation serves every set of parameters."""
        gram = self._named_gram()
        own = gram is not None and gram != ORTHONORMAL
        return self._build(
            directions_gram=symbols.symmetric("Gamma", self.kind.directions(self.size))
            if own
            else None
        )

    def parameters(self) -> Parameters:
        """The numbers, with the defaults of the model, equal weights and orthonormal directions."""
        import numpy as np

        from numerics import Parameters

        kind = self.kind
        components, directions = kind.components(self.size), kind.directions(self.size)
        self._check_weights()
        gram = self._named_gram()
        scalars = {name: getattr(self, name) for name in ("precision", "ridge", "step")}
        return Parameters(
            np.full(components, 1 / components)
            if self.weights is None
            else np.array(self.weights, dtype=float),
            **{
                name: float(getattr(kind, name) if given is None else given)
                for name, given in scalars.items()
            },
            directions_gram=(
                np.eye(directions)
                if gram is None or isinstance(gram, str)
                else self._floats("directions_gram", gram, (directions, directions))
            ),
        )

    def initial(self, model: Model) -> State:
        """The initial state; what is not said is the default start of the model."""
        import numpy as np

        from numerics import State

        start = self.kind.start(self.size)
        gram_perp: Any = self.gram_perp
        if isinstance(gram_perp, str) and gram_perp != IDENTITY:
            raise InputError(
                "gram_perp",
                repr(gram_perp),
                f"{IDENTITY!r} or rows of numbers",
                "check the spelling",
            )
        if gram_perp is None:
            gram_perp = float(start.perpendicular) * np.eye(model.units)
        elif gram_perp == IDENTITY:
            gram_perp = np.eye(model.units)
        else:
            gram_perp = self._floats("gram_perp", gram_perp, (model.units,) * 2)
        overlap = start.overlap if self.overlap is None else self.overlap
        return State(
            self._floats("overlap", overlap, (model.units, model.directions)),
            gram_perp,
            np.array(start.readout if self.readout is None else self.readout, dtype=float),
        )

    def numbers(self) -> tuple[Model, Parameters, State]:
        """Model, parameters and initial state, checked against each other."""
        from numerics.core.problem import Problem
        from numerics.core.state import check_state

        parameters = (
            self.parameters()
        )  # before the model, whose derivatives take long for many units
        model = self.model()
        initial = self.initial(model)
        check_state(model, initial)
        return model, Problem(model, parameters).parameters, initial

    def times(self) -> Any:
        """The end of the run or the list of its times, as the numeric functions take it."""
        from numerics.core.validation import check_times

        time = self.kind.time if self.time is None else self.time
        value = [float(t) for t in time] if isinstance(time, list) else float(time)
        check_times(value)
        return value

    def pace(self) -> dict[str, Any]:
        """Batch size and schedule, as the numeric functions take them."""
        schedule = None if self.schedule is None else parse_schedule("schedule", self.schedule)
        return {"batch": 1 if self.batch is None else self.batch, "schedule": schedule}

    def _build(self, **numbers: Any) -> Model:
        kind = self.kind
        further = {o: getattr(self, o) for o in kind.options if getattr(self, o) is not None}
        return kind.build(self.size, **further, **numbers)

    def _named_gram(self) -> list[list[Number]] | str | None:
        """The Gram matrix of the directions as it was said; a name is known to be the one there is."""
        gram = self.directions_gram
        if isinstance(gram, str) and gram != ORTHONORMAL:
            raise InputError(
                "directions_gram",
                repr(gram),
                f"{ORTHONORMAL!r} or rows of numbers",
                "check the spelling",
            )
        return gram

    def _check_weights(self) -> None:
        kind, size = self.kind, self.size
        expected = kind.components(size)
        if self.weights is None or len(self.weights) == expected:
            return
        count = len(self.weights)
        fits = count >= kind.least and kind.components(count) == count
        raise InputError(
            "weights",
            f"{count} entries",
            f"{expected}, one per {kind.component}",
            f"give {expected} weights"
            + (f", of {', '.join(kind.clusters)}" if kind.clusters else "")
            + (f", or {kind.size} = {count}" if fits else ""),
        )

    def _floats(self, name: str, rows: list[list[Any]], shape: tuple[int, int]) -> Any:
        got = [len(row) for row in rows]
        if got != [shape[1]] * shape[0]:
            raise InputError(
                name,
                f"{len(rows)} rows of {', '.join(map(str, sorted(set(got)))) or 'no'} entries",
                f"{shape[0]} rows of {shape[1]} entries",
                f"check commas and semicolons, and {self.kind.size}, {self.kind.meaning}",
            )
        return [[float(entry) for entry in row] for row in rows]


def read_configuration(path: Path) -> Configuration:
    """Read a TOML file with the tables [model], [parameters], [initial] and [run].

    Raises
    ------
    theory.InputError
        The file cannot be read or is not TOML; a table or key is unknown (with the nearest known
        name), or a value has the wrong kind.
    """
    return Configuration(**read_values(path, read_toml(path), Configuration))


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a TOML file, numbers exact."""
    try:
        with path.open("rb") as file:
            return tomllib.load(file, parse_float=exact_number)
    except OSError as error:
        raise InputError(
            "config",
            path,
            "a readable TOML file",
            f"{error.strerror or error}; see the files in examples/",
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(
            "config", path, f"valid TOML ({error})", "see the files in examples/"
        ) from error


def read_values(
    path: Path, data: Mapping[str, Any], kind: type[Configuration], *further: str
) -> dict[str, Any]:
    """What the tables of a configuration say; ``further`` are tables that somebody else reads."""
    known = known_keys(kind)
    values: dict[str, Any] = {}
    for table, content in data.items():
        check_choice(f"config {path.name}", table, [*known, *further], kind="table")
        if not isinstance(content, dict):
            raise InputError(
                f"config {path.name}", f"{table} = ...", f"a table [{table}]", "put keys below it"
            )
        if table in further:
            continue
        for key, value in content.items():
            check_choice(f"config {path.name} [{table}]", key, known[table], kind="key")
            values[key] = READERS[key](key, value)
    return values


def known_keys(kind: type[Configuration]) -> dict[str, list[str]]:
    """The keys of every table."""
    known: dict[str, list[str]] = {}
    for f in fields(kind):
        known.setdefault(f.metadata["table"], []).append(f.name)
    return known


def _finite(name: str, value: Number | None) -> Number | None:
    if isinstance(value, float):
        infinite = name == "precision" and value > 0  # NaN is not
        raise InputError(
            name,
            value,
            "a finite number",
            WITHOUT_NOISE if infinite else "remove NaN and infinities",
        )
    return value


def _exact(values: list[Number] | None) -> list[Number | None] | None:
    return None if values is None else [_finite("weights", value) for value in values]


def _exact_rows(rows: list[list[Number]] | None) -> list[list[Number | None]] | None:
    return (
        None
        if rows is None
        else [[_finite("directions_gram", value) for value in row] for row in rows]
    )
