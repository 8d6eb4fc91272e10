"""Checks of the effective dynamics against SGD: curves, finite-size exponents, alignment, precision
exponents.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import sympy as sp

from numerics import Parameters, State, compile_expressions, solve_fixed_point
from numerics.expectations.compiled import SCRAMBLINGS
from theory import derive_drift, symbols
from verify.evidence.evidence import Evidence
from verify.evidence.run_states import statistics_matrix
from verify.evidence.systems import Scenario
from verify.figures import of_checks as plots
from verify.verdict.extrapolation import Extrapolation, extrapolate, fit_exponent, mean_and_error
from verify.verdict.results import Outcome
from verify.verdict.tolerance import Comparison, Part, Tolerance, critical_value

from .judged_theory import Theory

# every so many replicas choose the direction in which the bias is measured on the others
CHOOSING = 4


def curves(theory: Theory, evidence: Evidence, share: float) -> Outcome:
    """Mean SGD trajectories, extrapolated to d -> infinity, follow the effective dynamics."""
    comparisons, plot_list = [], []
    scenarios = evidence.system.scenarios
    names = [str(s) for s in theory.model.symbols.state]
    count = sum(len(s.times) for s in scenarios) * len(names)
    z = critical_value(count, share)
    for scenario in scenarios:
        curve = theory.curve(scenario)
        predicted = statistics_matrix(curve)
        runs = evidence.curve_runs(scenario)
        means, errors = zip(*(mean_and_error(statistics_matrix(r)) for r in runs), strict=True)
        x = [1 / r.attrs["dimension"] for r in runs]
        limit = extrapolate(x, means, errors, degree=2)
        for t, time in enumerate(scenario.times):
            for i, name in enumerate(names):
                comparisons.append(
                    Comparison(
                        f"{scenario.name}: {name} at t = {time:g}, d -> infinity",
                        float(limit.value[t, i]),
                        float(predicted[t, i]),
                        Tolerance(
                            (
                                Part(
                                    z * float(limit.error[t, i]),
                                    f"{z:.2f} standard errors (Monte Carlo, T3)",
                                ),
                                Part(float(limit.remainder[t, i]), "next power of 1/d (T4)"),
                                Part(
                                    curve.attrs["error_estimate"], "integration and quadrature (T2)"
                                ),
                            )
                        ),
                        resolution=0.02,
                    )
                )
        plot_list.append(plots.curves_plot(scenario, theory, evidence))
    samples = {
        "dimensions": list(evidence.level.dimensions),
        "replicas": list(evidence.level.replicas),
    }
    return Outcome(comparisons, samples, plot_list)


def finite_size(theory: Theory, evidence: Evidence, share: float) -> Outcome:
    """At finite d the mean of SGD is off its curve by O(1/d), and fluctuates around it by O(1/sqrt
    d).
    """
    comparisons = []
    scenarios = evidence.system.scenarios
    z = critical_value(2 * len(scenarios), share)
    plot_list = []
    for scenario in scenarios:
        predicted = statistics_matrix(theory.curve(scenario))[-1]
        runs = evidence.curve_runs(scenario)
        dimensions = np.array([r.attrs["dimension"] for r in runs], dtype=float)
        values = [statistics_matrix(r)[:, -1] - predicted for r in runs]
        direction = _biased_direction(values[0])
        # the replicas that chose the direction do not judge it
        judging = np.arange(len(values[0])) % CHOOSING != 0
        projected = [values[0][judging] @ direction, *(v @ direction for v in values[1:])]
        bias, error = map(np.array, zip(*(mean_and_error(t) for t in projected), strict=True))
        slope = fit_exponent(dimensions, np.abs(bias), error / np.abs(bias))
        comparisons.append(
            Comparison(
                f"{scenario.name}: exponent of d in |mean - curve| along its largest part",
                slope.slope,
                -1.0,
                Tolerance(
                    (
                        Part(z * slope.error, f"{z:.2f} standard errors (T3)"),
                        Part(
                            5.0 / dimensions.min(),
                            "next power of 1/d, a coefficient up to 5 times the first (T4)",
                        ),
                    )
                ),
                resolution=0.4,
            )
        )
        spread = np.array([np.sqrt(v.var(axis=0, ddof=1).sum()) for v in values])
        # relative error of a pooled standard deviation, bounded by that of a single one
        relative = np.array([1 / np.sqrt(2 * (v.shape[0] - 1)) for v in values])
        fluctuation = fit_exponent(dimensions, spread, relative)
        comparisons.append(
            Comparison(
                f"{scenario.name}: exponent of d in the standard deviation of the statistics",
                fluctuation.slope,
                -0.5,
                Tolerance(
                    (
                        Part(z * fluctuation.error, f"{z:.2f} standard errors (T3)"),
                        Part(
                            2.0 / dimensions.min(),
                            "O(1/d) correction of the variance, coefficient up to 2 (T4)",
                        ),
                    )
                ),
                resolution=0.2,
            )
        )
        plot_list += [
            plots.exponent_plot(
                f"bias-{scenario.name}",
                f"Deviation of the mean of SGD from the curve, {scenario.name} scenario.",
                dimensions,
                np.abs(bias),
                error,
                slope,
                -1.0,
                "dimension d",
                "|mean − curve|",
            ),
            plots.exponent_plot(
                f"fluctuation-{scenario.name}",
                f"Fluctuation of SGD around its mean, {scenario.name} scenario.",
                dimensions,
                spread,
                relative * spread,
                fluctuation,
                -0.5,
                "dimension d",
                "standard deviation of the statistics",
            ),
        ]
    return Outcome(
        comparisons,
        {"dimensions": list(evidence.level.dimensions), "replicas": list(evidence.level.replicas)},
        plot_list,
    )


def alignment(theory: Theory, evidence: Evidence, share: float) -> Outcome:
    """After burn-in x^a lies in the span of the means up to the misalignment the theory predicts."""
    scenarios = [
        s for precision in evidence.system.precisions for s in evidence.system.trained(precision)
    ]
    units = theory.model.units
    z = critical_value(units * len(scenarios), share)
    comparisons = []
    for scenario in scenarios:
        curve = theory.curve(scenario)
        measured = _trained_misalignment(evidence, scenario)
        predicted = curve.misalignment.values[-1]
        for a in range(units):
            comparisons.append(
                Comparison(
                    f"{scenario.name}: |P_perp x^{a + 1}| / |x^{a + 1}| at t = {scenario.times[-1]:g}",
                    float(measured.value[a]),
                    float(predicted[a]),
                    Tolerance(
                        (
                            Part(z * float(measured.error[a]), f"{z:.2f} standard errors (T3)"),
                            Part(
                                float(measured.remainder[a]) + 0.02 * float(predicted[a]),
                                "O(1/d^2): two dimensions fix the 1/d term only (T4)",
                            ),
                            Part(curve.attrs["error_estimate"], "integration (T2)"),
                        )
                    ),
                    resolution=0.1 * float(predicted[a]) + 1e-3,
                )
            )
    return Outcome(comparisons, trained_samples(evidence))


def precision_exponents(theory: Theory, evidence: Evidence, share: float) -> Outcome:
    """The misalignment falls like lambda^(-1/2) for c_delta > 0: measured, not assumed."""
    system = evidence.system
    precisions = np.array(system.precisions)
    measured = [[_trained_misalignment(evidence, s) for s in system.trained(p)] for p in precisions]
    values = np.array([np.sqrt(np.mean([np.mean(m.value**2) for m in each])) for each in measured])
    # the misalignments of the units of one run are correlated; adding their errors linearly is safe
    relative = np.array([np.mean([np.mean(m.error) for m in each]) for each in measured]) / values
    slope = fit_exponent(precisions, values, relative)

    def predict(precision: float) -> float:
        squares = [
            np.mean(theory.curve(s).misalignment.values[-1] ** 2) for s in system.trained(precision)
        ]
        return float(np.sqrt(np.mean(squares)))

    predicted = fit_exponent(precisions, [predict(p) for p in precisions], relative)
    asymptotic_precisions = np.array([1e2, 1e3, 1e4])
    far = [predict(p) for p in asymptotic_precisions]
    asymptotic = fit_exponent(asymptotic_precisions[1:], far[1:], np.ones(2))
    bend = fit_exponent(asymptotic_precisions, far, np.ones(3)).curvature
    z = critical_value(1, share)
    # corrections: 1/lambda for a smooth loss; lambda^(-1/2) where units slide on a kink, told by
    # the bend of the curve
    if theory.model.loss.is_smooth:
        asymptotic_part = Part(
            1.0 / asymptotic_precisions.min(), "O(1/lambda) at the smallest lambda (T4)"
        )
        part = Part(
            1.0 / precisions.min(),
            f"O(1/lambda) at the smallest lambda = {precisions.min():g} (T4)",
        )
    else:
        reason = "O(lambda^(-1/2)): what the curve's exponent still changes by (T4)"
        asymptotic_part, part = Part(abs(bend), reason), Part(2 * abs(bend), reason)
    comparisons = [
        Comparison(
            "exponent of lambda in the misalignment: SGD against the curve over the same lambda",
            slope.slope,
            predicted.slope,
            Tolerance(
                (
                    Part(z * slope.error, f"{z:.2f} standard errors (T3)"),
                    Part(0.01, "O(1/d^2) of the extrapolated misalignment (T4)"),
                )
            ),
            resolution=0.1,
        ),
        Comparison(
            "exponent of lambda in the misalignment: curve, lambda = 1e3 .. 1e4",
            asymptotic.slope,
            -0.5,
            Tolerance((asymptotic_part,)),
            resolution=0.25,
        ),
        Comparison(
            "exponent of lambda in the misalignment: SGD against -1/2",
            slope.slope,
            -0.5,
            Tolerance((Part(z * slope.error, f"{z:.2f} standard errors (T3)"), part)),
            resolution=0.4,
        ),
    ]
    return Outcome(
        comparisons,
        trained_samples(evidence),
        [
            plots.exponent_plot(
                "misalignment",
                "Misalignment of the trained weights with the span of the means, SGD extrapolated "
                "to d → infinity, against the precision.",
                precisions,
                values,
                values * relative,
                slope,
                -0.5,
                "precision λ",
                "‖P⊥x‖ / ‖x‖",
            )
        ],
    )


def fixed_point(theory: Theory, evidence: Evidence, share: float) -> Outcome:
    """Fixed points of the dynamics approach the implicit noiseless form at the rate 1/lambda, and
    are stable.
    """
    model = theory.model
    k, implicit = model.units, evidence.system.implicit
    assert implicit is not None  # the systems that name this check have it
    ridge, precisions = 0.1, np.array([100.0, 400.0, 1600.0])
    weights = evidence.system.scenarios[0].parameters.weights
    values: dict[sp.Symbol, object] = dict(
        zip(symbols.vector("p", weights.size, positive=True), weights.tolist(), strict=True)
    )
    values[symbols.RIDGE] = ridge
    noiseless = np.array(implicit.solve(values).tolist(), dtype=float)
    deviations, comparisons, errors = [], [], []
    for precision in precisions:
        parameters = Parameters(weights, precision, ridge, 1.0)
        point = solve_fixed_point(
            model, parameters, State(noiseless, np.zeros((k, k))), drift=theory.drift
        )
        deviations.append(float(np.abs(point.overlap.values - noiseless).max()))
        errors.append(float(point.attrs["error_estimate"]))
        comparisons.append(
            Comparison(
                f"lambda = {precision:g}: largest real part of the Jacobian's eigenvalues (stable: below 0)",
                float(point.jacobian_eigenvalue_real.max()),
                0.0,
                Tolerance((Part(1e-6, "central differences of the Jacobian (T2)"),)),
                one_sided=True,
            )
        )
    slope = fit_exponent(precisions, deviations, np.ones(3))
    comparisons.append(
        Comparison(
            "exponent of lambda in |fixed point - noiseless closed form|",
            slope.slope,
            -1.0,
            Tolerance(
                (
                    Part(10.0 / precisions[0], "next power of 1/lambda (T4)"),
                    Part(max(errors) / min(deviations), "solver error (T2)"),
                )
            ),
            resolution=0.2,
        )
    )
    return Outcome(comparisons, {"precisions": precisions.tolist()}, [])


def routes(theory: Theory, evidence: Evidence, share: float) -> Outcome:
    """The drift by Stein's lemma equals the drift by projection, which differentiates nothing."""
    comparisons = []
    smooth, count = (
        theory.model.loss.is_smooth,
        len(theory.drift.vector) * len(evidence.system.scenarios),
    )
    # errors of quasi-Monte Carlo are 99 % intervals of one number; all of them together need wider
    # ones
    widen = (
        1.0
        if smooth
        else critical_value(count, share, SCRAMBLINGS - 1)
        / critical_value(1, 0.01, SCRAMBLINGS - 1)
    )
    other = compile_expressions(theory.model, derive_drift(theory.model, "projection").vector)
    own = compile_expressions(theory.model, theory.drift.vector)
    names = [str(s) for s in theory.model.symbols.state]
    for scenario in evidence.system.scenarios:
        left = own.estimate(
            scenario.parameters, scenario.initial, tolerance=evidence.system.quadrature
        )
        right = other.estimate(
            scenario.parameters, scenario.initial, tolerance=evidence.system.quadrature
        )
        for i, name in enumerate(names):
            comparisons.append(
                Comparison(
                    f"{scenario.name}: drift of {name} at t = 0, two routes",
                    float(left.values[i]),
                    float(right.values[i]),
                    Tolerance(
                        (
                            Part(
                                widen * float(left.errors[i] + right.errors[i]),
                                "quadrature of both routes (T2)",
                            ),
                            Part(1e-12, "rounding, about 1e3 sums of order 1 (T1)"),
                        )
                    ),
                    resolution=1e-6 if smooth else 1e-3,
                )
            )
    return Outcome(comparisons, {}, [])


