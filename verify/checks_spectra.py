"""Checks of population Hessian and G against empirical ones: blocks, span, eigenspaces, concentration."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr

from numerics import State, population_block, population_spectrum
from numerics.span import SpanMatrix
from theory.symbols import upper_triangle

from . import plots
from .evidence import Evidence
from .result import Outcome
from .statistics import extrapolate, fit_exponent, mean_and_error
from .subject import Theory
from .systems import Scenario
from .tolerance import Comparison, Part, Tolerance, critical_value

MATRICES = ("hessian", "gradient")


def blocks(theory: Theory, evidence: Evidence, share: float) -> Outcome:
    """Every Hessian and G block equals its closed form V B V^T + c I, entry by entry."""
    comparisons = []
    cases = _block_cases(evidence)
    pairs = upper_triangle(theory.model.units)
    entries = theory.model.directions + theory.model.units
    z = critical_value(len(cases) * 2 * len(pairs) * (entries * (entries + 1) // 2 + 1), share)
    for scenario, state, name in cases:
        for matrix in MATRICES:
            measured = evidence.projection(scenario, state, matrix, name)
            predicted = _predicted(theory, scenario, state, matrix)
            rank = predicted.basis.rank
            full = predicted.matrix.reshape(predicted.rows, rank, predicted.rows, rank)
            error = predicted.matrix_error.reshape(full.shape)
            for a, b in pairs:
                candidates = [
                    (f"entry ({i + 1}, {j + 1})", measured.matrix.values[a, b, i, j],
                     measured.matrix_error.values[a, b, i, j], full[a, i, b, j], error[a, i, b, j])
                    for i, j in upper_triangle(rank)
                ]
                candidates.append(
                    ("bulk", measured.bulk.values[a, b], measured.bulk_error.values[a, b],
                     predicted.bulk[a, b], predicted.bulk_error[a, b])
                )
                made = [
                    Comparison(
                        f"{scenario.name}, {name}: {matrix} block ({a + 1}, {b + 1}), {label} "
                        f"(the worst of {len(candidates)})",
                        float(m), float(p),
                        Tolerance((
                            Part(z * float(se), f"{z:.2f} standard errors (T3)"),
                            Part(float(e), "quadrature (T2)"),
                        )),
                        resolution=0.01,
                    )
                    for label, m, se, p, e in candidates
                ]
                comparisons.append(max(made, key=lambda c: c.strain))
    samples = {"test_points": evidence.level.test_points, "dimension": evidence.level.spectrum_dimensions[-1]}
    return Outcome(comparisons, samples, [plots.training_plot(theory, evidence, m) for m in MATRICES])


def span(theory: Theory, evidence: Evidence, share: float) -> Outcome:
    """Diagonal blocks live in the span of the means up to a term of order 1/lambda: the bulk."""
    precisions = np.array(evidence.system.precisions)
    comparisons, plot_list = [], []
    units = range(theory.model.units)
    z = critical_value(2 * len(precisions) * theory.model.units + 4, share)
    for matrix in MATRICES:
        measured, errors, predicted = (np.empty((precisions.size, theory.model.units)) for _ in range(3))
        for i, precision in enumerate(precisions):
            scenario = evidence.system.aligned(float(precision))
            state = evidence.trained_state(float(precision), 0)
            data = evidence.projection(scenario, state, matrix, f"trained {precision:g}")
            for a in units:
                small = population_block(
                    theory.model, scenario.parameters, state, matrix=matrix, block=(a, a),
                    blocks=theory.blocks(matrix),
                )
                predicted[i, a] = small.misalignment
                measured[i, a], errors[i, a] = _measured_misalignment(small, data, a)
                comparisons.append(
                    Comparison(
                        f"lambda = {precision:g}: |P_perp M| / |M| of {matrix} block ({a + 1}, {a + 1})",
                        measured[i, a], predicted[i, a],
                        Tolerance((
                            Part(z * errors[i, a], f"{z:.2f} standard errors, norm bound (T3)"),
                            Part(1e-9, "quadrature (T2)"),
                        )),
                        resolution=0.1 * predicted[i, a] + 0.01,
                    )
                )
        mean, error = measured.mean(axis=1), errors.mean(axis=1)
        fit = fit_exponent(precisions, mean, error / mean)
        expected = fit_exponent(precisions, predicted.mean(axis=1), error / mean)
        comparisons += [
            Comparison(
                f"exponent of lambda in |P_perp M| / |M|, {matrix}: data against theory at the same lambda",
                fit.slope, expected.slope,
                Tolerance((Part(z * fit.error, f"{z:.2f} standard errors (T3)"),)), resolution=0.25,
            ),
            Comparison(
                f"exponent of lambda in |P_perp M| / |M|, {matrix}: data against -1", fit.slope, -1.0,
                Tolerance((
                    Part(z * fit.error, f"{z:.2f} standard errors (T3)"),
                    Part(abs(expected.curvature) / 2 + 1 / precisions.min(),
                         "next power of 1/lambda: half the bend of the predicted line, and 1/lambda_min (T4)"),
                )),
                resolution=0.5,
            ),
        ]
        plot_list.append(
            plots.exponent_plot(
                f"span-{matrix}",
                f"Share of the diagonal {matrix} blocks outside the span of the means, against the precision.",
                precisions, mean, error, fit, -1.0, "precision λ", "‖P⊥M‖ / ‖M‖",
            )
        )
    return Outcome(
        comparisons,
        {"test_points": evidence.level.test_points, "precisions": precisions.tolist()}, plot_list,
    )


def eigenspaces(theory: Theory, evidence: Evidence, share: float) -> Outcome:
    """The top-k eigenspaces of the (a, a) blocks align with x^a and with the span of the means."""
    precisions = evidence.system.precisions[:2]
    dimensions = evidence.level.spectrum_dimensions
    comparisons = []
    z = critical_value(
        len(precisions) * len(dimensions) * len(MATRICES) * 2, share, evidence.level.spectrum_replicas - 1
    )
    for precision in precisions:
        for d in dimensions:
            paired = _paired(theory, evidence, precision, d)
            for matrix in MATRICES:
                where = f"lambda = {precision:g}, d = {d}, {matrix}"
                comparisons += [
                    paired.comparison(
                        matrix, "share", z, 0.02,
                        f"{where}: share of x^a in the top eigenspace of block (a, a), M/d -> infinity",
                    ),
                    paired.comparison(
                        matrix, "angle", z, 0.02,
                        f"{where}: sin^2 of the largest angle between top eigenspace and means, M/d -> infinity",
                    ),
                ]
    plot_list = [plots.share_plot(theory, evidence), *plots.heatmap_plots(theory, evidence)]
    return Outcome(comparisons, _spectrum_samples(evidence), plot_list)


def top_vector(theory: Theory, evidence: Evidence, share: float) -> Outcome:
    """For orthonormal means the (a, a) block has its top eigenvector near mu_a."""
    precisions = evidence.system.precisions[:2]
    d = evidence.level.spectrum_dimensions[-1]
    z = critical_value(len(precisions) * len(MATRICES), share, evidence.level.spectrum_replicas - 1)
    comparisons = []
    for precision in precisions:
        paired = _paired(theory, evidence, precision, d)
        comparisons += [
            paired.comparison(
                matrix, "top", z, 0.02,
                f"lambda = {precision:g}: squared cosine of the top {matrix} eigenvector of (a, a) with mean a",
            )
            for matrix in MATRICES
        ]
    return Outcome(comparisons, _spectrum_samples(evidence))


@dataclass(frozen=True)
class _Paired:
    """Empirical minus population values at the same trained weights, averaged over units.

    ``difference[matrix][name]`` has shape (replica, M/d), ``predicted[matrix][name]`` (replica,).
    """

    aspects: tuple[int, ...]
    difference: dict[str, dict[str, np.ndarray]]
    predicted: dict[str, dict[str, np.ndarray]]

    def comparison(self, matrix: str, name: str, z: float, resolution: float, quantity: str) -> Comparison:
        mean, error = mean_and_error(self.difference[matrix][name])
        x = [1 / aspect for aspect in self.aspects]
        limit = extrapolate(x, mean[:, None], error[:, None], degree=2)
        predicted = float(self.predicted[matrix][name].mean())
        return Comparison(
            f"{quantity} (mean over a)", predicted + float(limit.value[0]), predicted,
            Tolerance((
                Part(z * float(limit.error[0]), f"{z:.2f} standard errors, Student (T3)"),
                Part(float(limit.remainder[0]) + 1e-6, "next power of d/M (T4)"),
            )),
            resolution=resolution,
        )


def _paired(theory: Theory, evidence: Evidence, precision: float, dimension: int) -> _Paired:
    scenario = evidence.system.aligned(precision)
    replicas, aspects = evidence.level.spectrum_replicas, evidence.level.aspects
    units = range(theory.model.units)
    difference = {m: {n: np.zeros((replicas, len(aspects))) for n in _MEASURES} for m in MATRICES}
    predicted = {m: {n: np.zeros(replicas) for n in _MEASURES} for m in MATRICES}
    for replica in range(replicas):
        state = evidence.trained_state(precision, replica)
        population = {
            (m, a): _population(theory, scenario, state, m, a) for m in MATRICES for a in units
        }
        for name, measure in _MEASURES.items():
            for m in MATRICES:
                predicted[m][name][replica] = np.mean([measure(population[m, a], a) for a in units])
        for i, aspect in enumerate(aspects):
            for m in MATRICES:
                spectra = [
                    evidence.spectrum(scenario, state, m, a, dimension, aspect, f"replica {replica}")
                    for a in units
                ]
                for name, measure in _MEASURES.items():
                    value = np.mean([measure(s, a) for a, s in enumerate(spectra)])
                    difference[m][name][replica, i] = value - predicted[m][name][replica]
    return _Paired(aspects, difference, predicted)


# what a spectrum of block (a, a) says of alignment, as numbers in [0, 1]
_MEASURES: dict[str, Callable[[xr.Dataset, int], float]] = {
    "share": lambda s, a: float(s.unit_share.values[a]),
    "angle": lambda s, a: float(np.sin(s.principal_angle.values.max()) ** 2),
    "top": lambda s, a: float(s.mean_overlap.values[0, a]),
}


def concentration(theory: Theory, evidence: Evidence, share: float) -> Outcome:
    """Empirical blocks approach the population ones in operator norm like (M/d)^(-1/2)."""
    precision = evidence.system.precisions[0]
    scenario = evidence.system.aligned(precision)
    state = evidence.trained_state(precision, 0)
    comparisons, plot_list = [], []
    aspects = np.array(evidence.level.aspects, dtype=float)
    z = critical_value(len(MATRICES), share, evidence.level.spectrum_replicas - 1)
    d = evidence.level.spectrum_dimensions[-1]
    for matrix in MATRICES:
        small = population_block(
            theory.model, scenario.parameters, state, matrix=matrix, block=(0, 0), blocks=theory.blocks(matrix)
        )
        distances = np.array([
            [
                evidence.distance(scenario, state, small, d, int(aspect), f"replica {replica}")
                for replica in range(evidence.level.spectrum_replicas)
            ]
            for aspect in aspects
        ])
        mean, error = mean_and_error(distances, axis=1)
        fit = fit_exponent(aspects, mean, error / mean)
        comparisons.append(
            Comparison(
                f"{matrix} block (1, 1): exponent of M/d in |empirical - population|", fit.slope, -0.5,
                Tolerance((
                    Part(z * fit.error, f"{z:.2f} standard errors, Student (T3)"),
                    Part(0.5 / np.sqrt(aspects.min()),
                         "quadratic term of sample covariance: 2 phi^(-1/2) + phi^(-1) bends the line (T4)"),
                )),
                resolution=0.2,
            )
        )
        plot_list.append(
            plots.exponent_plot(
                f"concentration-{matrix}",
                f"Distance of the empirical {matrix} block from its population value against M/d.",
                aspects, mean, error, fit, -0.5, "test points per dimension M/d", "‖empirical − population‖",
            )
        )
    return Outcome(comparisons, _spectrum_samples(evidence), plot_list)


def _block_cases(evidence: Evidence) -> list[tuple[Scenario, State, str]]:
    """The states at which all blocks are compared: at the start and after training, every scenario."""
    cases = []
    for scenario in evidence.system.scenarios:
        run = evidence.curve_runs(scenario)[-1].isel(replica=0, time=-1)
        trained = State(run.overlap.values, run.gram_perp.values, run.readout.values)
        cases += [(scenario, scenario.initial, "start"), (scenario, trained, "end of a run")]
    return cases


def _predicted(theory: Theory, scenario: Scenario, state: State, matrix: str) -> SpanMatrix:
    return population_block(
        theory.model, scenario.parameters, state, matrix=matrix, block="first_layer",
        blocks=theory.blocks(matrix),
    )


def _population(theory: Theory, scenario: Scenario, state: State, matrix: str, unit: int) -> xr.Dataset:
    return population_spectrum(
        theory.model, scenario.parameters, state, matrix=matrix, block=(unit, unit),
        blocks=theory.blocks(matrix),
    )


def _measured_misalignment(small: SpanMatrix, data: xr.Dataset, unit: int) -> tuple[float, float]:
    """Misalignment of the measured block and a bound of its standard error."""
    matrix, errors = data.matrix.values[unit, unit], data.matrix_error.values[unit, unit]
    bulk, bulk_error = float(data.bulk.values[unit, unit]), float(data.bulk_error.values[unit, unit])
    ratio = replace(small, matrix=matrix, bulk=np.array([[bulk]])).misalignment
    norm, norm_error = _norm_and_error(matrix, errors)
    r = small.basis.directions
    _, outside_error = _norm_and_error(matrix[r:], errors[r:])
    error = max(outside_error, bulk_error) + ratio * norm_error
    return ratio, error / norm


def _norm_and_error(matrix: np.ndarray, errors: np.ndarray) -> tuple[float, float]:
    """Operator norm s = u^T M v and its standard error |u|^T dM |v|, safe for any correlation of the entries."""
    u, s, v = np.linalg.svd(matrix)
    return float(s[0]), float(np.abs(u[:, 0]) @ errors @ np.abs(v[0]))


def _spectrum_samples(evidence: Evidence) -> dict[str, Any]:
    return {
        "dimensions": list(evidence.level.spectrum_dimensions), "M/d": list(evidence.level.aspects),
        "replicas": evidence.level.spectrum_replicas,
    }
