"""Norms of the blocks of the softmax Hessian over the number of classes."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from matplotlib.figure import Figure

import specalign as sa
from verify.papers.numbers import Number, mean_of_runs, number
from verify.verdict.tolerance import Part

LAMBDA, CLASSES = 2.0, (2, 3, 5, 8)
QUADRATURE = Part(1e-9, "rounding: nothing is integrated at zero weights")


def _problem(k: int) -> sa.Problem:
    model = sa.kgmm(k, directions_gram="orthonormal")
    return sa.Problem(model, weights=np.full(k, 1 / k), precision=LAMBDA, ridge=0, step=1)


@lru_cache(maxsize=None)
def _ratio(k: int, square: float) -> float:
    """Operator norm of block (1, 2) over that of block (1, 1), at weights of a squared length."""
    state = sa.State(np.zeros((k, k)), square * np.eye(k))
    norms = []
    for block in ((0, 0), (0, 1)):
        found = sa.population_block(_problem(k), state, block=block)
        whole = np.concatenate([np.linalg.eigvalsh(found.matrix), found.bulk.ravel()])
        norms.append(np.abs(whole).max())
    return float(norms[1] / norms[0])


def zero_weights(seed: int) -> Iterator[Number]:
    """The ratio for 2 to 8 classes."""
    for k in CLASSES:
        wrong = None if k == 2 else 1
        name = f"off-diagonal over diagonal, C = {k}"
        yield number(name, _ratio(k, 0.0), 1 / (k - 1), QUADRATURE, wrong=wrong)


def random_weights(seed: int) -> Iterator[Number]:
    """The ratio at weights of length 1."""
    none = Part(1e-4, "quadrature")
    for k in (3, 4):
        name = f"off-diagonal over diagonal, C = {k}, random"
        bound = 1.3 / (k - 1)
        wrong = 0.5 if k == 4 else None
        yield number(name, _ratio(k, 1.0), bound, none, wrong=wrong, one_sided=True)


def data(seed: int) -> Iterator[Number]:
    """Blocks of 20 empirical Hessians of 4 classes in d = 50."""
    k, d, count = 4, 50, 20
    state = sa.State(np.zeros((k, k)), np.eye(k))
    found = [_measured(_problem(k), state, d, s) for s in np.random.SeedSequence(seed).spawn(count)]
    noise = Part(0.06, "M/d = 100: norms of blocks grow by √(d/M) of their bulk")
    name = f"off-diagonal over diagonal, C = {k}, d = {d}"
    yield mean_of_runs(name, found, _ratio(k, 1.0), noise, wrong=1)


def _measured(problem: sa.Problem, state: sa.State, d: int, seed: np.random.SeedSequence) -> float:
    samples = sa.draw_data(problem, state, d, 100 * d, seed)
    diagonal = sa.empirical_spectrum(samples, block=(0, 0), count=1)
    mixed = sa.empirical_spectrum(samples, block=(0, 1), count=1, which="smallest")
    return float(abs(mixed.eigenvalue[0]) / diagonal.eigenvalue[0])


def figure() -> Figure:
    """The ratio over C."""
    from matplotlib.figure import Figure

    shown = Figure(figsize=(6, 3.8), layout="constrained")
    axes = shown.subplots()
    line = np.linspace(2, 8, 100)
    axes.plot(line, 1 / (line - 1), "k--", label="1/(C−1)")
    axes.plot(CLASSES, [_ratio(k, 0.0) for k in CLASSES], "o", label="zero weights")
    axes.plot(
        [2, 3, 4], [_ratio(k, 1.0) for k in (2, 3, 4)], "s", mfc="none", label="random weights"
    )
    axes.set(xlabel="number of classes C", ylabel="norm of block (1, 2) over block (1, 1)")
    axes.legend()
    return shown
