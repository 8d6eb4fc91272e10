"""Eigenvalues of data whose features are tiny or huge, and of a matrix of zeros."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import fresh_rng
from scipy.sparse.linalg import aslinearoperator

from numerics.spectra.iterations import scale as scale_module
from numerics.spectra.iterations.eigenpairs import Search, leading_eigenpairs


def random_matrix(size: int = 40):
    rng = fresh_rng()
    values = np.concatenate([[5.0, 4.0, 3.0], rng.uniform(-1, 1, size - 3)])
    basis, _ = np.linalg.qr(rng.normal(size=(size, size)))
    return (basis * values) @ basis.T


@pytest.mark.parametrize("method", ["krylov", "lanczos", "dense"])
@pytest.mark.parametrize("exponent", [-260, -170, -110, 0, 90, 150, 260])
@pytest.mark.parametrize("largest", [True, False])
def test_a_scale_changes_nothing_but_the_scale(method, exponent, largest):
    matrix = random_matrix()
    scale = 2.0 ** round(exponent * np.log2(10))
    operator = aslinearoperator(matrix * scale)
    found = leading_eigenpairs(
        operator, 3, search=Search(method=method), matrix=matrix * scale, largest=largest
    )
    exact = np.sort(np.linalg.eigvalsh(matrix))[::-1]
    exact = exact[:3] if largest else exact[-3:]
    assert found.converged.all()
    np.testing.assert_allclose(found.values / scale, exact, rtol=0, atol=1e-6)
    assert (np.abs(found.values / scale - exact) <= found.residuals / scale + 1e-13).all()


@pytest.mark.parametrize("exponent", [-260, -110, 0, 150])
def test_an_edge_has_the_scale_of_the_matrix(exponent):
    matrix, scale = random_matrix(), 2.0 ** round(exponent * np.log2(10))
    for edge, count in ((2.0, 3), (4.5, 1), (6.0, 0)):
        found = leading_eigenpairs(
            aslinearoperator(matrix * scale), 3, search=Search(method="krylov"), edge=edge * scale
        )
        assert len(found.values) == count
        assert found.complete


@pytest.mark.parametrize("method", ["krylov", "lanczos"])
def test_a_matrix_of_zeros_has_zeros(method):
    operator = aslinearoperator(np.zeros((40, 40)))
    found = leading_eigenpairs(operator, 3, search=Search(method=method))
    assert not found.values.any()
    assert not found.residuals.any()
    np.testing.assert_allclose(found.vectors @ found.vectors.T, np.eye(3), atol=1e-12)


def test_without_the_scale_tiny_matrices_go_wrong(monkeypatch):
    """Squares of residuals vanish, and any vector seems to have converged."""
    monkeypatch.setattr(scale_module, "SMALLEST", 0.0)
    matrix = random_matrix()
    found = leading_eigenpairs(aslinearoperator(matrix * 1e-260), 3, search=Search(method="krylov"))
    exact = np.sort(np.linalg.eigvalsh(matrix))[::-1][:3]
    assert np.abs(found.values / 1e-260 - exact).max() > 1e-3
