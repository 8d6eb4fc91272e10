"""Samples of one's own: what they give, and what is refused; train data and test data at the same
weights.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
from helpers import fresh_rng, two_layer_model

import numerics
from numerics import (
    Parameters,
    Problem,
    State,
    draw_data,
    empirical_density,
    empirical_spectrum,
    realise_weights,
    simulate_sgd,
    train_data,
    user_data,
    with_samples,
)
from numerics.core.geometry import coordinates_of, labels_of
from numerics.data import sources
from numerics.data.mixture_samples import sample_mixture
from theory import InputError, kgmm, xor

EPS = np.finfo(float).eps
SOFTMAX = Parameters([0.5, 0.3, 0.2], 10.0, 0.1, 1.0)
STATE = State(2.0 * np.eye(3) - 0.5, 0.5 * np.eye(3) + 0.1)


@lru_cache(maxsize=None)
def softmax():
    return kgmm(3)


def own(rng, problem=None, samples=80, d=12, **options):
    labels = rng.integers(1, 4, size=samples)
    x = rng.standard_normal((3, d))
    return user_data(
        problem or softmax(),
        rng.standard_normal((samples, d)),
        labels,
        x,
        **{"ridge": 0.1} | options,
    )


# --- the same functions for both ------------------------------------------------------------------


@pytest.mark.parametrize("block", ["full", (0, 0), (0, 1)])
def test_given_samples_give_what_drawn_ones_give(block):
    """The arrays of drawn data, in a rotated frame: same spectrum, same alignment."""
    rng = fresh_rng()
    drawn = draw_data(softmax(), SOFTMAX, STATE, 20, 100, int(rng.integers(2**31)))
    turn = np.linalg.qr(rng.standard_normal((20, 20)))[0]
    given = user_data(
        Problem(softmax(), SOFTMAX),
        drawn.features @ turn,
        drawn.labels,
        drawn.weights @ turn,
        directions=drawn.directions @ turn,
    )
    for part in ("overlap", "gram_perp"):
        assert np.abs(getattr(given.state, part) - getattr(STATE, part)).max() < 1e-12
    for matrix in ("hessian", "gradient"):
        first, second = (
            empirical_spectrum(data, matrix=matrix, block=block, count=4) for data in (drawn, given)
        )
        assert set(first) == set(second)
        for name in set(first) - {"eigenvector", "residual"}:
            # sums in another frame; leading vectors of these few are well separated at random
            assert np.abs(first[name] - second[name]).max() < 1e-8, name
    assert given.attributes()["data"] == "test data"


def test_without_directions_nothing_is_measured_against_them():
    data = own(fresh_rng())
    assert data.state is None
    whole, block = (
        empirical_spectrum(data, count=4),
        empirical_spectrum(data, block=(0, 0), count=4),
    )
    absent = {
        "share_of_directions",
        "mean_overlap",
        "principal_angle",
        "misfit",
        "row_share_of_directions",
    }
    for found in (whole, block):
        assert not absent & set(found)
    assert "row_weight" in whole
    assert "unit_share" in block  # needs the weights alone
    assert empirical_spectrum(data, count=4).identical(whole)


def test_a_function_of_data_refuses_what_data_bring():
    data = own(fresh_rng())
    with pytest.raises(InputError, match="dimension: got a value beside data"):
        empirical_spectrum(data, dimension=12)
    with pytest.raises(InputError, match="seed: got None; expected a value, to draw with"):
        empirical_spectrum(softmax(), SOFTMAX, STATE, dimension=12, samples=20)
    population = numerics.population_spectrum(softmax(), SOFTMAX, STATE, block=(0, 0))
    with pytest.raises(
        InputError, match="beside: got a population spectrum; expected None for data without dir"
    ):
        empirical_spectrum(data, block=(0, 0), beside=population)


@pytest.mark.slow
def test_float32_is_drawn_and_kept():
    data = draw_data(
        softmax(), SOFTMAX, STATE, 30, 5000, int(fresh_rng().integers(2**31)), dtype="float32"
    )
    assert data.features.dtype == np.float32
    # the law: component means, variance 1 / lambda; five standard errors would happen once in a
    # million
    means = (coordinates_of(softmax()) @ data.directions)[data.labels.astype(int) - 1]
    rest = (data.features - means) * np.sqrt(10)
    assert abs(rest.mean()) < 5 / np.sqrt(rest.size)
    assert abs(rest.var() - 1) < 5 * np.sqrt(2 / rest.size)
    found = empirical_spectrum(data, count=3)
    assert found.converged.all()


def test_drawing_in_blocks_is_drawing_at_once(monkeypatch):
    directions, _ = realise_weights(softmax(), SOFTMAX, STATE, 9)
    seed = int(fresh_rng().integers(2**31))
    whole = sample_mixture(softmax(), SOFTMAX, directions, 57, np.random.default_rng(seed))
    monkeypatch.setattr("numerics.data.mixture_samples.BLOCK_NUMBERS", 40)
    blocks = sample_mixture(softmax(), SOFTMAX, directions, 57, np.random.default_rng(seed))
    for a, b in zip(whole, blocks, strict=True):
        np.testing.assert_array_equal(a, b)


# --- train data -----------------------------------------------------------------------------------


def direct_samples(model, parameters, state, d, steps, seed):
    """The samples that the direct simulation draws, one uniform and d normal numbers a step."""
    generator = np.random.Generator(np.random.SFC64(np.random.SeedSequence(seed).spawn(1)[0]))
    directions, x = realise_weights(model, parameters, state, d)
    cumulative = np.cumsum(parameters.weights)
    component, features = np.empty(steps, dtype=int), np.empty((steps, d))
    for s in range(steps):
        component[s] = min(
            np.searchsorted(cumulative, generator.random(), side="right"), cumulative.size - 1
        )
        features[s] = generator.standard_normal(d) / np.sqrt(parameters.precision)
    features += (coordinates_of(model) @ directions)[component]
    return features, labels_of(model)[component], directions, x


SYSTEMS = {
    "softmax": (lambda: kgmm(3), SOFTMAX, State(np.zeros((3, 3)), np.eye(3))),
    "xor": (
        lambda: xor(3),
        Parameters([0.25] * 4, 10.0, 0.05, 1.0, np.eye(2)),
        State([[1.0, 0.2], [-0.5, 0.4], [0.1, -0.8]], 0.5 * np.eye(3), [1.0, -0.7, 0.4]),
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "batch"), [("softmax", 1), ("softmax", 4), ("xor", 1), ("xor", 2)]
)
def test_one_pass_is_the_direct_simulation(name, batch):
    make, parameters, state = SYSTEMS[name]
    model, d, seed = make(), 40, int(fresh_rng().integers(2**31))
    run = simulate_sgd(
        model, parameters, state, [2.0], d, 1, seed=seed, keep_weights=True, batch=batch
    )
    steps = int(run.steps[-1]) * batch
    features, labels, directions, x = direct_samples(model, parameters, state, d, steps, seed)
    problem = Problem(model, parameters)
    start = user_data(problem, features, labels, x, readout=state.readout, directions=directions)
    trained = train_data(start, batch=batch)
    # the same operations: what compilers may reorder grows by less than the number of steps
    bound = 100 * EPS * steps
    assert np.abs(trained.weights - run.weights.values[0]).max() < bound
    assert np.abs(trained.state.overlap - run.overlap.values[0, -1]).max() < 10 * bound
    if state.readout.size:
        assert np.abs(trained.readout - run.readout.values[0, -1]).max() < bound
    assert trained.role == "train data"
    assert np.array_equal(start.weights, x)  # the start stays
    # mutants: samples in another order, a ridge that is lost
    other = train_data(
        replace(
            start,
            source=user_data(problem, features[::-1], labels, x, readout=state.readout).source,
        ),
        batch=batch,
    )
    assert np.abs(other.weights - trained.weights).max() > 1e3 * bound
    assert (
        np.abs(train_data(replace(start, ridge=0.0), batch=batch).weights - trained.weights).max()
        > 1e3 * bound
    )


@pytest.mark.slow
@pytest.mark.parametrize("where", ["mapped", "streamed", "float32"])
def test_training_reads_data_wherever_they_are(where, tmp_path, monkeypatch):
    monkeypatch.setattr("numerics.data.train_data.BLOCK_NUMBERS", 500)
    data = own(fresh_rng(), samples=100)
    if where == "float32":
        data = with_samples(data, data.features.astype(np.float32), data.labels)
        other = with_samples(data, data.features.astype(float), data.labels)
    elif where == "mapped":
        np.save(tmp_path / "x.npy", data.features)
        other = with_samples(data, tmp_path / "x.npy", data.labels)
    else:

        def chunks():
            for start in range(0, 100, 20):
                yield data.features[start : start + 20], data.labels[start : start + 20]

        other = with_samples(data, chunks, None)
    for options in ({}, {"batch": 10}, {"schedule": lambda t: 1 / (1 + t)}):
        first, second = (train_data(each, step=2.0, **options) for each in (data, other))
        assert np.abs(first.weights - second.weights).max() < 1e-12
    assert (
        np.abs(train_data(data, step=2.0).weights - train_data(data, step=1.0).weights).max() > 1e-3
    )


def test_train_and_test_spectra_stand_beside_each_other():
    model, rng = softmax(), fresh_rng()
    start = draw_data(
        model, SOFTMAX, State(np.zeros((3, 3)), np.eye(3)), 60, 480, int(rng.integers(2**31))
    )
    train = train_data(start)
    test = train.fresh(480, int(rng.integers(2**31)))
    assert np.array_equal(train.weights, test.weights)
    assert not np.array_equal(train.features, test.features)
    for data, role in ((train, "train data"), (test, "test data")):
        spectrum, law = empirical_spectrum(data, count=3), empirical_density(data)
        for found in (spectrum, law):
            assert found.attrs["data"] == role
            assert found.attrs["source"] == f"empirical, {role}"
    # the trained weights fit their own samples no worse, beyond five standard errors of these few
    right = [np.argmax(data.preactivations, axis=0) + 1 == data.labels for data in (train, test)]
    spread = np.sqrt(sum(r.var() + 1 / r.size for r in right) / 480)
    assert right[0].mean() - right[1].mean() > -5 * spread


def test_training_that_cannot_be_is_refused():
    data = own(fresh_rng())
    for change, message in (
        ({"step": 1.0, "batch": 7}, "batch: got 7; expected a divisor of the 80 samples"),
        ({"step": 0.0}, "step: got 0"),
        ({}, "step: got None; expected a number > 0"),
        ({"step": 1.0, "schedule": lambda t: -t}, "schedule: got"),
    ):
        with pytest.raises(InputError, match=message):
            train_data(data, **change)
    with pytest.raises(ArithmeticError, match=r"diverged at sample \d+ of 80"):
        train_data(data, step=1e12)
    with pytest.raises(InputError, match="data: got samples of an unknown mixture"):
        data.fresh(10, 0)


# --- bad input ------------------------------------------------------------------------------------

X, Y, W = np.ones((4, 2)), np.array([1, 2, 3, 1]), np.ones((3, 2))
BAD = np.array([[1.0, 0.0], [0.0, 1.0], [np.nan, 0.0], [0.0, 0.0]])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"features": np.ones((4, 3))}, r"features: got shape \(4, 3\); expected \(samples, 2\)"),
        ({"features": np.ones(4)}, r"features: got shape \(4,\)"),
        ({"features": np.ones((0, 2)), "labels": []}, "features: got no rows"),
        ({"features": BAD}, "features: got NaN or infinity in row 2"),
        (
            {"features": np.ones((4, 2), dtype=complex)},
            "features: got dtype complex128; expected real numbers",
        ),
        ({"features": "nowhere.npy"}, "features: got nowhere.npy; expected a .npy file"),
        ({"features": lambda: []}, "features: got no chunk"),
        (
            {"features": lambda: [np.ones((4, 2))]},
            r"features, chunk 1: got ndarray; expected a pair \(X, y\)",
        ),
        ({"features": lambda: [(X, Y), (X[:, :1], Y)]}, "features, chunk 2: got shape"),
        (
            {"features": lambda: [(X, Y), (X.astype("f"), Y)]},
            "features, chunk 2: got float32; expected float64",
        ),
        ({"features": lambda: [(X, Y[:2])]}, r"features, chunk 1: got labels of shape \(2,\)"),
        ({"labels": [1, 2, 3]}, "labels: got 3 labels; expected 4, one per sample"),
        ({"labels": [0, 1, 2, 1]}, "labels: got 0 at sample 0; expected one of 1, 2, 3"),
        ({"labels": None}, "labels: got None; expected one label per sample"),
        ({"features": lambda: [(X, Y)], "labels": Y}, "labels: got labels beside chunks"),
        ({"weights": np.ones((2, 2))}, r"weights: got shape \(2, 2\); expected shape \(3, d\)"),
        ({"readout": [1.0]}, "readout: got 1 numbers; expected 0"),
        ({"ridge": None}, "ridge: got None; expected a number >= 0"),
        ({"ridge": -1}, "ridge: got -1"),
        ({"role": "validation"}, "role: got 'validation'; expected one of test data, train data"),
        ({"directions": np.eye(2)}, r"directions: got shape \(2, 2\); expected shape \(3, 2\)"),
        ({"directions": np.ones((3, 2))}, "directions: got .* expected a positive definite matrix"),
        (
            {"ridge": 0.3, "problem": Problem(softmax(), SOFTMAX)},
            "ridge: got 0.3; expected 0.1, that of the problem",
        ),
    ],
)
def test_bad_samples_are_named(change, message):
    call = {"problem": softmax(), "features": X, "labels": Y, "weights": W, "ridge": 0.0} | change
    if callable(call["features"]) and "labels" not in change:
        call["labels"] = None
    with pytest.raises(InputError, match=message):
        user_data(**call)


def test_directions_of_another_gram_matrix_are_refused():
    with pytest.raises(
        InputError, match="directions: got a Gram matrix off by 3; expected that of the problem"
    ):
        own(fresh_rng(), Problem(softmax(), SOFTMAX), directions=2 * np.eye(3, 12))


def test_an_iterator_cannot_be_read_twice():
    once = iter([(X, Y)])
    with pytest.raises(InputError, match="features: got the same iterator at every call"):
        user_data(softmax(), lambda: once, None, W, ridge=0.0)


def test_chunks_that_change_are_noticed():
    rounds = []

    def chunks():
        rounds.append(1)
        yield X, Y
        if len(rounds) < 3:  # the constructor calls twice
            yield X, Y

    data = user_data(softmax(), chunks, None, W, ridge=0.0)
    with pytest.raises(InputError, match="features: got 4 samples in this pass; expected 8"):
        empirical_spectrum(data, count=2)


def test_chunks_of_many_samples_state_how_many(monkeypatch):
    monkeypatch.setattr(sources, "MOST_SAMPLES", 5)

    def chunks():
        return [(X, Y), (X, Y)]

    with pytest.raises(InputError, match=r"8 samples .* and no end; .* samples=\.\.\."):
        user_data(softmax(), chunks, None, W, ridge=0.0)
    assert user_data(softmax(), chunks, None, W, ridge=0.0, samples=8).samples == 8
    for wrong, found in ((6, "8 or more"), (9, "8 that")):
        with pytest.raises(InputError, match=f"samples: got {wrong}; expected {found}"):
            user_data(softmax(), chunks, None, W, ridge=0.0, samples=wrong)
    with pytest.raises(InputError, match="samples: got 5; expected 4 that features have"):
        user_data(softmax(), X, Y, W, ridge=0.0, samples=5)


def test_models_with_readout_need_it():
    with pytest.raises(InputError, match="readout: got 0 numbers; expected 2"):
        user_data(two_layer_model(), X, [0, 1, 1, 0], np.ones((2, 2)), ridge=0.0)
