"""Checks that need the reduced chain or other noise: its law, fluctuations about the curves,
universality.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import xarray as xr

from numerics import (
    Parameters,
    State,
    compile_expressions,
    integrate_fluctuations,
    realise_weights,
    solve_fixed_point,
    stationary_fluctuations,
)
from numerics.core.geometry import coordinates_of, labels_of
from numerics.data.samples import compile_derivatives
from theory.symbols import upper_triangle
from verify.evidence.evidence import Evidence
from verify.evidence.run_states import statistics_matrix
from verify.evidence.systems import Scenario
from verify.figures import of_checks as plots
from verify.verdict.extrapolation import extrapolate, fit_exponent, mean_and_error
from verify.verdict.results import Outcome, Plot
from verify.verdict.tolerance import Comparison, Part, Tolerance, critical_value

from .judged_theory import Theory

Array = np.ndarray
# noise of finite variance that is as far from Gaussian as there is: kurtosis 1, and 9
OTHER_NOISE = ("rademacher", "student:5")
# samples in the single steps with noise along coordinates
ALIGNED_BATCH = 256


def chain(theory: Theory, evidence: Evidence, share: float) -> Outcome:
    """The reduced chain has the law of SGD in d dimensions: means, covariances and distributions
    agree.
    """
    scenario = evidence.system.scenarios[0]
    direct = evidence.curve_runs(scenario)[0]
    d, count = direct.attrs["dimension"], direct.sizes["replica"]
    reduced = evidence.runs(scenario, d, count, method="reduced")
    left, right = statistics_matrix(direct)[:, -1], statistics_matrix(reduced)[:, -1]
    names = [str(s) for s in theory.model.symbols.state]
    rows, columns = np.triu_indices(len(names))
    middle = (left.mean(axis=0) + right.mean(axis=0)) / 2
    z = critical_value(2 * len(names) + rows.size, share)
    time = f"at t = {scenario.times[-1]:g}, d = {d}"
    comparisons = []

    def compare(what: str, a: Array, b: Array, scale: float) -> None:
        (one, se_one), (other, se_other) = mean_and_error(a), mean_and_error(b)
        error = float(np.hypot(se_one, se_other))
        comparisons.append(
            Comparison(
                f"{scenario.name}: {what} {time}, chain against direct",
                float(other),
                float(one),
                Tolerance(
                    (
                        Part(z * error, f"{z:.2f} standard errors of the difference (T3)"),
                        Part(1e-12, "rounding, for what a symmetry fixes (T1)"),
                    )
                ),
                resolution=scale,
            )
        )

    spread = left.std(axis=0)
    for i, name in enumerate(names):
        compare(f"mean of {name}", left[:, i], right[:, i], 0.2 * spread[i] + 1e-9)
    for i, j in zip(rows.tolist(), columns.tolist(), strict=True):
        compare(
            f"covariance of {names[i]} and {names[j]}",
            (left - middle)[:, i] * (left - middle)[:, j],
            (right - middle)[:, i] * (right - middle)[:, j],
            0.4 * spread[i] * spread[j] + 1e-9,
        )
    # P(sup |F_m - F_n| > c sqrt((m + n) / (m n))) <= 2 exp(-2 c^2), exact law below that bound
    # (Massart 1990)
    tail = share / (2 * len(names) + rows.size)
    critical = float(np.sqrt(-0.5 * np.log(tail / 2)) * np.sqrt(2 / count))
    for i, name in enumerate(names):
        comparisons.append(
            Comparison(
                f"{scenario.name}: largest difference of the distribution functions of {name} {time}",
                _distribution_distance(left[:, i], right[:, i]),
                0.0,
                Tolerance((Part(critical, "Kolmogorov-Smirnov, Massart's bound (T3)"),)),
                resolution=0.1,
            )
        )
    return Outcome(comparisons, {"dimension": d, "replicas of each": count})


def fluctuations(theory: Theory, evidence: Evidence, share: float) -> Outcome:
    """SGD fluctuates about its curve by a Gaussian of covariance C / d, and its mean is off by mu /
    d.
    """
    scenario, level = evidence.system.scenarios[-1], evidence.level
    time = scenario.times[0]
    predicted = integrate_fluctuations(
        theory.model, scenario.parameters, scenario.initial, [0.0, time], drift=theory.drift
    ).isel(time=-1)
    wide = [
        evidence.chain_runs(scenario, time, d, n)
        for d, n in zip(level.wide_dimensions, level.wide_replicas, strict=True)
    ]
    shifted = [
        evidence.chain_runs(scenario, time, d, n)
        for d, n in zip(level.shift_dimensions, level.shift_replicas, strict=True)
    ]
    comparisons, plot_list = _fluctuation_comparisons(
        theory, scenario, predicted, wide, shifted, share
    )
    samples = {
        "dimensions (covariance)": list(level.wide_dimensions),
        "replicas (covariance)": list(level.wide_replicas),
        "dimensions (mean)": list(level.shift_dimensions),
        "replicas (mean)": list(level.shift_replicas),
        "time": time,
    }
    return Outcome(comparisons, samples, plot_list)


def _fluctuation_comparisons(
    theory: Theory,
    scenario: Scenario,
    predicted: xr.Dataset,
    wide: list[xr.Dataset],
    shifted: list[xr.Dataset],
    share: float,
) -> tuple[list[Comparison], list[Plot]]:
    names = [str(s) for s in theory.model.symbols.state]
    z = critical_value(len(upper_triangle(len(names))) + 3, share)
    curve, at = predicted.state.values, f"at t = {scenario.times[0]:g}"
    dimensions = _dimensions(wide)
    ends = [statistics_matrix(r)[:, -1] for r in wide]
    comparisons = _covariance_comparisons(
        names,
        predicted,
        ends,
        dimensions,
        z,
        f"{scenario.name}: ",
        at,
        "integration and quadrature (T2)",
    )
    spread = np.array([np.sqrt(v.var(axis=0, ddof=1).sum()) for v in ends])
    relative = np.array([1 / np.sqrt(2 * (len(v) - 1)) for v in ends])
    width = fit_exponent(dimensions, spread, relative)
    comparisons.append(
        Comparison(
            f"{scenario.name}: exponent of d in the standard deviation, "
            f"d = {dimensions.min():.0e} .. {dimensions.max():.0e}",
            width.slope,
            -0.5,
            Tolerance(
                (
                    Part(z * width.error, f"{z:.2f} standard errors (T3)"),
                    Part(
                        2.0 / dimensions.min(),
                        "O(1/d) correction of the variance, coefficient up to 2 (T4)",
                    ),
                )
            ),
            resolution=0.1,
        )
    )

    # mean - curve along Fisher's direction of the predicted shift, which no data choose
    sizes = _dimensions(shifted)
    shift = predicted.mean_shift.values
    direction = np.linalg.pinv(predicted.covariance.values, rcond=1e-6, hermitian=True) @ shift
    direction /= np.linalg.norm(direction)
    along = [(statistics_matrix(r)[:, -1] - curve) @ direction for r in shifted]
    bias, error = map(np.array, zip(*map(mean_and_error, along), strict=True))
    scaled = extrapolate(
        1 / sizes, sizes[:, None] * bias[:, None], sizes[:, None] * error[:, None], degree=1
    )
    expected = float(shift @ direction)
    comparisons.append(
        Comparison(
            f"{scenario.name}: d (mean - curve) {at} along the direction in which it shows best, d -> infinity",
            float(scaled.value[0]),
            expected,
            Tolerance(
                (
                    Part(z * float(scaled.error[0]), f"{z:.2f} standard errors (T3)"),
                    Part(float(scaled.remainder[0]), "next power of 1/d (T4)"),
                    Part(
                        float(predicted.mean_shift_error.values @ np.abs(direction)),
                        "integration and quadrature (T2)",
                    ),
                )
            ),
            resolution=0.5 * abs(expected),
        )
    )
    slope = fit_exponent(sizes, np.abs(bias), error / np.abs(bias))
    comparisons.append(
        Comparison(
            f"{scenario.name}: exponent of d in |mean - curve| along the same direction",
            slope.slope,
            -1.0,
            Tolerance(
                (
                    Part(z * slope.error, f"{z:.2f} standard errors (T3)"),
                    Part(
                        5.0 / sizes.min(),
                        "next power of 1/d, a coefficient up to 5 times the first (T4)",
                    ),
                )
            ),
            resolution=0.4,
        )
    )
    plot_list = [
        plots.exponent_plot(
            "fluctuation-chain",
            f"Fluctuation of the reduced chain about its mean, {scenario.name} scenario.",
            dimensions,
            spread,
            relative * spread,
            width,
            -0.5,
            "dimension d",
            "standard deviation of the statistics",
        ),
        plots.exponent_plot(
            "bias-chain",
            f"Deviation of the mean of the reduced chain from the curve, {scenario.name} scenario.",
            sizes,
            np.abs(bias),
            error,
            slope,
            -1.0,
            "dimension d",
            "|mean − curve|",
        ),
    ]
    return comparisons, plot_list


def _covariance_comparisons(
    names: list[str],
    predicted: xr.Dataset,
    ends: list[Array],
    dimensions: Array,
    z: float,
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
    products = [c[:, rows] * c[:, columns] * len(c) / (len(c) - 1) for c in centred]
    means, errors = zip(*map(mean_and_error, products), strict=True)
    limit = extrapolate(1 / dimensions, means, errors, degree=1)
    covariance, own = predicted.covariance.values, predicted.covariance_error.values
    return [
        Comparison(
            f"{before}covariance of sqrt(d) {names[i]} and sqrt(d) {names[j]} {at}, d -> infinity",
            float(limit.value[k]),
            float(covariance[i, j]),
            Tolerance(
                (
                    Part(z * float(limit.error[k]), f"{z:.2f} standard errors (T3)"),
                    Part(float(limit.remainder[k]), "next power of 1/d (T4)"),
                    *further,
                    Part(float(own[i, j]), computed),
                )
            ),
            resolution=0.5 * float(np.sqrt(covariance[i, i] * covariance[j, j])) + 1e-6,
        )
        for k, (i, j) in enumerate(pairs)
    ]


def _dimensions(runs: list[xr.Dataset]) -> Array:
    return np.array([r.attrs["dimension"] for r in runs], dtype=float)


def stationary(theory: Theory, evidence: Evidence, share: float) -> Outcome:
    """SGD stays at a stable fixed point, with the covariance that solves Lyapunov's equation."""
    level, model = evidence.level, theory.model
    weights = evidence.system.scenarios[0].parameters.weights
    parameters = Parameters(weights, 4.0, 0.5, 2.0)
    point = solve_fixed_point(model, parameters, drift=theory.drift)
    state = State(point.overlap.values, point.gram_perp.values)
    predicted = stationary_fluctuations(model, parameters, state, drift=theory.drift)
    slowest = -float(point.jacobian_eigenvalue_real.max())
    end = 4.0 / slowest  # exp(-8) = 3e-4 of the covariance is missing then
    scenario = Scenario("fixed point", parameters, state, (end,))
    runs = [
        evidence.chain_runs(scenario, end, d, n)
        for d, n in zip(level.settled_dimensions, level.settled_replicas, strict=True)
    ]
    names = [str(s) for s in model.symbols.state]
    z = critical_value(len(upper_triangle(len(names))) + len(names), share)
    dimensions = _dimensions(runs)
    ends = [statistics_matrix(r)[:, -1] for r in runs]
    means, errors = zip(*map(mean_and_error, ends), strict=True)
    rest = extrapolate(1 / dimensions, means, errors, degree=1)
    stays = [
        Comparison(
            f"mean of {name} after a long run from the fixed point, d -> infinity",
            float(rest.value[i]),
            float(predicted.state[i]),
            Tolerance(
                (
                    Part(z * float(rest.error[i]), f"{z:.2f} standard errors (T3)"),
                    Part(float(rest.remainder[i]), "next power of 1/d (T4)"),
                    Part(float(point.attrs["error_estimate"]), "solver of the fixed point (T2)"),
                )
            ),
            resolution=0.05,
        )
        for i, name in enumerate(names)
    ]
    missing = np.exp(-8.0) * float(np.abs(predicted.covariance.values).max())
    comparisons = _covariance_comparisons(
        names,
        predicted,
        ends,
        dimensions,
        z,
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
    return Outcome(stays + comparisons, samples)


def universality(theory: Theory, evidence: Evidence, share: float) -> Outcome:
    """Independent noise of another law has the same curves, unless weights or directions lie along
    coordinates.
    """
    scenario, level = evidence.system.scenarios[0], evidence.level
    time = scenario.times[0]
    curve = theory.curve(scenario)
    predicted = statistics_matrix(curve)[0]
    names = [str(s) for s in theory.model.symbols.state]
    z = critical_value(len(OTHER_NOISE) * len(names) + 1, share)
    comparisons = []
    for noise in OTHER_NOISE:
        runs = [
            evidence.runs(scenario, d, level.other_replicas, times=(time,), noise=noise)
            for d in level.other_dimensions
        ]
        means, errors = zip(
            *(mean_and_error(statistics_matrix(r)[:, -1]) for r in runs), strict=True
        )
        limit = extrapolate([1 / d for d in level.other_dimensions], means, errors, degree=1)
        comparisons += [
            Comparison(
                f"{scenario.name}, {noise} noise in a random frame: {name} at t = {time:g}, d -> infinity",
                float(limit.value[i]),
                float(predicted[i]),
                Tolerance(
                    (
                        Part(z * float(limit.error[i]), f"{z:.2f} standard errors (T3)"),
                        Part(float(limit.remainder[i]), "next power of 1/d (T4)"),
                        Part(curve.attrs["error_estimate"], "integration and quadrature (T2)"),
                    )
                ),
                resolution=0.05,
            )
            for i, name in enumerate(names)
        ]
    comparisons.append(_aligned_comparison(theory, evidence, _noisy(scenario), z))
    return Outcome(
        comparisons,
        {
            "dimensions": list(level.other_dimensions),
            "replicas": level.other_replicas,
            "samples along coordinates": level.aligned_replicas * ALIGNED_BATCH,
        },
    )


def _noisy(scenario: Scenario) -> Scenario:
    """The scenario with noise of standard deviation 2: pre-activations then reach where the loss is
    far from linear.
    """
    given = scenario.parameters
    parameters = Parameters(given.weights, 0.25, given.ridge, given.step, given.directions_gram)
    return replace(scenario, name=f"{scenario.name}, lambda = 1/4", parameters=parameters)


def _aligned_comparison(
    theory: Theory, evidence: Evidence, scenario: Scenario, z: float
) -> Comparison:
    """One step with Rademacher noise along coordinates, on the line from the Gaussian mean step to
    the exact one.

    At 0 the step would be that of the effective dynamics; at 1 it is the expectation over all signs
    of the noise.
    """
    model, parameters, state = theory.model, scenario.parameters, scenario.initial
    size = model.units * model.directions
    exact = _enumerated_step(theory, scenario)
    compiled = compile_expressions(model, theory.drift.vector)
    gaussian = compiled.estimate(parameters, state).values[:size]
    dimension = evidence.level.other_dimensions[0]
    delta = parameters.step / dimension
    runs = evidence.runs(
        scenario,
        dimension,
        evidence.level.aligned_replicas,
        times=(delta,),
        noise="rademacher",
        frame="coordinate",
        batch=ALIGNED_BATCH,
    )
    moved = (statistics_matrix(runs)[:, -1, :size] - state.overlap.ravel()) / delta
    line = exact - gaussian
    places = (moved - gaussian) @ line / (line @ line)
    mean, error = mean_and_error(places)
    return Comparison(
        f"{scenario.name}, Rademacher noise along coordinates: mean step of the overlaps, 0 for the effective dynamics "
        "and 1 for the sum over all signs",
        float(mean),
        1.0,
        Tolerance((Part(z * float(error), f"{z:.2f} standard errors (T3)"),)),
        resolution=0.5,
    )


def _enumerated_step(theory: Theory, scenario: Scenario) -> Array:
    """Exact mean step of the overlaps over delta, Rademacher noise on the coordinates of directions
    and weights.
    """
    model, parameters, state = theory.model, scenario.parameters, scenario.initial
    width = model.directions + model.units
    directions, x = realise_weights(model, parameters, state, width)
    signs = np.array(list(product((-1.0, 1.0), repeat=width))) / np.sqrt(parameters.precision)
    means = coordinates_of(model) @ directions
    gradient = compile_derivatives(model, "gradient")
    step = np.zeros((model.units, model.directions))
    for weight, label, mean in zip(parameters.weights, labels_of(model), means, strict=True):
        y = mean + signs
        g = gradient(np.full(len(y), label), x @ y.T, state.readout)[: model.units]
        step -= weight * (g @ (y @ directions.T)) / len(y)
    return np.asarray((step - parameters.ridge * state.overlap).ravel())


def _distribution_distance(left: Array, right: Array) -> float:
    """Largest difference of two empirical distribution functions."""
    both = np.sort(np.concatenate([left, right]))
    one, other = (np.searchsorted(np.sort(s), both, side="right") / s.size for s in (left, right))
    return float(np.abs(one - other).max())
