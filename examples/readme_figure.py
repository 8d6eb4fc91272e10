"""Draw the figures of README and docs: dynamics against SGD, alignment, predicted spectra beside
data.

Run from the repository root: ``PYTHONPATH=. python examples/readme_figure.py`` (about a minute).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from numerics import (
    Curve,
    Parameters,
    State,
    draw_data,
    effective_spectrum,
    emergence,
    empirical_spectrum,
    phase_diagram,
    solve_curve,
)
from numerics.proportional.measured_outliers import measure_outliers
from theory import Model, kgmm
from verify.checks.displays import curves_exhibit, weight_shares_exhibit
from verify.checks.judged_theory import Theory
from verify.evidence.evidence import Evidence
from verify.evidence.levels import get_level
from verify.evidence.systems import get_system
from verify.figures.effective import plot_effective_spectrum
from verify.figures.emergence import plot_emergence, plot_phase_diagram
from verify.figures.of_exhibits import draw
from verify.figures.style import save_figure


def main() -> None:
    """Write the figures into docs/img."""
    evidence = Evidence(get_system("kgmm"), get_level("quick"), seed=0)
    theory = Theory.derive(evidence.system.model)
    target = Path("docs/img")
    curves = curves_exhibit(evidence.system.scenarios[0], theory, evidence)
    save_figure(draw(curves.data()), target / "curves.png")
    shares = weight_shares_exhibit(theory, evidence)
    save_figure(draw(shares.data()), target / "alignment.png")
    save_figure(effective_figure(), target / "effective.png")
    save_figure(emergence_figure(), target / "emergence.png")
    save_figure(phase_figure(), target / "phases.png")


def effective_figure() -> Figure:
    """Full softmax Hessian of three classes: theory and one draw."""
    model, parameters = kgmm(3), Parameters([0.5, 0.3, 0.2], precision=10, ridge=0, step=1)
    state = State(2 * np.eye(3) - 0.5, 0.5 * np.eye(3) + 0.1)
    predicted = effective_spectrum(model, parameters, state, aspect_ratio=4)
    data = draw_data(model, parameters, state, dimension=400, samples=1600, seed=1)
    outliers, eigenvalues = measure_outliers(data, predicted)
    return plot_effective_spectrum(
        predicted, eigenvalues, outliers, data_label="data, d = 400, M = 1600"
    )


def emergence_figure() -> Figure:
    """Two classes, little precision: the second outlier merges."""
    model, parameters = kgmm(2), Parameters([0.5, 0.5], precision=2, ridge=0.05, step=1)
    curve = solve_curve(model, parameters, State(np.zeros((2, 2)), 0.01 * np.eye(2)), 8)
    course = emergence(model, parameters, curve, 4, block=(0, 0), time=np.linspace(0, 8, 33))
    times = np.linspace(0, 8, 9)
    draws = [[_leading(curve, model, parameters, t, seed) for seed in range(4)] for t in times]
    measured = xr.Dataset(
        {"eigenvalue": (("time", "replica", "eigen"), draws)}, coords={"time": times}
    )
    return plot_emergence(course, measured)


def _leading(
    curve: Curve, model: Model, parameters: Parameters, time: float, seed: int
) -> list[float]:
    found = empirical_spectrum(
        model,
        parameters,
        curve.state(time),
        dimension=400,
        samples=1600,
        seed=seed,
        block=(0, 0),
        count=2,
    )
    return list(found.eigenvalue.values)


def phase_figure() -> Figure:
    """Two classes at a trained state."""
    parameters, trained = (
        Parameters([0.5, 0.5], 1, 0.05, 1),
        State([[0.5, -0.5], [-0.5, 0.5]], 0.1 * np.eye(2)),
    )
    return plot_phase_diagram(
        phase_diagram(
            kgmm(2), parameters, trained, np.geomspace(0.2, 20, 13), np.geomspace(0.5, 32, 10)
        )
    )


if __name__ == "__main__":
    main()
