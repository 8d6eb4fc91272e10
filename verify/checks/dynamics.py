"""Checks of the effective dynamics against SGD: curves, risk, alignment; and of their formulas."""

from __future__ import annotations

from typing import Any

import numpy as np
import sympy as sp

from numerics import Parameters, State, compile_expressions, population_risk, solve_fixed_point
from numerics.expectations.compiled import SCRAMBLINGS
from numerics.expectations.quadrature import MISSED
from theory import derive_drift, symbols
from verify.evidence.evidence import Evidence
from verify.evidence.run_states import inverse_dimensions, statistics_matrix
from verify.evidence.systems import Scenario
from verify.verdict.compare import compare, compare_exponent, compare_limit
from verify.verdict.extrapolation import Extrapolation, extrapolate_means, fit_exponent
from verify.verdict.results import Outcome
from verify.verdict.tolerance import Chance, Part, critical_value

from .displays import curves_exhibit, risk_exhibit
from .exhibits import power_law
from .judged_theory import Theory

MEASURES = ("loss", "accuracy")
# where the exponent of the curve itself is looked at
ASYMPTOTIC_PRECISIONS = np.array([1e2, 1e3, 1e4])


def curves(theory: Theory, evidence: Evidence) -> Outcome:
    """Mean SGD trajectories, extrapolated to d -> infinity, follow the effective dynamics."""
    scenarios, comparisons = evidence.system.scenarios, []
    for scenario in scenarios:
        curve = theory.curve(scenario)
        predicted, runs = statistics_matrix(curve), evidence.curve_runs(scenario)
        limit = extrapolate_means(inverse_dimensions(runs), map(statistics_matrix, runs), degree=2)
        integration = Part(curve.attrs["error_estimate"], "integration and quadrature (T2)")
        comparisons += [
            compare_limit(
                f"{scenario.name}: {name} at t = {time:g}, d -> infinity",
                limit[t, i],
                predicted[t, i],
                integration,
                resolution=0.02,
                reason="{z:.2f} standard errors (Monte Carlo, T3)",
            )
            for t, time in enumerate(scenario.times)
            for i, name in enumerate(theory.statistic_names)
        ]
    exhibits = [curves_exhibit(s, theory, evidence) for s in scenarios]
    return Outcome(comparisons, run_sizes(evidence), exhibits)


def risk(theory: Theory, evidence: Evidence) -> Outcome:
    """Loss and accuracy of SGD on fresh data, d to infinity, are those of the effective
    dynamics.
    """
    scenarios, level, comparisons = evidence.system.scenarios, evidence.level, []
    for scenario in scenarios:
        curve = theory.curve(scenario)
        expected = population_risk(theory.model, scenario.parameters, curve)
        runs = [evidence.fresh_risk(scenario, d) for d in level.dimensions]
        # |grad ell| is about 1 at most, so the error of the curve moves the loss by about its own
        # size a statistic
        carried = float(np.sqrt(theory.model.units)) * float(curve.attrs["error_estimate"])
        for name in MEASURES:
            limit = extrapolate_means(
                [1 / d for d in level.dimensions], [r[name].values for r in runs]
            )
            own = expected[f"{name}_error"].values + carried
            comparisons += [
                compare_limit(
                    f"{scenario.name}: {name} on fresh data at t = {time:g}, d -> infinity",
                    limit[t],
                    expected[name][t],
                    Part(own[t], "quadrature and curve (T2)"),
                    resolution=0.03,
                    degrees=level.risk_replicas - 1,
                )
                for t, time in enumerate(scenario.times)
            ]
    samples = {
        "dimensions": list(level.dimensions),
        "replicas": level.risk_replicas,
        "fresh samples of each": level.risk_samples,
    }
    return Outcome(comparisons, samples, [risk_exhibit(s, theory, evidence) for s in scenarios])


def alignment(theory: Theory, evidence: Evidence) -> Outcome:
    """After burn-in x^a lies in the span of the means up to the misalignment the theory
    predicts.
    """
    comparisons = []
    for scenario in evidence.system.trained_at(evidence.system.precisions):
        curve = theory.curve(scenario)
        measured = _trained_misalignment(evidence, scenario)
        for a, predicted in enumerate(curve.misalignment.values[-1]):
            comparisons.append(
                compare(
                    f"{scenario.name}: |P_perp x^{a + 1}| / |x^{a + 1}| at t = "
                    f"{scenario.times[-1]:g}",
                    measured.value[a],
                    predicted,
                    Chance(float(measured.error[a])),
                    Part(
                        measured.remainder[a] + 0.02 * predicted,
                        "O(1/d^2): two dimensions fix the 1/d term only (T4)",
                    ),
                    Part(curve.attrs["error_estimate"], "integration (T2)"),
                    resolution=0.1 * predicted + 1e-3,
                )
            )
    return Outcome(comparisons, trained_samples(evidence))


