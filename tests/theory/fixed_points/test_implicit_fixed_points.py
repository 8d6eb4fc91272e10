"""Fixed points of the noiseless dynamics, and the raw gradient in R^d at them."""

from __future__ import annotations

import subprocess
import sys
from functools import lru_cache

import mpmath
import numpy as np
import pytest
import sympy as sp
from helpers import DIGITS, ROOT, evaluate, two_layer_model
from hypothesis import given, settings
from hypothesis import strategies as st

from theory import (
    InputError,
    Loss,
    Mixture,
    Model,
    derive_drift,
    indexed,
    kgmm,
    noiseless,
    softmax_fixed_point,
    solve_noiseless_fixed_point,
    symbols,
)
from verify import strategies

BETA = symbols.RIDGE


def gap_of(k, p, beta):
    """Root s > 0 of beta s (e^s + k - 1) = k p at DIGITS digits (sympy.Float), by bisection.

    The left side increases from 0, and at s = p / beta it is at least k p.
    """
    with mpmath.workdps(DIGITS + 10):
        p, beta = (mpmath.mpf(x.p) / x.q for x in (sp.Rational(p), sp.Rational(beta)))
        low, high = mpmath.mpf(0), p / beta
        for _ in range(
            4 * (DIGITS + 10)
        ):  # a factor 2^-240 < 10^-72 of an interval shorter than 100
            middle = (low + high) / 2
            if beta * middle * (mpmath.exp(middle) + k - 1) < k * p:
                low = middle
            else:
                high = middle
        return sp.Float(low, DIGITS + 10)


@pytest.mark.parametrize("k", [2, 3, 4])
def test_implicit_form_annihilates_the_drift_symbolically(k):
    """Eliminate p_l by the residual equations: the noiseless drift vanishes identically."""
    model = kgmm(k, directions_gram="orthonormal")
    point = softmax_fixed_point(model)
    drift = noiseless(derive_drift(model))
    weights = {
        p: sp.solve(residual, p)[0]
        for p, residual in zip(model.mixture.weights, point.residuals, strict=True)
    }
    where = dict(zip(model.symbols.overlap, point.overlap, strict=True))
    where |= {r: sp.Integer(0) for r in model.symbols.gram_perp}
    for e in drift.vector:
        value = e.xreplace(weights).xreplace(where).rewrite(sp.exp)
        assert sp.simplify(sp.powsimp(sp.expand(value))) == 0


@pytest.mark.parametrize("k", [2, 3, 4])
def test_equal_weights_give_the_published_equation(k):
    """beta s = 1 / (e^s + k - 1)."""
    model = kgmm(k, weights=[sp.Rational(1, k)] * k, directions_gram="orthonormal")
    point = softmax_fixed_point(model)
    for s, residual in zip(point.gaps, point.residuals, strict=True):
        assert (
            sp.simplify(residual / (sp.exp(s) + k - 1) - (BETA * s - 1 / (sp.exp(s) + k - 1))) == 0
        )
        assert s.is_positive


@lru_cache(maxsize=None)
def orthonormal(k):
    """Model, fixed point and noiseless drift of the overlaps."""
    model = kgmm(k, directions_gram="orthonormal")
    return model, softmax_fixed_point(model), noiseless(derive_drift(model)).overlap


@settings(max_examples=8)
@given(
    st.sampled_from([2, 3, 4]).flatmap(
        lambda k: st.tuples(
            st.just(k),
            strategies.rational_parameters(
                orthonormal(k)[0], precision=1, least=1 / 9, ridge=(0.02, 0.5)
            ),
        )
    )
)
def test_implicit_form_at_50_digits(drawn):
    k, values = drawn
    model, point, drift = orthonormal(k)
    values = {p: values[p] for p in (*model.mixture.weights, BETA)}
    gaps = {
        s: gap_of(k, values[p], values[BETA])
        for s, p in zip(point.gaps, model.mixture.weights, strict=True)
    }
    where = values | dict(
        zip(model.symbols.overlap, (e.xreplace(gaps) for e in point.overlap), strict=True)
    )
    for residual in point.residuals:
        assert abs(evaluate(residual, values | gaps, {})) < 1e-45
    for e in drift:
        assert abs(evaluate(e.rewrite(sp.exp), where, {})) < 1e-45  # 50 digits, numbers of order 1


