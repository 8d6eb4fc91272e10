"""Exhibits that need runs, curves or spectra of their own: made when a report asks for them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import xarray as xr

from numerics import State, eigenspace_share, integrate_curves, population_risk, readout_features
from verify.evidence.evidence import Evidence
from verify.evidence.run_states import state_of
from verify.evidence.systems import OutcomeStudy, Scenario
from verify.verdict.results import Exhibit

from .exhibits import (
    TITLES,
    Array,
    Curves,
    LayerShares,
    Outcomes,
    Risk,
    SideBySide,
    TrainedVectors,
    TrainingSpectrum,
    WeightShares,
)
from .judged_theory import MATRICES, Theory

# records of a display run that heat maps show
COLUMNS = 7
# error of what is drawn as a line, over that of what is judged
LINE_SHARE = 10.0


def curves_exhibit(scenario: Scenario, theory: Theory, evidence: Evidence) -> Exhibit:
    """SGD replicas and their mean against the theoretical curve."""
    return Exhibit(
        f"curves-{scenario.name}",
        "Overlaps, perpendicular Gram matrix and misalignment along training, "
        f"{scenario.name} scenario: effective dynamics and direct SGD.",
        lambda: _curves(scenario, theory, evidence, tolerance=None),
    )


def side_by_side_exhibit(theory: Theory, evidence: Evidence) -> Exhibit:
    """An optimal and a sub-optimal run: all overlaps and readouts, SGD replicas and theory."""
    return Exhibit(
        "side-by-side",
        "Overlaps of every unit with the two directions, and readouts: an optimal run, which "
        "separates all clusters, beside a sub-optimal one, which leaves one cluster out; twenty "
        "SGD runs each.",
        lambda: SideBySide(
            tuple(_curves(s, theory, evidence, s.tolerance) for s in evidence.system.scenarios)
        ),
    )


def _curves(
    scenario: Scenario, theory: Theory, evidence: Evidence, tolerance: float | None
) -> Curves:
    curve = integrate_curves(
        theory.model,
        scenario.parameters,
        scenario.initial,
        scenario.times[-1],
        drift=theory.drift,
        tolerance=tolerance,
    )
    return Curves(evidence.system.name, scenario, curve, evidence.display_runs(scenario))


def training_exhibit(theory: Theory, evidence: Evidence, matrix: str) -> Exhibit:
    """Eigenvalues of the (1, 1) block along training: population values and empirical ones."""
    return Exhibit(
        f"training-{matrix}",
        f"Outliers and bulk of the {TITLES[matrix]} block of x^1 along one SGD run: population "
        "formula (lines) and empirical eigenvalues on test data (dots; grey ones are the edge of "
        "the bulk).",
        lambda: _training_spectrum(theory, evidence, matrix),
    )


def _training_spectrum(theory: Theory, evidence: Evidence, matrix: str) -> TrainingSpectrum:
    along = _TestSpectra(evidence, evidence.system.scenarios[0])
    times, count = along.runs.time.values, theory.model.directions
    asked = evidence.system.quadrature
    tolerance = None if asked is None else LINE_SHARE * asked
    spectra = [
        theory.population_spectrum(along.scenario, along.state(t), matrix, 0, tolerance)
        for t in range(times.size)
    ]
    every = slice(0, None, max(1, times.size // 8))
    measured = [along.block(matrix, 0, t) for t in range(times.size)[every]]
    return TrainingSpectrum(
        along.scenario,
        matrix,
        along.dimension,
        along.aspect,
        times,
        np.array([s.eigenvalue.values[:count] for s in spectra]),
        np.array([s.bulk.values[0] for s in spectra]),
        times[every],
        np.array([s.eigenvalue.values[: count + 1] for s in measured]),
    )


def trained_vectors_exhibits(theory: Theory, evidence: Evidence) -> list[Exhibit]:
    """The paper's heat maps, for a trained run.

    SGD against eigenvectors, and both against the means.
    """
    return [
        Exhibit(
            f"heatmap-{matrix}",
            "Squared cosines of the top eigenvectors of every diagonal block of the empirical "
            f"{TITLES[matrix]} and of the trained weights with the class means.",
            partial(_trained_vectors, theory, evidence, matrix),
        )
        for matrix in MATRICES
    ]


def _trained_vectors(theory: Theory, evidence: Evidence, matrix: str) -> TrainedVectors:
    precision = evidence.system.precisions[1]
    scenario = evidence.system.trained(precision)[0]
    dimension, aspect = _test_size(evidence)
    state = evidence.trained_state(scenario, 0)
    spectra = [
        evidence.spectrum(scenario, state, matrix, a, dimension, aspect, "replica 0")
        for a in range(theory.model.units)
    ]
    gram = scenario.parameters.directions_gram
    lengths = np.sqrt(np.outer(np.diag(state.gram(gram)), np.diag(gram)))
    return TrainedVectors(
        evidence.system.name,
        matrix,
        precision,
        dimension,
        aspect,
        np.array([s.mean_overlap.values[: theory.model.directions] for s in spectra]),
        (state.overlap / lengths) ** 2,
    )


def weight_shares_exhibit(theory: Theory, evidence: Evidence) -> Exhibit:
    """Share of every x^a in the top eigenspaces of its own blocks, along one SGD run, on test
    data.
    """

    def data() -> WeightShares:
        along = _TestSpectra(evidence, evidence.system.scenarios[0])
        count = along.runs.sizes["time"]
        chosen = range(0, count, max(1, count // 8))
        units = range(theory.model.units)
        return WeightShares(
            along.scenario,
            along.runs.time.values[chosen],
            {matrix: along.weight_shares(matrix, units, chosen) for matrix in MATRICES},
        )

    return Exhibit(
        "share-along-training",
        "Share of every weight vector in the top eigenspace of its own Hessian and G block, along "
        "one SGD run (test data).",
        data,
    )


def layer_shares_exhibits(theory: Theory, evidence: Evidence) -> list[Exhibit]:
    """Both layers of SGD in the eigenspaces of Hessian and G, along a run of each scenario."""
    return [
        Exhibit(
            f"layers-{scenario.name}",
            f"Alignment along one SGD run, {scenario.name} scenario: share of every first-layer "
            "vector in the top two eigenvectors of its own Hessian and G block; squared cosines "
            "of the readout with the eigenvectors of its blocks, and its share in the span of the "
            "feature vectors.",
            partial(_layer_shares, theory, evidence, scenario),
        )
        for scenario in evidence.system.scenarios
    ]


def _layer_shares(theory: Theory, evidence: Evidence, scenario: Scenario) -> LayerShares:
    along = _TestSpectra(evidence, scenario)
    count = along.runs.sizes["time"]
    chosen = range(0, count, max(1, (count - 1) // (COLUMNS - 1)))
    units = range(theory.model.units)
    return LayerShares(
        scenario,
        along.dimension,
        along.aspect,
        along.runs.time.values[chosen],
        {matrix: along.weight_shares(matrix, units, chosen) for matrix in MATRICES},
        {matrix: _readout_shares(theory, along, matrix, chosen) for matrix in MATRICES},
    )


def _readout_shares(
    theory: Theory, along: _TestSpectra, matrix: str, chosen: Sequence[int]
) -> Array:
    rows = []
    for t in chosen:
        state = along.state(t)
        vectors = along.readout(matrix, t).eigenvector.values
        cosines = (vectors @ state.readout) ** 2 / np.sum(state.readout**2)
        features = readout_features(theory.model, along.scenario.parameters, state, theory.features)
        rows.append([*cosines, float(eigenspace_share(features, state.readout))])
    return np.array(rows).T


def risk_exhibit(scenario: Scenario, theory: Theory, evidence: Evidence) -> Exhibit:
    """Loss and accuracy along training."""

    def data() -> Risk:
        dimension = evidence.level.dimensions[-1]
        curve = integrate_curves(
            theory.model,
            scenario.parameters,
            scenario.initial,
            np.linspace(0, scenario.times[-1], 25),
            drift=theory.drift,
            tolerance=scenario.tolerance,
        )
        expected = population_risk(theory.model, scenario.parameters, curve)
        return Risk(scenario, dimension, expected, evidence.fresh_risk(scenario, dimension))

    return Exhibit(
        f"risk-{scenario.name}",
        f"Expected loss and accuracy along the effective dynamics, {scenario.name} scenario, and "
        "the mean of SGD runs on fresh data with two standard errors.",
        data,
    )


def outcomes_exhibit(study: OutcomeStudy, counts: Sequence[np.ndarray]) -> Exhibit:
    """Distribution of the number of separated clusters, and its departure from independent
    picks.
    """
    return Exhibit(
        "outcomes",
        "Number of clusters that runs from random starts separate, and the frequency of all four "
        "against the precision per dimension; dashed: every unit picks a cluster independently.",
        lambda: Outcomes(study, counts),
    )


def _test_size(evidence: Evidence) -> tuple[int, int]:
    """Dimension and M/d of the test data that exhibits show."""
    return evidence.level.spectrum_dimensions[-1], evidence.level.aspects[-1]


class _TestSpectra:
    """Spectra of test data at the records of one display run."""

    def __init__(self, evidence: Evidence, scenario: Scenario) -> None:
        self.evidence, self.scenario = evidence, scenario
        self.runs = evidence.display_runs(scenario)
        self.dimension, self.aspect = _test_size(evidence)

    def state(self, t: int) -> State:
        return state_of(self.runs, 0, t)

    def block(self, matrix: str, unit: int, t: int) -> xr.Dataset:
        """Block (unit, unit) of a matrix."""
        return self.evidence.spectrum(
            self.scenario, self.state(t), matrix, unit, self.dimension, self.aspect, f"training {t}"
        )

    def readout(self, matrix: str, t: int) -> xr.Dataset:
        """Block (v, v) of a matrix."""
        return self.evidence.readout_spectrum(self.scenario, self.state(t), matrix, f"training {t}")

    def weight_shares(self, matrix: str, units: Sequence[int], chosen: Sequence[int]) -> Array:
        """Share of x^a in the top eigenspace of block (a, a): (unit, time)."""
        return np.array(
            [[self.block(matrix, a, t).unit_share.values[a] for t in chosen] for a in units]
        )
