"""Claims of a file before their formulas are read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from theory import InputError
from verify.claims.judgement import Claim
from verify.settings.option_table import keys

KEYS = (
    "name",
    "quantity",
    "formula",
    "latex",
    "order",
    "parameter",
    "regularized",
    "kink_rule",
    "source",
    "expected",
)
# how many classes or units a formula in LaTeX is judged for, where its comments do not say
MODEL_KEYS = {
    "model" if name == "name" else name: option
    for name, option in keys().items()
    if option.table in ("model", "parameters")
}


# claims of a file: each is judged in a process of its own
MOST_CLAIMS = 1000


def check_count(path: Path, count: int) -> None:
    """Refuse more formulas than anybody waits for."""
    if count > MOST_CLAIMS:
        expected, remedy = f"at most {MOST_CLAIMS}", "write several files"
        raise InputError(f"claims {path.name}", f"{count} formulas", expected, remedy)


@dataclass(frozen=True)
class ListedClaim:
    """A claim of a file before its formula is read.

    Attributes
    ----------
    name : str
    read : callable () -> Claim
        Reads it; raises :class:`theory.InputError` with file, claim, position and reason.
    model : str
        Name of the model.
    texts : dict
        What the file says about it, for reports about a claim that cannot be read.
    """

    name: str
    read: Callable[[], Claim]
    model: str = ""
    texts: Mapping[str, Any] = field(default_factory=dict)
