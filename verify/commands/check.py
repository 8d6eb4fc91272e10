"""The command `check`: formulas from files, judged in three stages."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from theory import InputError
from verify.settings.values import parse_integer
from verify.tables.text import make_table

from . import options as opt
from .terminal import check_outputs, complain, named_progress, say, standard_output, write_text

if TYPE_CHECKING:
    from verify.claims.judgement import Judgement

# the exit code where nothing is refuted and something could not be told
INCONCLUSIVE = 3


def check(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...",
            show_default=False,
            help="Files of claims (.toml, .tex, .py), or directories of .toml and .tex files. A .py runs as you.",
        ),
    ],
    claim: Annotated[
        str | None,
        typer.Option(
            "--claim", metavar="NAME", show_default=False, help="Judge the claim of this name only."
        ),
    ] = None,
    seed: Annotated[
        str, typer.Option(metavar="INT", help="Root of random points and samples, at least 0.")
    ] = "0",
    json: Annotated[
        Path | None,
        typer.Option(
            "--json",
            metavar="FILE",
            show_default=False,
            help="Write all as JSON; - for the screen.",
        ),
    ] = None,
) -> None:
    """Judge formulas: proved, in agreement to stated digits, or refuted with a counterexample and a
    repair.

    Exit code 0 means that every claim stands (or, where it says what is expected, is judged as
    expected), 1 that one is refuted, 2 bad input, 3 that one could not be told.

    Example:  specalign check examples/claims
    """
    screen = json is not None and str(json) == "-"
    if not screen:
        check_outputs(json=(json, ()))
    root = parse_integer("seed", seed)
    if root < 0:
        raise InputError("seed", root, "an integer >= 0", "seeds are non-negative integers")

    from verify.claims.files import find_files, read_claims
    from verify.claims.judge import judge
    from verify.claims.judgement import Finding

    # all of them are read before any is judged
    claims = [c for path in find_files(files) for c in read_claims(path)]
    if claim is not None:
        from theory.errors import check_choice

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
    raise typer.Exit(opt.NOT_WELL if refuted else INCONCLUSIVE)


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
