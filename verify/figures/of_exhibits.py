"""Figures of what checks show: one drawing function for every kind of exhibit."""

from __future__ import annotations

from functools import singledispatch

import numpy as np
from matplotlib.figure import Figure

from verify.checks import exhibits
from verify.checks.exhibits import TITLES
from verify.evidence.systems import Scenario
from verify.settings.models import MODELS
from verify.tables.text import scales_text

from .curves import plot_curves
from .exponents import plot_exponent
from .heatmaps import plot_alignment_heatmap
from .networks.layers import HeatPanel, plot_layer_heatmaps
from .networks.runs import plot_outcomes, plot_risk, plot_side_by_side
from .spectra import plot_eigenvalues_along_training


@singledispatch
def draw(record: object) -> Figure:
    """The figure of one of the records of :mod:`verify.checks.exhibits`."""
    raise TypeError(f"no figure of a {type(record).__name__}")


@draw.register
def _(record: exhibits.PowerLaw) -> Figure:
    return plot_exponent(
        record.x,
        record.y,
        record.error,
        record.fit.slope,
        record.predicted,
        record.x_label,
        record.y_label,
        title=record.title,
        slope_error=record.fit.error,
    )


@draw.register
def _(record: exhibits.Curves) -> Figure:
    return plot_curves(
        record.curve,
        record.runs,
        title=_described(record.scenario),
        directions=_direction_names(record.system),
    )


@draw.register
def _(record: exhibits.SideBySide) -> Figure:
    return plot_side_by_side(
        [(_described(c.scenario), c.curve, c.runs) for c in record.columns],
        ["μ", "ν"],
        f"Overlaps and readouts along training, d = {record.columns[0].runs.attrs['dimension']}",
    )


@draw.register
def _(record: exhibits.TrainingSpectrum) -> Figure:
    return plot_eigenvalues_along_training(
        record.times,
        record.eigenvalues,
        record.bulk,
        record.measured,
        measured_times=record.measured_times,
        title=(
            f"{TITLES[record.matrix]} block (1, 1), {scales_text(record.scenario.parameters)}\n"
            f"dots: test data, d = {record.dimension}, M/d = {record.aspect}"
        ),
    )


@draw.register
def _(record: exhibits.TrainedVectors) -> Figure:
    units, eigen, directions = record.eigenvectors.shape
    names = [
        f"block ({a + 1}, {a + 1}), eigenvector {i + 1}" for a in range(units) for i in range(eigen)
    ]
    return plot_alignment_heatmap(
        np.concatenate([record.eigenvectors.reshape(-1, directions), record.weights]),
        [*names, *(f"SGD $x^{{{a + 1}}}$" for a in range(units))],
        list(_direction_names(record.system)) or [f"mean {s + 1}" for s in range(directions)],
        title=(
            f"{TITLES[record.matrix]}, λ = {record.precision:g}, "
            f"d = {record.dimension}, M/d = {record.aspect}"
        ),
    )


@draw.register
def _(record: exhibits.WeightShares) -> Figure:
    labels = [
        f"$x^{{{a + 1}}}$ in {'Hessian' if matrix == 'hessian' else 'G'} ({a + 1}, {a + 1})"
        for matrix, shares in record.shares.items()
        for a in range(len(shares))
    ]
    parameters = record.scenario.parameters
    rank = len(parameters.directions_gram)
    return plot_alignment_heatmap(
        np.concatenate(list(record.shares.values())),
        labels,
        _time_labels(record.times),
        title=f"SGD in the top-{rank} eigenspaces, {scales_text(parameters)}",
        xlabel="time t = steps·δ",
        colorbar_label="share of |x|²",
    )


@draw.register
def _(record: exhibits.LayerShares) -> Figure:
    panels = [
        HeatPanel(
            f"$W_i$ in the top 2 of the {TITLES[matrix]}, block (i, i)",
            shares,
            [f"$W_{a + 1}$" for a in range(len(shares))],
        )
        for matrix, shares in record.weights.items()
    ]
    panels += [
        HeatPanel(
            f"$v$ along the {TITLES[matrix]}, block (v, v)",
            shares,
            [*(f"eigenvector {i}" for i in range(1, len(shares))), "features"],
        )
        for matrix, shares in record.readout.items()
    ]
    data = f"test data, d = {record.dimension}, M/d = {record.aspect}"
    title = f"{_described(record.scenario)}; {data}"
    return plot_layer_heatmaps(panels, _time_labels(record.times), title)


@draw.register
def _(record: exhibits.Risk) -> Figure:
    note = f"SGD on fresh data, d = {record.dimension}"
    return plot_risk(record.curve, record.runs, _described(record.scenario), note)


@draw.register
def _(record: exhibits.Outcomes) -> Figure:
    study = record.study
    return plot_outcomes(
        [p / study.dimension for p in study.precisions],
        record.counts,
        study.probabilities,
        f"K = {study.model.units}, β = {study.ridge:g}, d = {study.dimension}",
    )


def _described(scenario: Scenario) -> str:
    return f"{scenario.name}: {scales_text(scenario.parameters)}"


def _direction_names(system: str) -> tuple[str, ...]:
    """Names of the directions, where those of the system have any."""
    return MODELS[system].direction_names if system in MODELS else ()


def _time_labels(times: exhibits.Array) -> list[str]:
    return [f"{time:.3g}" for time in times]
