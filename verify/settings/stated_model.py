"""Models that a TOML file states: a loss as text, a mixture, bands, an update.

A file is data: its texts are read by the grammar of claims, and nothing in it is run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from theory.errors import InputError, check_choice

from .configuration import Configuration, read_toml, read_values
from .option_table import keys
from .texts.loss_text import parse_loss
from .user_model import UserConfiguration
from .values import read_integer, read_number, read_text

if TYPE_CHECKING:
    import sympy as sp

    from theory import Loss, Mixture, Model, Update

# tables that only a stated model has, and the keys of all of them
TABLES = {
    "mixture": ("labels", "coordinates", "tokens"),
    "bands": ("fractions", "scales", "directions_gram"),
    "update": ("rates", "ridges", "frozen", "rules", "averages", "momentum", "project"),
}
_LOSS = ("loss", "units", "readout", "kinks", "parameters", "tokens", "name")
_HOW = "see What can be stated in the documentation"


def states_model(data: Mapping[str, Any]) -> bool:
    """Whether a file states a model of its own, or more of a built-in one than its size."""
    model = data.get("model", {})
    return any(name in data for name in TABLES) or (isinstance(model, dict) and "loss" in model)


def read_settings(path: Path) -> Configuration:
    """Read a configuration, of a built-in model or of one that the file states.

    Raises
    ------
    theory.InputError
        As for :func:`verify.settings.configuration.read_configuration`; and what the parts of a
        model refuse.
    """
    data = read_toml(path)
    if not states_model(data):
        return Configuration(**read_values(path, data, Configuration))
    model, rest = take_model(path, data)
    return UserConfiguration(model, **read_values(path, rest, Configuration))


def take_model(path: Path, data: Mapping[str, Any]) -> tuple[Model, dict[str, Any]]:
    """The model that a file states, and the tables that say something else."""
    from theory import Model

    where = f"config {path.name}"
    others = {str(o.table) for o in keys(sweep=True).values()} | {"sweep", "measurement", "figure"}
    for name in data:
        check_choice(where, name, [*TABLES, *sorted(others)], kind="table")
    tables = {name: _table(where, data, name) for name in ("model", *TABLES)}
    for name, known in TABLES.items():
        _check_keys(f"{where} [{name}]", tables[name], known)
    stated = tables["model"]
    if "loss" in stated:
        _check_keys(f"{where} [model]", stated, _LOSS)
        if "mixture" not in data:
            expected = "a table [mixture] beside a loss"
            raise InputError(where, "no mixture", expected, "state labels and coordinates in it")
        loss = _loss(stated)
        mixture = _mixture(tables["mixture"], None)
        name = read_text("name", stated.get("name", path.stem))
    else:
        if "mixture" in data:
            expected = "a loss in [model] beside a table [mixture]"
            raise InputError(where, "no loss", expected, 'write loss = "(u_1 - y)^2 / 2"')
        built = _built_in(path, stated)
        loss, mixture, name = built.loss, built.mixture, built.name
    if tables["bands"]:
        mixture = _mixture(tables["bands"], mixture)
    update = _update(tables["update"], loss) if tables["update"] else None
    model = Model.build(mixture, loss, name=name, update=update)
    return model, {n: table for n, table in data.items() if n not in tables}


def _table(where: str, data: Mapping[str, Any], name: str) -> dict[str, Any]:
    table = data.get(name, {})
    if not isinstance(table, dict):
        raise InputError(where, f"{name} = ...", f"a table [{name}]", "put keys below it")
    return table


def _check_keys(where: str, table: Mapping[str, Any], known: tuple[str, ...]) -> None:
    for key in table:
        check_choice(where, key, known, kind="key")


def _built_in(path: Path, table: Mapping[str, Any]) -> Model:
    """A built-in model, all numbers of it open."""
    values = read_values(path, {"model": dict(table)}, Configuration)
    settings = Configuration(**values)
    kind = settings.kind
    options = {n: settings.values[n] for n in kind.options if n in settings.values}
    return kind.build(settings.size, **options)


def _loss(table: Mapping[str, Any]) -> Loss:
    import sympy as sp

    from theory import Loss

    ranges = table.get("parameters", {})
    if not isinstance(ranges, dict):
        expected = "a table of names and ranges"
        raise InputError("parameters", repr(ranges), expected, "write parameters = {T = [0.5, 2]}")
    letters, declared = {}, {}
    for name, limits in ranges.items():
        low = _numbers(f"parameters.{name}", limits)
        positive = True if low and low[0] > 0 else None
        letters[name] = sp.Symbol(name, real=True, positive=positive)
        declared[letters[name]] = tuple(low)
    kinks = table.get("kinks", [])
    if not isinstance(kinks, list):
        raise InputError("kinks", repr(kinks), "a list of formulas", 'write kinks = ["t_1"]')
    return Loss(
        parse_loss("loss", table["loss"], letters),
        read_integer("units", table.get("units", 1)),
        read_integer("readout", table.get("readout", 0)),
        kinks=tuple(parse_loss("kinks", text, letters) for text in kinks),
        parameters=declared,
        tokens=read_integer("tokens", table.get("tokens", 1)),
    )


def _mixture(table: Mapping[str, Any], before: Mixture | None) -> Mixture:
    """A mixture of a table; with ``before`` the same data with the bands of a table."""
    from theory import Bands, Mixture

    if before is None:
        missing = [n for n in ("labels",) if n not in table]
        if missing or ("coordinates" in table) == ("tokens" in table):
            got = ", ".join(table) or "nothing"
            expected = "labels, and coordinates or tokens"
            raise InputError("[mixture]", got, expected, _HOW)
        return Mixture.build(**{name: _exact(value) for name, value in table.items()})
    missing = [n for n in ("fractions", "scales") if n not in table]
    if missing:
        raise InputError("[bands]", f"no {missing[0]}", "fractions and scales", _HOW)
    gram = table.get("directions_gram")
    return Mixture.build(
        labels=before.labels,
        coordinates=before.coordinates,
        bands=Bands(_exact(table["fractions"]), _exact(table["scales"])),
        directions_gram=None if gram is None else _exact(gram),
    )


def _update(table: Mapping[str, Any], loss: Loss) -> Update:
    from theory import Update

    letters = {each.name: each.symbol for each in loss.free_parameters}
    readers: dict[str, Callable[[str, Any], Any]] = {
        "rules": lambda name, text: parse_loss(f"rules[{name!r}]", text, letters),
        "rates": lambda _, value: _exact(value),
        "ridges": lambda _, value: _exact(value),
        "averages": lambda _, value: tuple(_exact(value)) if isinstance(value, list) else value,
    }
    found: dict[str, Any] = {}
    for name, value in table.items():
        read = readers.get(name)
        if read is None:
            found[name] = _exact(value)
        elif isinstance(value, dict):
            found[name] = {key: read(key, each) for key, each in value.items()}
        else:
            remedy = f'write {name} = {{"layer 1" = ...}}'
            raise InputError(name, repr(value), "a table of names", remedy)
    return Update(**found)


def _numbers(name: str, value: Any) -> list[Any]:
    if not isinstance(value, list) or len(value) != 2:
        expected = "a range: the least and the largest number"
        raise InputError(name, repr(value), expected, "write [0.5, 2]")
    return [_exact(read_number(name, each)) for each in value]


def _exact(value: Any) -> Any:
    """Numbers of a file as the parts of a model take them, in lists of any depth."""
    from fractions import Fraction

    import sympy as sp

    if isinstance(value, list):
        return [_exact(each) for each in value]
    if isinstance(value, Fraction):
        number: sp.Expr = sp.Rational(value.numerator, value.denominator)
        return number
    return value


def own_names(settings: Configuration) -> tuple[str, ...]:
    """Free parameters of a model of the user's own, which a sweep may have as axes.

    A name of an option means that option.
    """
    if not isinstance(settings, UserConfiguration):
        return ()
    taken = keys(sweep=True)
    return tuple(e.name for e in settings.user.loss.free_parameters if e.name not in taken)
