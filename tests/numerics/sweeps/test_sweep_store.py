"""The store of a sweep: it outlives its driver and its workers, and refuses what does not belong to
it.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import monotonic, sleep

import numpy as np
import pytest
import xarray as xr
from helpers import ROOT
from sweep_helpers import COUNTED, DRIVER, SLOW, computed, small

from numerics import open_store, run_sweep
from numerics.sweeps import store as sweep_store
from numerics.sweeps.executors import LocalEngine
from numerics.sweeps.lock import locked
from numerics.sweeps.store import Store
from numerics.sweeps.store_layout import OPEN
from theory import InputError


@pytest.fixture(autouse=True)
def traced(monkeypatch, tmp_path):
    monkeypatch.setenv("SWEEP_TRACE", str(tmp_path / "trace.txt"))


@pytest.fixture
def threads():
    with ThreadPoolExecutor(2) as executor:
        yield executor


def done_in(store: Path) -> int:
    try:
        return int((open_store(store).status == 1).sum())
    except InputError:
        return 0


def wait_until(condition, seconds: float = 60.0) -> None:
    end = monotonic() + seconds
    while not condition():
        assert monotonic() < end, "nothing happened"
        sleep(0.02)


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


# --- resuming -------------------------------------------------------------------------------------


def test_finished_points_are_not_repeated(tmp_path, threads):
    first = run_sweep(small(), tmp_path / "s.zarr", threads).load()
    again = run_sweep(small(), tmp_path / "s.zarr", threads).load()
    xr.testing.assert_identical(first, again)
    assert sorted(computed()) == list(range(6))


def test_a_kill_between_numbers_and_status_leaves_the_point_open(tmp_path, threads, monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt  # as far as the store goes: nothing more is written

    monkeypatch.setattr(Store, "_close", killed)
    with pytest.raises(KeyboardInterrupt):
        run_sweep(small(), tmp_path / "s.zarr", threads)
    monkeypatch.undo()
    monkeypatch.setenv("SWEEP_TRACE", str(tmp_path / "trace.txt"))
    data = open_store(tmp_path / "s.zarr")
    assert (data.status == OPEN).all()
    assert np.isfinite(data.noise).any()
    assert (run_sweep(small(), tmp_path / "s.zarr", threads).status == 1).all()


@pytest.mark.slow
def test_a_killed_driver_loses_nothing_and_leaves_no_process(tmp_path, threads):
    store = tmp_path / "s.zarr"
    script = tmp_path / "driver.py"
    script.write_text(DRIVER)
    places = os.pathsep.join([str(ROOT), str(ROOT / "tests" / "witness")])
    process = subprocess.Popen(
        [sys.executable, str(script), str(store)], env=os.environ | {"PYTHONPATH": places}
    )
    wait_until(lambda: done_in(store) >= 3)
    process.send_signal(signal.SIGKILL)
    process.wait()
    workers = {int(line.split()[1]) for line in (tmp_path / "trace.txt").read_text().splitlines()}
    wait_until(lambda: not any(map(alive, workers)), 10)
    done = np.flatnonzero(open_store(store).status.values == 1).tolist()
    assert 3 <= len(done) < 12
    before = open_store(store).noise.load()
    started = computed()
    data = run_sweep(small(SLOW, precision=list(range(1, 13))), store, threads).load()
    assert (data.status == 1).all()
    assert sorted(computed()[len(started) :]) == [i for i in range(12) if i not in done]
    np.testing.assert_array_equal(before.values[done], data.noise.values[done])
    with ThreadPoolExecutor(1) as executor:
        whole = run_sweep(small(SLOW, precision=list(range(1, 13))), tmp_path / "w.zarr", executor)
        np.testing.assert_array_equal(whole.noise.values, data.noise.values)


@pytest.mark.slow
def test_a_killed_worker_is_replaced(tmp_path, monkeypatch):
    engines = []
    pool = LocalEngine._pool

    def watched(self, count):
        engines.append(pool(self, count))
        return engines[-1]

    monkeypatch.setattr(LocalEngine, "_pool", watched)

    def kill(done, failed, total):
        if done == 2 and len(engines) == 1:
            os.kill(next(iter(engines[0]._processes)), signal.SIGKILL)

    data = run_sweep(small(SLOW), tmp_path / "s.zarr", workers=2, progress=kill)
    assert len(engines) == 2
    assert (data.status == 1).all()
    with ThreadPoolExecutor(1) as executor:
        calm = run_sweep(small(SLOW), tmp_path / "c.zarr", executor)
    np.testing.assert_array_equal(calm.noise.values, data.noise.values)


# --- another sweep, another driver, another place -------------------------------------------------


def test_a_store_of_another_sweep_is_refused_and_the_difference_named(tmp_path, threads):
    run_sweep(small(COUNTED, precision=[5, 10]), tmp_path / "s.zarr", threads)
    before = {p: p.read_bytes() for p in (tmp_path / "s.zarr").rglob("*") if p.is_file()}
    other = small(COUNTED, "statistics", precision=[5, 20])
    with pytest.raises(InputError, match="which holds another sweep") as caught:
        run_sweep(other, tmp_path / "s.zarr", threads)
    assert "sweep.precision: [5, 10] in the store, now [5, 20]" in str(caught.value)
    assert 'measure: ["counted"] in the store, now ["counted", "statistics"]' in str(caught.value)
    assert "fingerprint" not in str(caught.value)
    assert before == {p: p.read_bytes() for p in (tmp_path / "s.zarr").rglob("*") if p.is_file()}


def test_a_change_that_the_axes_do_not_show_is_seen(tmp_path, threads):
    run_sweep(small(), tmp_path / "s.zarr", threads)
    changed = small()
    object.__setattr__(changed.settings[2], "replicas", 5)
    with pytest.raises(InputError, match="fingerprint"):
        run_sweep(changed, tmp_path / "s.zarr", threads)


def test_versions_with_which_a_sweep_went_on_are_noted(tmp_path, threads, monkeypatch):
    first = run_sweep(small(), tmp_path / "s.zarr", threads).attrs["specalign_version"]
    monkeypatch.setattr(sweep_store, "version", lambda: "99")
    for _ in range(2):
        data = run_sweep(small(), tmp_path / "s.zarr", threads)
    assert data.attrs["specalign_version"] == f"{first}; then 99"


@pytest.mark.parametrize("kind", ["file", "directory", "zarr"])
def test_anything_else_in_its_place_is_refused_and_kept(tmp_path, threads, kind):
    place = tmp_path / "s.zarr"
    if kind == "file":
        place.write_text("mine")
    elif kind == "directory":
        place.mkdir()
        (place / "mine.txt").write_text("mine")
    else:
        xr.Dataset({"x": ("y", [1])}).to_zarr(place, zarr_format=2)
    with pytest.raises(InputError, match="it holds something else"):
        run_sweep(small(), place, threads)
    assert place.exists()


def test_places_without_directory_are_refused(tmp_path, threads):
    with pytest.raises(InputError, match=r"create .*nowhere first"):
        run_sweep(small(), tmp_path / "nowhere" / "s.zarr", threads)


def test_a_second_driver_is_refused(tmp_path, threads):
    with (
        locked(tmp_path / "s.zarr"),
        pytest.raises(InputError, match=f"in use by process {os.getpid()}"),
    ):
        run_sweep(small(), tmp_path / "s.zarr", threads)
    run_sweep(small(), tmp_path / "s.zarr", threads)
    assert not (tmp_path / "s.zarr.lock").exists()


@pytest.mark.parametrize(
    "note",
    [
        json.dumps({"pid": os.getpid(), "host": socket.gethostname()}),
        "",
        "{}",
        "[1]",
        '{"pid": [], "host": 1}',
        "[" * 100_000,
        "\x00",
    ],
    ids=["same number", "empty", "no entries", "a list", "wrong kinds", "deep", "a zero byte"],
)
def test_what_a_dead_process_left_is_taken_over(tmp_path, threads, note):
    (tmp_path / "s.zarr.lock").write_text("")
    (tmp_path / "s.zarr.owner").write_text(note)
    assert (run_sweep(small(), tmp_path / "s.zarr", threads).status == 1).all()
    assert [p.name for p in tmp_path.iterdir() if p.suffix in (".lock", ".owner")] == []


@pytest.mark.parametrize("ending", ["lock", "owner"])
def test_a_lock_never_follows_a_link(tmp_path, threads, ending):
    mine = tmp_path / "mine.txt"
    mine.write_text("mine")
    (tmp_path / f"s.zarr.{ending}").symlink_to(mine)
    with pytest.raises(InputError, match="never follows a link"):
        run_sweep(small(), tmp_path / "s.zarr", threads)
    assert mine.read_text() == "mine"


def test_the_lock_of_another_machine_holds(tmp_path, threads):
    (tmp_path / "s.zarr.owner").write_text(json.dumps({"pid": 1, "host": "elsewhere"}))
    with pytest.raises(InputError, match=r"another machine.*delete .*s\.zarr\.owner"):
        run_sweep(small(), tmp_path / "s.zarr", threads)


def test_open_store_refuses_what_is_none(tmp_path):
    with pytest.raises(InputError, match="store"):
        open_store(tmp_path / "nothing.zarr")


def test_a_store_that_does_not_exist_is_said_not_to(tmp_path):
    with pytest.raises(InputError, match="there is no such store: check the path"):
        open_store(tmp_path / "none.zarr")
    assert not (tmp_path / "none.zarr").exists()
