"""What ``specalign verify --mutants`` prints and writes."""

from __future__ import annotations

import json as json_module
from collections.abc import Sequence
from pathlib import Path

import typer

from verify.mutants.run import SAMPLING_SHARE, count_kinds, run_mutants
from verify.tables.text import make_table

from ..messages import complain, say
from ..terminal import NOT_WELL, named_progress, standard_output, write_text


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
        caught = ("caught by digits", "above the resolution", "caught by samples")
        columns = ("change", "mutants", *caught)
        console.print(make_table(f"Mutants of {system}", columns, [*rows, ["all", *totals]]))
    shares, equivalent = done.shares(), sum(bool(t.equivalent) for _, t in done.trials)
    say(
        f"{len(done.counted())} mutants of {done.formulas} formulas: {shares['digits']:.1%} caught "
        f"by digits alone; {shares['sampling']:.1%} of those above the resolution of the samples "
        f"caught by samples alone (at least {SAMPLING_SHARE:.0%} wanted). {equivalent} further "
        f"changes are none, by an identity. {done.seconds:.0f} s, seed {done.seed}; a true formula "
        f"is refuted by chance with probability at most {done.family_error:g}."
    )
    for system, trial in done.trials:
        if not trial.equivalent and not trial.by_digits:
            say(f"not caught by digits: {system} {trial.mutant.entry}: {trial.mutant.text}")
    if json is not None:
        write_text(json, json_module.dumps(done.to_dict(), indent=2, ensure_ascii=False) + "\n")
    if not done.holds:
        complain("; ".join(done.refuted) or "too few mutants are caught")
        raise typer.Exit(NOT_WELL)