def _biased_direction(values: np.ndarray) -> np.ndarray:
    """Unit vector of the statistics along which their mean is off most clearly, from every fourth
    replica.

    Fisher's discriminant, covariance^+ mean; statistics without fluctuation (a symmetry fixes them)
    drop out.
    """
    chosen = values[::CHOOSING]
    direction = np.linalg.pinv(np.cov(chosen.T), rcond=1e-8, hermitian=True) @ chosen.mean(axis=0)
    return np.asarray(direction / np.linalg.norm(direction))


def _trained_misalignment(evidence: Evidence, scenario: Scenario) -> Extrapolation:
    """Misalignment of every unit at the end of training, extrapolated to d -> infinity from two
    dimensions.
    """
    runs = evidence.trained_runs(scenario)
    moments = [mean_and_error(r.misalignment.values[:, -1] ** 2) for r in runs]
    means, errors = zip(*moments, strict=True)
    squared = extrapolate([1 / r.attrs["dimension"] for r in runs], means, errors, degree=1)
    value = np.sqrt(squared.value)
    # the square self-averages; its root follows by the delta method
    return Extrapolation(value, squared.error / (2 * value), 0.0 * value)


def trained_samples(evidence: Evidence) -> dict[str, Any]:
    """Sample sizes, fixed beforehand, of the checks that look at trained states: d, replicas and
    precisions.
    """
    level = evidence.level
    return {
        "dimensions": [level.trained_dimension, 2 * level.trained_dimension],
        "replicas": level.trained_replicas,
        "precisions": list(evidence.system.precisions),
    }
