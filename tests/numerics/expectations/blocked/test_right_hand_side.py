"""Right-hand sides by one compiled loop against the same by arrays, for all kinds of models."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
from band_cases import classes_in_bands, random_state
from helpers import fresh_rng
from teacher_cases import committee, multi_index
from update_cases import CASES as UPDATES
from update_cases import data

from numerics import Parameters, State, parameters_of
from numerics.core.flatten import unflatten
from numerics.expectations.blocked.right_hand_side import evaluate_states
from numerics.expectations.blocked.row_sums import add_moments
from numerics.expectations.contracted import tensor_sums
from numerics.expectations.evaluation import Evaluator
from numerics.expectations.quadrature import Rule, gauss_hermite
from theory import derive_drift, derive_risk, kgmm, mlp, xor

# more than a row, and not a whole number of them
NODES = 150
MODELS = {
    "classes": lambda rng: kgmm(3),
    "layers": lambda rng: mlp(data(), units=[2, 2], activation="tanh", ridge=0, step=1),
    "two layers": lambda rng: xor(3, activation="tanh"),
    "teachers": lambda rng: committee(
        2, 2, labels=("3/10", "-3/10"), noise=sp.Rational(1, 2), precision=3
    ),
    "multi-index": lambda rng: multi_index(),
    "update": lambda rng: UPDATES["rates"].model(),
    "bands": classes_in_bands,
}


def numbers_of(model, rng):
    """Random parameters; those of the model where its noise has bands."""
    if model.mixture.bands is not None:
        return parameters_of(model)
    factor = rng.normal(size=(model.directions, model.directions))
    gram = np.eye(model.directions) + factor @ factor.T / model.directions
    weights = rng.dirichlet(np.ones(model.components))
    return Parameters(weights, 10.0 ** rng.uniform(-1, 3), 0.3, 0.7, gram)


def compared(model, rng, *, states=2):
    """Machine code, where it is asked, and its values beside those of arrays."""
    vector = derive_drift(model).vector
    one, other = (Evaluator(model, vector, target) for target in ("numba", "numpy"))
    nodes = rng.normal(size=(states, NODES, one.dimension))
    rule = Rule("sobol", nodes, rng.dirichlet(np.ones(NODES)), NODES)
    parts = [random_state(model, rng, size=10.0 ** rng.uniform(-3, 2)) for _ in range(states)]
    vectors = np.array([state.flatten() for state in parts])
    numbers = numbers_of(model, rng)
    found = [each.evaluate_vectors(numbers, vectors, rule) for each in (one, other)]
    return one, numbers, vectors, rule, found


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_machine_code_and_arrays_have_the_same_values(name):
    rng = fresh_rng()
    model = MODELS[name](rng)
    one, *_, (left, right) = compared(model, rng)
    assert (one._compiled is None) == (model.mixture.bands is not None)
    # in units of the largest statistic: a drift may be a small difference
    np.testing.assert_allclose(left, right, rtol=0, atol=1e-11 * np.abs(right).max())


def test_contractions_tensor_by_tensor_have_the_same_values(monkeypatch):
    """What is too long to be listed is contracted at all states at once."""
    rng, model = fresh_rng(), kgmm(3)
    listed, numbers, vectors, rule, (left, _) = compared(model, rng)
    monkeypatch.setattr(tensor_sums, "LISTED", 0)
    contracted = Evaluator(model, derive_drift(model).vector)
    assert contracted._compiled._remainder.order.size == 0
    assert listed._compiled._remainder.order.size == left.shape[1]
    found = contracted.evaluate_vectors(numbers, vectors, rule)
    np.testing.assert_allclose(found, left, rtol=0, atol=1e-12 * np.abs(left).max())


def test_sizes_and_values_are_those_of_arrays():
    """What rounding is measured by, where integrands are many and few."""
    rng, model = fresh_rng(), xor(3, activation="tanh")
    one, numbers, vectors, rule, _ = compared(model, rng)
    other = Evaluator(model, derive_drift(model).vector, "numpy")
    parts = unflatten(vectors[0], model)
    for left, right in zip(
        *(each.values_and_sizes(numbers, parts, rule) for each in (one, other)), strict=True
    ):
        np.testing.assert_allclose(left, right, rtol=1e-10, atol=1e-11 * np.abs(right).max())


def test_a_state_that_is_no_number_is_left_to_those_who_name_it():
    rng, model = fresh_rng(), kgmm(2)
    one, numbers, vectors, rule, _ = compared(model, rng)
    vectors[1, -1] = np.nan
    assert one._compiled.evaluate(numbers, vectors, rule, rule.nodes) is None


def test_a_wrong_table_is_seen():
    """The comparison fails where products are taken of other features."""
    rng, model = fresh_rng(), kgmm(3)
    one, numbers, vectors, rule, (_, right) = compared(model, rng)
    right_hand_side = one._compiled
    products = right_hand_side._functions.products
    right_hand_side._functions.products = products._replace(rights=products.rights[::-1].copy())
    wrong = one.evaluate_vectors(numbers, vectors, rule)
    assert not np.allclose(wrong, right, rtol=0, atol=1e-9 * np.abs(right).max())


def test_models_and_rules_share_one_compilation():
    """One type of every argument: for another one all of the code is compiled again."""
    state, numbers = State(np.eye(3), np.eye(3)), Parameters(np.full(3, 1 / 3), 4.0, 0.3, 0.7)
    parts = state.overlap, state.gram_perp, state.readout
    seen = []
    for expressions in (derive_drift(kgmm(3)).vector, (derive_risk(kgmm(3)).loss,)):
        evaluator = Evaluator(kgmm(3), expressions)
        rule = gauss_hermite(evaluator.dimension, 6)
        assert not rule.weights.flags.writeable  # which makes another type of an array
        one, *_ = evaluator.values_and_sizes(numbers, parts, rule)
        # by the sums alone, which panels and laws of one component use
        other = evaluator.evaluate_changed(numbers, parts, rule, lambda gram, _: gram, 2)
        np.testing.assert_allclose([one, one], other, rtol=0, atol=1e-12)
        seen.append([set(map(str, each.signatures)) for each in (add_moments, evaluate_states)])
        assert evaluator.functions.products.term_left.flags.c_contiguous
    assert seen[0] == seen[1]
    assert all(seen[0])
