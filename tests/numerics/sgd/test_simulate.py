"""Direct simulation: the law of its steps, its bookkeeping, and what it does in trouble."""

from __future__ import annotations

import os
import signal
import threading
import tracemalloc

import numpy as np
import pytest
import xarray as xr
from helpers import fresh_rng
from sgd_cases import GAMMA, case, vectors

from numerics import (
    DivergenceError,
    Parameters,
    SimulationInterrupted,
    State,
    kernel_source,
    realise_weights,
    simulate_sgd,
    state_of_weights,
)
from theory import InputError, kgmm


def generator(seed, replica, replicas):
    """The random stream of one replica, as documented in the attributes of a run."""
    return np.random.Generator(
        np.random.SFC64(np.random.SeedSequence(seed).spawn(replicas)[replica])
    )


def plain_sgd(name, rng, dimension, steps):
    """The same algorithm as a plain NumPy loop, drawing one uniform and d normal numbers a step."""
    model, raw, parameters, state = case(name)
    directions, x = realise_weights(model, parameters, state, dimension)
    means = np.array(model.mixture.coordinates.tolist(), float) @ directions
    v, delta = state.readout.copy(), parameters.step / dimension
    edges = np.cumsum(parameters.weights)[:-1]
    for _ in range(steps):
        component = int(np.searchsorted(edges, rng.random(), side="right"))
        y = means[component] + rng.standard_normal(dimension) / np.sqrt(parameters.precision)
        sample = raw(np.array([component]), (x @ y)[None], v)
        x = x - delta * (np.outer(sample.g[0], y) + parameters.ridge * x)
        v = v - delta * (sample.readout[0] + parameters.ridge * v)
    return x, v


# --- the steps ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["softmax", "twolayer"])
@pytest.mark.parametrize("dimension", [6, 57])
def test_trajectories_equal_a_plain_loop_fed_with_the_same_stream(name, dimension):
    model, _, parameters, state = case(name)
    seed, steps = int(fresh_rng().integers(2**32)), 200
    delta = parameters.step / dimension
    run = simulate_sgd(
        model,
        parameters,
        state,
        [0.0, steps * delta],
        dimension,
        replicas=3,
        seed=seed,
        keep_weights=True,
    )
    assert run.steps.values.tolist() == [0, steps]
    for replica in range(3):
        x, v = plain_sgd(name, generator(seed, replica, 3), dimension, steps)
        # each step rounds to a few eps; 1e4 covers the growth over 200 steps (errors of the weights
        # are damped)
        limit = 1e4 * np.finfo(float).eps * (1 + np.abs(x).max())
        assert np.abs(run.weights.values[replica] - x).max() < limit
        assert np.abs(run.readout.values[replica, -1] - v).max(initial=0.0) < limit
        expected = state_of_weights(model, parameters, x, v).flatten()
        assert np.abs(vectors(run)[replica] - expected).max() < 10 * limit


def test_statistics_at_step_zero_are_the_initial_state():
    model, _, parameters, state = case("softmax")
    run = simulate_sgd(model, parameters, state, [0.0], 40, replicas=2)
    assert np.abs(vectors(run) - state.flatten()).max() < 1e-14


def test_kept_weights_have_the_recorded_statistics():
    model, _, parameters, state = case("twolayer")
    run = simulate_sgd(model, parameters, state, 0.5, 200, replicas=4, seed=3, keep_weights=True)
    assert run.weights.dims == ("replica", "unit", "coordinate")
    for replica, recorded in enumerate(vectors(run)):
        again = state_of_weights(
            model, parameters, run.weights.values[replica], run.readout.values[replica, -1]
        )
        assert np.abs(again.flatten() - recorded).max() < 1e-12
    gram = run.weights.values @ run.weights.values.transpose(0, 2, 1)
    assert np.abs(gram - run.gram.values[:, -1]).max() < 1e-12
    assert "weights" not in simulate_sgd(model, parameters, state, 0.5, 200)


def test_one_initial_state_per_replica():
    model, _, parameters, state = case("softmax")
    states = [State(scale * state.overlap, state.gram_perp) for scale in (0.0, 0.5, 1.0)]
    run = simulate_sgd(model, parameters, states, [0.0, 0.2], 50, replicas=3, seed=5)
    for scale, start in zip((0.0, 0.5, 1.0), run.overlap.values[:, 0], strict=True):
        assert np.abs(start - scale * state.overlap).max() < 1e-14
    alone = simulate_sgd(model, parameters, state, [0.0, 0.2], 50, replicas=3, seed=5)
    assert np.array_equal(vectors(run)[2], vectors(alone)[2])


# --- randomness and time --------------------------------------------------------------------------


def test_results_depend_on_the_seed_and_not_on_the_workers():
    model, _, parameters, state = case("softmax")

    def simulate(seed, workers, replicas=5):
        return simulate_sgd(
            model, parameters, state, 1.0, 60, replicas=replicas, seed=seed, workers=workers
        )

    first = simulate(11, 1)
    for workers in (1, 2, 7, None):
        assert first.identical(simulate(11, workers))
    assert np.array_equal(vectors(simulate(11, 2, replicas=2)), vectors(first)[:2])
    assert not np.array_equal(vectors(simulate(12, 1)), vectors(first))
    assert len(np.unique(vectors(first)[:, 0])) == 5


