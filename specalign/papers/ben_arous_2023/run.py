"""Alignment of softmax regression and the rank of the second layer of XOR networks."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from matplotlib.figure import Figure
from scipy.optimize import brentq

import specalign as sa
from verify.evidence.outcomes import separated_clusters
from verify.papers.numbers import Number, mean_of_runs, number
from verify.verdict.tolerance import Chance, Part

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


# clusters that the four units have picked: all, three, two
PICKS = (("μ", "-μ", "ν", "-ν"), ("μ", "μ", "ν", "-ν"), ("μ", "μ", "ν", "ν"))
CLUSTERS = {"μ": (1, 0), "-μ": (-1, 0), "ν": (0, 1), "-ν": (0, -1)}


def _network(picks: tuple[str, ...]) -> tuple[sa.Problem, sa.State]:
    """The fixed point where units have picked these clusters, up to powers of 1/lambda."""
    square = np.log((1 - 4 * BETA) / (4 * BETA))
    size = np.array([np.sqrt(square / picks.count(p)) for p in picks])
    signs = np.array([1 if "μ" in p else -1 for p in picks])
    overlap = size[:, None] * np.array([CLUSTERS[p] for p in picks])
    problem = sa.Problem(sa.xor(4), weights=[0.25] * 4, precision=1e4, ridge=BETA, step=1)
    return problem, sa.State(overlap, 1e-4 * np.eye(4), readout=signs * size)


def _rank(picks: tuple[str, ...]) -> int:
    """Outliers of the second-layer block."""
    problem, state = _network(picks)
    found = sa.population_spectrum(problem, state, block="readout", regularized=False)
    return int((found.eigenvalue.values > 1e-3).sum())


def rank_deficiency(seed: int) -> Iterator[Number]:
    """Ranks at fixed points with four, three and two clusters."""
    exact = Part(0.0, "a count of eigenvalues above 10/λ")
    for picks in PICKS:
        count = len(set(picks))
        wrong = 4 if count < 4 else None
        yield number(f"rank, {count} clusters", _rank(picks), count, exact, wrong=wrong)


def fixed_points(seed: int) -> Iterator[Number]:
    """Where the noiseless flow of both systems ends."""
    k = 3
    problem = sa.Problem(
        sa.kgmm(k, directions_gram="orthonormal"), weights=np.full(k, 1 / k), precision=1.0,
        ridge=RIDGE, step=1,
    )  # fmt: skip
    start = sa.State(0.1 * np.eye(k), np.zeros((k, k)))
    end = sa.integrate_noiseless(problem, start, [0, 400]).overlap.values[-1]
    claimed, wrong = (
        brentq(lambda s, n=n: RIDGE * s - 1 / (np.exp(s) + n), 0, 20) for n in (k - 1, k)
    )
    integration = Part(1e-4, "integration of the flow")
    yield number("m_11 - m_12, k = 3", end[0, 0] - end[0, 1], claimed, integration, wrong=wrong)
    problem, state = _network(PICKS[0])
    start = sa.State(0.3 * np.sign(state.overlap), np.zeros((4, 4)), 0.5 * np.sign(state.readout))
    last = sa.integrate_noiseless(problem, start, [0, 800]).readout.values[-1]
    claimed, wrong = (np.log((1 - n * BETA) / (n * BETA)) for n in (4, 1))
    yield number("v_1^2, XOR", last[0] ** 2, claimed, integration, wrong=wrong)


def own_mean(seed: int) -> Iterator[Number]:
    """Eigenvalues of the block of one of three classes, and where the first eigenvector points."""
    k, precision = 3, 1e4
    problem = sa.Problem(
        sa.kgmm(k, directions_gram="orthonormal"), weights=np.full(k, 1 / k), precision=precision,
        ridge=RIDGE, step=1,
    )  # fmt: skip
    fixed = sa.solve_fixed_point(problem, sa.State(np.eye(k) - 1 / k, 0.05 * np.eye(k)))
    state = sa.State(fixed.overlap.values, fixed.gram_perp.values)
    found = sa.population_block(problem, state, block=(0, 0), regularized=False)
    values, vectors = np.linalg.eigh(found.matrix)
    first, second, third = values[::-1][:3]
    next_order = Part(0.01, "next powers of 1/λ")
    share = vectors[0, -1] ** 2  # orthonormal directions are the first coordinates
    yield number("share of the first eigenvector along its mean", share, 1, next_order, wrong=1 / k)
    own, other = (a * (1 - a) for a in _softmax(state.overlap[0, 0] - state.overlap[0, 1], k))
    yield number("first over second outlier", first / second, own / other, Part(
        0.01 * own / other, "next powers of 1/λ"), wrong=1)  # fmt: skip
    yield number("third over second outlier", third / second, 1, next_order, wrong=other / own)


def _softmax(gap: float, k: int) -> tuple[float, float]:
    """Probability of class 1 where its pre-activation leads by a gap, and where another does."""
    return np.exp(gap) / (np.exp(gap) + k - 1), 1 / (np.exp(gap) + k - 1)


def per_layer(seed: int) -> Iterator[Number]:
    """Both layers of XOR networks at fixed points with four, three and two clusters."""
    none = Part(1e-6, "quadrature")
    for picks in PICKS:
        rank = len(set(picks))
        problem, state = _network(picks)
        block = sa.population_block(problem, state, block=(0, 0), regularized=False)
        top = np.linalg.eigh(block.matrix)[1][:, -2:]
        off = 2 - float(np.sum(top[: block.basis.directions] ** 2))
        label = f"{rank} clusters"
        yield number(f"layer 1, off the means, {label}", off, 0.01, none, wrong=1, one_sided=True)
        spectrum = sa.population_spectrum(problem, state, block="readout", regularized=False)
        found = sa.readout_alignment(problem, state, spectrum, rank=rank)
        missed = 1 - float(found.top_share)
        yield number(f"layer 2, off its outliers, {label}", missed, 0.01, none, wrong=0.1,
                     one_sided=True)  # fmt: skip


def picks(seed: int) -> Iterator[Number]:
    """Clusters that SGD finds from random weights at little noise."""
    runs, d = 1_200, 200
    problem = sa.Problem(sa.xor(4), weights=[0.25] * 4, precision=1e6, ridge=BETA, step=1)
    generator = np.random.default_rng(seed)
    starts = [
        sa.RandomStart(0.1, tuple(0.5 * generator.choice([-1.0, 1.0], size=4))).draw(
            problem.model, problem.parameters, d, generator
        )
        for _ in range(runs)
    ]
    ends = sa.simulate_sgd(problem, starts, [100], d, runs, seed=seed, method="reduced")
    counts = separated_clusters(ends.isel(time=-1), problem.parameters).sum(axis=1)
    switched = Part(0.03, "units that still switch at d = 200, λ/d = 5000")
    independent = (1 - 0.75**4) ** 4
    claims = ((4, 24 / 256, independent), (2, 84 / 256, None))
    for clusters, claimed, wrong in claims:
        hits = (counts == clusters).astype(float)
        yield mean_of_runs(f"share of runs with {clusters} clusters", hits, claimed, switched,
                           wrong=wrong)  # fmt: skip


def train_data(seed: int) -> Iterator[Number]:
    """What the top eigenspace misses of the weights: samples that trained, beside fresh ones."""
    d, ratio, runs, precision = 100, 20, 12, 100
    problem = sa.Problem(model(), weights=[0.6, 0.4], precision=precision, ridge=RIDGE, step=1)
    missed = []
    for child in np.random.SeedSequence(seed).spawn(runs):
        first, second = child.spawn(2)
        trained = sa.train_data(sa.draw_data(problem, sa.State.zero(problem), d, ratio * d, first))
        both = (trained, trained.fresh(ratio * d, second))
        spectra = [sa.empirical_spectrum(x, block=(0, 0), count=2, regularized=False) for x in both]
        missed.append([1 - float(found.unit_share[0]) for found in spectra])
    train, test = np.array(missed).T
    chance = Chance(float(train.std(ddof=1) / runs**0.5), runs - 1)
    bound = precision**-0.5  # the smallest of the powers that the work allows for
    yield number(
        "missed share of x^1, λ = 100", train.mean(), bound, chance, wrong=0.5, one_sided=True
    )
    beside = Part(1 / precision, "1/λ")
    yield mean_of_runs("missed by train minus by test data", train - test, 0.0, beside, wrong=0.1)


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
    axes.set(xlabel="precision λ", ylabel="what is off, at the end")
    axes.legend()
    return shown
