"""Weighted moments of a feature: both routes, and a raw Monte Carlo witness."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
import sympy as sp
from helpers import (
    evaluate_array,
    expectations_mp,
    expectations_np,
    fresh_rng,
    linearise,
    mp_functions,
    random_exact_values,
    two_layer_model,
)
from witness import case, geometry, numbers, sample_mean

from theory import (
    InputError,
    Loss,
    Mixture,
    Model,
    Moments,
    Weight,
    derive_drift,
    integrate_by_parts,
    kgmm,
    symbols,
)
from theory.expectations.derived import find_expectations


def test_weight_is_a_canonical_product():
    assert Weight.of((1,), (0,)) == Weight.of((0,), (1,))
    assert Weight.of((1, 0)) == Weight.of((0, 1)) != Weight.of((0,), (1,))


@pytest.mark.parametrize(
    "weight",
    [Weight.of((0,)), Weight.of((0,), (1,)), Weight.of((0, 1)), Weight.of((0,), (0,), (1,))],
)
@pytest.mark.parametrize("indices", [(), (0,), (0, 1), (1, 1), (1, 0)])
@pytest.mark.parametrize("model", [kgmm(2), two_layer_model()], ids=lambda m: m.name)
def test_leibniz_derivative_is_the_derivative(model, weight, indices):
    moments = Moments(model)
    u = model.symbols.preactivation
    direct = moments.expression(weight)
    for i in indices:
        direct = direct.diff(u[i])
    assert sp.expand(direct - moments.derivative(weight, indices)) == 0


@pytest.mark.slow
@pytest.mark.parametrize("weight", [Weight.of((0,)), Weight.of((0, 1)), Weight.of((0,), (1,))])
@pytest.mark.parametrize("model", [kgmm(2), kgmm(3), two_layer_model()], ids=lambda m: m.name)
def test_slope_and_curvature_agree_symbolically(model, weight):
    stein, projection = Moments(model, "stein"), Moments(model, "projection")
    for l in range(model.components):
        for c in range(model.units):
            other = integrate_by_parts(projection.slope(weight, l, c))
            assert linearise(stein.slope(weight, l, c) - other) == 0
            for d in range(c, model.units):
                other = integrate_by_parts(projection.curvature(weight, l, c, d))
                assert linearise(stein.curvature(weight, l, c, d) - other) == 0


def test_projection_route_differentiates_nothing():
    """Its integrands are the weight times w: no derivative of the weight is needed."""
    moments = Moments(kgmm(2), "projection")
    w = moments.model.symbols.whitened
    h = moments.expression(Weight.of((0,), (1,)))
    nodes = list(find_expectations(moments.curvature(Weight.of((0,), (1,)), 0, 0, 1)))
    assert {n.general_integrand for n in nodes} == {h, h * w[0] * w[1]}


def test_projection_route_serves_a_kinked_loss():
    """g = max(u, 0) has the slope lambda^-1 P(u > 0)."""
    u = symbols.vector("u", 1)
    mixture = Mixture.build(weights=[1], labels=[0], coordinates=[[1]], directions_gram=[[1]])
    loss = Loss(sp.Max(u[0], 0) ** 2 / 2, units=1, kinks=(u[0],))
    (node,) = find_expectations(
        Moments(Model.build(mixture, loss), "projection").slope(Weight.of((0,)), 0, 0)
    )
    m, gram, precision = mpmath.mpf("0.3"), mpmath.mpf("1.7"), mpmath.mpf(2)
    deviation = mpmath.sqrt(gram / precision)
    integrand = sp.lambdify(
        [u[0], node.law.whitened[0]], node.general_integrand, [mp_functions(), "mpmath"]
    )
    value = mpmath.quad(
        lambda z: mpmath.npdf(z) * integrand(m + deviation * z, deviation * z / gram),
        [-12, -m / deviation, 0, 12],
    )
    # 1e-12: the tail beyond 12 standard deviations is 1e-32, the rest is quadrature at 15 digits
    assert abs(value - mpmath.ncdf(m / deviation) / precision) < 1e-12


@pytest.mark.parametrize("route", ["stein", "projection"])
@pytest.mark.parametrize("name", ["kgmm2", "kgmm3", "twolayer"])
def test_moments_of_raw_noise(name, route):
    """E_l[h Z] and E_l[h Z Z^T] of raw Gaussian vectors, against slope and curvature."""
    rng = fresh_rng()
    model, raw = case(name)
    geo = geometry(model, rng, jitter=0.3)
    moments = Moments(model, route)
    units, l = range(model.units), model.components - 1
    weights = [Weight.of((0,)), Weight.of((0, 1)), Weight.of((0,), (1,))]
    mean_vector = np.array(model.mixture.coordinates.tolist(), float)[l] @ geo.directions.T

    def statistic(_, y):
        centred = y - mean_vector  # Z / sqrt(lambda)
        sample = raw(np.full(len(y), l), y @ geo.x, geo.readout)
        out = []
        for h in (sample.g[:, 0], sample.hessian[:, 0, 1], sample.g[:, 0] * sample.g[:, 1]):
            t = centred @ geo.x
            out += [
                h[:, None] * t,
                (h[:, None, None] * t[:, :, None] * t[:, None, :]).reshape(len(y), -1),
            ]
        return np.concatenate(out, axis=1)

    def only(component, y):  # the component is drawn anew: keep the noise, force component l
        s = np.array(model.mixture.coordinates.tolist(), float)
        return statistic(component, y - s[component] @ geo.directions.T + mean_vector)

    gram = geo.x.T @ geo.x
    expressions = []
    for h in weights:
        expressions.append(sp.Matrix([moments.slope(h, l, c) for c in units]))
        expressions.append(
            sp.Matrix(len(units), len(units), lambda c, d, h=h: moments.curvature(h, l, c, d))
        )
        expressions.append(sp.Matrix([moments.mean(h, l)]))
    values = [evaluate_array(m, geo.values, 80 if model.units == 2 else 30) for m in expressions]
    predicted = []
    for i in range(0, len(values), 3):
        slope, curvature, mean = values[i : i + 3]
        predicted += [
            gram @ slope.ravel(),
            gram @ curvature @ gram + mean[0, 0] * gram / geo.precision,
        ]
    result = sample_mean(geo, rng, only, 60_000).compare(
        np.concatenate([p.ravel() for p in predicted])
    )
    assert result.holds, result


@pytest.mark.parametrize("name", ["kgmm2", "kgmm3", "twolayer"])
def test_evaluator_error_is_below_the_sampling_error(name):
    """Fewer nodes change the drift by less than a tenth of the sampled standard errors."""
    model, _ = case(name)
    geo = geometry(model, fresh_rng(), jitter=0.3)
    drift = derive_drift(model, "projection")
    fine = numbers(drift, geo)
    coarse = numbers(drift, geo, points=60 if model.units == 2 else 22)
    assert max(abs(a - b) for a, b in zip(fine.vector, coarse.vector, strict=True)) < 2e-4


def test_evaluators_agree_with_each_other_and_with_a_closed_form():
    """E[u_1^2 w_c] = 2 E[u_1] d_c u_1 / lambda is 2 m / lambda for c = 1, 0 for c = 2."""
    model = kgmm(2)
    values = random_exact_values(model, fresh_rng(), precision=40)
    moments = Moments(model, "projection")
    u, w = model.symbols.preactivation, model.symbols.whitened
    same, other = (moments.expectation(u[0] ** 2 * w[c], 0) for c in (0, 1))
    m = values[model.symbols.overlap[0, 0]]
    high = expectations_mp([same, other], values, 4)  # exact: degree 3 < 2 * 4
    assert abs(high[same] - 2 * m / 40) < 1e-45  # 50 digits and a few operations
    assert abs(high[other]) < 1e-45
    low = expectations_np([same, other], values, 4)
    assert abs(low[same] - high[same]) < 1e-13  # double precision, entries below 1
    assert abs(low[other]) < 1e-13


def test_unknown_route_is_named():
    with pytest.raises(
        InputError,
        match=r"route: got 'wick'; expected one of .*'stein'.*'projection'.*Remedy: choose",
    ):
        Moments(kgmm(2), "wick")
    with pytest.raises(InputError, match=r"route: got 'Stein'"):
        derive_drift(kgmm(2), "Stein")


def test_stein_route_of_a_kinked_loss_keeps_the_delta_and_refuses_curvatures():
    """g = step(u) has a delta as derivative; its second derivative needs a convention."""
    u = symbols.vector("u", 1)
    mixture = Mixture.build(weights=[1], labels=[0], coordinates=[[1]], directions_gram=[[1]])
    model = Model.build(mixture, Loss(sp.Max(u[0], 0), units=1, kinks=(u[0],)))
    moments = Moments(model, "stein")
    (node,) = find_expectations(moments.slope(Weight.of((0,)), 0, 0))
    assert node.general_integrand == sp.DiracDelta(u[0])
    with pytest.raises(InputError, match=r"route: got 'stein'.*expected 'projection'"):
        moments.curvature(Weight.of((0,)), 0, 0, 0)
