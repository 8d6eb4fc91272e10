"""What a command works on: model, numbers, initial state and run, from a TOML file and from
options.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from theory.errors import InputError, check_choice
from theory.names import ACTIVATION_NAMES, WITHOUT_NOISE
from theory.regular_files import read_bytes

from .models import DEFAULT_MODEL, MODELS, ModelKind, Shape
from .option import Option
from .option_table import IDENTITY, ORTHONORMAL, keys
from .related_spellings import spelling
from .values import Number, exact_number

if TYPE_CHECKING:
    from numerics import Parameters, Problem, State
    from theory import Model

# what only some models have: their size under its own name, and further options
_OWN = {option for kind in MODELS.values() for option in (kind.size, *kind.options)}
# levels of brackets in a file (rows of numbers in tables need three), bytes, characters shown
_NESTING, _BYTES, _SHOWN = 12, 2 * 10**6, 200


class Configuration:
    """What a file and options ask for, by the names of :mod:`verify.settings.option_table`.

    An option is an attribute: its value, or None where nothing was said.

    Parameters
    ----------
    **values
        By name; None for what is not said.
    """

    # of a sweep: a file may hold more keys
    for_sweep = False

    def __init__(self, **values: Any) -> None:
        for name in values:
            check_choice("option", name, keys(sweep=self.for_sweep))
        self.values = {name: value for name, value in values.items() if value is not None}
        # names of what options say, where a file is read too
        self.typed: frozenset[str] = frozenset()

    def __getattr__(self, name: str) -> Any:
        if name in keys(sweep=type(self).for_sweep):
            return self.values.get(name)
        raise AttributeError(f"{type(self).__name__} has no option {name!r}")

    def value(self, name: str) -> Any:
        """What was said, or the default."""
        if name in self.values:
            return self.values[name]
        return keys()[name].default_of(check_choice("model", self.model_name, MODELS))

    def override(self, other: Configuration) -> Self:
        """Return this configuration with everything that ``other`` says."""
        return type(self)(**{**self.values, **other.values})

    def but(self, **values: Any) -> Self:
        """Return this configuration with other values; None for not said."""
        return type(self)(**{**self.values, **values})

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
        has = (kind.size, *kind.options)
        for option in sorted(_OWN & set(self.values) - set(has)):
            owners = [n for n, other in MODELS.items() if option in (other.size, *other.options)]
            raise InputError(
                option,
                self.values[option],
                f"no {option} for the model {name}",
                f"leave it away: {option} belongs to {' and '.join(owners)}, and {name} has "
                f"{', '.join(has)}",
            )
        if "set" in self.values:
            expected = f"nothing: the loss of {name} has no numbers of its own"
            remedy = "leave it away: it belongs to a model of yours, --model FILE.py:NAME"
            raise InputError("set", ", ".join(self.values["set"]), expected, remedy)
        if self.activation is not None:
            check_choice("activation", self.activation, ACTIVATION_NAMES)
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

    @property
    def smallest(self) -> Self:
        """The same at the least size: for what does not depend on it, such as whether a loss has
        kinks, and would take long to find out of a large model.
        """
        kind, least = self.kind, self.kind.least
        changed: dict[str, Any] = {kind.size: least}
        if kind.components(least) != kind.components(self.size):
            changed["weights"] = None
        if kind.directions(least) != kind.directions(self.size):
            changed["directions_gram"] = None
        return self.but(**changed)

    def symbolic_model(self) -> Model:
        """The model with the numbers that were given, and symbols for the others."""
        import sympy as sp

        gram = self._rows_or_word("directions_gram", ORTHONORMAL)
        self._check_weights()
        identity = sp.eye(self.kind.directions(self.size))
        return self._build(
            weights=_exact(self.weights),
            precision=exact_entry("precision", self.precision),
            ridge=exact_entry("ridge", self.ridge),
            step=exact_entry("step", self.step),
            directions_gram=identity if gram == ORTHONORMAL else exact_rows(gram),
        )

    def model(self) -> Model:
        """The model with symbols for all numbers: compiled once for every set of parameters."""
        gram = self._rows_or_word("directions_gram", ORTHONORMAL)
        if gram is None or gram == ORTHONORMAL:
            return self._build(directions_gram=None)
        from theory import symbols

        size = self.kind.directions(self.size)
        return self._build(directions_gram=symbols.symmetric("Gamma", size))

    def parameters(self) -> Parameters:
        """The numbers, with the defaults of the model, equal weights and orthonormal directions."""
        import numpy as np

        from numerics import Parameters

        kind = self.kind
        components, directions = kind.components(self.size), kind.directions(self.size)
        self._check_weights()
        gram = self._rows_or_word("directions_gram", ORTHONORMAL)
        equal, identity = np.full(components, 1 / components), np.eye(directions)
        scalars: dict[str, Any] = {n: float(self.value(n)) for n in ("precision", "ridge", "step")}
        weights = equal if self.weights is None else np.array(self.weights, dtype=float)
        plain = gram is None or isinstance(gram, str)
        gamma = identity if plain else self._floats("directions_gram", gram, (directions,) * 2)
        return Parameters(weights, **scalars, directions_gram=gamma)

    @property
    def shape(self) -> Shape:
        """Sizes of the model, which is not built for them."""
        return self.kind.shape(self.model_name, self.size)

    def initial(self, model: Model | Shape) -> State:
        """The initial state; what is not said is the default start of the model."""
        import numpy as np

        from numerics import State

        start = self.kind.start(self.size)
        gram_perp = self._rows_or_word("gram_perp", IDENTITY)
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

    def problem(self) -> tuple[Problem, State]:
        """The problem and its initial state, checked against each other."""
        from numerics import Problem

        # before the model, whose derivatives take long for many units
        parameters, initial = self.parameters(), self.checked_initial()
        return Problem(self.model(), parameters), initial

    def checked_initial(self) -> State:
        """The initial state, of the shapes of a model that is not built yet."""
        from numerics.core.state import check_state

        shape = self.shape
        return check_state(shape, self.initial(shape))

    def check_pace(self) -> None:
        """Refuse a schedule that is not positive and finite up to the end of the run."""
        from numerics.core.schedule import Pace
        from numerics.core.validation import check_times

        Pace.of(**self.pace(), end=float(check_times(self.times())[-1]))

    def check_run(self, replicas: int, method: str, noise: str) -> None:
        """Refuse runs that no memory holds or that take years, before the model is built.

        Raises
        ------
        theory.InputError
        """
        from numerics.core.weights import check_dimension
        from numerics.sgd.run_size import check_size
        from numerics.sgd.simulate import check_method

        shape, step = self.shape, self.parameters().step
        check_method(method, noise)
        dimension = check_dimension(self.value("dimension"), shape.directions, shape.units)
        sizes = {"method": method, "batch": self.value("batch")}
        check_size(shape, step, self.times(), dimension, replicas, **sizes)
        self.check_pace()

    def numbers(self) -> tuple[Model, Parameters, State]:
        """Model, parameters and initial state."""
        problem, initial = self.problem()
        return problem.model, problem.parameters, initial

    def times(self) -> Any:
        """The end of the run or the list of its times, as the numeric functions take it."""
        from numerics.core.validation import check_times

        time = self.value("time")
        value = [float(t) for t in time] if isinstance(time, list) else float(time)
        check_times(value)
        return value

    def pace(self) -> dict[str, Any]:
        """Batch size and schedule, as the numeric functions take them."""
        batch = self.value("batch")
        if self.schedule is None:
            return {"batch": batch, "schedule": None}
        from .texts.schedule_text import parse_schedule

        return {"batch": batch, "schedule": parse_schedule("schedule", self.schedule)}

    def _build(self, **numbers: Any) -> Model:
        kind = self.kind
        further = {option: self.values[option] for option in kind.options if option in self.values}
        return kind.build(self.size, **further, **numbers)

    def _rows_or_word(self, name: str, word: str) -> Any:
        """A matrix as it was said, where one word is known."""
        value = self.values.get(name)
        if isinstance(value, str) and value != word:
            raise InputError(
                name, repr(value), f"{word!r} or rows of numbers", "check the spelling"
            )
        return value

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
    import tomllib  # most commands read no file

    expected, remedy = "a readable TOML file", "specalign new config.toml writes one"
    content = read_bytes("config", path, _BYTES, expected, remedy)
    try:
        data = tomllib.loads(content.decode("utf-8-sig"), parse_float=exact_number)
    except RecursionError as error:
        raise _too_deep(path) from error
    # of the syntax, of the encoding, of a number of thousands of digits
    except ValueError as error:
        expected = f"valid TOML ({str(error)[:_SHOWN]})"
        raise InputError("config", path, expected, remedy) from error
    if _depth(data) > _NESTING:
        raise _too_deep(path)
    return data


def _too_deep(path: Path) -> InputError:
    expected = f"at most {_NESTING} levels of brackets and tables"
    return InputError("config", path, expected, "specalign new config.toml writes one")


def _depth(data: Any) -> int:
    """Levels of lists and tables, counted without recursion."""
    depth, level = 0, [data]
    while level and depth <= _NESTING:
        inner = [
            d.values() if isinstance(d, dict) else d for d in level if isinstance(d, (dict, list))
        ]
        depth, level = depth + 1, [entry for entries in inner for entry in entries]
    return depth


def read_values(
    path: Path, data: Mapping[str, Any], kind: type[Configuration], *further: str
) -> dict[str, Any]:
    """What the tables of a configuration say; ``further`` are tables that somebody else reads."""
    known: dict[str, dict[str, Option]] = {}
    for name, option in keys(sweep=kind.for_sweep).items():
        known.setdefault(str(option.table), {})[name] = option
    values: dict[str, Any] = {}
    for table, content in data.items():
        check_choice(f"config {path.name}", table, [*known, *further], kind="table")
        if table in further:
            continue
        if not isinstance(content, dict):
            raise InputError(
                f"config {path.name}", f"{table} = ...", f"a table [{table}]", "put keys below it"
            )
        for key, value in content.items():
            where = f"config {path.name} [{table}]"
            if meant := spelling(key):
                raise InputError(where, repr(key), f"the key {meant[0]}", meant[1])
            check_choice(where, key, known[table], kind="key")
            values[key] = known[table][key].read_toml(value)
    return values


def exact_entry(name: str, value: Number | None) -> Number | None:
    """The value of a parameter, which is finite where formulas hold it."""
    if isinstance(value, float):
        infinite = name == "precision" and value > 0  # NaN is not
        remedy = WITHOUT_NOISE if infinite else "remove NaN and infinities"
        raise InputError(name, value, "a finite number", remedy)
    return value


def _exact(values: list[Number] | None, name: str = "weights") -> list[Number | None] | None:
    return None if values is None else [exact_entry(name, value) for value in values]


def exact_rows(rows: list[list[Number]] | None) -> list[list[Number | None] | None] | None:
    """The rows of a Gram matrix, likewise."""
    return None if rows is None else [_exact(row, "directions_gram") for row in rows]
