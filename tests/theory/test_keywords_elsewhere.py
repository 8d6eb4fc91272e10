"""Arguments that nothing here has, because they belong elsewhere or are outside of the class."""

from __future__ import annotations

import pytest

from numerics import Problem, State, effective_spectrum, simulate_sgd
from theory import InputError, Loss, Model, Update, kgmm, symbols
from theory.keywords import with_known_keywords

FIXED = kgmm(2, weights=["1/2", "1/2"], directions_gram="orthonormal", precision=4, ridge=0, step=1)
(U,) = symbols.vector("u", 1)


def simulate(**more):
    problem = Problem(FIXED)
    simulate_sgd(problem, State.zero(problem), [0, 1], dimension=9, replicas=1, seed=0, **more)


@pytest.mark.parametrize(
    ("ask", "name", "message"),
    [
        (simulate, "epochs", r"time is steps.*; several passes .* are no Markov chain"),
        (simulate, "passes", r"several passes over the same data .*train_data takes one pass"),
        (simulate, "momentum", r"model\.with_update\(Update\(momentum=\.\.\.\)\)"),
        (kgmm, "rates", r"belongs to the model: model\.with_update\(Update\(rates=\.\.\.\)\)"),
        (Model.build, "frozen", r"Update\(frozen=\.\.\.\)"),
        (Update, "optimizer", r"scaled coordinate by coordinate"),
        (Update, "nesterov", r"the momentum of a heavy ball"),
        (Update, "clip", r"Update\(rules=\{'layer 1': Max\(-c, Min\(c, SLOPE\)\)\}\)"),
        (Update, "rate", r"write rates=\.\.\."),
        (effective_spectrum, "ratio", r"write aspect_ratio=\.\.\."),
        (Loss, "teachers", r"a direction whose t_s stands in the loss"),
        (Loss, "dropout", r"not in the class of models"),
    ],
)
def test_what_is_meant_or_missing_is_said(ask, name, message):
    with pytest.raises(InputError, match=rf"{name}: got no argument of this name.*{message}"):
        ask(**{name: 1})


@pytest.mark.parametrize("parts", [(), (1,)])
def test_a_missing_argument_names_the_other_maker_of_a_class(parts):
    @with_known_keywords
    class Made:
        def __init__(self, one, two, three=3):
            self.all = (one, two, three)

        @classmethod
        def build(cls):
            return cls(1, two=2)

    with pytest.raises(InputError, match=r"expected all arguments of .*Made: one, two\. .*build\("):
        Made(*parts)
    assert Made.build().all == Made(1, 2, 3).all
