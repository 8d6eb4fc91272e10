"""SGD with updates of its own: kernels against raw samples, the chain, the curve, heavy balls."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import sympy as sp
from helpers import fresh_rng
from law_cases import threshold
from sgd_cases import vectors
from update_cases import (
    CASES,
    LINE,
    U1,
    Y,
    agree,
    check_runs_and_curve,
    data,
    network,
    random_start,
    raw_step,
)

from numerics import (
    Problem,
    State,
    draw_data,
    integrate_curves,
    integrate_fluctuations,
    realise_weights,
    simulate_sgd,
    train_data,
)
from numerics.sgd.kernel.source import kernel_source
from theory import Bands, InputError, Loss, Model, Update, kgmm

SLOW = [name for name in CASES if name not in ("rates", "clipped")]
EACH = ["rates", "clipped", *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)]


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_one_step_has_the_law_of_raw_samples(name):
    """By the chain; the other test compares it with the direct simulation."""
    rng, case, dimension, count = fresh_rng(), CASES[name], 9, 10_000
    problem = Problem(case.model())
    state = random_start(problem.model, rng)
    delta = problem.parameters.step / dimension

    def steps(problem):
        seed = int(rng.integers(2**32))
        runs = simulate_sgd(
            problem, state, [0.0, delta], dimension=dimension, replicas=count, seed=seed,
            method="reduced",
        )  # fmt: skip
        return (vectors(runs) - state.flatten()) / delta

    raw = raw_step(case.step, problem, state, dimension, count, rng)
    assert agree(steps(problem), raw)
    # the plain gradient has another law, which the test sees
    assert not agree(steps(Problem(problem.model.with_update(None))), raw)


@pytest.mark.slow
@pytest.mark.parametrize("name", EACH)
def test_direct_and_reduced_runs_have_one_law_and_follow_the_curve(name):
    """400 replicas at d = 60 in law; those of the chain at d = 3,000 against the curve."""
    check_runs_and_curve(Problem(CASES[name].model()), (60,), fresh_rng())


HEAVY = {
    "heavy": lambda: network(Update(momentum="3/5", rates={"unit 1": 2})),
    "heavy in the bulk": lambda: network(Update(momentum="1/2", project="bulk"), LINE),
    "heavy on the means": lambda: network(Update(momentum="1/2", project="dominant"), LINE),
    "heavy in two bands": lambda: classes_in_two_bands(
        Update(momentum="3/5", rates={"unit 1": 2}), ridge="1/10"
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["average", *(pytest.param(n, marks=pytest.mark.slow) for n in ("bulk", *HEAVY))]
)
def test_batches_and_schedules_have_one_law_in_both_methods(name):
    """Three samples a step and a step that falls; the chain has a factor for each sample."""
    rng = fresh_rng()
    problem = Problem(HEAVY[name]() if name in HEAVY else CASES[name].model())
    state = random_start(problem.model, rng)
    direct, reduced = (
        vectors(
            simulate_sgd(
                problem, state, [0.0, 0.4], dimension=12, replicas=4000,
                seed=int(rng.integers(2**32)), method=method, batch=3,
                schedule=1 / (1 + sp.Symbol("t")),
            )
        )
        for method in ("direct", "reduced")
    )  # fmt: skip
    assert agree(direct, reduced)


def heavy_ball(problem, state, dimension, time, theta, rng):
    """Momentum from its definition, in NumPy: x' = x - delta grad + theta (x - x_before)."""
    p = problem.parameters
    directions, x = realise_weights(problem, state, dimension)
    means, v = problem.coordinates @ directions, state.readout.copy()
    delta = p.step / dimension
    speed, speed_v = np.zeros_like(x), np.zeros_like(v)
    for _ in range(round(time / delta)):
        l = rng.choice(len(means), p=p.weights)
        y = means[l] + rng.standard_normal(dimension) / np.sqrt(p.precision)
        h = np.tanh(x @ y)
        error = 1 / (1 + np.exp(-h @ v)) - problem.labels[l]
        speed = theta * speed - delta * (np.outer(error * v * (1 - h**2), y) + p.ridge * x)
        speed_v = theta * speed_v - delta * (error * h + p.ridge * v)
        x, v = x + speed, v + speed_v
    overlap = x @ directions.T
    away = x - overlap @ np.linalg.inv(p.directions_gram) @ directions
    return State(overlap, away @ away.T, v).flatten()


@pytest.mark.slow
@pytest.mark.parametrize("method", ["direct", "reduced"])
def test_heavy_balls_have_the_law_of_their_definition(method):
    rng, count = fresh_rng(), 400
    problem = Problem(network(Update(momentum="3/5")))
    state = random_start(problem.model, rng)
    runs = simulate_sgd(
        problem, state, [0.0, 0.3], dimension=40, replicas=count, seed=int(rng.integers(2**32)),
        method=method,
    )  # fmt: skip
    raw = np.array([heavy_ball(problem, state, 40, 0.3, 0.6, rng) for _ in range(count)])
    assert agree(vectors(runs), raw)
    assert not agree(vectors(runs), np.array([
        heavy_ball(problem, state, 40, 0.3, 0.2, rng) for _ in range(count)
    ]))  # fmt: skip