@settings(max_examples=8)
@given(
    k=st.sampled_from([2, 3, 5]), ridge=st.fractions("1/1000", 3), part=st.fractions("1/10", "1/2")
)
def test_implicit_form_solves_itself(k, ridge, part):
    """ImplicitFixedPoint.solve against the bisection of this file, weights and ridge as values."""
    model = kgmm(k, directions_gram="orthonormal")
    weights = [sp.Rational(part.numerator, part.denominator)] + [sp.Integer(0)] * (k - 1)
    weights = [(w + sp.Rational(1, k)) / (1 + sum(weights)) for w in weights]
    values = dict(zip(model.mixture.weights, weights, strict=True)) | {
        BETA: sp.Rational(str(ridge))
    }
    overlap = softmax_fixed_point(model).solve(values)
    for l, p in enumerate(weights):
        s = gap_of(k, p, values[BETA])
        column = [sp.Rational(k - 1, k) * s if a == l else -s / k for a in range(k)]
        # 30 digits, and a gap below 10
        assert all(abs(overlap[a, l] - column[a]) < 1e-28 for a in range(k))


@pytest.mark.parametrize("ridge", ["1/1000000", "1000"])
def test_implicit_form_solves_itself_at_extreme_ridges(ridge):
    model = kgmm(2, weights=["1/2", "1/2"], directions_gram="orthonormal", ridge=ridge)
    overlap = softmax_fixed_point(model).solve()
    assert abs(2 * overlap[0, 0] - gap_of(2, sp.Rational(1, 2), sp.Rational(ridge))) < 1e-28


def test_solving_the_implicit_form_names_missing_values():
    with pytest.raises(
        InputError, match=r"values: got no value for \['beta', 'p_1'\]; expected a number"
    ):
        softmax_fixed_point(kgmm(2, directions_gram="orthonormal")).solve()


@pytest.mark.slow
@pytest.mark.parametrize("ridge", [0, -1])
def test_solving_the_implicit_form_without_a_ridge_ends(ridge):
    """In a process of its own: the equation has no root, and a search must end."""
    code = (
        "from theory import *\n"
        "model = kgmm(2, weights=['1/2', '1/2'], directions_gram='orthonormal')\n"
        "point = softmax_fixed_point(model)\n"
        "try:\n"
        f"    point.solve({{symbols.RIDGE: {ridge}}})\n"
        "except InputError as error:\n"
        "    print(error)"
    )
    root = ROOT
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, timeout=20
    )
    assert run.stdout.startswith(f"ridge: got {ridge}; expected a number > 0"), run.stderr


def correlated(k):
    """Values of weights, Gamma and beta alone."""
    model = kgmm(k)
    kept = (*model.mixture.weights, *model.mixture.directions_gram, BETA)
    return strategies.rational_parameters(model, precision=1).map(
        lambda values: {s: values[s] for s in kept}
    )


@pytest.mark.parametrize("k", [2, 3])
@settings(max_examples=3)
@given(data=st.data())
def test_solved_point_has_zero_residual_for_correlated_means(k, data):
    model, values = kgmm(k), data.draw(correlated(k))
    found = solve_noiseless_fixed_point(model, values, digits=40)
    for e in noiseless(derive_drift(model)).overlap:
        # at 40 digits, condition number of the residual (1/beta <= 20) included
        assert abs(evaluate(e.rewrite(sp.exp), values | found, {})) < 1e-36


@pytest.mark.parametrize("k", [2, 3])
@settings(max_examples=3)
@given(data=st.data())
def test_raw_gradient_vanishes_at_the_solved_point(k, data):
    """In R^d: sum_l p_l (softmax(x^T mu_l) - hot_l) mu_l^T + beta x = 0, no derived formula."""
    model, values = kgmm(k), data.draw(correlated(k))
    found = solve_noiseless_fixed_point(model, values)
    gamma = np.array(model.mixture.directions_gram.xreplace(values).tolist(), float)
    m = np.array(model.symbols.overlap.xreplace(found).tolist(), float)
    frame = data.draw(strategies.frames(k, 20)).T
    means = frame @ np.linalg.cholesky(gamma).T
    x = means @ np.linalg.inv(gamma) @ m.T
    gradient = float(values[BETA]) * x
    for l in range(k):
        u = x.T @ means[:, l]
        pi = np.exp(u) / np.exp(u).sum()
        weight = float(values[model.mixture.weights[l]])
        gradient += weight * np.outer(means[:, l], pi - np.eye(k)[l])
    assert np.abs(gradient).max() < 1e-12  # double precision; Gamma has condition number below 3


@settings(max_examples=5)
@given(correlated(2), strategies.rational_parameters(kgmm(2), precision=1, scale=5))
def test_the_fixed_point_does_not_depend_on_the_start(values, elsewhere):
    """The noiseless risk is strictly convex for beta > 0: one fixed point from any start."""
    model = kgmm(2)
    reference = solve_noiseless_fixed_point(model, values)
    start = {s: elsewhere[s] for s in model.symbols.overlap}
    other = solve_noiseless_fixed_point(model, values, start)
    for s, v in reference.items():
        assert abs(other[s] - v) < 1e-26  # both at 30 digits


