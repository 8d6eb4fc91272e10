"""Spectra of samples whose labels a teacher makes: in the proportional limit and as matrices."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
from helpers import fresh_rng

from numerics import Problem, State, draw_data, effective_spectrum, population_spectrum
from theory import Loss, Mixture, Model, symbols


@pytest.fixture(scope="module")
def problem():
    """erf(u) against erf(t): weights that are bounded, and an outlier along the teacher."""
    (u,), (t,) = symbols.vector("u", 1), symbols.vector("t", 1)
    data = Mixture.build(
        weights=[1], labels=[0], coordinates=[[0]], directions_gram=[[4]], precision=2
    )
    loss = Loss((sp.erf(u) - sp.erf(t)) ** 2 / 2, units=1)
    return Problem(Model.build(data, loss, ridge=0, step=1, name="student"))


STATE = State([[1.0]], [[0.5]])


@pytest.mark.parametrize("matrix", ["hessian", "gradient"])
def test_with_many_samples_outliers_are_those_of_the_population(problem, matrix):
    """What is left at large n/d falls like d/n."""
    options = {"matrix": matrix, "block": (0, 0)}
    population = population_spectrum(problem, STATE, **options)
    distances = []
    for ratio in (4000, 16000):
        outliers = effective_spectrum(problem, STATE, aspect_ratio=ratio, **options).outliers.values
        values = population.eigenvalue.values
        assert outliers.size
        distances.append(max(np.abs(values - x).min() / np.abs(values).max() for x in outliers))
    assert distances[1] < 0.01
    assert 2 < distances[0] / distances[1] < 8


@pytest.mark.slow
def test_the_outlier_of_a_teacher_is_that_of_matrices(problem):
    """G at n/d = 4: one outlier, with a fifth of its length along the teacher."""
    predicted = effective_spectrum(problem, STATE, aspect_ratio=4, matrix="gradient", block=(0, 0))
    rng, found = fresh_rng(), []
    for _ in range(4):
        data = draw_data(problem, STATE, 600, 2400, rng)
        weight = data.derivatives("gradient")[0] ** 2
        found.append(np.linalg.eigvalsh((data.features.T * weight) @ data.features / 2400)[-1])
    assert predicted.outliers.size == 1
    # single values spread by 0.02 and are 0.01 low at this dimension
    assert abs(np.mean(found) - float(predicted.outliers[0])) < 0.08
