"""Contracted matrices are the explicit ones in all but the work of building them."""

from __future__ import annotations

import pickle
from dataclasses import replace

import pytest
import sympy as sp

from theory import derive_drift, derive_gradient_matrix, derive_hessian, kgmm, noiseless
from theory.expectations.contracted import ContractedMatrix, ContractedVector
from theory.expectations.contraction import Contraction, Tensor, Term


def test_a_contracted_matrix_equals_prints_and_hashes_as_its_entries() -> None:
    matrix = derive_drift(kgmm(2)).corrector
    explicit = sp.ImmutableDenseMatrix(matrix.rows, matrix.cols, list(matrix))
    assert isinstance(matrix, ContractedMatrix)
    assert matrix == explicit
    assert hash(matrix) == hash(explicit)
    assert str(matrix) == str(explicit)
    assert matrix.T == explicit.T
    assert matrix[-1, 0] == explicit[1, 0]
    assert matrix[0, :] == explicit[0, :]
    assert matrix.free_symbols == explicit.free_symbols
    with pytest.raises(IndexError):
        matrix[2, 0]


def test_what_is_derived_goes_to_another_process() -> None:
    """Written out: tensors hold functions, which are not sent."""
    drift, hessian = derive_drift(kgmm(2)), derive_hessian(kgmm(2))
    there, back = drift.vector, pickle.loads(pickle.dumps((drift, hessian)))
    assert back[0] == drift
    assert back[0].vector == tuple(there)
    assert back[1].block(1, 0) == hessian.block(1, 0)


@pytest.mark.slow
def test_an_entry_of_many_classes_is_written_out_alone() -> None:
    model = kgmm(30)
    matrix = derive_hessian(model).block(0, 1).coefficients
    entry = matrix[0, 1]
    assert "explicit" not in vars(matrix)
    assert entry == 0  # no class has its mean along two directions
    assert matrix[0, 0] != 0


def test_what_is_derived_is_derived_once() -> None:
    assert derive_drift(kgmm(3)) is derive_drift(kgmm(3), "stein")
    assert derive_drift(kgmm(3)) is not derive_drift(kgmm(3), "projection")


def test_replaced_parts_are_what_is_read() -> None:
    """Nothing that was derived stands in for what somebody put in its place."""
    drift = derive_drift(kgmm(2))
    doubled = replace(drift, corrector=2 * drift.corrector)
    assert doubled.vector == tuple(
        e + c for e, c in zip(drift.vector, extra_of(drift.corrector), strict=True)
    )
    assert drift.without_corrector().vector != tuple(drift.vector)
    matrix = derive_gradient_matrix(kgmm(2))
    wrong = matrix.block(0, 0).map(lambda e: 2 * e)
    changed = replace(matrix, first_layer={**matrix.first_layer, (0, 0): wrong})
    assert changed.entries([(0, 0)]) == (*wrong.coefficients, wrong.bulk)
    assert changed.entries([(0, 1)]) == tuple(matrix.entries([(0, 1)]))


def extra_of(corrector: sp.MatrixBase) -> list[sp.Expr]:
    """The corrector in the order of the state of two classes, whose overlaps have none."""
    return [*[sp.Integer(0)] * 4, corrector[0, 0], corrector[0, 1], corrector[1, 1]]


def test_the_noiseless_limit_of_a_contraction_is_that_of_its_entries() -> None:
    drift = derive_drift(kgmm(3))
    limit = noiseless(drift)
    assert isinstance(limit.vector, ContractedVector)
    assert tuple(limit.vector) == tuple(noiseless(e) for e in drift.vector)


def test_a_product_with_a_vanishing_factor_builds_no_moment() -> None:
    def refuse(*_: int) -> sp.Expr:
        raise AssertionError("built")

    zero = Tensor("zero", (2,), lambda _: sp.Integer(0))
    term = Term(sp.Integer(1), ((zero, "a"), (Tensor("never", (2, 2), refuse), "ab")))
    assert Contraction("a", (2,), (term,)).entry(1) == 0
