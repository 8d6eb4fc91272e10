"""Tables that the commands print: curves, simulations and verdicts at a glance."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from rich.markup import escape
from rich.table import Table

from .console import direction_labels, fixed, make_table, number
from .result import CheckResult, Report
from .tolerance import Comparison, Verdict

if TYPE_CHECKING:
    from numerics import Parameters

VERDICT_STYLE = {Verdict.HOLDS: "green", Verdict.FAILS: "bold red", Verdict.INCONCLUSIVE: "yellow"}
_RUN_DEFAULTS = {"method": "direct", "batch": "1", "schedule": "constant", "noise": "gaussian"}
# overlaps shown in a table; the rest is in the file written by --output
_COLUMNS = 6
# times of a curve that is drawn between those of a list
_FINE = 201
# a share of active samples closer to 0 or 1 than this belongs to a flow off the kink
SLIDING_SHARE = 1e-6
# below this a statistic is rounding
ROUNDING = 1e-12
# one unit of the last digit that a table of statistics shows
_LAST_DIGIT = 1e-4


def parameters_text(parameters: Parameters, *, directions: Sequence[str] = (), noiseless: bool = False) -> str:
    """The numbers of a model in one line, for titles; ``directions`` are their names, where they have any."""
    k, gram = parameters.weights.size, parameters.directions_gram
    equal = np.ptp(parameters.weights) < 1e-12
    weights = f"p = 1/{k}" if equal else f"p = ({', '.join(f'{p:.3g}' for p in parameters.weights)})"
    size = gram.shape[0]
    upper = gram[np.triu_indices(size, 1)]
    if np.array_equal(gram, np.eye(size)):
        means = f"orthonormal {_directions(directions)}"
    elif np.all(np.diag(gram) == 1) and upper.size <= 3:
        means = rf"$\Gamma_{{st}}$ = {', '.join(f'{g:.3g}' for g in upper)} off the diagonal"
    else:
        means = f"{_directions(directions)} not orthonormal"
    return f"{scales_text(parameters, noiseless=noiseless)}, {weights}, {means}"


def _directions(names: Sequence[str]) -> str:
    return " and ".join(names) if names else "means"


def scales_text(parameters: Parameters, *, noiseless: bool = False) -> str:
    """Precision, ridge and step in one line, for titles."""
    precision = "∞" if noiseless else f"{parameters.precision:g}"
    return rf"λ = {precision}, β = {parameters.ridge:g}, $c_\delta$ = {parameters.step:g}"


def run_text(data: xr.Dataset) -> str:
    """How a curve or simulation was run, where that is not the default: for titles, with a comma in front."""
    names = {"method": "", "batch": "batch = ", "schedule": "η(t) = ", "noise": "noise: "}
    said = {name: str(data.attrs[name]) for name in names if name in data.attrs}
    told = [names[name] + value for name, value in said.items() if value != _RUN_DEFAULTS[name]]
    return "".join(f", {text}" for text in told)


def fine_times(data: xr.Dataset) -> NDArray[np.float64]:
    """Times between which a figure draws straight lines: a grid and the recorded times themselves."""
    times = data["time"].to_numpy()
    return np.union1d(times, np.linspace(times[0], times[-1], _FINE))


def course_table(data: xr.Dataset, title: str) -> Table:
    """Size of the statistics along the run: means over replicas where there are any."""
    mean = data.mean("replica") if "replica" in data.dims else data
    count = mean.sizes["time"]
    picked = np.unique(np.linspace(0, count - 1, min(count, 9)).round().astype(int))
    diagonal = np.diagonal(mean["gram_perp"].to_numpy(), axis1=1, axis2=2)
    misalignment = mean["misalignment"].to_numpy()
    columns = {
        "time t": mean["time"].to_numpy(),
        "largest |overlap|": np.abs(mean["overlap"].to_numpy()).max(axis=(1, 2)),
        "mean R_aa": diagonal.mean(axis=1),
        "least misalignment": misalignment.min(axis=1),
        "most misalignment": misalignment.max(axis=1),
    }
    if has_readout(data):
        columns["largest |v_i|"] = np.abs(mean["readout"].to_numpy()).max(axis=1)
    rows = [[number(float(values[i])) for values in columns.values()] for i in picked]
    return make_table(title, list(columns), rows, left=0)


def has_readout(data: xr.Dataset) -> bool:
    """Whether the model has a second layer."""
    return "readout" in data and data["readout"].size > 0


def final_table(curve: xr.Dataset | None, runs: xr.Dataset | None, names: Sequence[str] = ()) -> Table:
    """Statistics of every unit at the last time: a row for SGD and one for the theory.

    ``names`` are those of the directions, where they have any; a readout stands in the row of the unit it reads.
    """
    data = runs if runs is not None else curve
    if data is None:
        raise ValueError("final_table needs a curve, runs, or both")
    units, directions = data.sizes["unit"], min(data.sizes["direction"], _COLUMNS)
    hidden = directions < data.sizes["direction"]
    # which direction a unit sees most, where not all are shown
    last = data["overlap"].isel(time=-1)
    most = np.abs((last.mean("replica") if "replica" in last.dims else last).to_numpy()).argmax(axis=1)
    parameters = data.sizes["parameter"] if has_readout(data) else 0
    sources = [("SGD", runs)] if runs is not None else []
    sources += [("theory", curve)] if curve is not None else []
    rows = []
    for a in range(units):
        picks: list[tuple[str, dict[str, int]]] = [
            *(("overlap", {"unit": a, "direction": s}) for s in range(directions)),
            *([("overlap", {"unit": a, "direction": int(most[a])})] if hidden else []),
            ("gram_perp", {"unit": a, "unit_b": a}), ("misalignment", {"unit": a}),
            *([("readout", {"parameter": a})] if a < parameters else []),
        ]
        for name, source in sources:
            cells = [_last(source, variable, select) for variable, select in picks]
            if hidden and cells[directions]:
                cells[directions] += f" ({direction_labels(names, most.max() + 1)[most[a]]})"
            rows.append([str(a + 1), name, *cells])
    title = f"At t = {number(float(data['time'].to_numpy()[-1]))}"
    if runs is not None and runs.sizes["replica"] > 1:
        title += ", SGD as mean ± standard error"
    if hidden:
        title += f"; overlaps with the first {directions} directions, and the largest of each unit (its direction)"
    labels = [f"overlap {names[s] if names else s + 1}" for s in range(directions)]
    labels += ["largest overlap"] if hidden else []
    columns = ["unit", "", *labels, "R_aa", "misalignment", *(["readout v"] if parameters else [])]
    return make_table(title, columns, rows, left=2)


def curve_remarks(data: xr.Dataset) -> Iterator[str]:
    """The error of a curve, and where a noiseless one slides at the end."""
    if "error_estimate" in data.attrs:
        yield (
            f"Error of any statistic at any time: at most about {data.attrs['error_estimate']:.2g} "
            f"({data.attrs['error_meaning']})."
        )
        yield from error_warnings(data)
        return
    yield f"Tolerance of the integrator: {data.attrs['tolerance']:.2g} ({data.attrs['error_meaning']})."
    if "active_share" not in data:
        return
    last = data["active_share"].isel(time=-1)
    steps = [str(surface).removesuffix(" > 0") for surface in last["surface"].to_numpy()]
    sliding = [
        f"{step.removeprefix('-')} = 0 with step({step}) = {share:.3g}"
        for step, share in zip(steps, last.to_numpy(), strict=True) if SLIDING_SHARE < share < 1 - SLIDING_SHARE
    ]
    if sliding:
        yield f"Sliding along kinks at the end, a step being the share of active samples: {'; '.join(sliding)}."
    elif steps:
        yield "Not sliding along any kink at the end."


def error_warnings(curve: xr.Dataset) -> Iterator[str]:
    """A warning where the error of a curve is larger than its table, of four decimals, suggests."""
    error = float(curve.attrs.get("error_estimate", 0.0))
    if error > _LAST_DIGIT:
        decimals = max(0, math.floor(-math.log10(error)))
        certain = {0: "no decimal is", 1: "only the first decimal is"}.get(decimals, f"only {decimals} decimals are")
        yield (
            f"Warning: the estimated error {error:.2g} of the theory is larger than the last printed digit: {certain} "
            "certain. It grows with the noise and with the time; a shorter --time or a larger --precision lowers it."
        )


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


def check_table(systems: Sequence[str], only: Sequence[str] | None = None) -> Table:
    """One row a check, with the systems it applies to and what it states."""
    from .runner import CHECKS, check_names, statement_of
    from .systems import get_system

    checks = {system: get_system(system).checks for system in systems}
    rows = [
        [name, ", ".join(system for system in systems if name in checks[system]), statement_of(name)]
        for name in CHECKS if name in check_names(systems, only)
    ]
    return make_table(f"checks of {', '.join(systems)}", ("check", "applies to", "statement"), rows, left=3)


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
