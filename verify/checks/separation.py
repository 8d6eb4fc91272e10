"""Checks of networks with several fixed points: the second layer, where runs settle, how often."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.stats
import xarray as xr

from numerics import readout_alignment
from theory import SeparatedFixedPoint
from theory.names import COORDINATES
from verify.evidence.evidence import Evidence
from verify.evidence.outcomes import CLUSTER_COUNT, separated_clusters, separated_counts
from verify.evidence.run_states import inverse_dimensions
from verify.evidence.systems import OutcomeStudy, Scenario
from verify.verdict.compare import compare, compare_limit
from verify.verdict.extrapolation import (
    Extrapolation,
    extrapolate,
    extrapolate_means,
    mean_and_error,
)
from verify.verdict.results import Outcome
from verify.verdict.tolerance import Chance, Comparison, Part, Tolerance

from .displays import layer_shares_exhibits, outcomes_exhibit, side_by_side_exhibit
from .dynamics import trained_samples
from .judged_theory import MATRICES, Theory

# what is measured of the second layer, all of which tends to 0 with the noise
MISALIGNMENTS = {
    "feature_angle": "sine of the largest angle between top eigenspace and span of the features",
    "readout": "|P_perp v| / |v| off the span of the features",
    "eigenvalue_ratio": (
        "first eigenvalue beyond the number of separated clusters over the last within"
    ),
}


def second_layer(theory: Theory, evidence: Evidence) -> Outcome:
    """v and its blocks live in the span of the separated features: their rank is the number of
    separated clusters.
    """
    system, replicas = evidence.system, evidence.level.spectrum_replicas
    comparisons, d = [], 2.0 * evidence.level.trained_dimension
    for name, point, scenarios in _fixed_points(evidence):
        rank = len(point.separated)
        for matrix in MATRICES:
            tables = [
                _second_layer(theory, evidence, scenario, matrix, rank) for scenario in scenarios
            ]
            limits = {
                key: _without_noise(system.precisions, [t[key] for t in tables])
                for key in tables[0]
            }
            # what is compared: text, its key, the prediction, O(1/d) at this dimension, resolution
            rows = [
                (f"{name}, {matrix}: {text}", key, 0.0, 1 / d, 0.05)
                for key, text in MISALIGNMENTS.items()
            ]
            predicted = sorted(map(float, point.readout_eigenvalues(matrix).values()), reverse=True)
            block = f"{name}, {matrix} block (v, v)"
            rows += [
                (
                    f"{block}: eigenvalue {i + 1} of {rank}",
                    f"eigenvalue {i}",
                    value,
                    1 / (d / value),
                    0.1 * value + 0.002,
                )
                for i, value in enumerate(predicted)
            ]
            comparisons += [
                _noiseless(text, limits[key], value, finite, resolution, replicas - 1)
                for text, key, value, finite, resolution in rows
            ]
    samples = {
        "precisions": list(system.precisions),
        "replicas": replicas,
        "test_points": evidence.level.layer_points,
        "dimension": d,
    }
    return Outcome(comparisons, samples, layer_shares_exhibits(theory, evidence))


def separated_points(theory: Theory, evidence: Evidence) -> Outcome:
    """Runs settle at the closed-form fixed points, sub-optimal ones included, and stay with their
    clusters.
    """
    comparisons, precisions = [], evidence.system.precisions
    for name, point, scenarios in _fixed_points(evidence):
        ends = [_settled(evidence, scenario) for scenario in scenarios]
        for i, l in enumerate(point.separated):
            for key, predicted, text in (
                ("norm", float(point.squared_norms[l]), "sum of v_i^2 over its units"),
                ("gap", 0.0, "mean over its units of the overlap along it minus |v_i|"),
            ):
                limits = [e.limits[key][i] for e in ends]
                limit = _without_noise(
                    precisions,
                    [(e.value, e.error) for e in limits],
                    max(float(e.remainder) for e in limits),
                )
                # d -> infinity is behind these limits
                comparisons.append(
                    _noiseless(f"{name}, cluster {l + 1}: {text}", limit, predicted, 0.0, 0.1)
                )
        # at the first precision the noise is not small against the weights, and a unit may still
        # change its cluster
        comparisons.append(
            compare(
                f"{name}: share of runs that separate other than {len(point.separated)} clusters",
                np.mean([e.moved for e in ends[1:]]),
                0.0,
                Part(
                    0.0, "settled units stay: the fixed points attract (mathematics.md section 5)"
                ),
            )
        )
    exhibits = [side_by_side_exhibit(theory, evidence)]
    return Outcome(comparisons, trained_samples(evidence), exhibits)


class _Excess(Comparison):
    """That an excess is more than chance makes: z standard errors less the excess are at most 0.

    Chance is thus part of what is measured and not of the tolerance; before it is counted,
    ``measured`` is minus the excess.
    """

    def counted(self, count: int, share: float) -> Comparison:
        chance = self.tolerance.chance
        assert chance is not None  # an excess over what no chance enters is no excess
        z = chance.critical_value(count, share)
        return replace(
            self,
            quantity=self.quantity.format(z=z),
            measured=z * chance.error + self.measured,
            tolerance=Tolerance(self.tolerance.parts),
        )


def outcomes(theory: Theory, evidence: Evidence) -> Outcome:
    """Random starts separate one to four clusters with the exact probabilities when lambda >> d,
    and more below.
    """
    study = evidence.system.outcomes
    assert study is not None  # the systems that name this check have it
    runs = [evidence.outcome_runs(p) for p in study.precisions]
    tables = [separated_counts(study, r, p) for r, p in zip(runs, study.precisions, strict=True)]
    counts = [table[-1] for table in tables]
    n = int(counts[0].sum())
    ratio = [p / study.dimension for p in study.precisions]
    exact = np.array(study.probabilities)
    unsettled, *frequencies = counts[0] / n
    comparisons = [
        compare(
            f"lambda / d = {ratio[0]:g}: frequency of {i + 1} separated clusters in {n} runs",
            frequency,
            p,
            Chance(
                float(np.sqrt(p * (1 - p) / n)), reason="{z:.2f} standard errors, binomial (T3)"
            ),
            Part(0.5 / n, "discreteness"),
            Part(unsettled, "runs that had not settled"),
            resolution=0.08,
        )
        for i, (frequency, p) in enumerate(zip(frequencies, exact, strict=True))
    ]
    low = counts[-1][CLUSTER_COUNT] / counts[-1].sum()
    comparisons.append(
        _Excess(
            f"lambda / d = {ratio[-1]:.2g}: {{z:.2f}} standard errors less the excess of all four "
            "over independent picks",
            -float(low - exact[-1]),
            0.0,
            Tolerance(
                (Part(0.0, "the excess is more than chance (mathematics.md section 5)"),),
                Chance(float(np.sqrt(low * (1 - low) / counts[-1].sum()))),
            ),
            one_sided=True,
        )
    )
    samples = {
        "dimension": study.dimension,
        "precisions": list(study.precisions),
        "runs": [int(c.sum()) for c in counts],
    }
    exhibits = [outcomes_exhibit(study, counts)]
    return Outcome(comparisons, samples, exhibits, _outcome_notes(study, runs, tables))


def _outcome_notes(
    study: OutcomeStudy, runs: Sequence[xr.Dataset], tables: Sequence[np.ndarray]
) -> list[str]:
    """A test of all frequencies together, and how the frequency of all four changes with time."""
    exact, settled = np.array(study.probabilities), tables[0][-1][1:]
    ratio = [p / study.dimension for p in study.precisions]
    p_value = float(scipy.stats.chisquare(settled, exact * settled.sum()).pvalue)
    notes = [
        f"lambda / d = {ratio[0]:g}: chi-square test against the exact probabilities, "
        f"p = {p_value:.3g} (inside the 99.9 % region: {'yes' if p_value > 1e-3 else 'no'})"
    ]
    for r, table, run in zip(ratio, tables, runs, strict=True):
        total = int(table[-1].sum())
        text = ", ".join(
            f"{c[CLUSTER_COUNT] / total:.1%} at t = {t:.3g}"
            for c, t in zip(table, run.time.values, strict=True)
        )
        notes.append(
            f"lambda / d = {r:.3g}: all four in {text} of {total} runs "
            f"({exact[-1]:.1%} for independent picks)"
        )
    return notes


def _fixed_points(evidence: Evidence) -> list[tuple[str, SeparatedFixedPoint, list[Scenario]]]:
    """Every fixed point that trained runs head for, with its scenarios at all precisions."""
    by_precision = [evidence.system.trained(p) for p in evidence.system.precisions]
    return [
        (scenarios[0].name.split(",")[0], _point(scenarios[0]), list(scenarios))
        for scenarios in zip(*by_precision, strict=True)
    ]


def _point(scenario: Scenario) -> SeparatedFixedPoint:
    assert scenario.point is not None  # the systems that name these checks give it
    return scenario.point


def _second_layer(
    theory: Theory, evidence: Evidence, scenario: Scenario, matrix: str, rank: int
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Mean over replicas and standard error of what is measured of an empirical (v, v) block."""
    rows: dict[str, list[float]] = {}
    for replica in range(evidence.level.spectrum_replicas):
        state = evidence.trained_state(scenario, replica)
        spectrum = evidence.readout_spectrum(scenario, state, matrix, f"replica {replica}")
        found = readout_alignment(
            theory.model, scenario.parameters, state, spectrum, features=theory.features, rank=rank
        )
        values = {
            "feature_angle": float(np.sin(found.feature_angle.values.max())),
            "readout": float(np.sqrt(max(0.0, 1 - float(found.feature_share)))),
            "eigenvalue_ratio": float(found.eigenvalue_ratio),
        } | {f"eigenvalue {i}": float(v) for i, v in enumerate(spectrum.eigenvalue.values[:rank])}
        for key, value in values.items():
            rows.setdefault(key, []).append(value)
    return {key: mean_and_error(np.array(samples)) for key, samples in rows.items()}


