"""The example of the dominant space: its shares are those of plain sums over samples."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import example as load_example
from helpers import fresh_rng

from numerics import Problem, State, realise_weights
from theory import kgmm

example = load_example("dominant_space")


@pytest.mark.slow
def test_the_share_of_a_batch_is_that_of_sampled_gradients():
    weights, precision, d = np.array([0.6, 0.4]), 5.0, 600
    numbers = {"weights": weights, "precision": precision, "ridge": 0.1, "step": 1}
    problem = Problem(kgmm(2, directions_gram="orthonormal"), **numbers)
    state = State([[0.4, -0.1], [-0.2, 0.3]], [[0.8, 0.1], [0.1, 1.1]])
    generator = fresh_rng()
    placed = realise_weights(problem, state, d)
    e, x = np.asarray(placed[0]), np.asarray(placed[1])
    inside, total = [], []
    for _ in range(40):
        labels = (generator.random(d) > weights[0]).astype(int)
        y = e[labels] + generator.normal(size=(d, d)) / np.sqrt(precision)
        u = y @ x.T
        g = np.exp(u) / np.exp(u).sum(axis=1, keepdims=True)
        g[np.arange(d), labels] -= 1
        gradient = g.T @ y / d + 0.1 * x
        inside.append(((gradient @ e.T) ** 2).sum())
        total.append((gradient**2).sum())
    measured = np.mean(inside) / np.mean(total)
    own, wrong = example.share_of_batch(problem, state), example.share(problem, state)
    # 40 batches of 600 samples: a relative scatter of 1 %, and O(r / d) from noise in the span
    assert abs(measured / own - 1) < 0.1
    # the theory that forgets the noise of the batch is refuted
    assert wrong > 1.3 * measured
