"""The command `check`: formulas from files, judged in three stages, one after the other."""

from __future__ import annotations

import json as json_module
import math
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

import typer

from theory.errors import InputError, check_choice, printable
from verify.settings.configuration import Configuration

from .command import takes_options
from .interruption import was_interrupted
from .messages import complain, inform, say
from .terminal import BAD_INPUT, INCONCLUSIVE, NOT_WELL, check_output, named_progress, write_text

if TYPE_CHECKING:
    from verify.claims.one_by_one import Answer

# columns of the lines of verdicts; names of claims stand last and may be long
_HEAD = ("verdict", "expected", "symbolic", "digits", "sampling", "s", "model", "claim")
_WIDTHS = (7, 15, 8, 12, 12, 12, 5, 6, 1)


@takes_options
def check(
    settings: Configuration,
    *,
    files: list[Path],
    model_file: str | None,
    claim: str | None,
    time_limit: float,
    json: Path | None,
    report: Path | None,
) -> None:
    """Judge formulas: proved, in agreement to stated digits, or refuted with a counterexample and a
    repair.

    Verdicts are printed as they come. Exit code 0 means that every claim stands (or, where it says
    what is expected, is judged as expected), 1 that one is refuted, 2 that one could not be read, 3
    that one could not be told.

    Example:  specalign check examples/claims

    Example:  specalign check --model model.py:model manuscript.tex
    """
    screen = json is not None and str(json) == "-"
    if not screen:
        check_output("--json", json)
    root, limit = settings.value("seed"), float(time_limit)
    if not math.isfinite(limit):
        raise InputError("--time-limit", limit, "a number of seconds", "leave it away for 60")

    from verify.claims.files import find_files, list_claims
    from verify.claims.one_by_one import ClaimJudge
    from verify.settings.user_model import load_model

    model = None if model_file is None else load_model(model_file)
    claims = [c for path in find_files(files) for c in list_claims(path, model)]
    if claim is not None:
        check_choice("--claim", claim, [c.name for c in claims])
        claims = [c for c in claims if c.name == claim]
    start = perf_counter()
    done: list[Answer] = []
    try:
        with ClaimJudge(claims, root, limit) as judge:
            if not screen:
                say(_line("", *_HEAD))
            for i, one in enumerate(claims):
                if was_interrupted():
                    raise KeyboardInterrupt
                place = f"{i + 1}/{len(claims)}"
                # the display is off before a verdict is printed, and before a process starts
                with named_progress(f"judging claim {place}", timed=False) as progress:
                    progress(f"{place} {' '.join(one.name.split())}", i / len(claims))
                    done.append(judge.answer(i))
                _show(done[-1], place, inform if screen else say)
    finally:
        _write(done, root, json, screen)
        if report is not None:
            from verify.report.claims_page import write_page

            write_page(done, report, root, len(claims))
            (inform if screen else say)(f"wrote {report}")
    _conclude(done, perf_counter() - start, inform if screen else say)


def _show(answer: Answer, place: str, tell: Callable[[str], None]) -> None:
    """The verdict in a line and, where a claim does not stand, all there is to say about it.

    Why a claim cannot be read is an error of the input, and is said where those are.
    """
    from verify.claims.judgement import Finding

    expected = "" if answer.as_expected is None else ("yes" if answer.as_expected else "NO")
    stages = answer.stages.values()
    shown = answer.verdict, expected, *stages, f"{answer.seconds:.1f}", answer.model, answer.name
    tell(printable(_line(place, *(" ".join(text.split()) for text in shown))))
    if answer.finding is Finding.UNREADABLE:
        complain(f"error: {answer.document['reason']}")
    elif tell is say and not answer.stands:
        say(printable(f"{answer.text}\n"))


def _line(*texts: str) -> str:
    return " ".join(f"{t:<{w}}" for t, w in zip(texts, _WIDTHS, strict=True)).rstrip()


def _write(done: Sequence[Answer], root: int, json: Path | None, screen: bool) -> None:
    """Everything as JSON; what was finished before an interruption is kept."""
    if json is None:
        return
    data = {"seed": root, "claims": [answer.document for answer in done]}
    document = json_module.dumps(data, indent=2, ensure_ascii=False)
    if screen:
        say(document)
    else:
        write_text(json, document + "\n")


def _conclude(done: Sequence[Answer], seconds: float, tell: Callable[[str], None]) -> None:
    """How many stand, which are not as they should be, and the exit code that this deserves."""
    from verify.claims.judgement import Finding

    if len(done) > 1:
        counts = Counter(answer.verdict for answer in done)
        found = ", ".join(f"{count} {verdict}" for verdict, count in counts.items())
        tell(f"{len(done)} claims: {found}; {seconds:.1f} s")
    wrong = [a for a in done if not (a.stands if a.as_expected is None else a.as_expected)]
    if not wrong:
        return
    if len(done) > 1 or wrong[0].expected is not None:
        complain("; ".join(f"{a.name}: {a.verdict}{_unexpected(a)}" for a in wrong))
    told = {Finding.REFUTED, Finding.CONTRADICTORY}
    if any(a.finding in told or (a.as_expected is False and a.stands) for a in wrong):
        raise typer.Exit(NOT_WELL)
    unread = any(a.finding is Finding.UNREADABLE for a in wrong)
    raise typer.Exit(BAD_INPUT if unread else INCONCLUSIVE)


def _unexpected(answer: Answer) -> str:
    if answer.expected is None or answer.as_expected is None:
        return ""
    return f" where {answer.expected} was expected"
