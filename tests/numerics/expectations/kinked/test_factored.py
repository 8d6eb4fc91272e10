"""Sums of integrands that are products of functions and of whitened pre-activations."""

from __future__ import annotations

import numpy as np
import sympy as sp
from helpers import fresh_rng

from numerics.expectations.kinked.factored import FactoredIntegrands


def test_sums_are_those_of_the_integrands_one_by_one():
    rng = fresh_rng()
    u, w = sp.symbols("u_1:3"), sp.symbols("w_1:4")
    functions = [u[0], u[0] * u[1], sp.exp(u[1]) + w[2], sp.Integer(1)]
    products = [1, w[0], w[0] * w[1], w[1] ** 2 * w[2], w[2] ** 3]
    integrands = [f * p for f in functions[:2] for p in products]
    integrands += [functions[2] * w[0], functions[3], functions[3] * w[1], functions[2] / w[0]]
    order = rng.permutation(len(integrands))
    integrands = [integrands[i] for i in order]
    factored = FactoredIntegrands(integrands, w)
    # a sum, and a quotient, stay whole
    assert set(factored.functions) == {*functions, functions[2] / w[0]}
    pairs, weights = 3, rng.uniform(size=17)
    fields, white = rng.normal(size=(2, pairs * 17)), rng.normal(size=(3, pairs * 17))

    def at(expressions):
        found = sp.lambdify([*u, *w], list(expressions))(*fields, *white)
        return np.array([np.broadcast_to(f, pairs * 17) for f in found])

    values = factored.values(at(factored.functions), white)
    np.testing.assert_allclose(values, at(integrands), rtol=1e-12)
    sums = factored.sums(at(factored.functions), white, weights)
    apart = at(integrands).reshape(-1, pairs, 17)
    size = np.abs(apart) @ weights
    assert np.all(np.abs(sums.T - apart @ weights) <= 1e-13 * size)
