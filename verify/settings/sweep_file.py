"""A sweep in a TOML file: the tables of a configuration, [sweep] with the axes, [measurement] and
[figure].
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from theory import InputError, Model
from theory.errors import check_choice

from .configuration import Configuration, known_keys, read_toml, read_values
from .figure_table import FigureTable, read_figure
from .values import READERS, Number

if TYPE_CHECKING:
    from numerics import MeasureOptions, RandomStart, Setting, State, Sweep

# what a point is without a word about it
_DIMENSION, _REPLICAS = 1000, 1
# fields that are the same at every point
_COMMON = {"name": "write a file for each model", "time": "give the latest time in [run]"}
# fields whose values are lists
_LISTS = ("weights", "overlap", "readout")
_MEASUREMENT = ("threshold", "blocks")


@dataclass(frozen=True)
class SweepConfiguration(Configuration):
    """A configuration with what only a sweep has."""

    random: Number | None = field(default=None, metadata={"table": "initial"})
    samples_per_dimension: Number | None = field(default=None, metadata={"table": "run"})

    def test_samples(self, dimension: int) -> int | None:
        """M, as a number or as M/d."""
        if self.samples_per_dimension is None:
            return self.samples
        if self.samples is not None:
            raise InputError(
                "samples",
                "samples and samples_per_dimension",
                "one of the two",
                "leave one of them away",
            )
        ratio = float(self.samples_per_dimension)
        if not 0 < ratio < float("inf"):
            raise InputError("samples_per_dimension", ratio, "a number > 0", "give M/d, such as 20")
        return max(1, round(ratio * dimension))

    def start(self, model: Model) -> State | RandomStart:
        """The initial state, or its law."""
        from numerics import RandomStart

        given = self.initial(model)
        if self.random is None:
            return given
        for name in ("overlap", "gram_perp"):
            if getattr(self, name) is not None:
                raise InputError(
                    "random", f"random and {name}", "one of the two", "leave one of them away"
                )
        return RandomStart(float(self.random), tuple(given.readout.tolist()))

    def simulation(self) -> dict[str, Any]:
        """Further arguments of simulate_sgd; the exact reduced chain is the default where noise is
        Gaussian.
        """
        noise = "gaussian" if self.noise is None else self.noise
        default = "reduced" if noise == "gaussian" else "direct"
        return {"method": self.method or default, "noise": noise, **self.pace()}


@dataclass(frozen=True)
class SweepFile:
    """What a file says.

    Attributes
    ----------
    path : Path
    base : SweepConfiguration
        Everything that is not an axis.
    axes : mapping from field names to lists of values
    measure : tuple of str
    measurement : mapping
        Threshold and blocks.
    figure : FigureTable or None
    """

    path: Path
    base: SweepConfiguration
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

        said = self.base.override(SweepConfiguration(**values))
        parameters = (
            said.parameters()
        )  # before the model, whose derivatives take long for many units
        gram = said.directions_gram
        key = (said.kind.size, said.size, said.activation, gram is None or isinstance(gram, str))
        if key not in self._models:
            self._models[key] = said.model()
        model = self._models[key]
        dimension = _DIMENSION if said.dimension is None else said.dimension
        return Setting(
            Problem(model, parameters),
            said.start(model),
            said.times(),
            dimension,
            _REPLICAS if said.replicas is None else said.replicas,
            said.test_samples(dimension),
            said.simulation(),
        )

    def sweep(self) -> Sweep:
        """The sweep, every point of it built and checked.

        Raises
        ------
        theory.InputError
        """
        from numerics import Sweep

        said: dict[str, dict[str, Any]] = {}
        for f in fields(self.base):
            value = getattr(self.base, f.name)
            if value is not None and f.name != "seed":
                said.setdefault(f.metadata["table"], {})[f.name] = plain(value)
        sweep = Sweep(
            self.axes, self.build, self.measure, self.base.seed or 0, self.measure_options(), said
        )
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
    base = SweepConfiguration(
        **read_values(path, data, SweepConfiguration, "sweep", "measurement", "figure")
    )
    table = dict(data.get("sweep", {}))
    where = f"config {path.name} [sweep]"
    if not table:
        raise InputError(
            where,
            "nothing",
            "a table [sweep] of axes and measurements",
            "see the files sweep_*.toml in examples/",
        )
    measure = _measure(where, table.pop("measure", None))
    axes = {key: _axis(path, key, values) for key, values in table.items()}
    for key in axes:
        if getattr(base, key) is not None and key != "seed":
            raise InputError(
                key, "a value and an axis", "one of the two", f"leave {key} away above [sweep]"
            )
    return SweepFile(
        path,
        base,
        axes,
        measure,
        _measurement(path, data.get("measurement", {})),
        read_figure(path, data["figure"]) if "figure" in data else None,
    )


def _axis(path: Path, key: str, values: Any) -> list[Any]:
    known = [name for names in known_keys(SweepConfiguration).values() for name in names]
    where = f"config {path.name} [sweep]"
    check_choice(
        where, key, [*(n for n in known if n not in _COMMON), *_COMMON, "measure"], kind="key"
    )
    if key in _COMMON:
        raise InputError(
            where, repr(key), "a field that may differ from point to point", _COMMON[key]
        )
    if not isinstance(values, list) or not values:
        raise InputError(f"[sweep] {key}", values, "a list of values", f"write {key} = [..., ...]")
    if key in _LISTS and not all(isinstance(value, list) for value in values):
        raise InputError(
            f"[sweep] {key}",
            plain(values),
            "a list of lists: each value is a list",
            f"put one more pair of brackets around it: {key} = [[...], [...]]",
        )
    return [plain(READERS[key](key, value)) for value in values]


def _measure(where: str, names: Any) -> tuple[str, ...]:
    from numerics import MEASUREMENTS

    if not isinstance(names, list) or not names or not all(isinstance(n, str) for n in names):
        raise InputError(
            f"{where} measure",
            "nothing" if names is None else repr(names),
            "a list of measurements",
            f'write measure = ["alignment"], of {", ".join(MEASUREMENTS)}',
        )
    return tuple(
        check_choice(f"{where} measure", name, MEASUREMENTS, kind="measurement") for name in names
    )


def _measurement(path: Path, table: Mapping[str, Any]) -> dict[str, Any]:
    for key in table:
        check_choice(f"config {path.name} [measurement]", key, _MEASUREMENT, kind="key")
    found: dict[str, Any] = {}
    if "threshold" in table:
        found["threshold"] = float(READERS["ridge"]("threshold", table["threshold"]))
    if "blocks" in table:
        blocks = table["blocks"]
        if not isinstance(blocks, list):
            raise InputError(
                "blocks", repr(blocks), "a list of units counted from 1", "write blocks = [1]"
            )
        found["blocks"] = tuple(READERS["seed"]("blocks", b) for b in blocks)
    return found


def plain(value: Any) -> Any:
    """A value as JSON writes it; whole numbers stay whole.

    Examples
    --------
    >>> plain([Fraction(1, 2), 3])
    [0.5, 3]
    """
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [plain(v) for v in value]
    return float(value) if isinstance(value, Fraction) else value
