"""The stated error of an accuracy covers it where pre-activations vary along a line.

All scramblings may put the node beside the boundary on the same side of it.
"""

from __future__ import annotations

import numpy as np
import pytest
from helpers import fresh_rng
from scipy.special import ndtr

import numerics.data.risk as risk
from numerics import Problem, State, population_risk
from theory import Loss, Mixture, Model, Softplus, symbols

U = symbols.vector("u", 1)
TWO = Mixture.build(labels=[1, -1], coordinates=[[1], [-1]], directions_gram=[[1]])
LOGISTIC = Model.build(TWO, Loss(Softplus(-symbols.LABEL * U[0]), units=1), name="logistic")
PROBLEM = Problem(LOGISTIC, weights=[0.5, 0.5], precision=2, ridge=0, step=1)


def uncovered(rng, problems):
    """How many accuracies are further from P(u > 0) than their error, and the largest share."""
    shares = []
    for _ in range(problems):
        m, r = rng.normal() * rng.choice([0.05, 1]), 10.0 ** rng.uniform(-1, 1)
        tolerance = 10.0 ** rng.uniform(-5, -3)
        found = population_risk(
            PROBLEM, State([[m]], [[r]]), tolerance=tolerance, seed=int(rng.integers(10**6))
        )
        true = ndtr(m * np.sqrt(2) / np.sqrt(r + m * m))
        shares.append(abs(float(found.accuracy) - true) / float(found.accuracy_error))
    return sum(share > 1 for share in shares), max(shares)


@pytest.mark.slow
def test_the_error_covers_the_accuracy_on_a_line():
    assert uncovered(fresh_rng(), 40)[0] == 0


def test_the_spread_of_scramblings_does_not(monkeypatch):
    monkeypatch.setattr(risk, "_on_a_line", lambda _: False)
    rng = fresh_rng()
    assert any(uncovered(rng, 20)[0] for _ in range(20))
