"""Logistic regression with a clean and a noisy half of the dimensions."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import sympy as sp
import xarray as xr
from matplotlib.figure import Figure
from numpy.typing import NDArray

import specalign as sa
from verify.papers.numbers import Number, mean_of_runs, number
from verify.verdict.tolerance import Part

STEP, CLEAN = 0.5, 1e-3
TIME = (0.0, 1.0, 5.0, 20.0, 100.0)


@lru_cache(maxsize=None)
def _model(scales: tuple[float, float]) -> sa.Model:
    (u,), y = sa.symbols.vector("u", 1), sa.symbols.LABEL
    half = sp.Rational(1, 2)
    row = [sp.nsimplify(s) for s in scales]
    data = sa.Mixture.build(
        weights=[half, half],
        labels=[1, 0],
        coordinates=[[1], [-1]],
        directions_gram=[[[half]], [[half]]],
        bands=sa.Bands(fractions=[half, half], scales=[row, row]),
        precision=1,
    )
    return sa.Model.build(data, sa.Loss(sa.Softplus(u) - y * u, units=1), ridge=0, name="two bands")


@lru_cache(maxsize=None)
def _curve(scales: tuple[float, float] = (CLEAN, 1.0)) -> xr.Dataset:
    problem = sa.Problem(_model(scales), step=STEP)
    return sa.integrate_curves(problem, sa.State.zero(problem), TIME)


def _loss(curve: xr.Dataset, i: int, scales: tuple[float, float]) -> float:
    """Mean logistic loss, by a sum over a grid: u is Gaussian with one variance a band."""
    m, r = curve.overlap[i, :, 0, 0].values, curve.gram_perp[i, :, 0, 0].values
    variance = np.sum(np.square(scales) * (r + m**2 / 0.5))
    z = np.linspace(-9, 9, 4001)
    mass = np.exp(-z * z / 2) * (z[1] - z[0]) / np.sqrt(2 * np.pi)
    return float(mass @ np.logaddexp(0, -(m.sum() + np.sqrt(variance) * z)))


def _ratio(curve: xr.Dataset) -> NDArray[np.float64]:
    m = curve.overlap[1:, :, 0, 0].values
    found: NDArray[np.float64] = m[:, 0] / m[:, 1]
    return found


def clean_directions(seed: int) -> Iterator[Number]:
    """Ratio of the overlaps, and that it grows."""
    ratios, none = _ratio(_curve()), Part(1e-6, "integration")
    for i, bound in ((2, 2.0), (3, 5.0)):
        name = f"minus clean over noisy overlap, t = {TIME[i + 1]:g}"
        yield number(name, -ratios[i], -bound, none, wrong=-1, one_sided=True)
    for i in range(3):
        name = f"ratio at t = {TIME[i + 1]:g} against t = {TIME[i + 2]:g}"
        yield number(name, ratios[i], ratios[i + 1], none, one_sided=True)


def loss(seed: int) -> Iterator[Number]:
    """Losses at the last time."""
    equal = (1.0, 1.0)
    zero_one = _loss(_curve(), 4, (CLEAN, 1.0))
    isotropic = _loss(_curve(equal), 4, equal)
    none = Part(1e-4, "integration")
    before = _loss(_curve(), 3, (CLEAN, 1.0))
    name = "loss of the zero-one model, t = 100"
    yield number(name, zero_one, 0.05, none, wrong=isotropic / 2, one_sided=True)
    yield number("the same against t = 20", zero_one, before, none, one_sided=True)
    settled = _loss(_curve(equal), 3, equal)
    yield number("isotropic loss, t = 100 against 20", isotropic, settled, Part(0.01, "of the end"))


def sgd(seed: int) -> Iterator[Number]:
    """Direct simulation in d = 400."""
    d, time = 400, TIME[:3]
    problem = sa.Problem(_model((CLEAN, 1.0)), step=STEP)
    runs = sa.simulate_sgd(problem, sa.State.zero(problem), time, d, 24, seed)
    same = float(np.sqrt((CLEAN**2 + 1) / 2))
    right, wrong = _curve(), _curve((same, same))
    bias = Part(5 / d, "terms of order 1/d of the mean")
    for i in (1, 2):
        for band, name in enumerate(("clean", "noisy")):
            here = runs.overlap[:, i, band, 0, 0].values
            values = [float(data.overlap[i, band, 0, 0]) for data in (right, wrong)]
            title = f"overlap, {name} band, t = {time[i]:g}"
            yield mean_of_runs(title, here, values[0], bias, wrong=values[1])


def figure() -> Figure:
    """Overlaps over time."""
    from matplotlib.figure import Figure

    shown = Figure(figsize=(6, 3.8), layout="constrained")
    axes, time = shown.subplots(), np.linspace(0, 20, 81)
    for i, (scales, names) in enumerate(
        (((CLEAN, 1.0), ("clean band", "noisy band")), ((1.0, 1.0), ("isotropic, each band",)))
    ):
        problem = sa.Problem(_model(scales), step=STEP)
        start = sa.State.zero(problem)
        curve = sa.integrate_curves(problem, start, time)
        runs = sa.simulate_sgd(problem, start, time[::10], 400, 6, 1).mean("replica")
        for band, name in enumerate(names):
            colour = f"C{2 * i + band}"
            axes.plot(time, curve.overlap[:, band, 0, 0], colour, label=name)
            axes.plot(time[::10], runs.overlap[:, band, 0, 0], "o", color=colour, ms=4)
    axes.set(xlabel="time t = steps·δ", ylabel="overlap with the mean")
    axes.legend(title="SGD, d = 400: dots")
    return shown