def _without_noise(
    precisions: tuple[float, ...], pairs: Sequence[tuple[Any, Any]], carried: float = 0.0
) -> Extrapolation:
    """Limit lambda -> infinity in powers of lambda^(-1/2), the scale of the noise at a kink."""
    x = [p**-0.5 for p in precisions]
    means, errors = map(np.array, zip(*pairs, strict=True))
    limit = extrapolate(x, means, errors, degree=2)
    return Extrapolation(limit.value, limit.error, limit.remainder + carried)


def _noiseless(
    quantity: str,
    limit: Extrapolation,
    predicted: float,
    finite: float,
    resolution: float,
    degrees: float | None = None,
) -> Comparison:
    """Compare a limit lambda -> infinity, with the ``finite`` part for the dimension of the
    runs.
    """
    return compare_limit(
        f"{quantity}, lambda -> infinity",
        limit,
        predicted,
        Part(finite, "O(1/d) at the dimension of the runs (T4)"),
        resolution=resolution,
        degrees=degrees,
        remainder="next power of lambda^(-1/2) (T4)",
    )


@dataclass(frozen=True)
class _Settled:
    """Ends of runs: quantities per separated cluster at d -> infinity, and the share of runs with
    another number.
    """

    limits: dict[str, Extrapolation]
    moved: float


def _settled(evidence: Evidence, scenario: Scenario) -> _Settled:
    point = _point(scenario)
    runs = evidence.trained_runs(scenario)
    tables = [_cluster_table(point, run) for run in runs]
    limits = {
        key: extrapolate_means(inverse_dimensions(runs), [t[key] for t in tables])
        for key in ("norm", "gap")
    }
    counts = separated_clusters(runs[-1].isel(time=-1), scenario.parameters).sum(axis=1)
    return _Settled(limits, float(np.mean(counts != len(point.separated))))


def _cluster_table(point: SeparatedFixedPoint, run: xr.Dataset) -> dict[str, np.ndarray]:
    """Per replica and separated cluster: sum of v_i^2, and mean of the overlap along the cluster
    minus |v_i|.
    """
    overlap, v = run.overlap.values[:, -1], run.readout.values[:, -1]
    norm, gap = [], []
    for l in point.separated:
        units = list(point.members[l])
        along = overlap[:, units] @ np.array(COORDINATES[l], dtype=float)
        norm.append((v[:, units] ** 2).sum(axis=1))
        gap.append((along - np.abs(v[:, units])).mean(axis=1))
    return {"norm": np.stack(norm, axis=1), "gap": np.stack(gap, axis=1)}
