"""Fluctuations about curves and fixed points: against closed forms and the reduced chain, and with
parts left out.
"""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
from helpers import fresh_rng
from sgd_cases import vectors
from witness import FAMILY_ERROR

import numerics.dynamics.local_law
from numerics import (
    TIME,
    IntegrationError,
    Parameters,
    State,
    integrate_fluctuations,
    simulate_sgd,
    solve_fixed_point,
    stationary_fluctuations,
)
from theory import (
    InputError,
    Loss,
    Mixture,
    Model,
    derive_diffusion,
    derive_finite_size,
    kgmm,
    symbols,
    xor,
)

PARAMETERS = Parameters([0.5, 0.3, 0.2], 5, 0.2, 2.0)
START = State(0.3 * np.eye(3), np.eye(3))


def linear_model():
    """One unit, target 0 under the square loss: m and R of an autoregressive process."""
    u = symbols.vector("u", 1)
    one = Mixture.build(weights=[1], labels=[0], coordinates=[[1]], directions_gram=[[1]])
    return Model.build(one, Loss(u[0] ** 2 / 2, units=1))


# --- closed forms ---------------------------------------------------------------------------------


def test_covariance_of_the_mean_of_a_linear_unit_against_its_own_equation():
    """g = u: m' = -(1 + beta + 1/lambda) m and Var(u Y.e) = E[u^2 (Y.e)^2] - E[u Y.e]^2 by
    Isserlis.
    """
    lam, beta, step = 3.0, 0.4, 1.5
    m0, r0 = 0.7, 0.5
    found = integrate_fluctuations(
        linear_model(),
        Parameters([1], lam, beta, step),
        State([[m0]], [[r0]]),
        np.linspace(0, 2, 201),
    )
    t, m, r = found.time.values, found.state.values[:, 0], found.state.values[:, 1]
    rate = 1 + beta + 1 / lam
    np.testing.assert_allclose(m, m0 * np.exp(-rate * t), atol=1e-7)
    # u = m a + b, a = Y.e ~ N(1, 1/lam), b ~ N(0, R/lam) independent
    second, fourth = 1 + 1 / lam, 1 + 6 / lam + 3 / lam**2
    variance = m**2 * fourth + second * r / lam - (m * second) ** 2
    # C' = -2 rate C + step variance
    kernel = np.exp(-2 * rate * (t[-1] - t))
    expected = step * float(np.trapezoid(kernel * variance, t))
    assert float(found.covariance[-1, 0, 0]) == pytest.approx(expected, rel=1e-4)
    # the drift of m is linear: only the finite step shifts its mean, m_n = m0 (1 - delta rate)^n
    np.testing.assert_allclose(found.mean_shift[:, 0], -step / 2 * rate**2 * t * m, atol=1e-6)


@pytest.mark.slow
def test_errors_cover_the_true_error():
    exact = integrate_fluctuations(kgmm(3), PARAMETERS, START, [0.0, 1.0], tolerance=1e-7)
    for tolerance in (1e-3, 1e-5):
        found = integrate_fluctuations(kgmm(3), PARAMETERS, START, [0.0, 1.0], tolerance=tolerance)
        for name in ("covariance", "mean_shift"):
            error = float(np.abs(found[name] - exact[name]).max())
            assert error <= float(found[f"{name}_error"].max()) + 1e-7
            # it is twice the difference to a run at ten times the tolerance, whose step errors add
            # up
            assert float(found[f"{name}_error"].max()) < 100 * tolerance
    eigenvalues = np.linalg.eigvalsh(exact.covariance.values[-1])
    assert eigenvalues.min() > -1e-8
    np.testing.assert_array_equal(
        exact.covariance.values, np.swapaxes(exact.covariance.values, 1, 2)
    )


