"""A theoretical curve as a function of time."""

from __future__ import annotations

from dataclasses import dataclass

import xarray as xr
from numpy.typing import ArrayLike
from scipy.integrate import OdeSolution

from numerics.core.flatten import unflatten
from numerics.core.parameters import Parameters
from numerics.core.results import common_attributes, statistics_dataset
from numerics.core.schedule import Pace
from numerics.core.state import State, nearest_psd
from numerics.core.validation import Array, check_times
from numerics.expectations.quadrature import INTERVAL, Rule
from theory import InputError, Model
from theory.errors import brief
from theory.keywords import with_known_keywords
from theory.notebook import equations_latex, short_repr

from .integration.flow_field import PLAIN


@with_known_keywords
@dataclass(frozen=True)
class Curve:
    """A theoretical curve as a function of time: dense output on [0, end].

    Attributes
    ----------
    model, parameters
    end : float
        Last time; calling beyond it is refused.
    error_estimate : float
        Largest absolute error of any statistic at any time of [0, end], estimated inside every
        step of the integrator from two resolutions of both the quadrature and the integrator
        (tensor rules) or an interval over scramblings (Sobol).
    rule : Rule
    solution : scipy OdeSolution
        Of one curve, or of a curve per scrambling one after the other: their mean is the curve.
    tolerance : float
    evaluations : int
        Number of right-hand sides computed in all.
    route : str
        Of the drift integrated.
    seed : int
        Root of the scramblings; 0 where the rule is deterministic.
    pace : Pace

    Examples
    --------
    >>> import numpy as np
    >>> from numerics import solve_curve
    >>> from theory import kgmm
    >>> zero = State(np.zeros((2, 2)), np.zeros((2, 2)))
    >>> curve = solve_curve(kgmm(2), Parameters([0.5, 0.5], 2, 0.05, 1), zero, 1.0)
    >>> curve.end, curve.vector([0, 0.5, 1]).shape
    (1.0, (3, 7))
    >>> bool(curve.state(1.0).overlap[0, 0] > 0), curve.error_estimate < 1e-6
    (True, True)
    """

    model: Model
    parameters: Parameters
    end: float
    error_estimate: float
    rule: Rule
    solution: OdeSolution
    tolerance: float
    evaluations: int
    route: str
    seed: int
    pace: Pace = PLAIN

    def __repr__(self) -> str:
        return short_repr(
            self,
            f"of {brief(self.model.name)!r}",
            f"0 <= t <= {self.end:.6g}",
            error_estimate=f"{self.error_estimate:.2g}",
            rule=self.rule,
        )

    def _repr_latex_(self) -> str:
        """Where it starts and ends, for notebooks."""
        equations = [
            (f"{letter}({time:.4g})", matrix)
            for time in (0.0, self.end)
            for letter, matrix in self.state(time).equations()
        ]
        error = [(r"\text{largest error}", f"{self.error_estimate:.2g}")]
        return equations_latex([*equations, *error])

    def vector(self, time: ArrayLike) -> Array:
        """State vectors at the given times, shape (len(time), state size)."""
        times = check_times(time)
        if times[-1] > self.end * (1 + 1e-12):
            raise InputError("time", times[-1], f"times <= {self.end}", "integrate further")
        values = self.solution(times)
        return values.reshape(self.rule.replicates, -1, times.size).mean(axis=0).T

    def state(self, time: float) -> State:
        """The summary statistics at one time."""
        overlap, gram_perp, readout = unflatten(self.vector([time])[0], self.model)
        return State(overlap, nearest_psd(gram_perp), readout)

    def dataset(self, time: ArrayLike) -> xr.Dataset:
        """The curve at the given times, as :func:`integrate_curves` returns it."""
        times = check_times(time)
        parts = unflatten(self.vector(times), self.model)
        attributes = common_attributes(self.model, self.parameters, "effective dynamics") | {
            "error_estimate": self.error_estimate,
            "error_meaning": "largest absolute error over statistics and time: " + self._meaning,
            "tolerance": self.tolerance,
            "quadrature": str(self.rule),
            "route": self.route,
            "seed": self.seed,
            "right_hand_sides": self.evaluations,
            **self.pace.attributes,
        }
        return statistics_dataset(self.model, self.parameters, times, *parts, attributes)

    @property
    def _meaning(self) -> str:
        if self.rule.replicates == 1:
            return "difference of two resolutions of quadrature and integrator"
        return INTERVAL