@pytest.mark.slow
def test_heavy_balls_follow_the_curve_of_the_whole_field_rescaled():
    """The deviation of the means falls like 1/d; without the corrector rescaled they are off."""
    rng, theta, time = fresh_rng(), 0.6, 0.6
    problem = Problem(network(Update(momentum=theta)))
    state = random_start(problem.model, rng)
    curve = integrate_curves(problem, state, [0.0, time], tolerance=1e-4)
    expected = State.at(curve, time).flatten()
    means, errors = [], []
    for dimension, replicas in ((100, 1600), (400, 1600)):
        runs = simulate_sgd(
            problem, state, [0.0, time], dimension=dimension, replicas=replicas,
            seed=int(rng.integers(2**32)),
        )  # fmt: skip
        found = vectors(runs)
        means.append(found.mean(axis=0))
        errors.append(found.std(axis=0) / np.sqrt(replicas))
    # the part of 1/d taken off: (4 mean(400) - mean(100)) / 3, up to 1/d^2
    limit = (4 * means[1] - means[0]) / 3
    error = np.sqrt(16 * errors[1] ** 2 + errors[0] ** 2) / 3
    rest = np.abs(means[0] - limit) / 4 + 1e-4
    z = (np.abs(limit - expected) - rest) / error
    assert z.max() <= threshold(z.size)
    # the classic slip: the field times 1 / (1 - theta) with the corrector of the plain step
    rates = Update(rates={"layer 1": "5/2", "layer 2": "5/2"})
    slip = Problem(replace(network(rates), step=sp.Rational(1, 5)))
    other = State.at(integrate_curves(slip, state, [0.0, time], tolerance=1e-4), time).flatten()
    assert ((np.abs(limit - other) - rest) / error).max() > threshold(z.size)


@pytest.mark.slow
@pytest.mark.parametrize("update", [Update(rates={"unit 1": 2}), Update(project="bulk")])
def test_fluctuations_are_those_of_the_update(update):
    rng, time, dimension, count = fresh_rng(), 0.6, 2000, 2000
    loss = Loss((U1 - Y) ** 2 / 2, units=1)
    problem = Problem(Model.build(data(LINE), loss, ridge="1/10", step="1/2", update=update))
    state = random_start(problem.model, rng)
    runs = simulate_sgd(
        problem, state, [0.0, time], dimension=dimension, replicas=count,
        seed=int(rng.integers(2**32)), method="reduced",
    )  # fmt: skip
    found = vectors(runs)
    found = found - found.mean(axis=0)
    products = found[:, :, None] * found[:, None, :]
    error = products.std(axis=0) / np.sqrt(count) + 1e-12

    def excess(problem):
        law = integrate_fluctuations(problem, state, [0.0, time])
        predicted = law.covariance.values[-1] / dimension
        return (
            (np.abs(products.mean(axis=0) - predicted) - 0.02 * np.abs(predicted)) / error
        ).max()

    assert excess(problem) <= threshold(error.size)
    assert excess(Problem(problem.model.with_update(None))) > threshold(error.size)


@pytest.mark.slow
@pytest.mark.parametrize("update", [Update(rates={"unit 2": 3}, momentum="1/2"), None])
def test_train_data_take_the_steps_of_the_update(update):
    """One pass over given samples, against the steps written out."""
    rng, dimension, count = fresh_rng(), 7, 30
    model = network(update)
    problem = Problem(model)
    samples = draw_data(
        problem, random_start(model, rng), dimension=dimension, samples=count,
        seed=int(rng.integers(2**32)),
    )  # fmt: skip
    trained = train_data(samples)
    x, v = samples.weights.copy(), samples.readout.copy()
    eta, theta = (np.array([1.0, 3.0]), 0.5) if update else (np.ones(2), 0.0)
    speed, speed_v = np.zeros_like(x), np.zeros_like(v)
    delta, beta = problem.parameters.step / dimension, problem.parameters.ridge
    for y, label in zip(np.asarray(samples.features), samples.labels, strict=True):
        h = np.tanh(x @ y)
        error = 1 / (1 + np.exp(-h @ v)) - label
        change = np.outer(error * v * (1 - h**2), y) + beta * x
        speed = theta * speed - delta * eta[:, None] * change
        speed_v = theta * speed_v - delta * (error * h + beta * v)
        x, v = x + speed, v + speed_v
    assert np.allclose(trained.weights, x, rtol=1e-12, atol=1e-14)
    assert np.allclose(trained.readout, v, rtol=1e-12, atol=1e-14)


def classes_in_two_bands(update, ridge=0):
    """Two classes whose noise has two bands."""
    grams = [[["1/2", 0], [0, "1/2"]]] * 2
    numbers = {"weights": ["1/2", "1/2"], "precision": 2, "ridge": ridge, "step": 1}
    bands = Bands(["1/2", "1/2"], [[1, "1/2"]])
    return kgmm(2, bands=bands, directions_gram=grams, **numbers).with_update(update)


def test_what_the_chain_does_not_know_is_refused():
    problem = Problem(network(Update(momentum="1/2")))
    state = State.zero(problem)
    with pytest.raises(InputError, match=r"dimension: got 5; expected d >= 6, .*velocities"):
        simulate_sgd(problem, state, [0, 1], dimension=5, replicas=1, seed=0, method="reduced")
    banded = classes_in_two_bands(Update(momentum="1/2"))
    with pytest.raises(InputError, match=r"dimension: got 10, .* expected at least 6"):
        simulate_sgd(
            Problem(banded), State.zero(banded), [0, 1], dimension=10, replicas=1, seed=0,
            method="reduced",
        )  # fmt: skip
    model = network(Update(project="dominant"))
    samples = draw_data(Problem(model), State.zero(Problem(model)), dimension=9, samples=4, seed=0)
    with pytest.raises(InputError, match=r"data: got an update projected \(dominant\)"):
        train_data(samples)


def test_the_plain_kernel_has_no_trace_of_updates():
    model = network(Update(rates={"unit 1": 2}))
    for method in ("direct", "reduced", "given"):
        plain = kernel_source(model.loss, method)
        assert "decay" not in plain
        assert "velocity" not in plain
        assert "decay" in kernel_source(model.loss, method, model.rule)
