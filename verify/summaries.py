"""Tables that the commands print: curves, simulations, spectra and verdicts at a glance."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import xarray as xr
from rich.markup import escape
from rich.table import Table

from .console import make_table, number
from .result import CheckResult, Report
from .tolerance import Comparison, Verdict

VERDICT_STYLE = {Verdict.HOLDS: "green", Verdict.FAILS: "bold red", Verdict.INCONCLUSIVE: "yellow"}
# eigenvalues and times shown in a table; the rest is in the file written by --output
_ROWS = 12
_COLUMNS = 6


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
    if values.size == 1:
        return f"{float(values.mean()):.4f}"
    return f"{values.mean():.4f} ± {values.std(ddof=1) / np.sqrt(values.size):.4f}"


def spectrum_table(population: xr.Dataset, empirical: xr.Dataset | None) -> Table:
    """Leading eigenvalues, the share of their vectors in the span of the directions, squared cosines with them."""
    directions = 0
    overlaps = population.get("mean_overlap")
    if overlaps is not None:
        # in the full matrix a vector has a part in the row of every unit
        overlaps = overlaps.sum("unit") if "unit" in overlaps.dims else overlaps
        directions = min(overlaps.sizes["direction"], _COLUMNS)
    measured = None if empirical is None else empirical["eigenvalue"].to_numpy()
    rows = []
    for i, value in enumerate(population["eigenvalue"].to_numpy()[:_ROWS]):
        cells = [str(i + 1), f"{value:.6g}"]
        if measured is not None:
            cells.append(f"{measured[i]:.6g}" if i < measured.size else "")
        if overlaps is not None:
            cells.append(f"{population['share_of_directions'].to_numpy()[i]:.4f}")
            cells += [f"{overlaps.to_numpy()[i, s]:.4f}" for s in range(directions)]
        rows.append(cells)
    columns = ["eigen", "eigenvalue"]
    columns += ["empirical"] if measured is not None else []
    columns += ["share in span"] if overlaps is not None else []
    columns += [f"cos² mean {s + 1}" for s in range(directions)]
    total = population.sizes["eigen"]
    shown = f", the largest {_ROWS} of {total}" if total > _ROWS else ""
    attributes = population.attrs
    return make_table(
        f"Population {matrix_name(population)}{shown} (error below {attributes['error_estimate']:.2g})",
        columns, rows,
    )


def spectrum_remarks(population: xr.Dataset, empirical: xr.Dataset | None) -> Iterator[str]:
    """Bulk, alignment of the leading eigenspace and the size of the empirical matrix, in sentences."""
    if "bulk" in population:
        values = ", ".join(number(b) for b in population["bulk"].to_numpy())
        multiplicity = ""
        if "bulk_multiplicity" in population:
            multiplicity = f", each with multiplicity {int(population['bulk_multiplicity'].to_numpy()[0])}"
        yield f"Bulk (eigenvalues off the span of means and weights): {values}{multiplicity}."
    if "misfit" in population:
        yield f"Distance of the matrix from the span of the means, relative: {number(float(population['misfit']))}."
    if "unit_share" in population:
        shares = ", ".join(f"{s:.4f}" for s in population["unit_share"].to_numpy())
        angle = np.degrees(population["principal_angle"].to_numpy().max())
        yield f"Share of each weight vector in the leading eigenspace: {shares}."
        yield f"Largest angle between the leading eigenspace and the span of the means: {angle:.2f} degrees."
        if not population.attrs["top_separated"]:
            yield "The leading eigenspace is not separated from the next eigenvalue: its angle says little."
    if "mean_overlap" in population and _nearly_equal(population["eigenvalue"].to_numpy()[:_ROWS]):
        yield "Eigenvectors of equal or nearly equal eigenvalues are determined only up to rotation among themselves."
    if empirical is not None:
        yield (
            f"Empirical matrix: {empirical.attrs['samples']} fresh samples in dimension "
            f"{empirical.attrs['dimension']}, seed {empirical.attrs['seed']}."
        )


def _nearly_equal(values: np.ndarray) -> bool:
    return bool(np.any(np.abs(np.diff(values)) < 0.05 * np.abs(values[:-1])))


def join_spectra(population: xr.Dataset, empirical: xr.Dataset | None) -> xr.Dataset:
    """One Dataset for a file: everything empirical has the prefix ``empirical_``."""
    if empirical is None:
        return population
    names = {str(n): f"empirical_{n}" for n in (*empirical.variables, *empirical.dims)}
    renamed = empirical.rename(names)
    joined = xr.merge([population, renamed], combine_attrs="drop")
    joined.attrs = population.attrs | {f"empirical_{key}": value for key, value in empirical.attrs.items()}
    return joined


def matrix_name(data: xr.Dataset) -> str:
    """Matrix and block in words, with 1-based units."""
    kind = "Hessian" if data.attrs["matrix"] == "hessian" else "gradient matrix G"
    block = data.attrs["block"]
    if block.startswith("("):
        pair = [int(part) + 1 for part in block.strip("()").split(",")]
        return f"{kind}, block ({pair[0]}, {pair[1]})"
    return f"{kind}, {block.replace('_', ' ')}"


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
            cells = [
                escape(worst.quantity), number(worst.measured),
                ("≤ " if worst.one_sided else "") + number(worst.predicted), number(worst.deviation, 3),
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
