"""The example of convolution and attention: blocks of samples, from which nothing is derived, are
those of the population, and their outliers are not in the space of the other token.
"""

from __future__ import annotations

import numpy as np
import pytest
from helpers import example as load_example
from helpers import fresh_rng

from numerics import State, realise_weights

example = load_example("architectures")


def test_shares_are_those_of_orthonormal_directions():
    found = example.shares(np.array([[3.0, 0.0, 4.0]]), np.eye(2, 3))
    assert np.allclose(found, [[0.36, 0.36, 0.0]], atol=1e-12)
    of_weights = example.shares_of_weights(np.array([[3.0, 0.0]]), np.array([[16.0]]))
    assert np.allclose(of_weights, found, atol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("unit", [0, 1])
def test_outliers_of_samples_are_those_of_the_population(unit):
    generator = fresh_rng()
    problem = example.problem_of("attention")
    # a trained attention layer: the score far along -e_2, the value along e_1
    state = State([[0.0, -1.5], [1.5, 0.0]], 0.05 * np.eye(2))
    weights = np.asarray(realise_weights(problem, state, 100)[1])
    values, inside, level = example.population_outliers(problem, state, unit, "hessian")
    rows = []
    for seed in generator.integers(2**31, size=8):
        found, share = example.sampled_outliers("attention", weights, unit, "hessian", 100, seed)
        rows.append([found[0], *share[0]])
    mean, error = np.mean(rows, axis=0), np.std(rows, axis=0, ddof=1) / len(rows) ** 0.5
    # Student with 7 degrees of freedom, 2 tests: 8 standard errors are below 1e-4; and the
    # noise of M/d = 100 moves an outlier by about level / (100 (1 - level / outlier))
    bias = 2 * level / (100 * (1 - level / values[0]))
    assert abs(mean[0] - values[0]) < 8 * error[0] + bias
    assert inside[0, 1] > 0.9
    assert mean[2] > 0.9
    # the space of the other token is refuted
    assert mean[3] + 8 * error[3] < 0.1
