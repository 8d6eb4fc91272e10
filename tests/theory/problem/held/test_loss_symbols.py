"""Numbers of one's own in a loss: declared, named where they are not, within their ranges."""

from __future__ import annotations

import pytest
import sympy as sp

from theory import InputError, Loss, Mixture, Model, Softplus, derive_drift, symbols

U, Y = symbols.vector("u", 1)[0], symbols.LABEL
T = sp.Symbol("T", positive=True)
TEMPERED = T * (Softplus(U / T) - Y * U / T)


def model(**loss):
    two = Mixture.build(labels=[1, 0], coordinates=[[1], [-1]], directions_gram=[[1]])
    return Model.build(two, Loss(TEMPERED, units=1, **loss))


def test_a_symbol_that_nobody_declared_is_named_with_what_to_do():
    with pytest.raises(InputError, match=r"unknown symbols \['T'\]; .*declare it: Loss\(.*T"):
        model()


def test_names_and_symbols_declare_the_same():
    declared = ({"T": None}, [T], ["T"], {T: (0.5, 2)}, {"T": ("1/2", 2)})
    losses = [model(parameters=each).loss for each in declared]
    assert len({loss.held for loss in losses}) == 1
    assert losses[0] == losses[1] == losses[2]
    assert losses[3] == losses[4] != losses[0]
    assert losses[3].free_parameters[0].drawn == (sp.Rational(1, 2), 2)


def test_numbers_in_place_of_the_symbol():
    numbered = model(parameters={"T": (0.5, 2)}).substitute({T: "3/2"})
    assert numbered.loss.parameters == ()
    assert numbered.loss.expression == TEMPERED.xreplace({T: sp.Rational(3, 2)})
    with pytest.raises(InputError, match=r"T: got 3.0; expected a number in \[1/2, 2\]"):
        model(parameters={"T": (0.5, 2)}).substitute({T: 3})


def test_a_range_below_zero_makes_a_real_symbol():
    shift = sp.Symbol("shift", real=True)
    loss = Loss((U - shift * Y) ** 2, units=1, parameters={"shift": (-1, 1)})
    assert loss.held == (shift,)
    assert Loss((U - shift * Y) ** 2, units=1, parameters={"shift": (0, 1)}).held == (shift,)
    with pytest.raises(InputError, match=r"symbols \['T'\] with other assumptions"):
        Loss((U - sp.Symbol("T") * Y) ** 2, units=1, parameters=["T"])


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        ({"lambda": None}, "a word of letters and digits that the conventions leave free"),
        ({"m_1": None}, "a word of letters and digits"),
        ({"T": (2, 1)}, "numbers low < high"),
        ({"T": 3}, r"a pair \(low, high\)"),
        (["T", "T"], "T twice"),
        ({T: (-1, 1)}, "it is positive"),
        ("T", "a mapping of names"),
        ([3], "names or real symbols"),
    ],
)
def test_declarations_that_are_none(declared, message):
    with pytest.raises(InputError, match=message):
        model(parameters=declared)


def test_a_temperature_scales_the_slope():
    """g = sigma(u / T) - y: the drift at any T is that of the loss with the number."""
    open_model = model(parameters={"T": (0.5, 2)})
    drift = derive_drift(open_model).overlap[0, 0].xreplace({T: sp.Integer(2)})
    numbered = derive_drift(open_model.substitute({T: 2})).overlap[0, 0]
    lam = sp.Symbol("lambda", positive=True)
    assert sp.simplify((drift - numbered).xreplace({lam: sp.Integer(1)})) == 0
