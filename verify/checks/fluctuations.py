"""Checks at finite dimension: how far SGD is from its curve, on average and from run to run."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from numerics import (
    Parameters,
    State,
    integrate_fluctuations,
    solve_fixed_point,
    stationary_fluctuations,
)
from theory.symbols import upper_triangle
from verify.evidence.evidence import Evidence
from verify.evidence.run_states import dimensions_of, statistics_matrix
from verify.evidence.systems import Scenario
from verify.verdict.compare import compare_exponent, compare_limit
from verify.verdict.extrapolation import (
    extrapolate,
    extrapolate_means,
    fit_exponent,
    mean_and_error,
)
from verify.verdict.results import Exhibit, Outcome
from verify.verdict.tolerance import Comparison, Part

from .dynamics import run_sizes
from .exhibits import power_law
from .judged_theory import Theory

Array = np.ndarray
# every so many replicas choose the direction in which the bias is measured on the others
CHOOSING = 4
# from a fixed point runs last so many times its slowest relaxation: exp(-8) = 3e-4 of the
# covariance is missing then
RELAXATIONS = 4.0


def finite_size(theory: Theory, evidence: Evidence) -> Outcome:
    """At finite d the mean of SGD is off its curve by O(1/d), and fluctuates around it by O(1/sqrt
    d).
    """
    comparisons: list[Comparison] = []
    exhibits: list[Exhibit] = []
    for scenario in evidence.system.scenarios:
        predicted = statistics_matrix(theory.curve(scenario))[-1]
        runs = evidence.curve_runs(scenario)
        values = [statistics_matrix(r)[:, -1] - predicted for r in runs]
        direction = _biased_direction(values[0])
        # the replicas that chose the direction do not judge it
        judging = np.arange(len(values[0])) % CHOOSING != 0
        bias = [values[0][judging] @ direction, *(v @ direction for v in values[1:])]
        dimensions, name = dimensions_of(runs), scenario.name
        for comparison, exhibit in (
            _bias_exponent(
                f"{name}: exponent of d in |mean - curve| along its largest part",
                dimensions,
                bias,
                f"bias-{name}",
                f"Deviation of the mean of SGD from the curve, {name} scenario.",
            ),
            _spread_exponent(
                f"{name}: exponent of d in the standard deviation of the statistics",
                dimensions,
                values,
                0.2,
                f"fluctuation-{name}",
                f"Fluctuation of SGD around its mean, {name} scenario.",
            ),
        ):
            comparisons.append(comparison)
            exhibits.append(exhibit)
    return Outcome(comparisons, run_sizes(evidence), exhibits)


def fluctuations(theory: Theory, evidence: Evidence) -> Outcome:
    """SGD fluctuates about its curve by a Gaussian of covariance C / d, and its mean is off by mu /
    d.
    """
    scenario, level = evidence.system.scenarios[-1], evidence.level
    name, time = scenario.name, scenario.times[0]
    predicted = integrate_fluctuations(
        theory.model, scenario.parameters, scenario.initial, [0.0, time], drift=theory.drift
    ).isel(time=-1)
    wide, ends = _chain_ends(evidence, scenario, time, level.wide_dimensions, level.wide_replicas)
    covariances = _covariance_comparisons(
        theory.statistic_names,
        predicted,
        ends,
        wide,
        f"{name}: ",
        f"at t = {time:g}",
        "integration and quadrature (T2)",
    )
    width, width_exhibit = _spread_exponent(
        f"{name}: exponent of d in the standard deviation, "
        f"d = {wide.min():.0e} .. {wide.max():.0e}",
        wide,
        ends,
        0.1,
        "fluctuation-chain",
        f"Fluctuation of the reduced chain about its mean, {name} scenario.",
    )
    sizes, shifted = _chain_ends(
        evidence, scenario, time, level.shift_dimensions, level.shift_replicas
    )
    direction = _shown_direction(predicted)
    along = [(values - predicted.state.values) @ direction for values in shifted]
    bias, bias_exhibit = _bias_exponent(
        f"{name}: exponent of d in |mean - curve| along the same direction",
        sizes,
        along,
        "bias-chain",
        f"Deviation of the mean of the reduced chain from the curve, {name} scenario.",
    )
    samples = {
        "dimensions (covariance)": list(level.wide_dimensions),
        "replicas (covariance)": list(level.wide_replicas),
        "dimensions (mean)": list(level.shift_dimensions),
        "replicas (mean)": list(level.shift_replicas),
        "time": time,
    }
    comparisons = [*covariances, width, _shift(scenario, predicted, direction, sizes, along), bias]
    return Outcome(comparisons, samples, [width_exhibit, bias_exhibit])


def stationary(theory: Theory, evidence: Evidence) -> Outcome:
    """SGD stays at a stable fixed point, with the covariance that solves Lyapunov's equation."""
    level, model = evidence.level, theory.model
    weights = evidence.system.scenarios[0].parameters.weights
    parameters = Parameters(weights, 4.0, 0.5, 2.0)
    point = solve_fixed_point(model, parameters, drift=theory.drift)
    state = State.at(point)
    predicted = stationary_fluctuations(model, parameters, state, drift=theory.drift)
    end = RELAXATIONS / -float(point.jacobian_eigenvalue_real.max())
    dimensions, ends = _chain_ends(
        evidence,
        Scenario("fixed point", parameters, state, (end,)),
        end,
        level.settled_dimensions,
        level.settled_replicas,
    )
    rest = extrapolate_means(1 / dimensions, ends)
    stays = [
        compare_limit(
            f"mean of {name} after a long run from the fixed point, d -> infinity",
            rest[i],
            predicted.state[i],
            Part(float(point.attrs["error_estimate"]), "solver of the fixed point (T2)"),
            resolution=0.05,
        )
        for i, name in enumerate(theory.statistic_names)
    ]
    missing = np.exp(-2 * RELAXATIONS) * float(np.abs(predicted.covariance.values).max())
    covariances = _covariance_comparisons(
        theory.statistic_names,
        predicted,
        ends,
        dimensions,
        "",
        "at the fixed point",
        "quadrature and differences (T2)",
        Part(missing, "the run is finite: exp(-8) is missing (T4)"),
    )
    samples = {
        "dimensions": list(level.settled_dimensions),
        "replicas": list(level.settled_replicas),
        "time": end,
    }
    return Outcome(stays + covariances, samples)


