"""Tables and details of verdicts."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from rich.markup import escape
from rich.table import Table

from verify.verdict.results import CheckResult, Report
from verify.verdict.tolerance import Comparison, Verdict

from .text import make_table, number

VERDICT_STYLE = {Verdict.HOLDS: "green", Verdict.FAILS: "bold red", Verdict.INCONCLUSIVE: "yellow"}


def rank_comparisons(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """Worst first: what fails, then what is inconclusive, then what holds; within each by share of
    the tolerance.
    """
    order = {Verdict.FAILS: 0, Verdict.INCONCLUSIVE: 1, Verdict.HOLDS: 2}
    # a strain that is not a number is worse than any number
    return sorted(
        comparisons,
        key=lambda c: (order[c.verdict], -c.strain if c.strain == c.strain else -math.inf),
    )


def verdict_table(report: Report) -> Table:
    """One row a check, with its worst comparison."""
    table = Table(
        title=f"{report.system}, {report.level} level, seed {report.seed}",
        title_justify="left",
        title_style="bold",
        header_style="bold",
    )
    for column, justify in (
        ("check", "left"),
        ("verdict", "left"),
        ("worst comparison", "left"),
        ("measured", "right"),
        ("predicted", "right"),
        ("deviation", "right"),
        ("tolerance", "right"),
        ("s", "right"),
    ):
        table.add_column(column, justify=justify, overflow="fold")  # type: ignore[arg-type]
    for result in report.results:
        style = VERDICT_STYLE[result.verdict]
        cells = ["no comparison was made", "", "", "", ""]
        if result.comparisons:
            worst = rank_comparisons(result.comparisons)[0]
            # what is this far below the tolerance is zero to a reader
            zero = 1e-9 * worst.tolerance.total
            cells = [
                escape(worst.quantity),
                number(worst.measured, zero=zero),
                ("≤ " if worst.one_sided else "") + number(worst.predicted, zero=zero),
                number(worst.deviation, 3),
                number(worst.tolerance.total, 3),
            ]
        table.add_row(
            result.name,
            f"[{style}]{result.verdict.value}[/{style}]",
            *cells,
            f"{result.seconds:.1f}",
        )
    return table


def check_table(systems: Sequence[str], only: Sequence[str] | None = None) -> Table:
    """One row a check, with the systems it applies to and what it states."""
    from verify.checks.registry import CHECKS, statement_of
    from verify.checks.runner import check_names
    from verify.evidence.systems import get_system

    checks = {system: get_system(system).checks for system in systems}
    rows = [
        [
            name,
            ", ".join(system for system in systems if name in checks[system]),
            statement_of(name),
        ]
        for name in CHECKS
        if name in check_names(systems, only)
    ]
    return make_table(
        f"checks of {', '.join(systems)}", ("check", "applies to", "statement"), rows, left=3
    )


def verdict_details(result: CheckResult) -> Iterator[str]:
    """What a reader needs to follow a check that did not hold."""
    yield f"{result.name}: {result.verdict.value}"
    yield f"  statement: {result.statement} [{result.source}]"
    wrong = [c for c in rank_comparisons(result.comparisons) if c.verdict is not Verdict.HOLDS]
    if not result.comparisons:
        yield "  no comparison was made"
    for comparison in wrong[:5]:
        yield f"  {comparison.verdict.value}: {describe(comparison)}"
    if len(wrong) > 5:
        total = len(result.comparisons)
        yield f"  and {len(wrong) - 5} more of {total} comparisons (see --json or --report)"
    for note in result.notes:
        yield f"  note: {note}"


def describe(comparison: Comparison) -> str:
    """One comparison in a line, with every part of its tolerance."""
    relation = "expected at most" if comparison.one_sided else "predicted"
    text = (
        f"{comparison.quantity}: measured {comparison.measured:.6g}, {relation}"
        f" {comparison.predicted:.6g}, deviation {comparison.deviation:.3g}, tolerance"
        f" {comparison.tolerance.total:.3g} = {comparison.tolerance}"
    )
    if comparison.verdict is Verdict.INCONCLUSIVE and comparison.resolution is not None:
        resolution = f"the resolution {comparison.resolution:.3g}"
        text += f"; inconclusive because the tolerance exceeds {resolution}"
    return text
