"""The effective dynamics of a network against the reduced chain and against direct SGD."""

from __future__ import annotations

from verify.checks.judged_theory import Theory
from verify.evidence.evidence import Evidence
from verify.evidence.run_states import inverse_dimensions, statistics_matrix
from verify.verdict.compare import compare_limit
from verify.verdict.extrapolation import extrapolate_means
from verify.verdict.results import Outcome
from verify.verdict.tolerance import Part

# large dimensions cost the reduced chain steps alone
CHAIN_DIMENSIONS, CHAIN_REPLICAS = (1_000, 4_000), (300, 120)


def drift(theory: Theory, evidence: Evidence) -> Outcome:
    """SGD of a network follows the effective dynamics: the reduced chain in large dimensions, and
    direct runs, d to infinity.
    """
    comparisons = []
    for i, scenario in enumerate(evidence.system.scenarios):
        curve = theory.curve(scenario)
        predicted = statistics_matrix(curve)
        own = Part(curve.attrs["error_estimate"], "integration and quadrature (T2)")
        sizes = zip(CHAIN_DIMENSIONS, CHAIN_REPLICAS, strict=True)
        sources = [
            ("chain", [evidence.runs(scenario, d, n, method="reduced") for d, n in sizes], 0.03)
        ]
        if i == 0:
            sources.append(("direct", evidence.curve_runs(scenario), 0.15))
        for source, runs, resolution in sources:
            limit = extrapolate_means(inverse_dimensions(runs), map(statistics_matrix, runs))
            comparisons += [
                compare_limit(
                    f"{scenario.name}, {source}: {name} at t = {time:g}, d -> infinity",
                    limit[t, j],
                    predicted[t, j],
                    own,
                    resolution=resolution,
                )
                for t, time in enumerate(scenario.times)
                for j, name in enumerate(theory.statistic_names)
            ]
    samples = {
        "dimensions of the chain": list(CHAIN_DIMENSIONS),
        "replicas of the chain": list(CHAIN_REPLICAS),
        "dimensions of direct runs": list(evidence.level.dimensions),
    }
    return Outcome(comparisons, samples)
