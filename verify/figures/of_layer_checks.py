"""Plots of the checks of two-layer systems, drawn from evidence and theory when a report asks for
them.
"""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from numerics import eigenspace_share, integrate_curves, population_risk, readout_features
from verify.checks.judged_theory import Theory
from verify.evidence.evidence import Evidence
from verify.evidence.run_states import state_of
from verify.evidence.systems import OutcomeStudy, Scenario
from verify.verdict.results import Plot

from . import layers as layer_figures
from .layers import HeatPanel
from .of_checks import TITLES, describe

# records of a display run that heat maps show
COLUMNS = 7


def side_by_side_plot(theory: Theory, evidence: Evidence) -> Plot:
    """An optimal and a sub-optimal run: all overlaps and readouts, SGD replicas and theory."""

    def draw() -> Figure:
        pairs = []
        for scenario in evidence.system.scenarios:
            curve = integrate_curves(
                theory.model,
                scenario.parameters,
                scenario.initial,
                scenario.times[-1],
                drift=theory.drift,
                tolerance=scenario.tolerance,
            )
            pairs.append(
                (f"{scenario.name}: {describe(scenario)}", curve, evidence.display_runs(scenario))
            )
        return layer_figures.plot_side_by_side(
            pairs, ["μ", "ν"], "Overlaps and readouts along training, d = 256"
        )

    return Plot(
        "side-by-side",
        "Overlaps of every unit with the two directions, and readouts: an optimal run, which separates all clusters, "
        "beside a sub-optimal one, which leaves one cluster out; twenty SGD runs each.",
        draw,
    )


def layer_heatmap_plots(theory: Theory, evidence: Evidence) -> list[Plot]:
    """Four heat maps for each scenario: both layers of SGD in the eigenspaces of Hessian and G, on
    test data.
    """

    def draw(scenario: Scenario) -> Figure:
        runs = evidence.display_runs(scenario)
        picked = range(0, runs.sizes["time"], max(1, (runs.sizes["time"] - 1) // (COLUMNS - 1)))
        dimension, aspect = evidence.level.spectrum_dimensions[-1], evidence.level.aspects[-1]
        states = [state_of(runs, 0, t) for t in picked]
        units = range(theory.model.units)
        panels = []
        for matrix, text in TITLES.items():
            shares = [
                [
                    float(
                        evidence.spectrum(
                            scenario, state, matrix, a, dimension, aspect, f"training {t}"
                        ).unit_share.values[a]
                    )
                    for t, state in zip(picked, states, strict=True)
                ]
                for a in units
            ]
            panels.append(
                HeatPanel(
                    f"$W_i$ in the top 2 of the {text}, block (i, i)",
                    np.array(shares),
                    [f"$W_{a + 1}$" for a in units],
                )
            )
        for matrix, text in TITLES.items():
            cosines, inside = [], []
            for t, state in zip(picked, states, strict=True):
                spectrum = evidence.readout_spectrum(scenario, state, matrix, f"training {t}")
                vectors = spectrum.eigenvector.values
                cosines.append((vectors @ state.readout) ** 2 / np.sum(state.readout**2))
                features = readout_features(
                    theory.model, scenario.parameters, state, theory.features
                )
                inside.append(float(eigenspace_share(features, state.readout)))
            rows = [*(f"eigenvector {i + 1}" for i in range(vectors.shape[0])), "features"]
            values = np.concatenate([np.array(cosines).T, np.array(inside)[None]])
            panels.append(HeatPanel(f"$v$ along the {text}, block (v, v)", values, rows))
        return layer_figures.plot_layer_heatmaps(
            panels,
            [f"{runs.time.values[t]:.3g}" for t in picked],
            f"{scenario.name}: {describe(scenario)}; test data, d = {dimension}, M/d = {aspect}",
        )

    return [
        Plot(
            f"layers-{scenario.name}",
            f"Alignment along one SGD run, {scenario.name} scenario: share of every first-layer vector in the top two "
            "eigenvectors of its own Hessian and G block; squared cosines of the readout with the eigenvectors of its "
            "blocks, and its share in the span of the feature vectors.",
            lambda scenario=scenario: draw(scenario),  # type: ignore[misc]
        )
        for scenario in evidence.system.scenarios
    ]


def risk_plot(scenario: Scenario, theory: Theory, evidence: Evidence) -> Plot:
    """Loss and accuracy along training."""

    def draw() -> Figure:
        dimension = evidence.level.dimensions[-1]
        curve = integrate_curves(
            theory.model,
            scenario.parameters,
            scenario.initial,
            np.linspace(0, scenario.times[-1], 25),
            drift=theory.drift,
            tolerance=scenario.tolerance,
        )
        return layer_figures.plot_risk(
            population_risk(theory.model, scenario.parameters, curve),
            evidence.fresh_risk(scenario, dimension),
            f"{scenario.name}: {describe(scenario)}",
            f"SGD on fresh data, d = {dimension}",
        )

    return Plot(
        f"risk-{scenario.name}",
        f"Expected loss and accuracy along the effective dynamics, {scenario.name} scenario, and the mean of SGD runs "
        "on fresh data with two standard errors.",
        draw,
    )


def outcome_plot(study: OutcomeStudy, counts: list[np.ndarray]) -> Plot:
    """Distribution of the number of separated clusters, and its departure from independent picks."""
    ratios = [p / study.dimension for p in study.precisions]
    return Plot(
        "outcomes",
        "Number of clusters that runs from random starts separate, and the frequency of all four against the precision "
        "per dimension; dashed: every unit picks a cluster independently.",
        lambda: layer_figures.plot_outcomes(
            ratios,
            counts,
            study.probabilities,
            f"K = {study.model.units}, β = {study.ridge:g}, d = {study.dimension}",
        ),
    )
