"""Theoretical curves: integration of the effective dynamics, with an error estimate that covers the
true error.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import sympy as sp
import xarray as xr
from numpy.typing import ArrayLike
from scipy.integrate import OdeSolution, solve_ivp

from numerics.core.errors import IntegrationError
from numerics.core.flatten import unflatten
from numerics.core.parameters import Parameters
from numerics.core.problem import Problem, takes_problem
from numerics.core.results import common_attributes, statistics_dataset
from numerics.core.schedule import Pace
from numerics.core.state import State, check_state, nearest_psd
from numerics.core.validation import Array, as_integer, as_scalar, check_times
from numerics.expectations.compiled import CompiledExpressions, compile_expressions
from numerics.expectations.quadrature import (
    Rule,
    choose_family,
    gauss_hermite,
    replicate_error,
    sobol,
    tensor_sizes,
)
from theory import Drift, InputError, Model, derive_drift

SOBOL_REPLICATES = 8
# A statistic this many times larger than at the start is a diverging flow: without a stop the step
# size of the integrator collapses and it runs for ever.
DIVERGED = 1e6
# the integrator refuses relative accuracies near the rounding unit
MIN_ACCURACY = 3e-14
PLAIN = Pace()
# rounding of an integrated curve, relative to its size: a few hundred steps of about an ulp each
ROUNDING = 1e-13


@dataclass(frozen=True)
class Curve:
    """A theoretical curve as a function of time: dense output on [0, end].

    Attributes
    ----------
    model, parameters
    end : float
        Last time; calling beyond it is refused.
    error_estimate : float
        Largest absolute error of any statistic on [0, end], estimated from two resolutions of both
        the quadrature and the integrator (tensor rules) or a 99 % interval over scramblings
        (Sobol).
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
            "error_meaning": (
                "largest absolute error over statistics and time: "
                + (
                    "difference of two resolutions of quadrature and integrator"
                    if self.rule.kind == "gauss-hermite"
                    else "99 % Student interval over independent scramblings"
                )
            ),
            "tolerance": self.tolerance,
            "quadrature": str(self.rule),
            "route": self.route,
            "seed": self.seed,
            "right_hand_sides": self.evaluations,
            **self.pace.attributes,
        }
        return statistics_dataset(self.model, self.parameters, times, *parts, attributes)


@takes_problem
def integrate_curves(
    problem: Problem,
    initial: State,
    time: ArrayLike,
    *,
    tolerance: float | None = None,
    route: str = "stein",
    drift: Drift | None = None,
    seed: int = 0,
    batch: int = 1,
    schedule: sp.Expr | Callable[[Array], Array] | None = None,
) -> xr.Dataset:
    r"""Integrate the effective dynamics of (m, R_perp, v) and return the curve at the given times.

    .. math:: \dot s = F(s;\lambda,\beta,c_\delta,p,\Gamma),\qquad t = \text{steps}\cdot\delta,\ \delta=c_\delta/d

    with F of :func:`theory.derive_drift` (mathematics.md section 4).

    Parameters
    ----------
    problem : Problem
        Or a model and Parameters in its place.
    initial : State
        At time 0.
    time : array, or float
        Increasing times >= 0 to report; a single number T means 201 equidistant times on [0, T].
    tolerance : float, optional
        Largest absolute error wanted; 1e-8 for tensor quadrature and 1e-4 for quasi-Monte Carlo
        when omitted.
    route : {"stein", "projection"}
        Form of the drift (ignored when ``drift`` is given).
    drift : theory.Drift, optional
        Integrate this drift instead of the derived one (for instance ``without_corrector()``).
    seed : int
        Root seed of the quasi-Monte Carlo scramblings.
    batch, schedule
        Samples a step, and a factor of the step size as a function of time: as in
        :func:`simulate_sgd`.

    Returns
    -------
    xarray.Dataset
        ``overlap`` (time, unit, direction), ``gram_perp`` (time, unit, unit_b), ``readout`` (time,
        parameter), ``gram``, ``misalignment``; attrs hold the error estimate, the rule, seeds and
        versions.

    Raises
    ------
    theory.InputError
        Bad shapes or values, before any work.
    IntegrationError
        The field diverges; ``reached`` is the time reached.

    Examples
    --------
    With one class pair at lambda -> infinity and no ridge nothing moves orthogonally to the means:

    >>> from theory import kgmm
    >>> curve = integrate_curves(
    ...     kgmm(2), Parameters([0.5, 0.5], 1e12, 0.0, 1.0), State([[0, 0], [0, 0]], [[0, 0], [0, 0]]), [0, 1])
    >>> bool(abs(curve.gram_perp).max() < 1e-9)
    True
    """
    times = check_times(time)
    curve = solve_curve(
        problem,
        initial,
        float(times[-1]),
        tolerance=tolerance,
        route=route,
        drift=drift,
        seed=seed,
        batch=batch,
        schedule=schedule,
    )
    return curve.dataset(times)


