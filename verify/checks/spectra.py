"""Checks of population Hessian and G against empirical ones: span, eigenspaces, concentration."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
import xarray as xr

from numerics.spectra.span_matrix import SpanMatrix
from verify.evidence.evidence import Evidence
from verify.evidence.systems import Scenario
from verify.verdict.compare import compare, compare_exponent
from verify.verdict.extrapolation import Exponent, extrapolate, fit_exponent, mean_and_error
from verify.verdict.results import Exhibit, Outcome
from verify.verdict.tolerance import Chance, Comparison, Part

from .displays import trained_vectors_exhibits, weight_shares_exhibit
from .exhibits import TITLES, power_law
from .judged_theory import MATRICES, Theory

# error asked of the entries of a block whose eigenspaces are compared, over that of other blocks:
# shares and angles still have errors far below what the check resolves
EIGENSPACE_SHARE = 10.0
# error asked of the entries of a block, over the standard error of what is measured beside it
QUADRATURE_SHARE = 0.05


def span(theory: Theory, evidence: Evidence) -> Outcome:
    """Diagonal blocks live in the span of the means up to a term of order 1/lambda: the bulk."""
    precisions = np.array(evidence.system.precisions)
    comparisons: list[Comparison] = []
    exhibits: list[Exhibit] = []
    for matrix in MATRICES:
        # (measured, standard error, predicted, its error) for every precision and block
        shares = np.array(
            [
                [
                    _outside_shares(theory, evidence, scenario, matrix, precision, unit)
                    for scenario, unit in _diagonal_blocks(theory, evidence, precision)
                ]
                for precision in evidence.system.precisions
            ]
        )
        comparisons += [
            compare(
                f"{scenario.name}: |P_perp M| / |M| of {matrix} block ({unit + 1}, {unit + 1})",
                measured,
                predicted,
                Chance(error, reason="{z:.2f} standard errors, norm bound (T3)"),
                Part(own, "quadrature (T2)"),
                resolution=0.1 * predicted + 0.01,
            )
            for precision, rows in zip(evidence.system.precisions, shares, strict=True)
            for (scenario, unit), (measured, error, predicted, own) in zip(
                _diagonal_blocks(theory, evidence, precision), rows, strict=True
            )
        ]
        mean, error, predicted, _ = np.moveaxis(shares.mean(axis=1), -1, 0)
        fit = fit_exponent(precisions, mean, error / mean)
        expected = fit_exponent(precisions, predicted, error / mean)
        comparisons += _span_exponents(matrix, fit, expected, float(precisions.min()))
        exhibits.append(
            power_law(
                f"span-{matrix}",
                f"Share of the diagonal {TITLES[matrix]} blocks outside the span of the means, "
                "against the precision.",
                ("precision λ", precisions),
                ("‖P⊥M‖ / ‖M‖", mean, error),
                fit,
                -1.0,
            )
        )
    samples = {"test_points": evidence.level.test_points, "precisions": precisions.tolist()}
    return Outcome(comparisons, samples, exhibits)


def _diagonal_blocks(
    theory: Theory, evidence: Evidence, precision: float
) -> list[tuple[Scenario, int]]:
    return list(product(evidence.system.trained(precision), range(theory.model.units)))


def _outside_shares(
    theory: Theory, evidence: Evidence, scenario: Scenario, matrix: str, precision: float, unit: int
) -> tuple[float, float, float, float]:
    """Share of a block outside the span: measured, standard error, predicted, error of that."""
    state = evidence.trained_state(scenario, 0)
    data = evidence.projection(scenario, state, matrix, f"trained {precision:g}")
    tolerance = evidence.system.quadrature
    if tolerance is not None:
        # far below the errors of what is measured
        standard_error = float(data.matrix_error.values[unit, unit].max())
        tolerance = max(tolerance, QUADRATURE_SHARE * standard_error)
    small = theory.population_block(scenario, state, matrix, (unit, unit), tolerance)
    measured, error = _measured_misalignment(small, data, unit)
    return measured, error, small.misalignment, small.misalignment_error


def _span_exponents(
    matrix: str, fit: Exponent, expected: Exponent, smallest: float
) -> list[Comparison]:
    law = f"exponent of lambda in |P_perp M| / |M|, {matrix}: data against"
    return [
        compare_exponent(f"{law} theory at the same lambda", fit, expected.slope, resolution=0.25),
        compare_exponent(
            f"{law} -1",
            fit,
            -1.0,
            Part(
                abs(expected.curvature) / 2 + 1 / smallest,
                "next power of 1/lambda: half the bend of the predicted line, and 1/lambda_min "
                "(T4)",
            ),
            resolution=0.5,
        ),
    ]


def eigenspaces(theory: Theory, evidence: Evidence) -> Outcome:
    """The top-k eigenspaces of the (a, a) blocks align with x^a and with the span of the means."""
    dimensions, system = evidence.level.spectrum_dimensions, evidence.system
    measures = {
        "share": "share of x^a in the top eigenspace of block (a, a)",
        "angle": "sin^2 of the largest angle between top eigenspace and means",
    }
    comparisons = []
    for precision, scenario in _first_trained(evidence):
        expected = _expected(theory, evidence, scenario, tuple(measures))
        # the dimension matters little once M/d -> infinity: one comparison of two dimensions says
        # so
        for d in dimensions if precision == system.precisions[0] else dimensions[-1:]:
            paired = _paired(evidence, scenario, d, expected)
            comparisons += [
                paired.comparison(
                    matrix, name, f"{scenario.name}, d = {d}, {matrix}: {text}, M/d -> infinity"
                )
                for matrix in MATRICES
                for name, text in measures.items()
            ]
    exhibits = [
        weight_shares_exhibit(theory, evidence),
        *trained_vectors_exhibits(theory, evidence),
    ]
    return Outcome(comparisons, spectrum_samples(evidence), exhibits)


def top_vector(theory: Theory, evidence: Evidence) -> Outcome:
    """For orthonormal means the (a, a) block has its top eigenvector near mu_a."""
    d = evidence.level.spectrum_dimensions[-1]
    comparisons = []
    for _, scenario in _first_trained(evidence):
        paired = _paired(evidence, scenario, d, _expected(theory, evidence, scenario, ("top",)))
        comparisons += [
            paired.comparison(
                matrix,
                "top",
                f"{scenario.name}: squared cosine of the top {matrix} eigenvector of (a, a) "
                "with mean a",
            )
            for matrix in MATRICES
        ]
    return Outcome(comparisons, spectrum_samples(evidence))


def _first_trained(evidence: Evidence) -> list[tuple[float, Scenario]]:
    """Trained scenarios at the first two precisions."""
    return [(p, s) for p in evidence.system.precisions[:2] for s in evidence.system.trained(p)]


@dataclass(frozen=True)
class _Expected:
    """Population values at the trained weights of every replica, averaged over units.

    ``values[matrix][name]`` has shape (replica,); ``error[matrix][name]`` is the mean error.
    """

    values: dict[str, dict[str, np.ndarray]]
    error: dict[str, dict[str, float]]


@dataclass(frozen=True)
class _Paired:
    """Empirical minus population values at the same trained weights, averaged over units.

    ``difference[matrix][name]`` has shape (replica, M/d).
    """

    aspects: tuple[int, ...]
    difference: dict[str, dict[str, np.ndarray]]
    expected: _Expected

    def comparison(self, matrix: str, name: str, quantity: str) -> Comparison:
        """The mean difference, extrapolated to M/d -> infinity, against none."""
        difference = self.difference[matrix][name]
        mean, error = mean_and_error(difference)
        limit = extrapolate([1 / aspect for aspect in self.aspects], mean, error, degree=2)
        predicted = float(self.expected.values[matrix][name].mean())
        return compare(
            f"{quantity} (mean over a)",
            predicted + float(limit.value),
            predicted,
            Chance(float(limit.error), len(difference) - 1),
            Part(float(limit.remainder) + 1e-6, "next power of d/M (T4)"),
            Part(self.expected.error[matrix][name], "quadrature of the population eigenspace (T2)"),
            resolution=0.02,
        )


def _replicas(evidence: Evidence) -> int:
    """Replicas whose trained weights are compared."""
    return max(2, int(evidence.system.replica_share * evidence.level.spectrum_replicas))


def _expected(
    theory: Theory, evidence: Evidence, scenario: Scenario, names: tuple[str, ...]
) -> _Expected:
    replicas, units = _replicas(evidence), range(theory.model.units)
    values = {m: {n: np.zeros(replicas) for n in names} for m in MATRICES}
    error = {m: dict.fromkeys(names, 0.0) for m in MATRICES}
    asked = evidence.system.quadrature
    tolerance = None if asked is None else EIGENSPACE_SHARE * asked
    for replica in range(replicas):
        state = evidence.trained_state(scenario, replica)
        for m in MATRICES:
            population = [
                theory.population_spectrum(scenario, state, m, a, tolerance) for a in units
            ]
            for name in names:
                errors = [_ERRORS[name](p, a) for a, p in enumerate(population)]
                error[m][name] += float(np.mean(errors))
                values[m][name][replica] = np.mean(
                    [_MEASURES[name](p, a) for a, p in enumerate(population)]
                )
    means = {m: {name: e / replicas for name, e in errors.items()} for m, errors in error.items()}
    return _Expected(values, means)


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

# how far the quadrature of a population block may move them; the third is a square
_ERRORS: dict[str, Callable[[xr.Dataset, int], float]] = {
    "share": lambda s, a: float(s.unit_share_error.values[a]),
    "angle": lambda s, a: min(1.0, float(s.principal_angle_error.values.max())),
    "top": lambda s, a: 2 * float(s.attrs["top_eigenspace_error"]),
}


def concentration(theory: Theory, evidence: Evidence) -> Outcome:
    """Empirical blocks approach the population ones in operator norm like (M/d)^(-1/2)."""
    scenario = evidence.system.trained(evidence.system.precisions[0])[0]
    state = evidence.trained_state(scenario, 0)
    comparisons, exhibits = [], []
    aspects = np.array(evidence.level.aspects, dtype=float)
    replicas = 2 * evidence.level.spectrum_replicas  # a norm each: cheap
    d = evidence.level.spectrum_dimensions[-1]
    for matrix in MATRICES:
        small = theory.population_block(scenario, state, matrix, (0, 0))
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
            compare_exponent(
                f"{matrix} block (1, 1): exponent of M/d in |empirical - population|",
                fit,
                -0.5,
                Part(
                    0.5 / np.sqrt(aspects.min()),
                    "quadratic term of sample covariance: 2 phi^(-1/2) + phi^(-1) bends the "
                    "line (T4)",
                ),
                resolution=0.2,
                degrees=replicas - 1,
            )
        )
        exhibits.append(
            power_law(
                f"concentration-{matrix}",
                f"Distance of the empirical {TITLES[matrix]} block from its population value "
                "against M/d.",
                ("test points per dimension M/d", aspects),
                ("‖empirical − population‖", mean, error),
                fit,
                -0.5,
            )
        )
    return Outcome(comparisons, spectrum_samples(evidence), exhibits)


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