@pytest.mark.parametrize("k", [2, 3])
def test_solver_agrees_with_the_implicit_form(k):
    weights = [sp.Rational(n + 1, k * (k + 1) // 2) for n in range(k)]
    model = kgmm(k, weights=weights, directions_gram="orthonormal", ridge="1/20")
    found = solve_noiseless_fixed_point(model)
    point = softmax_fixed_point(model)
    gaps = {s: gap_of(k, p, sp.Rational(1, 20)) for s, p in zip(point.gaps, weights, strict=True)}
    for symbol, e in zip(model.symbols.overlap, point.overlap, strict=True):
        assert abs(evaluate(e, gaps, {}) - found[symbol]) < 1e-27  # found to 30 digits


@pytest.mark.slow
def test_readout_models_are_solved_too():
    """From the end of a short Euler curve to a fixed point that separates classes."""
    model, s = two_layer_model(), two_layer_model().symbols
    values = {p: sp.Rational(1, 4) for p in model.mixture.weights} | {BETA: sp.Rational(1, 50)}
    gamma = model.mixture.directions_gram
    values |= {gamma[i, j]: sp.Integer(int(i == j)) for i in range(3) for j in range(3)}
    unknowns = [*s.overlap, *s.readout]
    drift = noiseless(derive_drift(model))
    field = [e.xreplace(values).rewrite(sp.exp) for e in (*drift.overlap, *drift.readout)]
    function = sp.lambdify([unknowns], field, "math")
    x = np.array([-0.5, 0.3, 0.5, 0.4, -0.6, -0.2, 1.0, -1.0])
    for _ in range(4000):
        x = x + 0.05 * np.array(function(x))
    found = solve_noiseless_fixed_point(model, values, dict(zip(unknowns, x.tolist(), strict=True)))
    assert set(found) == set(unknowns)
    assert abs(found[s.readout[0]]) > 0.5
    for e in field:
        assert abs(evaluate(e, found, {})) < 1e-28  # solved to 30 digits


# --- refusals -------------------------------------------------------------------------------------


def test_implicit_form_needs_orthonormal_means():
    with pytest.raises(
        InputError, match=r"directions_gram: got .*; expected the identity. Remedy: use solve_"
    ):
        softmax_fixed_point(kgmm(2))
    with pytest.raises(InputError, match="directions_gram"):
        softmax_fixed_point(kgmm(2, directions_gram=[[1, "1/2"], ["1/2", 1]]))


def test_implicit_form_is_for_the_softmax_mixture_only():
    u = symbols.vector("u", 2)
    mixture = Mixture.build(labels=[1, 2], coordinates=sp.eye(2), directions_gram=sp.eye(2))
    square = Model.build(mixture, Loss((u[0] - u[1] - symbols.LABEL) ** 2, units=2))
    with pytest.raises(InputError, match="softmax"):
        softmax_fixed_point(square)
    flipped = Mixture.build(labels=[1, 2], coordinates=[[0, 1], [-1, 0]], directions_gram=sp.eye(2))
    with pytest.raises(InputError):
        softmax_fixed_point(Model.build(flipped, kgmm(2).loss))


def test_a_ridge_is_needed():
    for call in (softmax_fixed_point, solve_noiseless_fixed_point):
        with pytest.raises(
            InputError, match=r"ridge: got 0; expected a number > 0. Remedy: without a ridge"
        ):
            call(kgmm(2, ridge=0, directions_gram="orthonormal"))
    with pytest.raises(InputError, match=r"ridge"):
        solve_noiseless_fixed_point(kgmm(2, directions_gram="orthonormal"), {BETA: 0})


def test_missing_values_are_named():
    with pytest.raises(
        InputError, match=r"values: got no value for \['beta', 'p_1', 'p_2'\]; expected a number"
    ):
        solve_noiseless_fixed_point(kgmm(2, directions_gram="orthonormal"))


@pytest.mark.parametrize(
    ("bad", "parameter"),
    [
        ({BETA: -1}, "ridge"),
        ({indexed("p", 0, positive=True): 2}, "weights"),
        ({indexed("Gamma", 0, 1): 1}, "directions_gram"),
        ({BETA: float("nan")}, "beta"),
    ],
    ids=["negative ridge", "weights off the simplex", "dependent means", "nan"],
)
def test_values_out_of_their_domain_are_refused(bad, parameter):
    model = kgmm(2)
    good = {BETA: sp.Rational(1, 10)} | {p: sp.Rational(1, 2) for p in model.mixture.weights}
    good |= {indexed("Gamma", 0, 0): 1, indexed("Gamma", 0, 1): 0, indexed("Gamma", 1, 1): 1}
    with pytest.raises(InputError, match=parameter):
        solve_noiseless_fixed_point(model, {**good, **bad})


def test_what_is_no_model_has_no_fixed_point():
    with pytest.raises(InputError, match=r"model: got NoneType; expected an sa\.Model"):
        softmax_fixed_point(None)