@takes_problem
def solve_curve(
    problem: Problem,
    initial: State,
    end: float,
    *,
    tolerance: float | None = None,
    route: str = "stein",
    drift: Drift | None = None,
    seed: int = 0,
    batch: int = 1,
    schedule: sp.Expr | Callable[[Array], Array] | None = None,
) -> Curve:
    """Integrate to ``end`` and return the dense curve; see :func:`integrate_curves`."""
    model, parameters = problem.model, problem.parameters
    check_state(model, initial)
    end = as_scalar("time", end, 0.0, False, "give a time in units of steps * delta")
    seed = as_integer("seed", seed, 0, "seeds are non-negative integers")
    if tolerance is not None:
        tolerance = as_scalar(
            "tolerance", tolerance, 0.0, True, "give an absolute error, such as 1e-8"
        )
    pace = Pace.of(schedule, batch, end)
    derived = derive_drift(model, route) if drift is None else drift
    compiled = compile_expressions(model, pace.vector(derived))
    if choose_family(compiled.dimension, model.loss.is_smooth) == "gauss-hermite":
        return _solve_tensor(
            compiled, parameters, initial, end, tolerance or 1e-8, derived.route, pace
        )
    return _solve_sobol(
        compiled, parameters, initial, end, tolerance or 1e-4, derived.route, seed, pace
    )


def right_hand_side(
    compiled: CompiledExpressions,
    parameters: Parameters,
    rule: Rule,
    replicate: int = 0,
    pace: Pace = PLAIN,
) -> Callable[[float, Array], Array]:
    """The field F(t, s) for an integrator, with one replicate of a quadrature rule."""
    model = compiled.model

    def field(time: float, vector: Array) -> Array:
        overlap, gram_perp, readout = unflatten(vector, model)
        factor, now = pace.at(parameters, time)
        return factor * compiled.evaluate(now, overlap, gram_perp, readout, rule, replicate)

    return field


def _replicated_field(
    compiled: CompiledExpressions, parameters: Parameters, rule: Rule, pace: Pace
) -> Callable[[float, Array], Array]:
    """The fields of all replicates of a rule, each at a state of its own, as one system.

    One system costs as many right-hand sides as one curve, and evaluates them in arrays.
    """
    model, replicates = compiled.model, rule.replicates

    def field(time: float, vectors: Array) -> Array:
        parts = unflatten(vectors.reshape(replicates, -1), model)
        factor, now = pace.at(parameters, time)
        return factor * compiled.evaluate_replicates(now, *parts, rule).ravel()

    return field


def _integrate(
    compiled: CompiledExpressions,
    parameters: Parameters,
    initial: State,
    end: float,
    rule: Rule,
    accuracy: float,
    pace: Pace,
) -> tuple[OdeSolution, int]:
    """Integrate one curve per replicate of the rule."""
    start = np.tile(initial.flatten(), rule.replicates)
    limit = DIVERGED * (1.0 + float(np.abs(start).max(initial=0.0)))

    def escape(_: float, vector: Array) -> float:
        return limit - float(np.abs(vector).max(initial=0.0))

    escape.terminal = True  # type: ignore[attr-defined]  # how solve_ivp marks an event that stops it
    solution = solve_ivp(
        _replicated_field(compiled, parameters, rule, pace),
        (0.0, end),
        start,
        events=escape,
        method="DOP853" if accuracy < 1e-6 else "RK45",
        rtol=accuracy,
        atol=accuracy,
        dense_output=True,
    )
    if solution.status != 0 or not np.all(np.isfinite(solution.y)):
        reason = f"a statistic passed {limit:.3g}" if solution.status == 1 else solution.message
        raise IntegrationError(
            f"the effective dynamics of {compiled.model.name} could not be integrated beyond t = "
            f"{solution.t[-1]:.6g} of {end:.6g}: {reason}; reduce the step c_delta or the time",
            float(solution.t[-1]),
        )
    return solution.sol, int(solution.nfev)


