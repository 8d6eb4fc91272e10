"""Finite-lambda fixed points and Jacobians: against the noiseless form, long curves and symbolic
derivatives.
"""

from __future__ import annotations

from functools import lru_cache

import mpmath
import numpy as np
import pytest
import sympy as sp
import xarray as xr
from helpers import fresh_rng, two_layer_model

from numerics import Parameters, State, compile_expressions, integrate_curves, solve_curve
from numerics.core.errors import FixedPointError
from numerics.dynamics.fixed_points import solve_fixed_point
from numerics.dynamics.jacobian import drift_jacobian
from numerics.expectations.quadrature import gauss_hermite
from theory import (
    InputError,
    Loss,
    Mixture,
    Model,
    Softplus,
    derive_drift,
    kgmm,
    softmax_fixed_point,
    symbols,
    xor,
)


@lru_cache(maxsize=None)
def softmax(k):
    return kgmm(k)


def noiseless_overlap(k, weights, ridge):
    """Roots of the implicit form of the theory, by mpmath."""
    point = softmax_fixed_point(
        kgmm(k, weights=weights, directions_gram="orthonormal", ridge=sp.Rational(ridge))
    )
    gaps = {}
    for s, residual in zip(point.gaps, point.residuals, strict=True):
        f = sp.lambdify(s, residual, "mpmath")
        gaps[s] = sp.Float(mpmath.findroot(f, (0.0, 20.0), solver="anderson", tol=1e-25))
    return np.array(point.overlap.subs(gaps).tolist(), dtype=float)


@pytest.mark.parametrize(("k", "weights"), [(2, ["2/5", "3/5"]), (3, ["1/2", "3/10", "1/5"])])
def test_fixed_point_approaches_the_noiseless_form_at_rate_one_over_lambda(k, weights):
    expected = noiseless_overlap(k, weights, "1/10")
    numbers = [float(sp.Rational(w)) for w in weights]
    precisions = np.array([1e3, 2e3, 4e3, 8e3])
    deviations = []
    start = State(expected, 1e-3 * np.eye(k))
    for precision in precisions:
        point = solve_fixed_point(softmax(k), Parameters(numbers, precision, 0.1, 1.0), start)
        assert point.attrs["stability"] == "stable"
        assert point.attrs["error_estimate"] < 1e-8
        assert point.attrs["residual"] < 1e-12
        deviations.append(np.abs(point.overlap.values - expected).max())
        # gauge: the sum over units decays
        assert np.abs(point.overlap.values.sum(axis=0)).max() < 1e-10
        assert np.abs(point.gram_perp.values.sum(axis=0)).max() < 1e-10
    slopes = np.diff(np.log(deviations)) / np.log(2)
    # the next term of the expansion is of relative order 1/lambda times a constant of order 10
    assert np.abs(slopes + 1).max() < 10 / precisions[0]


def test_fixed_point_is_where_a_long_curve_ends():
    rng = fresh_rng()
    gamma = [[1.0, 0.3], [0.3, 0.8]]
    weight = rng.uniform(0.3, 0.7)
    parameters = Parameters([weight, 1 - weight], rng.uniform(2, 20), 0.3, 1.0, gamma)
    start = State(rng.normal(size=(2, 2)), 0.5 * np.eye(2))
    point = solve_fixed_point(softmax(2), parameters)
    assert point.attrs["route_to_root"].startswith("flow")
    # the slowest rate is beta: exp(-0.3 * 100) is below the tolerance of the curve
    end = integrate_curves(softmax(2), parameters, start, [0, 100.0], tolerance=1e-10).isel(time=-1)
    for name in ("overlap", "gram_perp", "gram"):
        assert np.abs(end[name].values - point[name].values).max() < 1e-8
    near = solve_fixed_point(softmax(2), parameters, start)
    assert np.abs(near.overlap - point.overlap).max() < 1e-9


