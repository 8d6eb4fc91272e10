"""Panels placed at a state: what stands beside a delta is met on the line of its kink."""

from __future__ import annotations

import brute_expectations as brute
import numpy as np
import pytest
import sympy as sp
from helpers import fresh_rng

from numerics import Parameters, compile_expressions
from numerics.expectations import placed_moments
from numerics.expectations.graded import panels as panels_of_lines
from numerics.expectations.graded import placement
from numerics.expectations.graded.placement import place
from numerics.expectations.graded.scales import Scales
from numerics.expectations.quadrature import PANEL_RATIOS, panels
from theory import (
    GaussianExpectation,
    Loss,
    Mixture,
    Model,
    ReLU,
    Sigmoid,
    Softplus,
    preactivation_law,
    symbols,
)

U, V, Y = symbols.vector("u", 2), symbols.vector("v", 2), symbols.LABEL
OUTPUT = V[0] * ReLU(U[0]) + V[1] * ReLU(U[1])
ONE = Mixture.build(labels=[1], coordinates=[[1, 0]], directions_gram=[[1, 0], [0, 1]])
NETWORK = Model.build(
    ONE, Loss(-Y * OUTPUT + Softplus(OUTPUT), units=2, readout_size=2, kinks=tuple(U)), name="ramps"
)
BESIDE_DELTA = sp.DiracDelta(U[0]) * Sigmoid(OUTPUT)
FIRST, SECOND = list(PANEL_RATIOS)[:2]


def errors_beside_a_delta(rng, target):
    """Of E[delta(u_1) sigma(f)] by the first two levels, over the density of u_1 at 0."""
    node = GaussianExpectation(BESIDE_DELTA, preactivation_law(NETWORK, 0))
    compiled = compile_expressions(NETWORK, (node,), target)
    mean = rng.normal(size=2) * 10
    factor = rng.normal(size=(2, 2)) * 10.0 ** rng.uniform(0, 2)
    readout = rng.normal(size=2) * 10.0 ** rng.uniform(-1, 1)
    overlap = np.stack([mean, np.zeros(2)], axis=1)
    parameters, gram_perp = Parameters([1], 1.0, 0, 1, np.eye(2)), factor @ factor.T
    # the truth: u_2 given u_1 = 0
    covariance = gram_perp + overlap @ overlap.T
    slope = covariance[1, 0] / covariance[0, 0]
    deviation = np.sqrt(covariance[1, 1] - slope * covariance[0, 1])
    law = np.array([mean[1] - slope * mean[0]]), np.array([[deviation]])

    def beside(u):
        return brute.sigmoid(readout[1] * np.maximum(u, 0.0))

    turns = np.array([[1.0]])
    true = brute.moments(beside, *law, turns, 0.0, 16, 0.1 / (1 + deviation * abs(readout[1])))
    exponent = mean[0] ** 2 / covariance[0, 0] / 2
    density = np.exp(-exponent) / np.sqrt(2 * np.pi * covariance[0, 0])
    values = [
        compiled.evaluate(parameters, overlap, gram_perp, readout, panels(2, size))[0]
        for size in (FIRST, SECOND)
    ]
    return np.abs(np.array(values) / density - true) / (1 + exponent)


@pytest.mark.slow
@pytest.mark.parametrize("target", ["numba", "numpy"])
def test_what_stands_beside_a_delta_is_resolved(target):
    rng = fresh_rng()
    for _ in range(8):
        first, second = errors_beside_a_delta(rng, target)
        assert first < 1e-8
        assert second < 1e-11


@pytest.mark.slow
def test_on_moved_nodes_of_the_plane_it_is_not(monkeypatch):
    """A transition along a kink, of a field ten times wider, falls between nodes that stand there
    by chance.
    """
    monkeypatch.setattr(placed_moments, "MAX_PANEL_DIMENSION", 3)
    rng = fresh_rng()
    worst = max(errors_beside_a_delta(rng, "numpy")[1] for _ in range(12))
    assert worst > 1e-7


WEAK = V[0] * sp.tanh(U[0]) + V[1] * sp.tanh(U[1])
TANH = Model.build(ONE, Loss(-Y * WEAK + Softplus(WEAK), units=2, readout_size=2), name="tanh")


# a problem found by random search
FOUND = np.array([36.6, 47.7]), np.array([[-105.0, 94.8], [220.0, 244.0]]), np.array([0.02, 0.08])


def errors_of_crossing_layers(mean, directions, readout):
    """Of E[sigma(f) / cosh^2 u_1] by the first two levels, relative."""
    integrand = Sigmoid(WEAK) * (1 - sp.tanh(U[0]) ** 2)
    scales = Scales(TANH, [integrand])

    def values(u):
        layer = 1 - np.tanh(u[0]) ** 2
        return (brute.sigmoid(readout @ np.tanh(u)) * layer)[None]

    finest = 0.5 / np.abs(directions).max()
    (true,) = brute.moments(values, mean, directions.T, np.eye(2), 0.0, 8, finest)
    out = []
    for size in (FIRST, SECOND):
        z, weights = place(scales, 1.0, mean, directions, readout, size)
        out.append(float((values((mean + z @ directions).T) @ weights)[0] - true))
    return np.abs(np.array(out)) / true


@pytest.mark.slow
def test_layers_that_cross_are_resolved():
    """Where they cross the outer panels are as short as the layers are thin."""
    rng = fresh_rng()
    drawn = rng.normal(size=2) * 30, rng.normal(size=(2, 2)) * 200, rng.normal(size=2) * 0.1
    for problem in (FOUND, drawn):
        first, second = errors_of_crossing_layers(*problem)
        assert first < 1e-6
        assert second < 1e-10


@pytest.mark.slow
def test_crossings_as_wide_as_other_arguments_turn_are_not(monkeypatch):
    """Levels that leave an error in common were trusted to their difference."""
    resolved = panels_of_lines.crossings

    def coarse(lines, blur):
        offsets, slopes, kinds, widths = resolved(lines, 0.0)
        return offsets, slopes, kinds, np.maximum(widths, blur)

    monkeypatch.setattr(placement, "crossings", coarse)
    assert errors_of_crossing_layers(*FOUND)[1] > 1e-9


@pytest.mark.slow
@pytest.mark.parametrize("target", ["numba", "numpy"])
def test_sizes_are_those_of_absolute_values(target):
    """Terms that cancel leave a rounding error of their own size: -f and f beside a delta."""
    law = preactivation_law(NETWORK, 0)
    nodes = tuple(
        GaussianExpectation(f, law) for f in (BESIDE_DELTA, -BESIDE_DELTA, ReLU(U[0]) - ReLU(U[1]))
    )
    compiled = compile_expressions(NETWORK, nodes, target)
    parameters, readout = Parameters([1], 1.0, 0, 1, np.eye(2)), np.array([1.0, -1.0])
    parts = np.zeros((2, 2)), np.eye(2), readout
    values, sizes, _ = compiled.values_and_sizes(parameters, parts, panels(2, FIRST))
    assert np.all(sizes >= np.abs(values))
    assert sizes[1] == pytest.approx(sizes[0])
    assert abs(values[2]) < 1e-12  # both ramps have the mean 1 / sqrt(2 pi)
    # E|q_1 - q_2| = 0.56, and a little more where u is large
    assert 0.5 < sizes[2] < 1.0
