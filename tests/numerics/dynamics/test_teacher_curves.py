"""Committee machines of students and teachers, against the equations of Saad and Solla."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.integrate
import sympy as sp
from helpers import fresh_rng
from teacher_cases import committee, random_state, saad_solla

from numerics import Problem, State, compile_expressions, integrate_curves
from theory import derive_drift

NOISES = {
    "none": ({}, 0.0),
    "discrete": ({"labels": ("3/10", "-3/10")}, 0.09),
    "Gaussian": ({"noise": sp.Rational(1, 2)}, 0.25),
}


def published(model, state, variance):
    """The drift of the state vector; R_perp = Q - m m^T."""
    m, q = state.overlap, state.gram(np.eye(model.directions))
    dm, dq = saad_solla(m, q, float(model.step), variance)
    upper = np.triu_indices(model.units)
    return np.concatenate([dm.ravel(), (dq - dm @ m.T - m @ dm.T)[upper]])


@pytest.mark.parametrize(
    ("size", "noise"),
    [
        (1, "discrete"),
        (1, "Gaussian"),
        *(pytest.param(2, noise, marks=pytest.mark.slow) for noise in NOISES),
        pytest.param(3, "Gaussian", marks=pytest.mark.slow),
    ],
)
def test_drift_of_committees_is_that_of_saad_and_solla(size, noise):
    options, variance = NOISES[noise]
    model = committee(size, size, **options)
    compiled = compile_expressions(model, derive_drift(model).vector, "numpy", closed_forms=True)
    rng = fresh_rng()
    for _ in range(4):
        state = random_state(model, rng)
        found = compiled.estimate(Problem(model), state)
        expected = published(model, state, variance)
        assert np.allclose(found.values, expected, rtol=1e-10, atol=1e-12)
        # without label noise the corrector is another one, and the test sees it
        if variance:
            silent = published(model, state, 0.0)
            assert not np.allclose(found.values, silent, rtol=1e-5, atol=1e-7)


@pytest.mark.slow
@pytest.mark.parametrize(("size", "noise"), [(2, "discrete"), (3, "none")])
def test_curves_of_committees_are_those_of_saad_and_solla(size, noise):
    """Students learn as many teachers, to 1e-5 relative."""
    options, variance = NOISES[noise]
    model = committee(size, size, step=1, **options)
    state = random_state(model, fresh_rng(), 0.5)
    times = [0.0, 1.0, 4.0, 10.0]
    curve = integrate_curves(Problem(model), state, times)

    def field(_, vector):
        m, q = vector.reshape(2, size, size)
        return np.concatenate([x.ravel() for x in saad_solla(m, q, 1.0, variance)])

    start = np.concatenate([state.overlap.ravel(), state.gram(np.eye(size)).ravel()])
    solved = scipy.integrate.solve_ivp(
        field, (0, times[-1]), start, "DOP853", t_eval=times, rtol=1e-8, atol=1e-10
    ).y.T
    for k in range(len(times)):
        at = State.at(curve, times[k])
        m, q = solved[k].reshape(2, size, size)
        assert np.allclose(at.overlap, m, rtol=1e-5, atol=1e-7)
        assert np.allclose(at.gram(np.eye(size)), q, rtol=1e-5, atol=1e-7)
