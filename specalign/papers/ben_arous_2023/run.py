"""Alignment of softmax regression and the rank of the second layer of XOR networks."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from matplotlib.figure import Figure

import specalign as sa
from verify.papers.numbers import Number, number
from verify.verdict.tolerance import Part

RIDGE, BETA = 0.1, 0.05
PRECISIONS = (1e3, 1e4)


def model() -> sa.Model:
    """Softmax regression on two orthonormal classes, for the claims."""
    return sa.kgmm(2, directions_gram="orthonormal")


@lru_cache(maxsize=None)
def _trained(precision: float) -> tuple[sa.Problem, sa.State]:
    """The fixed point of the effective dynamics."""
    problem = sa.Problem(model(), weights=[0.6, 0.4], precision=precision, ridge=RIDGE, step=1)
    found = sa.solve_fixed_point(problem, sa.State(np.eye(2) - 0.5, 0.05 * np.eye(2)))
    return problem, sa.State(found.overlap.values, found.gram_perp.values)


def _off(precision: float) -> float:
    """Norm of x^1 off the means over its norm."""
    _, state = _trained(precision)
    r, m = state.gram_perp[0, 0], state.overlap[0]
    return float(np.sqrt(r / (r + m @ m)))


def _missed(precision: float) -> tuple[float, float]:
    """Share of x^1 that the two leading eigenvectors miss, and the bulk without the ridge."""
    problem, state = _trained(precision)
    found = sa.population_spectrum(problem, state, block=(0, 0), regularized=False)
    return 1 - float(found.unit_share[0]), float(found.bulk.values.ravel()[0])


def alignment(seed: int) -> Iterator[Number]:
    """The exponent between two precisions."""
    low, high = map(_off, PRECISIONS)
    slope = np.log(high / low) / np.log(PRECISIONS[1] / PRECISIONS[0])
    next_order = Part(0.01, "next power of 1/λ, at λ = 10³")
    yield number("exponent of the part off the means", slope, -0.5, next_order, wrong=-1)


def eigenspaces(seed: int) -> Iterator[Number]:
    """What the eigenspace misses, and the bulk."""
    (share, bulk), (smaller, flatter) = map(_missed, PRECISIONS)
    none = Part(1e-9, "quadrature")
    yield number("missed share, λ = 10³", share, 0.01, none, wrong=0.02, one_sided=True)
    yield number("missed share, λ = 10⁴", smaller, 0.001, none, wrong=0.01, one_sided=True)
    next_order = Part(0.5, "next power of 1/λ, at λ = 10³")
    yield number("bulk at λ = 10³ over bulk at 10⁴", bulk / flatter, 10, next_order, wrong=1)


CLUSTERS = {"μ": (1, 0), "-μ": (-1, 0), "ν": (0, 1), "-ν": (0, -1)}


def _rank(picks: tuple[str, ...]) -> int:
    """Outliers of the second-layer block where units have picked these clusters."""
    square = np.log((1 - 4 * BETA) / (4 * BETA))
    size = np.array([np.sqrt(square / picks.count(p)) for p in picks])
    signs = np.array([1 if "μ" in p else -1 for p in picks])
    overlap = size[:, None] * np.array([CLUSTERS[p] for p in picks])
    problem = sa.Problem(sa.xor(4), weights=[0.25] * 4, precision=1e4, ridge=BETA, step=1)
    state = sa.State(overlap, 1e-4 * np.eye(4), readout=signs * size)
    found = sa.population_spectrum(problem, state, block="readout", regularized=False)
    return int((found.eigenvalue.values > 1e-3).sum())


def rank_deficiency(seed: int) -> Iterator[Number]:
    """Ranks at fixed points with four, three and two clusters."""
    exact = Part(0.0, "a count of eigenvalues above 10/λ")
    for picks in (("μ", "-μ", "ν", "-ν"), ("μ", "μ", "ν", "-ν"), ("μ", "μ", "ν", "ν")):
        count = len(set(picks))
        wrong = 4 if count < 4 else None
        yield number(f"rank, {count} clusters", _rank(picks), count, exact, wrong=wrong)


def figure() -> Figure:
    """Both measures of alignment over the precision."""
    from matplotlib.figure import Figure

    shown = Figure(figsize=(6, 3.8), layout="constrained")
    axes, precisions = shown.subplots(), np.geomspace(10, 1e4, 7)
    off = np.array([_off(p) for p in precisions])
    missed = np.array([_missed(p)[0] for p in precisions])
    axes.loglog(precisions, off, "o", label="|x¹ off the means| / |x¹|")
    axes.loglog(precisions, missed, "s", label="share of x¹ missed by the eigenspace")
    axes.loglog(precisions, off[-1] * (precisions / 1e4) ** -0.5, "k--", lw=1, label="slope −1/2")
    axes.loglog(precisions, missed[-1] * (precisions / 1e4) ** -1, "k:", lw=1, label="slope −1")
    axes.set(xlabel="precision λ")
    axes.legend()
    return shown
