"""Features of low rank, multiple eigenvalues, weights of zero, chunks in another order: nothing is
lost without a word.
"""

from __future__ import annotations

import numpy as np
import pytest
from helpers import fresh_rng
from scipy.sparse.linalg import aslinearoperator

from numerics import empirical_density, user_data
from numerics.spectra.iterations import eigenpairs
from numerics.spectra.iterations.eigenpairs import Search, leading_eigenpairs
from numerics.spectra.spectrum_of_data import spectrum_of_data
from theory import InputError, Loss, Mixture, Model, kgmm, symbols

U = symbols.vector("u", 1)[0]
ONE = Mixture.build(weights=[1], labels=[0], coordinates=[[1]], directions_gram=[[1]])


def square(sign=1):
    """Loss +- u^2 / 2: all weights are +- 1."""
    return Model.build(ONE, Loss(sign * U**2 / 2, units=1))


def density(model, features, method, labels=None, weights=None):
    labels = np.zeros(len(features)) if labels is None else labels
    weights = np.ones((1, features.shape[1])) if weights is None else weights
    data = user_data(model, features, labels, weights, ridge=0)
    return empirical_density(data, method=method)


def unlit(rng):
    features = rng.standard_normal((60, 90))
    features[:, 40:] = 0
    return features, 1 - 40 / 90


def low_rank(rng):
    return rng.standard_normal((200, 30)) @ rng.standard_normal((30, 90)), 1 - 30 / 90


def repeated(rng):
    return np.tile(rng.standard_normal((30, 90)), (3, 1)), 1 - 30 / 90


@pytest.mark.parametrize("method", ["dense", "lanczos"])
@pytest.mark.parametrize("make", [unlit, low_rank, repeated])
def test_atoms_count_the_rank_of_the_features(make, method):
    features, atom = make(fresh_rng())
    found = density(square(), features, method)
    assert found.atom_mass.values == pytest.approx([atom])
    assert found.attrs["mass_outside"] == 0


