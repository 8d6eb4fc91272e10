"""Which clusters a run separates: the units that picked each, and whether they have grown to its
fixed point.
"""

from __future__ import annotations

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from numerics import Parameters
from theory.names import COORDINATES, LABELS

from .systems import OutcomeStudy

CLUSTER_COUNT = len(COORDINATES)
# a cluster counts as separated from this share of the norm of its fixed point; the others are at 0
# in the end
SEPARATED_SHARE = 0.5


def separated_clusters(ends: xr.Dataset, parameters: Parameters) -> NDArray[np.bool_]:
    """Clusters separated by every run, shape (replica, 4), from one record of each.

    Unit i counts for the cluster its overlaps point to, if its readout has the sign of the label; a
    cluster is separated once the sum of v_i^2 of its units has reached half of log((p - beta) /
    beta).
    """
    directions = np.array(COORDINATES, dtype=float)
    signs = np.where(np.array(LABELS) == 1, 1.0, -1.0)
    overlap, v = ends.overlap.values, ends.readout.values
    picked = (overlap @ directions.T).argmax(axis=-1)
    squares = np.where(np.sign(v) == signs[picked], v**2, 0.0)
    norms = np.stack(
        [np.where(picked == l, squares, 0.0).sum(axis=-1) for l in range(CLUSTER_COUNT)], axis=-1
    )
    p, beta = parameters.weights, parameters.ridge
    level = np.log(np.maximum(p - beta, 1e-300) / beta)
    return (norms > SEPARATED_SHARE * level) & (level > 0)


def separated_counts(study: OutcomeStudy, runs: xr.Dataset, precision: float) -> NDArray[np.int64]:
    """Number of runs with 0, 1, .., 4 separated clusters, a row for each record."""
    parameters = study.parameters(precision)
    found = [
        separated_clusters(runs.isel(time=t), parameters).sum(axis=1)
        for t in range(runs.sizes["time"])
    ]
    return np.array([np.bincount(each, minlength=CLUSTER_COUNT + 1) for each in found])
