"""SGD on losses that hold statistics: kernels against raw samples, the chain, the curve."""

from __future__ import annotations

from dataclasses import replace

import pytest
from helpers import fresh_rng
from sgd_cases import vectors
from statistic_cases import CASES, oja
from update_cases import agree, check_runs_and_curve, random_start, raw_step

from numerics import Problem, State, draw_data, simulate_sgd, train_data
from numerics.sgd.kernel.source import kernel_source
from theory import InputError, Loss, kgmm


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("method", ["direct", "reduced"])
def test_one_step_has_the_law_of_raw_samples(name, method):
    rng, case, dimension, count = fresh_rng(), CASES[name], 9, 5_000
    problem = Problem(case.model())
    state = random_start(problem.model, rng)
    delta = problem.parameters.step / dimension
    runs = simulate_sgd(
        problem, state, [0.0, delta], dimension=dimension, replicas=count,
        seed=int(rng.integers(2**32)), method=method,
    )  # fmt: skip
    raw = raw_step(case.step, problem, state, dimension, count, rng)
    assert agree((vectors(runs) - state.flatten()) / delta, raw)


def test_the_law_without_the_statistics_is_another_one():
    """The test above sees whether the gradient in the norm is left out."""
    rng, dimension, count = fresh_rng(), 9, 5_000
    problem = Problem(oja())
    state = State([[0.8]], [[0.7]])
    raw = raw_step(CASES["oja"].step, problem, state, dimension, count, rng)

    def blind(x, v, y, labels, delta, beta, means):
        after, v = CASES["oja"].step(x, v, y, labels, delta, beta, means)
        return after + delta * ((y @ x[0]) ** 2)[:, None, None] * x[0], v

    assert not agree(raw_step(blind, problem, state, dimension, count, rng), raw)


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_direct_and_reduced_runs_have_one_law_and_follow_the_curve(name):
    """400 replicas in law at d = 40 and 100; those of the chain at d = 3,000 against the curve."""
    check_runs_and_curve(Problem(CASES[name].model()), (40, 100), fresh_rng())


@pytest.mark.slow
def test_a_batch_takes_the_mean_of_the_gains():
    """Both methods with batches of three, in law."""
    rng, problem = fresh_rng(), Problem(oja())
    state = random_start(problem.model, rng)
    runs = [
        vectors(
            simulate_sgd(
                problem, state, [0.0, 0.3], dimension=30, replicas=400, batch=3,
                seed=int(rng.integers(2**32)), method=method,
            )
        )
        for method in ("direct", "reduced")
    ]  # fmt: skip
    assert agree(*runs)


def test_given_samples_know_no_statistics():
    problem = Problem(oja())
    data = draw_data(problem, State([[0.3]], [[0.5]]), dimension=10, samples=4, seed=1)
    with pytest.raises(InputError, match=r"holds Q_1_1; .*does not know statistics in the loss"):
        train_data(data)


def test_plain_kernels_have_no_trace_of_what_a_loss_may_hold():
    for method in ("direct", "reduced", "given"):
        plain = kernel_source(kgmm(3).loss, method)
        assert "held" not in plain
        assert "gains" not in plain
    own = Loss(kgmm(2).loss.expression, units=2, parameters=["T"])
    bare = replace(own, parameters=())
    assert kernel_source(bare) == kernel_source(kgmm(2).loss)
    assert "held" in kernel_source(own)
