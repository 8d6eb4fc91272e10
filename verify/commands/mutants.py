"""What ``specalign verify --mutants`` prints and writes."""

from __future__ import annotations

import json as json_module
from collections.abc import Sequence
from pathlib import Path

import typer

from verify.mutants.run import SAMPLING_SHARE, count_kinds, run_mutants
from verify.tables.text import make_table

from . import options as opt
from .terminal import complain, named_progress, say, standard_output, write_text


def report_mutants(systems: Sequence[str], seed: int, json: Path | None) -> None:
    """Run the mutants, print a table a system and end with the exit code they deserve.

    Raises
    ------
    typer.Exit
        A stage catches too few, or a true formula is refuted.
    """
    with named_progress("judging mutants") as progress:
        done = run_mutants(systems, seed, progress=progress)
    console = standard_output()
    for system in systems:
        rows = [
            [kind, *map(str, counts)] for kind, counts in count_kinds(done.counted(system)).items()
        ]
        totals = [str(sum(int(row[i]) for row in rows)) for i in range(1, 5)]
        columns = (
            "change",
            "mutants",
            "caught by digits",
            "above the resolution",
            "caught by samples",
        )
        console.print(make_table(f"Mutants of {system}", columns, [*rows, ["all", *totals]]))
    shares, equivalent = done.shares(), sum(bool(t.equivalent) for _, t in done.trials)
    say(
        f"{len(done.counted())} mutants of {done.formulas} formulas: {shares['digits']:.1%} caught by digits alone;"
        f" {shares['sampling']:.1%} of those above the resolution of the samples caught by samples alone (at least"
        f" {SAMPLING_SHARE:.0%} wanted). {equivalent} further changes are none, by an identity. {done.seconds:.0f} s,"
        f" seed {done.seed}; a true formula is refuted by chance with probability at most {done.family_error:g}."
    )
    for system, trial in done.trials:
        if not trial.equivalent and not trial.by_digits:
            say(f"not caught by digits: {system} {trial.mutant.entry}: {trial.mutant.text}")
    if json is not None:
        write_text(json, json_module.dumps(done.to_dict(), indent=2, ensure_ascii=False) + "\n")
    if not done.holds:
        complain("; ".join(done.refuted) or "too few mutants are caught")
        raise typer.Exit(opt.NOT_WELL)