def precision_exponents(theory: Theory, evidence: Evidence) -> Outcome:
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
    far = [predict(p) for p in ASYMPTOTIC_PRECISIONS]
    asymptotic = fit_exponent(ASYMPTOTIC_PRECISIONS[1:], far[1:], np.ones(2))
    bend = abs(fit_exponent(ASYMPTOTIC_PRECISIONS, far, np.ones(3)).curvature)
    # corrections: 1/lambda for a smooth loss; lambda^(-1/2) where units slide on a kink, told by
    # the bend of the curve
    if theory.model.loss.is_smooth:
        at, first = "O(1/lambda) at the smallest lambda", precisions.min()
        far_part = Part(1.0 / ASYMPTOTIC_PRECISIONS.min(), f"{at} (T4)")
        part = Part(1.0 / first, f"{at} = {first:g} (T4)")
    else:
        reason = "O(lambda^(-1/2)): what the curve's exponent still changes by (T4)"
        far_part, part = Part(bend, reason), Part(2 * bend, reason)
    law = "exponent of lambda in the misalignment"
    comparisons = [
        compare_exponent(
            f"{law}: SGD against the curve over the same lambda",
            slope,
            predicted.slope,
            Part(0.01, "O(1/d^2) of the extrapolated misalignment (T4)"),
            resolution=0.1,
        ),
        compare(
            f"{law}: curve, lambda = 1e3 .. 1e4", asymptotic.slope, -0.5, far_part, resolution=0.25
        ),
        compare_exponent(f"{law}: SGD against -1/2", slope, -0.5, part, resolution=0.4),
    ]
    exhibit = power_law(
        "misalignment",
        "Misalignment of the trained weights with the span of the means, SGD extrapolated "
        "to d → infinity, against the precision.",
        ("precision λ", precisions),
        ("‖P⊥x‖ / ‖x‖", values, values * relative),
        slope,
        -0.5,
    )
    return Outcome(comparisons, trained_samples(evidence), [exhibit])


def fixed_point(theory: Theory, evidence: Evidence) -> Outcome:
    """Fixed points of the dynamics approach the implicit noiseless form at the rate 1/lambda, and
    are stable.
    """
    model, implicit = theory.model, evidence.system.implicit
    assert implicit is not None  # the systems that name this check have it
    ridge, precisions = 0.1, np.array([100.0, 400.0, 1600.0])
    weights = evidence.system.scenarios[0].parameters.weights
    values: dict[sp.Symbol, object] = dict(
        zip(symbols.vector("p", weights.size, positive=True), weights.tolist(), strict=True)
    )
    values[symbols.RIDGE] = ridge
    noiseless = np.array(implicit.solve(values).tolist(), dtype=float)
    start = State(noiseless, np.zeros((model.units, model.units)))
    deviations, comparisons, errors = [], [], []
    for precision in precisions:
        parameters = Parameters(weights, precision, ridge, 1.0)
        point = solve_fixed_point(model, parameters, start, drift=theory.drift)
        deviations.append(float(np.abs(point.overlap.values - noiseless).max()))
        errors.append(float(point.attrs["error_estimate"]))
        comparisons.append(
            compare(
                f"lambda = {precision:g}: largest real part of the Jacobian's eigenvalues "
                "(stable: below 0)",
                point.jacobian_eigenvalue_real.max(),
                0.0,
                Part(1e-6, "central differences of the Jacobian (T2)"),
                one_sided=True,
            )
        )
    comparisons.append(
        compare(
            "exponent of lambda in |fixed point - noiseless closed form|",
            fit_exponent(precisions, deviations, np.ones(3)).slope,
            -1.0,
            Part(10.0 / precisions[0], "next power of 1/lambda (T4)"),
            Part(max(errors) / min(deviations), "solver error (T2)"),
            resolution=0.2,
        )
    )
    return Outcome(comparisons, {"precisions": precisions.tolist()})


def routes(theory: Theory, evidence: Evidence) -> Outcome:
    """The drift by Stein's lemma equals the drift by projection, which differentiates nothing."""
    smooth, comparisons = theory.model.loss.is_smooth, []
    # closed forms of both routes would be the same expression
    projected = derive_drift(theory.model, "projection")
    # the second by arrays: it is asked at a few states, for which no code need be compiled
    both = [
        compile_expressions(theory.model, vector, target, closed_forms=False)
        for vector, target in ((theory.drift.vector, "numba"), (projected.vector, "numpy"))
    ]
    reason = "quadrature of both routes (T2)"
    # errors of quasi-Monte Carlo are intervals of one number: what chance makes of a kink
    one_interval = critical_value(1, MISSED, SCRAMBLINGS - 1)
    for scenario in evidence.system.scenarios:
        left, right = (
            route.estimate(
                scenario.parameters, scenario.initial, tolerance=evidence.system.quadrature
            )
            for route in both
        )
        for i, name in enumerate(theory.statistic_names):
            error = float(left.errors[i] + right.errors[i])
            comparisons.append(
                compare(
                    f"{scenario.name}: drift of {name} at t = 0, two routes",
                    left.values[i],
                    right.values[i],
                    Part(error, reason)
                    if smooth
                    else Chance(error / one_interval, SCRAMBLINGS - 1, reason),
                    Part(1e-12, "rounding, about 1e3 sums of order 1 (T1)"),
                    resolution=1e-6 if smooth else 1e-3,
                )
            )
    return Outcome(comparisons, {})


def _trained_misalignment(evidence: Evidence, scenario: Scenario) -> Extrapolation:
    """Misalignment of every unit at the end of training, extrapolated to d -> infinity from two
    dimensions.
    """
    runs = evidence.trained_runs(scenario)
    squared = extrapolate_means(
        inverse_dimensions(runs), [r.misalignment.values[:, -1] ** 2 for r in runs]
    )
    value = np.sqrt(squared.value)
    # the square self-averages; its root follows by the delta method
    return Extrapolation(value, squared.error / (2 * value), 0.0 * value)


def run_sizes(evidence: Evidence) -> dict[str, Any]:
    """Sizes, fixed beforehand, of the runs that curves are compared with."""
    return {
        "dimensions": list(evidence.level.dimensions),
        "replicas": list(evidence.level.replicas),
    }


def trained_samples(evidence: Evidence) -> dict[str, Any]:
    """Sizes, fixed beforehand, of the runs past burn-in: d, replicas and precisions."""
    level = evidence.level
    return {
        "dimensions": [level.trained_dimension, 2 * level.trained_dimension],
        "replicas": level.trained_replicas,
        "precisions": list(evidence.system.precisions),
    }
