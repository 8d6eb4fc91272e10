"""Checks of population Hessian and G against empirical ones: span, eigenspaces, concentration."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
import xarray as xr

from numerics import State, population_block, population_spectrum
from numerics.spectra.span_matrix import SpanMatrix
from verify.evidence.evidence import Evidence
from verify.evidence.systems import Scenario
from verify.figures import of_checks as plots
from verify.verdict.extrapolation import extrapolate, fit_exponent, mean_and_error
from verify.verdict.results import Outcome
from verify.verdict.tolerance import Comparison, Part, Tolerance, critical_value

from .judged_theory import Theory

MATRICES = ("hessian", "gradient")


def span(theory: Theory, evidence: Evidence, share: float) -> Outcome:
    """Diagonal blocks live in the span of the means up to a term of order 1/lambda: the bulk."""
    precisions = np.array(evidence.system.precisions)
    comparisons, plot_list = [], []
    units = range(theory.model.units)
    kinds = len(evidence.system.trained(precisions[0]))
    z = critical_value(2 * len(precisions) * kinds * theory.model.units + 4, share)
    for matrix in MATRICES:
        measured, errors, predicted = (
            np.empty((precisions.size, kinds * len(units))) for _ in range(3)
        )
        for i, precision in enumerate(precisions):
            for s, a in product(range(kinds), units):
                scenario = evidence.system.trained(float(precision))[s]
                state = evidence.trained_state(scenario, 0)
                data = evidence.projection(scenario, state, matrix, f"trained {precision:g}")
                j = s * len(units) + a
                small = population_block(
                    theory.model,
                    scenario.parameters,
                    state,
                    matrix=matrix,
                    block=(a, a),
                    blocks=theory.blocks(matrix),
                    tolerance=evidence.system.quadrature,
                )
                predicted[i, j] = small.misalignment
                measured[i, j], errors[i, j] = _measured_misalignment(small, data, a)
                comparisons.append(
                    Comparison(
                        f"{scenario.name}: |P_perp M| / |M| of {matrix} block ({a + 1}, {a + 1})",
                        measured[i, j],
                        predicted[i, j],
                        Tolerance(
                            (
                                Part(z * errors[i, j], f"{z:.2f} standard errors, norm bound (T3)"),
                                Part(small.misalignment_error, "quadrature (T2)"),
                            )
                        ),
                        resolution=0.1 * predicted[i, j] + 0.01,
                    )
                )
        mean, error = measured.mean(axis=1), errors.mean(axis=1)
        fit = fit_exponent(precisions, mean, error / mean)
        expected = fit_exponent(precisions, predicted.mean(axis=1), error / mean)
        comparisons += [
            Comparison(
                f"exponent of lambda in |P_perp M| / |M|, {matrix}: data against theory at the same lambda",
                fit.slope,
                expected.slope,
                Tolerance((Part(z * fit.error, f"{z:.2f} standard errors (T3)"),)),
                resolution=0.25,
            ),
            Comparison(
                f"exponent of lambda in |P_perp M| / |M|, {matrix}: data against -1",
                fit.slope,
                -1.0,
                Tolerance(
                    (
                        Part(z * fit.error, f"{z:.2f} standard errors (T3)"),
                        Part(
                            abs(expected.curvature) / 2 + 1 / precisions.min(),
                            "next power of 1/lambda: half the bend of the predicted line, and 1/lambda_min (T4)",
                        ),
                    )
                ),
                resolution=0.5,
            ),
        ]
        plot_list.append(
            plots.exponent_plot(
                f"span-{matrix}",
                f"Share of the diagonal {plots.TITLES[matrix]} blocks outside the span of the means, against the"
                " precision.",
                precisions,
                mean,
                error,
                fit,
                -1.0,
                "precision λ",
                "‖P⊥M‖ / ‖M‖",
            )
        )
    return Outcome(
        comparisons,
        {"test_points": evidence.level.test_points, "precisions": precisions.tolist()},
        plot_list,
    )


def eigenspaces(theory: Theory, evidence: Evidence, share: float) -> Outcome:
    """The top-k eigenspaces of the (a, a) blocks align with x^a and with the span of the means."""
    scenarios = [
        s
        for precision in evidence.system.precisions[:2]
        for s in evidence.system.trained(precision)
    ]
    dimensions = evidence.level.spectrum_dimensions
    comparisons = []
    first = {s.name for s in evidence.system.trained(evidence.system.precisions[0])}
    count = len(scenarios) * len(dimensions) * len(MATRICES) * 2
    z = critical_value(count, share, _replicas(evidence) - 1)
    for scenario in scenarios:
        expected = _expected(theory, evidence, scenario, ("share", "angle"))
        # the dimension matters little once M/d -> infinity: one comparison of two dimensions says
        # so
        for d in dimensions if scenario.name in first else dimensions[-1:]:
            paired = _paired(evidence, scenario, d, expected)
            for matrix in MATRICES:
                where = f"{scenario.name}, d = {d}, {matrix}"
                comparisons += [
                    paired.comparison(
                        matrix,
                        "share",
                        z,
                        0.02,
                        f"{where}: share of x^a in the top eigenspace of block (a, a), M/d -> infinity",
                    ),
                    paired.comparison(
                        matrix,
                        "angle",
                        z,
                        0.02,
                        f"{where}: sin^2 of the largest angle between top eigenspace and means, M/d -> infinity",
                    ),
                ]
    plot_list = [plots.share_plot(theory, evidence), *plots.heatmap_plots(theory, evidence)]
    return Outcome(comparisons, spectrum_samples(evidence), plot_list)


def top_vector(theory: Theory, evidence: Evidence, share: float) -> Outcome:
    """For orthonormal means the (a, a) block has its top eigenvector near mu_a."""
    scenarios = [
        s
        for precision in evidence.system.precisions[:2]
        for s in evidence.system.trained(precision)
    ]
    d = evidence.level.spectrum_dimensions[-1]
    z = critical_value(len(scenarios) * len(MATRICES), share, _replicas(evidence) - 1)
    comparisons = []
    for scenario in scenarios:
        paired = _paired(evidence, scenario, d, _expected(theory, evidence, scenario, ("top",)))
        comparisons += [
            paired.comparison(
                matrix,
                "top",
                z,
                0.02,
                f"{scenario.name}: squared cosine of the top {matrix} eigenvector of (a, a) with mean a",
            )
            for matrix in MATRICES
        ]
    return Outcome(comparisons, spectrum_samples(evidence))


@dataclass(frozen=True)
class _Expected:
    """Population values at the trained weights of every replica, averaged over units.

    ``values[matrix][name]`` has shape (replica,); ``error[matrix]`` is the error of the population
    eigenspaces.
    """

    values: dict[str, dict[str, np.ndarray]]
    error: dict[str, float]


@dataclass(frozen=True)
class _Paired:
    """Empirical minus population values at the same trained weights, averaged over units.

    ``difference[matrix][name]`` has shape (replica, M/d).
    """

    aspects: tuple[int, ...]
    difference: dict[str, dict[str, np.ndarray]]
    expected: _Expected

    def comparison(
        self, matrix: str, name: str, z: float, resolution: float, quantity: str
    ) -> Comparison:
        mean, error = mean_and_error(self.difference[matrix][name])
        x = [1 / aspect for aspect in self.aspects]
        limit = extrapolate(x, mean[:, None], error[:, None], degree=2)
        predicted = float(self.expected.values[matrix][name].mean())
        return Comparison(
            f"{quantity} (mean over a)",
            predicted + float(limit.value[0]),
            predicted,
            Tolerance(
                (
                    Part(z * float(limit.error[0]), f"{z:.2f} standard errors, Student (T3)"),
                    Part(float(limit.remainder[0]) + 1e-6, "next power of d/M (T4)"),
                    # all measures are squares: they move by at most twice the sine of the angle
                    Part(
                        2 * self.expected.error[matrix],
                        "quadrature of the population eigenspace (T2)",
                    ),
                )
            ),
            resolution=resolution,
        )


def _replicas(evidence: Evidence) -> int:
    """Replicas whose trained weights are compared."""
    return max(2, int(evidence.system.replica_share * evidence.level.spectrum_replicas))


def _expected(
    theory: Theory, evidence: Evidence, scenario: Scenario, names: tuple[str, ...]
) -> _Expected:
    replicas, units = _replicas(evidence), range(theory.model.units)
    values = {m: {n: np.zeros(replicas) for n in names} for m in MATRICES}
    error = dict.fromkeys(MATRICES, 0.0)
    for replica in range(replicas):
        state = evidence.trained_state(scenario, replica)
        for m in MATRICES:
            population = [
                _population(theory, scenario, state, m, a, evidence.system.quadrature)
                for a in units
            ]
            error[m] += np.mean([p.attrs["top_eigenspace_error"] for p in population]) / replicas
            for name in names:
                values[m][name][replica] = np.mean(
                    [_MEASURES[name](p, a) for a, p in enumerate(population)]
                )
    return _Expected(values, error)


def _paired(evidence: Evidence, scenario: Scenario, dimension: int, expected: _Expected) -> _Paired:
    replicas, aspects = _replicas(evidence), evidence.level.aspects
    units = range(evidence.system.model.units)
    difference = {
        m: {n: np.zeros((replicas, len(aspects))) for n in expected.values[m]} for m in MATRICES
    }
    for replica in range(replicas):
        state = evidence.trained_state(scenario, replica)
        for i, aspect in enumerate(aspects):
            for m in MATRICES:
                spectra = [
                    evidence.spectrum(
                        scenario, state, m, a, dimension, aspect, f"replica {replica}"
                    )
                    for a in units
                ]
                for name, values in difference[m].items():
                    found = np.mean([_MEASURES[name](s, a) for a, s in enumerate(spectra)])
                    values[replica, i] = found - expected.values[m][name][replica]
    return _Paired(aspects, difference, expected)


# what a spectrum of block (a, a) says of alignment, as numbers in [0, 1]
_MEASURES: dict[str, Callable[[xr.Dataset, int], float]] = {
    "share": lambda s, a: float(s.unit_share.values[a]),
    "angle": lambda s, a: float(np.sin(s.principal_angle.values.max()) ** 2),
    "top": lambda s, a: float(s.mean_overlap.values[0, a]),
}


def concentration(theory: Theory, evidence: Evidence, share: float) -> Outcome:
    """Empirical blocks approach the population ones in operator norm like (M/d)^(-1/2)."""
    scenario = evidence.system.trained(evidence.system.precisions[0])[0]
    state = evidence.trained_state(scenario, 0)
    comparisons, plot_list = [], []
    aspects = np.array(evidence.level.aspects, dtype=float)
    replicas = 2 * evidence.level.spectrum_replicas  # a norm each: cheap
    z = critical_value(len(MATRICES), share, replicas - 1)
    d = evidence.level.spectrum_dimensions[-1]
    for matrix in MATRICES:
        small = population_block(
            theory.model,
            scenario.parameters,
            state,
            matrix=matrix,
            block=(0, 0),
            blocks=theory.blocks(matrix),
        )
        distances = np.array(
            [
                [
                    evidence.distance(scenario, state, small, d, int(aspect), f"replica {replica}")
                    for replica in range(replicas)
                ]
                for aspect in aspects
            ]
        )
        mean, error = mean_and_error(distances, axis=1)
        fit = fit_exponent(aspects, mean, error / mean)
        comparisons.append(
            Comparison(
                f"{matrix} block (1, 1): exponent of M/d in |empirical - population|",
                fit.slope,
                -0.5,
                Tolerance(
                    (
                        Part(z * fit.error, f"{z:.2f} standard errors, Student (T3)"),
                        Part(
                            0.5 / np.sqrt(aspects.min()),
                            "quadratic term of sample covariance: 2 phi^(-1/2) + phi^(-1) bends the line (T4)",
                        ),
                    )
                ),
                resolution=0.2,
            )
        )
        plot_list.append(
            plots.exponent_plot(
                f"concentration-{matrix}",
                f"Distance of the empirical {plots.TITLES[matrix]} block from its population value against M/d.",
                aspects,
                mean,
                error,
                fit,
                -0.5,
                "test points per dimension M/d",
                "‖empirical − population‖",
            )
        )
    return Outcome(comparisons, spectrum_samples(evidence), plot_list)


def _population(
    theory: Theory,
    scenario: Scenario,
    state: State,
    matrix: str,
    unit: int,
    tolerance: float | None,
) -> xr.Dataset:
    return population_spectrum(
        theory.model,
        scenario.parameters,
        state,
        matrix=matrix,
        block=(unit, unit),
        blocks=theory.blocks(matrix),
        tolerance=tolerance,
    )


def _measured_misalignment(small: SpanMatrix, data: xr.Dataset, unit: int) -> tuple[float, float]:
    """Misalignment of the measured block and a bound of its standard error."""
    matrix, errors = data.matrix.values[unit, unit], data.matrix_error.values[unit, unit]
    bulk, bulk_error = (
        float(data.bulk.values[unit, unit]),
        float(data.bulk_error.values[unit, unit]),
    )
    ratio = replace(small, matrix=matrix, bulk=np.array([[bulk]])).misalignment
    norm, norm_error = _norm_and_error(matrix, errors)
    r = small.basis.directions
    _, outside_error = _norm_and_error(matrix[r:], errors[r:])
    error = max(outside_error, bulk_error) + ratio * norm_error
    return ratio, error / norm


def _norm_and_error(matrix: np.ndarray, errors: np.ndarray) -> tuple[float, float]:
    """Operator norm s = u^T M v and its standard error |u|^T dM |v|, safe for any correlation of
    the entries.
    """
    u, s, v = np.linalg.svd(matrix)
    return float(s[0]), float(np.abs(u[:, 0]) @ errors @ np.abs(v[0]))


def spectrum_samples(evidence: Evidence) -> dict[str, Any]:
    """Sample sizes, fixed beforehand, of the checks of empirical spectra: d, M/d and replicas."""
    return {
        "dimensions": list(evidence.level.spectrum_dimensions),
        "M/d": list(evidence.level.aspects),
        "replicas": evidence.level.spectrum_replicas,
    }
