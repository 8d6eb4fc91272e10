"""SGD in the setting that a design found best, and whether it agrees."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import xarray as xr

from numerics import State, simulate_sgd
from numerics.core.validation import Array, as_integer
from numerics.training_design.design import SEARCH_NODES, Design
from numerics.training_design.quantities import QUANTITIES
from theory.keywords import with_known_keywords
from theory.notebook import short_repr
from verify.verdict.extrapolation import extrapolate_means
from verify.verdict.notebook import heading
from verify.verdict.results import comparison_table
from verify.verdict.tolerance import (
    FAMILY_ERROR,
    Chance,
    Comparison,
    Part,
    Tolerance,
    Verdict,
    judge_together,
)

# a tolerance beyond this share of the progress that training made shows nothing
RESOLUTION = 0.1
# times at which runs are recorded for the figure, as shares of that of the verdict
SHARES = (0.25, 0.5, 0.75, 1.0, 1.25)


@with_known_keywords
@dataclass(frozen=True)
class Confirmation:
    """Runs of SGD beside a design.

    Attributes
    ----------
    comparison : verify.verdict.tolerance.Comparison
        The quantity at the time of the design: SGD extrapolated to d -> infinity against theory.
    dimension, replicas : int
    mean, error : float
        Of the quantity in runs at this dimension, at the time of the design.
    spread : float
        Standard deviation of single runs.
    times, values : arrays (time), (replica, time)
        Times of the clock over d, and the quantity of every run at this dimension.

    Examples
    --------
    >>> tolerance = Tolerance((Part(0.01, "O(1/d^2) remainder"),))
    >>> statement = Comparison("accuracy at 2 samples per dimension", 0.897, 0.9, tolerance)
    >>> found = Confirmation(statement, 500, 8, 0.895, 0.002, 0.005, np.ones(1), np.ones((8, 1)))
    >>> found.verdict.value
    'holds'
    """

    comparison: Comparison
    dimension: int
    replicas: int
    mean: float
    error: float
    spread: float
    times: Array
    values: Array

    def __repr__(self) -> str:
        runs = f"{self.replicas} runs at d = {self.dimension}"
        said = f"{self.comparison.quantity}: {self.verdict.value}"
        return short_repr(self, said, runs, f"{self.mean:.5g} ± {self.error:.2g}")

    def _repr_html_(self) -> str:
        """The verdict and what it rests on, for notebooks."""
        name = f"SGD, {self.replicas} runs at d = {self.dimension}"
        return heading(name, self.verdict) + comparison_table([self.comparison])

    @property
    def verdict(self) -> Verdict:
        """holds, fails or inconclusive."""
        return self.comparison.verdict


@with_known_keywords
def confirm_design(
    found: Design,
    *,
    dimension: int = 1000,
    replicas: int = 20,
    seed: int = 0,
    method: str = "direct",
    progress: Callable[[float], None] | None = None,
) -> Confirmation:
    r"""Run SGD in the best setting, at d and d / 2, and judge the theory's prediction.

    The mean over runs of :math:`q(S)-q(s)` at the time of the design is extrapolated to
    :math:`1/d\to0`; it is 0 where the theory is right.

    Parameters
    ----------
    found : numerics.training_design.design.Design
    dimension, replicas, seed, method
        Of :func:`numerics.simulate_sgd`; two dimensions take half as long again as one.
    progress : callable, optional
        Called with the fraction done.

    Returns
    -------
    Confirmation
        Its verdict is "inconclusive" where the tolerance is more than a tenth of the progress that
        training made.

    Raises
    ------
    theory.InputError
        Fewer than two replicas, or what :func:`numerics.simulate_sgd` refuses.
    """
    replicas = as_integer("replicas", replicas, 2, "a standard error needs two runs")
    model = found.problem.model
    least = 2 * (model.directions + model.units)
    dimension = as_integer("dimension", dimension, least, "runs at half of it are made too")
    unit = found.setting.per_unit(found.clock)
    whole = [found.when * share for share in SHARES if found.when * share * unit <= found.curve.end]
    samples, recorded = [], []
    for part, (d, times) in enumerate(((dimension // 2, [found.when]), (dimension, whole))):
        runs = simulate_sgd(
            found.trained, found.initial, np.array(times) * unit, d, replicas, seed + part,
            method=method, batch=round(found.setting.batch), schedule=found.schedule,
            progress=progress if part else None,
        )  # fmt: skip
        clock = runs["time"].to_numpy() / unit
        values = _quantities(found, runs)
        at = int(np.abs(clock - found.when).argmin())
        samples.append(values[:, at] - _theory(found, float(clock[at])))
        recorded.append((clock, values, at))
    clock, values, at = recorded[-1]
    limit = extrapolate_means([1 / (dimension // 2), 1 / dimension], samples)
    value, error, remainder = map(float, (limit.value, limit.error, limit.remainder))
    return Confirmation(
        _comparison(found, value, error, remainder, replicas),
        dimension, replicas, float(values[:, at].mean()),
        float(values[:, at].std(ddof=1) / np.sqrt(replicas)), float(values[:, at].std(ddof=1)),
        clock, values,
    )  # fmt: skip


def _comparison(
    found: Design, off: float, error: float, remainder: float, replicas: int
) -> Comparison:
    """The limit of SGD against the theory, with every part of the tolerance."""
    value = _theory(found, found.when)
    # the error of a time is one of the value, by the slope
    theory = found.error if found.target is None else found.error * abs(found.slope)
    parts = (Part(theory, "curve and expectations"), Part(float(remainder), "O(1/d^2) remainder"))
    tolerance = Tolerance(parts, Chance(float(error), degrees=replicas - 1))
    statement = Comparison(
        f"{found.quantity} at {found.when:.4g} {found.clock} per dimension",
        value + float(off),
        value,
        tolerance,
        RESOLUTION * abs(value - found.start),
    )
    return judge_together([statement], FAMILY_ERROR)[0]


def _quantities(found: Design, runs: xr.Dataset) -> Array:
    """The quantity in every run at every time."""
    rows = [
        [_quantity(found, State.at(runs.isel(replica=i), t)) for t in runs["time"].to_numpy()]
        for i in range(runs.sizes["replica"])
    ]
    return np.array(rows)


def _theory(found: Design, clock: float) -> float:
    """The quantity on the curve, by the same nodes."""
    return _quantity(found, found.at(clock))


def _quantity(found: Design, state: State) -> float:
    return QUANTITIES[found.quantity].of(found.trained, state, SEARCH_NODES)[0]
