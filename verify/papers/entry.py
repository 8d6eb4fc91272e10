"""Entries of the atlas: a folder with paper.toml, what is claimed, and run.py, what is measured.

The folders stand in :mod:`specalign.papers` and are part of every installation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from importlib import import_module
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from theory.errors import InputError, check_choice
from verify.settings.configuration import read_toml
from verify.verdict.tolerance import Verdict

from .numbers import Number

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from theory import Model

HOME = "specalign.papers"
_TEXTS = ("title", "authors", "published", "read", "model", "figure")
_OF_STATEMENT = ("name", "says", "place", "wrong")
_OPTIONAL = ("expected", "finding", "claims")


@dataclass(frozen=True)
class Statement:
    """A statement of a work.

    Attributes
    ----------
    name : str
        Of the function of run.py that measures it.
    says, place : str
        The statement in words of ours, and where it stands.
    wrong : str
        A theory that is near and wrong: whatever judges the statement has to refute it.
    expected : Verdict
    finding : str
        Where it does not hold: what was found, with numbers.
    claims : str
        A file of claims in LaTeX that are judged in place of numbers.
    """

    name: str
    says: str
    place: str
    wrong: str
    expected: Verdict = Verdict.HOLDS
    finding: str = ""
    claims: str = ""


@dataclass(frozen=True)
class Entry:
    """A published work: what it says, and what measures it.

    Attributes
    ----------
    name : str
        Of its folder.
    folder : Path
    year : int
    texts : dict
        ``title``, ``authors``, ``published`` (where), ``read`` (what of it was read, and what could
        not be), ``model`` (what stands for its setting), ``figure`` (a caption).
    statements : tuple of Statement
    """

    name: str
    folder: Path
    year: int
    texts: dict[str, str]
    statements: tuple[Statement, ...]

    @cached_property
    def module(self) -> ModuleType:
        """What measures."""
        return import_module(f"{HOME}.{self.name}.run")

    def measure(self, statement: Statement) -> Callable[[int], Iterable[Number]]:
        """The function of a seed that measures a statement."""
        found: Callable[[int], Iterable[Number]] = getattr(self.module, statement.name)
        return found

    def symbolic_model(self) -> Model:
        """The model that the claims are about."""
        model: Model = self.module.model()
        return model

    def draw(self) -> Figure:
        """The figure of the entry."""
        figure: Figure = self.module.figure()
        return figure

    def pick(self, names: Iterable[str] | None) -> tuple[Statement, ...]:
        """The statements of these names, or all."""
        if names is None:
            return self.statements
        known = [s.name for s in self.statements]
        wanted = [check_choice("--only", name, known) for name in names]
        return tuple(s for s in self.statements if s.name in wanted)

    @property
    def fingerprint(self) -> str:
        """Changes with every file of the entry: results of other files are stale."""
        digest = sha256()
        for path in sorted(self.folder.iterdir()):
            if path.suffix in (".toml", ".py", ".tex"):
                digest.update(path.name.encode() + path.read_bytes())
        return digest.hexdigest()[:16]


def names() -> list[str]:
    """Names of all entries, in the order of the alphabet."""
    if find_spec(HOME) is None:
        raise InputError("paper", HOME, "an installed package", "install specalign again")
    home = Path(str(files(HOME)))
    return sorted(path.parent.name for path in home.glob("*/paper.toml"))


def load(name: str) -> Entry:
    """Read the description of an entry; nothing of it runs.

    Raises
    ------
    theory.InputError
        No entry of this name, or a description with something missing or unknown.
    """
    name = check_choice("NAME", name, names(), kind="paper")
    folder = Path(str(files(HOME))) / name
    data = read_toml(folder / "paper.toml")
    where = f"paper {name}"
    statements = data.pop("statement", [])
    _check_keys(where, data, (*_TEXTS, "year"), ())
    texts = {key: str(data[key]) for key in _TEXTS}
    read = tuple(_statement(where, s) for s in statements)
    return Entry(name, folder, int(data["year"]), texts, read)


def _statement(where: str, data: dict[str, Any]) -> Statement:
    _check_keys(where, data, _OF_STATEMENT, _OPTIONAL)
    expected = Verdict(data.pop("expected", "holds"))
    return Statement(**data, expected=expected)


def _check_keys(
    where: str, data: dict[str, Any], needed: tuple[str, ...], others: tuple[str, ...]
) -> None:
    for key in data:
        check_choice(where, key, (*needed, *others), kind="key")
    for key in needed:
        if key not in data:
            raise InputError(where, f"no {key}", f"the keys {', '.join(needed)}", f"add {key}")
