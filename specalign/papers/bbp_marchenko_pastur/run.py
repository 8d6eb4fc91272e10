"""Spiked covariances as Hessians of the square loss."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import scipy.optimize
import xarray as xr
from matplotlib.figure import Figure

import specalign as sa
from verify.papers.numbers import Number, mean_of_runs, number
from verify.verdict.tolerance import Part

PHI = 4.0
ROUNDING = Part(1e-7, "solution of the equation of the resolvent")


def model(weights: tuple[float, float] = (1, 1)) -> sa.Model:
    """The loss w u^2 / 2 with a weight w for each of two labels of the same Gaussian."""
    (u,), y = sa.symbols.vector("u", 1), sa.symbols.LABEL
    data = sa.Mixture.build(
        weights=[0.5, 0.5], labels=list(weights), coordinates=[[1], [1]], directions_gram=[[1]]
    )
    return sa.Model.build(data, sa.Loss(y * u**2 / 2, units=1), ridge=0, step=1, name="spike")


def _spectrum(precision: float, weights: tuple[float, float] = (1, 1)) -> xr.Dataset:
    problem = sa.Problem(model(weights), precision=precision)
    state = sa.State([[0.0]], [[1.0]])
    return sa.effective_spectrum(problem, state, PHI, block=(0, 0), density=False)


def _spike(theta: float) -> tuple[float, float]:
    place = (1 + theta) * (1 + 1 / (PHI * theta)) / theta
    return place, (1 - 1 / (PHI * theta**2)) / (1 + 1 / (PHI * theta))


def edges(seed: int) -> Iterator[Number]:
    """Ends of the support at lambda = 2."""
    found = _spectrum(2.0).edges.values[0]
    for sign, here in zip((-1, 1), found, strict=True):
        claimed, wrong = ((1 + sign * PHI**power) ** 2 / 2 for power in (-0.5, 0.5))
        name = "left edge" if sign < 0 else "right edge"
        yield number(f"{name}, λ = 2", here, claimed, ROUNDING, wrong=wrong)


def spike(seed: int) -> Iterator[Number]:
    """Place and overlap; theta = lambda for a mean of length 1."""
    for theta in (0.8, 2.0, 10.0):
        found, (place, overlap) = _spectrum(theta), _spike(theta)
        name = f"θ = {theta:g}"
        here = found.outliers.values[0]
        yield number(f"outlier, {name}", here, place, ROUNDING, wrong=(1 + theta) / theta)
        yield number(f"overlap, {name}", found.overlap.values[0], overlap, ROUNDING, wrong=1)


def threshold(seed: int) -> Iterator[Number]:
    """How many outliers there are, near theta = 1/2."""
    exact = Part(0.0, "a count")
    for theta, count in ((0.49, 0), (0.51, 1)):
        here = _spectrum(theta).outliers.size
        yield number(f"outliers, θ = {theta:g}", here, count, exact, wrong=0)


def generalised(seed: int) -> Iterator[Number]:
    """Edges of the bulk of weights 1 and 3, by the derivative of Silverstein's function."""
    lam, weights = 2.0, np.array([1.0, 3.0])

    def slope(m: float) -> float:
        return float(1 / m**2 - PHI * np.mean(weights**2 / (PHI * lam + weights * m) ** 2))

    def z(m: float) -> float:
        return float(-1 / m + PHI * np.mean(weights / (PHI * lam + weights * m)))

    pole = -PHI * lam / weights.max()
    right = z(scipy.optimize.brentq(slope, pole * (1 - 1e-9), -1e-6))
    left = z(scipy.optimize.brentq(slope, 1e-3, 1e6))
    found = _spectrum(lam, (1, 3)).edges.values[0]
    for name, here, claimed, sign in zip(
        ("left", "right"), found, (left, right), (-1, 1), strict=True
    ):
        wrong = 2 * (1 + sign * PHI**-0.5) ** 2 / lam
        yield number(f"{name} edge, weights 1 and 3", here, claimed, ROUNDING, wrong=wrong)


def data(seed: int) -> Iterator[Number]:
    """Largest eigenvalues of 40 matrices in d = 200 at theta = 2."""
    theta, d, count = 2.0, 200, 40
    problem, state = sa.Problem(model(), precision=theta), sa.State([[0.0]], [[1.0]])
    largest = []
    for one in np.random.SeedSequence(seed).spawn(count):
        samples = sa.draw_data(problem, state, d, int(PHI * d), one)
        found = sa.empirical_spectrum(samples, block=(0, 0), count=1)
        largest.append(float(found.eigenvalue[0]))
    bias = Part(8 / d, "finite d: a mean shift of order 1/d")
    claimed = _spike(theta)[0]
    yield mean_of_runs(
        "largest eigenvalue, θ = 2, d = 200", largest, claimed, bias, wrong=(1 + theta) / theta
    )


def figure() -> Figure:
    """Density and spike beside data."""
    problem, state = sa.Problem(model(), precision=2.0), sa.State([[0.0]], [[1.0]])
    found = sa.effective_spectrum(problem, state, PHI, block=(0, 0))
    samples = sa.draw_data(problem, state, 750, 3000, 1)
    outliers, eigenvalues = sa.measure_outliers(samples, found)
    title = "square loss, spike θ = λ = 2, M/d = 4"
    panels = sa.plot.effective(
        found, eigenvalues, outliers, data_label="data, d = 750", title=title
    )
    return np.atleast_1d(panels)[0].figure
