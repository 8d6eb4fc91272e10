"""States and statistics of simulated runs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from numerics import State
from theory.symbols import upper_triangle


def state_of(runs: xr.Dataset, replica: int, time: int) -> State:
    """The summary statistics of one run at one of its records (positions, not labels)."""
    # records of runs stand first in every array; to index a Dataset takes far longer
    parts = ("overlap", "gram_perp", "readout")
    return State(*(runs[name].values[replica, time] for name in parts))


def states_of(runs: xr.Dataset, time: int) -> list[State]:
    """The same of all runs at one of their records."""
    parts = [runs[name].values[:, time] for name in ("overlap", "gram_perp", "readout")]
    return [State(*own) for own in zip(*parts, strict=True)]


def statistics_matrix(run: xr.Dataset) -> np.ndarray:
    """The state vector of every record: (replica, time, statistic), or (time, statistic) for a
    curve.
    """
    rows = upper_triangle(run.sizes["unit"])
    upper = np.stack([run.gram_perp.values[..., a, b] for a, b in rows], axis=-1)
    overlap = run.overlap.values.reshape(*run.overlap.shape[:-2], -1)
    return np.concatenate([overlap, upper, run.readout.values], axis=-1)


def dimensions_of(runs: Sequence[xr.Dataset]) -> np.ndarray:
    """The dimension of every set of runs, as floating-point numbers."""
    return np.array([r.attrs["dimension"] for r in runs], dtype=float)


def inverse_dimensions(runs: Sequence[xr.Dataset]) -> np.ndarray:
    """The 1/d in powers of which means over runs are extrapolated."""
    return 1 / dimensions_of(runs)
