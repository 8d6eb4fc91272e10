"""The laws of a model of the user's own, for ``specalign verify --model``."""

from __future__ import annotations

import typer

from theory.errors import InputError

from ..messages import complain, say
from ..terminal import NOT_WELL, spinner


def judge_laws(
    text: str, only: list[str] | None, seed: int, listing: bool, **others: object
) -> None:
    """Run the file of a model and judge every law that applies to the model.

    Parameters
    ----------
    text : str
        ``FILE.py:NAME``.
    only : list of str, optional
        Names of laws.
    seed : int
    listing : bool
        Name the laws and stop.
    **others
        Options that laws do not have, by name, with what was said: nothing is to be there.

    Raises
    ------
    typer.Exit
        A law fails or could not be judged.
    """
    for option, value in others.items():
        if value:
            expected = "nothing of the kind together with --model"
            remedy = f"leave it away: laws of a model know no {option}"
            raise InputError(option, str(value), expected, remedy)
    from verify.laws.check_model import LAWS, check_model
    from verify.settings.user_model import load_model

    if listing:
        for law in LAWS.values():
            say(f"{law.name}: {law.statement}")
        return
    model = load_model(text)
    with spinner(f"judging the laws of {model.name}"):
        report = check_model(model, only=only, seed=seed, on_fail="report")
    say(str(report))
    if not report.holds:
        complain(f"{model.name}: {report.counts}")
        raise typer.Exit(NOT_WELL)
