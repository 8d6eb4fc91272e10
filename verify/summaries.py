"""Tables that the commands print: curves, simulations and verdicts at a glance."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr
from rich.markup import escape
from rich.table import Table

from .console import fixed, make_table, number
from .result import CheckResult, Report
from .tolerance import Comparison, Verdict

if TYPE_CHECKING:
    from numerics import Parameters

VERDICT_STYLE = {Verdict.HOLDS: "green", Verdict.FAILS: "bold red", Verdict.INCONCLUSIVE: "yellow"}
# overlaps shown in a table; the rest is in the file written by --output
_COLUMNS = 6
# below this a statistic is rounding
ROUNDING = 1e-12


def parameters_text(parameters: Parameters) -> str:
    """The numbers of a model in one line, for titles."""
    k, gram = parameters.weights.size, parameters.directions_gram
    equal = np.ptp(parameters.weights) < 1e-12
    weights = f"p = 1/{k}" if equal else f"p = ({', '.join(f'{p:.3g}' for p in parameters.weights)})"
    size = gram.shape[0]
    upper = gram[np.triu_indices(size, 1)]
    if np.array_equal(gram, np.eye(size)):
        means = "orthonormal means"
    elif np.all(np.diag(gram) == 1) and upper.size <= 3:
        means = f"Γ_st = {', '.join(f'{g:.3g}' for g in upper)} off the diagonal"
    else:
        means = "means not orthonormal"
    return f"{scales_text(parameters)}, {weights}, {means}"


def scales_text(parameters: Parameters) -> str:
    """Precision, ridge and step in one line."""
    return f"λ = {parameters.precision:g}, β = {parameters.ridge:g}, c_δ = {parameters.step:g}"


def course_table(data: xr.Dataset, title: str) -> Table:
    """Size of the statistics along the run: means over replicas where there are any."""
    mean = data.mean("replica") if "replica" in data.dims else data
    count = mean.sizes["time"]
    picked = np.unique(np.linspace(0, count - 1, min(count, 9)).round().astype(int))
    diagonal = np.diagonal(mean["gram_perp"].to_numpy(), axis1=1, axis2=2)
    rows = [
        [
            number(mean["time"].to_numpy()[i]), number(np.abs(mean["overlap"].to_numpy()[i]).max()),
            number(diagonal[i].mean()), number(mean["misalignment"].to_numpy()[i].min()),
            number(mean["misalignment"].to_numpy()[i].max()),
        ]
        for i in picked
    ]
    columns = ["time t", "largest |overlap|", "mean R_aa", "least misalignment", "most misalignment"]
    return make_table(title, columns, rows, left=0)


def final_table(curve: xr.Dataset | None, runs: xr.Dataset | None) -> Table:
    """Overlaps, R_aa and misalignment of every unit at the last time: a row for SGD and one for the theory."""
    data = runs if runs is not None else curve
    if data is None:
        raise ValueError("final_table needs a curve, runs, or both")
    units, directions = data.sizes["unit"], min(data.sizes["direction"], _COLUMNS)
    sources = [("SGD", runs)] if runs is not None else []
    sources += [("theory", curve)] if curve is not None else []
    rows = []
    for a in range(units):
        picks: list[tuple[str, dict[str, int]]] = [
            *(("overlap", {"unit": a, "direction": s}) for s in range(directions)),
            ("gram_perp", {"unit": a, "unit_b": a}), ("misalignment", {"unit": a}),
        ]
        for name, source in sources:
            rows.append([str(a + 1), name, *(_last(source, variable, select) for variable, select in picks)])
    title = f"At t = {number(float(data['time'].to_numpy()[-1]))}"
    if runs is not None and runs.sizes["replica"] > 1:
        title += ", SGD as mean ± standard error"
    if directions < data.sizes["direction"]:
        title += f"; overlaps with the first {directions} directions"
    columns = ["unit", "", *(f"overlap {s + 1}" for s in range(directions)), "R_aa", "misalignment"]
    return make_table(title, columns, rows, left=2)


def _last(data: xr.Dataset | None, variable: str, select: dict[str, int]) -> str:
    if data is None:
        return ""
    values = data[variable].isel(select | {"time": -1}).to_numpy()
    # what is smaller than the error, or than rounding, is zero to a reader
    mean = fixed(float(values.mean()), zero=max(ROUNDING, float(data.attrs.get("error_estimate", 0.0))))
    if values.size == 1:
        return mean
    return f"{mean} ± {fixed(float(values.std(ddof=1) / np.sqrt(values.size)), zero=ROUNDING)}"


def rank_comparisons(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """Worst first: what fails, then what is inconclusive, then what holds; within each by share of the tolerance."""
    order = {Verdict.FAILS: 0, Verdict.INCONCLUSIVE: 1, Verdict.HOLDS: 2}
    # a strain that is not a number is worse than any number
    return sorted(comparisons, key=lambda c: (order[c.verdict], -c.strain if c.strain == c.strain else -math.inf))


def verdict_table(report: Report) -> Table:
    """One row a check, with its worst comparison."""
    table = Table(
        title=f"{report.system}, {report.level} level, seed {report.seed}", title_justify="left",
        title_style="bold", header_style="bold",
    )
    for column, justify in (
        ("check", "left"), ("verdict", "left"), ("worst comparison", "left"), ("measured", "right"),
        ("predicted", "right"), ("deviation", "right"), ("tolerance", "right"), ("s", "right"),
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
                escape(worst.quantity), number(worst.measured, zero=zero),
                ("≤ " if worst.one_sided else "") + number(worst.predicted, zero=zero), number(worst.deviation, 3),
                number(worst.tolerance.total, 3),
            ]
        table.add_row(
            result.name, f"[{style}]{result.verdict.value}[/{style}]", *cells, f"{result.seconds:.1f}"
        )
    return table


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
        yield f"  and {len(wrong) - 5} more of {len(result.comparisons)} comparisons (see --json or --report)"
    for note in result.notes:
        yield f"  note: {note}"


def describe(comparison: Comparison) -> str:
    """One comparison in a line, with every part of its tolerance."""
    relation = "expected at most" if comparison.one_sided else "predicted"
    text = (
        f"{comparison.quantity}: measured {comparison.measured:.6g}, {relation} {comparison.predicted:.6g}, "
        f"deviation {comparison.deviation:.3g}, tolerance {comparison.tolerance.total:.3g} = {comparison.tolerance}"
    )
    if comparison.verdict is Verdict.INCONCLUSIVE and comparison.resolution is not None:
        text += f"; inconclusive because the tolerance exceeds the resolution {comparison.resolution:.3g}"
    return text
