"""Known models against simulation: SGD at two dimensions, the chain, dense blocks, laws.

One list, tests/witness/accepted_models.py, names rows of the table of known models and a wrong
theory for each.
"""

from __future__ import annotations

import numpy as np
import pytest
from accepted_models import ACCEPTED, accepted_problem, random_state, wrong_problem
from helpers import fresh_rng
from known_models import known_model
from law_cases import threshold
from raw_models import raw_samples
from sgd_cases import vectors
from update_cases import agree

from numerics import State, integrate_curves, population_block, simulate_sgd
from verify import check_model
from verify.laws.check_model import LAWS
from verify.laws.sample_means import sample_mean

REPLICAS = 400
# of all entries of a matrix together
FAMILY = 1e-3
# random problems among which one has to tell
TRIALS = 40


def simulated(problem, state, time, dimension, method, rng):
    return vectors(
        simulate_sgd(
            problem, state, [0.0, time], dimension=dimension, replicas=REPLICAS, method=method,
            seed=int(rng.integers(2**32)),
        )
    )  # fmt: skip


def curve_end(problem, state, time):
    curve = integrate_curves(problem, state, [0.0, time], tolerance=1e-3)
    return State.at(curve, time).flatten(), curve.attrs["error_estimate"]


def telling_problem(name, rng):
    """A random problem at which the curve of the wrong theory is another one.

    By theory alone: simulations refute what differs by several times their error.
    """
    for _ in range(TRIALS):
        problem = accepted_problem(name, rng)
        state, time = random_state(problem, rng), ACCEPTED[name].time
        right, wrong = (
            curve_end(p, state, time)[0] for p in (problem, wrong_problem(name, problem))
        )
        if np.abs(right - wrong).max() > ACCEPTED[name].apart:
            return problem, state
    raise AssertionError(f"{name}: the wrong theory is nowhere another one")


def largest_excess(name, problem, state, runs):
    """Largest z of a curve against runs at two dimensions, the part of 1/d taken off."""
    accepted = ACCEPTED[name]
    expected, curve_error = curve_end(problem, state, accepted.time)
    (few, many), (left, right) = accepted.dimensions, runs
    share = many / (many - few)
    limit = share * right.mean(axis=0) - (share - 1) * left.mean(axis=0)
    squares = share**2 * right.var(axis=0) + (share - 1) ** 2 * left.var(axis=0)
    error = np.sqrt(squares / REPLICAS) + 1e-9
    # what is left is of order 1/d^2: no more than the part of 1/d at the larger dimension
    bias = np.abs(left.mean(axis=0) - limit).max() * few / many + curve_error
    return float(((np.abs(limit - expected) - bias) / error).max())


@pytest.mark.slow
@pytest.mark.parametrize("name", ACCEPTED)
def test_runs_at_two_dimensions_follow_the_curve_and_have_the_law_of_the_chain(name):
    rng, accepted = fresh_rng(), ACCEPTED[name]
    problem, state = telling_problem(name, rng)
    direct = [
        simulated(problem, state, accepted.time, d, "direct", rng) for d in accepted.dimensions
    ]
    size = direct[0].shape[1]
    z = largest_excess(name, problem, state, direct)
    refuted = largest_excess(name, wrong_problem(name, problem), state, direct)
    print(f"{name}: {size} statistics, z {z:.2f}, wrong theory {refuted:.1f}")
    assert z <= threshold(size)
    assert refuted > threshold(size)
    for d, runs in zip(accepted.dimensions, direct, strict=True):
        assert agree(runs, simulated(problem, state, accepted.time, d, "reduced", rng))


