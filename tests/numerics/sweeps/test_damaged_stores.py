"""A store whose files were changed: every damage is told, and what was lost is computed again."""

from __future__ import annotations

import json
import shutil
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from helpers import fresh_rng
from sweep_helpers import computed, small

from numerics import DamagedPointsWarning, open_store, run_sweep
from numerics.core import files
from numerics.sweeps import integrity
from numerics.sweeps import store as store_module
from numerics.sweeps.store import Store
from theory import InputError


@pytest.fixture(autouse=True)
def traced(monkeypatch, tmp_path):
    monkeypatch.setenv("SWEEP_TRACE", str(tmp_path / "trace.txt"))


@pytest.fixture
def threads():
    with ThreadPoolExecutor(2) as executor:
        yield executor


@pytest.fixture
def whole(tmp_path, threads):
    return run_sweep(small(), tmp_path / "s.zarr", threads).load()


def assert_same_numbers(found: xr.Dataset, expected: xr.Dataset) -> None:
    """Equal bit by bit, but for the times: when the sweep began, and what points took."""
    xr.testing.assert_identical(
        *(d.load().drop_vars("seconds").assign_attrs(begun="") for d in (found, expected))
    )


def chunk_of(store: Path, variable: str, point: str) -> Path:
    return store / variable / point


def flip(path: Path, position: int = -1) -> None:
    content = bytearray(path.read_bytes())
    content[position] ^= 0x55
    path.write_bytes(content)


DAMAGE = {
    "missing": lambda path: path.unlink(),
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:10]),
    "empty": lambda path: path.write_bytes(b""),
    "flipped": flip,
    "that of another point": lambda path: path.write_bytes((path.parent / "0.0.0").read_bytes()),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_point_is_named_and_computed_again(kind, whole, tmp_path, threads):
    DAMAGE[kind](chunk_of(tmp_path / "s.zarr", "noise", "1.1.0"))
    with pytest.raises(InputError, match=r"damaged at points 5; .* run the sweep again"):
        open_store(tmp_path / "s.zarr")
    before = len(computed())
    with pytest.warns(DamagedPointsWarning, match=r"point 5 \(precision = 10, dimension = 30\)"):
        again = run_sweep(small(), tmp_path / "s.zarr", threads)
    assert computed()[before:] == [4]
    assert_same_numbers(again, whole)
    assert_same_numbers(open_store(tmp_path / "s.zarr"), whole)


@pytest.mark.parametrize("book", ["status", "digest", "error", "seconds"])
@pytest.mark.parametrize("kind", ["missing", "truncated", "flipped"])
def test_books_that_cannot_be_read_lose_no_number(book, kind, whole, tmp_path, threads):
    for chunk in (tmp_path / "s.zarr" / book).glob("[0-9]*"):
        DAMAGE[kind](chunk)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DamagedPointsWarning)
        again = run_sweep(small(), tmp_path / "s.zarr", threads)
    assert_same_numbers(again, whole)
    assert_same_numbers(open_store(tmp_path / "s.zarr"), whole)
    if book in ("status", "seconds"):  # the digests tell which points are finished
        assert sorted(computed()) == list(range(6))


@pytest.mark.parametrize(
    "name", [".zattrs", ".zgroup", ".zmetadata", integrity.MANIFEST, "noise/.zarray", "precision/0"]
)
@pytest.mark.parametrize("kind", ["missing", "truncated", "flipped"])
def test_damaged_descriptions_are_named(name, kind, whole, tmp_path, threads):
    DAMAGE[kind](tmp_path / "s.zarr" / name)
    for use in (
        lambda: open_store(tmp_path / "s.zarr"),
        lambda: run_sweep(small(), tmp_path / "s.zarr", threads),
    ):
        with pytest.raises(InputError, match=r"restore them from a copy") as caught:
            use()
        assert name in str(caught.value)


def test_a_manifest_that_was_made_to_fit_is_not_believed(whole, tmp_path):
    path = tmp_path / "s.zarr" / integrity.MANIFEST
    content = json.loads(path.read_text())
    del content["files"][".zattrs"]
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match="was changed"):
        open_store(tmp_path / "s.zarr")


def test_foreign_files_do_no_harm(whole, tmp_path, threads):
    store = tmp_path / "s.zarr"
    for name in ("notes.txt", "noise/notes.txt", ".DS_Store", "status/0.0.1234.partial"):
        (store / name).write_text("mine")
    assert_same_numbers(run_sweep(small(), store, threads), whole)
    assert_same_numbers(open_store(store), whole)


def test_whoever_reads_a_changed_chunk_gets_an_error(whole, tmp_path):
    """Also with xarray alone: a checksum stands in every chunk."""
    flip(chunk_of(tmp_path / "s.zarr", "noise", "0.1.0"), 20)
    with pytest.raises(Exception, match=r".+"):
        xr.open_zarr(tmp_path / "s.zarr", chunks=None).noise.load()


def test_stores_of_other_formats_are_refused(whole, tmp_path, threads, monkeypatch):
    monkeypatch.setattr(store_module, "FORMAT", 3)
    with pytest.raises(InputError, match="format 2; expected a store of format 3"):
        run_sweep(small(), tmp_path / "s.zarr", threads)


