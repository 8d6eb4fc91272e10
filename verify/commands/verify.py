"""The command `verify`: verdicts on the screen, as JSON and as HTML."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from theory.errors import check_choice
from verify.settings.configuration import Configuration

from .command import takes_options
from .judging.laws import judge_laws
from .messages import complain, say
from .terminal import INTERRUPTED, NOT_WELL, named_progress, standard_output

if TYPE_CHECKING:
    from verify.verdict.results import Exhibit, JointReport, Report

# the word for the systems that are judged where none is named
_PAPER = "paper"
QUICK = "quick"


@takes_options
def verify(
    settings: Configuration,
    *,
    system: str,
    model_file: str | None,
    level: str,
    only: list[str] | None,
    listing: bool,
    json: Path | None,
    report: Path | None,
    mutants: bool,
) -> None:
    """Check the theory against simulated SGD and empirical spectra; a verdict with tolerance for
    each statement.

    Exit code 0 means that every check holds, 1 that one fails or is inconclusive. The probability
    that a true theory is refuted by chance is at most 1e-4 for the whole command, however many
    systems it covers.

    Example:  specalign verify --level quick --seed 1 --report report.html

    Example:  specalign verify --model model.py:model
    """
    from verify.checks.runner import VerificationInterrupted, open_pool, run, run_all
    from verify.evidence.systems import GROUPS, PAPER_SYSTEMS, SYSTEMS

    if model_file is not None:
        others: dict[str, object] = {
            "SYSTEM": system != _PAPER and system,
            "--level": level != QUICK and level,
        }
        others |= {"--json": json, "--report": report, "--mutants": mutants}
        judge_laws(model_file, only, settings.value("seed"), listing, **others)
        return
    check_choice("system", system, (*SYSTEMS, *GROUPS))
    systems, seed = GROUPS.get(system, (system,)), settings.value("seed")
    if listing:
        from verify.tables.verdicts import check_table

        listed = tuple(SYSTEMS) if system == _PAPER else systems
        standard_output().print(check_table(listed, only))
        return
    if mutants:
        from .judging.mutants import report_mutants

        report_mutants(PAPER_SYSTEMS if system in GROUPS else systems, seed, json)
        return
    prepare: Callable[[Exhibit], Exhibit] | None = None
    if report is not None:
        from verify.report.html import drawn

        prepare = drawn
    done: Report | JointReport
    try:
        with (
            open_pool(level, seed, systems=systems, only=only, prepare=prepare) as pool,
            named_progress(f"judging {system}, level {level}", timed=False) as progress,
        ):
            shown: dict[str, Any] = {"progress": progress, "only": only, "pool": pool}
            if system in GROUPS:
                group = "" if system == _PAPER else system
                done = run_all(level, seed, systems=systems, group=group, **shown)
            else:
                done = run(system, level, seed, **shown)
    except VerificationInterrupted as event:
        done = event.partial
        complain(f"{event}; what was finished is kept")
    code = _judge(done) if done.complete else INTERRUPTED
    if json is not None or report is not None:
        from verify.report.html import write_html, write_json

        if json is not None:
            write_json(done, json)
            say(f"wrote {json}")
        if report is not None:
            write_html(done, report)
            say(f"wrote {report}")
    if code:
        raise typer.Exit(code)


def _judge(done: Report | JointReport) -> int:
    """Print the verdicts, a table a system; returns the exit code they deserve."""
    from verify.tables.verdicts import verdict_details, verdict_table
    from verify.verdict.results import JointReport
    from verify.verdict.tolerance import Verdict

    joint = isinstance(done, JointReport)
    marked = []
    for report in done.reports if isinstance(done, JointReport) else [done]:
        standard_output().print(verdict_table(report))
        for result in report.results:
            if result.verdict is not Verdict.HOLDS:
                say("\n".join(verdict_details(result)))
            name = f"{report.system} {result.name}" if joint else result.name
            marked.append((name, result.verdict))
    names = {v: [name for name, verdict in marked if verdict is v] for v in Verdict}
    say(
        f"{len(names[Verdict.HOLDS])} of {len(marked)} checks hold; {done.seconds:.0f} s; "
        f"a true theory is refuted by chance with probability at most {done.family_error:g}. "
        f"Reproduce: {done.command}"
    )
    if done.verdict is Verdict.HOLDS:
        return 0
    parts = [
        f"{v.value}: {', '.join(names[v])}"
        for v in (Verdict.FAILS, Verdict.INCONCLUSIVE)
        if names[v]
    ]
    complain("; ".join(parts) or "no check was made")
    return NOT_WELL