def test_corrector_moves_the_fixed_point():
    parameters = Parameters([0.5, 0.5], 5.0, 0.2, 1.0)
    drift = derive_drift(softmax(2)).without_corrector()
    full = solve_fixed_point(softmax(2), parameters)
    start = State(full.overlap.values, full.gram_perp.values)
    without = solve_fixed_point(softmax(2), parameters, start, drift=drift)
    assert np.abs(without.gram_perp).max() < 1e-10
    assert full.gram_perp.values[0, 0] > 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("quadrature", ["gauss-hermite", "panels"])
def test_linear_sgd_has_its_closed_form(quadrature, monkeypatch):
    """l = (u - 1)^2 / 2, c = c_delta.

    (1 + 1/lambda + beta) m = 1 and (2/lambda + 2 beta - c/lambda^2) R = c ((m - 1)^2 +
    m^2/lambda)/lambda. A declared kink far away leaves the loss as it is and selects the projection
    route and, where no closed form is looked for, graded panels.
    """
    if quadrature == "panels":
        monkeypatch.setattr("numerics.expectations.evaluation.closed_moments", lambda *_: None)
    u = symbols.vector("u", 1)
    mixture = Mixture.build(weights=[1], labels=[0], coordinates=[[1]], directions_gram=[[1]])
    kinks = (u[0] - 100,) if quadrature == "panels" else ()
    model = Model.build(mixture, Loss((u[0] - 1) ** 2 / 2, units=1, kinks=kinks))
    lam, beta, step = 4.0, 0.5, 2.0
    point = solve_fixed_point(model, Parameters([1.0], lam, beta, step))
    m = 1 / (1 + 1 / lam + beta)
    r = step * ((m - 1) ** 2 + m**2 / lam) / lam / (2 / lam + 2 * beta - step / lam**2)
    bound = 3 * point.attrs["error_estimate"]  # three times a 99 % interval, for quasi-Monte Carlo
    assert ("Legendre" in point.attrs["quadrature"]) == (quadrature == "panels")
    assert bound < 1e-3
    assert abs(float(point.overlap.values[0, 0]) - m) <= bound
    assert abs(float(point.gram_perp.values[0, 0]) - r) <= bound
    rates = sorted([-(1 + 1 / lam + beta), -2 / lam - 2 * beta + step / lam**2], reverse=True)
    assert (
        np.abs(point.jacobian_eigenvalue_real - rates).max()
        <= 3 * float(point.jacobian_eigenvalue_error) + 1e-9
    )


# --- without a ridge ------------------------------------------------------------------------------


def one_unit(loss, coordinates, name):
    u = symbols.vector("u", 1)
    mixture = Mixture.build(labels=[1, -1], coordinates=coordinates, directions_gram=[[1]])
    return Model.build(mixture, Loss(loss(u[0], symbols.LABEL), units=1), name=name)


@pytest.mark.slow
def test_noise_confines_the_logistic_loss_without_a_ridge():
    """Classes at +-mu with noise 1/3: the flow settles, and a long curve ends there."""
    model = one_unit(lambda u, y: Softplus(-y * u), [[1], [-1]], "logistic")
    parameters = Parameters([0.5, 0.5], 3.0, 0.0, 1.0)
    point = solve_fixed_point(model, parameters)
    assert point.attrs["stability"] == "stable"
    assert point.attrs["other_starts"] > 0
    assert point.sizes["other"] == 0
    end = solve_curve(model, parameters, State([[1.0]], [[2.0]]), 4000.0).vector([4000.0])[0]
    for value, known, late in (
        (float(point.overlap[0, 0]), 6.147447, end[0]),
        (float(point.gram_perp[0, 0]), 0.524575, end[1]),
    ):
        assert abs(value - known) < 1e-6
        assert abs(value - late) < 1e-6


def test_label_noise_alone_gives_linear_sgd_its_norm():
    """l = (u - y)^2 / 2 with means 0: (2/lambda - c/lambda^2) R = c/lambda, so R = 1 at c = 1."""
    model = one_unit(lambda u, y: (u - y) ** 2 / 2, [[0], [0]], "lms")
    point = solve_fixed_point(model, Parameters([0.5, 0.5], 1.0, 0.0, 1.0), State([[0.4]], [[3.0]]))
    assert abs(float(point.gram_perp[0, 0]) - 1.0) <= point.attrs["error_estimate"] < 1e-11
    assert abs(float(point.overlap[0, 0])) <= point.attrs["error_estimate"]
    with pytest.raises(FixedPointError, match="diverge"):
        solve_fixed_point(model, Parameters([0.5, 0.5], 1.0, 0.0, 3.0))


