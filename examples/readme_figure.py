"""Draw figures of the docs: alignment, and predicted spectra beside data.

That of the README is the one its caption names the command of.

Run from the repository root: ``PYTHONPATH=. python examples/readme_figure.py`` (about a minute).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

import specalign as sa
from verify.checks.displays import weight_shares_exhibit
from verify.figures.of_exhibits import draw


def main() -> None:
    """Write the figures into docs/img."""
    evidence = sa.Evidence(sa.get_system("kgmm"), sa.get_level("quick"), seed=0)
    theory = sa.Theory.derive(evidence.system.model)
    target = Path("docs/img")
    shares = weight_shares_exhibit(theory, evidence)
    sa.save_figure(draw(shares.data()), target / "alignment.png")
    sa.save_figure(effective_figure(), target / "effective.png")
    sa.save_figure(emergence_figure(), target / "emergence.png")
    sa.save_figure(phase_figure(), target / "phases.png")


def effective_figure() -> Figure:
    """Full softmax Hessian of three classes: theory and one draw."""
    problem = sa.Problem(sa.kgmm(3), weights=[0.5, 0.3, 0.2], precision=10, ridge=0, step=1)
    state = sa.State(2 * np.eye(3) - 0.5, 0.5 * np.eye(3) + 0.1)
    predicted = sa.effective_spectrum(problem, state, aspect_ratio=4)
    data = sa.draw_data(problem, state, dimension=400, samples=1600, seed=1)
    outliers, eigenvalues = sa.measure_outliers(data, predicted)
    return sa.plot_effective_spectrum(
        predicted, eigenvalues, outliers, data_label="data, d = 400, M = 1600"
    )


def emergence_figure() -> Figure:
    """Two classes, little precision: the second outlier merges."""
    problem = sa.Problem(sa.kgmm(2), weights=[0.5, 0.5], precision=2, ridge=0.05, step=1)
    curve = sa.solve_curve(problem, sa.State(np.zeros((2, 2)), 0.01 * np.eye(2)), 8)
    course = sa.emergence(problem, curve, 4, block=(0, 0))
    times = np.linspace(0, 8, 9)
    draws = [[_leading(problem, curve, t, seed) for seed in range(4)] for t in times]
    measured = xr.Dataset(
        {"eigenvalue": (("time", "replica", "eigen"), draws)}, coords={"time": times}
    )
    return sa.plot_emergence(course, measured)


def _leading(problem: sa.Problem, curve: sa.Curve, time: float, seed: int) -> list[float]:
    found = sa.empirical_spectrum(
        problem, curve.state(time), dimension=400, samples=1600, seed=seed, block=(0, 0), count=2
    )
    return list(found.eigenvalue.values)


def phase_figure() -> Figure:
    """Two classes at a trained state."""
    problem = sa.Problem(sa.kgmm(2), weights=[0.5, 0.5], precision=1, ridge=0.05, step=1)
    trained = sa.State([[0.5, -0.5], [-0.5, 0.5]], 0.1 * np.eye(2))
    precisions, ratios = np.geomspace(0.2, 20, 13), np.geomspace(0.5, 32, 10)
    return sa.plot_phase_diagram(sa.phase_diagram(problem, trained, precisions, ratios))


if __name__ == "__main__":
    main()
