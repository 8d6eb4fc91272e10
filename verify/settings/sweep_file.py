"""A sweep in a TOML file: the tables of a configuration, [sweep] with the axes, [measurement] and
[figure].
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numerics.sweeps.grid import MOST_POINTS, SPLIT
from theory import InputError, Model
from theory.errors import check_choice

from .configuration import Configuration, read_toml, read_values
from .figure_table import FigureTable, read_figure
from .option_table import keys
from .stated_model import TABLES, own_names, states_model, take_model
from .user_model import UserConfiguration
from .values import read_integer, read_number

if TYPE_CHECKING:
    from numerics import MeasureOptions, RandomStart, Setting, State, Sweep

# independent runs at a point without a word about it: a grid has points enough
_REPLICAS = 1
_MEASUREMENT = ("threshold", "blocks")


class SweepConfiguration(Configuration):
    """A configuration with what only a sweep has."""

    for_sweep = True

    def test_samples(self, dimension: int) -> int | None:
        """M, as a number or as M/d."""
        if self.samples_per_dimension is None:
            return self.samples
        if self.samples is not None:
            got, remedy = "samples and samples_per_dimension", "leave one of them away"
            raise InputError("samples", got, "one of the two", remedy)
        ratio = float(self.samples_per_dimension)
        if not 0 < ratio < float("inf"):
            raise InputError("samples_per_dimension", ratio, "a number > 0", "give M/d, such as 20")
        return max(1, round(ratio * dimension))

    def start(self, model: Model) -> State | RandomStart:
        """The initial state, or its law."""
        from numerics import RandomStart

        initial = self.initial(model)
        if self.random is None:
            return initial
        for name in ("overlap", "gram_perp"):
            if getattr(self, name) is not None:
                raise InputError(
                    "random", f"random and {name}", "one of the two", "leave one of them away"
                )
        return RandomStart(float(self.random), tuple(initial.readout.tolist()))

    def simulation(self) -> dict[str, Any]:
        """Further arguments of simulate_sgd; the exact reduced chain is the default where noise is
        Gaussian.
        """
        noise = "gaussian" if self.noise is None else self.noise
        default = "reduced" if noise == "gaussian" else "direct"
        return {"method": self.method or default, "noise": noise, **self.pace()}


class UserSweepConfiguration(UserConfiguration, SweepConfiguration):
    """The same of a model that the file states."""


@dataclass(frozen=True)
class SweepFile:
    """What a file says.

    Attributes
    ----------
    path : Path
    base : SweepConfiguration
        Everything that is not an axis.
    stated : mapping
        The tables that state a model of their own.
    axes : mapping from field names to lists of values
    measure : tuple of str
    measurement : mapping
        Threshold and blocks.
    figure : FigureTable or None
    """

    path: Path
    base: SweepConfiguration
    stated: Mapping[str, Any]
    axes: Mapping[str, list[Any]]
    measure: tuple[str, ...]
    measurement: Mapping[str, Any]
    figure: FigureTable | None

    @cached_property
    def _models(self) -> dict[tuple[Any, ...], Model]:
        return {}

    def build(self, values: Mapping[str, Any]) -> Setting:
        """The setting of a point."""
        from numerics import Problem, Setting

        own = {n: values[n] for n in own_names(self.base) if n in values}
        rest = {n: value for n, value in values.items() if n not in own}
        point = self.base.override(SweepConfiguration(**rest))
        if own:
            point = point.but(set={**self.base.values.get("set", {}), **own})
        replicas = _REPLICAS if point.replicas is None else point.replicas
        simulation = point.simulation()
        # before the model, whose derivatives take long for many units
        parameters = point.parameters()
        point.checked_initial()
        point.check_run(replicas, simulation["method"], simulation["noise"])
        gram = point.directions_gram
        key = (point.kind.size, point.size, point.activation, isinstance(gram, list))
        if key not in self._models:
            self._models[key] = point.model()
        model = self._models[key]
        dimension = point.value("dimension")
        return Setting(
            Problem(model, parameters),
            point.start(model),
            point.times(),
            dimension,
            replicas,
            point.test_samples(dimension),
            simulation,
        )

    def sweep(self) -> Sweep:
        """The sweep, every point of it built and checked.

        Raises
        ------
        theory.InputError
        """
        from numerics import Sweep

        tables: dict[str, dict[str, Any]] = {}
        for name, option in keys(sweep=True).items():
            if name in self.base.values and name != "seed":
                tables.setdefault(str(option.table), {})[name] = plain(self.base.values[name])
        tables |= {f"stated {name}": plain(table) for name, table in self.stated.items()}
        seed, options = self.base.value("seed"), self.measure_options()
        sweep = Sweep(self.axes, self.build, self.measure, seed, options, tables)
        if self.figure is not None:
            self.figure.check(sweep)
        return sweep

    def measure_options(self) -> MeasureOptions:
        from numerics import MeasureOptions

        return MeasureOptions(**self.measurement)


def read_sweep(path: Path) -> SweepFile:
    """Read the file of a sweep.

    Raises
    ------
    theory.InputError
        As for :func:`verify.settings.configuration.read_configuration`.
    """
    data = read_toml(path)
    further = ("sweep", "measurement", "figure")
    base, stated = SweepConfiguration(), {}
    if states_model(data):
        stated = {name: data[name] for name in ("model", *TABLES) if name in data}
        model, data = take_model(path, data)
        base = UserSweepConfiguration(model)
    base = base.but(**read_values(path, data, SweepConfiguration, *further))
    for name in ("sweep", "measurement"):
        if not isinstance(data.get(name, {}), Mapping):
            expected, remedy = f"a table [{name}]", "see examples/sweep_*.toml"
            raise InputError(f"config {path.name}", f"{name} = ...", expected, remedy)
    table = dict(data.get("sweep", {}))
    where = f"config {path.name} [sweep]"
    if not table:
        expected, remedy = "a table [sweep] of axes and measurements", "see examples/sweep_*.toml"
        raise InputError(where, "nothing", expected, remedy)
    measure = _measure(where, table.pop("measure", None))
    own = own_names(base)
    axes = {
        key: _own_axis(key, values) if key in own else _axis(path, key, values)
        for key, values in table.items()
    }
    for key in axes:
        if key in own and key in base.values.get("set", {}):
            expected, remedy = "one of the two", f"leave {key} away in set"
            raise InputError(key, "a value and an axis", expected, remedy)
        if key in base.values and key != "seed":
            raise InputError(
                key, "a value and an axis", "one of the two", f"leave {key} away above [sweep]"
            )
    measurement = _measurement(path, data.get("measurement", {}))
    figure = read_figure(path, data["figure"]) if "figure" in data else None
    return SweepFile(path, base, stated, axes, measure, measurement, figure)


def _axis(path: Path, key: str, values: Any) -> list[Any]:
    options, where = keys(sweep=True), f"config {path.name} [sweep]"
    known = sorted(options, key=lambda name: bool(options[name].fixed))
    check_choice(where, key, [*known, "measure"], kind="key")
    option = options[key]
    if option.fixed:
        expected = "a field that may differ from point to point"
        raise InputError(where, repr(key), expected, option.fixed)
    if not isinstance(values, list) or not values:
        raise InputError(f"[sweep] {key}", values, "a list of values", f"write {key} = [..., ...]")
    if len(values) > MOST_POINTS:
        expected = f"at most {MOST_POINTS} points in a sweep"
        raise InputError(f"[sweep] {key}", f"{len(values)} values", expected, SPLIT)
    if option.kind.rank and not all(isinstance(value, list) for value in values):
        expected = "a list of lists: each value is a list"
        remedy = f"put one more pair of brackets around it: {key} = [[...], [...]]"
        raise InputError(f"[sweep] {key}", plain(values), expected, remedy)
    return [plain(option.read_toml(value)) for value in values]


def _own_axis(key: str, values: Any) -> list[Any]:
    """Numbers of a free parameter of the loss."""
    if not isinstance(values, list) or not values:
        raise InputError(f"[sweep] {key}", values, "a list of values", f"write {key} = [..., ...]")
    return [plain(read_number(key, value)) for value in values]


def _measure(where: str, names: Any) -> tuple[str, ...]:
    from numerics import MEASUREMENTS

    if not isinstance(names, list) or not names or not all(isinstance(n, str) for n in names):
        got = "nothing" if names is None else repr(names)
        remedy = f'write measure = ["alignment"], of {", ".join(MEASUREMENTS)}'
        raise InputError(f"{where} measure", got, "a list of measurements", remedy)
    return tuple(
        check_choice(f"{where} measure", name, MEASUREMENTS, kind="measurement") for name in names
    )


def _measurement(path: Path, table: Mapping[str, Any]) -> dict[str, Any]:
    for key in table:
        check_choice(f"config {path.name} [measurement]", key, _MEASUREMENT, kind="key")
    found: dict[str, Any] = {}
    if "threshold" in table:
        found["threshold"] = float(read_number("threshold", table["threshold"]))
    if "blocks" in table:
        blocks = table["blocks"]
        if not isinstance(blocks, list):
            expected = "a list of units counted from 1"
            raise InputError("blocks", repr(blocks), expected, "write blocks = [1]")
        found["blocks"] = tuple(read_integer("blocks", b) for b in blocks)
    return found


def plain(value: Any) -> Any:
    """A value as JSON writes it; whole numbers stay whole.

    Examples
    --------
    >>> plain([Fraction(1, 2), 3])
    [0.5, 3]
    """
    if isinstance(value, Mapping):
        return {name: plain(v) for name, v in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [plain(v) for v in value]
    return float(value) if isinstance(value, Fraction) else value
