"""The spectral method for phase retrieval as a Hessian."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import scipy.optimize
import xarray as xr
from matplotlib.figure import Figure

import specalign as sa
from verify.papers.numbers import Number, mean_of_runs, number
from verify.verdict.tolerance import Part

SOLUTION = Part(2e-6, "equation of the resolvent; a sum over a grid beside it")
_GRID = np.linspace(-12, 12, 200_001)
_MASS = np.exp(-(_GRID**2) / 2) * (_GRID[1] - _GRID[0]) / np.sqrt(2 * np.pi)


def model() -> sa.Model:
    """The loss whose Hessian is the matrix of the spectral method."""
    (u,), (t,) = sa.symbols.vector("u", 1), sa.symbols.vector("t", 1)
    data = sa.Mixture.build(
        weights=[1], labels=[0], coordinates=[[0]], directions_gram=[[1]], precision=1
    )
    loss = sa.Loss(t**2 / (1 + t**2) * u**2 / 2, units=1)
    return sa.Model.build(data, loss, ridge=0, step=1, name="spectral method")


@dataclass(frozen=True)
class Formula:
    """The formula of the work, by sums over a grid of t."""

    alpha: float

    def parts(self, place: float) -> tuple[float, float, float, float]:
        """phi, its derivative, psi, its derivative."""
        t = _GRID**2
        z = t / (1 + t)
        one, two = z / (place - z), z**2 / (place - z) ** 2
        phi, psi = place * _MASS @ (one * t), place * (1 / self.alpha + _MASS @ one)
        return phi, -_MASS @ (two * t), psi, 1 / self.alpha - _MASS @ two

    def solve(self) -> tuple[float, float]:
        """Leading eigenvalue and squared overlap, above the transition."""

        def gap(place: float) -> float:
            phi, _, psi, _ = self.parts(place)
            return phi - psi

        place = scipy.optimize.brentq(gap, 1.0 + 1e-6, 1e3, xtol=1e-14)
        phi, dphi, _, dpsi = self.parts(place)
        return phi, dpsi / (dpsi - dphi)


def transition_ratio() -> float:
    """Where the derivative of psi vanishes at the solution."""

    def slope(alpha: float) -> float:
        return Formula(alpha).solve()[1]

    return float(scipy.optimize.brentq(slope, 0.6, 4.0, xtol=1e-10))


def _found(alpha: float) -> xr.Dataset:
    state = sa.State([[0.0]], [[1.0]])
    return sa.effective_spectrum(sa.Problem(model()), state, alpha, block=(0, 0), density=False)


def overlap(seed: int) -> Iterator[Number]:
    """Eigenvalue and overlap at three ratios."""
    wrong = float(_MASS @ (_GRID**4 / (1 + _GRID**2)))
    for alpha in (4.0, 8.0, 16.0):
        found, (value, share) = _found(alpha), Formula(alpha).solve()
        yield number(f"eigenvalue, α = {alpha:g}", found.outliers[0], value, SOLUTION, wrong=wrong)
        yield number(f"overlap², α = {alpha:g}", found.overlap[0], share, SOLUTION, wrong=1)


def transition(seed: int) -> Iterator[Number]:
    """Outliers 1 % below and above the ratio of the formula."""
    alpha, exact = transition_ratio(), Part(0.0, "a count")
    for factor, count in ((0.99, 0), (1.01, 1)):
        here = _found(factor * alpha).outliers.size
        yield number(f"outliers, α = {factor * alpha:.4f}", here, count, exact, wrong=1)


def data(seed: int) -> Iterator[Number]:
    """Overlap of 30 leading eigenvectors at alpha = 8, d = 200."""
    alpha, d, count = 8.0, 200, 30
    problem, state = sa.Problem(model()), sa.State([[0.0]], [[1.0]])
    found = [_measured(problem, state, alpha, d, one) for one in _seeds(seed, count)]
    bias = Part(4 / d, "finite d: a mean shift of order 1/d")
    yield mean_of_runs(f"overlap², α = 8, d = {d}", found, Formula(alpha).solve()[1], bias, wrong=1)


def _seeds(seed: int, count: int) -> list[np.random.SeedSequence]:
    return np.random.SeedSequence(seed).spawn(count)


def _measured(
    problem: sa.Problem, state: sa.State, alpha: float, d: int, seed: np.random.SeedSequence
) -> float:
    samples = sa.draw_data(problem, state, d, int(alpha * d), seed)
    found = sa.empirical_spectrum(samples, block=(0, 0), count=1)
    return float(found.share_of_directions[0])


def figure() -> Figure:
    """Overlap over the ratio of samples to dimension."""
    from matplotlib.figure import Figure

    shown = Figure(figsize=(6, 3.8), layout="constrained")
    axes = shown.subplots()
    start = transition_ratio()
    line = np.geomspace(start, 16, 60)
    share = [Formula(a).solve()[1] for a in line]
    axes.plot([0.5, start, *line], [0, 0, *share], "k-", label="formula")
    crosses = np.geomspace(1.2 * start, 16, 6)
    values = [float(_found(a).overlap[0]) for a in crosses]
    axes.plot(crosses, values, "x", ms=9, color="C1", label="specalign")
    problem, state = sa.Problem(model()), sa.State([[0.0]], [[1.0]])
    places = np.geomspace(0.6, 16, 9)
    runs = [[_measured(problem, state, a, 400, s) for s in _seeds(1, 4)] for a in places]
    axes.plot(places, np.mean(runs, axis=1), "o", mfc="none", label="data, d = 400, mean of 4")
    axes.set(xlabel="samples per dimension α", ylabel="squared overlap", xscale="log")
    axes.legend()
    return shown
