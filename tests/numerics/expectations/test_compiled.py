"""Compiled expressions against independent evaluations of the same SymPy objects."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest
import sympy as sp
from helpers import (
    evaluate,
    evaluate_array,
    evaluate_elementary,
    expectations_mp,
    fresh_rng,
    random_exact_values,
    two_layer_model,
)

from numerics import Parameters, State, compile_expressions
from numerics.expectations.compiled import CompiledExpressions
from numerics.expectations.quadrature import gauss_hermite
from theory import (
    GaussianExpectation,
    InputError,
    Loss,
    Mixture,
    Model,
    derive_diffusion,
    derive_drift,
    derive_gradient,
    derive_gradient_matrix,
    derive_hessian,
    kgmm,
    low_noise,
    noiseless,
    preactivation_law,
    symbols,
)
from theory.expectations.derived import find_expectations

EPS = np.finfo(float).eps


@lru_cache(maxsize=None)
def model_of(name):
    return two_layer_model() if name == "twolayer" else kgmm(int(name[-1]))


@lru_cache(maxsize=None)
def derived(name, what):
    model = model_of(name)
    return {
        "drift": lambda: derive_drift(model),
        "projection": lambda: derive_drift(model, "projection"),
        "gradient": lambda: derive_gradient(model),
        "hessian": lambda: derive_hessian(model),
        "gradient matrix": lambda: derive_gradient_matrix(model),
        "diffusion": lambda: derive_diffusion(model),
    }[what]()


def expressions_of(name, what):
    return tuple(derived(name, what).expressions())


def numbers_of(model, values):
    """Parameters and State with the numbers of a table of symbol values."""
    s, mixture = model.symbols, model.mixture

    def array(matrix):
        return np.array(sp.Matrix(matrix).xreplace(values).tolist(), dtype=float)

    parameters = Parameters(
        array(mixture.weights)[:, 0],
        float(values[symbols.PRECISION]),
        float(values[symbols.RIDGE]),
        float(values[symbols.STEP]),
        array(mixture.directions_gram),
    )
    readout = [float(values[v]) for v in s.readout]
    return parameters, State(array(s.overlap), array(s.gram_perp), readout)


def parts(state):
    return state.overlap, state.gram_perp, state.readout


# --- values ---------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("kgmm2", "drift"),
        ("kgmm2", "projection"),
        ("kgmm2", "gradient"),
        ("kgmm2", "hessian"),
        ("kgmm2", "gradient matrix"),
        ("kgmm2", "diffusion"),
        ("twolayer", "drift"),
        ("twolayer", "projection"),
        ("twolayer", "hessian"),
    ],
)
def test_values_equal_mpmath(name, what):
    """Random rational parameters, expectations by 24-point rules at 50 digits from the definition
    of the law.

    The reference errs by about exp(-2 pi sqrt(24 / (2 Q / lambda))) < 1e-13 for Q / lambda < 0.3;
    the double-precision sums by some eps times the sum of absolute terms, bounded through the size
    of the coefficients (1e3 here).
    """
    model, expressions = model_of(name), expressions_of(name, what)
    values = random_exact_values(model, fresh_rng(), precision=40)
    nodes = dict.fromkeys(n for e in expressions for n in find_expectations(e))
    table = expectations_mp(nodes, values, 24)
    right = np.array([float(evaluate(e, values, table)) for e in expressions])
    estimate = compile_expressions(model, expressions, "numpy").estimate(*numbers_of(model, values))
    assert estimate.values.shape == estimate.errors.shape == right.shape
    scale = 1 + np.abs(right).max()
    assert np.all(np.abs(estimate.values - right) <= estimate.errors + 1e4 * EPS * scale)
    assert estimate.errors.max() < 1e-9 * scale


@pytest.mark.slow
@pytest.mark.parametrize("what", ["drift", "projection", "hessian"])
def test_values_equal_full_dimensional_quadrature(what):
    """Three classes: the gauge leaves 2 dimensions; the reference integrates over all 3
    pre-activations.
    """
    model, expressions = model_of("kgmm3"), expressions_of("kgmm3", what)
    values = random_exact_values(model, fresh_rng(), precision=20)
    right = evaluate_array(expressions, values, 30)[:, 0]
    compiled = compile_expressions(model, expressions)
    assert compiled.dimension == (3 if what == "projection" else 2)
    estimate = compiled.estimate(*numbers_of(model, values))
    assert np.all(np.abs(estimate.values - right) <= estimate.errors + 1e-11)


@pytest.mark.slow
@pytest.mark.parametrize("what", ["drift", "hessian", "gradient matrix"])
def test_both_targets_agree(what):
    model, expressions = model_of("kgmm3"), expressions_of("kgmm3", what)
    values = random_exact_values(model, fresh_rng(), precision=5)
    parameters, state = numbers_of(model, values)
    rule = gauss_hermite(2, 19)
    results = [
        compile_expressions(model, expressions, target).evaluate(parameters, *parts(state), rule)
        for target in ("numba", "numpy")
    ]
    assert np.abs(results[0] - results[1]).max() <= 1e-13 * (1 + np.abs(results[0]).max())


def test_chunks_change_nothing(monkeypatch):
    model, expressions = model_of("kgmm3"), expressions_of("kgmm3", "drift")
    compiled = CompiledExpressions(model, expressions, "numpy")
    parameters, state = numbers_of(model, random_exact_values(model, fresh_rng(), precision=5))
    whole = compiled.evaluate(parameters, *parts(state), gauss_hermite(2, 13))
    monkeypatch.setattr(
        "numerics.expectations.smooth_integrands.CHUNK_ENTRIES", 10 * len(compiled.integrands)
    )
    chunked = compiled.evaluate(parameters, *parts(state), gauss_hermite(2, 13))
    assert np.abs(whole - chunked).max() <= 1e-13 * (1 + np.abs(whole).max())


def test_gauge_reduction_equals_the_rule_in_all_dimensions():
    """The same loss with the gauge left undeclared is integrated over all its pre-activations."""
    model = kgmm(3)
    blind = Model.build(model.mixture, Loss(model.loss.expression, units=3), name="blind")
    reduced = compile_expressions(model, derive_drift(model).vector)
    full = compile_expressions(blind, derive_drift(blind).vector)
    assert (reduced.dimension, full.dimension) == (2, 3)
    parameters, state = numbers_of(model, random_exact_values(model, fresh_rng(), precision=20))
    one, other = reduced.estimate(parameters, state), full.estimate(parameters, state)
    assert np.all(np.abs(one.values - other.values) <= one.errors + other.errors + 1e-13)


def test_the_gauge_is_not_used_where_an_integrand_does_not_respect_it():
    model = kgmm(2)
    law = preactivation_law(model, 0)
    node = GaussianExpectation(law.variables[0] ** 2, law)
    compiled = compile_expressions(model, (node,))
    assert compiled.dimension == 2
    values = random_exact_values(model, fresh_rng(), precision=5)
    parameters, state = numbers_of(model, values)
    right = state.overlap[0, 0] ** 2 + state.gram(parameters.directions_gram)[0, 0] / 5
    assert abs(compiled.estimate(parameters, state).values[0] - right) < 1e-13 * (1 + right)


# --- degenerate states ----------------------------------------------------------------------------


@pytest.mark.parametrize("route", ["drift", "projection"])
def test_weights_inside_the_span_of_the_directions(route):
    """R_perp = 0 and one x^a = 0: Q is singular, and the drift is the limit of regular states."""
    model, rng = kgmm(3), fresh_rng()
    compiled = compile_expressions(model, tuple(derived("kgmm3", route).vector))
    overlap = rng.uniform(-0.6, 0.6, (3, 3))
    overlap[2] = 0.0
    parameters = Parameters([0.5, 0.3, 0.2], 10, 0.1, 1.0)
    singular = compiled.estimate(parameters, State(overlap, np.zeros((3, 3))))
    assert np.all(np.isfinite(singular.values))
    differences = []
    for size in (1e-4, 1e-5):
        near = compiled.estimate(parameters, State(overlap, size * np.eye(3)))
        differences.append(np.abs(near.values - singular.values).max())
    assert differences[0] < 1e-2
    assert differences[1] < 0.2 * differences[0]


def test_all_weights_zero():
    """Q = 0: every class has probability 1/3, the drift of m_as is (1{a=s} - 1/3) p_s and R_perp
    only diffuses.
    """
    model = kgmm(3)
    compiled = compile_expressions(model, derive_drift(model).vector)
    p, lam, step = np.array([0.5, 0.3, 0.2]), 10.0, 2.0
    values = compiled.estimate(
        Parameters(p, lam, 0.1, step), State(np.zeros((3, 3)), np.zeros((3, 3)))
    ).values
    assert np.abs(values[:9] - ((np.eye(3) - 1 / 3) * p).ravel()).max() < 1e-15
    g = 1 / 3 - np.eye(3)
    corrector = step / lam * np.einsum("l,al,bl->ab", p, g, g)
    assert np.abs(values[9:] - corrector[np.triu_indices(3)]).max() < 1e-15


# --- expressions without expectations -------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "order"), [("kgmm3", 0), ("kgmm3", 1), ("kgmm2", 2), ("twolayer", 0), ("twolayer", 1)]
)
def test_limits_compile_and_equal_sympy(name, order):
    model = model_of(name)
    drift = derived(name, "drift")
    limit = (noiseless(drift) if order == 0 else low_noise(drift, order)).vector
    values = random_exact_values(model, fresh_rng(), precision=30)
    compiled = compile_expressions(model, tuple(limit), "numpy")
    assert compiled.integrands == ()
    estimate = compiled.estimate(*numbers_of(model, values))
    right = np.array([float(x) for x in evaluate_elementary(limit, values)])
    assert np.abs(estimate.values - right).max() <= 1e-12 * (1 + np.abs(right).max())
    assert np.array_equal(estimate.errors, np.zeros(len(limit)))


def test_products_and_powers_of_expectations():
    """Variances and squares of sums of expectations are polynomials in the moments as well."""
    model = kgmm(2)
    a, b = (
        GaussianExpectation(model.loss.partial((0,)), preactivation_law(model, l)) for l in range(2)
    )
    lam, m = symbols.PRECISION, model.symbols.overlap[0, 1]
    expressions = (
        a * b,
        a**2 / lam**2,
        (a + m) * (b - 2 / lam),
        (a + m * b) ** 2,
        sp.exp(-m) * a,
        sp.Integer(3),
        a / m,
    )
    rng = fresh_rng()
    values = random_exact_values(model, rng, precision=20)
    while values[m] == 0:  # one expression divides by it
        values = random_exact_values(model, rng, precision=20)
    right = evaluate_array(expressions, values, 40)[:, 0]
    for target in ("numba", "numpy"):
        got = (
            compile_expressions(model, expressions, target)
            .estimate(*numbers_of(model, values))
            .values
        )
        assert np.abs(got - right).max() <= 1e-12 * (1 + np.abs(right).max())


def test_covariance_of_the_diffusion_compiles():
    diffusion = derived("kgmm2", "diffusion")
    model = model_of("kgmm2")
    parameters, state = numbers_of(model, random_exact_values(model, fresh_rng(), precision=20))

    def value(matrix):
        flat = compile_expressions(model, tuple(matrix), "numpy").estimate(parameters, state).values
        return flat.reshape(matrix.shape)

    mean = value(diffusion.mean)
    assert (
        np.abs(value(diffusion.covariance) - value(diffusion.second_moment) + mean @ mean.T).max()
        < 1e-12
    )


# --- refusals and caching -------------------------------------------------------------------------


def test_unknown_symbols_are_refused_by_name():
    model, stranger = kgmm(2), sp.Symbol("stranger")
    law = preactivation_law(model, 0)
    for expression in (
        stranger,
        sp.exp(stranger),
        GaussianExpectation(stranger * law.variables[0], law),
    ):
        with pytest.raises(InputError, match="stranger"):
            compile_expressions(model, (expression,))


def test_wrong_shapes_are_refused():
    compiled = compile_expressions(kgmm(2), derive_drift(kgmm(2)).vector)
    good = Parameters([0.5, 0.5], 1, 0, 1)
    with pytest.raises(InputError, match=r"state\.overlap.*\(3, 3\)"):
        compiled.estimate(good, State(np.zeros((3, 3)), np.eye(3)))
    with pytest.raises(InputError, match="weights"):
        compiled.estimate(Parameters([1.0], 1, 0, 1), State(np.zeros((2, 2)), np.eye(2)))


def test_compilation_is_cached_and_its_source_printable():
    model = kgmm(2)
    vector = derive_drift(model).vector
    first = compile_expressions(model, vector)
    assert compile_expressions(kgmm(2), derive_drift(kgmm(2)).vector) is first
    assert "def features(y, v, rows):" in first.source
    compile(first.source, "generated", "exec")


def test_the_spread_of_fields_is_the_largest_standard_deviation_of_the_differences():
    """Two classes: the quadrature axis is (u_1 - u_2) / sqrt 2, of variance (Q_11 - 2 Q_12 + Q_22)
    / (2 lambda).
    """
    compiled = compile_expressions(kgmm(2), derive_drift(kgmm(2)).vector)
    state = State(np.zeros((2, 2)), [[3.0, 1.0], [1.0, 2.0]])
    scale = compiled.spread(Parameters([0.5, 0.5], 6.0, 0, 1), state.overlap, state.gram_perp)
    assert abs(scale - np.sqrt(3 / 6 / 2)) < 1e-14


def test_symbols_that_the_model_fixes_to_numbers():
    mixture = Mixture.build(
        weights=["1/2", "1/2"], labels=[1, 2], coordinates=[[1, 0], [0, 1]], precision=4
    )
    fixed = Model.build(mixture, kgmm(2).loss, ridge="1/10", step=2, name="fixed")
    parameters, state = (
        Parameters([0.5, 0.5], 4, 0.1, 2),
        State([[0.3, 0.1], [-0.2, 0.4]], 0.5 * np.eye(2)),
    )
    one = compile_expressions(fixed, derive_drift(fixed).vector).estimate(parameters, state)
    other = compile_expressions(kgmm(2), derive_drift(kgmm(2)).vector).estimate(parameters, state)
    assert np.abs(one.values - other.values).max() < 1e-14


def test_what_is_remembered_of_a_gram_matrix_goes_by_its_numbers():
    """Another matrix in the same array is another one."""
    model = kgmm(2)
    compiled = compile_expressions(model, derive_drift(model).vector, "numpy")
    state = State(np.ones((2, 2)), np.eye(2))
    parameters = Parameters([0.5, 0.5], 1.0, 0.1, 1.0, np.eye(2))
    before = compiled.estimate(parameters, state).values
    parameters.directions_gram[:] = [[1.0, 0.5], [0.5, 1.0]]
    changed = compiled.estimate(parameters, state).values
    fresh = Parameters([0.5, 0.5], 1.0, 0.1, 1.0, [[1.0, 0.5], [0.5, 1.0]])
    assert changed.tolist() == compiled.estimate(fresh, state).values.tolist()
    assert np.abs(changed - before).max() > 0.1
