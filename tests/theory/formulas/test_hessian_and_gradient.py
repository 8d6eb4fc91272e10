"""Population gradient, Hessian and G-matrix: two routes, derivatives of the risk."""

from __future__ import annotations

import subprocess
import sys
from functools import lru_cache
from itertools import combinations_with_replacement, product

import numpy as np
import pytest
import sympy as sp
from helpers import (
    ROOT,
    evaluate,
    expectations_mp,
    fresh_rng,
    linearise,
    numbers_at,
    random_exact_values,
    route_difference_mp,
    route_values,
    two_layer_model,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from processor import is_within
from witness import as_array, case

from theory import (
    GaussianExpectation,
    InputError,
    derive_gradient,
    derive_gradient_matrix,
    derive_hessian,
    integrate_by_parts,
    kgmm,
    preactivation_law,
)
from theory.expectations.derived import find_expectations
from verify import strategies

NAMES = ["kgmm2", "kgmm3", "twolayer"]
ROUTES = ["stein", "projection"]


def regularized_gradient_matrix(model, route):
    return derive_gradient_matrix(model, route, regularized=True)


DERIVE = [derive_gradient, derive_hessian, derive_gradient_matrix, regularized_gradient_matrix]


# --- two routes -----------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("derive", DERIVE, ids=lambda f: f.__name__)
@pytest.mark.parametrize(
    "name", ["kgmm2", "kgmm3", pytest.param("twolayer", marks=pytest.mark.slow)]
)
def test_routes_agree_symbolically(name, derive):
    model, _ = case(name)
    for a, b in zip(
        derive(model, "stein").expressions(), derive(model, "projection").expressions(), strict=True
    ):
        assert linearise(a - integrate_by_parts(b)) == 0


@pytest.mark.parametrize(
    ("name", "derive"),
    [("kgmm2", f) for f in DERIVE]
    + [("kgmm3", f) for f in DERIVE[:2]]
    + [pytest.param("kgmm3", f, marks=pytest.mark.slow) for f in DERIVE[2:]],
    ids=lambda x: getattr(x, "__name__", x),
)
@settings(max_examples=2)
@given(data=st.data())
def test_routes_agree_at_50_digits(name, derive, data):
    model, _ = case(name)
    difference, scale = route_difference_mp(derive, model, data.draw(route_values(model)))
    assert difference < 1e-12 * scale


# --- derivatives of the risk ----------------------------------------------------------------------


def risk(model):
    s = model.symbols
    losses = (
        p * GaussianExpectation(model.loss.expression, preactivation_law(model, l))
        for l, p in enumerate(model.mixture.weights)
    )
    return sp.Add(*losses, model.ridge / 2 * (s.gram.trace() + sum(x**2 for x in s.readout)))


@pytest.mark.parametrize("name", NAMES)
def test_gradient_is_the_derivative_of_the_risk(name):
    """grad_{x^a} F(m, Q) = sum_s dF/dm_as e_s + sum_b (1 + delta_ab) dF/dQ_ab x^b."""
    model, _ = case(name)
    s, total = model.symbols, risk(model)
    gradient = derive_gradient(model)
    for a in range(model.units):
        for i in range(model.directions):
            assert linearise(gradient.first_layer[a, i] - total.diff(s.overlap[a, i])) == 0
        for b in range(model.units):
            double = 2 if a == b else 1
            entry = gradient.first_layer[a, model.directions + b]
            assert linearise(entry - double * total.diff(s.gram[a, b])) == 0
    for i, v in enumerate(s.readout):
        assert linearise(gradient.readout[i] - total.diff(v)) == 0


@pytest.mark.slow
@pytest.mark.parametrize("name", ["kgmm2", pytest.param("twolayer", marks=pytest.mark.slow)])
def test_hessian_is_the_second_derivative_of_the_risk(name):
    """d2/de df F(x^a + e t, x^b + f t') for t, t' in {e_s, x^c, n}, n orthogonal to the others.

    Moving x^a moves m_a. and Q_a. polynomially; the heat equation does the rest: the risk is
    differentiated once with respect to every statistic.  No Hessian formula enters.
    """
    model, _ = case(name)
    values = random_exact_values(model, fresh_rng(), precision=40)
    s, units, r = model.symbols, range(model.units), model.directions
    m, gamma = s.overlap.xreplace(values), model.mixture.directions_gram.xreplace(values)
    # Gram matrix of e_1..e_r, x^1..x^C, n
    w = sp.diag(sp.Matrix(sp.BlockMatrix([[gamma, m.T], [m, s.gram.xreplace(values)]])), 1)
    total = risk(model).xreplace({p: values[p] for p in model.mixture.weights})
    grams = [s.gram[c, d] for c in units for d in range(c, model.units)]
    first = {x: total.diff(x) for x in (*s.overlap, *grams)}
    second = {(x, y): first[x].diff(y) for x, y in combinations_with_replacement(first, 2)}
    steps = sp.symbols("epsilon_1 epsilon_2", real=True)
    origin = dict.fromkeys(steps, sp.Integer(0))

    def moved(moves):
        """The statistics after x^a += epsilon t; a vector is a list of (coefficient, index in
        w).
        """
        vectors = [[(sp.Integer(1), r + c)] for c in units]
        for epsilon, (a, t) in zip(steps, moves, strict=False):
            vectors[a].append((epsilon, t))

        def dot(p, q):
            return sp.expand(sum(x * y * w[g, h] for (x, g), (y, h) in product(p, q)))

        found = {s.overlap[c, k]: dot(vectors[c], [(1, k)]) for c in units for k in range(r)}
        return found | {
            s.gram[c, d]: dot(vectors[c], vectors[d]) for c in units for d in range(c, model.units)
        }

    def slopes(statistics, *by):
        """Derivatives of moved statistics at the start, those that are not 0."""
        found = {x: e.diff(*by).xreplace(origin) for x, e in statistics.items()}
        return {x: d for x, d in found.items() if d}

    def second_of_risk(statistics):
        """The chain rule, with two steps."""
        one, other = (slopes(statistics, step) for step in steps)
        bent = (first[x] * d for x, d in slopes(statistics, *steps).items())
        pairs = product(one.items(), other.items())
        return sp.Add(*bent, *(second_at(x, y) * d * e for (x, d), (y, e) in pairs))

    def second_at(x, y):
        return second[x, y] if (x, y) in second else second[y, x]

    hessian = derive_hessian(model)
    span, tests = w[:, : r + model.units], [r - 1, r, r + 1, r + model.units]
    pairs = []
    for (a, b), i, j in product(hessian.first_layer, tests, tests):
        if a == b and j < i:
            continue  # equal to (j, i)
        block = hessian.block(a, b)
        pairs.append(
            (
                second_of_risk(moved([(a, i), (b, j)])),
                (span[i, :] * block.coefficients * span[j, :].T)[0] + block.bulk * w[i, j],
            )
        )
    for (row, (a, v)), i in product(enumerate(product(units, s.readout)), tests):
        mixed = (first[x].diff(v) * d for x, d in slopes(moved([(a, i)]), steps[0]).items())
        pairs.append((sp.Add(*mixed), (hessian.mixed[row, :] * span[i, :].T)[0]))
    for (i, v), (j, other) in product(enumerate(s.readout), repeat=2):
        pairs.append((total.diff(v).diff(other), hessian.readout[i, j]))
    # both sides are the same quadrature of the same polynomial in derivatives of the loss: rounding
    # is left
    table = expectations_mp(
        [n for pair in pairs for x in pair for n in find_expectations(x)], values, 4
    )
    for second, predicted in pairs:
        assert abs(evaluate(second - predicted, values, table)) < 1e-40


# --- structure ------------------------------------------------------------------------------------


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("name", NAMES)
def test_diagonal_blocks_and_readout_are_symmetric(name, route):
    model, _ = case(name)
    for blocks in (derive_hessian(model, route), regularized_gradient_matrix(model, route)):
        for a in range(model.units):
            assert linearise_matrix(
                blocks.block(a, a).coefficients - blocks.block(a, a).coefficients.T
            ).is_zero_matrix
        assert linearise_matrix(blocks.readout - blocks.readout.T).is_zero_matrix
        if (
            blocks.kind == "hessian"
        ):  # H_ab is a scalar weight: off-diagonal coefficient matrices too
            assert all(b.coefficients.is_symmetric() for b in blocks.first_layer.values())


def linearise_matrix(matrix):
    return sp.Matrix(matrix).applyfunc(linearise)


@pytest.mark.slow
@settings(max_examples=8)
@given(
    st.sampled_from([2, 3]).flatmap(
        lambda k: st.tuples(st.just(k), strategies.rational_parameters(kgmm(k), precision=40))
    )
)
def test_softmax_gauge_of_the_hessian(drawn):
    """sum_b H_ab = 0: the blocks of a row of the regularized Hessian sum to beta I."""
    k, values = drawn
    model = kgmm(k)
    hessian = derive_hessian(model)
    table = expectations_mp(
        hessian.expectations(), values, 3
    )  # an identity of integrands: any nodes do
    for a in range(k):
        row = [hessian.block(a, b) for b in range(k)]
        coefficients = sum((b.coefficients for b in row), sp.zeros(2 * k, 2 * k))
        bulk = sum(b.bulk for b in row)
        assert all(abs(evaluate(x, values, table)) < 1e-45 for x in coefficients)
        assert abs(evaluate(bulk, values, table) - values[model.ridge]) < 1e-45


@pytest.mark.parametrize("regularized", [True, False])
@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=5)
@given(data=st.data())
def test_gradient_matrix_is_positive_semidefinite(name, regularized, data):
    """On T = [e, x, n], n orthogonal to the others: the whole matrix with readout blocks.

    It is a mean of squares, so it is positive semidefinite under any rule of positive weights: few
    nodes do.
    """
    model, _ = case(name)
    values = data.draw(strategies.rational_parameters(model))
    blocks = numbers_at(gradient_matrix_of(name, regularized), values, 8)
    s, r, c, q = model.symbols, model.directions, model.units, model.readout_size
    m, gamma, gram = (
        as_array(x.xreplace(values)) for x in (s.overlap, model.mixture.directions_gram, s.gram)
    )
    inner = np.eye(r + c + 1)
    inner[: r + c, : r + c] = np.block([[gamma, m.T], [m, gram]])
    left = inner[:, : r + c]
    full = [[None] * c for _ in range(c)]
    for a, b in product(range(c), range(c)):
        block = blocks.block(a, b)
        full[a][b] = left @ as_array(block.coefficients) @ left.T + float(block.bulk) * inner
    matrix = np.block(full)
    if q:
        mixed = (
            (as_array(blocks.mixed) @ left.T).reshape(c, q, -1).transpose(0, 2, 1).reshape(-1, q)
        )
        matrix = np.block([[matrix, mixed], [mixed.T, as_array(blocks.readout)]])
    rounding = 1e-11 * (1 + np.abs(matrix).max())
    assert np.abs(matrix - matrix.T).max() < rounding
    assert np.linalg.eigvalsh(matrix).min() > -rounding


