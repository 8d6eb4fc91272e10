"""Block Krylov against dense eigenpairs: values, multiplicities, subspaces, both ends, an edge,
single precision.
"""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
from helpers import fresh_rng

import numerics.spectra.iterations.block_krylov as krylov
from numerics import (
    Parameters,
    State,
    draw_data,
    effective_spectrum,
    empirical_spectrum,
    population_spectrum,
)
from numerics.spectra.empirical_parts import block_operator
from numerics.spectra.iterations.block_krylov import block_krylov, orthonormalise
from numerics.spectra.iterations.eigenpairs import Search, leading_eigenpairs
from theory import InputError, kgmm

EPS = np.finfo(float).eps
PARAMETERS = Parameters([0.5, 0.3, 0.2], 10.0, 0.0, 1.0)
STATE = State(2.0 * np.eye(3) - 0.5, 0.5 * np.eye(3) + 0.1)


def random_matrix(rng, values):
    """Symmetric with these eigenvalues, and its eigenvectors in rows."""
    frame = np.linalg.qr(rng.standard_normal((len(values), len(values))))[0]
    return (frame * values) @ frame.T, frame.T


def products_of(matrix, error=0.0):
    """Products; in single precision with a relative error of that size."""

    def product(rows, single):
        out = rows @ matrix
        return out * (1 + error * np.sin(1e3 * out / np.abs(out).max())) if single else out

    return product


def sine(a, b):
    """Largest angle between the spans of orthonormal rows."""
    return np.linalg.norm(a - (a @ b.T) @ b, 2)


SPECTRA = {
    "outliers": [3.0, 2.0, 1.5, 1.4],
    "double": [3.0, 3.0, 2.0, 1.4],
    "all equal": [2.0, 2.0, 2.0, 2.0],
    "nearly double": [2.0, 2.0 - 1e-9, 1.6, 1.5],
}


@pytest.mark.parametrize("block", [None, 1, 2])
@pytest.mark.parametrize("name", SPECTRA)
def test_leading_pairs_are_those_of_eigh(name, block):
    rng = fresh_rng()
    top = np.array(SPECTRA[name])
    values = np.concatenate([top, rng.uniform(0, 1, 296)])
    matrix, vectors = random_matrix(rng, values)
    found = block_krylov(
        products_of(matrix), rng.standard_normal((6, 300)), 4, tolerance=1e-10, block=block
    )
    assert found.converged.all()
    assert np.abs(found.values - top).max() <= 100 * EPS * 3
    assert np.abs(found.vectors @ found.vectors.T - np.eye(4)).max() <= 100 * EPS
    residual = np.linalg.norm(
        found.vectors @ matrix - found.values[:, None] * found.vectors, axis=1
    )
    assert np.abs(residual - found.residuals).max() <= 100 * EPS * 3
    assert np.all(residual <= 1e-10 * found.values)
    # Davis and Kahan: the residual over the gap to the bulk bounds the angle of the whole
    # eigenspace
    assert (
        sine(found.vectors, vectors[:4])
        <= np.linalg.norm(residual) / (top[-1] - values[4:].max()) + 100 * EPS
    )


def test_without_reorthogonalisation_the_result_is_wrong(monkeypatch):
    """The mutant gives copies of the leading eigenvalue, which true residuals do not show but this
    test does.
    """
    rng = fresh_rng()
    values = np.concatenate([[50.0, 20.0, 1.5, 1.4], rng.uniform(0, 1, 296)])
    matrix, _ = random_matrix(rng, values)
    start = rng.standard_normal((6, 300))

    def forgetful(rows, basis):
        return orthonormalise(rows, basis[-6:])

    monkeypatch.setattr(krylov, "orthonormalise", forgetful)
    found = block_krylov(products_of(matrix), start, 4, tolerance=1e-10, max_passes=60)
    wrong = not found.converged.all() or np.abs(found.values - values[:4]).max() > 1e-6
    assert wrong or np.abs(found.vectors @ found.vectors.T - np.eye(4)).max() > 1e-6


def test_a_restart_of_the_basis_changes_nothing(monkeypatch):
    monkeypatch.setattr(krylov, "MOST_COLUMNS", 40)
    rng = fresh_rng()
    values = np.concatenate([[1.2, 1.15, 1.1], rng.uniform(0, 1, 597)])
    matrix, vectors = random_matrix(rng, values)
    found = block_krylov(products_of(matrix), rng.standard_normal((4, 600)), 3, tolerance=1e-9)
    assert found.columns > 60
    assert found.converged.all()
    assert sine(found.vectors, vectors[:3]) < 3e-9 * 1.2 / 0.1


