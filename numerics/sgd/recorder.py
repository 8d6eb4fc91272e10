"""Records of a simulation: summary statistics on a time grid, one slot per replica."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from time import monotonic
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from numerics.core.problem import Problem
from numerics.core.results import common_attributes, statistics_dataset
from numerics.core.validation import Array

# Seconds of simulation between looks at the interrupt flag and the progress callback.
SLICE_SECONDS = 0.2


class Recorder:
    """Summary statistics on the time grid; knows how far each replica got."""

    def __init__(
        self,
        problem: Problem,
        steps: NDArray[np.int64],
        replicas: int,
        attributes: Mapping[str, Any],
    ) -> None:
        self.problem, self.steps, self.attributes = problem, steps, attributes
        model = problem.model
        s = model.symbols
        # with one band whose components differ the kernel has an axis of bands all the same
        band = (1,) if model.mixture.bands is not None and s.bands == 1 else ()
        self.overlap: Array = np.full((replicas, steps.size, *band, *s.overlap_shape), np.nan)
        self.gram_perp: Array = np.full((replicas, steps.size, *band, *s.gram_shape), np.nan)
        self.readout: Array = np.full((replicas, steps.size, model.readout_size), np.nan)
        self.recorded = np.zeros(replicas, dtype=np.int64)
        self.done = np.zeros(replicas, dtype=np.int64)
        self._last = 0.0

    def report(self, progress: Callable[[float], None] | None) -> None:
        """Tell the fraction done, at most a few times a second."""
        if progress is None:
            return
        total = max(int(self.steps[-1]), 1) * self.done.size
        now = monotonic()
        if now - self._last > SLICE_SECONDS or self.done.sum() == total:
            self._last = now
            progress(min(1.0, float(self.done.sum()) / total))

    def _statistics(self, complete: NDArray[np.int64], count: int) -> tuple[Array, Array]:
        """Overlaps and Gram matrices of the replicas and times that are there."""
        found = self.overlap[complete, :count], self.gram_perp[complete, :count]
        if self.problem.model.mixture.bands is not None and self.problem.model.bands == 1:
            return found[0][:, :, 0], found[1][:, :, 0]
        return found

    def dataset(self, delta: float) -> xr.Dataset:
        """The largest complete block of records: all of a finished run.

        Of a stopped one the replicas and times that keep most numbers (replicas x times), without
        gaps.
        """
        counts = [(int(np.sum(self.recorded >= n)) * n, n) for n in np.unique(self.recorded)]
        count = int(max(counts)[1])
        complete = np.flatnonzero(self.recorded >= count)
        attributes = {
            **common_attributes(self.problem.model, self.problem.parameters, "SGD simulation"),
            **self.attributes,
            "complete": int(self.recorded.min() == self.steps.size),
            "error_estimate": 0.0,
            "error_meaning": (
                "none: a simulation is exact at its dimension; spread over replicas is its noise"
            ),
        }
        data = statistics_dataset(
            self.problem.model,
            self.problem.parameters,
            np.asarray(self.steps[:count] * delta, dtype=float),
            *self._statistics(complete, count),
            self.readout[complete, :count],
            attributes,
            lead=("replica",),
        )
        data = data.assign_coords(replica=complete + 1)
        data["steps"] = (
            "time",
            self.steps[:count],
            {"long_name": "number of SGD steps", "units": "1"},
        )
        return data
