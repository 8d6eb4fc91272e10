"""Check of loss and accuracy along training: expected at the theoretical curve, and of SGD on fresh
data.
"""

from __future__ import annotations

import numpy as np

from numerics.data.risk import population_risk
from verify.evidence.evidence import Evidence
from verify.figures import of_layer_checks as plots
from verify.verdict.extrapolation import extrapolate, mean_and_error
from verify.verdict.results import Outcome
from verify.verdict.tolerance import Comparison, Part, Tolerance, critical_value

from .judged_theory import Theory

MEASURES = ("loss", "accuracy")


def risk(theory: Theory, evidence: Evidence, share: float) -> Outcome:
    """Loss and accuracy of SGD on fresh data, d to infinity, are those of the effective dynamics."""
    scenarios = evidence.system.scenarios
    z = critical_value(
        len(MEASURES) * sum(len(s.times) for s in scenarios),
        share,
        evidence.level.risk_replicas - 1,
    )
    comparisons = []
    for scenario in scenarios:
        curve = theory.curve(scenario)
        expected = population_risk(theory.model, scenario.parameters, curve)
        runs = [evidence.fresh_risk(scenario, d) for d in evidence.level.dimensions]
        x = [1 / d for d in evidence.level.dimensions]
        # |grad ell| is about 1 at most, so the error of the curve moves the loss by about its own
        # size a statistic
        carried = float(np.sqrt(theory.model.units)) * float(curve.attrs["error_estimate"])
        for name in MEASURES:
            means, errors = zip(*(mean_and_error(r[name].values) for r in runs), strict=True)
            limit = extrapolate(x, means, errors, degree=1)
            comparisons += [
                Comparison(
                    f"{scenario.name}: {name} on fresh data at t = {time:g}, d -> infinity",
                    float(limit.value[t]),
                    float(expected[name][t]),
                    Tolerance(
                        (
                            Part(
                                z * float(limit.error[t]), f"{z:.2f} standard errors, Student (T3)"
                            ),
                            Part(float(limit.remainder[t]), "next power of 1/d (T4)"),
                            Part(
                                float(expected[f"{name}_error"][t]) + carried,
                                "quadrature and curve (T2)",
                            ),
                        )
                    ),
                    resolution=0.03,
                )
                for t, time in enumerate(scenario.times)
            ]
    samples = {
        "dimensions": list(evidence.level.dimensions),
        "replicas": evidence.level.risk_replicas,
        "fresh samples of each": evidence.level.risk_samples,
    }
    return Outcome(comparisons, samples, [plots.risk_plot(s, theory, evidence) for s in scenarios])
