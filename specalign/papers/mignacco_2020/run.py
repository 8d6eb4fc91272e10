"""Online logistic regression on two clusters."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from matplotlib.figure import Figure
from scipy.special import erfc

import specalign as sa
from verify.papers.numbers import Number, mean_of_runs, number
from verify.verdict.tolerance import Part

LAMBDA, RIDGE, DIMENSION = 2.0, 0.05, 5000
TIME, START = (0.0, 0.5, 2.0, 8.0), sa.State([[0.05]], [[1.0]])
BAYES = float(erfc(np.sqrt(LAMBDA / 2)) / 2)


@lru_cache(maxsize=1)
def model() -> sa.Model:
    """Logistic loss, labels 1 and 0 of two opposite means."""
    (u,), y = sa.symbols.vector("u", 1), sa.symbols.LABEL
    data = sa.Mixture.build(labels=[1, 0], coordinates=[[1], [-1]], directions_gram=[[1]])
    return sa.Model.build(data, sa.Loss(sa.Softplus(u) - y * u, units=1), name="two clusters")


def _problem(step: float, ridge: float = RIDGE) -> sa.Problem:
    return sa.Problem(model(), weights=[0.5, 0.5], precision=LAMBDA, ridge=ridge, step=step)


def sgd(seed: int) -> Iterator[Number]:
    """Overlap and R_perp of SGD."""
    problem = _problem(1.0)
    curve = sa.integrate_curves(problem, START, TIME)
    plain = sa.derive_drift(problem.model).without_corrector()
    flow = sa.integrate_curves(problem, START, TIME, drift=plain)
    runs = sa.simulate_sgd(problem, START, TIME, DIMENSION, 24, seed, method="reduced")
    bias = Part(6 / DIMENSION, "terms of order 1/d of the mean")
    for i in (1, 2, 3):
        for name, letter in (("overlap", "m"), ("gram_perp", "R_perp")):
            values = [float(data[name][i, 0, 0]) for data in (curve, flow)]
            here = runs[name][:, i, 0, 0].values
            title = f"{letter}, t = {TIME[i]:g}"
            yield mean_of_runs(title, here, values[0], bias, wrong=values[1])


def bayes(seed: int) -> Iterator[Number]:
    """Errors at late times of a small and of a large step."""
    late = []
    for step in (0.01, 1.0):
        curve = sa.integrate_curves(_problem(step), START, [0, 60])
        m, r = float(curve.overlap[-1, 0, 0]), float(curve.gram_perp[-1, 0, 0])
        late.append(float(erfc(m * np.sqrt(LAMBDA / 2 / (r + m * m))) / 2))
    off = Part(1e-7, "integration")
    near = BAYES * 1.01
    yield number("error at a small step", late[0], near, off, wrong=late[1], one_sided=True)
    yield number("minus the error at a small step", -late[0], -BAYES, off, one_sided=True)


def figure() -> Figure:
    """Error over time."""
    from matplotlib.figure import Figure

    shown = Figure(figsize=(6, 3.8), layout="constrained")
    axes, time = shown.subplots(), np.linspace(0, 10, 61)
    for i, step in enumerate((0.1, 1.0)):
        problem = _problem(step)
        curve = sa.population_risk(problem, sa.integrate_curves(problem, START, time))
        runs = sa.simulate_sgd(problem, START, time[::10], 2000, 8, 1, method="reduced")
        errors = [1 - sa.population_risk(problem, runs.isel(replica=j)).accuracy for j in range(8)]
        axes.plot(time, 1 - curve.accuracy, f"C{i}-", label=f"$c_δ$ = {step:g}")
        axes.plot(time[::10], np.mean(errors, axis=0), f"C{i}o", ms=4)
    axes.axhline(BAYES, color="k", ls=":", label="best possible")
    axes.set(xlabel="time t = steps·δ", ylabel="classification error")
    axes.legend()
    return shown
