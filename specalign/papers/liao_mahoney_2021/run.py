"""The logistic Hessian at large weights: a spike left of the bulk."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import scipy.optimize
import xarray as xr
from matplotlib.figure import Figure
from scipy.special import expit

import specalign as sa
from verify.papers.numbers import Number, mean_of_runs, number
from verify.verdict.tolerance import Part

PHI, LENGTHS = 10.0, (4.0, 25.0)
SOLUTION = Part(1e-6, "equation of the resolvent; a sum over a grid beside it")


def model() -> sa.Model:
    """Logistic loss, one Gaussian."""
    (u,), y = sa.symbols.vector("u", 1), sa.symbols.LABEL
    data = sa.Mixture.build(
        weights=[1], labels=[1], coordinates=[[0]], directions_gram=[[1]], precision=1
    )
    loss = sa.Loss(sa.Softplus(u) - y * u, units=1)
    return sa.Model.build(data, loss, ridge=0, step=1, name="logistic")


def _found(q: float, density: bool = False) -> xr.Dataset:
    state = sa.State([[0.0]], [[q]])
    return sa.effective_spectrum(sa.Problem(model()), state, PHI, block=(0, 0), density=density)


class _Equivalent:
    """The deterministic equivalent by sums over a grid of u, with nothing of the engine."""

    def __init__(self, q: float) -> None:
        z = np.linspace(-12, 12, 200_001)
        self.mass = np.exp(-z * z / 2) * (z[1] - z[0]) / np.sqrt(2 * np.pi)
        u = np.sqrt(q) * z
        self.weight, self.square = expit(u) * expit(-u), z * z

    def mean(self, values: np.ndarray) -> float:
        return float(self.mass @ values)

    def z(self, s: float) -> float:
        return -1 / s + self.mean(self.weight / (1 + s * self.weight / PHI))

    def far_left(self) -> float:
        """The S of the left edge, where z is largest."""
        bounds = (np.log(1e-2), np.log(1e5))
        options = {"xatol": 1e-9}
        far = scipy.optimize.minimize_scalar(
            lambda x: -self.z(np.exp(x)), bounds=bounds, method="bounded", options=options
        )
        return float(np.exp(far.x))

    def edges(self) -> tuple[float, float]:
        """Ends of the bulk."""
        pole = -PHI / self.weight.max()
        options = {"xatol": 1e-10}
        far = scipy.optimize.minimize_scalar(
            self.z, bounds=(pole * (1 - 1e-9), -1e-6), method="bounded", options=options
        )
        return self.z(self.far_left()), self.z(float(far.x))

    def spike(self) -> float:
        """The eigenvalue along the weights, left of the bulk."""

        def gap(s: float) -> float:
            return self.z(s) - self.mean(self.weight * self.square / (1 + s * self.weight / PHI))

        return self.z(scipy.optimize.brentq(gap, 1e-3, self.far_left()))


def left_spike(seed: int) -> Iterator[Number]:
    """Place of the eigenvalue, and that it lies left of the bulk."""
    for q in LENGTHS:
        found, own = _found(q), _Equivalent(q)
        here = found.outliers.values[0]
        wrong = own.mean(own.weight * own.square)
        yield number(f"left spike, Q = {q:g}", here, own.spike(), SOLUTION, wrong=wrong)
        edge, none = found.edges.values[0, 0], Part(0.0, "an order")
        yield number(f"spike against left edge, Q = {q:g}", here, edge, none, one_sided=True)


def bulk(seed: int) -> Iterator[Number]:
    """Both edges."""
    for q in LENGTHS:
        found, own = _found(q).edges.values[0], _Equivalent(q)
        mean, root = own.mean(own.weight), PHI**-0.5
        for sign, here, claimed in zip((-1, 1), found, own.edges(), strict=True):
            name = "left" if sign < 0 else "right"
            wrong = mean * (1 + sign * root) ** 2
            yield number(f"{name} edge, Q = {q:g}", here, claimed, SOLUTION, wrong=wrong)


def data(seed: int) -> Iterator[Number]:
    """The smallest eigenvalue of 30 Hessians in d = 200."""
    q, d, count = 25.0, 200, 30
    problem, state = sa.Problem(model()), sa.State([[0.0]], [[q]])
    smallest = []
    for one in np.random.SeedSequence(seed).spawn(count):
        samples = sa.draw_data(problem, state, d, int(PHI * d), one)
        found = sa.empirical_spectrum(samples, block=(0, 0), count=1, which="smallest")
        smallest.append(float(found.eigenvalue[0]))
    own = _Equivalent(q)
    bias = Part(0.05 / d, "finite d: a mean shift of order 1/d")
    wrong = own.mean(own.weight * own.square)
    name = f"smallest eigenvalue, Q = {q:g}, d = {d}"
    yield mean_of_runs(name, smallest, own.spike(), bias, wrong=wrong)


def figure() -> Figure:
    """Density and spike beside data."""
    state, found = sa.State([[0.0]], [[25.0]]), _found(25.0, density=True)
    samples = sa.draw_data(sa.Problem(model()), state, 400, 4000, 1)
    outliers, eigenvalues = sa.measure_outliers(samples, found)
    title = "logistic Hessian at |x|² = 25, M/d = 10"
    panels = sa.plot.effective(
        found, eigenvalues, outliers, data_label="data, d = 400", title=title
    )
    return np.atleast_1d(panels)[0].figure
