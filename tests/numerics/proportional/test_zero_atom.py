"""The atom at zero of ReLU networks, whose active units send their samples into one direction."""

from __future__ import annotations

import time

import numpy as np
import pytest
import scipy.stats
from dense_spectra import XOR, draw, relu_logistic
from helpers import fresh_rng
from processor import is_within

from numerics import Parameters, State, effective_spectrum
from numerics.proportional.bulk import zero_atom
from numerics.proportional.bulk.compressed_law import gauss_rule
from numerics.proportional.nodes.node_weights import distinct_directions, node_weights
from theory import xor

# two units along the same mean, nearly always active together
TOGETHER = State([[1.2, 0], [1.1, 0]], 0.01 * np.eye(2), [1.2, 1.1])
FORTY = Parameters([0.25] * 4, 40, 0.0, 1.0, np.eye(2))
TWENTY = Parameters([0.25] * 4, 20, 0.05, 1.0, np.eye(2))


def one_active(state, parameters):
    """P(exactly one of two units is active), from the bivariate normal distribution."""
    covariance = (state.overlap @ state.overlap.T + state.gram_perp) / parameters.precision
    share = 0.0
    for mean in XOR["means"]:
        u = state.overlap @ mean
        both = scipy.stats.multivariate_normal(u, covariance).cdf([0, 0])
        each = scipy.stats.norm.cdf(0, u, np.sqrt(np.diag(covariance)))
        share += 0.25 * float(each.sum() - 2 * both)
    return share


@pytest.mark.slow
@pytest.mark.parametrize("density", [False, True])
def test_units_active_together_leave_an_atom(density):
    """Rank d from the samples that both units see, phi P d from those that one sees."""
    exact = (1 - 8 * one_active(TOGETHER, FORTY)) / 2
    assert exact == pytest.approx(0.422, abs=0.002)
    found = effective_spectrum(xor(2), FORTY, TOGETHER, 8.0, regularized=False, density=density)
    assert abs(found.attrs["atom"] - exact) < 2 * found.attrs["atom_error"] + 1e-3
    assert found.attrs["atom_error"] < 0.02
    if density:
        assert found.attrs["mass_error"] < 1e-6


def fixed_point(*sets):
    """Noiseless fixed point of four units in the sets 0..3 (mu, -mu, nu, -nu) or None, with the
    spread off the means that training leaves at lambda = 20.
    """
    length = np.log(0.8 / 0.2)
    overlap, readout = np.zeros((4, 2)), np.zeros(4)
    spread = np.zeros((4, 4))
    for i, s in enumerate(sets):
        spread[i, i] = 1e-4 if s is None else 0.0173
        if s is not None:
            size = np.sqrt(length / sets.count(s))
            readout[i] = size if s < 2 else -size
            overlap[i] = size * np.array(XOR["means"][s])
    return State(overlap, spread, readout)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sets", "block"),
    [
        ((0, 1, 2, 3), "first_layer"),
        ((0, 1, 2, 3), "all"),
        ((0, 0, 1, 2), "first_layer"),
        ((0, 0, 2, None), "first_layer"),
        ((0, None, None, None), "first_layer"),
    ],
)
def test_fixed_points_of_four_units(sets, block):
    """Default density, beside dense matrices that share no code with it."""
    state = fixed_point(*sets)
    before = time.process_time()
    found = effective_spectrum(xor(4), TWENTY, state, 4.0, block=block, regularized=False)
    # half of it in the slowest case seen, once compiled
    assert is_within(time.process_time() - before, 20)
    assert found.attrs["mass_error"] < 1e-3
    dimension, seen = 200, []
    for seed in fresh_rng().integers(2**31, size=3):
        drawn = draw(
            relu_logistic,
            **XOR,
            precision=20,
            overlap=state.overlap,
            gram_perp=state.gram_perp,
            readout=state.readout,
            dimension=dimension,
            samples=4 * dimension,
            rng=np.random.default_rng(seed),
        )
        values = np.linalg.eigvalsh(drawn.matrix("hessian"))
        seen.append(np.mean(np.abs(values) < 1e-11 * values.max()))
    # the rank is a count of samples: its spread is at most sqrt(M) / (4 d)
    spread = np.sqrt(4 * dimension) / (4 * dimension) / np.sqrt(len(seen))
    assert abs(np.mean(seen) - found.attrs["atom"]) < 5 * spread + found.attrs["atom_error"]


def test_an_atom_counted_over_too_few_subspaces_is_refuted(monkeypatch):
    """Without the subspaces that units active together fill, nothing is left at zero."""
    monkeypatch.setattr(zero_atom, "NEAR", -1.0)
    found = effective_spectrum(xor(2), FORTY, TOGETHER, 8.0, regularized=False, density=False)
    assert found.attrs["atom"] == 0


def test_directions_and_gauss_rules():
    rng = fresh_rng()
    directions = rng.standard_normal((3, 4))
    which = rng.integers(3, size=200)
    sizes = rng.uniform(-1, 1, 200)
    weight = sizes[:, None, None] * np.einsum("ni,nj->nij", directions[which], directions[which])
    found, classes = distinct_directions(node_weights(weight))
    assert len(found) == 3
    assert len(set(zip(which.tolist(), classes.tolist(), strict=True))) == 3
    nodes, shares = gauss_rule(sizes, np.full(200, 0.005))
    assert nodes.size < sizes.size
    for z in (1.5, -1.2 + 0.3j):
        exact = np.mean(1 / (z - sizes))
        assert abs(np.sum(shares / (z - nodes)) - exact) < 1e-10
