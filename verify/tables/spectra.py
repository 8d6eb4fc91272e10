"""Spectra as the command shows them: outliers first, wherever they lie, with the empirical
eigenvalues beside them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from rich.table import Table

from theory.problem.kinks import ALMOST_EVERYWHERE, DIFFERENCE, DISTRIBUTIONAL

from .text import direction_labels, make_table, number

# eigenvalues and overlaps shown in a table; the rest is in the file written by --output
_ROWS = 12
_COLUMNS = 6
# an eigenvalue of the bulk farther from it than this share of the nearest outlier makes the line
# between them blurred
_BLURRED = 0.5
# what is no outlier by the rule, and yet differs from the bulk by more than the error
NEAR_BULK = "near bulk"

_RULES = {
    DISTRIBUTIONAL: "Distributional Hessian: that of the population risk, with the delta functions on the kinks.",
    ALMOST_EVERYWHERE: "Almost-everywhere Hessian: that of the risk without its delta functions on the kinks.",
    DIFFERENCE: "Difference of distributional and almost-everywhere Hessian: the kinks alone, without the ridge.",
}
_DATA = " Samples never lie on a kink, so this is the one that averages over data approach."


@dataclass(frozen=True)
class Row:
    """One eigenvalue of the population, 0-based positions in the Datasets.

    ``empirical`` is None where no empirical eigenvalue can be set beside it: in the bulk.
    """

    eigen: int
    outlier: bool
    empirical: int | None


def has_bulk(population: xr.Dataset) -> bool:
    """False for the readout block, and where the dimension leaves nothing off the span."""
    if "outlier" not in population:
        return False
    return (
        "bulk_multiplicity" not in population
        or int(population["bulk_multiplicity"].to_numpy()[0]) > 0
    )


def pair_spectra(population: xr.Dataset, empirical: xr.Dataset | None = None) -> list[Row]:
    """Order eigenvalues by their distance from the bulk, outliers first, and pair them from both
    ends.

    Parameters
    ----------
    population : xarray.Dataset
        As :func:`numerics.population_spectrum` returns it.
    empirical : xarray.Dataset, optional
        As :func:`numerics.empirical_spectrum` returns it with ``beside=population``; for the
        readout block without.
    """
    count = population.sizes["eigen"]
    if not has_bulk(population):
        # fewer samples than entries leave a matrix of their number as rank
        most = (
            0
            if empirical is None
            else min(empirical.sizes["eigen"], int(empirical.attrs["samples"]))
        )
        return [Row(i, True, i if i < most else None) for i in range(count)]
    outlier = population["outlier"].to_numpy() == 1
    distance = np.abs(population["bulk_distance"].to_numpy())
    # what differs by less than the error stays in the order of size
    distance = np.where(distance <= float(population.attrs["error_estimate"]), 0.0, distance)
    order = np.lexsort((np.arange(count), -distance, ~outlier))
    paired = [] if empirical is None else empirical["population_eigen"].to_numpy().tolist()
    partner = {eigen - 1: position for position, eigen in enumerate(paired) if eigen}
    return [Row(int(i), bool(outlier[i]), partner.get(int(i))) for i in order]


def spectrum_table(
    population: xr.Dataset, empirical: xr.Dataset | None, names: Sequence[str] = ()
) -> Table:
    """Eigenvalues by distance from the bulk, the share of their vectors in the span of the means,
    squared cosines.

    ``names`` are those of the directions; they are means 1, 2, ... when omitted.
    """
    overlaps = population.get("mean_overlap")
    directions = 0
    if overlaps is not None:
        # in the full matrix a vector has a part in the row of every unit
        overlaps = overlaps.sum("unit") if "unit" in overlaps.dims else overlaps
        directions = min(overlaps.sizes["direction"], _COLUMNS)
    zero = float(population.attrs["error_estimate"])
    rows = pair_spectra(population, empirical)
    bulk = has_bulk(population)
    # of a matrix of both layers
    second_layer = overlaps is not None and "eigenvector_readout" in population
    table = []
    for row in rows[:_ROWS]:
        cells = [str(row.eigen + 1)]
        cells += [_part(population, row)] if bulk else []
        cells.append(number(float(population["eigenvalue"][row.eigen]), 6, zero))
        cells += [number(float(population["bulk_distance"][row.eigen]), 4, zero)] if bulk else []
        if empirical is not None:
            cells.append(
                ""
                if row.empirical is None
                else number(float(empirical["eigenvalue"][row.empirical]), 6)
            )
        if overlaps is not None:
            cells.append(f"{float(population['share_of_directions'][row.eigen]):.4f}")
            cells += [f"{float(overlaps[row.eigen, s]):.4f}" for s in range(directions)]
        if second_layer:
            cells.append(f"{float((population['eigenvector_readout'][row.eigen] ** 2).sum()):.4f}")
        table.append(cells)
    columns = [
        "eigen",
        *(["part"] if bulk else []),
        "eigenvalue",
        *(["minus bulk"] if bulk else []),
    ]
    columns += ["empirical"] if empirical is not None else []
    columns += ["share in span"] if overlaps is not None else []
    kind = "" if names else "mean "
    columns += [f"cos² {kind}{label}" for label in direction_labels(names, directions)]
    columns += ["share in v"] if second_layer else []
    title = f"Population {matrix_name(population)}"
    title += f", {_ROWS} of {len(rows)} eigenvalues" if len(rows) > _ROWS else ""
    title += ", farthest from the bulk first" if bulk else ""
    return make_table(title, columns, table, left=2 if bulk else 1)


def _part(population: xr.Dataset, row: Row) -> str:
    """Outlier by the rule; else in the bulk up to the error, or only near it."""
    if row.outlier:
        return "outlier"
    return (
        NEAR_BULK
        if abs(float(population["bulk_distance"][row.eigen])) > _bulk_error(population)
        else "bulk"
    )


def _bulk_error(population: xr.Dataset) -> float:
    """What an eigenvalue has to differ by from the bulk to be told apart from it."""
    return 2 * float(population.attrs["error_estimate"]) + float(
        population.attrs.get("bulk_error", 0.0)
    )


def _near_bulk(population: xr.Dataset) -> NDArray[np.intp]:
    """0-based positions of the eigenvalues that are no outliers by the rule, and yet not those of
    the bulk.
    """
    distance = np.abs(population["bulk_distance"].to_numpy())
    return np.flatnonzero(
        (population["outlier"].to_numpy() == 0) & (distance > _bulk_error(population))
    )


def spectrum_remarks(
    population: xr.Dataset,
    empirical: xr.Dataset | None = None,
    time: float | None = None,
    state_error: float = 0.0,
) -> Iterator[str]:
    """Bulk, outliers and their alignment, warnings, sizes and errors, in sentences.

    ``time`` is the time on the theoretical curve the state was taken from, ``state_error`` its
    error there.
    """
    few = None if empirical is None else _few_samples(population, empirical)
    if few is not None:
        yield few
    if "bulk" in population and not has_bulk(population):
        yield "No bulk: in this dimension means and weights span everything."
    if has_bulk(population):
        yield _bulk_sentence(population)
        yield _outlier_sentence(population)
        yield from _alignment_sentences(population, empirical)
        yield from _separation_warnings(population)
        if empirical is not None and few is None:
            yield from _empirical_warnings(population, empirical)
    if (rule := population.attrs.get("kink_rule")) is not None:
        yield _RULES[rule] + (_DATA if empirical is not None else "")
    if "misfit" in population:
        yield f"Distance of the matrix from the span of the means, relative: {number(float(population['misfit']))}."
    if "mean_overlap" in population and _nearly_equal(population):
        yield "Eigenvectors of equal or nearly equal eigenvalues are determined only up to rotation among themselves."
    if empirical is not None:
        yield (
            f"Empirical matrix: {empirical.attrs['samples']} fresh samples in dimension "
            f"{empirical.attrs['dimension']}, seed {empirical.attrs['seed']}."
        )
    yield _error_sentence(population, time, state_error)


def _bulk_sentence(population: xr.Dataset) -> str:
    zero = float(population.attrs["error_estimate"]) + float(population.attrs["bulk_error"])
    values = population["bulk"].to_numpy()
    text = ", ".join(number(float(b), zero=zero) for b in values)
    note = f"; 0 means below the error {zero:.2g}" if np.any(np.abs(values) <= zero) else ""
    if "bulk_multiplicity" not in population:
        return f"Bulk (eigenvalues off the span of means and weights): {text}{note}."
    multiplicity = int(population["bulk_multiplicity"].to_numpy()[0])
    each = "each " if values.size > 1 else ""
    return f"Bulk (eigenvalues off the span of means and weights): {text}, {each}with multiplicity {multiplicity}{note}."


def _outlier_sentence(population: xr.Dataset) -> str:
    outlier = population["outlier"].to_numpy() == 1
    values, bulk = population["eigenvalue"].to_numpy()[outlier], population["bulk"].to_numpy()
    above, below = int(np.sum(values > bulk.max())), int(np.sum(values < bulk.min()))
    places = [
        (above, "above the bulk"),
        (below, "below it"),
        (values.size - above - below, "between its levels"),
    ]
    where = ", ".join(f"{n} {place}" for n, place in places if n) or "none"
    near = _near_bulk(population).size
    if _is_block(population):
        rest = f" {_rows(near)} marked {NEAR_BULK}: not among them, but off the bulk by more than the error."
        text = f"Outliers, the {population.sizes['direction']} eigenvalues farthest from the bulk: {where}."
        return text + (rest if near else "")
    from numerics.spectra.population_spectrum import OUTLIER_SHARE

    share = f"{100 * OUTLIER_SHARE:.0f} %"
    rest = (
        f" {_rows(near)} marked {NEAR_BULK}: within {share} of that distance, off the bulk by more than the error, and "
        "by this rule not told apart from it."
    )
    return f"Outliers, at least {share} as far from the bulk as the farthest: {where}." + (
        rest if near else ""
    )


def _rows(count: int) -> str:
    return f"{count} row{'s' if count > 1 else ''}"


def _alignment_sentences(population: xr.Dataset, empirical: xr.Dataset | None) -> Iterator[str]:
    if not _is_block(population):
        return
    if "outlier_share" not in population:
        found, r = int(population["outlier"].sum()), population.sizes["direction"]
        yield (
            f"No share and no angle of the outliers' eigenspace: only {found} of {r} eigenvalues differ from the bulk "
            "by more than the error."
        )
        return
    shares, angle = _alignment(population)
    other = None if empirical is None or "outlier_share" not in empirical else _alignment(empirical)
    yield (
        f"Share of each weight vector in the eigenspace of the outliers: {shares}"
        + (f" (empirical: {other[0]})." if other else ".")
    )
    yield (
        f"Largest angle between the eigenspace of the outliers and the span of the means: {angle}"
        + (f" (empirical: {other[1]})." if other else ".")
    )


def _alignment(data: xr.Dataset) -> tuple[str, str]:
    shares = ", ".join(f"{s:.4f}" for s in data["outlier_share"].to_numpy())
    return shares, f"{np.degrees(data['outlier_angle'].to_numpy().max()):.2f} degrees"


def _separation_warnings(population: xr.Dataset) -> Iterator[str]:
    """What blurs the line between outliers and bulk in the population itself."""
    outlier = population["outlier"].to_numpy() == 1
    size = np.abs(population["bulk_distance"].to_numpy())
    if not population.attrs.get("outliers_separated", 1):
        yield (
            "Warning: the outliers are not separated from the bulk within the error: "
            "their eigenspace is not determined."
        )
    elif (
        outlier.any()
        and not outlier.all()
        and size[~outlier].max() > _BLURRED * size[outlier].min()
    ):
        i = int(np.flatnonzero(~outlier)[size[~outlier].argmax()])
        yield (
            f"Warning: the outliers are not separated from the edge of the bulk: eigenvalue {i + 1}, counted as bulk, "
            f"is {size[i] / size[outlier].min():.0%} as far from it as the nearest outlier. Eigenspace, share and "
            "angle depend on where the line is drawn."
        ).replace("%", " %", 1)


def _empirical_warnings(population: xr.Dataset, empirical: xr.Dataset) -> Iterator[str]:
    edges = _edges(empirical)
    if edges is None:
        return
    zero = 1e-13 * float(np.abs(empirical["eigenvalue"].to_numpy()).max())
    values, outlier = population["eigenvalue"].to_numpy(), population["outlier"].to_numpy() == 1
    outside = [str(i + 1) for i in _near_bulk(population) if not edges[0] <= values[i] <= edges[1]]
    text = f"; of the rows marked {NEAR_BULK}, {', '.join(outside)} lie{'s' * (len(outside) == 1)} outside it"
    yield (
        f"Empirical bulk: from {number(edges[0], zero=zero)} to {number(edges[1], zero=zero)}; nothing stands beside "
        f"an eigenvalue of the population within it{text if outside else ''}."
    )
    hidden = [str(i + 1) for i in np.flatnonzero(outlier) if edges[0] <= values[i] <= edges[1]]
    if hidden:
        several = len(hidden) > 1
        yield (
            f"Warning: the outlier{'s' if several else ''} {', '.join(hidden)} of the population "
            f"{'lie' if several else 'lies'} within the empirical bulk: what stands beside "
            f"{'them is' if several else 'it is'} its edge or moved by it. More samples separate them."
        )


def _few_samples(population: xr.Dataset, empirical: xr.Dataset) -> str | None:
    """A warning where there are fewer samples than the matrix, or a block of it, has rows: it is
    then singular.
    """
    samples, d = int(empirical.attrs["samples"]), int(empirical.attrs["dimension"])
    if population.attrs["block"] == "readout":
        size, what = population.sizes["eigen"], "fewer samples than second-layer parameters"
    else:
        size, what = d, f"M/d = {samples / d:.2g} is too small for a comparison"
    if samples >= size:
        return None
    return (
        f"Warning: {what}. {samples} sample{'s' if samples > 1 else ''} leave a matrix of low rank, the rest of whose "
        "eigenvalues are 0 up to the ridge: nothing stands beside the population beyond that rank, and what does is "
        f"noise. Take more than {size} samples, better {20 * size} and more."
    )


def _error_sentence(population: xr.Dataset, time: float | None, state_error: float) -> str:
    error = float(population.attrs["error_estimate"])
    if not time:
        return f"Error of a population eigenvalue: below {error:.2g} (quadrature and rounding)."
    return (
        f"Error of a population eigenvalue: below {error:.2g} (quadrature and rounding) at the state used. The state, "
        f"taken from the curve at t = {time:g}, has an error of its own, at most about {state_error:.2g} in every "
        "statistic, which is not included."
    )


def readout_remarks(population: xr.Dataset, empirical: xr.Dataset | None = None) -> Iterator[str]:
    """The second layer against its features, as :func:`numerics.readout_alignment` measures it."""
    rank = int(population["rank"])

    def both(variable: str, show: Callable[[xr.DataArray], str]) -> str:
        other = "" if empirical is None else f" (empirical: {show(empirical[variable])})"
        return f"{show(population[variable])}{other}"

    features = ", ".join(f"{float(x):.4g}" for x in population["feature_length"])
    yield f"Lengths of the features g(W mu_l) of the components: {features}; {rank} of them separated."
    yield (
        f"Share of the readout v in the leading {rank} eigenvectors: {both('top_share', lambda x: f'{float(x):.4f}')}; "
        f"in the span of those features: {float(population['feature_share']):.4f}."
    )
    yield (
        f"Largest angle between the leading {rank} eigenvectors and the span of those features: "
        f"{both('feature_angle', lambda x: f'{float(np.degrees(x.max())):.2f} degrees')}."
    )


def _edges(empirical: xr.Dataset) -> tuple[float, float] | None:
    if "bulk_edge" not in empirical:
        return None
    low, high = empirical["bulk_edge"].to_numpy()
    return float(low), float(high)


def _is_block(population: xr.Dataset) -> bool:
    return str(population.attrs["block"]).startswith("(")


def _nearly_equal(population: xr.Dataset) -> bool:
    values: NDArray[np.float64] = population["eigenvalue"].to_numpy()
    if has_bulk(population):
        values = values[population["outlier"].to_numpy() == 1]
    return bool(np.any(np.abs(np.diff(values)) < 0.05 * np.abs(values[:-1])))


def join_spectra(population: xr.Dataset, empirical: xr.Dataset | None) -> xr.Dataset:
    """One Dataset for a file: everything empirical has the prefix ``empirical_``."""
    if empirical is None:
        return population
    names = {str(n): f"empirical_{n}" for n in (*empirical.variables, *empirical.dims)}
    renamed = empirical.rename(names)
    joined = xr.merge([population, renamed], combine_attrs="drop")
    joined.attrs = population.attrs | {
        f"empirical_{key}": value for key, value in empirical.attrs.items()
    }
    return joined


def matrix_name(data: xr.Dataset) -> str:
    """Matrix and block in words, with 1-based units."""
    kind = "Hessian" if data.attrs["matrix"] == "hessian" else "gradient matrix G"
    if (rule := data.attrs.get("kink_rule")) is not None:
        kind = f"difference of the {kind}s" if rule == DIFFERENCE else f"{rule} {kind}"
    block = data.attrs["block"]
    if block.startswith("("):
        pair = [int(part) + 1 for part in block.strip("()").split(",")]
        return f"{kind}, block ({pair[0]}, {pair[1]})"
    return f"{kind}, {'both layers' if block == 'all' else block.replace('_', ' ')}"
