"""Numbers of a loss's own in every calculation: those of the loss with the number written in."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import sympy as sp
from helpers import fresh_rng

from numerics import (
    Parameters,
    Problem,
    State,
    Sweep,
    draw_data,
    effective_spectrum,
    empirical_risk,
    empirical_spectrum,
    integrate_curves,
    integrate_fluctuations,
    parameters_of,
    population_risk,
    population_spectrum,
    simulate_sgd,
    train_data,
)
from numerics.expectations.compiled import compile_expressions
from numerics.sgd.kernel.source import compile_kernel
from numerics.sweeps.setting import Setting
from theory import InputError, Loss, Mixture, Model, ReLU, Softplus, Update, derive_drift, symbols

U, Y = symbols.vector("u", 1)[0], symbols.LABEL
T = sp.Symbol("T", positive=True)
RANGE = {"T": (0.5, 2)}
MIXTURE = Mixture.build(labels=[1, 0], coordinates=[[1], [-1]], directions_gram=[[1]])
SIGNED = Mixture.build(labels=[1, -1], coordinates=[[1], [-1]], directions_gram=[[1]])
SMOOTH = Model.build(
    MIXTURE, Loss(T * (Softplus(U / T) - Y * U / T), units=1, parameters=RANGE), name="tempered"
)
# a hinge with a margin: kinks that move with the number
HINGE = Model.build(
    SIGNED,
    Loss(
        (1 + Y) / 2 * ReLU(T - U) + (1 - Y) / 2 * ReLU(T + U), 1, kinks=(U - T, U + T),
        parameters=RANGE,
    ),
    name="margin",
)  # fmt: skip
NUMBERS = {"weights": [0.4, 0.6], "precision": 3, "ridge": 0.1, "step": 1}
START = State([[0.2]], [[0.5]])


def both(model):
    """The problem with 3/4 for T, and that of the loss in which the number is written."""
    numbered = model.substitute({T: sp.Rational(3, 4)})
    return Problem(model, values={"T": 0.75}, **NUMBERS), Problem(numbered, **NUMBERS)


def equal(problems, function, names, tolerance=1e-9):
    """Whether both problems have the same results."""
    one, two = (function(p) for p in problems)
    for name in names.split():
        left, right = (np.asarray(getattr(x, name)) for x in (one, two))
        assert np.allclose(left, right, rtol=tolerance, atol=tolerance)


@pytest.mark.slow
def test_every_result_is_that_of_the_number_in_the_loss():
    problems, seed = both(SMOOTH), int(fresh_rng().integers(2**32))
    equal(problems, lambda p: integrate_curves(p, START, time=[0, 1]), "overlap gram_perp", 1e-6)
    for method in ("direct", "reduced"):
        run = lambda p, method=method: simulate_sgd(  # noqa: E731
            p, START, [0, 1], dimension=20, replicas=3, seed=seed, method=method
        )
        equal(problems, run, "overlap gram_perp")
    equal(problems, lambda p: train_data(draw_data(p, START, 20, 50, seed)), "weights")
    equal(problems, lambda p: integrate_fluctuations(p, START, [0, 1]), "covariance", 1e-6)
    equal(problems, lambda p: effective_spectrum(p, START, 3.0), "outliers")


@pytest.mark.slow
@pytest.mark.parametrize("model", [SMOOTH, HINGE], ids=["smooth", "kinked"])
def test_spectra_and_risk_are_those_of_the_number_in_the_loss(model):
    problems, seed = both(model), int(fresh_rng().integers(2**32))
    equal(problems, lambda p: population_spectrum(p, START, block=(0, 0)), "eigenvalue", 1e-6)
    equal(problems, lambda p: population_risk(p, START), "loss accuracy", 1e-4)
    sizes = {"dimension": 20, "samples": 50, "seed": seed}
    equal(problems, lambda p: empirical_risk(p, START, **sizes), "loss accuracy")

    def spectrum(p):
        data = draw_data(p, START, **sizes)
        return empirical_spectrum(data, matrix="gradient", count=2)

    equal(problems, spectrum, "eigenvalue")


@pytest.mark.slow
def test_code_is_compiled_once_for_all_numbers():
    model = SMOOTH
    compiled = compile_expressions(model, derive_drift(model).vector)
    kernel = compile_kernel(model.loss)
    curves = [
        integrate_curves(model, Parameters(**NUMBERS, values={"T": t}), START, time=1).overlap
        for t in (0.5, 2)
    ]
    assert abs(curves[0] - curves[1]).max() > 1e-3
    assert compile_expressions(model, derive_drift(model).vector) is compiled
    assert compile_kernel(model.loss) is kernel


@pytest.mark.slow
def test_results_carry_the_numbers_and_sweeps_have_axes():
    problem, _ = both(SMOOTH)
    curve = integrate_curves(problem, START, time=1)
    assert parameters_of(curve).values == {"T": 0.75}
    again = integrate_curves(Problem(SMOOTH, curve), START, time=1)
    assert np.array_equal(again.overlap, curve.overlap)

    def build(values):
        return Setting(Problem(SMOOTH, values=values, **NUMBERS), START, time=[0, 1], dimension=10)

    sweep = Sweep({"T": [0.5, 1.0]}, build, ["statistics"])
    assert sweep.settings[0].digest() != sweep.settings[1].digest()


@pytest.mark.slow
def test_rules_of_an_update_see_the_number():
    """A clipped gradient whose threshold is T."""
    square = Loss((U - Y) ** 2 / 2, units=1, parameters=RANGE)
    g, number = symbols.SLOPE, sp.Rational(3, 4)
    rules = [Update(rules={"layer 1": sp.Max(-c, sp.Min(c, g))}) for c in (T, number)]
    clipped = Model.build(SIGNED, square, update=rules[0])
    by_hand = Model.build(SIGNED, replace(square, parameters=()), update=rules[1])
    models = (by_hand, clipped, clipped.substitute({T: number}))
    slopes = [m.rule.slopes[0].xreplace({T: number}) for m in models]
    for u in (-3, "-1/2", "1/5", "1/2", 1, 3):
        for label in (1, -1):
            at = {U: sp.Rational(u), Y: sp.Integer(label)}
            assert len({slope.xreplace(at) for slope in slopes}) == 1


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (None, r"^values: got nothing"),
        ({}, "no number of T; .*write values={'T': ...}"),
        ({"T": 3}, r"T: got 3.0; expected a number in \[1/2, 2\]"),
        ({"T": 1, "tau": 2}, "values: got 'tau'; .*declare it"),
        ({"T": "one"}, "^T: got 'one'; expected a number"),
        ([1], "^values: got .*a mapping of names to numbers"),
    ],
)
def test_numbers_that_are_missing_or_not_declared(values, message):
    with pytest.raises(InputError, match=message):
        Problem(SMOOTH, values=values, **NUMBERS)
    if values:
        with pytest.raises(InputError, match=r"^values: got|^T: got"):
            Problem(SMOOTH, Parameters(**NUMBERS, values=values))
