"""The command `verify`: verdicts on the screen, as JSON and as HTML."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from theory import InputError

from . import options as opt
from .console import check_outputs, complain, named_progress, say, spinner, standard_output
from .values import check_choice, parse_integer

if TYPE_CHECKING:
    from .result import Report


def verify(
    system: Annotated[
        str,
        typer.Argument(
            metavar="SYSTEM",
            help="kgmm, the k-class Gaussian mixture; xor, the XOR mixture with a two-layer network; all (default).",
        ),
    ] = "all",
    level: Annotated[
        str,
        typer.Option(
            metavar=opt.metavar(opt.VerifyLevel),
            help="quick takes about two minutes on two cores for all; full uses more runs and larger dimensions.",
        ),
    ] = "quick",
    seed: Annotated[str, typer.Option(metavar="INT", help="Root of all random numbers, at least 0.")] = "0",
    json: Annotated[
        Path | None,
        typer.Option("--json", metavar="FILE", show_default=False, help="Write all results as JSON."),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(
            "--report", metavar="FILE.html", show_default=False,
            help="Write a self-contained HTML report with figures.",
        ),
    ] = None,
) -> None:
    """Check the theory against simulated SGD and empirical spectra; a verdict with tolerance for each statement.

    Exit code 0 means that every check holds, 1 that one fails or is inconclusive.

    Example:  specalign verify kgmm --level quick --seed 1 --report report.html
    """
    check_outputs(json=(json, ()), report=(report, (".html", ".htm")))
    sizes = opt.chosen("--level", level, opt.VerifyLevel)
    root = parse_integer("seed", seed)
    if root < 0:
        raise InputError("seed", root, "an integer >= 0", "seeds are non-negative integers")

    from .result import ALL_SYSTEMS
    from .runner import VerificationInterrupted, run, run_systems
    from .systems import SYSTEMS

    check_choice("system", system, (*SYSTEMS, ALL_SYSTEMS))
    try:
        with named_progress(f"judging {system}, level {sizes.value}") as progress:
            if system == ALL_SYSTEMS:
                done = run_systems(list(SYSTEMS), sizes.value, root, progress=progress)
            else:
                done = run(system, sizes.value, root, progress=progress)
    except VerificationInterrupted as event:
        done = event.partial
        complain(f"{event}; what was finished is kept")
    # the verdict is on the screen before figures are drawn
    code = _judge(done) if done.complete else opt.INTERRUPTED
    if json is not None or report is not None:
        from .report import write_html, write_json

        if json is not None:
            write_json(done, json)
            say(f"wrote {json}")
        if report is not None:
            with spinner("drawing the figures of the report"):
                write_html(done, report)
            say(f"wrote {report}")
    if code:
        raise typer.Exit(code)


def _judge(done: Report) -> int:
    """Print the verdicts; returns the exit code they deserve."""
    from .summaries import verdict_details, verdict_table
    from .tolerance import Verdict

    standard_output().print(verdict_table(done))
    failed = [r.name for r in done.results if r.verdict is Verdict.FAILS]
    weak = [r.name for r in done.results if r.verdict is Verdict.INCONCLUSIVE]
    for result in done.results:
        if result.verdict is not Verdict.HOLDS:
            say("\n".join(verdict_details(result)))
    say(
        f"{len(done.results) - len(failed) - len(weak)} of {len(done.results)} checks hold; {done.seconds:.0f} s; "
        f"a true theory is refuted by chance with probability at most {done.family_error:g}. "
        f"Reproduce: {done.command}"
    )
    if done.verdict is Verdict.HOLDS:
        return 0
    parts = [f"{word}: {', '.join(names)}" for word, names in (("fails", failed), ("inconclusive", weak)) if names]
    complain("; ".join(parts) or "no check was made")
    return opt.NOT_WELL
