"""What is printed and what is compiled is one object: every entry at small sizes, some at large."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
import sympy as sp

from numerics import Parameters, State
from numerics.core.validation import Array
from numerics.expectations.contracted import tensor_sums
from numerics.expectations.evaluation import Evaluator
from numerics.expectations.quadrature import sobol
from theory import (
    Diffusion,
    Drift,
    Loss,
    Mixture,
    Model,
    derive_diffusion,
    derive_drift,
    derive_finite_size,
    derive_gradient_matrix,
    derive_hessian,
    kgmm,
    symbols,
    xor,
)
from theory.expectations.contracted import ContractedVector


def polynomial_model() -> Model:
    """Collinear means, a readout that is no factor, and integrands that are numbers."""
    u, v = symbols.vector("u", 2), symbols.vector("v", 1)
    mixture = Mixture.build(labels=[0, 1, 2], coordinates=[[1, 0], [1, 2], ["1/2", -1]])
    loss = Loss((u[0] + v[0] * u[1] - symbols.LABEL) ** 2 / 2, units=2, readout_size=1)
    return Model.build(mixture, loss, name="polynomial")


def every_vector(model: Model, route: str) -> dict[str, Sequence[sp.Expr]]:
    pairs = [(a, b) for a in range(model.units) for b in range(model.units)]
    mixed, chosen = bool(model.readout_size), range(model.readout_size)[::-1]
    return {
        "drift": derive_drift(model, route).vector,
        "finite size": derive_finite_size(model, route, batch=3).vector,
        "diffusion": derive_diffusion(model, route).vector,
        "hessian": derive_hessian(model, route).entries(pairs, mixed=mixed, readout=chosen),
        "gradient": derive_gradient_matrix(model, route, regularized=True).entries(
            pairs, mixed=mixed, readout=chosen
        ),
        "block": derive_gradient_matrix(model, route, regularized=True).entries([(1, 0)]),
    }


def random_point(model: Model, rng: np.random.Generator) -> tuple[Parameters, State]:
    c, r = model.units, model.directions
    factor, wide = rng.normal(size=(c, c)), rng.normal(size=(r, 2 * r))
    fixed = not model.mixture.directions_gram.free_symbols
    gram = np.eye(r) if fixed else wide @ wide.T / r
    weights = rng.dirichlet(np.ones(model.components))
    numbers = Parameters(weights, *rng.uniform(0.3, 3.0, size=3), directions_gram=gram)
    state = State(
        rng.normal(size=(c, r)), factor @ factor.T / c, rng.normal(size=model.readout_size)
    )
    return numbers, state


def values(model: Model, vector: Sequence[sp.Expr], parameters: Parameters, state: State) -> Array:
    compiled = Evaluator(model, vector, "numpy", closed_forms=False)
    rule = sobol(compiled.dimension, 32, 2, 0)
    return compiled.evaluate(parameters, state.overlap, state.gram_perp, state.readout, rule)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng()


def assert_same(found: Array, expected: Array) -> None:
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12 * np.abs(expected).max())


MODELS = {
    "softmax": (lambda: kgmm(2), "stein"),
    "softmax by projection": (lambda: kgmm(2), "projection"),
    "two layers": (lambda: xor(2, activation="tanh"), "stein"),
    "kinks": (lambda: xor(2), "projection"),
    "polynomial": (polynomial_model, "stein"),
    "polynomial by projection": (polynomial_model, "projection"),
}


@pytest.mark.parametrize("listed", [0, 10**9], ids=["contracted", "listed"])
@pytest.mark.parametrize("name", MODELS)
def test_every_entry_has_the_value_of_its_contraction(
    name: str, listed: int, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    build, route = MODELS[name]
    model = build()
    monkeypatch.setattr(tensor_sums, "LISTED", listed)
    for vector in every_vector(model, route).values():
        assert isinstance(vector, ContractedVector)
        point = random_point(model, rng)
        assert_same(values(model, vector, *point), values(model, tuple(vector), *point))


@pytest.mark.slow
@pytest.mark.parametrize(("derive", "k"), [(derive_drift, 9), (derive_diffusion, 4)])
def test_entries_drawn_at_random_have_the_value_of_a_large_contraction(
    derive: Callable[[Model], Drift | Diffusion], k: int, rng: np.random.Generator
) -> None:
    model = kgmm(k)
    vector = derive(model).vector
    point = random_point(model, rng)
    whole = values(model, vector, *point)
    chosen = rng.choice(len(vector), size=6, replace=False)
    expected = values(model, tuple(vector[i] for i in chosen), *point)
    assert_same(whole[chosen], expected)


def test_a_wrong_factor_of_a_term_is_seen(rng: np.random.Generator) -> None:
    model = kgmm(2)
    vector = derive_drift(model).vector
    assert isinstance(vector, ContractedVector)
    first = vector.selections[0]
    wrong = type(first)(first.contraction.scaled(sp.Rational(101, 100)), first.indices)
    point = random_point(model, rng)
    with pytest.raises(AssertionError):
        assert_same(
            values(model, ContractedVector((wrong, *vector.selections[1:])), *point),
            values(model, tuple(vector), *point),
        )
