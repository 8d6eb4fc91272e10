"""Sweeps: the grid, the labels, the same numbers on any executor, points that fail."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import xarray as xr
from sweep_helpers import COUNTED, DEADLY, FAILING, THREADS, WRONG, build, computed, small

from numerics import (
    MEASUREMENTS,
    Measurement,
    MeasureOptions,
    Parameters,
    Problem,
    RandomStart,
    Setting,
    State,
    Sweep,
    SweepError,
    SweepInterrupted,
    Trial,
    Variable,
    integrate_curves,
    open_store,
    run_sweep,
    simulate_sgd,
)
from numerics.sweeps.executors import Engine
from numerics.sweeps.run import run_point
from theory import InputError, kgmm, xor


@pytest.fixture(autouse=True)
def traced(monkeypatch, tmp_path):
    monkeypatch.setenv("SWEEP_TRACE", str(tmp_path / "trace.txt"))


@pytest.fixture
def threads():
    with ThreadPoolExecutor(2) as executor:
        yield executor


# --- the grid -------------------------------------------------------------------------------------


def test_the_grid_is_the_product_with_the_last_axis_fastest():
    sweep = small()
    assert sweep.total == 6
    assert [sweep.values(i) for i in (0, 1, 3)] == [
        {"precision": 5, "dimension": 20},
        {"precision": 5, "dimension": 30},
        {"precision": 10, "dimension": 20},
    ]


@pytest.mark.slow
def test_a_store_opens_as_a_labelled_dataset_with_units(tmp_path, threads):
    run_sweep(small("statistics", "curve"), tmp_path / "s.zarr", threads)
    data = xr.open_zarr(tmp_path / "s.zarr")
    assert data.overlap.dims == ("precision", "dimension", "replica", "time", "unit", "direction")
    assert data.dimension.values.tolist() == [20, 30, 40]
    assert data.time.attrs["units"] == "steps * delta, delta = c_delta / d"
    assert all({"units", "long_name"} <= v.attrs.keys() for v in data.data_vars.values())
    assert data.precision.attrs["long_name"].startswith("lambda")
    assert data.seconds.attrs["units"] == "s"
    assert data.status.dtype == np.int8
    assert (data.status == 1).all()
    assert (data.seconds > 0).all()
    assert not data.isnull().any().to_array().any()
    assert {"specalign_version", "library_versions", "configuration"} <= data.attrs.keys()
    assert "readout" not in data  # kgmm has none
    one = data.sel(precision=10, dimension=30)
    setting = build({"precision": 10, "dimension": 30})
    curve = integrate_curves(setting.model, setting.parameters, setting.initial, [0, 0.5, 1])
    np.testing.assert_array_equal(one.curve_overlap.values, curve.overlap.values)


def test_a_point_is_an_ordinary_simulation(tmp_path, threads):
    sweep = small("statistics", precision=[10])
    data = run_sweep(sweep, tmp_path / "s.zarr", threads)
    trial, setting = Trial(sweep.settings[0], 7, 0), sweep.settings[0]
    runs = simulate_sgd(
        setting.model,
        setting.parameters,
        setting.initial,
        [0, 0.5, 1],
        20,
        2,
        trial.seed("sgd"),
        method="reduced",
    )
    np.testing.assert_array_equal(data.overlap[0].values, runs.overlap.values)


def test_lists_and_texts_are_labelled_axes(tmp_path, threads):
    sweep = small(COUNTED, weights=[[0.5, 0.5], [0.25, 0.75]], precision=[5])
    data = run_sweep(sweep, tmp_path / "s.zarr", threads)
    assert data["weights"].values.tolist() == [1, 2]
    assert data.weights_label.values.tolist() == ["[0.5, 0.5]", "[0.25, 0.75]"]


def test_sizes_that_differ_are_padded(tmp_path, threads):
    data = run_sweep(small("statistics", k=[2, 3], replicas=[1, 2]), tmp_path / "s.zarr", threads)
    assert dict(data.misalignment.sizes) == {
        "k": 2,
        "replicas": 2,
        "replica": 2,
        "time": 3,
        "unit": 3,
    }
    present = np.isfinite(data.misalignment.isel(time=0).values)
    assert present[1, 1].all()
    assert present[0, 0].tolist() == [[True, True, False], [False] * 3]


def test_times_within_a_step_share_a_record():
    setting = Setting(
        Problem(kgmm(2), Parameters([0.5, 0.5], 10, 0.1, 1)),
        State(np.zeros((2, 2)), np.eye(2)),
        time=[0, 0.51, 0.52, 1],
        dimension=10,
    )
    overlap = Trial(setting, 0, 0).records("overlap")
    assert overlap.shape == (1, 4, 2, 2)
    np.testing.assert_array_equal(overlap[:, 1], overlap[:, 2])


# --- the same numbers anywhere --------------------------------------------------------------------

EVERYTHING = tuple(MEASUREMENTS)


@pytest.mark.slow
def test_threads_of_any_number_give_the_same_bits(tmp_path):
    sweeps = []
    for workers in (1, 3):
        with ThreadPoolExecutor(workers) as executor:
            sweeps.append(
                run_sweep(
                    small(*EVERYTHING, precision=[5, 10]), tmp_path / f"{workers}.zarr", executor
                )
            )
    xr.testing.assert_identical(
        *(s.load().drop_vars("seconds").drop_attrs(deep=False) for s in sweeps)
    )


@pytest.mark.slow
def test_processes_of_any_number_give_the_same_bits(tmp_path, threads):
    sweep = small(*EVERYTHING)
    found = [run_sweep(sweep, tmp_path / "t.zarr", threads)]
    found += [run_sweep(sweep, tmp_path / f"{n}.zarr", workers=n) for n in (1, 2)]
    first, *others = (data.load().drop_vars("seconds").drop_attrs(deep=False) for data in found)
    assert np.isfinite(first.alignment).all()
    for other in others:
        xr.testing.assert_identical(first, other)


def test_what_else_is_measured_does_not_matter(tmp_path, threads):
    alone = run_sweep(small("risk", precision=[5]), tmp_path / "a.zarr", threads)
    together = run_sweep(
        small("gap", "alignment", "risk", precision=[5]), tmp_path / "b.zarr", threads
    )
    np.testing.assert_array_equal(alone.loss.values, together.loss.values)


def test_seeds_change_everything_random(tmp_path, threads):
    data = run_sweep(small(COUNTED, seed=[1, 2], precision=[5, 10]), tmp_path / "s.zarr", threads)
    assert np.unique(data.noise.values).size == data.noise.size
    axis = small(COUNTED, seed=[1, 2], precision=[5, 10])
    assert [axis.entropy(i) for i in range(4)] == [1, 1, 2, 2]
    expected = np.random.default_rng(Trial(axis.settings[3], 2, 3).sequence("noise")).normal(size=2)
    np.testing.assert_array_equal(data.noise.sel(seed=2, precision=10).values, expected)


# --- points that fail -----------------------------------------------------------------------------


def test_a_failing_point_is_recorded_and_the_others_are_done(tmp_path, threads, monkeypatch):
    told = []
    data = run_sweep(
        small(FAILING), tmp_path / "s.zarr", threads, progress=lambda *n: told.append(n)
    )
    assert data.status.values.tolist() == [[2, 2, 2], [1, 1, 1]]
    assert str(data.error.values[0, 0]).startswith(
        "ZeroDivisionError: precision five, ünlucky (sweep_helpers.py, line"
    )
    assert str(data.error.values[1, 0]) == ""
    assert np.isnan(data.noise.values[0]).all()
    assert told[0] == (0, 0, 6)
    assert told[-1] == (3, 3, 6)
    run_sweep(small(FAILING), tmp_path / "s.zarr", threads)
    assert len(computed()) == 6  # a failed point is finished too
    monkeypatch.setenv("SWEEP_MENDED", "1")
    data = run_sweep(small(FAILING), tmp_path / "s.zarr", threads, retry_failed=True)
    assert (data.status == 1).all()
    assert (data.error == "").all()
    assert len(computed()) == 9


def test_a_measurement_that_breaks_its_word_fails(tmp_path, threads):
    data = run_sweep(small(WRONG, precision=[5]), tmp_path / "s.zarr", threads)
    assert "noise has shape (3,), declared is (2,)" in str(data.error.values[0])


def test_diverging_sgd_is_a_failed_point(tmp_path, threads):
    data = run_sweep(small("statistics", ridge=[0.1, 1000.0]), tmp_path / "s.zarr", threads)
    assert data.status.values.tolist() == [1, 2]
    assert "DivergenceError" in str(data.error.values[1])


@pytest.mark.slow
def test_a_point_that_kills_its_process_fails_alone(tmp_path):
    data = run_sweep(small(DEADLY), tmp_path / "s.zarr", workers=2)
    assert data.status.values.ravel().tolist() == [1, 2, 1, 1, 1, 1]
    assert "the worker process died 3 times" in str(data.error.values[0, 1])


def test_points_compute_on_one_thread_in_their_own_processes(tmp_path):
    import os

    data = run_sweep(small(THREADS), tmp_path / "s.zarr", workers=1)
    assert (data.noise[..., 0] == 1).all()
    assert (data.noise[..., 1] != os.getpid()).all()


# --- interruption and broken executors ------------------------------------------------------------


def test_an_interrupted_sweep_goes_on(tmp_path, threads):
    def interrupt(done, failed, total):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(SweepInterrupted, match="2 of 6 points are kept"):
        run_sweep(small(), tmp_path / "s.zarr", threads, progress=interrupt)
    assert not (tmp_path / "s.zarr.lock").exists()
    threads.shutdown()  # what was at work when the sweep was interrupted is lost
    before, done = computed(), np.flatnonzero(open_store(tmp_path / "s.zarr").status == 1).tolist()
    assert len(done) == 2
    with ThreadPoolExecutor(2) as executor:
        data = run_sweep(small(), tmp_path / "s.zarr", executor)
    assert (data.status == 1).all()
    assert sorted(computed()[len(before) :]) == [i for i in range(6) if i not in done]


def test_an_executor_that_is_shut_down_stops_the_sweep(tmp_path):
    executor = ThreadPoolExecutor(1)
    executor.shutdown()
    with pytest.raises(SweepError, match="takes no more points"):
        run_sweep(small(), tmp_path / "s.zarr", executor)


@pytest.mark.slow
def test_points_in_flight_are_bounded(tmp_path):
    class Watched(ThreadPoolExecutor):
        most = now = 0

        def submit(self, *arguments):
            self.now += 1
            self.most = max(self.most, self.now)
            future = super().submit(*arguments)
            future.add_done_callback(lambda _: setattr(self, "now", self.now - 1))
            return future

    with Watched(1) as executor:
        run_sweep(small(precision=list(range(1, 40))), tmp_path / "s.zarr", executor)
        assert executor.most <= Engine(executor).capacity == 2


# --- bad input ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("axes", "measure", "message"),
    [
        ({}, ["statistics"], "no axis"),
        ({"precision": []}, ["statistics"], "list at least one value"),
        ({"precision": [5, 5.0]}, ["statistics"], "5 twice"),
        ({"replica": [1]}, ["statistics"], "a dimension of what is measured"),
        ({"precision": [5]}, ["statistik"], "use a known measurement|did you mean"),
        ({"precision": [5]}, [], "name a measurement"),
        ({"precision": [5, -1]}, ["statistics"], r"precision: got -1.0 \(at precision = -1\)"),
        ({"dimension": [20, 3]}, ["statistics"], r"at dimension = 3"),
        ({"seed": [-1]}, ["statistics"], "seed: got -1"),
    ],
)
def test_bad_sweeps_are_refused(axes, measure, message):
    with pytest.raises(InputError, match=message):
        Sweep(axes, build, measure)


def test_two_measurements_of_one_name_are_refused():
    other = Measurement("other", lambda trial: {}, {"noise": Variable((), "another")})
    with pytest.raises(InputError, match="noise twice"):
        small(COUNTED, other)


def test_a_function_that_cannot_travel_is_refused_before_any_work(tmp_path):
    local = Measurement("local", lambda trial: {"x": 1.0}, {"x": Variable((), "x")})
    with pytest.raises(InputError, match="importable module"):
        run_sweep(small(local), tmp_path / "s.zarr", workers=1)
    assert not (tmp_path / "s.zarr").exists()


def test_times_must_agree():
    def other(values):
        given = build(values)
        return Setting(given.problem, given.initial, [0, values["precision"]], 20)

    with pytest.raises(InputError, match="the same times at every point"):
        Sweep({"precision": [5, 10]}, other, ["statistics"])


@pytest.mark.parametrize(
    ("change", "measure", "message"),
    [
        ({"samples": None}, "alignment", "samples: got nothing"),
        ({"initial": RandomStart(1.0)}, "curve", "random start"),
        ({"options": {"batch": 0}}, "curve", "batch: got 0"),
        ({"options": {"schedule": lambda t: -t}}, "curve", "schedule"),
        ({"options": {"noise": "uniform"}}, "risk", "noise: got 'uniform'"),
        ({"options": {"method": "reduce"}}, "risk", "did you mean 'reduced'"),
        ({"options": {"wrokers": 2}}, "risk", "options: got 'wrokers'"),
        ({"options": {"noise": "uniform", "method": "reduced"}}, "escape", "direct"),
    ],
)
def test_settings_that_cannot_be_measured_are_refused(change, measure, message):
    def changed(values):
        given = build(values)
        fields = {name: getattr(given, name) for name in given.__dataclass_fields__}
        return Setting(**fields | change)

    with pytest.raises(InputError, match=message):
        Sweep({"precision": [5]}, changed, [measure])


def named_schedule(t):
    return 1 / (1 + t)


def test_the_fingerprint_of_a_setting_sees_every_number_and_no_place_in_memory():
    given = build({})
    fields = {name: getattr(given, name) for name in given.__dataclass_fields__}
    prints = [
        Setting(**fields | change).digest()
        for change in (
            {},
            {"time": [0, 2]},
            {"replicas": 3},
            {"samples": 7},
            {"dimension": 21},
            {"initial": RandomStart(1.0)},
            {"options": {"batch": 2}},
            {"options": {"schedule": named_schedule}},
            {"problem": Problem(given.model, Parameters([0.4, 0.6], 10, 0.1, 1))},
        )
    ]
    assert len(set(prints)) == len(prints)
    assert prints[0] == build({}).digest()


# --- measurements ---------------------------------------------------------------------------------


def trial_of(model, parameters, start, **setting):
    options = setting.pop("measure", MeasureOptions())
    return Trial(
        Setting(Problem(model, parameters), start, **{"time": [0, 0.1], "dimension": 40} | setting),
        1,
        0,
        options,
    )


@pytest.mark.slow
def test_alignment_and_gap_come_near_the_population_with_much_data():
    start = State([[2.0, -1.0], [-1.0, 2.0]], 0.1 * np.eye(2))
    trial = trial_of(
        kgmm(2), Parameters([0.5, 0.5], 20, 0.1, 1e-6), start, samples=40_000, replicas=2
    )
    found = {}
    for name in ("alignment", "gap", "population", "concentration"):
        found |= MEASUREMENTS[name].values(trial)
    np.testing.assert_allclose(found["alignment"], found["population_alignment"], atol=0.02)
    np.testing.assert_allclose(found["gap"], found["population_gap"], rtol=0.2)
    np.testing.assert_allclose(found["final_misalignment"], np.sqrt(0.1 / 5.1), rtol=5e-3)
    assert (found["relative_distance"] < 0.1).all()
    np.testing.assert_allclose(found["outlier"] - found["bulk_edge"], found["gap"])


def test_blocks_not_asked_for_are_missing():
    trial = trial_of(
        kgmm(2),
        Parameters([0.5, 0.5], 20, 0.1, 1),
        State(np.zeros((2, 2)), np.eye(2)),
        samples=200,
        measure=MeasureOptions(blocks=(2,)),
    )
    found = MEASUREMENTS["alignment"].values(trial)["alignment"]
    assert np.isfinite(found[:, :, 1]).all()
    assert np.isnan(found[:, :, 0]).all()


@pytest.mark.slow
def test_the_empirical_hessian_of_a_kinked_loss_is_set_against_what_data_average_to():
    start = State([[1.0, 0.0], [0.0, 1.0]], 0.2 * np.eye(2), [1.0, -1.0])
    trial = trial_of(
        xor(2),
        Parameters([0.25] * 4, 5, 0.05, 1e-6, np.eye(2)),
        start,
        dimension=10,
        samples=100_000,
    )
    assert (MEASUREMENTS["concentration"].values(trial)["relative_distance"] < 0.05).all()


def test_escape_is_flagged():
    start = State([[0.2, 0.0], [0.0, 0.0]], np.eye(2))
    parameters = Parameters([0.5, 0.5], 20, 0.05, 1)
    never, first, half = (
        MEASUREMENTS["escape"].values(
            trial_of(
                kgmm(2),
                parameters,
                start,
                time=np.linspace(0, 4, 41),
                dimension=400,
                replicas=3,
                measure=MeasureOptions(threshold=threshold),
            )
        )
        for threshold in (50.0, 0.1, None)
    )
    assert np.isnan(never["escape_time"]).all()
    assert (never["escaped"] == 0).all()
    assert (first["escape_time"] == 0).all()
    assert (first["escaped"] == 1).all()
    assert ((half["escape_time"] > 0) & (half["escape_time"] < 4)).all()


@pytest.mark.slow
def test_a_random_start_has_the_law_of_gaussian_vectors():
    gram = np.array([[1.0, 0.3], [0.3, 2.0]])
    parameters = Parameters([0.5, 0.5], 10, 0, 1, gram)
    model, generator = kgmm(2, directions_gram=gram), np.random.default_rng(0)
    states = [RandomStart(2.0).draw(model, parameters, 30, generator) for _ in range(4000)]
    overlaps = np.array([s.overlap for s in states])
    spread = np.einsum("ias,iat->st", overlaps, overlaps) / overlaps.shape[0] / 2
    np.testing.assert_allclose(spread, 4 * gram / 30, atol=5 * 4 * 2 / 30 / np.sqrt(8000))
    lengths = np.array([np.diag(s.gram_perp) for s in states])
    np.testing.assert_allclose(lengths.mean(), 4 * 28 / 30, atol=0.05)


def test_run_point_keeps_time_and_errors():
    sweep = small(FAILING, precision=[5])
    outcome = run_point(sweep.settings[0], sweep.measurements, 0, 0, sweep.options)
    assert outcome.values is None
    assert outcome.seconds > 0
    assert "ZeroDivisionError" in outcome.error


class Leaves(ThreadPoolExecutor):
    """Workers that answer with an error of their own so many times, as one that is asked to end."""

    def __init__(self, times):
        super().__init__(1)
        self.times = times

    def submit(self, function, *arguments):
        if self.times:
            self.times -= 1
            function = _leave
        return super().submit(function, *arguments)


def _leave(*_):
    raise RuntimeError("cannot schedule new futures after shutdown")


@pytest.mark.parametrize(("times", "status"), [(1, 1), (2, 1), (30, 2)])
def test_an_error_of_a_worker_is_not_that_of_its_point(times, status, tmp_path):
    with Leaves(times) as executor:
        data = run_sweep(small(precision=[5]), tmp_path / "s.zarr", executor)
    assert data.status.values.tolist() == [status]
    assert ("shutdown" in data.error.values[0]) == (status == 2)
