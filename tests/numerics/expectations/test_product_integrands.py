"""Integrands by products of features against the same integrands evaluated one by one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import sympy as sp

from numerics.expectations.contracted.contracted_terms import contracted_integrands
from numerics.expectations.product_integrands import ProductIntegrands
from numerics.expectations.smooth_integrands import Fields, PlainIntegrands
from theory import Model, derive_diffusion, derive_hessian, kgmm, xor
from theory.expectations.contracted import ContractedVector


def integrands_of(vector: Sequence[sp.Expr]) -> tuple[sp.Expr, ...]:
    assert isinstance(vector, ContractedVector)
    return tuple(contracted_integrands(vector))


CASES = {
    "softmax diffusion": (kgmm(3), integrands_of(derive_diffusion(kgmm(3)).vector)),
    "whitened": (
        xor(2, activation="tanh"),
        integrands_of(
            derive_hessian(xor(2, activation="tanh"), "projection").entries(
                [(0, 1), (1, 1)], mixed=True, readout=range(2)
            )
        ),
    ),
}


def random_fields(model: Model, rng: np.random.Generator, nodes: int) -> Fields:
    states, components, units = 2, model.components, model.units
    zero = np.zeros((states, units, units))
    return Fields(
        np.array([float(y) for y in model.mixture.labels]),
        rng.normal(size=(states, components, units)),
        zero,
        zero,
        rng.normal(size=(states, nodes, units)),
        rng.normal(size=(states, nodes, units)),
        rng.dirichlet(np.ones(nodes)),
        rng.normal(size=(states, model.readout_size)),
    )


@pytest.mark.parametrize("nodes", [7, 600], ids=["one block", "two blocks"])
@pytest.mark.parametrize("name", CASES)
def test_moments_and_sizes_are_those_of_the_integrands(name: str, nodes: int) -> None:
    model, integrands = CASES[name]
    fields = random_fields(model, np.random.default_rng(), nodes)
    sizes = np.zeros((2, 2, model.components, len(integrands)))
    moments = [
        kind(model, integrands, "numpy").moments(fields, 0.1, size)
        for kind, size in zip((ProductIntegrands, PlainIntegrands), sizes, strict=True)
    ]
    for one, other in (moments, sizes):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-12 * np.abs(other).max())


def test_a_pair_of_features_that_is_not_multiplied_is_seen() -> None:
    model, integrands = CASES["softmax diffusion"]
    fields = random_fields(model, np.random.default_rng(), 50)
    compiled = ProductIntegrands(model, integrands, "numpy")
    expected = compiled.moments(fields)
    compiled._right = compiled._right[::-1].copy()
    # entries that nothing multiplied may be anything, NaN and numbers that overflow too
    with np.errstate(all="ignore"):
        moments = compiled.moments(fields)
    assert not np.allclose(moments, expected, rtol=0, atol=1e-6)


@pytest.mark.slow
def test_machine_code_of_features_has_the_values_of_arrays() -> None:
    model = kgmm(2)
    integrands = integrands_of(derive_hessian(model).entries([(0, 1)]))
    fields = random_fields(model, np.random.default_rng(), 40)
    both = [ProductIntegrands(model, integrands, t).moments(fields) for t in ("numba", "numpy")]
    np.testing.assert_allclose(*both, rtol=1e-12, atol=1e-14)
