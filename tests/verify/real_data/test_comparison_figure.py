"""The figure of data beside the theories fitted to them."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from figure_checks import assert_inside, assert_labels_beside_panels, assert_marks_whole

from verify.real_data.comparison_figure import plot_comparison


def comparison(times: list[float]) -> xr.Dataset:
    """Two runs and two classes, with eigenvalues that fall over three decades."""
    count, eigen = len(times), 10
    fall = np.linspace(1, 0.2, count)[:, None] * np.logspace(0, -3, eigen)
    each = np.broadcast_to(fall, (1, 2, count, eigen))
    accuracy = np.linspace(0.5, 0.9, count) + np.array([[0.0], [0.05]])
    return xr.Dataset(
        {
            "eigenvalue": (("matrix", "run", "time", "eigen"), each),
            "theory_eigenvalue": (
                ("theory", "matrix", "run", "time", "eigen"),
                np.stack([each, each / 2]),
            ),
            "spectrum": (("matrix", "time", "eigen"), each[:, 0]),
            "theory_spectrum": (("theory", "matrix", "time", "eigen"), np.stack([each[:, 0]] * 2)),
            "accuracy": (("run", "time"), accuracy),
            "theory_accuracy": (("theory", "run", "time"), np.stack([accuracy] * 2)),
            "class_distance": (("gaussian", "time", "class"), np.full((3, count, 2), 0.2)),
        },
        {
            "time": times,
            "matrix": ["hessian"],
            "theory": ["bands", "isotropic"],
            "gaussian": ["bands", "full", "isotropic"],
            "class": ["no", "yes"],
        },
    )


@pytest.mark.parametrize("times", [[0.0, 4.0], [0.0, *(2.0**j for j in range(-3, 5))]])
def test_marks_at_the_first_and_the_last_time_are_whole(times):
    figure = plot_comparison(comparison(times), title="two classes")
    for panel in figure.axes[:2]:
        assert_marks_whole(panel)
    assert_inside(figure)
    assert_labels_beside_panels(figure)
