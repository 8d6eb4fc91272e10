"""Densities over many decades towards zero: mass at a wrong decade is seen, mended or refused."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import fresh_rng

from numerics import Parameters, ResolventError, State, effective_spectrum
from numerics.data.derivatives import compile_derivatives
from numerics.proportional.bulk import attempts
from theory import Loss, Mixture, Model, kgmm, symbols

# wide fields of two classes, whose weights -p_1 p_2 spread over a hundred decades
WIDE = Parameters([0.34, 0.66], 0.0604, 0.1, 1.0)
STATE = State([[-1.51, -2.04], [0.72, -1.03]], [[2.548, 2.001], [2.001, 4.265]])
RATIO = 1.04


def dense(dimension, rng):
    """Eigenvalues of one off-diagonal block of random data."""
    samples, model = round(RATIO * dimension), kgmm(2)
    component = rng.choice(2, size=samples, p=WIDE.weights)
    features = rng.normal(size=(samples, dimension)) / np.sqrt(WIDE.precision)
    features[np.arange(samples), component] += 1
    weights = np.zeros((2, dimension))
    weights[:, :2], weights[:, 2:4] = STATE.overlap, np.linalg.cholesky(STATE.gram_perp)
    labels = np.array([float(y) for y in model.mixture.labels])[component]
    d = compile_derivatives(model, "hessian")(labels, weights @ features.T, STATE.readout)[0, 1]
    return np.linalg.eigvalsh((features.T * d) @ features / samples)


def found():
    return effective_spectrum(kgmm(2), WIDE, STATE, RATIO, block=(0, 1), regularized=False)


def difference(spectrum, draws=4, dimension=200):
    """Largest excess of the difference to dense matrices over the stated error."""
    rng, z = fresh_rng(), spectrum.grid.values
    z = z[z < 0]
    values = [dense(dimension, rng) for _ in range(draws)]
    seen = [np.searchsorted(v, z) / dimension for v in values]
    apart = np.abs(np.mean(seen, axis=0) - spectrum.distribution.values[: z.size])
    return float(np.max(apart - spectrum.distribution_error.values[: z.size]))


@pytest.mark.slow
def test_a_density_over_decades_is_covered():
    # samples within a range of weights are counted: at most sqrt(M) / 2 of d, over four draws
    noise = np.sqrt(RATIO * 200) / 2 / 200 / 2
    assert difference(found()) < 5 * noise


@pytest.mark.slow
def test_a_density_that_is_judged_by_its_total_mass_alone_is_refuted(monkeypatch):
    monkeypatch.setattr(attempts, "misplaced", lambda *_: 0.0)
    assert difference(found()) > 0.08


@pytest.mark.slow
def test_a_density_that_is_not_resolved_is_refused(monkeypatch):
    """Where no way is left but those that put mass at wrong places."""
    monkeypatch.setattr(attempts, "FLOORS", ())
    ways = attempts._ways
    monkeypatch.setattr(attempts, "_ways", lambda *a: list(ways(*a))[:1])
    with pytest.raises(ResolventError, match="of its mass stands at wrong places; density=False"):
        found()


def test_the_witness_agrees_where_the_density_is_known():
    """Weights of one are those of Marchenko and Pastur."""
    u = symbols.vector("u", 1)
    one = Mixture.build(weights=[1], labels=[0], coordinates=[[1]], directions_gram=[[1]])
    model = Model.build(one, Loss(u[0] ** 2 / 2, units=1))
    for ratio in (0.5, 4.0):
        law = effective_spectrum(model, Parameters([1], 4, 0, 1), State([[1]], [[1]]), ratio)
        assert float(law.distribution_error.max()) < 1e-9
