"""A hunt: true formulas of all quantities, changed so that few points show it.

Every change vanishes on lower ranks, on symmetric points, for all labels but one, in all orthants
but one, over most of the range of a parameter, where indices coincide or differ, or nearly
everywhere; or adds an integrand without expectation.  None of the changed formulas is proved and
none agrees; none of the true ones is refuted.

``SPECALIGN_HUNT=200x20`` takes 200 formulas with 20 changes each in place of a few.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import numpy as np
import pytest
from deceptive_changes import FORMULAS, True_, changes
from helpers import fresh_rng

from verify import check
from verify.claims.judgement import Finding

FULL = os.environ.get("SPECALIGN_HUNT", "")
WRONG = (Finding.REFUTED, Finding.CONTRADICTORY)


def sample() -> Iterator[tuple[True_, str]]:
    """Formulas and changes at random."""
    rng = fresh_rng()
    formulas, each = map(int, FULL.split("x")) if FULL else (10, 1)
    for i in range(formulas):
        order = rng.permutation(len(FORMULAS))
        true = FORMULAS[i % len(FORMULAS)] if FULL else FORMULAS[int(order[0])]
        found = changes(true, rng)
        for n in rng.permutation(len(found))[:each]:
            yield true, found[n]


def judged(true: True_, formula: str, rng: np.random.Generator) -> Finding:
    seed = int(rng.integers(2**31))
    return check(true.model, true.quantity, formula, order=true.order, seed=seed).finding


@pytest.mark.slow
def test_no_deceptive_change_is_proved_and_none_agrees() -> None:
    rng = fresh_rng()
    deceived = [
        (true.quantity, formula, found.value)
        for true, formula in sample()
        if (found := judged(true, formula, rng)) not in (Finding.REFUTED, Finding.INCONCLUSIVE)
    ]
    assert not deceived


@pytest.mark.slow
def test_no_true_formula_is_refuted() -> None:
    rng = fresh_rng()
    chosen = rng.permutation(len(FORMULAS))[: None if FULL else 8]
    seeds = 10 if FULL else 1
    refuted = [
        (FORMULAS[n].quantity, FORMULAS[n].formula)
        for n in chosen
        for _ in range(seeds)
        if judged(FORMULAS[n], FORMULAS[n].formula, rng) in WRONG
    ]
    assert not refuted


def test_changes_are_none_of_the_formula_itself() -> None:
    """Each is read, and differs from what it changes."""
    for true in FORMULAS:
        found = changes(true, fresh_rng())
        assert len(found) == len(set(found)) >= 9
        assert true.formula not in found
