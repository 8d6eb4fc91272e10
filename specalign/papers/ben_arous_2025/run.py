"""Spectra of softmax regression in the proportional limit, at rest and along training."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

import specalign as sa
from verify.papers.numbers import Number, mean_of_runs, number
from verify.verdict.tolerance import Part

PHI = 4.0
TRAINED = sa.State([[1.2, -0.8], [-1.2, 0.8]], [[0.3, -0.3], [-0.3, 0.3001]])


@lru_cache(maxsize=None)
def _problem(precision: float, ridge: float = 0.0) -> sa.Problem:
    return sa.Problem(sa.kgmm(2), weights=[0.5, 0.5], precision=precision, ridge=ridge, step=1)


def _spectrum(problem: sa.Problem, state: sa.State, matrix: str) -> xr.Dataset:
    regularized = False if matrix == "hessian" else None
    return sa.effective_spectrum(
        problem, state, PHI, matrix=matrix, block=(0, 0), density=False, regularized=regularized
    )


def initial(seed: int) -> Iterator[Number]:
    """Outliers at zero weights beside BBP."""
    solution = Part(1e-6, "equation of the resolvent; weights of squared length 1e-12")
    state = sa.State(np.zeros((2, 2)), 1e-12 * np.eye(2))
    for precision in (2.0, 6.0):
        theta = precision / 2
        claimed = (1 + theta) * (1 + 1 / (PHI * theta)) / precision / 4
        wrong = (1 + theta) / precision / 4
        for matrix in ("hessian", "gradient"):
            found = _spectrum(_problem(precision), state, matrix).outliers.values
            name = f"first outlier, {matrix}, λ = {precision:g}"
            yield number(name, found[0], claimed, solution, wrong=wrong)


def outliers(seed: int) -> Iterator[Number]:
    """Largest eigenvalue and overlap of 24 empirical blocks in d = 300."""
    d, count, problem = 300, 24, _problem(8.0)
    for matrix in ("hessian", "gradient"):
        found = _spectrum(problem, TRAINED, matrix)
        population = sa.population_spectrum(
            problem, TRAINED, matrix=matrix, block=(0, 0), regularized=False
        )
        values = []
        for one in np.random.SeedSequence([seed, 5]).spawn(count):
            data = sa.draw_data(problem, TRAINED, d, int(PHI * d), one)
            measured = sa.empirical_spectrum(
                data, matrix=matrix, block=(0, 0), count=1, regularized=False
            )
            values.append(float(measured.eigenvalue[0]))
        claimed, wrong = float(found.outliers[0]), float(population.eigenvalue[0])
        bias = Part(2 * claimed / d, "finite d: a mean shift of order 1/d")
        name = f"first outlier, {matrix}, d = {d}"
        yield mean_of_runs(name, values, claimed, bias, wrong=wrong)


@lru_cache(maxsize=1)
def _training() -> tuple[sa.Problem, xr.Dataset]:
    problem = _problem(2.0, 0.05)
    start = sa.State(np.zeros((2, 2)), 0.01 * np.eye(2))
    return problem, sa.integrate_curves(problem, start, [0, 1, 2, 3, 6])


def transition(seed: int) -> Iterator[Number]:
    """Numbers of outliers before and after the transition of the Hessian block."""
    problem, curve = _training()
    exact = Part(0.0, "a count")
    for time, count in ((1, 2), (6, 1)):
        state = sa.State.at(curve, time=time)
        here = (_spectrum(problem, state, "hessian").side.values == 1).sum()
        yield number(f"outliers of the Hessian block, t = {time}", here, count, exact, wrong=2)


def figure() -> Figure:
    """Outliers along training."""
    problem = _problem(2.0, 0.05)
    start = sa.State(np.zeros((2, 2)), 0.01 * np.eye(2))
    course = sa.emergence(problem, sa.solve_curve(problem, start, 6), PHI, block=(0, 0))
    axes = sa.plot.emergence(course, title="softmax Hessian block, λ = 2, M/d = 4")
    return np.atleast_1d(axes)[0].figure
