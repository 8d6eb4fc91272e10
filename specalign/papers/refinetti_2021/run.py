"""Two-layer ReLU networks with the square loss on the XOR mixture."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import sympy as sp
import xarray as xr
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.stats import norm

import specalign as sa
from verify.papers.numbers import Number, mean_of_runs
from verify.verdict.tolerance import Part

LAMBDA, STEP, DIMENSION, REPLICAS = 10.0, 0.1, 2000, 16
MEANS = np.array([[1, 0], [-1, 0], [0, 1], [0, -1]])
_Q = float(norm.cdf(-np.sqrt(LAMBDA / 2)))
ORACLE = 1 - 2 * _Q * (1 - _Q)


@lru_cache(maxsize=None)
def model(width: int = 4) -> sa.Model:
    """The XOR mixture with labels +-1 under the square loss."""
    u, v = sa.symbols.vector("u", width), sa.symbols.vector("v", width)
    output = sum(a * sa.ReLU(x) for a, x in zip(v, u, strict=True))
    data = sa.Mixture.build(
        weights=[sp.Rational(1, 4)] * 4,
        labels=[1, 1, -1, -1],
        coordinates=MEANS.tolist(),
        directions_gram=sp.eye(2),
    )
    error = output - sa.symbols.LABEL
    loss = sa.Loss(error**2 / 2, units=width, readout_size=width, kinks=tuple(u))
    return sa.Model.build(data, loss, ridge=0, name=f"xor-square{width}")


def _problem(width: int = 4) -> sa.Problem:
    return sa.Problem(model(width), precision=LAMBDA, step=STEP)


def _start(width: int = 4) -> sa.State:
    means = np.array([MEANS[i % 4] for i in range(width)])
    return sa.State(0.2 * means, 0.3 * np.eye(width), 0.3 * (1 - 2 * np.abs(means[:, 1])))


def _runs(width: int, time: list[float], d: int, replicas: int, seed: int) -> xr.Dataset:
    return sa.simulate_sgd(
        _problem(width), _start(width), time, d, replicas, seed, method="reduced"
    )


def accuracy(
    runs: xr.Dataset, rng: np.random.Generator, count: int = 20_000
) -> NDArray[np.float64]:
    """Share of fresh samples that the sign of the output gets right (replica, time)."""
    found = np.empty(runs.gram_perp.shape[:2])
    for i, j in np.ndindex(found.shape):
        m = runs.overlap.values[i, j]
        root = np.linalg.cholesky(runs.gram_perp.values[i, j] + 1e-14 * np.eye(len(m)))
        pick = rng.integers(4, size=count)
        features = MEANS[pick] + rng.standard_normal((count, 2)) / np.sqrt(LAMBDA)
        off = rng.standard_normal((count, len(m))) @ root.T / np.sqrt(LAMBDA)
        output = np.maximum(features @ m.T + off, 0) @ runs.readout.values[i, j]
        found[i, j] = np.mean((output > 0) == (pick < 2))
    return found


@lru_cache(maxsize=4)
def _final(width: int, seed: int) -> NDArray[np.float64]:
    """Final accuracy of every run."""
    runs = _runs(width, [0, 60], DIMENSION, REPLICAS, seed).isel(time=[1])
    return accuracy(runs, np.random.default_rng([seed, width]), 50_000)[:, 0]


def near_oracle(seed: int) -> Iterator[Number]:
    """Mean accuracy at t = 60."""
    point = Part(0.01, "one point, what near is taken for")
    yield mean_of_runs("accuracy, K = 4", _final(4, seed), ORACLE, point, wrong=0.5)


def width(seed: int) -> Iterator[Number]:
    """Difference of the accuracies."""
    gain = _final(6, seed) - _final(4, seed)
    same = Part(0.003, "what no improvement is taken for: a third of a point")
    yield mean_of_runs("accuracy, K = 6 against 4", gain, 0, same, wrong=0.01)


def equations(seed: int) -> Iterator[Number]:
    """Overlap, R_perp and second layer at t = 2, with more noise: precision 4 and a step of 0.8."""
    time = [0.0, 2.0]
    problem, start = sa.Problem(model(), precision=4, step=0.8), _start()
    curve = sa.integrate_curves(problem, start, time, tolerance=3e-3)
    plain = sa.derive_drift(problem.model).without_corrector()
    flow = sa.integrate_curves(problem, start, time, tolerance=3e-3, drift=plain)
    runs = sa.simulate_sgd(problem, start, time, 5000, 24, seed, method="reduced")
    off = Part(3e-3 + 5 / 5000, "tolerance of the curves, and terms of order 1/d")
    for name, index in (("overlap", (0, 0)), ("gram_perp", (0, 0)), ("readout", (0,))):
        values = [float(data[name].values[(1, *index)]) for data in (curve, flow)]
        here = runs[name].values[(slice(None), 1, *index)]
        wrong = values[1] if name == "gram_perp" else None
        yield mean_of_runs(f"{name} of unit 1, t = 2", here, values[0], off, wrong=wrong)


def figure() -> Figure:
    """Accuracy over time."""
    from matplotlib.figure import Figure

    shown = Figure(figsize=(6, 3.8), layout="constrained")
    axes, rng = shown.subplots(), np.random.default_rng(1)
    time = [0.0, 2, 4, 6, 8, 10, 14, 18, 24, 32, 40]
    for i, k in enumerate((4, 6)):
        share = accuracy(_runs(k, time, 1000, 6, 1), rng)
        axes.errorbar(time, share.mean(0), share.std(0), fmt=f"C{i}o-", ms=4, label=f"K = {k}")
    axes.axhline(ORACLE, color="k", ls="--", label="oracle")
    axes.axhline(0.5, color="grey", ls=":", label="linear")
    axes.set(xlabel="time t = steps·δ", ylabel="accuracy, d = 1,000")
    axes.legend()
    return shown
