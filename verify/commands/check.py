"""The command `check`: formulas from files, judged in three stages."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from theory.errors import check_choice
from verify.settings.configuration import Configuration
from verify.tables.text import make_table

from .command import takes_options
from .terminal import (
    INCONCLUSIVE,
    NOT_WELL,
    check_output,
    complain,
    named_progress,
    say,
    standard_output,
    write_text,
)

if TYPE_CHECKING:
    from verify.claims.judgement import Judgement


@takes_options
def check(
    settings: Configuration, *, files: list[Path], claim: str | None, json: Path | None
) -> None:
    """Judge formulas: proved, in agreement to stated digits, or refuted with a counterexample and a
    repair.

    Exit code 0 means that every claim stands (or, where it says what is expected, is judged as
    expected), 1 that one is refuted, 2 bad input, 3 that one could not be told.

    Example:  specalign check examples/claims
    """
    screen = json is not None and str(json) == "-"
    if not screen:
        check_output("--json", json)
    root = settings.value("seed")

    from verify.claims.files import find_files, read_claims
    from verify.claims.judge import judge
    from verify.claims.judgement import Finding

    # all of them are read before any is judged
    claims = [c for path in find_files(files) for c in read_claims(path)]
    if claim is not None:
        check_choice("--claim", claim, [c.name for c in claims])
        claims = [c for c in claims if c.name == claim]
    done = []
    with named_progress("judging claims") as progress:
        for i, one in enumerate(claims):
            progress(one.name, i / len(claims))
            done.append(judge(one, root))
    document = json_module.dumps(
        {"seed": root, "claims": [j.to_dict() for j in done]}, indent=2, ensure_ascii=False
    )
    if screen:
        say(document)
    else:
        _show(done)
        if json is not None:
            write_text(json, document + "\n")
    wrong = [j for j in done if not (j.stands if j.as_expected is None else j.as_expected)]
    if not wrong:
        return
    told = {Finding.REFUTED, Finding.CONTRADICTORY}
    if len(done) > 1 or wrong[0].claim.expected is not None:
        complain("; ".join(f"{j.claim.name}: {j.finding.value}{_unexpected(j)}" for j in wrong))
    refuted = any(j.finding in told or (j.as_expected is False and j.stands) for j in wrong)
    raise typer.Exit(NOT_WELL if refuted else INCONCLUSIVE)


def _unexpected(j: Judgement) -> str:
    return "" if j.claim.expected is None else f" where {j.claim.expected} was expected"


def _show(done: list[Judgement]) -> None:
    """A table of verdicts, then what there is to say about each claim."""
    console = standard_output()
    rows = [
        [
            j.claim.name,
            j.claim.model.name,
            j.finding.value,
            "" if j.as_expected is None else ("yes" if j.as_expected else "NO"),
            *(j.stage(name).status.value for name in ("symbolic", "digits", "sampling")),
            f"{j.seconds:.1f}",
        ]
        for j in done
    ]
    columns = ("claim", "model", "verdict", "as expected", "symbolic", "digits", "sampling", "s")
    console.print(make_table("Claims", columns, rows, left=7))
    for j in done:
        if len(done) == 1 or not j.stands:
            say(f"\n{j}")
