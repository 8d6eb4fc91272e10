"""What limiting spectra compute once, or of many points at a time, is what each asked for alone."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import fresh_rng

from numerics import Parameters, State
from numerics.expectations.quadrature import gauss_hermite
from numerics.proportional import support
from numerics.proportional.bulk.bulk_density import Piece
from numerics.proportional.bulk.continuation import CLOSE, descend
from numerics.proportional.bulk.interval import Interval
from numerics.proportional.covariance.balanced_root import damping, is_plain
from numerics.proportional.covariance.noise_covariances import ISOTROPIC
from numerics.proportional.nodes.node_sums import NodeSums
from numerics.proportional.nodes.node_weights import Full
from numerics.proportional.resolvent import Resolvent
from numerics.proportional.weight_nodes import WeightNodes
from theory import kgmm


def resolvent(rng, size=12, matrix="hessian"):
    """Of three classes, with means that are not orthogonal and unequal weights."""
    root = np.eye(3) + 0.3 * rng.normal(size=(3, 3))
    root /= np.linalg.norm(root, axis=1, keepdims=True)
    gram = root @ root.T
    np.fill_diagonal(gram, 1.0)
    parameters = Parameters(rng.dirichlet(np.full(3, 5.0)), rng.uniform(2, 20), 0.1, 1.0, gram)
    state = State(np.eye(3) + 0.2 * rng.normal(size=(3, 3)), 0.3 * np.eye(3))
    nodes = WeightNodes(kgmm(3), parameters, state, matrix, "first_layer")
    return Resolvent(nodes.law(gauss_hermite(nodes.dimension, size)), float(rng.uniform(2, 8)))


@pytest.fixture
def counted(monkeypatch):
    """How often sums over nodes were computed, as (points, with the second moments)."""
    calls, compute = [], NodeSums._at

    def count(self, couplings, squares):
        calls.append((len(couplings), squares))
        return compute(self, couplings, squares)

    monkeypatch.setattr(NodeSums, "_at", count)
    return calls


def test_masses_are_those_of_the_series():
    rng = fresh_rng()
    series = rng.normal(size=int(rng.integers(1, 60)))
    count = int(rng.integers(len(series), 200))
    piece = Piece(Interval(0.0, 1.0, "plain"), series, series, np.zeros(0), np.zeros(0))
    theta = np.pi * (np.arange(count) + 0.5) / count
    expected = np.cos(np.outer(theta, np.arange(len(series)))) @ series * np.pi / count
    assert np.allclose(piece.masses(count), expected, rtol=0, atol=1e-13 * np.abs(series).sum())


def test_sums_at_one_place_are_computed_once(counted):
    rng = fresh_rng()
    equation = resolvent(rng)
    root = rng.normal(size=(2, 2))
    s = -0.01 * (np.eye(2) + 0.1 * root @ root.T)[None] / equation.scale
    equation.along_trace(s)
    equation.radius(s)
    equation.derivative(s)
    mean, _ = equation.sums(s[None], squares=False)
    assert counted == [(1, True)]
    assert np.array_equal(mean, Resolvent(equation.law, equation.aspect_ratio).sums(s[None])[0])
    other, _ = equation.sums(2 * s[None], squares=False)
    assert counted[-1] == (1, False)
    assert not np.array_equal(other, mean)
    # the second moments are not among what was remembered
    assert equation.sums(2 * s[None], squares=True)[1] is not None


@pytest.mark.slow
@pytest.mark.parametrize("trusted", [False, True])
def test_many_places_at_once_are_those_of_each(trusted, counted):
    rng = fresh_rng()
    equation = resolvent(rng)
    branches = [support.outer_branch(equation, side).edge.place for side in (-1, 1)]
    x = float(np.mean(branches))
    start = descend(equation, x, 1e-9 * (branches[1] - branches[0]))
    places = x + np.array([0.0, 1e-9, 1e-3, 3e-2]) * (branches[1] - branches[0])
    alone = np.array([equation.solve_at(z, start, CLOSE) for z in places])
    starts = np.array([start, alone[0], alone[0], alone[2]])
    found, solved = equation.solve_many(places, starts, CLOSE, trusted)
    assert solved.all()
    assert np.allclose(found, alone, rtol=1e-8, atol=0)
    del counted[:]
    again, solved = equation.solve_many(places, found, CLOSE, trusted)
    assert solved.all()
    assert np.allclose(again, found, rtol=1e-8, atol=0)
    # what is solved already needs no derivative
    assert any(squares for _, squares in counted) != trusted


def test_no_place_at_all_is_no_obstacle():
    equation = resolvent(fresh_rng())
    found, solved = equation.solve_many(np.zeros(0), np.zeros((0, 1, 2, 2), complex), CLOSE)
    assert found.shape == (0, 1, 2, 2)
    assert not solved.size


def test_places_where_nothing_is_finite_are_left_unsolved():
    equation = resolvent(fresh_rng())
    start = np.array([equation.multiple(1j / equation.scale)])
    _, solved = equation.solve_many(np.array([np.nan]), start, CLOSE)
    assert not solved.any()


@pytest.mark.parametrize("side", [1, -1])
def test_known_points_of_a_branch_are_not_solved_again(side, counted):
    rng = fresh_rng()
    equation = resolvent(rng, matrix=str(rng.choice(["hessian", "gradient"])))
    branch = support.outer_branch(equation, side)
    del counted[:]
    for trace, place, s in zip(branch.path, branch.places, branch.solutions, strict=True):
        z, known = branch.at_trace(float(trace))
        assert z == place
        assert known is s or np.array_equal(known, s)
    assert not counted
    assert branch.at_trace(branch.edge.trace)[0] == branch.edge.place or branch.edge.kind == "zero"
    between = float(branch.path[:2].mean())
    assert branch.at_trace(between)[0] == pytest.approx(
        equation.solve_trace(between, branch.solutions[0])[0], rel=1e-10
    )


@pytest.mark.parametrize("side", [1, -1])
def test_points_of_a_similar_law_are_solved_for_this_one(side):
    rng = fresh_rng()
    first = resolvent(rng, 12)
    like = support.outer_branch(first, side)
    law = Resolvent(first.law, 1.01 * first.aspect_ratio)
    again, alone = support.outer_branch(law, side, like), support.outer_branch(law, side)
    assert again.edge.place == pytest.approx(alone.edge.place, rel=1e-8, abs=1e-8 * law.scale)
    for trace in again.path[1:-1].tolist():
        z, s = again.at_trace(trace)
        assert z == pytest.approx(law.solve_trace(trace, s)[0], rel=1e-9, abs=1e-12 * law.scale)


def test_damping_is_half_the_size_over_the_change():
    rng = fresh_rng()
    s = rng.normal(size=(5, 2, 3, 3)) + 1j * rng.normal(size=(5, 2, 3, 3))
    change = rng.normal(size=s.shape) * 10.0 ** rng.uniform(-4, 2, size=(5, 1, 1, 1))
    size, step = (np.sqrt((np.abs(m) ** 2).sum(axis=(1, 2, 3))) for m in (s, change))
    expected = np.minimum(1, 0.5 * size / step)
    assert np.allclose(damping(change, s).ravel(), expected)
    alone = [float(damping(c, m).item()) for c, m in zip(change, s, strict=True)]
    assert np.allclose(alone, expected)


def test_one_row_is_plain_and_one_band_of_variance_one_mixes_nothing():
    rng = fresh_rng()
    assert is_plain(1e-9 * rng.normal(size=(4, 3, 1, 1))).all()
    s = rng.normal(size=(6, 1, 2, 2))
    operators = rng.normal(size=(6, 1, 3, 3))
    assert np.array_equal(ISOTROPIC.coupled(s), s)
    assert np.array_equal(ISOTROPIC.collected(s[..., 0]), s[..., 0])
    assert np.array_equal(ISOTROPIC.both(operators), operators[:, 0])


@pytest.mark.parametrize("pole", [1.0, 1e-3, 1e-12, 0.0])
def test_the_margin_is_the_least_singular_value_of_all_nodes(pole):
    rng = fresh_rng()
    k, nodes = int(rng.integers(2, 6)), int(rng.integers(1, 200))
    weights = rng.normal(size=(nodes, k, k))
    weights = weights + np.swapaxes(weights, 1, 2)
    # one node is next to its pole, where I + Sigma D is singular
    values, vectors = np.linalg.eigh(weights[0])
    coupling = np.zeros((k, k)) if not values[0] else -np.outer(*2 * [vectors[:, 0]]) / values[0]
    coupling = (1 - pole) * coupling
    expected = np.linalg.svd(np.eye(k) + coupling @ weights, compute_uv=False)[:, -1].min()
    assert Full(weights).margin(coupling) == expected


def test_moments_of_places_are_products():
    law = resolvent(fresh_rng(), 3).law
    moment = law.place[:, :, None] * law.place[:, None, :] + law.free[0]
    assert np.allclose(law.moment, moment, rtol=1e-14, atol=1e-15)
