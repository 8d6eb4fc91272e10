"""The command `design`: which setting of training reaches a goal soonest."""

from __future__ import annotations

import json as json_format
from pathlib import Path
from typing import Any

import typer

from theory.errors import InputError
from verify.commands.command import takes_options
from verify.commands.messages import complain, say
from verify.commands.shared import problem_of
from verify.commands.terminal import (
    NOT_WELL,
    progress_bar,
    standard_output,
    write_figure,
    write_text,
)
from verify.settings.configuration import Configuration
from verify.settings.values import Number


@takes_options
def design(
    settings: Configuration,
    *,
    reach: tuple[str, Number] | None,
    best: tuple[str, Number] | None,
    over: list[tuple[str, Number, Number]] | None,
    clock: str,
    within: Number | None,
    confirm: bool,
    json: Path | None,
    plot: Path | None,
) -> None:
    """Find the setting of training that reaches a goal soonest, or is best at a time, and confirm
    it by SGD.

    Settings are compared on the effective dynamics (dimension to infinity). What is said of the
    best one: what is as good, whether it lies at an edge of the box, and what SGD at --dimension
    does in it. Exit code 1: the target is not reached, or SGD does not agree.

    Example:  specalign design kgmm --reach accuracy 0.9 --over step 0.1 3 --over ridge 0 1

    Example:  specalign design xor --best alignment 8 --over step 0.1 1 --plot design.png

    Example:  specalign design --reach alignment 0.8 --schedule "1/(1 + a*t)" --over a 0 4
    """
    from numerics.training_design.design import design as find_design

    if not over:
        remedy = "write --over step 0.1 3"
        raise InputError("--over", "nothing", "what is chosen, with its bounds", remedy)
    names = [name for name, *_ in over]
    if len(set(names)) < len(names):
        remedy = "leave all but one away"
        raise InputError("--over", names[-1], "every setting once", remedy)
    further: dict[str, Any] = {} if within is None else {"within": float(within)}
    further |= {n: _floats(pair) for n, pair in (("reach", reach), ("best", best)) if pair}
    schedule = _schedule(settings, names)
    problem, initial = problem_of(settings)
    with progress_bar(f"designing the training of {problem.model.name}") as progress:
        found = find_design(
            problem, initial, over={n: (float(a), float(b)) for n, a, b in over},
            clock=clock, batch=settings.value("batch"), schedule=schedule,
            seed=settings.value("seed"), progress=progress, **further,
        )  # fmt: skip
    from .design_tables import confirmation_lines, design_json, design_remarks, design_table

    standard_output().print(design_table(found))
    for line in design_remarks(found):
        say(line)
    runs = None
    if confirm:
        from .confirmation import confirm_design

        sizes = {n: settings.value(n) for n in ("dimension", "replicas", "seed", "method")}
        with progress_bar(f"SGD in dimension {sizes['dimension']}") as progress:
            runs = confirm_design(found, **sizes, progress=progress)
        for line in confirmation_lines(found, runs):
            say(line)
    if json is not None:
        content = json_format.dumps(design_json(found, runs), indent=1, allow_nan=False)
        write_text(json, content + "\n")
    if plot is not None:
        from .design_figure import plot_design

        write_figure(plot_design(found, runs), plot)
    if runs is not None and runs.verdict.value == "fails":
        complain("SGD does not agree with the theory of the best setting")
        raise typer.Exit(NOT_WELL)


def _floats(pair: tuple[str, Number]) -> tuple[str, float]:
    return pair[0], float(pair[1])


def _schedule(settings: Configuration, names: list[str]) -> Any:
    """The schedule with the letters that are chosen."""
    from numerics.training_design.axes import ALIASES, LEAST
    from verify.settings.texts.schedule_text import parse_schedule

    if settings.schedule is None:
        return None
    letters = [n for n in names if n not in (*LEAST, *ALIASES)]
    return parse_schedule("schedule", settings.schedule, letters)
