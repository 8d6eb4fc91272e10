"""What a model cannot be made of is named when it is stated, before any work."""

from __future__ import annotations

import pytest
import sympy as sp

from numerics import Problem, State, simulate_sgd
from theory import Bands, InputError, Loss, Mixture, Model, Update, kgmm, symbols

(U,), (T1, T2) = symbols.vector("u", 1), symbols.vector("t", 2)
PURE = Mixture.build(labels=[0], coordinates=[[0, 0]])
PAIRS = Mixture.build(labels=[1, 0], tokens=[[[1], [0]], [[-1], [0]]])
STUDENT = Model.build(PURE, Loss((U - T1 - T2) ** 2, units=1))


def small_bands():
    """Two directions and two units in a band of two dimensions."""
    grams = [[["1/10", 0], [0, "1/10"]], [["9/10", 0], [0, "9/10"]]]
    numbers = {"weights": ["1/2", "1/2"], "precision": 2, "ridge": 0, "step": 1}
    bands = Bands(["1/10", "9/10"], [1, 1])
    model = kgmm(2, bands=bands, directions_gram=grams, **numbers)
    return simulate_sgd(Problem(model), State.zero(model), [0, 1], dimension=20, replicas=1)


STATEMENTS = {
    "fractions of another sum": (lambda: Bands([0.5, 0.4], [1, 1]), "sum 0.9; expected fractions"),
    "bands smaller than what is in them": (small_bands, "dimension: .*band 1 has 2"),
    "a teacher that is trained": (
        lambda: STUDENT.with_update(Update(rates={"t_1": 1})),
        "rates: got 't_1', a teacher; .*a fixed direction",
    ),
    "a rate for an unknown layer": (
        lambda: STUDENT.with_update(Update(rates={"layer 9": 1})),
        "rates: got 'layer 9'; expected one of layer 1",
    ),
    "tokens of another number": (
        lambda: Model.build(PAIRS, Loss(U**2, units=1)),
        "tokens: got 1 in the loss and 2 in the mixture",
    ),
    "a symbol that nobody declared": (
        lambda: Model.build(PURE, Loss(sp.Symbol("alpha") * (U - T1) ** 2, units=1)),
        r"unknown symbols \['alpha'\]",
    ),
}


@pytest.mark.parametrize("name", STATEMENTS)
def test_it_is_refused_by_name(name):
    state, message = STATEMENTS[name]
    with pytest.raises(InputError, match=message):
        state()
