"""Samples of a second look at a case: wider noise, and weights that make up for it."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import fresh_rng
from law_cases import threshold

from numerics import Problem, State
from theory import Bands, Loss, Mixture, Model, symbols
from verify.laws.frames import random_frame
from verify.laws.judged_formulas import Formulas
from verify.laws.law import MORE, LawCase
from verify.laws.sample_means import sample_products
from verify.laws.witness import HEAVIEST, sample_gradients, sample_steps

U, T, XI, Y = *symbols.vector("u", 1), *symbols.vector("t", 1), symbols.LABEL_NOISE, symbols.LABEL
PAIR = symbols.tokens("u", 1, 2)[0]
MODELS = {
    "teacher and label noise": Model.build(
        Mixture.build(labels=[0], coordinates=[[0]]), Loss((U**2 - T**2 - XI) ** 2, units=1)
    ),
    "bands": Model.build(
        Mixture.build(labels=[0, 1], coordinates=[[1], [-1]], bands=Bands([0.2, 0.8], [1, 0.5])),
        Loss((U - Y) ** 4, units=1),
    ),
    "tokens": Model.build(
        Mixture.build(labels=[1, -1], tokens=[[[1], [1]], [[1], [-1]]]),
        Loss((PAIR[0] * PAIR[1] - Y) ** 2, units=1, tokens=2),
    ),
}


def case_of(name, effort, rng):
    """A case at such an effort, and a frame for it."""
    model = MODELS[name]
    bands = (2,) if model.bands == 2 else ()
    numbers = {"directions_gram": np.broadcast_to(0.5 * np.eye(1), (*bands, 1, 1))}
    weights = np.full(model.components, 1 / model.components)
    problem = Problem(model, weights=weights, precision=1.0, ridge=0.1, step=0.3, **numbers)
    state = State(np.full((*bands, 1, 1), 0.4), np.full((*bands, 1, 1), 0.3))
    case = LawCase(model, Formulas(model), problem.parameters, state, rng, 1e-4, effort)
    frame = random_frame(problem.parameters, state, 2 + model.tokens, np.random.default_rng(0))
    return case, frame


@pytest.mark.parametrize("dimension", [None, 1000])
@pytest.mark.parametrize("name", MODELS)
def test_weighted_means_of_wider_noise_are_those_of_plain_noise(name, dimension):
    rng, count = fresh_rng(), 100_000
    found, heaviest = [], []
    for effort in (1, MORE):
        case, frame = case_of(name, effort, rng)
        if dimension is None:
            rows, weight = sample_gradients(case, frame, count)
        else:
            steps = sample_steps(case, frame, dimension, count)
            rows, weight = steps.increments, steps.weight
        rows = np.tanh(rows)  # bounded: of a normal mean
        values = np.concatenate([np.ones((count, 1)), rows, rows**2], axis=1)
        found.append(weight[:, None] * values)
        heaviest.append(weight.max())
    assert heaviest[0] == 1 < heaviest[1] <= HEAVIEST
    means = np.array([values.mean(axis=0) for values in found])
    error = np.sqrt(sum(values.var(axis=0) for values in found) / count) + 1e-12
    assert np.all(np.abs(means[0] - means[1]) <= threshold(3 * means[0].size) * error)


def test_products_of_high_powers_settle_with_wider_noise():
    rng, count = fresh_rng(), 100_000
    bounds = []
    for effort in (1, MORE):
        steps = sample_steps(*case_of("teacher and label noise", effort, rng), 1000, count)
        sampled = sample_products(np.sqrt(steps.weight)[:, None] * steps.increments, 1e-4)
        bound = sum(part for part, _ in sampled.parts)
        bounds.append(np.diag(bound) / np.diag(sampled.value))
    assert np.all(bounds[1] < 0.5 * bounds[0])
