"""Heavy-ball momentum and normalised gradients beside their equations."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import scipy.integrate
import sympy as sp
import xarray as xr
from matplotlib.figure import Figure
from numpy.typing import NDArray

import specalign as sa
from verify.papers.numbers import Number, mean_of_runs, number
from verify.verdict.tolerance import Part

MOMENTUM, STEP, DIMENSION = 0.8, 0.2, 400
TIME = (0.0, 0.2, 0.6)
START = sa.State([[0.2]], [[0.5]])
RATE, NOISE, NORMAL_TIME = 0.4, 0.5, (0.0, 0.5, 1.5)


def model() -> sa.Model:
    """Least squares on two classes."""
    (u,), y = sa.symbols.vector("u", 1), sa.symbols.LABEL
    data = sa.Mixture.build(
        weights=[sp.Rational(1, 2)] * 2,
        labels=[1, -1],
        coordinates=[[1], [-1]],
        directions_gram=[[1]],
        precision=2,
    )
    return sa.Model.build(data, sa.Loss((u - y) ** 2 / 2, units=1), ridge=0, name="least squares")


def _momentum_runs(seed: int, replicas: int, time: tuple[float, ...]) -> xr.Dataset:
    heavy = model().with_update(sa.Update(momentum=sp.Rational(4, 5)))
    problem = sa.Problem(heavy, step=STEP)
    return sa.simulate_sgd(problem, START, time, DIMENSION, replicas, seed)


def _plain(time: NDArray[np.float64], step: float) -> xr.Dataset:
    """SGD without momentum at times of its own, which are 1/(1-theta) times those of momentum."""
    return sa.integrate_curves(sa.Problem(model(), step=step), START, time / (1 - MOMENTUM))


def momentum(seed: int) -> Iterator[Number]:
    """SGD with momentum beside SGD of another step, derived without any momentum."""
    runs = _momentum_runs(seed, 60, TIME)
    time = np.array(TIME)
    right, wrong = _plain(time, STEP / (1 - MOMENTUM)), _plain(time, STEP)
    bias = Part(6 / DIMENSION, "terms of order 1/d, with a memory of 1/(1 - θ) steps")
    for i in (1, 2):
        for name in ("overlap", "gram_perp"):
            values = [float(data[name][i, 0, 0]) for data in (right, wrong)]
            title = f"{'overlap' if name == 'overlap' else 'R_perp'}, t = {TIME[i]:g}"
            of_runs = runs[name][:, i, 0, 0].values
            yield mean_of_runs(title, of_runs, values[0], bias, wrong=values[1])


def _normalised_model() -> sa.Model:
    (u,), (t,) = sa.symbols.vector("u", 1), sa.symbols.vector("t", 1)
    data = sa.Mixture.build(
        weights=[1], labels=[0], coordinates=[[0]], directions_gram=[[1]], precision=1
    )
    loss = sa.Loss((u - t - sa.symbols.LABEL_NOISE / 2) ** 2 / 2, units=1)
    rules = {"layer 1": sp.sign(sa.symbols.SLOPE)}
    return sa.Model.build(data, loss, ridge=0, update=sa.Update(rules=rules), name="normalised")


def _normalised(as_gradient: bool) -> NDArray[np.float64]:
    """(m, R_perp) of the equation, or with the corrector of the gradient."""

    def field(_: float, state: NDArray[np.float64]) -> list[float]:
        m, r = state
        v = (1 - m) ** 2 + r + NOISE**2
        speed = np.sqrt(2 / (np.pi * v))
        return [speed * (1 - m), -2 * speed * r + RATE * (v if as_gradient else 1)]

    options = {"t_eval": NORMAL_TIME, "rtol": 1e-10, "atol": 1e-12}
    return scipy.integrate.solve_ivp(field, (0, NORMAL_TIME[-1]), [0.2, 0.5], **options).y


def normalised(seed: int) -> Iterator[Number]:
    """The derived curve beside the equation."""
    curve = sa.integrate_curves(sa.Problem(_normalised_model(), step=RATE), START, NORMAL_TIME)
    right, wrong = _normalised(False), _normalised(True)
    solution = Part(1e-6, "integration")
    for i in (1, 2):
        for row, name in enumerate(("overlap", "gram_perp")):
            title = f"{'overlap' if row == 0 else 'R_perp'}, t = {NORMAL_TIME[i]:g}"
            here = float(curve[name][i, 0, 0])
            yield number(title, here, right[row, i], solution, wrong=wrong[row, i])


def sgd(seed: int) -> Iterator[Number]:
    """Steps along g Y / |g Y| sqrt d of our own, in all d dimensions, beside the equation."""
    d, replicas, rng = 600, 48, np.random.default_rng([seed, 7])
    x = np.zeros((replicas, d))
    x[:, 0] = 0.2
    other = rng.standard_normal((replicas, d - 1))
    x[:, 1:] = np.sqrt(0.5) * other / np.linalg.norm(other, axis=1, keepdims=True)
    for _ in range(round(NORMAL_TIME[2] * d / RATE)):
        y = rng.standard_normal((replicas, d))
        error = (x * y).sum(1) - y[:, 0] - NOISE * rng.standard_normal(replicas)
        step = np.sign(error) * np.sqrt(d) / np.linalg.norm(y, axis=1)
        x -= RATE / d * step[:, None] * y
    right, wrong = _normalised(False), _normalised(True)
    bias = Part(6 / d, "terms of order 1/d of the mean")
    found = (x[:, 0], (x[:, 1:] ** 2).sum(1))
    for row, name in enumerate(("overlap", "R_perp")):
        title = f"{name}, t = {NORMAL_TIME[2]:g}, d = {d}"
        yield mean_of_runs(title, found[row], right[row, 2], bias, wrong=wrong[row, 2])


def figure() -> Figure:
    """R_perp under momentum."""
    from matplotlib.figure import Figure

    shown = Figure(figsize=(6, 3.8), layout="constrained")
    axes = shown.subplots()
    time = np.linspace(0, 1, 41)
    for step, style, name in (
        (STEP / (1 - MOMENTUM), "k-", "corrector rescaled"),
        (STEP, "k--", "corrector not rescaled"),
    ):
        axes.plot(time, _plain(time, step).gram_perp[:, 0, 0], style, label=name)
    runs = _momentum_runs(1, 40, tuple(time[::5])).gram_perp[:, :, 0, 0]
    spread = runs.std("replica") / np.sqrt(40)
    axes.errorbar(time[::5], runs.mean("replica"), spread, fmt="o", label="SGD, θ = 0.8, d = 400")
    axes.set(xlabel="time t = steps·δ", ylabel="R⊥")
    axes.legend()
    return shown
