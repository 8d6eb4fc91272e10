"""Outliers on either side of the bulk: which they are, their eigenspace, and the empirical
eigenvalues beside them.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest
import scipy.linalg
from helpers import fresh_rng

from numerics import (
    Parameters,
    State,
    empirical_spectrum,
    population_spectrum,
    realise_weights,
    solve_curve,
)
from numerics.proportional.outliers import _start
from numerics.spectra.iterations.eigenpairs import leading_eigenpairs
from numerics.spectra.operators import SecondMoment
from numerics.spectra.population_spectrum import OUTLIER_SHARE
from theory import InputError, kgmm
from verify.tables.spectra import pair_spectra, spectrum_table
from verify.tables.spectral_remarks import spectrum_remarks

D, SAMPLES = 40, 40_000
PARAMETERS = Parameters([0.5, 0.3, 0.2], 10, 0.1, 1)


@lru_cache(maxsize=1)
def trained() -> State:
    return solve_curve(kgmm(3), PARAMETERS, State(np.zeros((3, 3)), np.eye(3)), 8.0).state(8.0)


def spectra(block, matrix="hessian", state=None, dimension=D, samples=SAMPLES, **options):
    state = trained() if state is None else state
    call = {"matrix": matrix, "block": block}
    population = population_spectrum(kgmm(3), PARAMETERS, state, dimension=dimension, **call)
    empirical = empirical_spectrum(
        kgmm(3),
        PARAMETERS,
        state,
        dimension=dimension,
        samples=samples,
        beside=population,
        seed=int(fresh_rng().integers(2**31)),
        **call,
        **options,
    )
    return population, empirical


def cells(table, name):
    return list(next(c for c in table.columns if c.header == name).cells)


@pytest.mark.parametrize("matrix", ["hessian", "gradient"])
@pytest.mark.parametrize("block", [(0, 0), (0, 1), (2, 1)])
def test_outliers_of_a_block_are_the_farthest_from_the_bulk(block, matrix):
    population = population_spectrum(kgmm(3), PARAMETERS, trained(), matrix=matrix, block=block)
    distance = population.eigenvalue.values - population.bulk.values[0]
    assert np.allclose(population.bulk_distance, distance)
    assert set(np.flatnonzero(population.outlier)) == set(np.argsort(-np.abs(distance))[:3])
    if matrix == "hessian":
        # H_ab = -pi_a pi_b < 0 off the diagonal
        assert np.all((distance[population.outlier.values == 1] > 0) == (block[0] == block[1]))
    assert population.attrs["outliers_separated"] == 1
    # their span is near that of the means, unlike the span of the leading eigenvectors off the
    # diagonal
    assert np.degrees(population.outlier_angle.values.max()) < 12


def test_outliers_above_are_the_leading_eigenspace():
    population = population_spectrum(kgmm(3), PARAMETERS, trained(), block=(0, 0))
    np.testing.assert_array_equal(population.outlier_share, population.unit_share)
    np.testing.assert_array_equal(population.outlier_angle, population.principal_angle)


def test_outliers_of_the_full_matrix_leave_the_bulk_out():
    population = population_spectrum(kgmm(3), PARAMETERS, trained(), block="full")
    size = np.abs(np.subtract.outer(population.eigenvalue.values, population.bulk.values)).min(
        axis=1
    )
    assert np.array_equal(population.outlier.values == 1, size > OUTLIER_SHARE * size.max())
    assert 0 < population.outlier.sum() <= 9


def test_a_block_without_outliers_has_no_eigenspace_of_them():
    """Far from every decision boundary nothing is left of the Hessian: all eigenvalues are the
    ridge.
    """
    far = State(1e4 * np.eye(3), np.zeros((3, 3)))
    none = population_spectrum(
        kgmm(3), Parameters([1 / 3] * 3, 1e6, 0.1, 1), far, block=(0, 0), dimension=D
    )
    assert none.outlier.sum() == 0
    assert "outlier_share" not in none
    remarks = " ".join(spectrum_remarks(none))
    assert "No share and no angle" in remarks
    assert "not separated from the bulk" in remarks


@pytest.mark.slow
@pytest.mark.parametrize("method", ["dense", "lanczos"])
@pytest.mark.parametrize(
    ("block", "matrix"), [((0, 1), "hessian"), ((0, 1), "gradient"), ("full", "hessian")]
)
def test_empirical_eigenvalues_come_from_both_ends(block, matrix, method):
    population, empirical = spectra(block, matrix, method=method)
    partner = empirical.population_eigen.values
    outliers = set(np.flatnonzero(population.outlier.values) + 1)
    assert outliers <= set(partner)
    for position in np.flatnonzero(partner):
        predicted = float(population.eigenvalue[partner[position] - 1])
        assert abs(float(empirical.eigenvalue[position]) - predicted) < 0.015
    assert np.all(np.diff(empirical.eigenvalue) <= 0)
    assert empirical.residual.max() < 1e-8
    low, high = empirical.bulk_edge.values
    bulk = population.bulk.values
    assert low <= bulk.min() + 1e-9
    assert bulk.max() <= high + 1e-9
    if block != "full":
        assert np.abs(empirical.outlier_share - population.outlier_share).max() < 0.1
        assert "unit_share" not in empirical


def test_both_ends_are_those_of_the_whole_spectrum():
    population, empirical = spectra((0, 1), samples=500)
    seed = int(empirical.attrs["seed"])
    whole = empirical_spectrum(
        kgmm(3), PARAMETERS, trained(), dimension=D, samples=500, seed=seed, block=(0, 1), count=D
    )
    values = whole.eigenvalue.values
    distance = population.bulk_distance.values
    above, below = np.sum(distance > 1e-9), np.sum(distance < -1e-9)
    expected = np.concatenate([values[: above + 1], values[D - below - 1 :]])
    np.testing.assert_allclose(empirical.eigenvalue, expected, atol=1e-12)
    np.testing.assert_allclose(
        empirical.bulk_edge, [values[D - below - 1], values[above]], atol=1e-12
    )
    _, x = realise_weights(kgmm(3), PARAMETERS, trained(), D)
    lowest = whole.eigenvector.values[D - 3 :]
    share = np.sum((x @ lowest.T) ** 2, axis=1) / np.sum(x**2, axis=1)
    np.testing.assert_allclose(empirical.outlier_share, share, atol=1e-9)


@pytest.mark.parametrize(("dimension", "blanks"), [(6, 0), (7, None)])
def test_without_room_for_a_bulk_everything_is_paired(dimension, blanks):
    population, empirical = spectra((0, 1), dimension=dimension)
    assert empirical.sizes["eigen"] == dimension
    if blanks is not None:
        assert empirical.population_eigen.values.tolist() == [1, 2, 3, 4, 5, 6]
        assert "bulk_edge" not in empirical
        assert "No bulk" in " ".join(spectrum_remarks(population, empirical))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"count": 3}, "count: got 3; expected None together with beside"),
        ({"matrix": "gradient"}, "beside: got matrix = hessian; expected matrix = gradient"),
        ({"block": (0, 0)}, r"beside: got block = \(0, 1\); expected block = \(0, 0\)"),
        ({"regularized": False}, "beside: got regularized = 1; expected regularized = 0"),
    ],
)
def test_beside_has_to_be_of_the_same_part(change, message):
    population = population_spectrum(kgmm(3), PARAMETERS, trained(), block=(0, 1))
    call = {
        "dimension": 10,
        "samples": 20,
        "seed": 1,
        "block": (0, 1),
        "beside": population,
    } | change
    with pytest.raises(InputError, match=message):
        empirical_spectrum(kgmm(3), PARAMETERS, trained(), **call)


# --- what the command says about them -------------------------------------------------------------


def test_the_table_starts_with_the_outliers_and_leaves_blanks_in_the_bulk():
    population, empirical = spectra((0, 1))
    table = spectrum_table(population, empirical)
    assert cells(table, "eigen")[:3] == ["6", "5", "4"]
    assert cells(table, "part")[:3] == ["outlier"] * 3
    assert {part == "bulk" for part in cells(table, "part")[3:]} == {True, False}
    for part, distance in zip(
        cells(table, "part")[3:], cells(table, "minus bulk")[3:], strict=True
    ):
        assert part == ("bulk" if distance == "0" else "near bulk")
    assert all(cells(table, "empirical")[:3])
    assert cells(table, "empirical")[3:] == ["", "", ""]
    # x^1 - x^2 and the like see the bulk alone: a distance below the error is zero
    assert "0" in cells(table, "minus bulk")
    remarks = " ".join(spectrum_remarks(population, empirical, 8.0, 3e-9))
    assert "3 below it" in remarks
    assert "eigenspace of the outliers" in remarks
    assert "at most about 3e-09 in every statistic" in remarks
    assert "Warning" not in remarks


@pytest.mark.slow
def test_rows_of_the_full_matrix_within_five_per_cent_are_near_the_bulk():
    population, empirical = spectra("full")
    rows = pair_spectra(population, empirical)
    count = int(population.outlier.sum())
    assert all(row.outlier and row.empirical is not None for row in rows[:count])
    assert all(not row.outlier for row in rows[count:])
    near = cells(spectrum_table(population, empirical), "part").count("near bulk")
    assert f"{near} rows marked near bulk: within 5 % of that distance" in " ".join(
        spectrum_remarks(population, empirical)
    )


@pytest.mark.parametrize(
    ("block", "samples", "size"), [((0, 0), 3, D), ((0, 1), 2, D), ("full", 5, 3 * D)]
)
def test_nothing_stands_beside_the_population_beyond_the_rank(block, samples, size):
    population, empirical = spectra(block, samples=samples)
    paired = empirical.eigenvalue.values[empirical.population_eigen.values > 0]
    ridge = 0.0 if block == (0, 1) else PARAMETERS.ridge
    assert np.all(np.abs(paired - ridge) > 1e-6)
    assert paired.size <= samples * (3 if block == "full" else 1)
    remarks = list(spectrum_remarks(population, empirical))
    assert remarks[0].startswith(f"Warning: M/d = {samples / D:.2g} is too small for a comparison.")
    assert not any("Empirical bulk" in text for text in remarks)


def test_enough_samples_are_not_warned_of():
    assert not any("too small" in text for text in spectrum_remarks(*spectra((0, 0), samples=D)))


def test_a_blurred_edge_is_warned_of():
    """At lambda = 1 the weights make outliers as far from the bulk as the means do."""
    noisy = Parameters([1 / 3] * 3, 1.0, 0.1, 1)
    population = population_spectrum(
        kgmm(3), noisy, State(np.zeros((3, 3)), np.eye(3)), block=(0, 0), dimension=D
    )
    assert "not separated from the edge of the bulk" in " ".join(spectrum_remarks(population))


def test_outliers_inside_the_empirical_bulk_are_warned_of():
    population, empirical = spectra((0, 1), samples=100)
    text = " ".join(spectrum_remarks(population, empirical))
    assert "of the population lie" in text
    assert "More samples separate them" in text


def test_a_bulk_of_zero_is_printed_as_zero():
    population = population_spectrum(
        kgmm(3), PARAMETERS, trained(), matrix="gradient", block="full", dimension=D
    )
    assert (
        0 < abs(float(population.bulk.values[-1])) < 1e-12 or float(population.bulk.values[-1]) == 0
    )
    bulk = next(iter(spectrum_remarks(population)))
    assert ", 0, each with multiplicity" in bulk
    assert "0 means below the error" in bulk


def test_no_eigenvalue_of_a_multiple_one_is_lost(monkeypatch):
    """LAPACK's search for a few eigenvalues may return fewer than were asked for."""
    whole = scipy.linalg.eigh

    def forgetful(matrix, subset_by_index=None):
        values, vectors = whole(matrix, subset_by_index=subset_by_index)
        return (values, vectors) if subset_by_index is None else (values[:0], vectors[:, :0])

    monkeypatch.setattr(scipy.linalg, "eigh", forgetful)
    operator = SecondMoment(np.array([[1.0, 2.0, 0.0]]), np.ones((1, 1, 1)))
    pairs = leading_eigenpairs(operator, 2)
    np.testing.assert_allclose(pairs.values, [5.0, 0.0], atol=1e-12)
    assert pairs.vectors.shape == (2, 3)


def test_a_bracket_that_is_a_point_has_a_start():
    # six equal outliers at zero weights, M/d = 0.4265: rounding leaves no interval
    assert _start(-17.9, -17.9, {-17.9: 8e-17}) == -17.9
    assert _start(0.0, 2.0, {0.0: 1.0, 2.0: -3.0}) == 0.5
