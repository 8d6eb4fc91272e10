"""A disk that is full in the middle of a sweep: nothing lost, the same store after resuming."""

from __future__ import annotations

import os
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from sweep_helpers import COUNTED, small

from numerics import open_store, run_sweep
from theory import InputError

full_disk = pytest.importorskip("full_disk", reason="needs limits of resources")
pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs limits of resources")


def sweep_into(store):
    with ThreadPoolExecutor(1) as executor:
        return run_sweep(small(COUNTED, precision=[5, 10]), store, executor)


def check_resumed(store, expected) -> None:
    """What is there is whole, what is not is computed: the numbers are those of a calm run."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # nothing is damaged
        if store.exists():
            kept = open_store(store).load()
            done = (kept.status == 1).values
            np.testing.assert_array_equal(kept.noise.values[done], expected.noise.values[done])
        resumed = sweep_into(store).load()
    assert (resumed.status == 1).all()
    for name in ("noise", "status", "error", "digest"):
        np.testing.assert_array_equal(resumed[name].values, expected[name].values)
    left = {path.name for path in store.parent.iterdir()}
    assert left == {store.name}
    assert [path for path in store.rglob("*") if path.is_file() and not path.stat().st_size] == []
    assert list(store.rglob("*.partial")) == []


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    return sweep_into(tmp_path_factory.mktemp("calm") / "c.zarr").load()


def attempt(store, full) -> bool:
    """Whether the sweep came to its end; a full disk is an error that says so."""
    found = None
    with full:
        try:
            sweep_into(store)
        except (OSError, InputError) as error:
            found = str(error)
    assert found is None or "space" in found or "too large" in found
    return found is None


@pytest.mark.slow
def test_a_disk_that_is_full_from_any_file_on(expected, tmp_path):
    for number in range(1, 1000):
        folder = tmp_path / str(number)
        folder.mkdir()
        full = full_disk.FullFrom(folder, number)
        ended = attempt(folder / "s.zarr", full)
        assert ended != full.was_reached
        check_resumed(folder / "s.zarr", expected)
        if ended:
            break
    assert ended
    assert number > 20


@pytest.mark.parametrize("size", [0, 1, 10, 50, 100, 200, 400, 800, 1600, 3200])
def test_a_file_that_is_cut_short(size, expected, tmp_path):
    store = tmp_path / "s.zarr"
    assert not attempt(store, full_disk.cut_after(size))
    check_resumed(store, expected)


@pytest.mark.parametrize("size", [0, 5, 10, 20])
def test_points_that_are_cut_short(size, expected, tmp_path):
    """The store is there already: descriptions fit, numbers do not."""
    store = tmp_path / "s.zarr"
    with ThreadPoolExecutor(1) as executor:
        sweep = small(COUNTED, precision=[5, 10])
        with pytest.raises(KeyboardInterrupt):
            run_sweep(sweep, store, executor, progress=_stop)
        with full_disk.cut_after(size), pytest.raises((OSError, InputError)):
            run_sweep(sweep, store, executor)
    check_resumed(store, expected)


def _stop(done: int, failed: int, total: int) -> None:
    raise KeyboardInterrupt
