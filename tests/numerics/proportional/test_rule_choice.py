"""Pairs of tensor rules: the second is about other axes."""

from __future__ import annotations

import numpy as np
import pytest

from numerics import Parameters, State
from numerics.expectations.quadrature import gauss_hermite
from numerics.proportional.limiting_spectrum import DISAGREEMENT
from numerics.proportional.rule_choice import quadrature_rules, turned
from numerics.proportional.weight_nodes import WeightNodes
from theory import kgmm


@pytest.mark.parametrize("dimension", [2, 3])
def test_a_turned_rule_is_exact_for_the_same_degree(dimension):
    rule = turned(gauss_hermite(dimension, 6))
    z, weights = rule.nodes[0], rule.weights
    assert weights @ np.prod(z**2, axis=1) == pytest.approx(1.0)  # E z_1^2 z_2^2 ...
    assert weights @ z[:, 0] ** 10 == pytest.approx(945.0)  # 9!!
    assert weights @ (z[:, 0] ** 3 * z[:, -1]) == pytest.approx(0.0, abs=1e-9)


def test_what_two_rules_about_the_same_axes_pass_by_a_turned_one_meets():
    """A layer 1/80 wide at 0, where even rules have no node: E = 2 phi(0) / 80."""

    def mean(rule):
        return float(rule.weights @ np.cosh(np.clip(80 * rule.nodes[0, :, 0], -300, 300)) ** -2)

    coarse, fine = gauss_hermite(2, 48), gauss_hermite(2, 96)
    true = 2 / np.sqrt(2 * np.pi) / 80
    error = abs(mean(fine) - true)
    assert error > 0.9 * true
    assert abs(mean(coarse) - mean(fine)) < 1e-5 * true
    # enough for both to be distrusted
    assert abs(mean(turned(coarse)) - mean(fine)) > 10 * DISAGREEMENT * true


def test_planes_get_rules_about_different_axes():
    parameters, state = Parameters([1 / 3] * 3, 10.0, 0.1, 1.0), State(np.eye(3), np.eye(3))
    nodes = WeightNodes(kgmm(3), parameters, state, "hessian", (0, 0))
    (coarse, _), (fine, _) = quadrature_rules(nodes, kgmm(3), 0)
    assert (coarse.dimension, coarse.kind, fine.kind) == (2, "gauss-hermite", "gauss-hermite")
    axes = np.unique(coarse.nodes[0, :, 0].round(9)).size, np.unique(fine.nodes[0, :, 0]).size
    assert axes == (coarse.size**2, fine.size)
