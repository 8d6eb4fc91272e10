"""What a result says beside places: candidates just inside an edge, equal outliers, outliers on the
left, atoms inside the support.
"""

from __future__ import annotations

import numpy as np
import pytest
from dense_spectra import draw, softmax
from helpers import fresh_rng

from numerics import Parameters, State, effective_spectrum, phase_diagram, solve_curve
from theory import kgmm

WEIGHTS = [0.5, 0.3, 0.2]
PARAMETERS = Parameters(WEIGHTS, 10, 0.01, 1)
GRID = [4.0, 8.0, 16.0, 32.0]


@pytest.fixture(scope="module")
def state():
    start = State(np.zeros((3, 3)), np.eye(3))
    return solve_curve(kgmm(3), PARAMETERS, start, 8.0).state(8.0)


@pytest.fixture(scope="module")
def plane(state):
    return phase_diagram(kgmm(3), PARAMETERS, state, GRID, [4.0], block=(0, 1), count=2)


@pytest.mark.slow
def test_thresholds_left_of_the_bulk(state, plane):
    """Block (0, 1) is negative: no outlier on the right, up to three on the left."""
    assert plane.outlier_count_left.values[:, 0].tolist() == [1, 2, 3, 3]
    assert not plane.outlier_count.values.any()
    assert np.isnan(plane.threshold.values).all()
    threshold, error = float(plane.threshold_left[0]), float(plane.threshold_left_error[0])
    assert 4 < threshold < 8
    assert error < 1e-4
    for factor, count in ((0.98, 1), (1.02, 2)):
        precision = factor * threshold
        found = effective_spectrum(
            kgmm(3), PARAMETERS.with_precision(precision), state, 4.0, block=(0, 1), density=False
        )
        assert np.sum(found.side == -1) == count
    # data beyond the threshold and before it: the second eigenvalue leaves the third behind
    ratios = []
    for precision in (4.0, 16.0):
        drawn = draw(
            softmax,
            means=np.eye(3),
            labels=[1, 2, 3],
            weights=WEIGHTS,
            precision=precision,
            overlap=state.overlap,
            gram_perp=state.gram_perp,
            dimension=400,
            samples=1600,
            rng=fresh_rng(),
        )
        values = np.linalg.eigvalsh(drawn.matrix("hessian", (0, 1)))
        ratios.append(values[1] / values[3])
    assert ratios[0] < 1.15 < 1.5 < ratios[1]


@pytest.mark.slow
def test_candidates_just_inside_an_edge_are_flagged(state, plane):
    threshold = float(plane.threshold_left[0])
    flags = []
    for factor in (0.7, 0.99, 1.01):
        parameters = PARAMETERS.with_precision(factor * threshold)
        found = effective_spectrum(kgmm(3), parameters, state, 4.0, block=(0, 1))
        flags.append(
            (int(found.candidate_near_critical[0, 0]), found.near_critical.values.tolist())
        )
        assert int(found.candidate_near_critical[0, 1]) == 0
        left = found.candidate_distance[0, 0]
        assert found.attrs["missed_by"] == pytest.approx(float(left), rel=1e-6)
    assert flags == [(0, [0]), (1, [0]), (0, [1, 0])]


def test_equal_outliers_are_marked():
    """Exchangeable classes: one basis of an eigenspace of two is as good as another."""
    symmetric = Parameters([1 / 3] * 3, 10, 0, 1)
    shares = []
    for broken in (0.0, 1e-6):
        state = State(np.eye(3) - 1 / 3 + broken * np.diag([1, 2, 4]), 0.2 * np.eye(3))
        found = effective_spectrum(kgmm(3), symmetric, state, 4.0, density=False)
        shares.append(found.weight_share.values)
        expected = [1] * 6 if broken else [0, 0, 1, 1, 0, 0]
        assert found.share_determined.values.tolist() == expected
        assert found.leading_share.attrs["determined"] == 1
    np.testing.assert_allclose(shares[0][2:4], shares[1][2:4], atol=1e-4)
    np.testing.assert_allclose(shares[0][:2].sum(axis=0), shares[1][:2].sum(axis=0), atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("density", [True, False])
def test_an_atom_between_the_edges(density):
    """Scalar weights of both signs: rank M of d, wherever zero lies."""
    state = State([[1.0, -0.5], [-0.8, 0.4]], 0.3 * np.eye(2))
    model, parameters = kgmm(2), Parameters([0.5, 0.5], 5, 0, 1)
    found = effective_spectrum(
        model, parameters, state, 0.6, matrix="gradient", block=(0, 1), density=density
    )
    assert found.attrs["atom"] == pytest.approx(0.4, abs=1e-9)
