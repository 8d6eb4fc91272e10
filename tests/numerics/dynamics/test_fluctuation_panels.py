"""Linear equations of covariance and mean shift by panels: against an integrator that knows none,
and with panels that are too long.
"""

from __future__ import annotations

from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.integrate
from helpers import fresh_rng

from numerics import IntegrationError, Parameters, State
from numerics.dynamics.fluctuation_panels import Panel, integrate_panels
from numerics.dynamics.local_law import LocalCoefficients
from numerics.expectations.compiled import compile_expressions
from numerics.expectations.quadrature import gauss_hermite
from theory import derive_drift, kgmm

STEP, END, N = 0.7, 3.0, 3
TIMES = np.array([0.0, 0.4, 1.1, END])


class ArbitraryLaw:
    """Smooth coefficients of the time, random, and a bend that is linear in the covariance."""

    def __init__(self, rng, *, jump=0.0):
        self.stable, self.moving = rng.normal(size=(2, N, N))
        self.stable -= (0.5 + np.linalg.norm(self.stable, 2)) * np.eye(N)
        self.noise = rng.normal(size=(2, N, N))
        self.bends, self.extra = rng.normal(size=(N, N, N)), rng.normal(size=N)
        self.rate, self.jump = rng.uniform(1.0, 6.0), jump
        self.parameters = SimpleNamespace(step=STEP)
        self.model = SimpleNamespace(name="arbitrary")

    def at(self, resolution, replicate, time, vector):
        half = self.noise[0] + np.sin(self.rate * time) * self.noise[1]
        factor = 1.0 + self.jump * (time > 1.3)
        return LocalCoefficients(
            np.zeros(N),
            self.stable + np.exp(-self.rate * time) * self.moving,
            factor * half @ half.T,
            np.cos(time) * self.extra,
            lambda covariance: np.einsum("aij,ij->a", self.bends, covariance),
            time * self.extra,
        )

    def solved(self):
        """Both at once, by steps that have the end of the jump among their ends."""

        def rates(time, flat):
            here = self.at(None, 0, time, None)
            covariance, shift = flat[: N * N].reshape(N, N), flat[N * N :]
            half = here.jacobian @ covariance
            force = here.bend(covariance) + here.extra - STEP / 2 * here.change
            growth = half + half.T + here.noise
            return np.concatenate([growth.ravel(), here.jacobian @ shift + force])

        parts, start = {0.0: np.zeros(N * N + N)}, np.zeros(N * N + N)
        ends = [0.0, *sorted({*TIMES[1:], 1.3})]
        for low, high in pairwise(ends):
            # just beyond the jump, or it is met once more
            interval = (low + 1e-12 * (low == 1.3), high)
            run = scipy.integrate.solve_ivp(
                rates, interval, start, method="DOP853", rtol=1e-11, atol=1e-12
            )
            start = parts[float(high)] = run.y[:, -1]
        found = np.array([parts[float(t)] for t in TIMES])
        return found[:, : N * N].reshape(-1, N, N), found[:, N * N :]

    def by_panels(self, accuracy):
        curve = SimpleNamespace(end=END, vector=lambda times: np.zeros((1, N)))
        return integrate_panels(self, curve, TIMES, None, 0, accuracy)


def largest_error(law, accuracy):
    """Of covariance and shift, relative to 1 + their sizes, in accuracies."""
    pairs = zip(law.by_panels(accuracy), law.solved(), strict=True)
    return max(np.abs(a - b).max() / (1 + np.abs(b).max()) for a, b in pairs) / accuracy


@pytest.mark.parametrize("jump", [0.0, 0.8], ids=["smooth", "jump"])
@pytest.mark.parametrize("accuracy", [1e-4, 1e-7])
def test_panels_are_as_accurate_as_they_are_asked_to_be(jump, accuracy):
    """A few errors of panels add up; a jump of the noise, as of a schedule, is one of them."""
    assert largest_error(ArbitraryLaw(fresh_rng(), jump=jump), accuracy) < 100


def test_panels_of_any_length_are_wrong(monkeypatch):
    monkeypatch.setattr(Panel, "missed", lambda panel, values: 0.0)
    assert largest_error(ArbitraryLaw(fresh_rng(), jump=0.8), 1e-7) > 100


def test_covariances_are_symmetric_to_the_last_bit():
    covariance, _ = ArbitraryLaw(fresh_rng()).by_panels(1e-4)
    np.testing.assert_array_equal(covariance, np.swapaxes(covariance, 1, 2))


def test_coefficients_that_are_no_numbers_stop_it():
    law = ArbitraryLaw(fresh_rng(), jump=np.nan)
    with pytest.raises(IntegrationError, match=r"arbitrary could not be .* beyond t = 0 of 3"):
        law.by_panels(1e-4)


def test_many_states_have_the_values_of_each(monkeypatch):
    """In any number of portions, and with a rule that is not the first of its replicates."""
    rng, model = fresh_rng(), kgmm(3)
    compiled = compile_expressions(model, derive_drift(model).vector, "numpy")
    numbers = Parameters(rng.dirichlet(np.ones(3)), 2.0, 0.3, 0.8)
    states = [State(rng.normal(size=(3, 3)), np.diag(rng.uniform(0.5, 2, 3))) for _ in range(5)]
    rule = gauss_hermite(compiled.dimension, 8)
    monkeypatch.setattr("numerics.expectations.compiled.LAID_OUT", 2 * rule.nodes[0].size)
    vectors = np.array([state.flatten() for state in states])
    found = compiled.evaluate_states(numbers, vectors, rule, 0)
    parts = ((s.overlap, s.gram_perp, s.readout) for s in states)
    each = [compiled.evaluate(numbers, *part, rule, 0) for part in parts]
    np.testing.assert_allclose(found, each, rtol=1e-12, atol=1e-13)
