"""Gauss-Newton and Fisher matrices against dense Monte Carlo written in NumPy alone."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import fresh_rng

from numerics import (
    Problem,
    State,
    draw_data,
    effective_spectrum,
    empirical_spectrum,
    population_block,
    population_spectrum,
    realise_weights,
)
from theory import InputError, kgmm, mlp

MIXTURE = kgmm(2, directions_gram="orthonormal").mixture
NETWORK = mlp(MIXTURE, units=[2], activation="tanh", output="softmax")
PROBLEM = Problem(NETWORK, weights=[0.4, 0.6], precision=3, ridge=0.1, step=1)
STATE = State([[0.8, -0.3], [0.2, 0.5]], [[0.4, 0.1], [0.1, 0.3]], [1, -0.5, 0.4, 0.8])
DIMENSION, SAMPLES = 6, 20_000


def raw_matrices(rng, kind):
    """J^T A J of samples with J by hand, N x (C d + q) x (C d + q), in the chosen coordinates."""
    _, x = realise_weights(PROBLEM, STATE, DIMENSION)
    means = np.eye(2, DIMENSION)
    label = rng.choice(2, size=SAMPLES, p=[0.4, 0.6])
    y = means[label] + rng.standard_normal((SAMPLES, DIMENSION)) / np.sqrt(3)
    h, v = np.tanh(y @ x.T), np.reshape(STATE.readout, (2, 2))
    output = h @ v.T
    share = np.exp(output) / np.exp(output).sum(axis=1, keepdims=True)
    if kind == "fisher":  # a label of the model's own law, and the square of its slope
        own = (rng.random(SAMPLES) < share[:, 1]).astype(int)
        slope = share - np.eye(2)[own]
        middle = slope[:, :, None] * slope[:, None, :]
    else:
        middle = share[:, :, None] * np.eye(2) - share[:, :, None] * share[:, None, :]
    first = v[None] * (1 - h**2)[:, None, :]  # d f_k / d u_a
    along = np.einsum("nka,nd->nkad", first, y).reshape(SAMPLES, 2, -1)
    behind = np.einsum("kj,na->nkja", np.eye(2), h).reshape(SAMPLES, 2, -1)
    jacobian = np.concatenate([along, behind], axis=2)
    return np.einsum("nki,nkl,nlj->nij", jacobian, middle, jacobian)


@pytest.mark.parametrize("kind", ["gauss-newton", "fisher"])
def test_population_blocks_are_means_of_raw_samples(kind):
    """All entries in the coordinates of the span: z below that of 1e-6 over the family."""
    raw = raw_matrices(fresh_rng(), kind)
    found = population_block(PROBLEM, STATE, matrix=kind, block="all", regularized=False).matrix
    # the span of directions and weights is that of the first four coordinates
    rows = [a * DIMENSION + i for a in range(2) for i in range(4)]
    rows += list(range(2 * DIMENSION, 2 * DIMENSION + 4))
    raw = raw[:, rows][:, :, rows]
    error = raw.std(axis=0) / np.sqrt(SAMPLES) + 1e-12
    z = np.abs(raw.mean(axis=0) - found) / error
    print(f"largest z {z.max():.2f} of {z.size}")
    assert z.max() < 6.2


@pytest.mark.slow
def test_the_empirical_law_of_labels_is_not_that_of_the_model():
    """Fisher is Gauss-Newton for softmax outputs; the gradient matrix, of true labels, is not."""
    options = {"block": "all", "regularized": False}
    newton, fisher, gradient = (
        population_block(PROBLEM, STATE, matrix=kind, **options).matrix
        for kind in ("gauss-newton", "fisher", "gradient")
    )
    assert np.allclose(newton, fisher, atol=1e-8)
    assert np.abs(gradient - fisher).max() > 0.01


@pytest.mark.slow
def test_spectra_of_data_and_their_limit_know_the_matrices():
    """Of a softmax layer both are the Hessian without its ridge, in every spectrum."""
    model = kgmm(2, directions_gram="orthonormal")
    problem = Problem(model, weights=[0.4, 0.6], precision=3, ridge=0.1, step=1)
    state = State([[0.8, -0.3], [0.2, 0.5]], [[0.4, 0.1], [0.1, 0.3]])
    seed = int(fresh_rng().integers(2**32))
    data = draw_data(problem, state, 20, 60, seed)

    def spectra(kind):
        options = {"matrix": kind, "regularized": False, "block": (0, 0)}
        return (
            empirical_spectrum(data, count=3, **options).eigenvalue.values,
            effective_spectrum(problem, state, 3.0, **options).outliers.values,
            population_spectrum(problem, state, **options).eigenvalue.values,
        )

    hessian = spectra("hessian")
    for kind in ("gauss-newton", "fisher"):
        for found, expected in zip(spectra(kind), hessian, strict=True):
            assert np.allclose(found, expected, rtol=1e-7)


def test_a_matrix_of_another_name_is_refused():
    with pytest.raises(InputError, match="'gauss-newton'"):
        population_block(PROBLEM, STATE, matrix="newton")