@pytest.mark.parametrize("stop", range(1, 8))
def test_killed_while_versions_are_noted(stop, whole, tmp_path, threads, monkeypatch):
    """Whichever write was the last, the store is whole, and the versions are noted next time."""
    count, write = 0, files.Path.replace

    def replace(self, target):
        nonlocal count
        count += 1
        if count >= stop:
            raise KeyboardInterrupt
        return write(self, target)

    monkeypatch.setattr(store_module, "version", lambda: "99")
    monkeypatch.setattr(files.Path, "replace", replace)
    with suppress(KeyboardInterrupt):
        run_sweep(small(), tmp_path / "s.zarr", threads)
    monkeypatch.setattr(files.Path, "replace", write)
    data = run_sweep(small(), tmp_path / "s.zarr", threads)
    assert data.attrs["specalign_version"].endswith("; then 99")
    assert (open_store(tmp_path / "s.zarr").status == 1).all()
    assert [p for p in (tmp_path / "s.zarr").iterdir() if p.name.startswith("..")] == []


def test_killed_before_the_last_write_of_a_point(tmp_path, threads, monkeypatch):
    """The digest says that the point is finished: it is neither damaged nor computed again."""
    close = Store._close

    def killed(self, at, *arguments):
        close(self, at, *arguments)
        self.status[at] = 0
        self._arrays["status"][...] = self.status
        raise KeyboardInterrupt

    monkeypatch.setattr(Store, "_close", killed)
    with pytest.raises(KeyboardInterrupt):
        run_sweep(small(), tmp_path / "s.zarr", threads)
    monkeypatch.setattr(Store, "_close", close)
    assert (xr.open_zarr(tmp_path / "s.zarr", chunks=None).status == 0).all()
    assert (open_store(tmp_path / "s.zarr").status == 1).sum() == 1
    begun = len(computed())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert (run_sweep(small(), tmp_path / "s.zarr", threads).status == 1).all()
    assert len(computed()) - begun == 5


def test_a_full_disk_leaves_a_store_that_goes_on(tmp_path, threads, monkeypatch):
    writes, close = 0, Store._close

    def full(self, *arguments):
        nonlocal writes
        writes += 1
        if writes == 4:
            raise OSError(28, "No space left on device")
        close(self, *arguments)

    monkeypatch.setattr(Store, "_close", full)
    with pytest.raises(OSError, match="No space left"):
        run_sweep(small(), tmp_path / "s.zarr", threads)
    monkeypatch.setattr(Store, "_close", close)
    assert int((open_store(tmp_path / "s.zarr").status == 1).sum()) == 3
    found = run_sweep(small(), tmp_path / "s.zarr", threads)
    expected = run_sweep(small(), tmp_path / "t.zarr", threads)
    assert_same_numbers(found, expected)


def damage_at_random(store: Path, rng: np.random.Generator) -> str:
    """One change of one file of the store."""
    files_there = sorted(p for p in store.rglob("*") if p.is_file())
    path = files_there[rng.integers(len(files_there))]
    content = path.read_bytes()
    kind = ["byte", "truncation", "removal", "foreign", "swap"][rng.integers(5)]
    if kind == "byte" and content:
        place = int(rng.integers(len(content)))
        change = int(rng.integers(1, 256))
        path.write_bytes(content[:place] + bytes([content[place] ^ change]) + content[place + 1 :])
    elif kind == "truncation":
        path.write_bytes(content[: rng.integers(len(content) + 1)])
    elif kind == "removal":
        path.unlink()
    elif kind == "foreign":
        (path.parent / f"foreign{rng.integers(9)}").write_bytes(rng.bytes(30))
    else:
        path.write_bytes(files_there[rng.integers(len(files_there))].read_bytes())
    return f"{kind} of {path.relative_to(store)}"


def test_a_status_that_was_never_written_is_told_by_the_digests(whole, tmp_path):
    """A kill before the last write of a point leaves it: the numbers are there and confirmed."""
    (tmp_path / "s.zarr" / "status" / "0.0").unlink()
    assert (xr.open_zarr(tmp_path / "s.zarr", chunks=None).status == 0).any()
    assert_same_numbers(open_store(tmp_path / "s.zarr"), whole)


@pytest.mark.slow
@pytest.mark.parametrize("count", [25, pytest.param(200, marks=pytest.mark.slow)])
def test_random_damage_is_detected_or_harmless(count, whole, tmp_path, threads):
    rng = fresh_rng()
    for _ in range(count):
        place = tmp_path / "copy.zarr"
        shutil.copytree(tmp_path / "s.zarr", place)
        what = damage_at_random(place, rng)
        try:
            assert_same_numbers(open_store(place), whole)
        except InputError:
            pass
        except AssertionError as error:
            raise AssertionError(f"{what}: read as if nothing had happened") from error
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DamagedPointsWarning)
            try:
                found = run_sweep(small(), place, threads)
            except InputError:
                found = None
        if found is not None:
            try:
                assert_same_numbers(found, whole)
            except AssertionError as error:
                raise AssertionError(f"{what}: not mended") from error
        shutil.rmtree(place)