@pytest.mark.slow
def test_classes_that_can_be_told_apart_have_no_fixed_point_without_a_ridge():
    """The drift fades as the weights grow, and is no root however small it gets."""
    model = one_unit(lambda u, y: Softplus(-y * u), [[1], [-1]], "logistic")
    with pytest.raises(
        FixedPointError, match=r"no fixed point .* Without a ridge a loss that falls"
    ):
        solve_fixed_point(model, Parameters([0.5, 0.5], 1e4, 0.0, 1.0))


@pytest.mark.slow
def test_what_the_softmax_conserves_is_neutral():
    """Without a ridge the sums over units stay where they start: a family of fixed points."""
    point = solve_fixed_point(softmax(2), Parameters([0.5, 0.5], 3.0, 0.0, 1.0))
    assert point.attrs["stability"] == "neutral"
    assert point.attrs["neutral_directions"] == 3
    assert point.attrs["stable"] == 0
    assert np.abs(point.overlap.values.sum(axis=0)).max() < 1e-10
    # the gap obeys the logistic loss of one unit, at twice the distance
    other = solve_fixed_point(softmax(2), Parameters([0.5, 0.5], 3.0, 1e-7, 1.0), tolerance=1e-5)
    gap, near = (p.overlap.values[0] - p.overlap.values[1] for p in (point, other))
    assert np.abs(gap - near).max() < 1e-4


@pytest.mark.parametrize(("precision", "norm"), [(0.01, 29.842069), (0.03, 9.639373)])
def test_wide_pre_activations_have_their_true_fixed_point(precision, norm):
    """Values of piecewise Gauss-Legendre quadrature; rules without scales gave 250 and 83."""
    point = solve_fixed_point(softmax(2), Parameters([0.5, 0.5], precision, 0.1, 1.0))
    assert abs(float(point.gram_perp[0, 0]) - norm) < 1e-6
    assert point.attrs["error_estimate"] < 1e-6


def test_a_root_that_another_rule_does_not_confirm_is_refused(monkeypatch):
    """Six Gauss-Hermite nodes miss the transition of a wide field, and have a root of their own."""
    coarse = [gauss_hermite(1, 6), gauss_hermite(1, 12)]
    monkeypatch.setattr(
        "numerics.dynamics.root_refinement.family_rules", lambda family, dimension: coarse
    )
    monkeypatch.setattr("numerics.dynamics.root_refinement.unseen_error", lambda *_: 0.0)
    monkeypatch.setattr(
        "numerics.dynamics.root_refinement.run_family", lambda *_, **__: "gauss-hermite"
    )
    with pytest.raises(FixedPointError, match=r"not confirmed: by graded"):
        solve_fixed_point(softmax(2), Parameters([0.5, 0.5], 0.01, 0.1, 1.0), tolerance=1e3)


@pytest.mark.slow
def test_every_root_the_other_starts_lead_to_is_reported():
    """A double well in R: l = (u^2 - 1)^2 / 4 has the zero overlap and, beside it, +-m."""
    model = one_unit(lambda u, y: (u**2 - 1) ** 2 / 4, [[1], [1]], "well")
    point = solve_fixed_point(model, Parameters([0.5, 0.5], 50.0, 0.05, 0.5))
    others = point.other_root.values
    assert point.attrs["other_starts"] == 4
    assert len(others) >= 1
    field = compile_expressions(model, derive_drift(model).vector)
    for other in others:
        state = State([[other[0]]], [[max(other[1], 0.0)]])
        drift = field.estimate(Parameters([0.5, 0.5], 50.0, 0.05, 0.5), state)
        assert np.abs(drift.values).max() < 1e-8
        assert np.abs(other - [point.overlap[0, 0], point.gram_perp[0, 0]]).max() > 1e-2