@pytest.mark.slow
def test_long_runs_settle_to_the_stationary_law():
    model, parameters = kgmm(2), Parameters([0.6, 0.4], 3.0, 0.5, 2.0)
    point = solve_fixed_point(model, parameters)
    state = State(point.overlap.values, point.gram_perp.values)
    settled = stationary_fluctuations(model, parameters, state)
    along = integrate_fluctuations(model, parameters, state, [0.0, 40.0]).isel(time=-1)
    np.testing.assert_allclose(along.covariance, settled.covariance, atol=2e-5)
    np.testing.assert_allclose(along.mean_shift, settled.mean_shift, atol=2e-4)
    assert float(settled.covariance_error.max()) < 1e-6


# --- against the chain ----------------------------------------------------------------------------


def largest_z(predicted, runs, dimension):
    """Largest z of mean and covariance at the last time, and the number of comparisons."""
    last = predicted.isel(time=-1)
    deviation = vectors(runs) - last.state.values
    n = len(deviation)
    error = deviation.std(axis=0) / np.sqrt(n)
    centred = deviation - deviation.mean(axis=0)
    rows, columns = np.triu_indices(deviation.shape[1])
    products = centred[:, rows] * centred[:, columns] * dimension
    spread = np.sqrt(np.diag(last.covariance))
    # what the next power of 1/d may do, with a coefficient of up to three times the leading one
    beyond = 3 / dimension
    shift = np.abs(deviation.mean(axis=0) - last.mean_shift / dimension)
    shift = shift - beyond * abs(last.mean_shift).max().item() / dimension
    bend = np.abs(products.mean(axis=0) - last.covariance.values[rows, columns])
    bend = bend - beyond * spread[rows] * spread[columns]
    z = [
        (np.maximum(shift.values - last.mean_shift_error.values / dimension, 0) / error).max(),
        (np.maximum(bend, 0) / (products.std(axis=0) / np.sqrt(n))).max(),
    ]
    return [float(v) for v in z], deviation.shape[1] + rows.size


def limit(comparisons):
    import scipy.stats

    return float(scipy.stats.norm.isf(FAMILY_ERROR / comparisons / 2))


@pytest.mark.slow
@pytest.mark.parametrize("options", [{}, {"batch": 3}, {"schedule": 1 / (1 + TIME / 2)}], ids=str)
def test_mean_and_covariance_of_the_chain(options):
    predicted = integrate_fluctuations(kgmm(3), PARAMETERS, START, [0.0, 2.0], **options)
    runs = simulate_sgd(
        kgmm(3),
        PARAMETERS,
        START,
        [2.0],
        300,
        40_000,
        int(fresh_rng().integers(2**31)),
        method="reduced",
        **options,
    )
    z, count = largest_z(predicted, runs, 300)
    print(z, limit(count))
    assert max(z) <= limit(count)
    # without the shift, and with 4/5 of the covariance, the same runs refute it
    less = predicted.copy()
    less["mean_shift"] = 0 * less.mean_shift
    assert largest_z(less, runs, 300)[0][0] > limit(count)
    less["covariance"] = 0.8 * less.covariance
    assert largest_z(less, runs, 300)[0][1] > limit(count)


@pytest.mark.slow
def test_kinked_loss_over_five_decades():
    """XOR, three units: covariances, and the exponent -1/2 of their roots, d = 10^2 to 10^6."""
    model, rng = xor(3), fresh_rng()
    parameters = Parameters([0.25] * 4, 20, 0.1, 1.5, np.eye(2))
    state = State([[0.6, 0.1], [-0.2, 0.5], [0.1, -0.6]], 0.3 * np.eye(3), [0.5, -0.4, -0.5])
    predicted = integrate_fluctuations(model, parameters, state, [0.0, 0.25], tolerance=3e-3)
    last = predicted.isel(time=-1)
    dimensions, widths = (100, 1000, 10_000, 100_000, 1_000_000), []
    for d, n in zip(dimensions, (4000, 2000, 1000, 300, 100), strict=True):
        runs = simulate_sgd(
            model, parameters, state, [0.25], d, n, int(rng.integers(2**31)), method="reduced"
        )
        values = vectors(runs)
        widths.append(np.sqrt(values.var(axis=0, ddof=1).sum()))
        if d <= 1000:
            z, count = largest_z(predicted, runs, d)
            assert z[1] <= limit(count)
    total = np.sqrt(np.trace(last.covariance))
    slope = np.polyfit(np.log(dimensions), np.log(widths), 1)[0]
    # the errors of the widths are below 1 / sqrt(2 n), at most 7 %
    assert slope == pytest.approx(-0.5, abs=0.03)
    np.testing.assert_allclose(widths * np.sqrt(dimensions), total, rtol=0.3)


