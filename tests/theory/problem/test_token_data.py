"""Statements with tokens that are refused, each by name and before any work."""

from __future__ import annotations

import pytest
import sympy as sp

from theory import Bands, InputError, Loss, Mixture, Model, Update, derive_drift, symbols

((LEFT, RIGHT),) = symbols.tokens("u", 1, 2)
PAIR = Loss((LEFT * RIGHT - symbols.LABEL) ** 2, units=1, tokens=2)
TWO = [[[1], [0]], [[0], [-1]]]


def data(tokens=TWO, **options):
    return Mixture.build(labels=[1, 0], tokens=tokens, **options)


def test_tokens_of_another_number_in_loss_and_data():
    with pytest.raises(InputError, match=r"tokens: got 2 in the loss and 3 in the mixture"):
        Model.build(data([[[1], [0], [0]], [[0], [0], [1]]]), PAIR)
    with pytest.raises(InputError, match=r"tokens: got 2 in the loss and 1 in the mixture"):
        Model.build(Mixture.build(labels=[1, 0], coordinates=[[1], [0]]), PAIR)
    with pytest.raises(InputError, match=r"tokens: got 1 in the loss and 2 in the mixture"):
        Model.build(data(), Loss(symbols.indexed("u", 0) ** 2, units=1))


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        ([[[1], [0]], [[1]]], r"tokens\[1\]: got 1 token\(s\)"),
        ([[[1], [0]], [[1, 0], [0, 1]]], r"tokens\[1\]: got 2 coordinates"),
        ([[1, 0], [0, 1]], r"tokens\[0\]: got"),
        ("abc", "tokens: got 'abc'"),
        (3, "tokens: got 3"),
        ([], r"tokens: got \[\]"),
    ],
)
def test_coordinates_that_are_no_tokens(tokens, message):
    with pytest.raises(InputError, match=message):
        data(tokens)


def test_coordinates_and_tokens_exclude_each_other():
    with pytest.raises(InputError, match="coordinates beside tokens"):
        data(coordinates=[[1], [0]])
    with pytest.raises(InputError, match="neither coordinates nor tokens"):
        Mixture.build(labels=[1, 0])


def test_losses_that_do_not_know_their_tokens():
    with pytest.raises(InputError, match=r"unknown symbols .*u_1_1.*Loss\(\.\.\., units=C, tokens"):
        Loss(LEFT * RIGHT, units=1)
    with pytest.raises(InputError, match=r"tokens: got 0"):
        Loss(LEFT * RIGHT, units=1, tokens=0)
    with pytest.raises(InputError, match=r"tokens: got float"):
        Loss(LEFT * RIGHT, units=1, tokens=2.0)
    for other in (symbols.LABEL_NOISE, symbols.indexed("t", 0), symbols.indexed("Q", 0, 0)):
        with pytest.raises(InputError, match="a statistic of the weights or an output beside"):
            Loss((LEFT * RIGHT - other) ** 2, units=1, tokens=2)
    with pytest.raises(InputError, match="gauge"):
        Loss((LEFT - RIGHT) ** 2, units=1, tokens=2, gauge=sp.ImmutableDenseMatrix([1]))


def test_what_is_known_of_single_features_alone_is_named():
    with pytest.raises(InputError, match=r"tokens: .*noise with bands is not known for tokens"):
        data(bands=Bands(["1/2", "1/2"], [1, 2]))
    with pytest.raises(InputError, match=r"tokens: .*update other than the plain gradient"):
        Model.build(data(), PAIR, update=Update(rates={"unit 1": 2}))


def test_statements_read_as_they_are_written():
    mixture = data(precision=2)
    assert "tokens=[[[1], [0]], [[0], [-1]]]" in repr(mixture)
    model = Model.build(mixture, PAIR, ridge=0, step=1)
    assert "Y_p" in model._repr_latex_()
    assert model.substitute({symbols.indexed("Gamma", 0, 0): 2}).tokens == 2
    assert sorted(map(str, model.symbols.preactivation)) == ["u_1_1", "u_1_2"]
    assert "u_1_2" in str(derive_drift(model).overlap[0, 0])