def _chain_ends(
    evidence: Evidence,
    scenario: Scenario,
    time: float,
    dimensions: Sequence[int],
    replicas: Sequence[int],
) -> tuple[Array, list[Array]]:
    """Dimensions, and the statistics (replica, statistic) of reduced chains at the end of each."""
    runs = [
        evidence.chain_runs(scenario, time, d, n) for d, n in zip(dimensions, replicas, strict=True)
    ]
    return dimensions_of(runs), [statistics_matrix(r)[:, -1] for r in runs]


def _covariance_comparisons(
    names: Sequence[str],
    predicted: xr.Dataset,
    ends: Sequence[Array],
    dimensions: Array,
    before: str,
    at: str,
    computed: str,
    *further: Part,
) -> list[Comparison]:
    """Covariances of sqrt(d) times the statistics, extrapolated to d -> infinity, against the
    prediction.
    """
    pairs = upper_triangle(len(names))
    rows, columns = map(list, zip(*pairs, strict=True))
    centred = [(v - v.mean(axis=0)) * np.sqrt(d) for v, d in zip(ends, dimensions, strict=True)]
    # the mean was estimated from the same runs: n - 1 of n independent products are left
    products = [c[:, rows] * c[:, columns] * len(c) / (len(c) - 1) for c in centred]
    limit = extrapolate_means(1 / dimensions, products)
    covariance, own = predicted.covariance.values, predicted.covariance_error.values
    return [
        compare_limit(
            f"{before}covariance of sqrt(d) {names[i]} and sqrt(d) {names[j]} {at}, d -> infinity",
            limit[k],
            covariance[i, j],
            *further,
            Part(own[i, j], computed),
            resolution=0.5 * np.sqrt(covariance[i, i] * covariance[j, j]) + 1e-6,
        )
        for k, (i, j) in enumerate(pairs)
    ]


