"""Noise of other laws: its moments, where it lies, and what a user's sampler is asked for."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
from helpers import fresh_rng
from sgd_cases import case, vectors

from numerics import TIME, Noise, Parameters, State, integrate_curves, simulate_sgd
from theory import InputError, Loss, Mixture, Model, symbols

LAWS = {
    "gaussian": scipy.stats.norm(),
    "uniform": scipy.stats.uniform(-np.sqrt(3), 2 * np.sqrt(3)),
    "student:5": scipy.stats.t(5, scale=np.sqrt(3 / 5)),
    "student:2.5": scipy.stats.t(2.5, scale=np.sqrt(0.5 / 2.5)),
}


def walk():
    """g = 1: one step moves the overlap by -delta (Y . e), so that a record is a noise entry."""
    u = symbols.vector("u", 1)
    one = Mixture.build(weights=[1], labels=[0], coordinates=[[1]], directions_gram=[[1]])
    return (
        Model.build(one, Loss(u[0], units=1)),
        Parameters([1], 4.0, 0.0, 1.0),
        State([[0.0]], [[0.0]]),
    )


def entries(noise, count, seed, frame="coordinate", dimension=2):
    model, parameters, state = walk()
    delta = parameters.step / dimension
    run = simulate_sgd(
        model, parameters, state, [delta], dimension, count, seed, noise=noise, frame=frame
    )
    return (-run.overlap.values.ravel() / delta - 1) * np.sqrt(parameters.precision)


@pytest.mark.slow
@pytest.mark.parametrize("noise", LAWS)
def test_entries_have_the_named_law(noise):
    found = entries(noise, 20_000, int(fresh_rng().integers(2**31)))
    assert scipy.stats.kstest(found, LAWS[noise].cdf).pvalue > 1e-6


@pytest.mark.slow
def test_rademacher_entries_are_signs():
    found = entries("rademacher", 20_000, int(fresh_rng().integers(2**31)))
    np.testing.assert_allclose(np.abs(found), 1, atol=1e-12)
    assert scipy.stats.binomtest(int((found > 0).sum()), found.size).pvalue > 1e-6


@pytest.mark.slow
def test_a_random_frame_mixes_many_entries():
    """Along a random direction of R^400 signs are nearly Gaussian; along a coordinate they are
    signs.
    """
    found = entries("rademacher", 4000, int(fresh_rng().integers(2**31)), "random", 400)
    assert scipy.stats.kstest(found, scipy.stats.norm().cdf).pvalue > 1e-6
    assert np.unique(np.abs(found).round(6)).size > 100


@pytest.mark.slow
@pytest.mark.parametrize("name", ["softmax", "twolayer"])
def test_gaussian_noise_does_not_know_the_frame(name):
    """Same law in a random frame, and the start is realised exactly there too."""
    model, _, parameters, state = case(name)
    rng = fresh_rng()
    runs = [
        simulate_sgd(
            model,
            parameters,
            state,
            [0.0, 1.0],
            20,
            4000,
            int(rng.integers(2**31)),
            frame=frame,
            keep_weights=True,
        )
        for frame in ("coordinate", "random")
    ]
    np.testing.assert_allclose(
        vectors(runs[1], 0), np.broadcast_to(state.flatten(), (4000, state.flatten().size))
    )
    p = [
        scipy.stats.ks_2samp(a, b).pvalue
        for a, b in zip(vectors(runs[0]).T, vectors(runs[1]).T, strict=True)
    ]
    assert min(p) > 1e-6 / len(p)
    # the weights and directions returned have the statistics recorded
    x, e = runs[1].weights.values, runs[1].directions.values
    np.testing.assert_allclose(np.einsum("nai,nsi->nas", x, e), runs[1].overlap[:, -1], atol=1e-10)
    np.testing.assert_allclose(
        np.einsum("nsi,nti->nst", e, e)[0], parameters.directions_gram, atol=1e-12
    )
    np.testing.assert_allclose(np.einsum("nai,nbi->nab", x, x), runs[1].gram[:, -1], atol=1e-10)


def test_a_sampler_of_the_users_is_asked_for_whole_blocks():
    model, _, parameters, state = case("softmax")
    shapes = []

    def sampler(generator, shape):
        shapes.append(shape)
        return generator.standard_normal(shape)

    options = {"dimension": 30, "replicas": 3, "seed": 2, "noise": sampler, "batch": 2}
    one = simulate_sgd(model, parameters, state, 2.0, workers=1, **options)
    three = simulate_sgd(model, parameters, state, 2.0, workers=3, **options)
    np.testing.assert_array_equal(one.overlap, three.overlap)
    assert len(set(shapes)) == 1
    assert shapes[0][1] == 30
    assert "sampler" in one.attrs["noise"]


@pytest.mark.slow
def test_a_sampler_with_correlated_entries_is_taken_as_it_is():
    """Noise along (1, 1, .., 1) alone, of variance 1 a coordinate."""
    model, parameters, state = walk()

    def common(generator, shape):
        return np.broadcast_to(generator.standard_normal((shape[0], 1)), shape)

    run = simulate_sgd(
        model,
        parameters,
        state,
        [0.25],
        4,
        500,
        noise=common,
        frame="coordinate",
        keep_weights=True,
    )
    noise = run.weights.values[:, 0] / -0.25 - [1, 0, 0, 0]
    np.testing.assert_allclose(noise, noise[:, :1] * np.ones(4), atol=1e-12)


@pytest.mark.parametrize(
    ("sampler", "message"),
    [
        (
            lambda g, s: g.standard_normal(s[::-1]),
            r"noise: got an array of shape .* expected shape",
        ),
        (lambda g, s: np.full(s, np.nan), r"noise: got numbers from .* that are not finite"),
    ],
)
def test_bad_samplers_are_refused(sampler, message):
    model, parameters, state = walk()
    with pytest.raises(InputError, match=message):
        simulate_sgd(model, parameters, state, [1.0], 40, 2, noise=sampler)


def test_names():
    assert str(Noise.of("student:4.5")) == "student:4.5"
    assert Noise.of(Noise("uniform")) == Noise("uniform")


# --- batches and schedules in the curves ----------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("name", ["softmax", "twolayer"])
def test_curves_with_a_constant_schedule_and_batches(name):
    """schedule = 2 is twice the step at half the time; a batch of b divides the step of the
    corrector alone.
    """
    model, _, given, state = case(name)

    def other(step):
        return Parameters(given.weights, given.precision, given.ridge, step, given.directions_gram)

    twice = integrate_curves(model, given, state, [0.0, 1.0], schedule=2 + 0 * TIME)
    same = integrate_curves(model, other(2 * given.step), state, [0.0, 2.0])
    np.testing.assert_allclose(twice.overlap, same.overlap, atol=1e-7)
    np.testing.assert_allclose(twice.gram_perp, same.gram_perp, atol=1e-7)
    batches = integrate_curves(model, given, state, [0.0, 1.0], batch=3)
    less = integrate_curves(model, other(given.step / 3), state, [0.0, 1.0])
    np.testing.assert_allclose(batches.gram_perp, less.gram_perp, atol=1e-7)
    assert batches.attrs["batch"] == 3


@pytest.mark.slow
def test_curves_with_a_schedule_are_what_the_chain_does():
    """At d = 10^7 one run is within 6e-4 of the curve; without the schedule it is not."""
    model, _, parameters, state = case("softmax")
    schedule = 1 / (1 + 20 * TIME)
    run = simulate_sgd(
        model,
        parameters,
        state,
        [0.1, 0.2],
        10**7,
        seed=int(fresh_rng().integers(2**31)),
        method="reduced",
        batch=2,
        schedule=schedule,
    )
    curve = integrate_curves(model, parameters, state, run.time.values, schedule=schedule, batch=2)
    plain = integrate_curves(model, parameters, state, run.time.values)
    assert float(abs(run.gram_perp[0] - curve.gram_perp).max()) < 2e-3
    assert float(abs(run.overlap[0] - curve.overlap).max()) < 2e-3
    assert float(abs(run.gram_perp[0] - plain.gram_perp).max()) > 2e-2
