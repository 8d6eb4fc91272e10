"""Drivers, workers and schedulers killed at random moments: nothing lost, nothing repeated, the
same bits.
"""

from __future__ import annotations

import os
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from helpers import fresh_rng
from kill_cases import POINTS, Dask, Local
from sweep_helpers import SLOW, computed, small

from numerics import open_store, run_sweep

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc").is_dir(), reason="finds processes in /proc"),
]
# kills of a round; SPECALIGN_KILLS asks for so many rounds on this machine, and on Dask
KILLS = 2
ROUNDS = int(os.environ.get("SPECALIGN_KILLS", "0"))


@pytest.fixture(autouse=True)
def traced(monkeypatch, tmp_path):
    monkeypatch.setenv("SWEEP_TRACE", str(tmp_path / "trace.txt"))


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    with ThreadPoolExecutor(4) as executor:
        place = tmp_path_factory.mktemp("whole") / "w.zarr"
        return run_sweep(small(SLOW, precision=POINTS), place, executor).noise.values


def finished(store: Path, status: int = 1) -> list[int]:
    if not store.exists():
        return []
    return np.flatnonzero(open_store(store).status.values == status).tolist()


def failed(store: Path) -> list[int]:
    return finished(store, status=2)


@pytest.mark.parametrize(
    ("place", "round_"),
    [(place, n) for place, least in ((Local, 2), (Dask, 1)) for n in range(ROUNDS or least)],
)
def test_random_kills_lose_and_repeat_nothing(place, round_, expected, tmp_path):
    rng = fresh_rng()
    if place is Dask:
        pytest.importorskip("distributed")
    store = tmp_path / "s.zarr"
    with place(tmp_path) as sweep:
        for _ in range(KILLS):
            whom, signals = place.targets[rng.integers(len(place.targets))]
            how = signals[rng.integers(len(signals))]
            before = finished(store)
            begun = len(computed())
            sweep.kill_once(whom, how, float(rng.uniform(0, 0.8)))
            print(f"{how.name} to a {whom}")
            again = set(computed()[begun:]) & set(before)
            assert not again, f"{again} were computed again after {how.name} to a {whom}"
            assert set(before) <= set(finished(store))
            assert not failed(store), f"points failed after {how.name} to a {whom}"
    done = finished(store)
    begun = len(computed())
    with ThreadPoolExecutor(4) as executor, warnings.catch_warnings():
        warnings.simplefilter("error")  # nothing is damaged
        data = run_sweep(small(SLOW, precision=POINTS), store, executor)
    assert sorted(computed()[begun:]) == [n for n in range(len(POINTS)) if n not in done]
    np.testing.assert_array_equal(data.noise.values, expected)
