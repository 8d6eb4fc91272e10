"""Empirical eigenpairs beside those of the population: counted from both ends, since outliers lie
on either side.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from numerics.alignment.eigenspace_angles import eigenspace_share, principal_angles
from numerics.core.validation import Array
from numerics.data.samples import SampleData
from theory import InputError

from .empirical_results import direction_parts
from .iterations.eigenpairs import Eigenpairs
from .span_matrix import BlockName


def count_ends(
    beside: xr.Dataset, attributes: dict[str, Any], count: int | None, size: int
) -> tuple[int, int]:
    """How many eigenpairs to take from the upper and from the lower end: one more than outside the
    bulk.
    """
    if count is not None:
        raise InputError(
            "count", count, "None together with beside", "the population says how many"
        )
    for key in ("matrix", "block", "regularized"):
        if beside.attrs.get(key) != attributes[key]:
            raise InputError(
                "beside",
                f"{key} = {beside.attrs.get(key)}",
                f"{key} = {attributes[key]}",
                "give the same part of it",
            )
    above, below = (rank.size for rank in _outside(beside))
    if beside.sizes["eigen"] == size or above + below + 2 > size:
        return size, 0
    return above + 1, below + 1


def _outside(population: xr.Dataset) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """0-based positions of the population's eigenvalues above and below all bulk levels, from the
    ends inwards.
    """
    values, bulk = population["eigenvalue"].to_numpy(), population["bulk"].to_numpy()
    error = float(population.attrs["error_estimate"]) + float(population.attrs["bulk_error"])
    above = np.flatnonzero(values > bulk.max() + 2 * error)
    return above, np.flatnonzero(values < bulk.min() - 2 * error)[::-1]


def joined(ends: Sequence[Eigenpairs]) -> Eigenpairs:
    """The eigenpairs of the upper end followed by those of the lower, largest first."""
    values, vectors, residuals, converged = (
        np.concatenate([getattr(pairs, name) for pairs in ends])
        for name in ("values", "vectors", "residuals", "converged")
    )
    passes = sum(pairs.passes for pairs in ends)
    return replace(
        ends[0],
        values=values,
        vectors=vectors,
        residuals=residuals,
        converged=converged,
        passes=passes,
    )


def beyond_rank(values: Array, samples: int, size: int, shift: float) -> NDArray[np.bool_]:
    """Which eigenvalues are nothing but the shift, because fewer samples than ``size`` leave the
    matrix singular.
    """
    if samples >= size:
        return np.zeros(values.size, dtype=bool)
    slack = 1e-9 * max(float(np.abs(values).max(initial=0.0)), abs(shift))
    return np.abs(values - shift) <= slack


def pair_with_population(
    population: xr.Dataset,
    data: SampleData,
    pairs: Eigenpairs,
    name: BlockName,
    empty: NDArray[np.bool_],
) -> dict[str, Any]:
    """Which eigenvalue of the population stands beside each, the edges of the bulk, alignment of
    the outliers.

    ``empty`` marks the eigenpairs beyond the rank of the empirical matrix, which stand beside
    nothing.
    """
    outlier = population["outlier"].to_numpy() == 1
    upper, lower = _outside(population)
    partner = np.zeros(pairs.values.size, dtype=int)
    if outlier.size == pairs.vectors.shape[1]:  # no bulk: nothing lies off the span
        partner[:] = np.arange(1, partner.size + 1)
    else:
        partner[: upper.size] = upper + 1
        partner[partner.size - lower.size :] = lower[::-1] + 1
    # few samples do not fill the space: what they leave is no estimate of anything
    partner[empty] = 0
    variables: dict[str, Any] = {}
    if not partner.all():
        rest = pairs.values[partner == 0]
        low, high = rest.min(), rest.max()
        variables["bulk_edge"] = ("edge", [low, high], {"long_name": "ends of the bulk"})
        # inside the bulk nothing tells which of its eigenvalues belongs to which
        values = population["eigenvalue"].to_numpy()
        lost = np.flatnonzero(~outlier & (low <= values) & (values <= high)) + 1
        partner[np.isin(partner, lost)] = 0
    variables["population_eigen"] = (
        "eigen",
        partner,
        {"long_name": "eigenvalue of the population beside it, 0 for none"},
    )
    chosen = np.isin(partner, np.flatnonzero(outlier) + 1)
    if not isinstance(name, str) and chosen.sum() == data.model.directions:
        vectors = pairs.vectors[chosen]
        variables["outlier_share"] = ("unit", eigenspace_share(vectors, data.weights))
        parts = direction_parts(data)
        if parts is not None:
            angles = principal_angles(vectors, parts)
            variables["outlier_angle"] = ("angle", angles, {"units": "radian"})
    return variables