@pytest.mark.parametrize("part", ["diffusion", "finite size"])
def test_what_a_wrong_part_does(part, monkeypatch):
    """A diffusion with a fifth less, or the 1/d part of the step left out, changes the result
    beyond its error.
    """
    right = integrate_fluctuations(
        kgmm(2), Parameters([0.6, 0.4], 3, 0.5, 2), State(np.eye(2), np.eye(2)), [0.0, 1.0]
    )
    if part == "diffusion":
        monkeypatch.setattr(
            numerics.dynamics.local_law,
            "derive_diffusion",
            lambda model: derive_diffusion(model).map(lambda e: e * 4 / 5),
        )
    else:
        monkeypatch.setattr(
            numerics.dynamics.local_law,
            "derive_finite_size",
            lambda model, batch: derive_finite_size(model, batch=batch).map(
                lambda e: sp.Integer(0)
            ),
        )
    wrong = integrate_fluctuations(
        kgmm(2), Parameters([0.6, 0.4], 3, 0.5, 2), State(np.eye(2), np.eye(2)), [0.0, 1.0]
    )
    name = "covariance" if part == "diffusion" else "mean_shift"
    assert float(abs(right[name] - wrong[name]).max()) > 100 * float(right[f"{name}_error"].max())


# --- refusals -------------------------------------------------------------------------------------


def test_singular_start_is_refused():
    with pytest.raises(InputError, match="initial: got a Gram matrix Q with smallest eigenvalue"):
        integrate_fluctuations(
            kgmm(3), PARAMETERS, State(np.zeros((3, 3)), np.zeros((3, 3))), [1.0]
        )


def test_a_moving_state_and_an_unstable_point_are_refused():
    with pytest.raises(InputError, match=r"state: got a drift of size .*; expected a fixed point"):
        stationary_fluctuations(kgmm(3), PARAMETERS, START)
    # maximise the square: 0 is a fixed point of the overlap, and R grows
    u = symbols.vector("u", 1)
    one = Mixture.build(weights=[1], labels=[0], coordinates=[[1]], directions_gram=[[1]])
    model = Model.build(one, Loss(-(u[0] ** 2) / 2, units=1))
    # R = 0 would be singular; at lambda with 2/lambda + c/lambda^2 = 2 beta every R is a fixed
    # point
    with pytest.raises(
        InputError, match=r"state: got a fixed point that is (unstable|undecided|neutral)"
    ):
        stationary_fluctuations(model, Parameters([1], 2.0, 0.5625, 0.5), State([[0.0]], [[1.0]]))


def test_other_bad_values():
    parameters, state = Parameters([0.5, 0.5], 5, 0.2, 1), State(np.eye(2), np.eye(2))
    with pytest.raises(InputError, match="tolerance: got 0"):
        integrate_fluctuations(kgmm(2), parameters, state, 1.0, tolerance=0)
    with pytest.raises(InputError, match="batch: got 0"):
        integrate_fluctuations(kgmm(2), parameters, state, 1.0, batch=0)
    with pytest.raises(IntegrationError):
        integrate_fluctuations(
            linear_model(), Parameters([1], 0.01, 0.0, 1), State([[1.0]], [[1.0]]), 100.0
        )


def test_dataset_round_trip(tmp_path):
    found = integrate_fluctuations(
        kgmm(2), Parameters([0.5, 0.5], 5, 0.2, 1), State(np.eye(2), np.eye(2)), [0.0, 0.5]
    )
    path = tmp_path / "f.nc"
    found.to_netcdf(path, engine="h5netcdf")
    assert found.sel(statistic="R_1_2", statistic_b="m_1_1").covariance.shape == (2,)
    assert float(found.covariance.isel(time=0).max()) == 0.0
    assert found.attrs["batch"] == 1
