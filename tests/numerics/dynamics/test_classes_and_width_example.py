"""The example of many classes and units: what it calls a power law is one, its shares are those of
SGD, and its outliers those of weights of a class.
"""

from __future__ import annotations

import numpy as np
import pytest
from helpers import example, fresh_rng

from numerics import State, integrate_curves, simulate_sgd
from theory import derive_drift

measured = example("measured")
many_classes = example("many_classes")
wide_networks = example("wide_networks")


def test_a_power_law_is_told_from_what_is_none(capsys):
    x = np.array([3.0, 5, 10, 20, 50])
    pure = measured.law_row("pure", x, 7 * x**-2)
    assert np.allclose([pure["exponent"], *pure["local"]], -2, atol=1e-12)
    assert max(pure["half"], pure["residual"]) < 1e-12
    other = measured.law_row("levels off", x, 7 * x**-2 + 0.1)
    assert (pure["is one"], other["is one"]) == (True, False)
    printed = capsys.readouterr().out.splitlines()
    assert "no power law" not in printed[0]
    assert printed[1].endswith("no power law")
    assert np.allclose(measured.extrapolated(x, 7 * x**-2, 100.0), [7e-4, -2])


def test_clusters_are_picked_by_chance():
    generator = fresh_rng()
    picks = generator.integers(4, size=(20_000, 8))
    share = np.mean([len(set(row)) == 4 for row in picks])
    assert abs(share - wide_networks.by_chance(8)) < 5 * 0.5 / 20_000**0.5
    # one unit less: refuted
    assert abs(share - wide_networks.by_chance(7)) > 5 * 0.5 / 20_000**0.5


@pytest.mark.slow
def test_outliers_at_zero_weights_are_those_of_one_class_in_k():
    for k in (3, 5):
        zero = State(np.zeros((k, k)), np.zeros((k, k)))
        found = many_classes.block_numbers(many_classes.softmax(k), zero, "hessian")
        weight = (k - 1) / k**2  # pi (1 - pi) at pi = 1/k
        assert np.isclose(found["k-th outlier"], weight / k, rtol=1e-9)
        assert np.isclose(found["bulk"], weight / 10, rtol=1e-9)
        # a mean that all samples share would stand off k times as far
        assert found["k-th outlier"] < 0.5 * weight


@pytest.mark.slow
def test_the_share_of_five_classes_is_that_of_sgd():
    k, d = 5, 10_000
    problem, seed = many_classes.softmax(k), int(fresh_rng().integers(2**31))
    start = State.zero(problem)
    drifts = {"own": None, "wrong": derive_drift(problem.model).without_corrector()}
    share = {}
    for name, drift in drifts.items():
        curve = integrate_curves(problem, start, [0, 3 * k], drift=drift, tolerance=1e-4)
        share[name] = measured.share_of_weights(State.at(curve, 3 * k))
    runs = simulate_sgd(problem, start, [3 * k], d, 8, seed=seed, method="reduced")
    found = [measured.share_of_weights(State.at(runs.isel(replica=[i]))) for i in range(8)]
    mean, error = np.mean(found), np.std(found, ddof=1) / 8**0.5
    # Student with 7 degrees of freedom: 6 standard errors are 5e-4; 2 k / d from the dimension
    assert abs(mean - share["own"]) < 6 * error + 2 * k / d
    # the theory without the size of the steps is refuted
    assert abs(mean - share["wrong"]) > 2 * (6 * error + 2 * k / d)