def _solve_tensor(
    compiled: CompiledExpressions,
    parameters: Parameters,
    initial: State,
    end: float,
    tolerance: float,
    route: str,
    pace: Pace,
) -> Curve:
    """Refine quadrature and integrator together until two successive curves agree."""
    sizes = tensor_sizes(compiled.dimension)
    grid = np.linspace(0.0, end, 65)
    previous, total = None, 0
    for i, size in enumerate(sizes):
        rule = gauss_hermite(compiled.dimension, size)
        # both resolutions grow from run to run, so that a difference shows the error of either
        accuracy = max(0.3 * tolerance / 5.0**i, MIN_ACCURACY)
        solution, evaluations = _integrate(compiled, parameters, initial, end, rule, accuracy, pace)
        total += evaluations
        values = solution(grid)
        if previous is not None:
            # doubled: the difference to the coarser curve bounds the error of the finer one only if
            # it converges
            error = 2 * float(np.abs(values - previous).max())
            # two runs of few steps may take the same ones, and then differ by less than the error
            # of a step
            error += 2 * accuracy * (1.0 + float(np.abs(values).max()))
            if error <= tolerance:
                break
        previous = values
    error += ROUNDING * (1.0 + float(np.abs(values).max()))
    return Curve(
        compiled.model, parameters, end, error, rule, solution, tolerance, total, route, 0, pace
    )


def _solve_sobol(
    compiled: CompiledExpressions,
    parameters: Parameters,
    initial: State,
    end: float,
    tolerance: float,
    route: str,
    seed: int,
    pace: Pace,
    max_nodes: int = 2**15,
) -> Curve:
    """Integrate once per scrambling; the spread of the curves is the error, whatever the flow does
    to it.
    """
    grid = np.linspace(0.0, end, 65)
    size, total = 128, 0
    accuracy = max(
        0.03 * tolerance / (1.0 + float(np.abs(initial.flatten()).max(initial=0.0))), MIN_ACCURACY
    )
    while True:
        rule = sobol(compiled.dimension, size, SOBOL_REPLICATES, seed)
        solution, evaluations = _integrate(compiled, parameters, initial, end, rule, accuracy, pace)
        # every scrambling is integrated with the same accuracy: one tighter run shows what that
        # costs
        tight, more = _integrate(
            compiled, parameters, initial, end, rule.single(0), accuracy / 10, pace
        )
        total += evaluations * rule.replicates + more
        values = solution(grid).reshape(rule.replicates, -1, grid.size)
        integration = 2 * float(np.abs(tight(grid) - values[0]).max())
        # and that the same steps were taken does not show there were enough of them
        integration += 2 * accuracy * (1.0 + float(np.abs(values).max()))
        quadrature = float(replicate_error(values).max())
        error = quadrature + integration
        exhausted = size >= max_nodes and quadrature > integration
        if error <= tolerance or exhausted or accuracy <= MIN_ACCURACY:
            return Curve(
                compiled.model,
                parameters,
                end,
                error,
                rule,
                solution,
                tolerance,
                total,
                route,
                seed,
                pace,
            )
        if integration > 0.3 * tolerance:
            accuracy = max(accuracy * min(0.2, 0.15 * tolerance / integration), MIN_ACCURACY)
        if quadrature > 0.6 * tolerance:
            # the error of scrambled Sobol points falls at least like 1/sqrt(N), for these
            # integrands like 1/N
            size = min(
                max_nodes, size * 2 ** max(1, int(np.ceil(np.log2(quadrature / (0.6 * tolerance)))))
            )
