"""Fluctuations of SGD about its curve: their covariance and the shift of their mean, to leading
order in 1/d.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import scipy.linalg
import sympy as sp
import xarray as xr
from numpy.typing import ArrayLike

from numerics.core.problem import Problem
from numerics.core.results import TIME_UNIT, common_attributes
from numerics.core.schedule import Pace
from numerics.core.state import State, check_state
from numerics.core.takes_problem import takes_problem
from numerics.core.validation import Array, as_integer, as_scalar, check_times
from numerics.expectations.families import family_rules, run_family
from numerics.expectations.quadrature import INTERVAL, Rule, replicate_error, sobol
from theory import Drift, InputError

from .curves import solve_curve
from .fluctuation_panels import integrate_panels
from .jacobian import default_drift, drift_jacobian, possible_changes
from .local_law import LocalLaw, deterministic_rules, sobol_rules
from .refinement import SOBOL_REPLICATES

SOBOL_SIZE = 512


@takes_problem(bands=True, tokens=True)
def integrate_fluctuations(
    problem: Problem,
    initial: State,
    time: ArrayLike,
    *,
    tolerance: float | None = None,
    drift: Drift | None = None,
    batch: int = 1,
    schedule: sp.Expr | Callable[[Array], Array] | None = None,
    seed: int = 0,
) -> xr.Dataset:
    r"""Integrate covariance and mean of the fluctuations of SGD along its curve.

    The summary statistics S at dimension d are :math:`S(t)=s(t)+\xi(t)/\sqrt d+\mu(t)/d+\dots` with
    a Gaussian process :math:`\xi` of covariance C and a deterministic :math:`\mu`.  For single
    samples and a constant step

    .. math::
       \dot C &= JC+CJ^T+c_\delta\Sigma,
       \qquad J=\partial F/\partial s,\ \Sigma=\mathrm{Cov}(G) \\
       \dot\mu &= J\mu+\tfrac12\sum_{ij}C_{ij}\,\partial_i\partial_jF+F_1
       -\tfrac{c_\delta}2\,\ddot s

    from zero at time 0: the noise of the steps (:func:`theory.derive_diffusion`), the curvature of
    the drift, the 1/d part of the mean step (:func:`theory.derive_finite_size`), and the step being
    finite (mathematics.md section 6).

    Parameters
    ----------
    problem : Problem
        Or a model and Parameters in its place.
    initial : State
        The same in every run: C and mu are 0 at time 0.  Q must be positive definite on the
        directions of u that the loss depends on, all along the curve.
    time : array, or float
        As in :func:`integrate_curves`.
    tolerance : float, optional
        Relative accuracy of the integrator; 1e-6 for tensor quadrature and 1e-4 for quasi-Monte
        Carlo when omitted.
    drift : theory.Drift, optional
        Use this drift instead of the derived one.
    batch, schedule
        As in :func:`simulate_sgd`.
    seed : int
        Root seed of quasi-Monte Carlo scramblings.

    Returns
    -------
    xarray.Dataset
        ``state`` (time, statistic), the curve; ``covariance`` (time, statistic, statistic_b),
        symmetric positive semidefinite, and ``mean_shift`` (time, statistic), with
        ``covariance_error`` and ``mean_shift_error`` of the same shapes: the difference of two
        resolutions of quadrature and integrator, or an interval over scramblings.

    Raises
    ------
    theory.InputError
        Bad values, or a singular Q at the start.
    IntegrationError
        The curve diverges, or Q becomes singular on it.

    Examples
    --------
    A linear unit with g = 1 moves by -delta (Y . e) each step: a random walk with variance c_delta
    / lambda a unit of time.

    >>> from numerics import Parameters
    >>> from theory import Loss, Mixture, Model, symbols
    >>> u = symbols.vector("u", 1)
    >>> one = Mixture.build(weights=[1], labels=[0], coordinates=[[1]], directions_gram=[[1]])
    >>> model = Model.build(one, Loss(u[0], units=1))
    >>> parameters, start = Parameters([1], 4, 0, 2), State([[0]], [[1]])
    >>> found = integrate_fluctuations(model, parameters, start, [0, 1, 2])
    >>> found.covariance.sel(statistic="m_1_1", statistic_b="m_1_1").values.round(6)
    array([0. , 0.5, 1. ])
    """
    model, parameters = problem.model, problem.parameters
    check_state(model, initial)
    times = check_times(time)
    seed = as_integer("seed", seed, 0, "seeds are non-negative integers")
    pace = Pace.of(schedule, batch, float(times[-1]))
    smooth = default_drift(model, drift)
    curve = solve_curve(
        problem,
        initial,
        float(times[-1]),
        drift=smooth,
        batch=batch,
        schedule=schedule,
        seed=seed,
        closed_forms=False,
    )
    law = LocalLaw.compile(model, parameters, smooth, pace)
    law.check(initial, "initial")
    if curve.rule.kind != "sobol":
        wanted = (
            1e-6
            if tolerance is None
            else as_scalar("tolerance", tolerance, 0.0, True, "such as 1e-6")
        )
        # the curve's own rule is fine enough for the drift; its derivatives are given one size more
        family = curve.rule.kind
        rules = family_rules(family, law.drift.dimension)
        sizes = [r.size for r in rules if r.size >= curve.rule.size][:2]
        coarse, fine = (
            integrate_panels(law, curve, times, deterministic_rules(family, size), 0, accuracy)
            for size, accuracy in ((sizes[0], 10 * wanted), (sizes[-1], wanted))
        )
        values, errors = list(fine), [2 * np.abs(f - c) for f, c in zip(fine, coarse, strict=True)]
        # two runs of few steps may take the same ones, and then differ by less than the error of a
        # step
        errors = [
            e + 2 * wanted * (1 + np.abs(v).max()) for v, e in zip(values, errors, strict=True)
        ]
        rule = rules[[r.size for r in rules].index(sizes[-1])]
    else:
        wanted = (
            1e-4
            if tolerance is None
            else as_scalar("tolerance", tolerance, 0.0, True, "such as 1e-4")
        )
        size = max(curve.rule.size, SOBOL_SIZE)
        rule = sobol(law.drift.dimension, size, SOBOL_REPLICATES, seed)
        runs = [
            integrate_panels(law, curve, times, sobol_rules(size, seed), i, wanted)
            for i in range(rule.replicates)
        ]
        values, errors = _mean_and_error(runs)
        errors = [
            e + 2 * wanted * (1 + np.abs(v).max()) for v, e in zip(values, errors, strict=True)
        ]
    return _dataset(law, times, curve.vector(times), values, errors, smooth, rule, seed)


@takes_problem(bands=True, tokens=True)
def stationary_fluctuations(
    problem: Problem, state: State, *, drift: Drift | None = None, batch: int = 1, seed: int = 0
) -> xr.Dataset:
    r"""Return covariance and mean of the fluctuations of SGD about a stable fixed point.

    .. math::
       JC+CJ^T+c_\delta\Sigma=0,
       \qquad J\mu=-\tfrac12\sum_{ij}C_{ij}\,\partial_i\partial_jF-F_1

    the stationary points of :func:`integrate_fluctuations`: the covariance of sqrt(d) (S - s) and d
    times the shift of its mean, once the run has settled.

    Parameters
    ----------
    problem : Problem
        Or a model and Parameters in its place.
    state : State
        A fixed point of the effective dynamics with this batch (:func:`solve_fixed_point`).
    drift, batch, seed
        As in :func:`integrate_fluctuations`.

    Returns
    -------
    xarray.Dataset
        As :func:`integrate_fluctuations`, without time.

    Raises
    ------
    theory.InputError
        The state is no fixed point, or not a stable one: fluctuations grow there.

    Examples
    --------
    A state that still moves is refused:

    >>> from numerics import Parameters
    >>> from theory import Loss, Mixture, Model, symbols
    >>> u = symbols.vector("u", 1)
    >>> one = Mixture.build(weights=[1], labels=[0], coordinates=[[0]], directions_gram=[[1]])
    >>> model = Model.build(one, Loss(u[0]**2 / 2 - u[0]*symbols.LABEL, units=1))
    >>> stationary_fluctuations(model, Parameters([1], 1, 0, 1), State([[0]], [[1]]))
    Traceback (most recent call last):
    ...
    theory.errors.InputError: state: got a drift of size 1 there; expected a fixed point...
    """
    model, parameters = problem.model, problem.parameters
    check_state(model, state, "state")
    pace = Pace.of(None, batch, 0.0)
    smooth = default_drift(model, drift)
    law = LocalLaw.compile(model, parameters, smooth, pace)
    law.check(state, "state")
    vector = state.flatten()
    # a batch acts as a smaller step, also where the model fixes the step to a number
    now = problem.with_step(parameters.step / batch)
    jacobian = drift_jacobian(now, state, drift=pace.drift(smooth), seed=seed)
    parts = (state.overlap, state.gram_perp, state.readout)
    smooth_rule = run_family(law.drift, now.parameters, [parts]) != "sobol"
    if smooth_rule:
        rule = law.drift.estimate(now, state).rule
        finer = family_rules(rule.kind, law.drift.dimension)
        sizes = [r.size for r in finer if r.size <= rule.size][-2:]
        found = [law.at(deterministic_rules(rule.kind, n), 0, 0.0, vector) for n in sizes]
    else:
        rule = sobol(law.drift.dimension, 4 * SOBOL_SIZE, SOBOL_REPLICATES, seed)
        found = [
            law.at(sobol_rules(rule.size, seed), i, 0.0, vector) for i in range(rule.replicates)
        ]
    drifts = np.array([f.drift for f in found])
    speed, spread = float(np.abs(drifts.mean(axis=0)).max()), float(np.ptp(drifts, axis=0).max())
    if speed > 1e-6 * (1 + float(np.abs(vector).max())) + spread:
        raise InputError(
            "state", f"a drift of size {speed:.3g} there", "a fixed point", "use solve_fixed_point"
        )
    if jacobian.attrs["stability"] != "stable":
        top = float(jacobian.jacobian_eigenvalue_real[0])
        raise InputError(
            "state",
            f"a fixed point that is {jacobian.attrs['stability']} (largest real part {top:.3g})",
            "a stable fixed point",
            "fluctuations grow here: follow them with integrate_fluctuations",
        )
    moving = possible_changes(problem)
    pairs: list[tuple[Array, Array]] = []
    for each in found:
        rates, noise = (moving.T @ x @ moving for x in (each.jacobian, each.noise))
        reduced = scipy.linalg.solve_continuous_lyapunov(rates, -noise)
        matrix = np.asarray(moving @ (reduced + reduced.T) @ moving.T, dtype=float) / 2
        force = -each.bend(matrix) - each.extra
        shift = np.asarray(moving @ np.linalg.solve(rates, moving.T @ force), dtype=float)
        pairs.append((matrix[None], shift[None]))
    if smooth_rule:
        values, errors = (
            list(pairs[-1]),
            [2 * np.abs(a - b) for a, b in zip(pairs[0], pairs[-1], strict=True)],
        )
    else:
        values, errors = _mean_and_error(pairs)
    return _dataset(law, np.zeros(1), vector[None], values, errors, smooth, rule, seed).isel(
        time=0, drop=True
    )


def _mean_and_error(runs: Sequence[tuple[Array, Array]]) -> tuple[list[Array], list[Array]]:
    """Mean over scramblings of covariances and shifts, and the interval of it."""
    both = [np.array([run[i] for run in runs]) for i in (0, 1)]
    return [b.mean(axis=0) for b in both], [replicate_error(b) for b in both]


def _dataset(
    law: LocalLaw,
    times: Array,
    vectors: Array,
    values: Sequence[Array],
    errors: Sequence[Array],
    drift: Drift,
    rule: Rule,
    seed: int,
) -> xr.Dataset:
    names = np.array([str(s) for s in law.model.symbols.state])
    pair, single = ("time", "statistic", "statistic_b"), ("time", "statistic")
    texts = ("covariance of sqrt(d) (S - curve)", "d times (mean of S - curve)")
    variables: dict[str, Any] = {
        "state": (single, vectors, {"long_name": "the curve", "units": "1"})
    }
    for name, dims, value, error, text in zip(
        ("covariance", "mean_shift"), (pair, single), values, errors, texts, strict=True
    ):
        variables[name] = (dims, value, {"long_name": text, "units": "1"})
        variables[f"{name}_error"] = (dims, error, {"long_name": f"error of {name}", "units": "1"})
    attributes = common_attributes(
        law.model, law.parameters, "fluctuations about the effective dynamics"
    ) | {
        "quadrature": str(rule),
        "route": drift.route,
        "seed": seed,
        **law.pace.attributes,
        "error_estimate": float(max(e.max() for e in errors)),
        "error_meaning": "largest error of covariance and mean shift: "
        + (
            "two resolutions of quadrature and integrator"
            if rule.kind == "gauss-hermite"
            else f"{INTERVAL}, and the integrator's tolerance"
        ),
    }
    coordinates = {
        "time": ("time", times, {"units": TIME_UNIT, "long_name": "time"}),
        "statistic": names,
        "statistic_b": names,
    }
    return xr.Dataset(variables, coords=coordinates, attrs=attributes)