def _spread_exponent(
    quantity: str,
    dimensions: Array,
    values: Sequence[Array],
    resolution: float,
    name: str,
    caption: str,
) -> tuple[Comparison, Exhibit]:
    """Standard deviations of all statistics together fall like d^(-1/2)."""
    spread = np.array([np.sqrt(v.var(axis=0, ddof=1).sum()) for v in values])
    # relative error of a pooled standard deviation, bounded by that of a single one
    relative = np.array([1 / np.sqrt(2 * (len(v) - 1)) for v in values])
    fit = fit_exponent(dimensions, spread, relative)
    comparison = compare_exponent(
        quantity,
        fit,
        -0.5,
        Part(2.0 / dimensions.min(), "O(1/d) correction of the variance, coefficient up to 2 (T4)"),
        resolution=resolution,
    )
    shown = ("standard deviation of the statistics", spread, relative * spread)
    return comparison, power_law(name, caption, ("dimension d", dimensions), shown, fit, -0.5)


def _bias_exponent(
    quantity: str, dimensions: Array, along: Sequence[Array], name: str, caption: str
) -> tuple[Comparison, Exhibit]:
    """The mean distance from the curve, along a direction, falls like 1/d."""
    bias, error = map(np.array, zip(*map(mean_and_error, along), strict=True))
    fit = fit_exponent(dimensions, np.abs(bias), error / np.abs(bias))
    comparison = compare_exponent(
        quantity,
        fit,
        -1.0,
        Part(
            5.0 / dimensions.min(), "next power of 1/d, a coefficient up to 5 times the first (T4)"
        ),
        resolution=0.4,
    )
    shown = ("|mean − curve|", np.abs(bias), error)
    return comparison, power_law(name, caption, ("dimension d", dimensions), shown, fit, -1.0)


def _biased_direction(values: Array) -> Array:
    """Unit vector of the statistics along which their mean is off most clearly, from every fourth
    replica.

    Fisher's discriminant, covariance^+ mean; statistics without fluctuation (a symmetry fixes them)
    drop out.
    """
    chosen = values[::CHOOSING]
    direction = np.linalg.pinv(np.cov(chosen.T), rcond=1e-8, hermitian=True) @ chosen.mean(axis=0)
    return np.asarray(direction / np.linalg.norm(direction))


def _shown_direction(predicted: xr.Dataset) -> Array:
    """Fisher's direction of the predicted shift, which no data choose."""
    inverse = np.linalg.pinv(predicted.covariance.values, rcond=1e-6, hermitian=True)
    direction = inverse @ predicted.mean_shift.values
    return np.asarray(direction / np.linalg.norm(direction))


def _shift(
    scenario: Scenario,
    predicted: xr.Dataset,
    direction: Array,
    dimensions: Array,
    along: Sequence[Array],
) -> Comparison:
    """The predicted d (mean - curve) along a direction, against runs."""
    bias, error = map(np.array, zip(*map(mean_and_error, along), strict=True))
    expected = float(predicted.mean_shift.values @ direction)
    return compare_limit(
        f"{scenario.name}: d (mean - curve) at t = {scenario.times[0]:g} along the direction "
        "in which it shows best, d -> infinity",
        extrapolate(1 / dimensions, dimensions * bias, dimensions * error, degree=1),
        expected,
        Part(
            predicted.mean_shift_error.values @ np.abs(direction), "integration and quadrature (T2)"
        ),
        resolution=0.5 * abs(expected),
    )
