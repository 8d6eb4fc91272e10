"""Datasets of empirical spectra: eigenvalues with the alignment of their vectors."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from numerics.alignment.eigenspace_angles import eigenspace_share, principal_angles
from numerics.core.covariance.band_arrays import band_sizes
from numerics.core.geometry import orthonormal_rows
from numerics.core.results import labelled
from numerics.core.validation import Array, as_integer
from numerics.data.samples import SampleData
from theory import InputError

from .empirical_parts import readout_block
from .iterations.scale import column_norms
from .population_block import parameter_labels
from .span_matrix import BlockName


def direction_parts(data: SampleData) -> Array | None:
    """What alignment is measured against: rows that span the directions, or with bands their parts
    in every band, which are all that population matrices know of them.
    """
    return None if data.directions is None else parts_in_bands(data, data.directions)


def parts_in_bands(data: SampleData, rows: Array) -> Array:
    """The parts of rows in every band; the rows themselves without bands."""
    if data.model.bands == 1:
        return rows
    edges = np.cumsum(band_sizes(data.model, data.dimension))
    bands = np.arange(data.model.bands)[:, None, None]
    inside = bands == np.searchsorted(edges, np.arange(data.dimension), side="right")
    return (inside * rows).reshape(-1, data.dimension)


def first_layer_variables(data: SampleData, vectors: Array, name: BlockName) -> dict[str, Any]:
    """Alignment of eigenvectors of shape (eigen, rows, d) with the directions and the weights."""
    whole = isinstance(name, str)
    variables: dict[str, Any] = {
        "eigenvector": (("eigen", "unit", "coordinate"), vectors)
        if whole
        else (("eigen", "coordinate"), vectors[:, 0])
    }
    if whole:
        variables["row_weight"] = (("eigen", "unit"), (vectors**2).sum(axis=2))
    parts = direction_parts(data)
    if data.directions is None or parts is None:
        return variables
    frame = orthonormal_rows(parts)
    shares = ((vectors @ frame.T) ** 2).sum(axis=2)
    cosine = (vectors @ data.directions.T) ** 2 / np.sum(data.directions**2, axis=1)
    variables["share_of_directions"] = ("eigen", shares.sum(axis=1))
    if whole:
        return variables | {
            "mean_overlap": (("eigen", "unit", "direction"), cosine),
            "row_share_of_directions": (("eigen", "unit"), shares),
        }
    return variables | {"mean_overlap": (("eigen", "direction"), cosine[:, 0])}


def leading_variables(data: SampleData, vectors: Array, name: BlockName) -> dict[str, Any]:
    """Alignment of the r leading eigenvectors of a block."""
    r = data.model.directions
    if isinstance(name, str) or vectors.shape[0] < r:
        return {}
    top = vectors[:r, 0]
    variables: dict[str, Any] = {"unit_share": ("unit", eigenspace_share(top, data.weights))}
    parts = direction_parts(data)
    if parts is not None:
        variables["principal_angle"] = ("angle", principal_angles(top, parts), {"units": "radian"})
    return variables


def readout_dataset(
    data: SampleData,
    kind: str,
    ridge_in: bool,
    name: BlockName,
    count: int | None,
    at_the_top: bool,
    attributes: dict[str, Any],
) -> xr.Dataset:
    """The whole spectrum of the q x q block of the readout, or of a layer of it."""
    small = readout_block(data, kind, ridge_in, name)
    q = len(small)
    count = q if count is None else as_integer("count", count, 1, "ask for at least one eigenpair")
    if count > q:
        raise InputError("count", count, f"at most {q}", "ask for fewer eigenpairs")
    values, vectors = np.linalg.eigh(small)
    chosen = slice(None, count) if at_the_top else slice(q - count, None)
    values, vectors = values[::-1][chosen], vectors[:, ::-1][:, chosen]
    variables: dict[str, Any] = {
        "eigenvalue": ("eigen", values),
        "residual": ("eigen", column_norms(small @ vectors - vectors * values)),
        "converged": ("eigen", np.ones(count, dtype=np.int8)),
        "eigenvector": (("eigen", "parameter"), vectors.T),
    }
    labels = {"parameter": parameter_labels(data.model, name)}
    return labelled(data.model, variables, attributes | {"method": "dense eigh"}, labels)
