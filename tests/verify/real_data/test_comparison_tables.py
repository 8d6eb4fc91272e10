"""Deviations and sentences, of numbers that are known."""

from __future__ import annotations

import numpy as np
import xarray as xr

from verify.real_data.comparison_tables import comparison_remarks, deviations, dropped_by_class


def comparison() -> xr.Dataset:
    """Two times, two runs, two classes: the theory is off by 10 % at the end, isotropic by half."""
    data = np.array([[2.0, 1.0, 0.001], [1.0, 0.5, -0.2]])
    own = np.broadcast_to(data, (2, 2, 2, 3)).transpose(0, 1, 2, 3)
    factors = np.array([[1.0, 1.1], [0.5, 0.5]])
    theory = data * factors[:, None, None, :, None] * np.ones((2, 2, 2, 1, 1))
    gaussian = theory[[0, 0, 1]] * np.array([1.0, 1.01, 1.0])[:, None, None, None, None]
    accuracy = np.array([[0.5, 0.9], [0.5, 0.92]])
    of_theory = np.array([[[0.5, 0.93]] * 2, [[0.6, 1.0]] * 2])
    return xr.Dataset(
        {
            "eigenvalue": (("matrix", "run", "time", "eigen"), own),
            "theory_eigenvalue": (("theory", "matrix", "run", "time", "eigen"), theory),
            "gaussian_eigenvalue": (("gaussian", "matrix", "run", "time", "eigen"), gaussian),
            "accuracy": (("run", "time"), accuracy),
            "theory_accuracy": (("theory", "run", "time"), of_theory),
            "class_distance": (("gaussian", "time", "class"), np.full((3, 2, 2), [0.1, 0.3])),
            "off_diagonal": ("component", [0.3, 0.6, 0.0]),
            "binned": ("component", [0.4, 0.0, 0.1]),
        },
        {
            "time": [0.0, 4.0],
            "matrix": ["hessian", "gradient"],
            "theory": ["bands", "isotropic"],
            "gaussian": ["bands", "full", "isotropic"],
            "class": ["no", "yes"],
            "component": ["no", "no", "yes"],
        },
    )


def test_deviations_are_relative_and_leave_small_eigenvalues_out():
    found = deviations(comparison(), "theory_eigenvalue", "hessian", "bands")
    assert np.allclose(found, [[0, 0, 0], [0.1, 0.1, 0]])
    found = deviations(comparison(), "gaussian_eigenvalue", "gradient", "isotropic")
    assert np.allclose(found, [[-0.5, -0.5, 0], [-0.5, -0.5, 0]])


def test_sentences_say_what_the_numbers_say():
    text = " ".join(comparison_remarks(comparison()))
    for part in (
        "off by at most 2.0 points (at t = 4), 2.0 at the end",
        "isotropic noise by 10.0 and 9.0",
        "off by at most 10 % (at t = 4), all within 5 % up to t = 0; isotropic noise 50 %",
        "at the end it is 10 %, and 11 % with the whole covariances",
        "The class yes is furthest from its Gaussian (its part of the Hessian is off by 30 %)",
    ):
        assert part in text, part


def test_a_class_drops_what_its_worst_component_drops():
    assert np.allclose(dropped_by_class(comparison()), [0.6, 0.1])
