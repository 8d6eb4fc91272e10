"""Students with units too many: the floor of the error that label noise makes."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import sympy as sp
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

import specalign as sa
from specalign.papers.committee import committee
from verify.papers.numbers import Number, mean_of_runs, number
from verify.verdict.tolerance import Part

SIGMA = 0.5
TIME = (0.0, 1.0, 4.0)


@lru_cache(maxsize=None)
def _model(students: int, noisy: bool = True, both: bool = False) -> sa.Model:
    noise = sp.Rational(1, 2) if noisy else 0
    return committee(students, 1, noise=noise, trained_output=both)


def _start(students: int, both: bool = False) -> sa.State:
    overlap = np.zeros((students, 1))
    overlap[0, 0] = 1
    readout = [1.0, 0.3][:students] if both else []
    return sa.State(overlap, np.diag([0.01, 0.05][:students]), readout)


def _excess(students: int, rate: float, time: ArrayLike, both: bool = False) -> NDArray[np.float64]:
    problem = sa.Problem(_model(students, both=both), step=rate)
    curve = sa.integrate_curves(problem, _start(students, both), time)
    loss: NDArray[np.float64] = sa.population_risk(problem, curve, tolerance=1e-8).loss.values
    return loss - SIGMA**2 / 2


def _formula(students: int) -> float:
    """Excess error over the rate."""
    return SIGMA**2 / (2 * np.pi) * (students - 1 + 1 / np.sqrt(3))


def floor(seed: int) -> Iterator[Number]:
    """The slope of the final error in eta, from two rates."""
    for k in (1, 2):
        large, small = (_excess(k, rate, [0, 300])[-1] / rate for rate in (0.02, 0.01))
        second = Part(2e-4, "third order in the rate, after extrapolation from 0.02 and 0.01")
        wrong = SIGMA**2 / (2 * np.pi) * k / np.sqrt(3) if k > 1 else None
        name = f"excess error over rate, K = {k}, M = 1"
        yield number(name, 2 * small - large, _formula(k), second, wrong=wrong)


def both_layers(seed: int) -> Iterator[Number]:
    """Final errors of one and two students with trained outputs."""
    rate = 0.1
    one, two = (_excess(k, rate, [0, 300], both=True)[-1] for k in (1, 2))
    share = Part(0.01, "what is left of the transient at t = 300")
    wrong = 1 + np.sqrt(3)
    name = "error of K = 2 over that of K = 1, both layers"
    yield number(name, two / one, 1, share, wrong=wrong, one_sided=True)


def sgd(seed: int) -> Iterator[Number]:
    """Two students in d = 5,000 at a rate of 0.5."""
    d, rate, start = 5000, 0.5, _start(2)
    problem = sa.Problem(_model(2), step=rate)
    curve = sa.integrate_curves(problem, start, TIME)
    quiet = sa.integrate_curves(sa.Problem(_model(2, noisy=False), step=rate), start, TIME)
    runs = sa.simulate_sgd(problem, start, TIME, d, 24, seed, method="reduced")
    bias = Part(5 / d, "terms of order 1/d of the mean")
    for i in (1, 2):
        for unit in (0, 1):
            here = runs.gram_perp[:, i, unit, unit].values
            values = [float(data.gram_perp[i, unit, unit]) for data in (curve, quiet)]
            name = f"R_perp_{unit + 1}{unit + 1}, t = {TIME[i]:g}"
            yield mean_of_runs(name, here, values[0], bias, wrong=values[1])


def figure() -> Figure:
    """Excess error over time."""
    from matplotlib.figure import Figure

    shown = Figure(figsize=(6, 3.8), layout="constrained")
    axes = shown.subplots()
    time, rate = np.concatenate([[0], np.geomspace(0.3, 300, 40)]), 0.02
    for k in (1, 2):
        axes.loglog(time[1:], _excess(k, rate, time)[1:], f"C{k - 1}-", label=f"K = {k}, M = 1")
        axes.axhline(rate * _formula(k), color=f"C{k - 1}", ls="--", lw=1)
    axes.plot([], [], "k--", lw=1, label="σ²η(L + M/√3)/2π")
    axes.set(xlabel="time t = steps·δ", ylabel="excess generalisation error")
    axes.legend()
    return shown
