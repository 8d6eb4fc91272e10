"""Sums over nodes in lanes, against elimination with pivots node by node."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import fresh_rng

from numerics import Parameters, State, effective_spectrum
from numerics.core.packed_symmetric import pack, sandwich
from numerics.proportional.nodes.node_sums import NodeSums
from numerics.proportional.nodes.node_weights import node_weights
from theory import Loss, Mixture, Model, symbols

EPS = float(np.finfo(float).eps)


def by_nodes(weights, probability, coupling):
    """E[A] and E[A (x) A] as they are defined."""
    a = np.linalg.inv(np.eye(len(coupling)) + weights @ coupling) @ weights
    packed = pack((a + np.swapaxes(a, 1, 2)) / 2)
    return probability @ packed, (packed * probability[:, None]).T @ packed, np.abs(packed).max()


@pytest.mark.slow
@pytest.mark.parametrize("form", ["definite", "indefinite", "rank one"])
@pytest.mark.parametrize("place", ["outside", "inside", "in a gap"])
def test_sums_in_lanes_are_those_of_the_definition(form, place):
    rng = fresh_rng()
    k, nodes = int(rng.integers(2, 6)), int(rng.integers(1, 200))
    factor = rng.normal(size=(nodes, k, 1 if form == "rank one" else k))
    weights = factor @ np.swapaxes(factor, 1, 2)
    if form == "indefinite":
        weights = factor + np.swapaxes(factor, 1, 2)
    probability = rng.dirichlet(np.ones(nodes))
    root = rng.normal(size=(k, k))
    positive = root @ root.T + 0.1 * np.eye(k)
    signs = np.where(np.arange(k) < 1, -1.0, 1.0)
    coupling = {
        "outside": -0.1 * positive / np.abs(weights).max(initial=0.0) / np.abs(positive).sum(),
        "inside": 1j * positive + np.diag(rng.normal(size=k)),
        "in a gap": 0.5 * np.diag(signs),
    }[place]
    sums = NodeSums(node_weights(weights), probability)
    mean, operators = sums.at(coupling[None], squares=True)
    expected, products, largest = by_nodes(weights, probability, coupling)
    # the inverse of Sigma, and where a node is near its pole the inverse there
    inner = np.eye(k) + weights @ coupling
    conditions = np.linalg.cond(inner).max() * np.linalg.cond(coupling)
    size = np.abs(np.linalg.inv(coupling)).max() + largest
    bound = 200 * EPS * k * conditions**2 * size
    assert np.abs(mean[0] - expected).max() <= bound
    assert np.abs(operators[0] - sandwich(products, k)).max() <= bound * size * k
    alone, nothing = sums.at(coupling[None], squares=False)
    assert nothing is None
    assert np.abs(alone - mean).max() <= bound
    if place != "inside":
        determinants, exact = sums.determinants(coupling), np.linalg.det(inner)
        assert np.all(np.sign(determinants) == np.sign(exact)) or np.abs(exact).min() < 1e-9


@pytest.mark.slow
def test_a_pivot_of_zero_is_no_obstacle():
    """[[0, 1], [1, 0]] + T with T of zero diagonal: eliminated only with pivots."""
    weights = np.array([[[0.0, 1.0], [1.0, 0.0]]])
    coupling = np.array([[0.0, 0.25], [0.25, 0.0]])
    mean, _ = NodeSums(node_weights(weights), np.ones(1)).at(coupling[None], squares=True)
    assert np.allclose(mean[0], [0.0, 0.8, 0.0], rtol=0, atol=4 * EPS)


@pytest.mark.slow
def test_the_error_of_a_density_covers_it_up_to_its_edges():
    """Marchenko and Pastur's, of the square loss; without the slope it is missed near an edge."""
    rng = fresh_rng()
    u = symbols.vector("u", 1)
    one = Mixture.build(weights=[1], labels=[0], coordinates=[[1]], directions_gram=[[1]])
    model = Model.build(one, Loss(u[0] ** 2 / 2, units=1))
    precision, ratio = float(rng.uniform(1, 20)), float(rng.uniform(2, 9))
    low, high = ((1 + s / np.sqrt(ratio)) ** 2 / precision for s in (-1, 1))
    shares = 10.0 ** rng.uniform(-7, -0.4, size=20)
    grid = np.sort(np.concatenate([low + (high - low) * shares, high - (high - low) * shares]))
    found = effective_spectrum(
        model, Parameters([1], precision, 0, 1), State([[1]], [[1]]), ratio, grid=grid
    )
    exact = ratio * precision * np.sqrt((high - grid) * (grid - low)) / (2 * np.pi * grid)
    assert np.all(np.abs(found.density.values - exact) <= found.density_error.values)
