"""SGD of networks in matrix form takes the steps of the loss it stands for."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import fresh_rng
from scipy.stats import norm

from numerics import Parameters, Problem, State, simulate_sgd
from numerics.data.derivatives import compile_derivatives
from numerics.networks.dense_network import DenseNetwork
from numerics.networks.train_network import Clusters, NetworkWeights, random_weights, train_network
from theory import kgmm, mlp, xor

CASES = {
    "softmax": (kgmm(2).mixture, DenseNetwork((2, 3), 2, "tanh", "softmax")),
    "biases": (xor(2).mixture, DenseNetwork((2, 2), 1, "tanh", "logistic", biases=True)),
    "relu": (xor(2).mixture, DenseNetwork((2, 2), 1, "relu", "logistic")),
}
RIDGE, STEP = 0.3, 0.7


def clusters_of(mixture, precision: float) -> Clusters:
    labels = np.array([float(y) for y in mixture.labels])
    means = np.array(mixture.coordinates.tolist(), dtype=float)
    weights = np.arange(1.0, 1 + len(labels))
    return Clusters(means, labels, weights / weights.sum(), precision)


def model_of(mixture, network: DenseNetwork):
    return mlp(
        mixture,
        units=list(network.widths),
        activation=network.activation,
        output=network.output,
        biases=network.biases,
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_a_step_is_the_gradient_of_the_loss(name):
    mixture, network = CASES[name]
    rng, d = fresh_rng(), 5
    clusters = clusters_of(mixture, 3.0)
    start = random_weights(network, d, rng)
    start = NetworkWeights(start.first, start.readout + rng.normal(size=start.readout.size))
    seed = int(rng.integers(2**31))
    options = {"ridge": RIDGE, "step": STEP}
    after, later = train_network(
        network, clusters, start, [1, 4], generator=np.random.default_rng(seed), **options
    )
    whole = train_network(
        network, clusters, start, [4], generator=np.random.default_rng(seed), **options
    )
    assert np.array_equal(later.first, whole[0].first)
    # the sample that the kernel drew: the component first, the noise after it
    draws = np.random.default_rng(seed)
    l = int(np.searchsorted(np.cumsum(clusters.weights), draws.random(), side="right"))
    y = draws.standard_normal(d) / np.sqrt(3.0)
    y[: clusters.means.shape[1]] += clusters.means[l]
    gradient = compile_derivatives(model_of(mixture, network), "gradient")
    g = gradient(clusters.labels[[l]], start.first @ y[:, None], start.readout)[:, 0]
    c, delta = len(start.first), STEP / d
    moved = start.first - delta * (np.outer(g[:c], y) + RIDGE * start.first)
    assert np.allclose(after.first, moved, rtol=0, atol=1e-13)
    moved = start.readout - delta * (g[c:] + RIDGE * start.readout)
    assert np.allclose(after.readout, moved, rtol=0, atol=1e-13)


@pytest.mark.slow
def test_runs_have_the_law_of_the_generated_kernel():
    """Means and variances of all statistics, against runs of the kernel made from the loss."""
    mixture, network = kgmm(2).mixture, DenseNetwork((2, 2), 2, "tanh", "softmax")
    rng, d, runs, steps = fresh_rng(), 6, 4_000, 24
    clusters = clusters_of(mixture, 4.0)
    start = random_weights(network, d, rng)
    seeds = np.random.SeedSequence(int(rng.integers(2**31))).spawn(runs)

    def statistics(ridge: float):
        found = []
        for seed in seeds:
            end = train_network(
                network, clusters, start, [steps], ridge=ridge, step=STEP,
                generator=np.random.default_rng(seed),
            )[0]  # fmt: skip
            found.append(np.concatenate([end.first[:, :2].ravel(), end.readout]))
        return np.array(found)

    parameters = Parameters(clusters.weights, 4.0, RIDGE, STEP, np.eye(2))
    perp = start.first[:, 2:] @ start.first[:, 2:].T
    state = State(start.first[:, :2], perp, start.readout)
    problem = Problem(model_of(mixture, network), parameters)
    run = simulate_sgd(
        problem, state, [steps * STEP / d], d, runs, int(rng.integers(2**31)), workers=1
    )
    shape = (runs, -1)
    other = np.hstack(
        [run.overlap[:, -1].values.reshape(shape), run.readout[:, -1].values.reshape(shape)]
    )

    def strain(own) -> float:
        """Largest z of means and of variances."""
        pairs = [(own, other), ((own - own.mean(0)) ** 2, (other - other.mean(0)) ** 2)]
        z = [
            np.abs(a.mean(0) - b.mean(0)) / np.sqrt((a.var(0) + b.var(0)) / runs) for a, b in pairs
        ]
        return float(np.max(z))

    critical = norm.isf(1e-4 / (4 * other.shape[1]))
    assert strain(statistics(RIDGE)) < critical
    assert strain(statistics(1.3 * RIDGE)) > critical
