"""Figures of the checks, drawn from evidence and theory when a report asks for them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from numerics import integrate_curves, population_spectrum
from numerics.core.state import State
from verify import figures
from verify.checks.judged_theory import Theory
from verify.evidence.systems import Scenario
from verify.settings.models import MODELS
from verify.tables.text import scales_text
from verify.verdict.extrapolation import Exponent
from verify.verdict.results import Plot

if TYPE_CHECKING:
    from verify.evidence.evidence import Evidence


TITLES = {"hessian": "Hessian", "gradient": "gradient matrix G"}


def curves_plot(scenario: Scenario, theory: Theory, evidence: Evidence) -> Plot:
    """SGD replicas and their mean against the theoretical curve."""

    def draw() -> Figure:
        runs = evidence.display_runs(scenario)
        curve = integrate_curves(
            theory.model,
            scenario.parameters,
            scenario.initial,
            scenario.times[-1],
            drift=theory.drift,
        )
        title = f"{scenario.name}: {describe(scenario)}"
        return figures.plot_curves(curve, runs, title=title, directions=direction_names(evidence))

    return Plot(
        f"curves-{scenario.name}",
        f"Overlaps, perpendicular Gram matrix and misalignment along training, {scenario.name} scenario: "
        "effective dynamics and direct SGD.",
        draw,
    )


def exponent_plot(
    name: str,
    caption: str,
    x: np.ndarray,
    y: np.ndarray,
    error: np.ndarray,
    fit: Exponent,
    predicted_slope: float,
    xlabel: str,
    ylabel: str,
) -> Plot:
    """A power law with its fitted and predicted exponent; what the caption says before "against" is
    the title.
    """
    title = re.split(r",? against ", caption)[0].removesuffix(".").replace("infinity", "∞")
    return Plot(
        name,
        caption,
        lambda: figures.plot_exponent(
            x,
            y,
            error,
            fit.slope,
            predicted_slope,
            xlabel,
            ylabel,
            title=title,
            slope_error=fit.error,
        ),
    )


def training_plot(theory: Theory, evidence: Evidence, matrix: str) -> Plot:
    """Eigenvalues of the (1, 1) block along training: population values and empirical ones."""
    scenario = evidence.system.scenarios[0]

    def draw() -> Figure:
        runs = evidence.display_runs(scenario)
        times = runs.time.values
        spectra = [
            _population(theory, scenario, _run_state(runs, t), matrix) for t in range(times.size)
        ]
        dimension, aspect = evidence.level.spectrum_dimensions[-1], evidence.level.aspects[-1]
        count = theory.model.directions
        every = slice(0, None, max(1, times.size // 8))
        measured = [
            evidence.spectrum(
                scenario, _run_state(runs, t), matrix, 0, dimension, aspect, f"training {t}"
            ).eigenvalue.values[: count + 1]
            for t in range(times.size)[every]
        ]
        return figures.plot_eigenvalues_along_training(
            times,
            np.array([s.eigenvalue.values[:count] for s in spectra]),
            np.array([s.bulk.values[0] for s in spectra]),
            np.array(measured),
            measured_times=times[every],
            title=(
                f"{TITLES[matrix]} block (1, 1), {describe(scenario)}\n"
                f"dots: test data, d = {dimension}, M/d = {aspect}"
            ),
        )

    return Plot(
        f"training-{matrix}",
        f"Outliers and bulk of the {TITLES[matrix]} block of x^1 along one SGD run: population formula (lines) and "
        "empirical eigenvalues on test data (dots; grey ones are the edge of the bulk).",
        draw,
    )


def heatmap_plots(theory: Theory, evidence: Evidence) -> list[Plot]:
    """The paper's heat maps: SGD against eigenvectors, and both against the means, for a trained
    run.
    """
    precision = evidence.system.precisions[1]
    scenario = evidence.system.trained(precision)[0]
    dimension, aspect = evidence.level.spectrum_dimensions[-1], evidence.level.aspects[-1]

    def draw(matrix: str) -> Figure:
        state = evidence.trained_state(scenario, 0)
        rows, labels = [], []
        for a in range(theory.model.units):
            spectrum = evidence.spectrum(scenario, state, matrix, a, dimension, aspect, "replica 0")
            for i in range(theory.model.directions):
                rows.append(spectrum.mean_overlap.values[i])
                labels.append(f"block ({a + 1}, {a + 1}), eigenvector {i + 1}")
        gram = state.gram(scenario.parameters.directions_gram)
        inverse_norm = 1 / np.sqrt(np.diag(gram))
        means_norm = 1 / np.sqrt(np.diag(scenario.parameters.directions_gram))
        for a in range(theory.model.units):
            rows.append((state.overlap[a] * inverse_norm[a] * means_norm) ** 2)
            labels.append(f"SGD $x^{{{a + 1}}}$")
        names = direction_names(evidence)
        columns = list(names) or [f"mean {s + 1}" for s in range(theory.model.directions)]
        return figures.plot_alignment_heatmap(
            np.array(rows),
            labels,
            columns,
            title=f"{TITLES[matrix]}, λ = {precision:g}, d = {dimension}, M/d = {aspect}",
        )

    return [
        Plot(
            f"heatmap-{matrix}",
            f"Squared cosines of the top eigenvectors of every diagonal block of the empirical {TITLES[matrix]} and of "
            "the trained weights with the class means.",
            lambda matrix=matrix: draw(matrix),  # type: ignore[misc]
        )
        for matrix in ("hessian", "gradient")
    ]


def share_plot(theory: Theory, evidence: Evidence) -> Plot:
    """Share of every x^a in the top eigenspaces of its own blocks, along one SGD run, on test data."""
    scenario = evidence.system.scenarios[0]

    def draw() -> Figure:
        runs = evidence.display_runs(scenario)
        dimension, aspect = evidence.level.spectrum_dimensions[-1], evidence.level.aspects[-1]
        picked = range(0, runs.sizes["time"], max(1, runs.sizes["time"] // 8))
        rows, labels = [], []
        for matrix in TITLES:
            for a in range(theory.model.units):
                rows.append(
                    [
                        evidence.spectrum(
                            scenario,
                            _run_state(runs, t),
                            matrix,
                            a,
                            dimension,
                            aspect,
                            f"training {t}",
                        ).unit_share.values[a]
                        for t in picked
                    ]
                )
                labels.append(
                    f"$x^{{{a + 1}}}$ in {'Hessian' if matrix == 'hessian' else 'G'} ({a + 1}, {a + 1})"
                )
        return figures.plot_alignment_heatmap(
            np.array(rows),
            labels,
            [f"{runs.time.values[t]:.3g}" for t in picked],
            title=f"SGD in the top-{theory.model.directions} eigenspaces, {describe(scenario)}",
            xlabel="time t = steps·δ",
            colorbar_label="share of |x|²",
        )

    return Plot(
        "share-along-training",
        "Share of every weight vector in the top eigenspace of its own Hessian and G block, along one SGD run "
        "(test data).",
        draw,
    )


def direction_names(evidence: Evidence) -> tuple[str, ...]:
    """Names of the directions, where those of the system have any."""
    kind = MODELS.get(evidence.system.name)
    return () if kind is None else kind.direction_names


def describe(scenario: Scenario) -> str:
    """The numbers of a scenario, for a title."""
    return scales_text(scenario.parameters)


def _run_state(runs: xr.Dataset, t: int) -> State:
    one = runs.isel(replica=0, time=t)
    return State(one.overlap.values, one.gram_perp.values, one.readout.values)


def _population(theory: Theory, scenario: Scenario, state: State, matrix: str) -> xr.Dataset:
    return population_spectrum(
        theory.model,
        scenario.parameters,
        state,
        matrix=matrix,
        block=(0, 0),
        blocks=theory.blocks(matrix),
    )