@pytest.mark.parametrize("make", [unlit, low_rank, repeated])
def test_atoms_of_several_units(make):
    """Softmax: the rank of a dense matrix that shares no code with the count."""
    rng = fresh_rng()
    features, _ = make(rng)
    labels = np.tile(rng.integers(1, 4, len(features) // 3), 3).astype(float)[: len(features)]
    if make is not repeated:
        labels = rng.integers(1, 4, len(features)).astype(float)
    weights = rng.standard_normal((3, 90)) / 10
    found = density(kgmm(3), features, "lanczos", labels, weights)
    e = np.exp(features @ weights.T)
    pi = e / e.sum(axis=1, keepdims=True)
    d = np.eye(3) * pi[:, :, None] - pi[:, :, None] * pi[:, None, :]
    whole = np.einsum("iab,im,in->ambn", d, features, features, optimize=True).reshape(270, 270)
    rank = np.linalg.matrix_rank(whole, tol=1e-10 * np.abs(whole).max(), hermitian=True)
    assert found.atom_mass.values == pytest.approx([1 - rank / 270])


@pytest.mark.parametrize("method", ["dense", "lanczos"])
def test_a_matrix_of_zeros_is_an_atom(method):
    found = density(square(), np.zeros((20, 30)), method)
    assert found.atom_mass.values.tolist() == [1]
    assert found.density.max() == 0


@pytest.mark.parametrize("method", ["dense", "lanczos"])
def test_the_atom_of_a_negative_matrix_is_inside(method):
    found = density(square(-1), fresh_rng().standard_normal((40, 90)), method)
    assert found.atom_mass.values == pytest.approx([50 / 90])
    assert found.attrs["mass_outside"] == 0
    assert float(found.distribution[-1]) == pytest.approx(1)


# --- multiple eigenvalues -------------------------------------------------------------------------

VALUES = np.concatenate([[5.0] * 6, [3.0, 3.0], np.linspace(0, 1, 792)])


def with_values(rng, values=VALUES):
    q = np.linalg.qr(rng.standard_normal((values.size, values.size)))[0]
    return aslinearoperator((q * values) @ q.T)


def test_all_copies_beyond_an_edge():
    found = leading_eigenpairs(with_values(fresh_rng()), 1, search=Search("krylov"), edge=4.0)
    assert found.complete
    np.testing.assert_allclose(found.values, [5] * 6, rtol=1e-9)
    np.testing.assert_allclose(found.vectors @ found.vectors.T, np.eye(6), atol=1e-8)


def test_copies_are_lost_without_the_second_look(monkeypatch):
    monkeypatch.setattr(eigenpairs, "_with_copies", lambda found, *_: found)
    found = leading_eigenpairs(with_values(fresh_rng()), 1, search=Search("krylov"), edge=4.0)
    assert found.values.size < 6


@pytest.mark.parametrize("largest", [True, False])
@pytest.mark.parametrize("method", ["lanczos", "krylov"])
def test_all_copies_of_the_leading_eigenvalues(method, largest):
    values = VALUES if largest else -VALUES
    operator = with_values(fresh_rng(), values)
    found = leading_eigenpairs(operator, 8, search=Search(method), largest=largest)
    wanted = np.sort(values)[::-1][:8] if largest else np.sort(values)[:8][::-1]
    np.testing.assert_allclose(found.values, wanted, atol=1e-8)
    assert found.converged.all()


def test_double_eigenvalues_of_data():
    """Two units of equal weights: every eigenvalue of the block matrix diag(N, N) is double."""
    u = symbols.vector("u", 2)
    model = Model.build(ONE, Loss((u[0] ** 2 + u[1] ** 2) / 2, units=2))
    features = fresh_rng().standard_normal((200, 40))
    data = user_data(model, features, np.zeros(200), np.ones((2, 40)), ridge=0)
    exact = np.linalg.eigvalsh(features.T @ features / 200)[::-1]
    for method in ("lanczos", "krylov", "dense"):
        found = spectrum_of_data(data, count=4, method=method)
        np.testing.assert_allclose(found.eigenvalue, np.repeat(exact[:2], 2), rtol=1e-9)
    beyond = spectrum_of_data(data, beyond=float(exact[2:4].mean()), method="krylov")
    np.testing.assert_allclose(beyond.eigenvalue, np.repeat(exact[:3], 2), rtol=1e-9)
    assert beyond.attrs["complete"] == 1


# --- where softmax regression starts, and chunks --------------------------------------------------


@pytest.mark.parametrize("method", ["auto", "dense", "krylov", "lanczos"])
def test_weights_of_zero_without_directions(method):
    rng = fresh_rng()
    features = rng.standard_normal((600, 150))
    labels = rng.integers(1, 4, 600).astype(float)
    data = user_data(kgmm(3), features, labels, np.zeros((3, 150)), ridge=0)
    found = spectrum_of_data(data, block=(0, 0), count=3, method=method)
    exact = 2 / 9 * np.linalg.eigvalsh(features.T @ features / 600)[::-1][:3]
    np.testing.assert_allclose(found.eigenvalue, exact, rtol=1e-9)


def test_chunks_in_another_order_are_refused():
    rng = fresh_rng()
    features, labels = rng.standard_normal((400, 30)), rng.integers(1, 4, 400).astype(float)
    weights = rng.standard_normal((3, 30))

    def shuffled():
        order = rng.permutation(400)
        for part in np.split(order, 4):
            yield features[part], labels[part]

    def same():
        for part in np.split(np.arange(400), 4):
            yield features[part], labels[part]

    streamed = spectrum_of_data(user_data(kgmm(3), same, None, weights, ridge=0), count=2)
    resident = spectrum_of_data(user_data(kgmm(3), features, labels, weights, ridge=0), count=2)
    np.testing.assert_allclose(streamed.eigenvalue, resident.eigenvalue, rtol=1e-9)
    with pytest.raises(InputError, match="in another order"):
        spectrum_of_data(user_data(kgmm(3), shuffled, None, weights, ridge=0), count=2)
