"""Groups of outliers of softmax regression."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

import specalign as sa
from verify.papers.numbers import Number, number
from verify.verdict.tolerance import Part

LAMBDA, LENGTH, CLASSES = 1e4, 3.0, (3, 4)
COUNT = Part(0.0, "a count of eigenvalues in a group that stands apart")


@lru_cache(maxsize=None)
def _eigenvalues(k: int, matrix: str = "hessian") -> NDArray[np.float64]:
    """Eigenvalues of the population, largest first."""
    model = sa.kgmm(k, directions_gram="orthonormal")
    problem = sa.Problem(model, weights=np.full(k, 1 / k), precision=LAMBDA, ridge=0, step=1)
    centred = np.eye(k) - 1 / k
    state = sa.State(LENGTH * centred, 1e-4 * (centred + 1e-3))
    found = sa.population_spectrum(
        problem, state, matrix=matrix, block="first_layer", regularized=False
    )
    return np.sort(found.eigenvalue.values)[::-1]


def _closed(k: int) -> tuple[float, float]:
    """Probabilities of the own class and of another one."""
    other = np.exp(-LENGTH) / (1 + (k - 1) * np.exp(-LENGTH))
    return 1 - (k - 1) * other, other


def _groups(k: int, matrix: str = "hessian") -> list[int]:
    """Sizes of the groups that stand apart by more than a factor of 2, above noise 1/lambda."""
    values = _eigenvalues(k, matrix)
    values = values[values > 10 / LAMBDA]
    jumps = np.flatnonzero(values[:-1] > 2 * values[1:]) + 1
    return [len(group) for group in np.split(values, jumps)]


def classes(seed: int) -> Iterator[Number]:
    """The first group."""
    for k in CLASSES:
        yield number(f"outliers of the first group, C = {k}", _groups(k)[0], k, COUNT, wrong=k - 1)
        groups = len(_groups(k))
        yield number(f"groups of outliers, C = {k}", groups, 2, COUNT, wrong=1)


def cross_classes(seed: int) -> Iterator[Number]:
    """The second group."""
    for k in CLASSES:
        here, claimed = _groups(k)[1], k * (k - 1)
        wrong = claimed // 2 if k > 3 else claimed // 2 + 1
        yield number(f"outliers of the second group, C = {k}", here, claimed, COUNT, wrong=wrong)


def gradients(seed: int) -> Iterator[Number]:
    """All outliers of G."""
    for k in CLASSES:
        here = sum(_groups(k, "gradient"))
        yield number(f"outliers of G, C = {k}", here, k, COUNT, wrong=k * (k - 1))


def sizes(seed: int) -> Iterator[Number]:
    """Largest eigenvalue of each group."""
    for k in CLASSES:
        (a, b), first = _closed(k), _groups(k)[0]
        found = _eigenvalues(k)
        noise = Part(30 / LAMBDA, "terms of order 1/λ")
        yield number(f"classes, C = {k}", found[0], a * b, noise, wrong=a * (1 - a) / k)
        pair = b / k
        yield number(f"cross-classes, C = {k}", found[first], pair, noise, wrong=b * (1 - b) / k)


def figure() -> Figure:
    """Eigenvalues of both matrices."""
    from matplotlib.figure import Figure

    shown = Figure(figsize=(6, 3.8), layout="constrained")
    axes, k = shown.subplots(), 4
    names = {"hessian": "Hessian", "gradient": "gradient matrix"}
    for (matrix, name), mark in zip(names.items(), "os", strict=True):
        values = _eigenvalues(k, matrix)[:24]
        rank = np.arange(1, values.size + 1)
        axes.semilogy(rank[values > 1e-9], values[values > 1e-9], mark, ms=5, label=name)
    for end, text in ((k, "C"), (k * (k - 1), "C(C−1)"), (k * k, "C²")):
        axes.axvline(end + 0.5, color="grey", lw=0.8)
        axes.annotate(text, (end + 0.3, 2e-4), ha="right", color="grey")
    axes.set(xlabel="rank", ylabel="eigenvalue", title=f"C = {k}, λ = 10⁴")
    axes.legend()
    return shown