@pytest.mark.parametrize("error", [1e-7, 1e-6])
def test_errors_of_single_precision_are_corrected(error):
    """Products off by a relative ``error`` build the basis; residuals are those of exact ones."""
    rng = fresh_rng()
    values = np.concatenate([[2.0, 1.6, 1.3], rng.uniform(0, 1, 397)])
    matrix, vectors = random_matrix(rng, values)
    matrix = (matrix + matrix.T) / 2
    found = block_krylov(
        products_of(matrix, error),
        rng.standard_normal((5, 400)),
        3,
        tolerance=1e-11,
        single=True,
        max_passes=200,
    )
    assert found.converged.all()
    residual = np.linalg.norm(
        found.vectors @ matrix - found.values[:, None] * found.vectors, axis=1
    )
    assert np.all(residual <= 1e-11 * found.values + 100 * EPS)
    assert sine(found.vectors, vectors[:3]) <= np.linalg.norm(residual) / 0.3 + 100 * EPS
    # without the correction the errors stay
    uncorrected = block_krylov(
        lambda rows, single: products_of(matrix, error)(rows, True),
        rng.standard_normal((5, 400)),
        3,
        tolerance=1e-11,
        max_passes=60,
    )
    true = np.linalg.norm(
        uncorrected.vectors @ matrix - uncorrected.values[:, None] * uncorrected.vectors, axis=1
    )
    assert np.any(true > 1e-11 * values[:3])


@pytest.mark.parametrize("beyond", [4, 1, 0])
def test_everything_beyond_an_edge(beyond):
    rng = fresh_rng()
    values = np.concatenate([[3.0, 2.0, 1.5, 1.4][:beyond], rng.uniform(0, 1, 300)])
    matrix, _ = random_matrix(rng, values)
    found = block_krylov(
        products_of(matrix), rng.standard_normal((2, len(values))), 1, tolerance=1e-9, edge=1.1
    )
    assert np.allclose(found.values, values[:beyond], atol=1e-12)
    assert found.complete
    assert found.converged.all()


def test_too_few_passes_are_told():
    rng = fresh_rng()
    matrix, _ = random_matrix(rng, rng.uniform(0, 1, 500))
    found = block_krylov(
        products_of(matrix), rng.standard_normal((3, 500)), 2, tolerance=1e-12, max_passes=5
    )
    assert found.passes == 5
    assert not found.converged.any()
    assert np.all(found.residuals > 1e-12)


def test_an_invariant_start_does_not_end_the_search():
    """Eigenvectors as the start: the basis has to grow by what it does not have."""
    values = np.arange(20.0)
    found = block_krylov(products_of(np.diag(values)), np.eye(20)[:2], 3, tolerance=1e-12)
    assert np.allclose(found.values, [19, 18, 17], atol=1e-12)


# --- of data --------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("mixed", [True, False])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("matrix", ["hessian", "gradient"])
def test_krylov_of_data_is_eigh_of_data(matrix, dtype, mixed, monkeypatch):
    monkeypatch.setattr(
        "numerics.spectra.iterations.eigenpairs.SINGLE_NUMBERS", 0
    )  # copies also of small data
    seed = int(fresh_rng().integers(2**31))
    data = draw_data(kgmm(3), PARAMETERS, STATE, 120, 960, seed, dtype=dtype)
    call = {"matrix": matrix, "count": 4}
    found = empirical_spectrum(data, method="krylov", mixed_precision=mixed, **call)
    exact = empirical_spectrum(data, method="dense", **call)
    assert found.converged.all()
    assert ("single" in found.attrs["method"]) == (mixed or False)
    assert found.attrs["passes"] < 150
    norm = float(exact.eigenvalue[0])
    assert np.all(found.residual <= 1e-10 * found.eigenvalue)
    assert np.abs(found.eigenvalue - exact.eigenvalue).max() < 1e-12 * norm
    # the fourth may be close to the fifth: compare the space of those well separated from it
    left, right = (e.eigenvector.values.reshape(4, -1) for e in (found, exact))
    values = np.linalg.eigvalsh(block_operator(data, matrix, "first_layer", False).dense())[::-1]
    for n in range(1, 5):
        gap = values[n - 1] - values[n]
        assert sine(left[:n], right[:n]) <= 4e-10 * norm / gap + 1e-9 * norm / gap
    for name in ("share_of_directions", "row_weight"):
        assert np.abs(found[name] - exact[name])[:1].max() < 1e-6


