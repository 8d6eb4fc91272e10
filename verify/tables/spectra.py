"""Spectra as the command shows them: outliers first, wherever they lie, with the empirical
eigenvalues beside them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from rich.table import Table

from theory.names import DIFFERENCE

from .text import direction_labels, make_table, number

# eigenvalues and overlaps shown in a table; the rest is in the file written by --output
_ROWS = 12
_COLUMNS = 6
# what is no outlier by the rule, and yet differs from the bulk by more than the error
NEAR_BULK = "near bulk"


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
        or int(population["bulk_multiplicity"].to_numpy().max()) > 0
    )


def outliers(population: xr.Dataset) -> NDArray[np.bool_]:
    """Which eigenvalues are outliers by the rule."""
    outlier: NDArray[np.bool_] = population["outlier"].to_numpy() == 1
    return outlier


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
    outlier = outliers(population)
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
        if abs(float(population["bulk_distance"][row.eigen])) > bulk_error(population)
        else "bulk"
    )


def bulk_error(population: xr.Dataset) -> float:
    """What an eigenvalue has to differ by from the bulk to be told apart from it."""
    return 2 * float(population.attrs["error_estimate"]) + float(
        population.attrs.get("bulk_error", 0.0)
    )


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


MATRIX_NAMES = {
    "hessian": "Hessian",
    "gradient": "gradient matrix G",
    "gauss-newton": "Gauss-Newton matrix",
    "fisher": "Fisher matrix",
}


def matrix_name(data: xr.Dataset) -> str:
    """Matrix and block in words, with 1-based units."""
    kind = MATRIX_NAMES[data.attrs["matrix"]]
    if (rule := data.attrs.get("kink_rule")) is not None:
        kind = f"difference of the {kind}s" if rule == DIFFERENCE else f"{rule} {kind}"
    block = data.attrs["block"]
    if block.startswith("("):
        pair = [int(part) + 1 for part in block.strip("()").split(",")]
        return f"{kind}, block ({pair[0]}, {pair[1]})"
    return f"{kind}, {'both layers' if block == 'all' else block.replace('_', ' ')}"
