"""Checks of the law of SGD beyond its mean: the reduced chain, and noise that is not Gaussian."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from numerics import Parameters, compile_expressions, realise_weights
from numerics.core.geometry import coordinates_of, labels_of
from numerics.data.derivatives import compile_derivatives
from theory.symbols import upper_triangle
from verify.evidence.evidence import Evidence
from verify.evidence.run_states import inverse_dimensions, statistics_matrix
from verify.evidence.systems import Scenario
from verify.verdict.compare import compare, compare_limit
from verify.verdict.extrapolation import extrapolate_means, mean_and_error
from verify.verdict.results import Outcome
from verify.verdict.tolerance import Chance, Comparison, Part

from .judged_theory import Theory

Array = np.ndarray
# noise of finite variance that is as far from Gaussian as there is: kurtosis 1, and 9
OTHER_NOISE = ("rademacher", "student:5")
# samples in the single steps with noise along coordinates
ALIGNED_BATCH = 256
# error asked of the step that they are compared with: thousands of times below their own
STEP_TOLERANCE = 1e-5


@dataclass(frozen=True)
class _SupremumChance(Chance):
    """Chance in the largest difference of two empirical distribution functions.

    P(sup |F_m - F_n| > c sqrt((m + n) / (m n))) <= 2 exp(-2 c^2): the exact law is below that
    bound (Massart 1990); ``error`` is the square root in it.
    """

    def critical_value(self, count: int, share: float) -> float:
        return float(np.sqrt(-0.5 * np.log(share / count / 2)))


def chain(theory: Theory, evidence: Evidence) -> Outcome:
    """The reduced chain has the law of SGD in d dimensions: means, covariances and distributions
    agree.
    """
    scenario, names = evidence.system.scenarios[0], theory.statistic_names
    direct = evidence.curve_runs(scenario)[0]
    d, count = direct.attrs["dimension"], direct.sizes["replica"]
    reduced = evidence.runs(scenario, d, count, method="reduced")
    left, right = (statistics_matrix(runs)[:, -1] for runs in (direct, reduced))
    spread, middle = left.std(axis=0), (left.mean(axis=0) + right.mean(axis=0)) / 2
    time = f"at t = {scenario.times[-1]:g}, d = {d}"

    def mean_comparison(what: str, a: Array, b: Array, resolution: float) -> Comparison:
        (one, one_error), (other, other_error) = mean_and_error(a), mean_and_error(b)
        return compare(
            f"{scenario.name}: {what} {time}, chain against direct",
            other,
            one,
            Chance(
                float(np.hypot(one_error, other_error)),
                reason="{z:.2f} standard errors of the difference (T3)",
            ),
            Part(1e-12, "rounding, for what a symmetry fixes (T1)"),
            resolution=resolution + 1e-9,
        )

    means = [
        mean_comparison(f"mean of {name}", left[:, i], right[:, i], 0.2 * spread[i])
        for i, name in enumerate(names)
    ]
    covariances = [
        mean_comparison(
            f"covariance of {names[i]} and {names[j]}",
            (left - middle)[:, i] * (left - middle)[:, j],
            (right - middle)[:, i] * (right - middle)[:, j],
            0.4 * spread[i] * spread[j],
        )
        for i, j in upper_triangle(len(names))
    ]
    chance = _SupremumChance(
        float(np.sqrt(2 / count)), reason="Kolmogorov-Smirnov, Massart's bound (T3)"
    )
    distributions = [
        compare(
            f"{scenario.name}: largest difference of the distribution functions of {name} {time}",
            _distribution_distance(left[:, i], right[:, i]),
            0.0,
            chance,
            resolution=0.1,
        )
        for i, name in enumerate(names)
    ]
    return Outcome(
        [*means, *covariances, *distributions], {"dimension": d, "replicas of each": count}
    )


def universality(theory: Theory, evidence: Evidence) -> Outcome:
    """Independent noise of another law has the same curves, unless weights or directions lie along
    coordinates.
    """
    scenario, level = evidence.system.scenarios[0], evidence.level
    time = scenario.times[0]
    curve = theory.curve(scenario)
    predicted = statistics_matrix(curve)[0]
    comparisons = []
    for noise in OTHER_NOISE:
        runs = [
            evidence.runs(scenario, d, level.other_replicas, times=(time,), noise=noise)
            for d in level.other_dimensions
        ]
        limit = extrapolate_means(
            inverse_dimensions(runs), [statistics_matrix(r)[:, -1] for r in runs]
        )
        comparisons += [
            compare_limit(
                f"{scenario.name}, {noise} noise in a random frame: {name} at t = {time:g}, d "
                "-> infinity",
                limit[i],
                predicted[i],
                Part(curve.attrs["error_estimate"], "integration and quadrature (T2)"),
                resolution=0.05,
            )
            for i, name in enumerate(theory.statistic_names)
        ]
    comparisons.append(_aligned_comparison(theory, evidence, _noisy(scenario)))
    samples = {
        "dimensions": list(level.other_dimensions),
        "replicas": level.other_replicas,
        "samples along coordinates": level.aligned_replicas * ALIGNED_BATCH,
    }
    return Outcome(comparisons, samples)


def _noisy(scenario: Scenario) -> Scenario:
    """The scenario with noise of standard deviation 2: pre-activations then reach where the loss is
    far from linear.
    """
    quiet = scenario.parameters
    parameters = Parameters(quiet.weights, 0.25, quiet.ridge, quiet.step, quiet.directions_gram)
    return replace(scenario, name=f"{scenario.name}, lambda = 1/4", parameters=parameters)


def _aligned_comparison(theory: Theory, evidence: Evidence, scenario: Scenario) -> Comparison:
    """One step with Rademacher noise along coordinates, on the line from the Gaussian mean step to
    the exact one.

    At 0 the step would be that of the effective dynamics; at 1 it is the expectation over all signs
    of the noise.
    """
    model, parameters, state = theory.model, scenario.parameters, scenario.initial
    size = model.units * model.directions
    exact = _enumerated_step(theory, scenario)
    compiled = compile_expressions(model, theory.drift.vector)
    gaussian = compiled.estimate(parameters, state, tolerance=STEP_TOLERANCE).values[:size]
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
    mean, error = mean_and_error((moved - gaussian) @ line / (line @ line))
    return compare(
        f"{scenario.name}, Rademacher noise along coordinates: mean step of the overlaps, "
        "0 for the effective dynamics and 1 for the sum over all signs",
        mean,
        1.0,
        Chance(float(error)),
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
    rows = np.concatenate([x, directions[list(model.loss.teachers)]])
    step = np.zeros((model.units, model.directions))
    for weight, label, mean in zip(parameters.weights, labels_of(model), means, strict=True):
        y = mean + signs
        g = gradient(np.full(len(y), label), rows @ y.T, state.readout)[: model.units]
        step -= weight * (g @ (y @ directions.T)) / len(y)
    return np.asarray((step - parameters.ridge * state.overlap).ravel())


def _distribution_distance(left: Array, right: Array) -> float:
    """Largest difference of two empirical distribution functions."""
    both = np.sort(np.concatenate([left, right]))
    one, other = (np.searchsorted(np.sort(s), both, side="right") / s.size for s in (left, right))
    return float(np.abs(one - other).max())
