"""Committee machines of K students and K teachers: plateau, largest rate, SGD on the way."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.linalg import logm

import specalign as sa
from specalign.papers.committee import committee
from verify.papers.numbers import Number, mean_of_runs, number
from verify.verdict.tolerance import Part

RATE, DIMENSION, REPLICAS = 1.5, 20_000, 16
TIME = (0.0, 2.0, 8.0, 20.0)
QUADRATURE = Part(1e-6, "quadrature, and R_perp = 1e-9 in place of a singular one")


def model() -> sa.Model:
    """One student of one teacher, for the claims."""
    return committee(1, 1)


def _plateau_state(units: int, norm: float, overlap: float) -> sa.State:
    m = np.full((units, units), overlap)
    return sa.State(m, np.full((units, units), norm) - m @ m.T + 1e-9 * np.eye(units))


def plateau(seed: int) -> Iterator[Number]:
    """At the claimed place statistics stand still, and the loss is the claimed one."""
    k = 2
    problem = sa.Problem(committee(k, k), step=1e-8)
    claimed = _plateau_state(k, 1 / (2 * k - 1), 1 / np.sqrt(k * (2 * k - 1)))
    average = _plateau_state(k, 1 / k, 1 / k)
    names, speeds, others = ("dR/dt", "dQ/dt"), _speed(problem, claimed), _speed(problem, average)
    for name, here, off in zip(names, speeds, others, strict=True):
        yield number(f"{name} on the plateau, K = {k}", here, 0, QUADRATURE, wrong=here - off)
    loss = float(sa.population_risk(problem, claimed, tolerance=1e-7).loss)
    error = k / np.pi * (np.pi / 6 - k * np.arcsin(1 / (2 * k)))
    other = float(sa.population_risk(problem, average, tolerance=1e-7).loss)
    yield number(f"error of the plateau, K = {k}", loss, error, QUADRATURE, wrong=other)


def _speed(problem: sa.Problem, state: sa.State) -> tuple[float, float]:
    """Rates of change of the overlap and of the norm of the first unit."""
    span = 1e-3
    curve = sa.integrate_curves(problem, state, [0, span])
    change = (curve.isel(time=1) - curve.isel(time=0)) / span
    m = float(curve.overlap[0, 0].sum("direction"))
    dm = float(change.overlap[0, 0])
    return dm, float(change.gram_perp[0, 0]) + 2 * m * dm


def largest_rate(seed: int) -> Iterator[Number]:
    """R_perp grows near the teachers from this rate on: dR/dt = (A + eta B) R."""
    yield _rate(1)


def largest_rate_of_two(seed: int) -> Iterator[Number]:
    """The same for two units."""
    yield _rate(2)


def _rate(k: int) -> Number:
    problem = sa.Problem(committee(k, k), step=1)
    still = _growth(sa.Problem(problem.model, step=1e-9), k)
    rates = np.linalg.eigvals(-np.linalg.solve(_growth(problem, k) - still, still)).real
    root, off = np.sqrt(3) * np.pi, Part(1e-4, "quadratic in R_perp = 1e-6; integration")
    claimed = root / (k + 3 / np.sqrt(5) - 1)
    here = rates[rates > 0].min()
    return number(f"largest rate, K = M = {k}", here, claimed, off, wrong=root / k)


def _growth(problem: sa.Problem, k: int) -> NDArray[np.float64]:
    """The matrix of d(R_11, R_12)/dt near the teachers, from the flow over a short time."""
    span, small = 0.1, 1e-6
    shapes = [np.eye(k), 0.5 * np.ones((k, k)) + 0.5 * np.eye(k)][:k]
    flow = []
    for shape in shapes:
        curve = sa.integrate_curves(problem, sa.State(np.eye(k), small * shape), [0, span])
        flow.append(curve.gram_perp.values[1, 0, :2] / small)
    starts = np.array([shape[0, :2] for shape in shapes])
    return logm(np.array(flow).T @ np.linalg.inv(starts.T)) / span


@lru_cache(maxsize=1)
def _training() -> tuple[sa.Problem, sa.State]:
    start = sa.State([[0.10, 0.05], [0.02, 0.12]], [[0.3, 0.02], [0.02, 0.4]])
    return sa.Problem(committee(2, 2), step=RATE), start


def trajectory(seed: int) -> Iterator[Number]:
    """Overlaps and norms of SGD beside the curve with its corrector, and without."""
    problem, start = _training()
    curve = sa.integrate_curves(problem, start, TIME)
    plain = sa.derive_drift(problem.model).without_corrector()
    flow = sa.integrate_curves(problem, start, TIME, drift=plain)
    runs = sa.simulate_sgd(problem, start, TIME, DIMENSION, REPLICAS, seed, method="reduced")
    bias = Part(60 / DIMENSION, "terms of order 1/d of the mean")
    for i in (1, 2):
        for name in ("overlap", "gram_perp"):
            one = {"time": i, "unit": 0, "direction" if name == "overlap" else "unit_b": 0}
            letter = "R_11" if name == "overlap" else "R_perp_11"
            yield mean_of_runs(
                f"{letter} at t = {TIME[i]:g}",
                runs[name].isel(one).values,
                float(curve[name].isel(one)),
                bias,
                wrong=float(flow[name].isel(one)),
            )


def figure() -> Figure:
    """Loss of the curve, of SGD and of the plateau."""
    from matplotlib.figure import Figure

    problem = sa.Problem(committee(2, 2), step=0.2)
    start = sa.State([[0.101, 0.1], [0.1, 0.102]], [[0.3, 0.0], [0.0, 0.35]])
    time = np.concatenate([[0], np.geomspace(0.3, 300, 70)])
    shown = Figure(figsize=(6, 3.8), layout="constrained")
    axes = shown.subplots()
    loss = sa.population_risk(problem, sa.integrate_curves(problem, start, time)).loss
    axes.loglog(time[1:], loss[1:], "k--", label="equations of motion")
    runs = sa.simulate_sgd(problem, start, time[::3], 20_000, 1, seed=1, method="reduced")
    of_sgd = sa.population_risk(problem, runs.isel(replica=0)).loss
    axes.loglog(time[3::3], of_sgd[1:], "o", ms=4, label="SGD, d = 20,000")
    height = 2 / np.pi * (np.pi / 6 - 2 * np.arcsin(1 / 4))
    axes.axhline(height, color="C1", label="plateau, (2/π)(π/6 − 2 arcsin ¼)")
    axes.set(xlabel="time t = steps·δ", ylabel="generalisation error", ylim=(1e-5, 1))
    axes.legend()
    return shown
