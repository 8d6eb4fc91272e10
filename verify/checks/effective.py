"""Checks of effective spectra: their limit of many data, and those of train data against test."""

from __future__ import annotations

import numpy as np

from numerics import State, effective_spectrum
from numerics.expectations.quadrature import replicate_error
from numerics.proportional.limiting_spectrum import solve_all
from numerics.proportional.rule_choice import quadrature_rules
from numerics.proportional.weight_nodes import WeightNodes
from verify.evidence.evidence import Evidence
from verify.evidence.systems import Scenario
from verify.verdict.compare import compare, compare_limit
from verify.verdict.extrapolation import (
    extrapolate,
    extrapolate_means,
    fit_exponent,
    mean_and_error,
)
from verify.verdict.results import Outcome
from verify.verdict.tolerance import Chance, Part

from .judged_theory import MATRICES, Theory

# phi -> infinity is looked at from here
LARGE_ASPECTS = (20.0, 60.0, 180.0, 540.0)


def large_aspect(theory: Theory, evidence: Evidence) -> Outcome:
    """As M/d -> infinity the effective theory tends to the population formulas, like d/M."""
    scenario = evidence.system.scenarios[0]
    state = evidence.one_state(scenario)
    comparisons = []
    for matrix in MATRICES:
        population = theory.population_spectrum(
            scenario, state, matrix, 0, evidence.system.quadrature
        )
        values, bulk = population.eigenvalue.values, float(population.bulk.values.max())
        places, errors = _outliers_at_large_aspects(theory, scenario, state, matrix)
        exact = values[values > bulk][: places.shape[1]]
        fit = extrapolate(1 / np.array(LARGE_ASPECTS), places, errors + 1e-14, degree=2)
        own = float(population.attrs["error_estimate"])
        where = f"{scenario.name}, {matrix} block (1, 1)"
        comparisons += [
            compare(
                f"{where}: outlier {i + 1}, M/d -> infinity, against the population",
                fit.value[i],
                value,
                Part(fit.remainder[i], "next power of d/M (T4)"),
                Part(3 * errors[:, i].max() + own, "quadrature on both sides (T2)"),
                resolution=0.01 * abs(value),
            )
            for i, value in enumerate(exact)
        ]
        gaps = _gaps_by_the_same_nodes(theory, scenario, state, matrix)
        fits = [fit_exponent(LARGE_ASPECTS, gap, np.ones(gap.size)) for gap in gaps]
        slopes = np.array([fit.slope for fit in fits])
        comparisons.append(
            compare(
                f"{where}: exponent of M/d in |outlier 1 - population|",
                slopes.mean(),
                -1.0,
                Part(
                    max(abs(fit.curvature) for fit in fits) + 1 / min(LARGE_ASPECTS),
                    "next power of d/M bends the line (T4)",
                ),
                Part(
                    float(replicate_error(slopes)),
                    "quadrature, by the same nodes on both sides (T2)",
                ),
                resolution=0.1,
            )
        )
    return Outcome(comparisons, {"M/d": list(LARGE_ASPECTS)})


def _outliers_at_large_aspects(
    theory: Theory, scenario: Scenario, state: State, matrix: str
) -> tuple[np.ndarray, np.ndarray]:
    """Outliers on the right of block (1, 1) that all aspect ratios have, and errors of quadrature:
    (M/d, outlier).
    """
    spectra = [
        effective_spectrum(
            theory.model,
            scenario.parameters,
            state,
            ratio,
            matrix=matrix,
            block=(0, 0),
            regularized=False,
            density=False,
            tail=0.0,
        )
        for ratio in LARGE_ASPECTS
    ]
    right = [s.side.values == 1 for s in spectra]
    count = min(chosen.sum() for chosen in right)
    places, errors = (
        np.array([s[name].values[chosen][:count] for s, chosen in zip(spectra, right, strict=True)])
        for name in ("outliers", "outlier_error")
    )
    return places, errors


def _gaps_by_the_same_nodes(
    theory: Theory, scenario: Scenario, state: State, matrix: str
) -> np.ndarray:
    """Distances of outlier 1 of block (1, 1) from its population value: (rule, M/d).

    Far out they are smaller than the quadrature errors of either, which hide their exponent.  With
    E[K ww^T] of the same nodes for the population these errors are nearly equal, and cancel; how
    well, the rules say: both of a pair, or four scramblings.  Two of these would leave Student's
    interval one degree of freedom, and an error a thousand times what they differ by.
    """
    nodes = WeightNodes(theory.model, scenario.parameters, state, matrix, (0, 0))
    rules = quadrature_rules(nodes, theory.model, seed=0)[-4:]
    places = [
        [max(outlier.place for outlier in run.outliers) for run in solve_all(nodes, rules, ratio)]
        for ratio in LARGE_ASPECTS
    ]
    population = []
    for rule, replicate in rules:
        law = nodes.law(rule, replicate)
        weights = law.probability * law.weight[:, 0, 0]
        on_span = np.tensordot(weights, law.moment[:, :-1, :-1], axes=1)
        population.append(np.linalg.eigvalsh(on_span)[-1])
    return np.asarray(np.abs(np.array(places) - population).T)


def train_spectra(theory: Theory, evidence: Evidence) -> Outcome:
    """Spectra of the samples that trained the weights align like those of fresh ones, and tend to
    them like d/M.
    """
    scenario, level = evidence.system.scenarios[0], evidence.level
    ratios, replicas = level.train_ratios, level.train_replicas
    data = [
        evidence.train_and_test(scenario, level.train_dimension, ratio, replicas)
        for ratio in ratios
    ]
    comparisons = []
    for matrix in MATRICES:
        pairs = [
            (d.sel(matrix=matrix, data="train"), d.sel(matrix=matrix, data="test")) for d in data
        ]
        train, test = pairs[0]
        mean, error = mean_and_error((train.overlap - test.overlap).values)
        comparisons.append(
            compare(
                f"{matrix} block (1, 1), M/d = {ratios[0]}: overlap of the top eigenvector with the"
                " span, test minus train (at most 0)",
                -mean,
                0.0,
                Chance(float(error), replicas - 1),
                Part(0.5 / level.train_dimension, "finite d (T4)"),
                resolution=0.1,
                one_sided=True,
            )
        )
        for name, resolution in (("outlier", 0.1), ("overlap", 0.05)):
            excess = [
                (train[name].values - test[name].values) / test[name].values.mean()
                for train, test in pairs
            ]
            comparisons.append(
                compare_limit(
                    f"{matrix} block (1, 1): {name} of train over that of test data, minus 1,"
                    " M/d -> infinity",
                    extrapolate_means(1 / np.array(ratios), excess),
                    0.0,
                    Part(1 / level.train_dimension, "finite d (T4)"),
                    resolution=resolution,
                    degrees=replicas - 1,
                    remainder="next power of d/M (T4)",
                )
            )
    samples = {"dimension": level.train_dimension, "M/d": list(ratios), "replicas": replicas}
    return Outcome(comparisons, samples)
