"""Models with an update of their own, each with its step written out by hand in NumPy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import sympy as sp
from band_cases import random_state
from law_cases import threshold, with_products
from sgd_cases import vectors

from numerics import Problem, State, integrate_curves, realise_weights, simulate_sgd
from theory import Loss, Mixture, Model, Softplus, Step, Update, mlp, symbols

(U1, U2), (V1, V2), G, Y = (
    symbols.vector("u", 2),
    symbols.vector("v", 2),
    symbols.SLOPE,
    symbols.LABEL,
)
THIRD, HALF = sp.Rational(1, 3), sp.Rational(1, 2)


@dataclass(frozen=True)
class UpdateCase:
    """A model, and one step: (x, v) moved by delta of samples y with labels, one row a sample.

    ``step(x, v, y, labels, delta, beta, means)`` returns arrays N x C x d and N x q.
    """

    model: Callable[[], Model]
    step: Callable[..., tuple[np.ndarray, np.ndarray]]


def data(coordinates=((1, 0), (0, 1), (0, -1)), labels=(0, 1, 1), count=3):
    """Components of weights that differ, over directions that are not orthonormal."""
    weights = [sp.Rational(1, 4)] * (count - 1)
    gram = [[1, THIRD], [THIRD, 1]] if len(coordinates[0]) == 2 else [[1]]
    return Mixture.build(
        weights=[*weights, 1 - sum(weights)], labels=labels, coordinates=coordinates,
        directions_gram=gram, precision=3,
    )  # fmt: skip


def network(update, coordinates=((1, 0), (0, 1), (0, -1))):
    """Two tanh units behind a logistic readout."""
    model = mlp(
        data(coordinates), units=[2], activation="tanh", output="logistic", ridge="1/10", step="1/2"
    )
    return model.with_update(update)


def one_unit(loss, update, labels=(1, -1)):
    """One unit on two components in one direction."""
    two = data(((1,), (-1,)), labels, 2)
    return Model.build(two, loss, ridge="1/10", step="1/2", update=update)


def slopes(x, v, y, labels):
    """Derivatives of the logistic loss of two tanh units: g, N x 2, and those of v."""
    h = np.tanh(y @ x.T)
    error = (1 / (1 + np.exp(-h @ v)) - labels)[:, None]
    return error * v * (1 - h**2), error * h


def moved(x, v, g, dv, y, delta, beta, eta=1.0, eta_v=1.0, beta_v=None):
    """Plain steps of rates and ridges by weight."""
    eta, beta = (np.broadcast_to(z, len(x))[:, None] for z in (eta, beta))
    beta_v = beta[0] if beta_v is None else beta_v
    step = g[:, :, None] * y[:, None, :] + beta * x
    return x - delta * eta * step, v - delta * eta_v * (dv + beta_v * v)


def rates(x, v, y, labels, delta, beta, means):
    g, dv = slopes(x, v, y, labels)
    eta, ridges = np.array([2.0, 0.5]), np.array([0.0, beta])
    return moved(x, v, g, dv, y, delta, ridges, eta, 1.5, 0.2)


def frozen(x, v, y, labels, delta, beta, means):
    g, dv = slopes(x, v, y, labels)
    return moved(x, v, g, dv, y, delta, beta, np.array([1.0, 0.0]), 0.0)


def projected(onto):
    def step(x, v, y, labels, delta, beta, means):
        g, dv = slopes(x, v, y, labels)
        plain, v = moved(x, v, g, dv, y, delta, beta)
        basis = np.linalg.svd(means)[2][: np.linalg.matrix_rank(means)]
        kept = (plain - x) @ basis.T @ basis
        return x + (kept if onto else plain - x - kept), v

    return step


def on_one_unit(rule):
    """A step of one unit whose slope is a function of u and the label."""

    def step(x, v, y, labels, delta, beta, means):
        g = rule((y @ x.T)[:, 0], labels)[:, None]
        return moved(x, v, g, np.zeros((len(y), 0)), y, delta, beta)

    return step


def feedback(x, v, y, labels, delta, beta, means):
    """The readout goes back through fixed weights 1 and -1/2."""
    h = np.tanh(y @ x.T)
    _, dv = slopes(x, v, y, labels)
    error = (1 / (1 + np.exp(-h @ v)) - labels)[:, None]
    return moved(x, v, error * np.array([1.0, -0.5]) * (1 - h**2), dv, y, delta, beta)


def average(x, v, y, labels, delta, beta, means):
    u = (y @ x.T)[:, 0]
    g = (np.tanh(u) - labels) * (1 - np.tanh(u) ** 2)
    first = x[0] - delta * (g[:, None] * y + beta * x[0])
    second = np.broadcast_to(x[1] + 2 * delta * (x[0] - x[1]), first.shape)
    return np.stack([first, second], axis=1), np.broadcast_to(v, (len(y), 0))


def feedback_model():
    error = 1 / (1 + sp.exp(-V1 * sp.tanh(U1) - V2 * sp.tanh(U2))) - Y
    fixed = {"unit 1": 1, "unit 2": -sp.Rational(1, 2)}
    pairs = zip(fixed.items(), (U1, U2), strict=True)
    rules = {n: w * error * (1 - sp.tanh(u) ** 2) for (n, w), u in pairs}
    return network(Update(rules=rules))


LINE = ((1, 1), (2, 2), (-1, -1))
SQUARE = Loss((U1 - Y) ** 2 / 2, units=1)
LOGISTIC = Loss(Softplus(-Y * U1), units=1)
CLIPPED = sp.Max(-HALF, sp.Min(HALF, G))
CASES = {
    "rates": UpdateCase(
        lambda: network(
            Update(
                rates={"layer 1": 2, "unit 2": HALF, "layer 2": "3/2"},
                ridges={"unit 1": 0, "layer 2": "1/5"},
            )
        ),
        rates,
    ),
    "frozen": UpdateCase(lambda: network(Update(frozen=["unit 2", "layer 2"])), frozen),
    "dominant": UpdateCase(lambda: network(Update(project="dominant"), LINE), projected(True)),
    "bulk": UpdateCase(lambda: network(Update(project="bulk"), LINE), projected(False)),
    "clipped": UpdateCase(
        lambda: one_unit(SQUARE, Update(rules={"layer 1": CLIPPED})),
        on_one_unit(lambda u, y: np.clip(u - y, -0.5, 0.5)),
    ),
    "sign": UpdateCase(
        lambda: one_unit(SQUARE, Update(rules={"unit 1": sp.sign(G)})),
        on_one_unit(lambda u, y: np.sign(u - y)),
    ),
    "perceptron": UpdateCase(
        lambda: one_unit(LOGISTIC, Update(rules={"unit 1": -Y * Step(-Y * U1)})),
        on_one_unit(lambda u, y: -y * (y * u < 0)),
    ),
    "feedback": UpdateCase(feedback_model, feedback),
    "average": UpdateCase(
        lambda: one_unit(
            Loss((sp.tanh(U1) - Y) ** 2 / 2, units=2), Update(averages={"unit 2": ("unit 1", 2)})
        ),
        average,
    ),
}  # fmt: skip


def random_start(model, rng):
    """A state of moderate size."""
    if model.bands > 1:
        return random_state(model, rng)
    factor = rng.uniform(-1, 1, (model.units, model.units))
    return State(
        0.6 * rng.uniform(-1, 1, (model.units, model.directions)),
        0.6 * (0.3 * np.eye(model.units) + factor @ factor.T / model.units),
        rng.uniform(0.3, 1, model.readout_size),
    )


def raw_step(step, problem, state, dimension, samples, rng):
    """Changes of the statistics in single steps over delta, from the definition alone."""
    model, p = problem.model, problem.parameters
    directions, x = realise_weights(problem, state, dimension)
    component = rng.choice(model.components, size=samples, p=p.weights)
    noise = rng.standard_normal((samples, dimension)) / np.sqrt(p.precision)
    means = problem.coordinates @ directions
    labels, delta = problem.labels[component], p.step / dimension
    after, v = step(x, state.readout, means[component] + noise, labels, delta, p.ridge, means)
    overlap = after @ directions.T
    away = after - overlap @ np.linalg.inv(p.directions_gram) @ directions
    gram = away @ away.transpose(0, 2, 1)
    upper = np.triu_indices(len(x))
    found = [overlap.reshape(samples, -1), gram[:, upper[0], upper[1]], v]
    return (np.concatenate(found, axis=1) - state.flatten()) / delta


def agree(left, right):
    """Whether all first and second moments of two samples agree; what never moves, exactly."""
    centre = left.mean(axis=0)
    left, right = (with_products(x, centre) for x in (left, right))
    difference = np.abs(left.mean(axis=0) - right.mean(axis=0))
    error = np.sqrt(left.var(axis=0) / len(left) + right.var(axis=0) / len(right))
    z = difference / (error + 1e-9)
    print(f"largest z {z.max():.2f} of {z.size}, threshold {threshold(z.size):.2f}")
    return bool(z.max() <= threshold(z.size))


def check_runs_and_curve(problem, dimensions, rng):
    """400 direct and reduced runs have one law at these dimensions; those of the chain at d = 3,000
    are on the curve.
    """
    state, time, large = random_start(problem.model, rng), [0.0, 0.4], 3_000

    def simulated(dimension, method):
        seed = int(rng.integers(2**32))
        return vectors(
            simulate_sgd(
                problem, state, time, dimension=dimension, replicas=400, seed=seed, method=method
            )
        )

    for dimension in dimensions:
        left, right = (simulated(dimension, method) for method in ("direct", "reduced"))
        assert agree(left, right)
    found = simulated(large, "reduced")
    curve = integrate_curves(problem, state, time, tolerance=1e-3)
    expected = State.at(curve, time[-1]).flatten()
    # the bias falls like 1/d: of what is seen at the last dimension at most its share
    bias = np.abs(right.mean(axis=0) - expected) * dimension / large
    bias += curve.attrs["error_estimate"]
    z = (np.abs(found.mean(axis=0) - expected) - bias) / (found.std(axis=0) / 20 + 1e-12)
    print(f"largest z {z.max():.2f} of {z.size}")
    assert z.max() <= threshold(z.size)


__all__ = [
    "CASES",
    "Problem",
    "agree",
    "check_runs_and_curve",
    "network",
    "random_start",
    "raw_step",
    "vectors",
]
