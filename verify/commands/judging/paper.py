"""The command `paper`: published results as entries that anyone can run and see judged."""

from __future__ import annotations

import json as json_module
from pathlib import Path

import typer

from theory.errors import InputError
from verify.commands.command import takes_options
from verify.commands.messages import complain, say
from verify.commands.terminal import (
    NOT_WELL,
    named_progress,
    standard_output,
    write_figure,
    write_text,
)
from verify.settings.configuration import Configuration


@takes_options
def paper(
    settings: Configuration,
    *,
    paper: str | None,
    listing: bool,
    only: list[str] | None,
    json: Path | None,
    plot: Path | None,
) -> None:
    """Run a published work: every statement of it judged, beside a wrong theory that has to be
    refuted.

    Exit code 0 means that every verdict is the expected one (a statement that is known not to hold
    is a finding, and said to be one) and every wrong theory refuted, 1 that one is not.

    Example:  specalign paper --list

    Example:  specalign paper saad_solla_1995 --plot plateau.png
    """
    from verify.papers.entry import load, names
    from verify.papers.judging import judge_paper
    from verify.tables.papers import list_table, paper_lines, paper_table

    if listing:
        standard_output().print(list_table([load(name) for name in names()]))
        return
    if paper is None:
        expected = "the name of a published work"
        raise InputError("NAME", "nothing", expected, "specalign paper --list names them")
    entry = load(paper)
    with named_progress(f"judging {entry.name}", timed=False) as progress:
        result = judge_paper(entry, settings.value("seed"), only=only, progress=progress)
    say("\n".join(paper_lines(result)))
    standard_output().print(paper_table(result))
    if json is not None:
        text = json_module.dumps(result.to_dict(), indent=2, ensure_ascii=False)
        write_text(json, text + "\n")
        say(f"wrote {json}")
    if plot is not None:
        write_figure(entry.draw(), plot)
    wrong = [r.statement.name for r in result.results if not r.as_expected]
    if wrong:
        complain(f"{entry.name}: not as expected: {', '.join(wrong)}")
        raise typer.Exit(NOT_WELL)
