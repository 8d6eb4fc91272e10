"""Effective dynamics: two routes, a d-dimensional witness, the risk it descends."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import mutants
import numpy as np
import pytest
import sympy as sp
from helpers import (
    evaluate,
    expectations_mp,
    expectations_np,
    fresh_rng,
    linearise,
    numbers_at,
    route_difference_mp,
    route_values,
    two_layer_model,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from witness import Accumulator, as_array, case, draw, geometry, increments, numbers, verdict

from theory import (
    GaussianExpectation,
    Softmax,
    derive_diffusion,
    derive_drift,
    integrate_by_parts,
    kgmm,
    preactivation_law,
)
from theory.expectations.derived import find_expectations
from theory.symbols import STEP
from verify import strategies

NAMES = ["kgmm2", "kgmm3", "twolayer"]
SIZE = 60_000  # samples; standard errors about 2e-3


def state_vector(drift) -> np.ndarray:
    return np.array(drift.vector, float)


# --- two routes -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_drift_routes_agree_symbolically(name):
    model, _ = case(name)
    stein, projection = derive_drift(model, "stein"), derive_drift(model, "projection")
    for a, b in zip(stein.expressions(), projection.expressions(), strict=True):
        assert linearise(a - integrate_by_parts(b)) == 0


@pytest.mark.slow
def test_diffusion_routes_agree_symbolically():
    """Of two classes; those of three, whose expressions are large, at fifty digits below."""
    model, _ = case("kgmm2")
    stein, projection = derive_diffusion(model, "stein"), derive_diffusion(model, "projection")
    for a, b in zip(stein.expressions(), projection.expressions(), strict=True):
        assert linearise(a - integrate_by_parts(b)) == 0


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=2)
@given(data=st.data())
def test_drift_routes_agree_at_50_digits(name, data):
    model, _ = case(name)
    difference, scale = route_difference_mp(derive_drift, model, data.draw(route_values(model)))
    assert difference < 1e-12 * scale


@pytest.mark.slow
@pytest.mark.parametrize("name", ["kgmm2", pytest.param("kgmm3", marks=pytest.mark.slow)])
@settings(max_examples=2)
@given(data=st.data())
def test_diffusion_routes_agree_at_50_digits(name, data):
    model, _ = case(name)
    difference, scale = route_difference_mp(derive_diffusion, model, data.draw(route_values(model)))
    assert difference < 1e-12 * scale


# --- brute-force witness --------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [True, False], ids=["limit", "real-step"])
@pytest.mark.parametrize("route", ["stein", "projection"])
@pytest.mark.parametrize("name", NAMES)
def test_drift_is_the_mean_increment_of_sgd(name, route, limit):
    rng = fresh_rng()
    model, raw = case(name)
    geo = geometry(model, rng, dimension=30, jitter=0.3)
    sampled = increments(geo, raw, limit=limit)
    (result,) = verdict(
        derive_drift(model, route), geo, rng, sampled=sampled, predicted=state_vector, size=SIZE
    )
    assert result.holds, result


@pytest.mark.parametrize("name", NAMES)
def test_drift_witness_refutes_the_mutants(name):
    """Each mutant is off by at least 20 standard errors, the threshold is below 6."""
    rng = fresh_rng()
    model, raw = case(name)
    geo = geometry(model, rng)
    drift = derive_drift(model)
    wrong = {
        "corrector dropped": drift.without_corrector(),
        "1/lambda of the overlap dropped": mutants.overlap_without_inverse_precision(drift),
        "1/lambda of R_perp dropped": mutants.noise_without_inverse_precision(drift),
        "ridge flipped": mutants.ridge_flipped(drift),
        "weights ignored": mutants.weights_ignored(drift),
    }
    if model.units == model.directions:
        wrong["overlap transposed"] = mutants.transposed_overlap(drift)
    right, *rest = verdict(
        drift,
        geo,
        rng,
        sampled=increments(geo, raw, limit=False),
        predicted=state_vector,
        size=SIZE,
        mutants=wrong.values(),
    )
    assert right.holds, right
    survivors = {k: v for k, v in zip(wrong, rest, strict=True) if v.holds}
    assert survivors == {}
    assert (
        min(v.largest for v in rest) > 2 * right.threshold
    )  # so that refutation holds for any seed


def diffusion_verdicts(diffusions, geo, raw, rng):
    """Mean and covariance of one increment against derived diffusions."""
    found = [numbers(d, geo) for d in diffusions]
    means = [as_array(f.mean).ravel() for f in found]
    upper = np.triu_indices(len(means[0]))
    covariances = [as_array(f.covariance)[upper] for f in found]
    step = increments(replace(geo, ridge=0.0), raw, limit=True)
    first, products = Accumulator(), Accumulator()
    for _ in range(SIZE // 20_000):
        g = -step(*draw(geo, rng, 20_000))
        first.add(g)
        g = g - means[0]
        products.add(g[:, upper[0]] * g[:, upper[1]])
    return [
        (first.compare(m), products.compare(c)) for m, c in zip(means, covariances, strict=True)
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "route"),
    [(name, route) for name in ("kgmm2", "twolayer") for route in ("stein", "projection")]
    + [("kgmm3", "projection"), pytest.param("kgmm3", "stein", marks=pytest.mark.slow)],
)
def test_diffusion_is_the_covariance_of_the_increment(name, route):
    rng = fresh_rng()
    model, raw = case(name)
    geo = geometry(model, rng, dimension=30, jitter=0.3)
    ((mean, covariance),) = diffusion_verdicts([derive_diffusion(model, route)], geo, raw, rng)
    assert mean.holds, mean
    assert covariance.holds, covariance


@pytest.mark.slow
@pytest.mark.parametrize("name", ["kgmm2", pytest.param("twolayer", marks=pytest.mark.slow)])
def test_diffusion_witness_refutes_the_mutants(name):
    """Mutants: corrector, 1/lambda, weights or mean forgotten."""
    rng = fresh_rng()
    model, raw = case(name)
    geo = geometry(model, rng)
    diffusion = derive_diffusion(model)
    no_corrector = diffusion.map(lambda e: e.xreplace({STEP: sp.Integer(0)}))
    wrong = [
        replace(no_corrector, mean=diffusion.mean),
        replace(
            diffusion, second_moment=mutants.without_inverse_precision(diffusion).second_moment
        ),
        replace(diffusion, second_moment=mutants.weights_ignored(diffusion).second_moment),
        replace(diffusion, mean=0 * diffusion.mean),
    ]
    (_, right), *rest = diffusion_verdicts([diffusion, *wrong], geo, raw, rng)
    assert right.holds, right
    assert [v.holds for _, v in rest] == [False] * len(wrong)
    assert min(v.largest for _, v in rest) > 2 * right.threshold


# --- what the drift descends, and its symmetries --------------------------------------------------


@lru_cache(maxsize=None)
def flow_and_drift(name):
    """Pairs: the gradient flow of F in the symbols of the state, the drift."""
    model, _ = case(name)
    s, beta = model.symbols, model.ridge
    risk = sp.Add(
        *(
            p * GaussianExpectation(model.loss.expression, preactivation_law(model, l))
            for l, p in enumerate(model.mixture.weights)
        ),
        beta / 2 * (s.gram.trace() + sum(x**2 for x in s.readout)),
    ).xreplace(model.gram_definition())
    in_m, in_r = s.overlap.applyfunc(risk.diff), s.gram_perp.applyfunc(risk.diff)
    in_r = in_r + sp.diag(*in_r.diagonal())
    flow_m = -in_m * model.mixture.directions_gram
    flow_r = -(in_r * s.gram_perp + s.gram_perp * in_r)
    flow_v = sp.Matrix([-risk.diff(x) for x in s.readout])
    drift = derive_drift(model).without_corrector()
    pairs = [*zip(flow_m, drift.overlap, strict=True), *zip(flow_r, drift.gram_perp, strict=True)]
    pairs += zip(flow_v, drift.readout, strict=True)
    return tuple(pairs)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=3)
@given(data=st.data())
def test_drift_without_corrector_is_the_gradient_flow_of_the_risk(name, data):
    """F(m, R, v) = E[loss] + beta/2 (tr Q + |v|^2), differentiated by the heat equation.

    With R symmetric and its upper triangle as variables: dm/dt = -(dF/dm) Gamma,
    dR_ab/dt = -sum_c (1 + delta_ac) dF/dR_ac R_cb - (a <-> b), dv/dt = -dF/dv.
    """
    # nodes of the flow carry R + m Gamma^-1 m^T in their law, nodes of the drift Q: same numbers.
    # Both sides are the same quadrature of the same integrands, so few nodes suffice: what is left
    # is rounding at 50 digits.
    pairs, values = (
        flow_and_drift(name),
        data.draw(strategies.rational_parameters(case(name)[0], precision=40)),
    )
    table = expectations_mp(
        [n for pair in pairs for e in pair for n in find_expectations(e)], values, 4
    )
    for a, b in pairs:
        assert abs(evaluate(a - b, values, table)) < 1e-40


@pytest.mark.slow
@settings(max_examples=10)
@given(
    values=strategies.rational_parameters(kgmm(3), precision=40), order=st.permutations(range(3))
)
def test_relabelling_the_classes_permutes_the_drift(values, order):
    model = kgmm(3)
    s, gamma, p = model.symbols, model.mixture.directions_gram, model.mixture.weights
    renamed = dict(values) | {p[a]: values[p[order[a]]] for a in range(3)}
    for names in (s.overlap, s.gram_perp, s.gram, s.gram_inverse, gamma):
        renamed |= {
            names[a, b]: values[names[order[a], order[b]]] for a in range(3) for b in range(3)
        }
    drift = derive_drift(model, "projection")
    left, right = (
        drift.map(lambda e, v=v, t=t: evaluate(e, v, t))
        for v, t in ((v, expectations_np(drift.expectations(), v, 12)) for v in (values, renamed))
    )
    for part in ("overlap", "gram_perp", "corrector"):
        for a in range(3):
            for b in range(3):
                gap = getattr(right, part)[a, b] - getattr(left, part)[order[a], order[b]]
                assert (
                    abs(gap) < 1e-9
                )  # a tensor rule is not symmetric under relabelling: its error at 12 nodes


@pytest.mark.parametrize("k", [2, 3, 4])
def test_softmax_gauge_of_the_drift(k):
    """sum_a g_a = 0: the sum of the x^a only decays, d/dt sum_a m_as = -beta sum_a m_as."""
    model = kgmm(k)
    drift = derive_drift(model, "projection")
    for s in range(k):
        total = sum(
            drift.overlap[a, s] + model.ridge * model.symbols.overlap[a, s] for a in range(k)
        )
        assert probabilities_sum_to_one(total, k) == 0
    total = sum(drift.corrector)
    assert probabilities_sum_to_one(total, k) == 0


def probabilities_sum_to_one(expression, k):
    """Eliminate softmax_k = 1 - sum of the others, then normalise."""
    u = kgmm(k).symbols.preactivation
    last = {Softmax(k, *u): 1 - sum(Softmax(a, *u) for a in range(1, k))}
    return linearise(
        expression.replace(
            lambda e: isinstance(e, GaussianExpectation),
            lambda e: GaussianExpectation(e.integrand.xreplace(last), e.law),
        )
    )


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=8)
@given(data=st.data())
def test_corrector_is_positive_semidefinite(name, data):
    """A mean of squares, so it is one under any rule of positive weights: few nodes do."""
    model, _ = case(name)
    corrector = as_array(
        numbers_at(
            corrector_of(name), data.draw(strategies.rational_parameters(model)), 12
        ).corrector
    )
    assert np.array_equal(corrector, corrector.T)
    # the softmax corrector has the exact null vector (1, ..., 1)
    assert np.linalg.eigvalsh(corrector).min() > -1e-12


@lru_cache(maxsize=None)
def corrector_of(name):
    """The drift with nothing but its corrector, which is all that is evaluated."""
    drift = derive_drift(case(name)[0])
    zero = {
        field: sp.ImmutableDenseMatrix(0 * getattr(drift, field))
        for field in ("overlap", "gram_perp", "readout")
    }
    return replace(drift, **zero)


@pytest.mark.slow
@settings(max_examples=10)
@given(strategies.rational_parameters(kgmm(2)))
def test_diffusion_is_positive_semidefinite(values):
    covariance = as_array(numbers_at(diffusion_of_two_classes(), values, 30).covariance)
    assert np.array_equal(covariance, covariance.T)
    # the covariance of the increments under the rule itself: rounding is left
    assert np.linalg.eigvalsh(covariance).min() > -1e-12 * (1 + np.abs(covariance).max())


@lru_cache(maxsize=1)
def diffusion_of_two_classes():
    return derive_diffusion(kgmm(2), "projection")


def test_drift_vector_follows_the_state_order():
    model = two_layer_model()
    drift = derive_drift(model)
    total = drift.gram_perp + drift.corrector
    assert drift.vector == (*drift.overlap, total[0, 0], total[0, 1], total[1, 1], *drift.readout)
    assert len(drift.vector) == len(model.symbols.state) == 6 + 3 + 2


def test_drift_keeps_symmetric_matrices_symmetric():
    for name in NAMES:
        drift = derive_drift(case(name)[0], "projection")
        assert drift.gram_perp.is_symmetric()
        assert drift.corrector.is_symmetric()


def test_without_corrector_leaves_the_rest_alone():
    drift = derive_drift(kgmm(2))
    bare = drift.without_corrector()
    assert bare.corrector == sp.zeros(2, 2)
    assert (bare.overlap, bare.gram_perp, bare.readout) == (
        drift.overlap,
        drift.gram_perp,
        drift.readout,
    )
    assert not any(e.has(STEP) for e in bare.vector)
    assert any(e.has(STEP) for e in drift.vector)