@lru_cache(maxsize=None)
def gradient_matrix_of(name, regularized):
    return derive_gradient_matrix(case(name)[0], "projection", regularized=regularized)


def test_ridge_enters_the_hessian_only_on_the_diagonal():
    for model in (kgmm(3), two_layer_model()):
        with_ridge, without = derive_hessian(model), derive_hessian(model, regularized=False)
        beta = model.ridge
        for (a, b), block in with_ridge.first_layer.items():
            assert block.coefficients == without.first_layer[a, b].coefficients
            assert sp.expand(block.bulk - without.first_layer[a, b].bulk) == (beta if a == b else 0)
        assert with_ridge.mixed == without.mixed
        assert (with_ridge.readout - without.readout).expand() == beta * sp.eye(model.readout_size)


def test_lower_blocks_are_transposes():
    blocks = regularized_gradient_matrix(kgmm(2), "stein")
    assert blocks.block(1, 0).coefficients == blocks.block(0, 1).coefficients.T
    assert (
        blocks.block(1, 0).coefficients != blocks.block(0, 1).coefficients
    )  # regularized: not symmetric
    assert blocks.block(1, 0).bulk == blocks.block(0, 1).bulk
    assert not any(e.has(kgmm(2).ridge) for e in derive_gradient_matrix(kgmm(2)).expressions())


@pytest.mark.parametrize("pair", [(0, 2), (-1, 0), (2, 2), (1, "x"), (None, 0), (0.0, 1)])
def test_block_out_of_range_is_refused(pair):
    with pytest.raises(
        InputError,
        match=r"block: got \(.*\); expected two units in 0..1. Remedy: count units from 0",
    ):
        derive_hessian(kgmm(2)).block(*pair)


# --- derivation time ------------------------------------------------------------------------------


@pytest.mark.parametrize(("k", "limit"), [(3, 2.0), pytest.param(10, 15.0, marks=pytest.mark.slow)])
def test_cold_derivation_time(k, limit):
    """Drift, Hessian and G blocks in a fresh process, imports included.

    Processor time, not wall-clock time: the derivation is serial, and other work on the machine
    must not count.
    """
    code = (
        "import time\n"
        "from theory import *\n"
        f"m = kgmm({k})\n"
        "derive_drift(m); derive_hessian(m); derive_gradient_matrix(m)\n"
        "print(time.process_time())"
    )
    run = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=20 * limit,
    )
    assert is_within(float(run.stdout), limit)
