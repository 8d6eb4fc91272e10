"""Closed forms in compiled expressions, with quadrature and 50 digits as their witnesses."""

from __future__ import annotations

import time

import mpmath
import numpy as np
import pytest
import sympy as sp
from helpers import fresh_rng
from processor import is_within

from numerics import Parameters, State, integrate_curves, solve_fixed_point
from numerics.core.special import rounded
from numerics.expectations.closed import closed_moments as module
from numerics.expectations.closed.closed_values import moment_errors
from numerics.expectations.compiled import compile_expressions
from theory import (
    GaussianExpectation,
    Loss,
    Mixture,
    Model,
    Softplus,
    derive_diffusion,
    derive_drift,
    derive_risk,
    kgmm,
    preactivation_law,
    symbols,
)
from theory.expectations import closed_forms
from theory.expectations.normal_functions import bivariate_normal

Y = symbols.LABEL
GAMMA = [[1, 0.2], [0.2, 1]]


def network(units, activation, readout=False):
    """(sum of v g(u) - y)^2 / 2 on three labels: regression by a two-layer network."""
    u = symbols.vector("u", units)
    v = symbols.vector("v", units if readout else 0)
    f = sum((v[i] if readout else 1) * activation(u[i]) for i in range(units))
    mixture = Mixture.build(
        weights=[0.3, 0.3, 0.4],
        labels=[1, -1, "1/2"],
        coordinates=[[1, 0], [0, 1], [-1, 1]],
        directions_gram=GAMMA,
    )
    loss = Loss((f - Y) ** 2 / 2, units=units, readout_size=len(v))
    return Model.build(mixture, loss, name="regression")


def erf(z):
    return sp.erf(z / sp.sqrt(2))


def problem(units, rank, readout, rng):
    """Parameters, and a state whose weights span a space of the given dimension."""
    parameters = Parameters(
        [0.3, 0.3, 0.4], precision=rng.uniform(0.8, 4), ridge=0.1, step=1, directions_gram=GAMMA
    )
    overlap = rng.normal(size=(units, 2)) * 0.5
    mixing = rng.normal(size=(units, rank)) * 0.6
    perp = mixing @ mixing.T
    if rank < units:  # the weights within the span of the directions
        overlap, perp = mixing @ rng.normal(size=(rank, 2)), 0.0 * np.eye(units)
    return parameters, State(overlap, perp, rng.normal(size=units if readout else 0))