@pytest.mark.slow
def test_outliers_below_the_bulk_come_from_the_lower_end():
    data = draw_data(kgmm(3), PARAMETERS, STATE, 150, 3000, int(fresh_rng().integers(2**31)))
    operator = block_operator(data, "hessian", (0, 1), False)
    values = scipy.linalg.eigvalsh(operator.dense())
    found = leading_eigenpairs(operator, 3, search=Search("krylov"), largest=False)
    assert np.abs(found.values - values[:3][::-1]).max() < 1e-12
    assert found.residuals.max() <= 1e-10 * np.abs(values[0])
    edge = (values[0] + values[1]) / 2
    beyond = leading_eigenpairs(operator, 1, search=Search("krylov"), largest=False, edge=edge)
    assert np.allclose(beyond.values, values[:1], atol=1e-12)


@pytest.mark.slow
def test_all_outliers_beyond_a_predicted_edge():
    model = kgmm(3)
    predicted = effective_spectrum(model, PARAMETERS, STATE, 8.0)
    edge = 1.1 * float(predicted.edges.max())
    data = draw_data(model, PARAMETERS, STATE, 300, 2400, int(fresh_rng().integers(2**31)))
    values = scipy.linalg.eigvalsh(block_operator(data, "hessian", "first_layer", False).dense())[
        ::-1
    ]
    for method in ("krylov", "dense"):
        found = empirical_spectrum(data, beyond=edge, method=method)
        count = int(np.sum(values > edge))
        assert found.sizes["eigen"] == count >= 3
        assert np.allclose(found.eigenvalue, values[:count], atol=1e-12)
        assert found.attrs["complete"] == 1


@pytest.mark.slow
def test_a_start_of_ones_own_saves_passes():
    data = draw_data(kgmm(3), PARAMETERS, STATE, 150, 1200, int(fresh_rng().integers(2**31)))
    call = {"count": 3, "method": "krylov", "mixed_precision": False}
    first = empirical_spectrum(data, **call)
    again = empirical_spectrum(data, start=first.eigenvector.values.reshape(3, -1), **call)
    assert again.attrs["passes"] < first.attrs["passes"] / 3
    assert np.allclose(first.eigenvalue, again.eigenvalue, atol=1e-13)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"method": "power"},
            "method: got 'power'; expected 'auto', 'dense', 'krylov' or 'lanczos'",
        ),
        ({"tolerance": 0.0}, "tolerance: got 0.0"),
        ({"block_size": 0}, "block_size: got 0"),
        ({"max_passes": 1}, "max_passes: got 1"),
        ({"beyond": 0.1, "count": 2}, "beyond: got 0.1; expected None with count or beside"),
        ({"beyond": 0.1, "method": "lanczos"}, "method: got 'lanczos'"),
        ({"start": np.zeros((1, 7))}, r"start: got shape \(1, 7\); expected rows of length 30"),
        ({"count": 30, "method": "krylov"}, "count: got 30; expected less than 30"),
        ({"seed": 3}, "seed: got a value beside data"),
    ],
)
def test_bad_input_is_named(change, message):
    data = draw_data(kgmm(3), PARAMETERS, STATE, 10, 200, 0)
    with pytest.raises(InputError, match=message):
        empirical_spectrum(data, **{"method": "krylov"} | change)


@pytest.mark.slow
@pytest.mark.parametrize("block", ["full", (0, 1)])
def test_both_ends_by_iteration_are_those_of_the_whole_matrix(block):
    """Beyond the size that is diagonalised; zero is a d-fold eigenvalue of the full matrix."""
    model = kgmm(3)
    population = population_spectrum(model, PARAMETERS, STATE, block=block)
    data = draw_data(model, PARAMETERS, STATE, 60, 600, int(fresh_rng().integers(2**31)))
    found, exact = (
        empirical_spectrum(data, block=block, beside=population, method=method)
        for method in ("krylov", "dense")
    )
    norm = float(np.abs(exact.eigenvalue).max())
    assert found.converged.all()
    assert np.abs(found.eigenvalue - exact.eigenvalue).max() < 1e-9 * norm
    assert np.abs(found.bulk_edge - exact.bulk_edge).max() < 1e-9 * norm
    np.testing.assert_array_equal(found.population_eigen, exact.population_eigen)
