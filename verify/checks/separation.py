"""Checks of networks with several fixed points: the second layer, where runs settle, and how often
in each.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.stats
import xarray as xr

from numerics import readout_alignment
from theory import SeparatedFixedPoint
from theory.problem.xor import COORDINATES
from verify.evidence.evidence import Evidence
from verify.evidence.outcomes import CLUSTER_COUNT, separated_clusters, separated_counts
from verify.evidence.systems import Scenario
from verify.figures import of_layer_checks as plots
from verify.verdict.extrapolation import Extrapolation, extrapolate, mean_and_error
from verify.verdict.results import Outcome
from verify.verdict.tolerance import Comparison, Part, Tolerance, critical_value

from .judged_theory import Theory

MATRICES = ("hessian", "gradient")
# what is measured of the second layer, all of which tends to 0 with the noise
MISALIGNMENTS = {
    "feature_angle": "sine of the largest angle between top eigenspace and span of the features",
    "readout": "|P_perp v| / |v| off the span of the features",
    "eigenvalue_ratio": "first eigenvalue beyond the number of separated clusters over the last within",
}


def second_layer(theory: Theory, evidence: Evidence, share: float) -> Outcome:
    """v and its blocks live in the span of the separated features: their rank is the number of
    separated clusters.
    """
    system, replicas = evidence.system, evidence.level.spectrum_replicas
    kinds = len(system.trained(system.precisions[0]))
    z = critical_value(
        len(MATRICES) * kinds * (len(MISALIGNMENTS) + CLUSTER_COUNT), share, replicas - 1
    )
    comparisons, d = [], 2.0 * evidence.level.trained_dimension
    for s in range(kinds):
        scenarios = [system.trained(p)[s] for p in system.precisions]
        name, point = scenarios[0].name.split(",")[0], _point(scenarios[0])
        rank = len(point.separated)
        for matrix in MATRICES:
            tables = [
                _second_layer(theory, evidence, scenario, matrix, rank) for scenario in scenarios
            ]
            for key, text in MISALIGNMENTS.items():
                limit = _without_noise(system.precisions, [t[key] for t in tables])
                comparisons.append(
                    _at_limit(
                        f"{name}, {matrix}: {text}, lambda -> infinity", limit, 0.0, z, d, 0.05
                    )
                )
            predicted = sorted(map(float, point.readout_eigenvalues(matrix).values()), reverse=True)
            for i, value in enumerate(predicted):
                limit = _without_noise(system.precisions, [t[f"eigenvalue {i}"] for t in tables])
                comparisons.append(
                    _at_limit(
                        f"{name}, {matrix} block (v, v): eigenvalue {i + 1} of {rank}, lambda -> infinity",
                        limit,
                        value,
                        z,
                        d / value,
                        0.1 * value + 0.002,
                    )
                )
    samples = {
        "precisions": list(system.precisions),
        "replicas": replicas,
        "test_points": evidence.level.layer_points,
        "dimension": d,
    }
    return Outcome(comparisons, samples, plots.layer_heatmap_plots(theory, evidence))


def separated_points(theory: Theory, evidence: Evidence, share: float) -> Outcome:
    """Runs settle at the closed-form fixed points, sub-optimal ones included, and stay with their
    clusters.
    """
    system = evidence.system
    first = system.trained(system.precisions[0])
    z = critical_value(sum(2 * len(_point(s).separated) + 1 for s in first), share)
    comparisons = []
    for s, start in enumerate(first):
        point, name = _point(start), start.name.split(",")[0]
        scenarios = [system.trained(p)[s] for p in system.precisions]
        ends = [_settled(evidence, scenario) for scenario in scenarios]
        for i, l in enumerate(point.separated):
            for key, predicted, text in (
                ("norm", float(point.squared_norms[l]), "sum of v_i^2 over its units"),
                ("gap", 0.0, "mean over its units of the overlap along it minus |v_i|"),
            ):
                limits = [e.limits[key] for e in ends]
                limit = _without_noise(
                    system.precisions,
                    [(float(e.value[i]), float(e.error[i])) for e in limits],
                    max(float(e.remainder[i]) for e in limits),
                )
                comparisons.append(
                    _at_limit(
                        f"{name}, cluster {l + 1}: {text}, lambda -> infinity",
                        limit,
                        predicted,
                        z,
                        np.inf,
                        0.1,
                    )
                )
        # at the first precision the noise is not small against the weights, and a unit may still
        # change its cluster
        moved = float(np.mean([e.moved for e in ends[1:]]))
        comparisons.append(
            Comparison(
                f"{name}: share of runs that separate other than {len(point.separated)} clusters",
                moved,
                0.0,
                Tolerance(
                    (
                        Part(
                            0.0,
                            "settled units stay: the fixed points attract (mathematics.md section 5)",
                        ),
                    )
                ),
            )
        )
    samples = {
        "dimensions": [evidence.level.trained_dimension, 2 * evidence.level.trained_dimension],
        "replicas": evidence.level.trained_replicas,
        "precisions": list(system.precisions),
    }
    return Outcome(comparisons, samples, [plots.side_by_side_plot(theory, evidence)])


def outcomes(theory: Theory, evidence: Evidence, share: float) -> Outcome:
    """Random starts separate one to four clusters with the exact probabilities when lambda >> d,
    and more below.
    """
    study = evidence.system.outcomes
    assert study is not None  # the systems that name this check have it
    runs = [evidence.outcome_runs(p) for p in study.precisions]
    tables = [separated_counts(study, r, p) for r, p in zip(runs, study.precisions, strict=True)]
    counts = [table[-1] for table in tables]
    n = int(counts[0].sum())
    z = critical_value(CLUSTER_COUNT + 1, share)
    ratio = [p / study.dimension for p in study.precisions]
    exact = np.array(study.probabilities)
    frequencies = counts[0] / n
    comparisons = [
        Comparison(
            f"lambda / d = {ratio[0]:g}: frequency of {i + 1} separated clusters in {n} runs",
            float(frequencies[i + 1]),
            float(p),
            Tolerance(
                (
                    Part(
                        z * float(np.sqrt(p * (1 - p) / n)),
                        f"{z:.2f} standard errors, binomial (T3)",
                    ),
                    Part(0.5 / n, "discreteness"),
                    Part(float(frequencies[0]), "runs that had not settled"),
                )
            ),
            resolution=0.08,
        )
        for i, p in enumerate(exact)
    ]
    low = counts[-1][CLUSTER_COUNT] / counts[-1].sum()
    error = float(np.sqrt(low * (1 - low) / counts[-1].sum()))
    comparisons.append(
        Comparison(
            f"lambda / d = {ratio[-1]:.2g}: {z:.2f} standard errors less the excess of all four over independent picks",
            z * error - float(low - exact[-1]),
            0.0,
            Tolerance((Part(0.0, "the excess is more than chance (mathematics.md section 5)"),)),
            one_sided=True,
        )
    )
    chi_square = float(scipy.stats.chisquare(counts[0][1:], exact * counts[0][1:].sum()).pvalue)
    notes = [
        f"lambda / d = {ratio[0]:g}: chi-square test against the exact probabilities, p = {chi_square:.3g} "
        f"(inside the 99.9 % region: {'yes' if chi_square > 1e-3 else 'no'})"
    ]
    for r, table, run in zip(ratio, tables, runs, strict=True):
        total = int(table[-1].sum())
        text = ", ".join(
            f"{c[CLUSTER_COUNT] / total:.1%} at t = {t:.3g}"
            for c, t in zip(table, run.time.values, strict=True)
        )
        notes.append(
            f"lambda / d = {r:.3g}: all four in {text} of {total} runs ({exact[-1]:.1%} for independent picks)"
        )
    samples = {
        "dimension": study.dimension,
        "precisions": list(study.precisions),
        "runs": [int(c.sum()) for c in counts],
    }
    return Outcome(comparisons, samples, [plots.outcome_plot(study, counts)], notes)


def _point(scenario: Scenario) -> SeparatedFixedPoint:
    assert scenario.point is not None  # the systems that name these checks give it
    return scenario.point


def _second_layer(
    theory: Theory, evidence: Evidence, scenario: Scenario, matrix: str, rank: int
) -> dict[str, tuple[float, float]]:
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
    table = {}
    for key, samples in rows.items():
        mean, error = mean_and_error(np.array(samples))
        table[key] = float(mean), float(error)
    return table


def _without_noise(
    precisions: tuple[float, ...], pairs: list[tuple[float, float]], carried: float = 0.0
) -> Extrapolation:
    """Limit lambda -> infinity in powers of lambda^(-1/2), the scale of the noise at a kink."""
    x = [p**-0.5 for p in precisions]
    means, errors = (np.array(column)[:, None] for column in zip(*pairs, strict=True))
    limit = extrapolate(x, means, errors, degree=2)
    return Extrapolation(limit.value, limit.error, limit.remainder + carried)


def _at_limit(
    quantity: str,
    limit: Extrapolation,
    predicted: float,
    z: float,
    dimension: float,
    resolution: float,
) -> Comparison:
    """Compare a limit lambda -> infinity, measured at a finite dimension unless that is infinite."""
    return Comparison(
        quantity,
        float(limit.value[0]),
        predicted,
        Tolerance(
            (
                Part(z * float(limit.error[0]), f"{z:.2f} standard errors (T3)"),
                Part(float(limit.remainder[0]), "next power of lambda^(-1/2) (T4)"),
                Part(1.0 / dimension, "O(1/d) at the dimension of the runs (T4)"),
            )
        ),
        resolution=resolution,
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
    x = [1 / r.attrs["dimension"] for r in runs]
    tables = [_cluster_table(point, run) for run in runs]
    limits = {}
    for key in ("norm", "gap"):
        means, errors = zip(*(mean_and_error(t[key]) for t in tables), strict=True)
        limits[key] = extrapolate(x, means, errors, degree=1)
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
