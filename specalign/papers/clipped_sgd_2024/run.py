"""Least squares with clipped residuals."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import scipy.integrate
import sympy as sp
import xarray as xr
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.special import erf, erfc

import specalign as sa
from verify.papers.numbers import Number, mean_of_runs, number
from verify.verdict.tolerance import Part

NOISE, CLIP, STEP = 0.5, 0.75, 0.6
TIME, START = (0.0, 0.5, 1.5, 4.0), sa.State([[0.1]], [[1.0]])
THRESHOLDS = (0.1, 0.3, 1.0, 3.0)


def model(clip: float | None, *, heavy: bool = False) -> sa.Model:
    """Least squares with a clipped residual, or without clipping."""
    (u,), (t,), y = sa.symbols.vector("u", 1), sa.symbols.vector("t", 1), sa.symbols.LABEL
    labels = [0, 3, -3] if heavy else [0]
    weights = ["9/10", "1/20", "1/20"] if heavy else [1]
    data = sa.Mixture.build(
        weights=[sp.Rational(w) for w in weights],
        labels=labels,
        coordinates=[[0]] * len(labels),
        directions_gram=[[1]],
        precision=1,
    )
    noise = y if heavy else sp.Rational(1, 2) * sa.symbols.LABEL_NOISE
    plain = sa.Model.build(
        data, sa.Loss((u - t - noise) ** 2 / 2, 1), ridge=0, name="least squares"
    )
    if clip is None:
        return plain
    c = sp.nsimplify(clip)
    rule = sa.ReLU(sa.symbols.SLOPE + c) - sa.ReLU(sa.symbols.SLOPE - c) - c
    return plain.with_update(sa.Update(rules={"layer 1": rule}))


def reductions(v: float, c: float) -> tuple[float, float]:
    """mu and nu of a Gaussian residual of variance v."""
    x = c / np.sqrt(2 * v)
    inside = v * erf(x) - c * np.sqrt(2 * v / np.pi) * np.exp(-x * x)
    return float(erf(x)), float(inside + c * c * erfc(x))


def _equation(clip: float, *, scaled: bool = False) -> NDArray[np.float64]:
    """(m, R_perp) by equations of our own: with nu, or with mu^2 v in its place."""

    def field(_: float, state: NDArray[np.float64]) -> list[float]:
        m, r = state
        v = (1 - m) ** 2 + r + NOISE**2
        mu, nu = reductions(v, clip)
        return [mu * (1 - m), -2 * mu * r + STEP * (mu**2 * v if scaled else nu)]

    options = {"t_eval": TIME, "rtol": 1e-10, "atol": 1e-12}
    return scipy.integrate.solve_ivp(field, (0, TIME[-1]), [0.1, 1.0], **options).y


def dynamics(seed: int) -> Iterator[Number]:
    """The derived curve beside the equation, and beside one with another variance of a step."""
    curve = sa.integrate_curves(sa.Problem(model(CLIP), step=STEP), START, TIME)
    right, wrong = _equation(CLIP), _equation(CLIP, scaled=True)
    solution = Part(1e-6, "integration")
    for i in (1, 2, 3):
        at = f"t = {TIME[i]:g}"
        m, r = float(curve.overlap[i, 0, 0]), float(curve.gram_perp[i, 0, 0])
        yield number(f"overlap, {at}", m, right[0, i], solution, wrong=wrong[0, i])
        yield number(f"R_perp, {at}", r, right[1, i], solution, wrong=wrong[1, i])


def _gain(clip: float, heavy: bool) -> float:
    """mu^2 v / nu near the teacher, from the first moments of the flow of the engine."""
    span = 1e-4
    state = sa.State([[0.9]], [[0.01]])
    rates = []
    for step in (1e-9, 1.0):
        problem = sa.Problem(model(clip, heavy=heavy), step=step)
        curve = sa.integrate_curves(problem, state, [0, span])
        change = (curve.isel(time=1) - curve.isel(time=0)) / span
        rates.append((float(change.overlap[0, 0]), float(change.gram_perp[0, 0])))
    mu, nu = rates[0][0] / 0.1, rates[1][1] - rates[0][1]
    return mu**2 * (0.02 + (0.9 if heavy else NOISE**2)) / nu


def gaussian(seed: int) -> Iterator[Number]:
    """The largest gain over thresholds."""
    best = max(_gain(c, heavy=False) for c in THRESHOLDS)
    off = Part(1e-3, "differences over a time of 1e-4")
    yield number("largest gain, Gaussian noise", best, 1, off, wrong=1.2, one_sided=True)


def heavy_tails(seed: int) -> Iterator[Number]:
    """The same with rare labels: minus the gain is at most -1."""
    best = max(_gain(c, heavy=True) for c in THRESHOLDS)
    off = Part(1e-3, "differences over a time of 1e-4")
    yield number("minus the largest gain, rare labels", -best, -1, off, wrong=-1, one_sided=True)


def sgd(seed: int) -> Iterator[Number]:
    """SGD in d = 4,000 beside the equation, and beside that of no clipping."""
    d, problem = 4000, sa.Problem(model(CLIP), step=STEP)
    runs = sa.simulate_sgd(problem, START, TIME, d, 24, seed, method="reduced")
    right, wrong = _equation(CLIP), _equation(1e3)
    bias = Part(4 / d, "terms of order 1/d of the mean")
    for i in (1, 2, 3):
        for row, name in ((0, "overlap"), (1, "gram_perp")):
            one = runs[name].isel(time=i, unit=0).values[:, 0]
            title = f"{'overlap' if row == 0 else 'R_perp'}, t = {TIME[i]:g}"
            yield mean_of_runs(title, one, right[row, i], bias, wrong=wrong[row, i])


def figure() -> Figure:
    """Risk over time for three thresholds."""
    from matplotlib.figure import Figure

    shown = Figure(figsize=(6, 3.8), layout="constrained")
    axes = shown.subplots()
    for i, clip in enumerate((None, 0.75, 0.25)):
        problem = sa.Problem(model(clip), step=STEP)
        time = np.linspace(0, 8, 81)
        curve = sa.integrate_curves(problem, START, time)
        runs = sa.simulate_sgd(problem, START, time[::10], 4000, 4, 1, method="reduced")
        name = "no clipping" if clip is None else f"c = {clip:g}"
        axes.plot(time, _risk(curve), f"C{i}-", label=name)
        axes.plot(time[::10], _risk(runs.mean("replica")), f"C{i}o", ms=4)
    axes.set(xlabel="time t = steps·δ", ylabel="(1 − m)² + R⊥", yscale="log")
    axes.legend()
    return shown


def _risk(data: xr.Dataset) -> NDArray[np.float64]:
    excess: NDArray[np.float64] = (1 - data.overlap[:, 0, 0].values) ** 2 + data.gram_perp[
        :, 0, 0
    ].values
    return excess
