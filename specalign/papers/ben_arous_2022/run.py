"""The XOR network of the work: fixed points and the chance to separate all clusters."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

import specalign as sa
from verify.papers.numbers import Number, number
from verify.verdict.tolerance import Chance, Part

BETA, WIDTH = 0.05, 4
DIMENSION, RUNS, PRECISION, TIME = 200, 1500, 1e6, 40.0


def model() -> sa.Model:
    """Softmax regression on two orthonormal classes, for the claims."""
    return sa.kgmm(2, directions_gram="orthonormal")


def _network(precision: float) -> sa.Problem:
    weights = [0.25] * 4
    return sa.Problem(sa.xor(WIDTH), weights=weights, precision=precision, ridge=BETA, step=1)


def norms(seed: int) -> Iterator[Number]:
    """Squares of the second layer at the end of the noiseless flow."""
    overlap = [[0.3, 0.05], [-0.3, 0.02], [0.04, 0.3], [0.03, -0.3]]
    start = sa.State(overlap, 0.01 * np.eye(4), readout=[0.5, 0.5, -0.5, -0.5])
    end = sa.integrate_noiseless(_network(1.0), start, [0, 300]).readout.values[-1]
    near = Part(1e-5, "what is left at t = 300")
    claimed, wrong = (np.log((1 - n * BETA) / (n * BETA)) for n in (4, 2))
    for i, cluster in enumerate(("μ", "−μ", "ν", "−ν")):
        yield number(f"v² of {cluster}", end[i] ** 2, claimed, near, wrong=wrong)


@lru_cache(maxsize=2)
def _separated(seed: int) -> NDArray[np.int64]:
    """How many runs separate 1, 2, 3, 4 clusters (0 to 4)."""
    rng = np.random.default_rng([seed, 3])
    starts = []
    for _ in range(RUNS):
        x = rng.standard_normal((WIDTH, DIMENSION)) / np.sqrt(DIMENSION)
        signs = np.where(rng.random(WIDTH) < 0.5, 1, -1)
        starts.append(sa.State(x[:, :2], x[:, 2:] @ x[:, 2:].T, readout=signs))
    problem = _network(PRECISION)
    runs = sa.simulate_sgd(problem, starts, [0, TIME], DIMENSION, RUNS, seed, method="reduced")
    m, v = runs.overlap.values[:, 1], runs.readout.values[:, 1]
    counts = np.zeros(5, dtype=np.int64)
    for overlap, readout in zip(m, v, strict=True):
        own = overlap[np.arange(WIDTH), (readout < 0).astype(int)]
        active = (np.abs(readout) > 0.1) & (np.abs(own) > 0.1)
        sets = {(r > 0, o > 0) for r, o, a in zip(readout, own, active, strict=True) if a}
        counts[len(sets)] += 1
    return counts


def probability(seed: int) -> Iterator[Number]:
    """The share of runs with all four clusters."""
    share = _separated(seed)[4] / RUNS
    claimed = float(sa.separation_probabilities(WIDTH)[3])
    error = np.sqrt(claimed * (1 - claimed) / RUNS)
    finite = Part(0.01, "noise in pre-activations, √(1/λ), beside overlaps 1/√d")
    yield number("share of runs, K = 4", share, claimed, Chance(error), finite, wrong=0.5)
    exact = Part(1e-12, "rounding")
    yield number("the formula at K = 4", claimed, 3 / 32, exact, wrong=0.5)


def figure() -> Figure:
    """Shares of runs over the number of clusters."""
    from matplotlib.figure import Figure

    shown = Figure(figsize=(6, 3.8), layout="constrained")
    axes, place = shown.subplots(), np.arange(1, 5)
    share = _separated(1)[1:] / RUNS
    spread = np.sqrt(share * (1 - share) / RUNS)
    axes.bar(place, share, yerr=spread, width=0.6, color="C0", alpha=0.6, label="SGD, d = 200")
    formula = [float(p) for p in sa.separation_probabilities(WIDTH)]
    axes.plot(place, formula, "kD", label="formula")
    axes.set(xlabel="clusters separated", ylabel="share of runs", xticks=place)
    axes.legend()
    return shown