# --- the Jacobian ---------------------------------------------------------------------------------


def symbolic_jacobian(model, drift):
    """dF/ds with Q = R + m Gamma^-1 m^T moving along: partial derivatives plus the chain rule
    through Q.
    """
    gram = model.gram_definition()
    rows = []
    for e in drift.vector:
        through = {q: e.diff(q) for q in gram}
        rows.append(
            [
                e.diff(s) + sp.Add(*(through[q] * gram[q].diff(s) for q in gram))
                for s in model.symbols.state
            ]
        )
    return rows


def generic_state(model, rng):
    c, r = model.units, model.directions
    half = rng.normal(scale=0.6, size=(c, c))
    overlap, readout = rng.normal(scale=0.7, size=(c, r)), rng.normal(size=model.readout_size)
    return State(overlap, half @ half.T + 0.3 * np.eye(c), readout)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["softmax", pytest.param("twolayer", marks=pytest.mark.slow)])
def test_jacobian_equals_the_symbolic_derivative(name):
    model = kgmm(2, directions_gram=[["1", "3/10"], ["3/10", "4/5"]])
    gamma = [[1.0, 0.3], [0.3, 0.8]]
    if name == "twolayer":
        two = two_layer_model()
        gamma = [[1.0, 0.3, -0.2], [0.3, 1.2, 0.4], [-0.2, 0.4, 0.9]]
        exact = [[sp.Rational(str(x)) for x in row] for row in gamma]
        mixture = Mixture.build(
            labels=two.mixture.labels, coordinates=two.mixture.coordinates, directions_gram=exact
        )
        model = Model.build(mixture, two.loss)
    weights = np.array([0.4, 0.3, 0.1, 0.2])[: model.components]
    state = generic_state(model, fresh_rng())
    # conditioning is capped: a field of deviation 0.8 at most, readouts up to 1.2, so that the
    # integrals converge
    state = State(state.overlap, state.gram_perp, np.clip(state.readout, -1.2, 1.2))
    precision = max(3.0, np.linalg.eigvalsh(state.gram(np.array(gamma)))[-1] / 0.8**2)
    parameters = Parameters(weights / weights.sum(), precision, 0.2, 1.3, gamma)
    rows = symbolic_jacobian(model, derive_drift(model))
    size = len(rows)
    found = drift_jacobian(model, parameters, state)
    exact_values = compile_expressions(model, tuple(e for row in rows for e in row)).estimate(
        parameters, state
    )
    difference = np.abs(found.jacobian.values - exact_values.values.reshape(size, size))
    bound = found.jacobian_error.values + exact_values.errors.reshape(size, size)
    # the estimate covers the true error, and is small enough to mean something
    assert np.all(difference <= bound)
    assert bound.max() < 1e-4
    values = np.linalg.eigvals(exact_values.values.reshape(size, size))
    own = found.jacobian_eigenvalue_real.values + 1j * found.jacobian_eigenvalue_imag.values
    distance = np.abs(values[:, None] - own[None, :]).min(axis=0)
    assert distance.max() <= float(found.jacobian_eigenvalue_error) + 1e-8


def square_model():
    u = symbols.vector("u", 1)
    mixture = Mixture.build(weights=[1], labels=[0], coordinates=[[1]], directions_gram=[[1]])
    return Model.build(mixture, Loss(u[0] ** 2 / 2, units=1))


def test_a_large_step_destabilises_linear_sgd():
    """dR/dt = -2 (1/lambda + beta) R + c (m^2 + Q/lambda)/lambda grows at m = 0 if c/lambda^2 > 2
    (1/lambda + beta).
    """
    for step, word in ((1.0, "stable"), (10.0, "unstable")):
        found = drift_jacobian(
            square_model(), Parameters([1.0], 1.0, 0.5, step), State([[0.0]], [[1.0]])
        )
        expected = sorted([-2.5, -2 * 1.5 + step], reverse=True)
        assert np.allclose(found.jacobian_eigenvalue_real, expected, atol=1e-8)
        assert np.all(found.jacobian_eigenvalue_imag == 0)
        assert found.attrs["stability"] == word
        assert found.attrs["stable"] == int(word == "stable")