@pytest.mark.slow
@pytest.mark.parametrize("name", ACCEPTED)
def test_blocks_are_the_means_of_derivatives_of_raw_samples(name):
    """Hessian and gradient matrix along random movements of every unit and of the readout."""
    rng, count = fresh_rng(), 60_000
    problem = accepted_problem(name, rng)
    model, state = problem.model, random_state(problem, rng)
    dimension = model.units + model.directions + 5
    if model.bands > 1:
        smallest = float(min(model.mixture.bands.fractions))
        dimension = round((model.units + model.directions) / smallest)
    samples = raw_samples(problem, state, dimension, count, rng)
    # of a kink in the pre-activations differences of single samples have no second derivative
    seen = {*model.loss.preactivation}
    smooth = not any(kink.free_symbols & seen for kink in model.loss.kinks)
    size = model.units * dimension
    # of every unit a random one and one off the span, where the bulk is all there is
    rows = 2 * model.units + bool(state.readout.size)
    movements = np.zeros((rows, size + state.readout.size))
    for a in range(model.units):
        begin, end = a * dimension, (a + 1) * dimension
        movements[2 * a, begin:end] = rng.standard_normal(dimension)
        movements[2 * a + 1, end - 1] = 1.0
    if state.readout.size:
        movements[-1, size:] = rng.standard_normal(state.readout.size)
    movements /= np.linalg.norm(movements, axis=1, keepdims=True)
    slopes = samples.slopes(movements)
    rows, columns = np.triu_indices(len(movements))
    found = {"gradient": slopes[:, rows] * slopes[:, columns]}
    if smooth:
        found["hessian"] = samples.curvatures(movements)
    refuted = False
    for matrix, values in found.items():
        measured = sample_mean(values, FAMILY)
        spread = values.std(axis=0) / np.sqrt(count)
        parts = quadratic(problem, state, matrix, movements, dimension)
        whole, without_bulk, error = (part[rows, columns] for part in parts)
        bound = sum(part for part, _ in measured.parts) + error + 1e-5
        z = np.abs(measured.value - whole) / (spread + 1e-9)
        print(f"{name}, {matrix}: {len(rows)} entries, z {z.max():.2f}")
        assert (np.abs(measured.value - whole) <= bound).all()
        refuted |= bool((np.abs(measured.value - without_bulk) > bound).any())
    # without their bulk the matrices are others
    assert refuted


def quadratic(problem, state, matrix, movements, dimension):
    """w^T M w' of movements with and without the bulk, and bounds of the error."""
    model = problem.model
    part = "all" if model.readout_size else "first_layer"
    small = population_block(
        problem, state, matrix=matrix, block=part, regularized=False, tolerance=2e-3
    )
    c, q = model.units, model.readout_size
    sizes = np.array([dimension])
    if model.bands > 1:
        sizes = np.array([round(float(rho) * dimension) for rho in model.mixture.bands.fractions])
    places = small.basis.places(sizes)
    first = movements[:, : c * dimension].reshape(len(movements), c, dimension)
    inside = first[:, :, places].reshape(len(movements), -1)
    inside = np.concatenate([inside, movements[:, c * dimension :]], axis=1)
    off = np.ones(dimension)
    off[places] = 0.0
    levels = np.repeat(small.bulk.reshape(-1, c, c), sizes, axis=0) * off[:, None, None]
    assert inside.shape[1] == c * len(places) + q
    value = inside @ small.matrix @ inside.T
    bulk = np.einsum("wai,iab,zbi->wz", first, levels, first, optimize=True)
    error = np.abs(inside) @ small.matrix_error @ np.abs(inside).T + small.bulk_error.max()
    return value + bulk, value, error


@pytest.mark.slow
@pytest.mark.parametrize("name", ACCEPTED)
def test_every_law_holds(name):
    laws = [law for law in LAWS if law not in ACCEPTED[name].dear]
    check_model(known_model(name), only=laws, seed=int(fresh_rng().integers(2**31)))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "law", "seed"),
    [
        ("committee machine (Saad–Solla)", "gradient_of_risk", 2053643277),
        ("multi-index (product of teachers)", "hessian_of_gradient", 1149115333),
        ("multi-index (product of teachers)", "gradient_matrix_psd", 1149115333),
    ],
)
def test_in_four_dimensions_a_second_look_at_a_law_samples(name, law, seed):
    """At these seeds bounds of rules with 13 nodes an axis are too wide to be of use."""
    assert check_model(known_model(name), only=[law], seed=seed).holds


@pytest.mark.slow
@pytest.mark.parametrize("seed", [2, 4])
def test_steps_of_high_powers_are_looked_at_again_with_wider_noise(seed):
    """Products of two fourth powers: of 960000 plain samples a few make the mean."""
    name = "phase retrieval"
    assert check_model(known_model(name), only=["increment_covariance"], seed=seed).holds
