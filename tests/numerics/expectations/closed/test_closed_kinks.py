"""Closed forms of losses with kinks, with the rules that know the kinks as their witness."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
import sympy as sp
from helpers import fresh_rng

from numerics import Parameters, State, integrate_curves
from numerics.expectations.closed.closed_values import moment_errors
from numerics.expectations.compiled import compile_expressions
from theory import (
    GaussianExpectation,
    Loss,
    Mixture,
    Model,
    ReLU,
    derive_diffusion,
    derive_drift,
    derive_hessian,
    kgmm,
    symbols,
    xor,
)
from theory.expectations import closed_forms
from theory.expectations.normal_functions import bivariate_normal, trivariate_normal

GAMMA = [[1, 0.2], [0.2, 1]]


def network(units, readout=False, bias=False):
    """(sum of v ReLU(u + b) - y)^2 / 2 on three labels; b are readout parameters."""
    u = symbols.vector("u", units)
    v = symbols.vector("v", units * (readout + bias))
    kinks = [u[i] + v[units * readout + i] if bias else u[i] for i in range(units)]
    f = sum((v[i] if readout else 1) * ReLU(kinks[i]) for i in range(units))
    mixture = Mixture.build(
        weights=[0.3, 0.3, 0.4],
        labels=[1, -1, "1/2"],
        coordinates=[[1, 0], [0, 1], [-1, 1]],
        directions_gram=GAMMA,
    )
    loss = Loss((f - symbols.LABEL) ** 2 / 2, units=units, readout_size=len(v), kinks=kinks)
    return Model.build(mixture, loss, name="ReLU regression")


CASES = {
    "one": network(1),
    "one with bias": network(1, True, True),
    "two": network(2, True),
    "two with biases": network(2, True, True),
}


def problem(model, rng, wide=False):
    scale = 10.0 ** rng.uniform(-4, 2) if wide else 0.6
    units = model.units
    parameters = Parameters(
        [0.3, 0.3, 0.4],
        precision=10.0 ** rng.uniform(-3, 6) if wide else rng.uniform(0.8, 4),
        ridge=0.1,
        step=1,
        directions_gram=GAMMA,
    )
    mixing = scale * rng.normal(size=(units, units))
    if not wide:  # well conditioned: closed forms keep their digits, and are the ones compared
        left, _, right = np.linalg.svd(mixing)
        mixing = left * rng.uniform(0.3, 0.9, units) @ right
    if wide and rng.random() < 0.5:
        mixing[1:] = mixing[0] + 10.0 ** rng.uniform(-9, 0) * mixing[1:]
    overlap = 10.0 ** rng.uniform(-4, 1) * rng.normal(size=(units, 2))
    return parameters, State(overlap, mixing @ mixing.T, rng.normal(size=model.readout_size))


def quantity(model, name):
    if name == "drift":
        return tuple(derive_drift(model).vector)
    derive = derive_hessian if name == "hessian" else derive_diffusion
    return tuple(derive(model).expressions())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("one", "drift"),
        ("one", "diffusion"),
        ("one with bias", "hessian"),
        ("one with bias", "diffusion"),
        ("two", "drift"),
        ("two", "hessian"),
        pytest.param("two", "diffusion", marks=pytest.mark.slow),
        pytest.param("two with biases", "drift", marks=pytest.mark.slow),
        pytest.param("two with biases", "hessian", marks=pytest.mark.slow),
    ],
)
def test_they_are_the_values_of_quadrature(name, what):
    model = CASES[name]
    expressions = quantity(model, what)
    closed = compile_expressions(model, expressions, "numpy", closed_forms=True)
    nodes = compile_expressions(model, expressions, "numpy", closed_forms=False)
    parameters, state = problem(model, fresh_rng())
    a, b = closed.estimate(parameters, state), nodes.estimate(parameters, state, tolerance=1e-9)
    assert (a.rule.kind, b.rule.kind) == ("closed", "panels")
    difference = np.abs(a.values - b.values)
    assert np.all(difference <= a.errors + b.errors)
    assert difference.max() <= 1e-8 * (1 + np.abs(b.values).max())


@pytest.mark.slow
def test_three_units_agree_with_scrambled_nodes():
    model = network(3, True)
    parameters, state = problem(model, fresh_rng())
    for what in ("drift", "hessian"):
        expressions = quantity(model, what)
        closed = compile_expressions(model, expressions, "numpy", closed_forms=True)
        nodes = compile_expressions(model, expressions, "numpy", closed_forms=False)
        a, b = closed.estimate(parameters, state), nodes.estimate(parameters, state)
        assert (a.rule.kind, b.rule.kind) == ("closed", "sobol")
        # eight scramblings: 40 of their errors in a few hundred entries
        assert np.all(np.abs(a.values - b.values) <= a.errors + 40 * b.errors)
        assert a.errors.max() < 1e-8 * (1 + np.abs(a.values).max())
        assert b.errors.max() > a.errors.max()


def exact_moments(compiled, parameters, state):
    """The closed forms at 60 digits, from the state as it stands in the floats."""
    table = {"BivariateNormal": bivariate_normal, "TrivariateNormal": trivariate_normal}
    arguments = [s for _, group in compiled.closed.arguments for s in group]
    function = sp.lambdify(arguments, list(compiled.closed.forms), [table, "mpmath"], cse=True)
    number = mpmath.mpf
    m, perp = (mpmath.matrix(x.tolist()) for x in (state.overlap, state.gram_perp))
    gram = perp + m * mpmath.matrix(parameters.directions_gram.tolist()) ** -1 * m.T
    pairs = [(a, b) for a in range(m.rows) for b in range(a, m.rows)]
    inverse = gram**-1
    rest = [gram[a, b] / number(parameters.precision) for a, b in pairs]
    rest += [inverse[a, b] for a, b in pairs]
    rest += [number(parameters.precision), *map(number, state.readout.tolist())]
    for label, place in zip(compiled.labels.tolist(), compiled.coordinates.tolist(), strict=True):
        means = (m * mpmath.matrix([number(x) for x in place])).T.tolist()[0]
        yield function(number(label), *means, *rest)


def uncovered(model, what, problems, rng):
    """Moments further from 60 digits than their bounds, of problems of a wide box."""
    compiled = compile_expressions(model, quantity(model, what), "numpy", closed_forms=True)
    found = []
    for _ in range(problems):
        parameters, state = problem(model, rng, wide=True)
        parts = (state.overlap, state.gram_perp, state.readout)
        *_, (laws,) = compiled.laws.at(parameters, *(part[None] for part in parts))
        values, bounds = (
            compiled.closed.moments(laws)[0],
            moment_errors(compiled, parameters, parts),
        )
        with mpmath.workdps(60):
            rows = exact_moments(compiled, parameters, state)
            for row, right, bound in zip(values, rows, bounds, strict=True):
                away = [float(abs(number(x) - e)) for x, e in zip(row, right, strict=True)]
                found += [(a, b) for a, b in zip(away, bound, strict=True) if a > b]
    return found


def number(x):
    return mpmath.mpf(float(x))


@pytest.mark.parametrize(
    ("name", "what"), [("one", "diffusion"), ("one with bias", "hessian"), ("two", "drift")]
)
def test_rounding_is_covered_over_a_wide_box(name, what):
    assert uncovered(CASES[name], what, 3, fresh_rng()) == []


def test_curves_use_them():
    model = CASES["one"]
    parameters, state = problem(model, fresh_rng())
    curve = integrate_curves(model, parameters, state, [0.0, 1.0])
    assert curve.attrs["quadrature"] == "closed forms, no quadrature"


def test_too_many_steps_are_seen_before_anything_is_derived(monkeypatch):
    """Four units under the square loss: products of four different steps."""
    monkeypatch.setattr(GaussianExpectation, "doit", None)
    model = network(4, True)
    assert compile_expressions(model, derive_drift(model).vector, "numpy").closed is None


@pytest.mark.parametrize("model", [xor(2, activation="relu"), kgmm(2)], ids=["xor", "kgmm"])
def test_losses_without_closed_forms_keep_their_nodes(model):
    assert compile_expressions(model, derive_drift(model).vector).closed is None


def test_a_broken_closed_form_is_seen(monkeypatch):
    """Whitened variables without their covariance with the fields."""
    right = closed_forms._law_of

    def apart(variables, law):
        mean, covariance = right(variables, law)
        units = len(list(law.mean))
        for i in range(units, len(mean)):
            for a in range(units):
                covariance[i][a] = covariance[a][i] = 0
        return mean, covariance

    monkeypatch.setattr(closed_forms, "_law_of", apart)
    model = CASES["one"]
    expressions = quantity(model, "hessian")
    parameters, state = problem(model, fresh_rng())
    # not the cached object, which other tests would meet broken
    a = compile_expressions.__wrapped__(model, expressions, "numpy", closed_forms=True)
    b = compile_expressions(model, expressions, "numpy", closed_forms=False)
    found = [each.estimate(parameters, state).values for each in (a, b)]
    assert np.abs(found[0] - found[1]).max() > 1e-6
