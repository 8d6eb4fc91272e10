"""Equal losses are checked once; what differs in anything is looked at anew, and refused anew."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
import sympy as sp

import theory.problem.loss as loss_module
from theory import InputError, Loss, symbols
from theory.problem.regularity import checked_once

(U,) = symbols.vector("u", 1)
SQUARE = (U - symbols.LABEL) ** 2 / 2


@pytest.fixture
def looked(monkeypatch):
    """Expressions whose domain was looked at."""
    found = []
    monkeypatch.setattr(loss_module, "check_domain", lambda e, *_: found.append(e))
    return found


def test_an_equal_loss_takes_over_what_was_found(looked):
    factor = sp.Rational(17, 3)  # of no other test
    one, other = (Loss(factor * SQUARE, units=1) for _ in range(2))
    assert looked == [one.expression]
    assert one == other
    assert one.partial((0, 0)) is other.partial((0, 0))
    assert replace(one, units=2).units == 2
    assert len(looked) == 2


def test_what_equals_a_good_argument_and_is_none_is_refused():
    Loss(SQUARE, units=1)
    for units in (True, 1.0):
        with pytest.raises(InputError, match="units: got"):
            Loss(SQUARE, units=units)


def test_a_bad_loss_is_refused_every_time():
    for _ in range(2):
        with pytest.raises(InputError, match="a continuous loss"):
            Loss(sp.Heaviside(U), units=1, kinks=(U,))


def test_arguments_without_a_hash_are_looked_at_every_time(looked):
    number = sp.Symbol("T", positive=True)
    for count in (1, 2):
        Loss(number * SQUARE, units=1, parameters={"T": (1, 2)})
        assert len(looked) == count


def test_the_oldest_are_forgotten(monkeypatch):
    monkeypatch.setattr(checked_once, "MOST", 2)
    found = []

    @dataclass(frozen=True)
    class Number:
        value: int

        @checked_once.checked_once
        def __post_init__(self):
            found.append(self.value)

    for value in (1, 2, 1, 3, 2, 1):
        Number(value)
    assert found == [1, 2, 3, 1]
