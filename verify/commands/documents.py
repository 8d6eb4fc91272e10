"""Documents of derivations: what is written, and what is said where a step does not stand."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from theory.errors import printable
from verify.settings.configuration import Configuration
from verify.settings.option_table import keys
from verify.settings.user_model import UserConfiguration

from .messages import complain, say
from .terminal import INCONCLUSIVE, NOT_WELL, named_progress

if TYPE_CHECKING:
    from theory import Model


def derive_document(
    model: Model, path: Path, settings: Configuration, *, order: str | int | None, **asked: Any
) -> None:
    """Judge every step of a derivation and write it.

    Raises
    ------
    typer.Exit
        A step is refuted, and nothing is written, or could not be told, and is marked.
    """
    from verify.documents.derivation import make_derivation

    with named_progress("judging steps") as progress:
        derivation = make_derivation(
            model, order=None if order is None else int(order), progress=progress, **asked
        )
    for step in derivation.open_steps:
        claim = step.judgement.claim
        complain(f"{claim.name}: {step.judgement.finding.value}")
    if derivation.refuted_steps:
        for step in derivation.refuted_steps:
            say(printable(str(step.judgement)))
        complain(f"nothing is written to {path}: a step does not stand")
        raise typer.Exit(NOT_WELL)
    derivation.write(path, _model_keys(settings))
    say(f"wrote {path}: {len(derivation.steps)} steps, {_counted(derivation.steps)}")
    if derivation.open_steps:
        raise typer.Exit(INCONCLUSIVE)


def _counted(steps: Sequence[Any]) -> str:
    found = [step.judgement.finding.value for step in steps]
    return ", ".join(f"{found.count(x)} {x}" for x in dict.fromkeys(found))


def _model_keys(settings: Configuration) -> dict[str, str]:
    """The model and its numbers as comments of a file of claims say them."""
    names = {name for name, option in keys().items() if option.table in ("model", "parameters")}
    if isinstance(settings, UserConfiguration):
        return {}  # the document is checked with the same --model
    found = {"model": settings.model_name, settings.kind.size: str(settings.size)}
    for name, value in settings.values.items():
        if name in names - {"name"}:
            found[name] = _text(value)
    return found


def _text(value: Any) -> str:
    if isinstance(value, list) and value and isinstance(value[0], list):
        return ";".join(map(_text, value))
    if isinstance(value, list):
        return ",".join(map(_text, value))
    return str(Fraction(value)) if isinstance(value, float) else str(value)
