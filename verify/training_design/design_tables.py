"""What is said of a design: a table, sentences, and all numbers as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from rich.table import Table

from numerics.training_design.design import Design
from numerics.training_design.slices import AS_GOOD, Slice
from verify.tables.text import make_table

from .confirmation import Confirmation

SYMBOLS = {"step": "step (c_δ)", "ridge": "ridge (β)", "batch": "batch"}


def design_table(found: Design) -> Table:
    """One row a setting."""
    rows = [
        [
            SYMBOLS.get(s.name, s.name),
            f"{s.value:.4g}",
            _interval(s.as_good),
            _interval(s.uncertainty),
            f"{s.low:g} to {s.high:g}",
            _note(s),
        ]
        for s in found.slices
    ]
    columns = ("setting", "best", "at most 1 % worse", "not told apart", "box", "")
    return make_table(f"{found.problem.model.name}: {goal_text(found)}", columns, rows, left=1)


def goal_text(found: Design) -> str:
    """What was asked for."""
    if found.target is None:
        return f"best {found.quantity} at {found.when:g} {found.clock} per dimension"
    sign = "≤" if found.quantity == "loss" else "≥"
    return f"{found.quantity} {sign} {found.target:g} in the fewest {found.clock}"


def _interval(ends: tuple[float, float]) -> str:
    return f"{ends[0]:.4g} to {ends[1]:.4g}"


def _note(part: Slice) -> str:
    notes = [f"at the {part.edge} edge"] if part.edge else []
    return ", ".join([*notes, *(["flat"] if part.is_flat else [])])


def design_remarks(found: Design) -> Iterator[str]:
    """Sentences: what is reached, how sure it is, and what limits it."""
    clock = f"{found.clock} per dimension"
    if found.target is None:
        yield f"{found.quantity} {found.value:.5g} ± {found.error:.1g} at {found.when:g} {clock}"
    else:
        yield (
            f"{found.quantity} {found.target:g} is reached at {found.when:.5g} ± "
            f"{found.error:.1g} {clock}; it was {found.start:.4g} before training"
        )
    if found.stated is not None:
        yield _stated(found)
    for part in found.slices:
        name = SYMBOLS.get(part.name, part.name)
        if part.edge:
            yield f"{name}: the best is at the {part.edge} edge of the box; beyond it may be better"
        if part.is_flat:
            yield (
                f"{name}: the optimum is flat; all of {_interval(part.as_good)} is within "
                f"{AS_GOOD:.0%}, the other settings held"
            )
    chosen = {part.name for part in found.slices}
    if chosen >= {"step", "batch"} and found.clock == "samples":
        yield (
            "in samples the effective dynamics know step / batch alone: every step and batch of "
            f"the ratio {found.setting.step / found.setting.batch:.4g} is as good"
        )
    yield (
        f"{len(found.looked_at)} settings were compared on {found.curves} curves; not told apart: "
        "by the errors of curve and expectations, and of the search"
    )


def _stated(found: Design) -> str:
    """What the settings do that were stated, without a choice."""
    course = found.stated
    assert course is not None
    setting = course.setting
    numbers = f"step {setting.step:g}, ridge {setting.ridge:g}, batch {setting.batch:g}"
    if found.target is None:
        return f"as stated ({numbers}): {course.value:.5g}"
    if not course.is_reached:
        return f"as stated ({numbers}): not reached by {course.seen_until:g}"
    factor = course.when / found.when
    return f"as stated ({numbers}): {course.when:.5g}, {factor:.3g} times as long"


def confirmation_lines(found: Design, runs: Confirmation) -> Iterator[str]:
    """What SGD says."""
    judged = runs.comparison
    yield (
        f"SGD, {runs.replicas} runs, d = {runs.dimension}: {found.quantity} {runs.mean:.5g} ± "
        f"{runs.error:.2g} (standard error), single runs ± {runs.spread:.2g}; extrapolated from "
        f"d / 2 and d {judged.measured:.5g}, theory {judged.predicted:.5g}: {judged.verdict.value} "
        f"(off by {judged.deviation:.2g}, tolerance {judged.tolerance.total:.2g})"
    )
    if found.target is not None and found.slope > 0:
        spread = f"± {runs.spread / found.slope:.2g} {found.clock} per dimension"
        yield f"the time at which single runs reach the target scatters by {spread}"


def design_json(found: Design, runs: Confirmation | None) -> dict[str, Any]:
    """Every number of the table and the sentences."""
    content: dict[str, Any] = {
        "model": found.problem.model.name,
        "quantity": found.quantity,
        "target": found.target,
        "clock": found.clock,
        "time": found.when,
        "value": found.value,
        "error": found.error,
        "start": found.start,
        "setting": {s.name: s.value for s in found.slices},
        "settings": [_slice_json(s) for s in found.slices],
        "stated": None if found.stated is None else _finite(found.stated.when),
        "schedule": None if found.schedule is None else str(found.schedule),
        "compared": [
            {**{s.name: setting.number(s.name) for s in found.slices}, "result": _finite(result)}
            for setting, result in found.looked_at
        ],
    }
    if runs is not None:
        judged = runs.comparison
        content["sgd"] = {
            "dimension": runs.dimension,
            "replicas": runs.replicas,
            "mean": runs.mean,
            "standard_error": runs.error,
            "spread": runs.spread,
            "extrapolated": judged.measured,
            "theory": judged.predicted,
            "tolerance": judged.tolerance.total,
            "parts": [[p.value, p.reason] for p in judged.tolerance.parts],
            "verdict": judged.verdict.value,
        }
    return content


def _slice_json(part: Slice) -> dict[str, Any]:
    return {
        "name": part.name,
        "value": part.value,
        "box": [part.low, part.high],
        "within_1_percent": list(part.as_good),
        "not_told_apart": list(part.uncertainty),
        "edge": part.edge or None,
        "flat": part.is_flat,
    }


def _finite(number: float) -> float | None:
    return float(number) if np.isfinite(number) else None