def test_time_labels_are_exact_numbers_of_steps():
    model, _, parameters, state = case("softmax")
    dimension = 70
    delta = parameters.step / dimension
    wanted = [0.0, 0.3, 0.301, 0.7, 1.0 + 0.4 * delta]
    run = simulate_sgd(model, parameters, state, wanted, dimension)
    assert run.steps.values.tolist() == sorted({round(t / delta) for t in wanted})
    assert run.time.values.tolist() == [n * delta for n in run.steps.values]
    assert run.sizes["time"] == 4  # 0.3 and 0.301 fall on the same step
    assert run.time.attrs["units"] == "steps * delta, delta = c_delta / d"
    assert run.attrs["step_size"] == delta


def test_recording_more_often_does_not_change_the_path():
    """Also over many slices of the kernel (1,024 steps the first)."""
    model, _, parameters, state = case("softmax")
    fine = simulate_sgd(model, parameters, state, np.linspace(0, 60, 3001), 75, seed=2)
    coarse = simulate_sgd(model, parameters, state, [60.0], 75, seed=2)
    assert fine.sizes["time"] == 3001
    assert np.array_equal(vectors(fine), vectors(coarse))
    assert np.all(np.isfinite(fine.gram_perp))


# --- refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("dimension", {"dimension": 5}, r"dimension: got 5; expected an integer >= 6.*larger d"),
        ("dimension", {"dimension": 100.0}, "dimension: got 100.0"),
        ("replicas", {"replicas": 0}, "replicas: got 0; expected an integer >= 1"),
        ("seed", {"seed": -1}, "seed: got -1"),
        ("workers", {"workers": 0}, "workers: got 0"),
        (
            "initial",
            {"replicas": 3, "initial": 2},
            r"initial: got 2 states; expected one State, or 3",
        ),
        ("time", {"time": [1.0, 0.5]}, "time: .*increasing"),
        ("time", {"time": -1.0}, "time: got -1"),
    ],
)
def test_bad_arguments_are_refused_before_any_work(name, changes, message, monkeypatch):
    model, _, parameters, state = case("softmax")
    monkeypatch.setattr(
        "numerics.sgd.simulate.compile_kernel", lambda loss: pytest.fail("work was started")
    )
    arguments = {"initial": state, "time": [0, 1], "dimension": 50} | changes
    if changes.get("initial"):
        arguments["initial"] = [state] * changes["initial"]
    with pytest.raises(InputError, match=message) as caught:
        simulate_sgd(model, parameters, **arguments)
    assert caught.value.parameter == name


# --- trouble --------------------------------------------------------------------------------------


def exploding():
    """Two layers with a step so large that the weights grow without bound."""
    model, _, _, state = case("twolayer")
    return model, Parameters([0.4, 0.3, 0.1, 0.2], 0.01, 0.5, 500.0, GAMMA), state


@pytest.mark.parametrize(("replicas", "workers"), [(1, 1), (3, 3), (3, 1)])
def test_divergence_stops_with_the_time_reached_and_what_was_recorded(replicas, workers):
    model, parameters, state = exploding()
    with pytest.raises(
        DivergenceError, match=r"diverged at t = .*reduce step .c_delta.*dimension"
    ) as caught:
        simulate_sgd(
            model,
            parameters,
            state,
            np.arange(0, 5000, 10.0),
            50,
            replicas=replicas,
            seed=1,
            workers=workers,
        )
    error = caught.value
    assert 0 < error.reached < 5000
    partial = error.partial
    assert partial.attrs["complete"] == 0
    assert partial.sizes["time"] >= 1, "what was recorded before is lost"
    assert float(partial.time.max()) <= error.reached
    first = partial.isel(time=0)
    assert float(first.time) == 0.0
    assert np.abs(first.overlap.values - state.overlap).max() < 1e-12


def test_a_diverging_replica_stops_the_others_and_is_named_as_in_the_dataset():
    """Replica 2 starts beyond the limit; replica 1 would need seconds to reach its end."""
    model, _, parameters, state = case("softmax")
    states, seen = [state, State(1e11 * state.overlap, state.gram_perp)], []
    with pytest.raises(DivergenceError, match=r"\(replica 2 of 2, d = 100") as caught:
        simulate_sgd(
            model,
            parameters,
            states,
            [0, 1, 1e5],
            100,
            replicas=2,
            seed=1,
            workers=2,
            progress=seen.append,
        )
    assert max(seen, default=0.0) < 0.2, "the other replica ran on"
    assert "ridge" not in str(caught.value)
    assert set(caught.value.partial.replica.values) <= {1, 2}