# --- round trip and failures ----------------------------------------------------------------------


def test_dataset_survives_netcdf(tmp_path):
    found = solve_fixed_point(softmax(2), Parameters([0.5, 0.5], 10.0, 0.2, 1.0))
    found.to_netcdf(tmp_path / "point.nc")
    xr.testing.assert_identical(found, xr.load_dataset(tmp_path / "point.nc"))
    assert found.sizes["statistic"] == 7
    assert found.statistic.values[0] == "m_1_1"


GOOD = Parameters([0.5, 0.5], 10.0, 0.2, 1.0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"start": State(np.zeros((3, 2)), np.eye(3))}, "start.overlap: got shape"),
        ({"tolerance": -1.0}, "tolerance: got -1.0"),
        ({"seed": -1}, "seed: got -1"),
        (
            {
                "model": two_layer_model(),
                "parameters": Parameters([0.25] * 4, 1, 0.1, 1, np.eye(3)),
            },
            "start: got None; expected a State",
        ),
    ],
)
def test_bad_input_is_named(change, message):
    call: dict = {"model": softmax(2), "parameters": GOOD, "start": None} | change
    with pytest.raises(InputError, match=message):
        solve_fixed_point(**call)


def test_a_singular_gram_matrix_has_no_jacobian():
    with pytest.raises(
        InputError, match=r"state: got Gram matrix Q with eigenvalues.*positive definite"
    ):
        drift_jacobian(softmax(2), GOOD, State(np.zeros((2, 2)), np.zeros((2, 2))))


def test_no_fixed_point_is_a_named_failure():
    """Linear SGD with a destabilising step and a mean that keeps moving: R_perp grows without
    bound.
    """
    u = symbols.vector("u", 1)
    mixture = Mixture.build(weights=[1], labels=[0], coordinates=[[1]], directions_gram=[[1]])
    model = Model.build(mixture, Loss((u[0] - 1) ** 2 / 2, units=1))
    with pytest.raises(
        FixedPointError, match=r"no fixed point of model was found.*diverge"
    ) as caught:
        solve_fixed_point(model, Parameters([1.0], 1.0, 0.5, 10.0), State([[0.0]], [[1.0]]))
    assert caught.value.residual > 0


LEANING = State([[0.5, 0.0], [0.0, 0.5]], np.eye(2) / 4, [0.5, -0.5])


@pytest.mark.slow
def test_a_jump_to_zero_is_not_where_the_flow_leads():
    """Newton's method jumps from a leaning start to 0, where Q is singular; the flow from there
    does not.
    """
    parameters = Parameters([0.4, 0.3, 0.2, 0.1], 200.0, 0.02, 1.0, np.eye(2))
    point = solve_fixed_point(xor(2), parameters, LEANING)
    assert point.attrs["stability"] == "stable"
    assert point.attrs["route_to_root"].startswith("flow over")
    end = integrate_curves(xor(2), parameters, LEANING, [0.0, 300.0], tolerance=1e-3)
    np.testing.assert_allclose(
        point.overlap,
        end.overlap[-1],
        atol=end.attrs["error_estimate"] + point.attrs["error_estimate"] + 1e-2,
    )


@pytest.mark.slow
def test_the_zero_fixed_point_is_named_not_blamed_on_the_state():
    """At beta > p/2 of every cluster only 0 is left; Q is 0 there and no Jacobian decides."""
    parameters = Parameters([0.25] * 4, 200.0, 0.2, 1.0, np.eye(2))
    message = (
        r"arrived at the zero fixed point of xor2, where Q is singular.*undecided.*solve_curve.*"
        r"noiseless"
    )
    with pytest.raises(FixedPointError, match=message) as caught:
        solve_fixed_point(xor(2), parameters, LEANING)
    assert caught.value.residual < 1e-6