CASES = {
    "one": (network(1, erf), 1, False),
    "two": (network(2, erf), 2, False),
    "two with readout": (network(2, sp.erf, readout=True), 2, True),
    "quadratic": (network(2, lambda z: z**2), 2, False),
    "cosine": (network(2, sp.cos, readout=True), 2, True),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_right_hand_sides_are_exact(name):
    model, units, readout = CASES[name]
    parameters, state = problem(units, units, readout, fresh_rng())
    expressions = derive_drift(model).vector
    closed = compile_expressions(model, expressions, "numpy", closed_forms=True)
    nodes = compile_expressions(model, expressions, "numpy", closed_forms=False)
    a, b = closed.estimate(parameters, state), nodes.estimate(parameters, state, tolerance=1e-12)
    assert str(a.rule) == "closed forms, no quadrature"
    assert b.rule.kind != "closed"
    difference = np.abs(a.values - b.values)
    assert np.all(difference <= a.errors + b.errors)
    assert np.all(difference <= 1e-12 * (1 + np.abs(b.values)) + b.errors)
    assert np.all(a.errors < 1e-11 * (1 + np.abs(a.values).max()))


@pytest.mark.slow
def test_three_units_agree_with_panels_on_the_plane():
    """Weights in the plane of the directions: the witness integrates in two dimensions."""
    model = network(3, erf)
    parameters, state = problem(3, 2, False, fresh_rng())
    expressions = derive_drift(model).vector
    a = compile_expressions(model, expressions, "numpy").estimate(parameters, state)
    nodes = compile_expressions(model, expressions, "numpy", closed_forms=False)
    b = nodes.estimate(parameters, state, tolerance=1e-12)
    assert (a.rule.kind, b.rule.kind) == ("closed", "panels")
    assert np.all(np.abs(a.values - b.values) <= a.errors + b.errors)
    assert a.errors.max() < 1e-11


def exact_moments(compiled, parameters, state):
    """The closed forms at 50 digits, from the state as it stands in the floats."""
    number = mpmath.mpf
    forms = compiled.closed.forms
    arguments = [s for _, group in compiled.closed.arguments for s in group]
    table = {"BivariateNormal": bivariate_normal}
    function = sp.lambdify(arguments, list(forms), [table, "mpmath"], cse=True)
    m, perp = mpmath.matrix(state.overlap.tolist()), mpmath.matrix(state.gram_perp.tolist())
    inverse = mpmath.matrix(parameters.directions_gram.tolist()) ** -1
    gram = perp + m * inverse * m.T
    units = range(m.rows)
    pairs = [(a, b) for a in units for b in units if a <= b]
    covariance = [gram[a, b] / number(parameters.precision) for a, b in pairs]
    rows = []
    for label, place in zip(compiled.labels.tolist(), compiled.coordinates.tolist(), strict=True):
        mean = [mpmath.fdot(m[a, :].tolist()[0], map(number, place)) for a in units]
        readout = map(number, state.readout.tolist())
        rest = (*[number(0)] * len(pairs), number(parameters.precision), *readout)
        rows.append(function(number(label), *mean, *covariance, *rest))
    return rows


def wide_problem(model, rng):
    """Precisions, scales and ranks of any size; half of the time units that nearly coincide."""
    units = model.units
    overlap = rng.normal(size=(units, 2)) * 10.0 ** rng.uniform(-6, 1.5)
    mixing = rng.normal(size=(units, rng.integers(0, units + 1))) * 10.0 ** rng.uniform(-5, 2)
    if rng.random() < 0.5:
        apart = 0.0 if rng.random() < 0.5 else 10.0 ** rng.uniform(-12, 0)
        overlap[1:] = overlap[0] + apart * overlap[1:]
        mixing[1:] = mixing[0] + apart * mixing[1:]
    readout = rng.normal(size=model.readout_size) * 10.0 ** rng.uniform(-2, 2)
    parameters = Parameters(
        [0.3, 0.3, 0.4], 10.0 ** rng.uniform(-3, 8), 0.1, 1, directions_gram=GAMMA
    )
    return parameters, State(overlap, mixing @ mixing.T, readout)


def uncovered(name, problems, rng):
    """Moments further from 50 digits than the bound of rounding, of problems of a wide box."""
    model = CASES[name][0]
    vector = derive_drift(model).vector
    compiled = compile_expressions(model, vector, "numpy", closed_forms=True)
    law = compiled.closed
    found = []
    for _ in range(problems):
        parameters, state = wide_problem(model, rng)
        parts = (state.overlap, state.gram_perp, state.readout)
        *_, (laws,) = compiled.laws.at(parameters, *(part[None] for part in parts))
        values, bounds = law.moments(laws)[0], moment_errors(compiled, parameters, parts)
        with mpmath.workdps(50):
            exact = exact_moments(compiled, parameters, state)
            for row, right, bound in zip(values, exact, bounds, strict=True):
                for value, e, b in zip(row, right, bound, strict=True):
                    away = float(abs(mpmath.mpf(float(value)) - e))
                    if away > b:
                        found.append((away, b, parameters.precision))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_rounding_is_covered_over_a_wide_box(name):
    assert uncovered(name, 6, fresh_rng()) == []


@pytest.mark.slow
def test_an_error_that_leaves_cancellation_out_is_seen(monkeypatch):
    """Rounding relative to each result alone, without what it inherits."""

    def forgetful(value, error, relative=rounded.UNIT):
        value, _ = np.broadcast_arrays(value, error)
        return rounded.Rounded(value, relative * np.abs(value))

    monkeypatch.setattr(rounded, "_rounded", forgetful)
    assert len(uncovered("two", 6, fresh_rng())) > 0


@pytest.mark.slow
def test_machine_code_has_the_values_of_arrays():
    model = network(2, erf)
    parameters, state = problem(2, 2, False, fresh_rng())
    vector = derive_drift(model).vector
    a, b = (
        compile_expressions(model, vector, target, closed_forms=True).estimate(parameters, state)
        for target in ("numba", "numpy")
    )
    assert np.all(np.abs(a.values - b.values) <= a.errors)


@pytest.mark.parametrize("name", ["one", "two", "quadratic"])
def test_weights_of_zero_and_coinciding_units_have_values(name):
    """Q = 0, and Q of rank 1: nothing is divided by it."""
    model, units, _ = CASES[name]
    vector = derive_drift(model).vector
    closed = compile_expressions(model, vector, "numpy", closed_forms=True)
    nodes = compile_expressions(model, vector, "numpy", closed_forms=False)
    parameters, _ = problem(units, units, False, fresh_rng())
    for size in (0.0, 0.7):
        state = State(np.full((units, 2), size), np.full((units, units), size))
        # values of thousands, whose rounding may come close to the usual 1e-10
        a, b = (each.estimate(parameters, state, tolerance=1e-8) for each in (closed, nodes))
        assert a.rule.kind == "closed"
        assert np.all(np.abs(a.values - b.values) <= a.errors + b.errors)


@pytest.mark.slow
def test_where_a_closed_form_keeps_no_digits_quadrature_takes_its_place(monkeypatch):
    model = network(1, erf)
    vector = derive_drift(model).vector
    parameters, state = problem(1, 1, False, fresh_rng())
    # not the cached object, which other tests use
    compiled = compile_expressions.__wrapped__(model, vector, closed_forms=True)
    bound = module.ClosedMoments.rounding
    monkeypatch.setattr(module.ClosedMoments, "rounding", lambda *a: bound(*a) + np.inf)
    found = compiled.estimate(parameters, state)
    assert found.rule.kind in ("gauss-hermite", "panels")
    curve = integrate_curves(model, parameters, state, [0.0, 0.1])
    assert "Gauss-" in curve.attrs["quadrature"]
    point = solve_fixed_point(model, parameters, start=state)
    assert "Gauss-" in point.attrs["quadrature"]


@pytest.mark.slow
def test_curves_and_fixed_points_are_those_of_quadrature():
    model = network(1, erf)
    parameters, state = problem(1, 1, False, fresh_rng())
    curve = integrate_curves(model, parameters, state, [0.0, 1.0, 300.0])
    assert curve.attrs["quadrature"] == "closed forms, no quadrature"
    nodes = compile_expressions(model, derive_drift(model).vector, "numpy", closed_forms=False)
    for time_, step in ((1.0, 1e-3),):
        last = State.at(curve, time=time_)
        field = nodes.estimate(parameters, last).values
        before, after = (
            State.at(integrate_curves(model, parameters, state, [0.0, t]), time=t).flatten()
            for t in (time_ - step, time_ + step)
        )
        slope = (after - before) / (2 * step)
        assert np.abs(slope - field).max() < 1e-5 * (1 + np.abs(field).max())
    point = solve_fixed_point(model, parameters, start=State.at(curve, time=300.0))
    assert point.attrs["quadrature"] == "closed forms, no quadrature"
    root = State(point.overlap.values, point.gram_perp.values)
    assert np.abs(nodes.estimate(parameters, root).values).max() < 1e-7


def test_a_model_with_one_integral_that_is_not_closed_keeps_its_nodes():
    u = symbols.vector("u", 1)
    loss = Loss(Softplus(u[0]) + (sp.erf(u[0]) - Y) ** 2, units=1)
    model = Model.build(network(1, erf).mixture, loss)
    vector = (derive_risk(model).loss, *derive_drift(model).vector)
    assert compile_expressions(model, vector).closed is None
    assert compile_expressions(kgmm(3), derive_drift(kgmm(3)).vector).closed is None
    many = network(1, erf, readout=True)  # four factors erf: more than the rule serves
    diffusion = derive_diffusion(many)
    assert compile_expressions(many, tuple(diffusion.second_moment)).closed is None


def test_what_would_be_too_long_is_not_derived():
    """20 quadratic units: products of some 10^4 terms each."""
    model = network(20, lambda z: z**2)
    u = symbols.vector("u", 20)
    f = (sum(a**2 for a in u) - Y) ** 4
    node = GaussianExpectation(f, preactivation_law(model, 0))
    compiled = compile_expressions(model, (node,), "numpy", closed_forms=True)
    began = time.process_time()
    assert compiled.closed is None
    assert is_within(time.process_time() - began, 1.0)


def test_a_broken_closed_form_is_seen(monkeypatch):
    """The delta of integration by parts doubled."""
    right = closed_forms.normal_density
    monkeypatch.setattr(closed_forms, "normal_density", lambda h: 2 * right(h))
    model = network(1, lambda z: sp.erf(z) + z)
    expressions = derive_drift(model).vector
    parameters, state = problem(1, 1, False, fresh_rng())
    # not the cached object, which other tests would meet broken
    closed = compile_expressions.__wrapped__(model, expressions, "numpy", closed_forms=True)
    a = closed.estimate(parameters, state)
    nodes = compile_expressions(model, expressions, "numpy", closed_forms=False)
    b = nodes.estimate(parameters, state)
    assert np.abs(a.values - b.values).max() > 1e-6