def test_the_remedy_names_the_ridge_where_it_is_what_makes_steps_unstable():
    model, _, _, state = case("softmax")
    for ridge, named in ((70.0, True), (0.0, False)):
        wild = Parameters([0.5, 0.15, 0.35], 0.001, ridge, 1.5 if named else 1e12, GAMMA)
        with pytest.raises(
            DivergenceError, match=r"Remedy: .*reduce step \(c_delta\) or enlarge dimension"
        ) as caught:
            simulate_sgd(model, wild, state, np.arange(0, 2000, 40) * wild.step / 50, 50)
        assert (
            "reduce ridge: a step multiplies the weights by 1 - delta * ridge = -1.1"
            in str(caught.value)
        ) == named


def test_weights_of_finished_replicas_are_not_kept_in_memory():
    model, _, parameters, state = case("softmax")
    dimension, replicas = 20_000, 40
    states = [State(state.overlap, (1 + i) * state.gram_perp) for i in range(replicas)]
    size = 3 * dimension * 8

    def peak(**options):
        tracemalloc.start()
        try:
            simulate_sgd(
                model, parameters, states, [0.0], dimension, replicas=replicas, workers=1, **options
            )
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak()
    assert peak() < 8 * size
    assert replicas * size <= peak(keep_weights=True) < (replicas + 8) * size


def long_run(progress, replicas=2):
    """Hours of simulation."""
    model, _, parameters, state = case("softmax")
    time = np.concatenate([np.arange(0, 50.0), [1e7]])
    return simulate_sgd(
        model,
        parameters,
        state,
        time,
        100,
        replicas=replicas,
        seed=4,
        workers=replicas,
        progress=progress,
    )


def assert_partial(partial):
    assert partial.attrs["complete"] == 0
    assert 1 <= partial.sizes["time"] <= 50
    assert np.all(np.isfinite(partial.gram_perp))
    model, _, parameters, state = case("softmax")
    again = simulate_sgd(model, parameters, state, partial.time.values, 100, replicas=2, seed=4)
    assert np.array_equal(again.sel(replica=partial.replica).overlap.values, partial.overlap.values)


def test_interrupt_from_the_progress_callback_keeps_what_was_recorded():
    seen = []

    def progress(fraction):
        seen.append(fraction)
        if len(seen) >= 3:
            raise KeyboardInterrupt

    with pytest.raises(SimulationInterrupted) as caught:
        long_run(progress)
    assert isinstance(caught.value, KeyboardInterrupt)
    assert_partial(caught.value.partial)


def test_interrupt_by_signal_keeps_what_was_recorded():
    # tests in the background may have inherited that the signal is ignored
    inherited = signal.signal(signal.SIGINT, signal.default_int_handler)
    started = threading.Event()

    def interrupt():
        started.wait(60)
        os.kill(os.getpid(), signal.SIGINT)

    sender = threading.Thread(target=interrupt)
    sender.start()
    calls = []

    def progress(fraction):
        calls.append(fraction)
        if len(calls) >= 3:
            started.set()

    try:
        with pytest.raises(SimulationInterrupted) as caught:
            long_run(progress)
    finally:
        signal.signal(signal.SIGINT, inherited)
    sender.join()
    assert_partial(caught.value.partial)


def test_progress_goes_from_near_zero_to_one():
    model, _, parameters, state = case("softmax")
    seen = []
    simulate_sgd(
        model, parameters, state, [300.0], 100, replicas=3, workers=1, progress=seen.append
    )
    assert seen == sorted(seen)
    assert 0 < seen[0] <= 1
    assert seen[-1] == 1.0


# --- results --------------------------------------------------------------------------------------


def test_runs_survive_a_file(tmp_path):
    model, _, parameters, state = case("twolayer")
    run = simulate_sgd(
        model, parameters, state, [0, 0.5], 50, replicas=2, seed=9, keep_weights=True
    )
    run.to_netcdf(tmp_path / "run.nc")
    with xr.open_dataset(tmp_path / "run.nc") as back:
        assert set(back.data_vars) == set(run.data_vars)
        for name in run.data_vars:
            assert np.array_equal(back[name].values, run[name].values)
            assert back[name].attrs == run[name].attrs
            assert "units" in back[name].attrs
        assert dict(back.attrs) == dict(run.attrs)
    expected = {
        "seed",
        "dimension",
        "step_size",
        "bit_generator",
        "error_estimate",
        "library_versions",
        "specalign_version",
        "parameters",
        "loss",
        "model",
        "source",
    }
    assert expected <= set(run.attrs)
    assert (run.attrs["seed"], run.attrs["dimension"], run.attrs["complete"]) == (9, 50, 1)
    assert run.overlap.dims == ("replica", "time", "unit", "direction")
    assert run.gram_perp.dims == ("replica", "time", "unit", "unit_b")
    assert run.replica.values.tolist() == [1, 2]


def test_kernel_source_is_generated_from_the_loss_and_printable():
    source = kernel_source(kgmm(4).loss)
    compile(source, "kernel", "exec")
    assert "def sample_gradient(y, u, v, out):" in source
    assert "u3 += x[3, i] * z" in source
    assert "x[4, i] = " not in source
    assert "@" not in source.replace("@numba", "")
