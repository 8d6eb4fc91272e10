"""Theoretical curves: integration of the effective dynamics, with an error estimate that covers the
true error.
"""

from __future__ import annotations

from collections.abc import Callable

import sympy as sp
import xarray as xr
from numpy.typing import ArrayLike

from numerics.core.problem import Problem
from numerics.core.schedule import Pace
from numerics.core.state import State, check_state
from numerics.core.takes_problem import takes_problem
from numerics.core.tolerance import warn_of_tolerance
from numerics.core.validation import Array, as_integer, as_scalar, check_times
from numerics.expectations.compiled import compile_expressions
from theory import Drift, derive_drift

from .curve import Curve
from .refinement import Flow, refine


@takes_problem(bands=True, tokens=True)
def integrate_curves(
    problem: Problem,
    initial: State,
    time: ArrayLike,
    *,
    tolerance: float | None = None,
    route: str | None = None,
    drift: Drift | None = None,
    seed: int = 0,
    batch: int = 1,
    schedule: sp.Expr | Callable[[Array], Array] | None = None,
) -> xr.Dataset:
    r"""Integrate the effective dynamics of (m, R_perp, v) and return the curve at the given times.

    .. math:: \dot s = F(s;\lambda,\beta,c_\delta,p,\Gamma),\qquad
              t = \text{steps}\cdot\delta,\ \delta=c_\delta/d

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
    route : {"stein", "projection"}, optional
        Form of the drift (ignored when ``drift`` is given); that of :func:`theory.derive_drift`
        when omitted.
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
        The field diverges, or the drift is not a number (the message names the expression);
        ``reached`` is the time reached.

    Warns
    -----
    ToleranceWarning
        The error estimate is larger than the tolerance.

    Examples
    --------
    With one class pair at lambda -> infinity and no ridge nothing moves orthogonally to the means:

    >>> from numerics import Parameters
    >>> from theory import kgmm
    >>> zero = State([[0, 0], [0, 0]], [[0, 0], [0, 0]])
    >>> numbers = Parameters([0.5, 0.5], 1e12, 0, 1)
    >>> curve = integrate_curves(kgmm(2), numbers, zero, [0, 1])
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


@takes_problem(bands=True, tokens=True)
def solve_curve(
    problem: Problem,
    initial: State,
    end: float,
    *,
    tolerance: float | None = None,
    route: str | None = None,
    drift: Drift | None = None,
    seed: int = 0,
    batch: int = 1,
    schedule: sp.Expr | Callable[[Array], Array] | None = None,
    closed_forms: bool | None = None,
) -> Curve:
    """Integrate to ``end`` and return the dense curve; see :func:`integrate_curves`.

    Without ``closed_forms`` by quadrature, also where the drift has closed forms.

    Examples
    --------
    >>> from numerics import State
    >>> from theory import kgmm
    >>> problem = Problem(kgmm(2), weights=[0.5, 0.5], precision=10, ridge=0.1, step=1)
    >>> curve = solve_curve(problem, State.zero(problem), end=1.0)
    >>> curve.state(0.5).overlap.shape, curve.end
    ((2, 2), 1.0)
    """
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
    vector = pace.drift(derived).vector
    compiled = compile_expressions(model, vector, closed_forms=closed_forms)
    flow = Flow(compiled, parameters, initial, end, pace)
    refined = refine(flow, tolerance, seed)
    warn_of_tolerance(
        f"the curve of {model.name}",
        refined.error,
        refined.tolerance,
        f"{refined.rule}, and the integrator, reach no more; a shorter time or more precision do",
    )
    return Curve(
        model,
        parameters,
        end,
        refined.error,
        refined.rule,
        refined.trajectory.solution,
        refined.tolerance,
        refined.evaluations,
        derived.route,
        seed if refined.rule.kind == "sobol" else 0,
        pace,
    )
