"""Drivers and workers killed at random moments: nothing lost, nothing repeated, the same bits."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from time import monotonic, sleep

import numpy as np
import pytest
from helpers import ROOT, fresh_rng
from sweep_helpers import SLOW, computed, small

from numerics import open_store, run_sweep

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc").is_dir(), reason="finds processes in /proc"),
]

POINTS = list(range(1, 9))
COMMAND = """
import sys
from sweep_helpers import SLOW, small
from numerics import run_sweep
if __name__ == "__main__":
    run_sweep(small(SLOW, precision=list(range(1, 9))), sys.argv[1], workers=2)
"""
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)


@pytest.fixture(autouse=True)
def traced(monkeypatch, tmp_path):
    monkeypatch.setenv("SWEEP_TRACE", str(tmp_path / "trace.txt"))


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    with ThreadPoolExecutor(4) as executor:
        place = tmp_path_factory.mktemp("whole") / "w.zarr"
        return run_sweep(small(SLOW, precision=POINTS), place, executor).noise.values


def start(folder: Path) -> subprocess.Popen:
    script = folder / "driver.py"
    script.write_text(COMMAND)
    places = os.pathsep.join([str(ROOT), str(ROOT / "tests" / "witness")])
    return subprocess.Popen(
        [sys.executable, str(script), str(folder / "s.zarr")],
        env=os.environ | {"PYTHONPATH": places},
        stderr=subprocess.DEVNULL,
    )


def workers_of(folder: Path) -> list[int]:
    """Processes that have computed a point and are still there."""
    trace = folder / "trace.txt"
    if not trace.exists():
        return []
    found = {int(line.split()[1]) for line in trace.read_text().splitlines()}
    return [pid for pid in found if Path(f"/proc/{pid}").exists()]


def finished(store: Path) -> list[int]:
    if not store.exists():
        return []
    return np.flatnonzero(open_store(store).status.values == 1).tolist()


def kill_once(folder: Path, whom: str, how: signal.Signals, moment: float) -> None:
    """Start a driver, and send a signal to it or to a worker of it after some time at work."""
    driver, end = start(folder), monotonic() + 60
    known = len(computed())
    while len(computed()) == known and driver.poll() is None:
        assert monotonic() < end, "no point was begun"
        sleep(0.01)
    sleep(moment)
    target = driver.pid if whom == "driver" else next(iter(workers_of(folder)), driver.pid)
    with suppress(ProcessLookupError):  # it may have ended
        os.kill(target, how)
    if whom == "worker":
        driver.wait(60)
        return
    driver.wait(60)
    while any(pid != driver.pid for pid in workers_of(folder)):
        assert monotonic() < end, "a worker outlived its driver"
        sleep(0.01)


@pytest.mark.parametrize("round_", range(int(os.environ.get("SPECALIGN_KILLS", "3"))))
def test_random_kills_lose_and_repeat_nothing(round_, expected, tmp_path):
    rng = fresh_rng()
    store = tmp_path / "s.zarr"
    for _ in range(2):
        whom = ["driver", "worker"][rng.integers(2)]
        # a worker leaves Ctrl-C to its driver
        how = SIGNALS[rng.integers(3 if whom == "driver" else 2)]
        before = finished(store)
        begun = len(computed())
        kill_once(tmp_path, whom, how, float(rng.uniform(0, 0.8)))
        again = set(computed()[begun:]) & set(before)
        assert not again, f"{again} were computed again after {how.name} to a {whom}"
        assert set(before) <= set(finished(store))
    done = finished(store)
    begun = len(computed())
    with ThreadPoolExecutor(4) as executor, warnings.catch_warnings():
        warnings.simplefilter("error")  # nothing is damaged
        data = run_sweep(small(SLOW, precision=POINTS), store, executor)
    assert sorted(computed()[begun:]) == [n for n in range(len(POINTS)) if n not in done]
    np.testing.assert_array_equal(data.noise.values, expected)
