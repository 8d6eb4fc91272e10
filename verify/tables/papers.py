"""Tables of published works and the verdicts on them."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from rich.markup import escape
from rich.table import Table

from verify.papers.entry import Entry
from verify.papers.judging import PaperResult, StatementResult
from verify.verdict.tolerance import Verdict

from .text import make_table, number
from .verdicts import VERDICT_STYLE, describe


def list_table(entries: Sequence[Entry]) -> Table:
    """One row a work."""
    rows = [
        [e.name, str(e.year), escape(e.texts["title"]), str(len(e.statements))] for e in entries
    ]
    return make_table("published works", ("name", "year", "title", "statements"), rows, left=3)


def paper_table(result: PaperResult) -> Table:
    """One row a statement, with the number closest to its tolerance and the wrong theory."""
    entry = result.entry
    columns = ("statement", "number", "here", "claimed", "tolerance", "verdict", "wrong theory")
    rows = [_row(r) for r in result.results]
    title = f"{entry.texts['authors']} ({entry.year}), seed {result.seed}"
    return make_table(escape(title), (*columns, "s"), rows, left=2)


def _row(result: StatementResult) -> list[str]:
    worst, judged = result.worst, result.judged
    style = VERDICT_STYLE[result.verdict]
    expected = "" if result.verdict is result.statement.expected else " (not as expected)"
    if result.verdict is result.statement.expected is not Verdict.HOLDS:
        expected = " (a finding)"
    if result.statement.claims:
        count = len(judged.comparisons)
        cells = [f"{count} formulas", "", "", "symbols, digits, samples"]
    else:
        claimed = number(worst.predicted)
        cells = [
            escape(worst.quantity),
            number(worst.measured),
            f"≤ {claimed}" if worst.one_sided else claimed,
            number(worst.tolerance.total, 2),
        ]
    return [
        result.statement.name,
        *cells,
        f"[{style}]{result.verdict.value}[/{style}]{expected}",
        "refuted" if judged.wrong_is_refuted else "[bold red]not refuted[/bold red]",
        f"{result.seconds:.1f}",
    ]


def paper_lines(result: PaperResult) -> Iterator[str]:
    """What is said about the work and every statement, below each other."""
    texts = result.entry.texts
    yield f"{texts['title']}. {texts['published']}"
    yield from _wrapped("model: ", texts["model"])
    yield from _wrapped("read: ", texts["read"])
    for found in result.results:
        s = found.statement
        yield from _wrapped(f"{s.name}: ", f"{s.says} [{s.place}]")
        yield from _wrapped("    wrong theory: ", s.wrong)
        if s.finding:
            yield from _wrapped("    finding: ", s.finding)
        if found.verdict is not s.expected:
            yield from _wrapped("    ", describe(found.worst))


def _wrapped(head: str, text: str) -> Iterator[str]:
    indent = " " * (len(head) - len(head.lstrip()) + 4)
    yield from textwrap.wrap(head + " ".join(text.split()), 110, subsequent_indent=indent)
