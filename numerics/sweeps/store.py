"""The store of a sweep: one Zarr group that xarray opens, a chunk a point, written by one process.

What a kill, a full disk or a damaged file leaves behind is told by digests: see
:mod:`numerics.sweeps.integrity`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from numerics.core.results import library_versions
from numerics.core.validation import as_path
from numerics.version import version
from theory import InputError
from theory.keywords import with_known_keywords

from .integrity import MANIFEST, check_fixed, point_digest, replace_fixed
from .point_books import verify_points
from .source_identity import source_identity
from .store_layout import (
    BOOKS,
    DONE,
    ERROR_LENGTH,
    FAILED,
    FORMAT,
    OPEN,
    ZARR_FORMAT,
    Layout,
    allocate,
    padded,
)


class Store:
    """A store that is being filled.  Only one process may hold it: see
    :func:`numerics.sweeps.lock.locked`.

    Parameters
    ----------
    path : Path
    layout : Layout

    Raises
    ------
    theory.InputError
        Something else is at ``path``, or a sweep of another configuration.
    """

    def __init__(self, path: Path, layout: Layout) -> None:
        import zarr

        self.path, self.layout = path, layout
        if path.exists():
            _check_same(path, layout.configuration)
            _note_versions(path)
        else:
            allocate(path, layout)
        self._group = zarr.open_group(
            path, mode="r+", zarr_format=ZARR_FORMAT, use_consolidated=False
        )
        self._arrays: dict[str, Any] = {
            name: self._group[name] for name in (*BOOKS, *layout.variables)
        }
        books = verify_points(self._arrays, tuple(layout.axes.values()), list(layout.variables))
        self.status, self._seconds, self._digest = books.status, books.seconds, books.digest
        self.damaged = books.damaged
        for name, changed in (
            ("status", self.status),
            ("seconds", self._seconds),
            ("digest", self._digest),
        ):
            if books.repaired:
                self._arrays[name][...] = changed

    def points(self, *states: int) -> Iterator[int]:
        """Numbers of the points in one of these states."""
        yield from np.flatnonzero(np.isin(self.status.ravel(), states)).tolist()

    def count(self, state: int) -> int:
        return int((self.status == state).sum())

    def write(self, number: int, values: Mapping[str, Any], seconds: float) -> None:
        """Keep the numbers of a finished point; its status comes last."""
        at = self._at(number)
        self._reopen(at)
        blocks = {}
        for name in self.layout.variables:
            shape = self.layout.block(name)
            # what a measurement left away is NaN, whatever a damaged chunk held
            blocks[name] = padded(values[name], shape) if name in values else np.full(shape, np.nan)
            self._arrays[name][at + (slice(None),) * len(shape)] = (
                blocks[name] if shape else float(blocks[name])
            )
        self._close(at, DONE, seconds, "", blocks)

    def fail(self, number: int, error: str, seconds: float = np.nan) -> None:
        """Record why a point failed."""
        at = self._at(number)
        self._reopen(at)
        self._close(at, FAILED, seconds, error, {})

    def _reopen(self, at: tuple[int, ...]) -> None:
        """A point that is computed again is open first: a kill leaves no mixture of both."""
        if self.status[at] == OPEN:
            return
        self.status[at], self._digest[at] = OPEN, 0
        self._arrays["status"][...] = self.status
        self._arrays["digest"][...] = self._digest
        self._arrays["error"][at] = ""

    def _close(
        self,
        at: tuple[int, ...],
        state: int,
        seconds: float,
        error: str,
        blocks: Mapping[str, NDArray[np.float64]],
    ) -> None:
        error = error[:ERROR_LENGTH]
        if error:
            self._arrays["error"][at] = error
        self._seconds[at] = seconds
        self._arrays["seconds"][...] = self._seconds
        self._digest[at] = point_digest(blocks, state, error)
        self._arrays["digest"][...] = self._digest
        self.status[at] = state
        # one chunk, replaced as a whole: a kill leaves the old file or the new one
        self._arrays["status"][...] = self.status

    def _at(self, number: int) -> tuple[int, ...]:
        return tuple(int(i) for i in np.unravel_index(number, tuple(self.layout.axes.values())))


def check_place(path: Path) -> None:
    """Refuse a place where no store can be, before any work.

    Raises
    ------
    theory.InputError
        A file, something that is not a sweep, or a place without write permission.
    """
    if _exists(path):
        read_configuration_of(path)
        if not os.access(path, os.W_OK | os.X_OK):
            raise InputError(
                "store",
                path,
                "a writable directory",
                "change its permissions or choose another place",
            )
        return
    parent = path.parent
    if not parent.is_dir():
        raise InputError("store", path, "a name in an existing directory", f"create {parent} first")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise InputError("store", path, "a writable place", "choose another directory")


def _exists(path: Path) -> bool:
    """Whether there is anything; names that no system takes are refused."""
    try:
        return path.exists()
    except OSError as error:
        expected = f"a name that this system takes ({error.strerror})"
        raise InputError("store", path, expected, "choose another name") from error


def read_configuration_of(path: Path) -> dict[str, Any]:
    """The configuration of the sweep at ``path``, whose fixed files are as they were written.

    Raises
    ------
    theory.InputError
        There is something else, a store of another format, or a damaged one.
    """
    return dict(json.loads(_group_attributes(path)["configuration"]))


def _group_attributes(path: Path) -> dict[str, Any]:
    if (path / MANIFEST).exists():
        check_fixed(path)
    try:
        found = json.loads((path / ".zattrs").read_text("utf-8"))
        known = {"configuration", "sweep_format"} <= found.keys()
    except (OSError, ValueError, AttributeError, RecursionError):
        known = False
    if not known:
        raise InputError(
            "store",
            path,
            "a new name, or the store of a sweep",
            "it holds something else: choose another name",
        )
    if found["sweep_format"] != FORMAT:
        raise InputError(
            "store",
            f"{path}, of format {found['sweep_format']!r}",
            f"a store of format {FORMAT}",
            "open it with the version of specalign that wrote it, or choose another name",
        )
    check_fixed(path)
    return dict(found)


@with_known_keywords
def open_store(path: str | Path, *, verify: bool = True) -> xr.Dataset:
    """The labelled Dataset of a store, read when needed; ``xarray.open_zarr`` does the same.

    Parameters
    ----------
    path : path
    verify : bool
        Compare every finished point with its digest, which reads the whole store once.

    Raises
    ------
    theory.InputError
        There is no sweep at ``path``, or it is damaged: the points are named, and running the
        sweep again computes just them.

    Examples
    --------
    >>> open_store("norms.zarr")                              # before run_sweep has made it
    Traceback (most recent call last):
        ...
    theory.errors.InputError: store: got norms.zarr; expected the store of a sweep. Remedy: ...
    """
    place = as_path("path", path)
    if not _exists(place):
        remedy = "there is no such store: check the path, or make it with run_sweep"
        raise InputError("store", place, "the store of a sweep", remedy)
    attributes = _group_attributes(place)
    if verify:
        import zarr

        group = zarr.open_group(place, mode="r", zarr_format=ZARR_FORMAT, use_consolidated=False)
        variables = json.loads(attributes["measured"])
        arrays: dict[str, Any] = {name: group[name] for name in (*BOOKS, *variables)}
        books = verify_points(arrays, arrays["status"].shape, variables)
        if books.damaged or books.false:
            names = ", ".join(str(n + 1) for n in books.damaged[:8]) or "their status"
            more = " and more" if len(books.damaged) > 8 else ""
            raise InputError(
                "store",
                f"{place}, damaged at points {names}{more}",
                "the numbers that the sweep wrote",
                "run the sweep again with this store: damaged points are computed anew",
            )
        if books.repaired:
            # a kill before the last write of a point: its digest says what its status does not yet
            stored = xr.open_zarr(place, chunks=None)
            status, seconds = stored["status"].copy(), stored["seconds"].copy()
            status.data, seconds.data = books.status, books.seconds
            return stored.assign(status=status, seconds=seconds)
    return xr.open_zarr(place, chunks=None)


def differences(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = "") -> list[str]:
    """What differs between two configurations, with both values.

    Examples
    --------
    >>> differences({"a": {"b": 1, "c": 2}}, {"a": {"b": 3, "c": 2}, "d": [1]})
    ['a.b: 1 in the store, now 3', 'd: nothing in the store, now [1]']
    """
    found = []
    for key in [*old, *(k for k in new if k not in old)]:
        if key in old and key in new and old[key] == new[key]:
            continue
        before, after = (
            "nothing"
            if key not in side
            else side[key]
            if isinstance(side[key], Mapping)
            else json.dumps(side[key])
            for side in (old, new)
        )
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            found += differences(before, after, f"{prefix}{key}.")
        else:
            found.append(f"{prefix}{key}: {before} in the store, now {after}")
    return found


def _check_same(path: Path, configuration: Mapping[str, Any]) -> None:
    changes = differences(read_configuration_of(path), configuration)
    if len(changes) > 1:
        # the fingerprint only says what the others say too
        changes = [c for c in changes if not c.startswith("fingerprint")]
    elif changes and changes[0].startswith("fingerprint"):
        begun = xr.open_zarr(path, chunks=None).attrs["specalign_version"]
        changes = [f"{changes[0]}, begun with specalign {begun}, now {version()}"]
    if changes:
        raise InputError(
            "store",
            f"{path}, which holds another sweep ({'; '.join(changes)})",
            "the sweep that the store was begun with",
            "choose another --store, or go back to the old values",
        )


def _note_versions(path: Path) -> None:
    """Add the versions at work to those that were before."""
    attributes = _group_attributes(path)
    before = dict(attributes)
    for name, now in (
        ("specalign_version", version()),
        ("source_identity", source_identity()),
        ("library_versions", library_versions()),
    ):
        noted = str(attributes[name]).split("; then ")
        if noted[-1] != now:
            attributes[name] = "; then ".join([*noted, now])
    if attributes != before:
        consolidated = json.loads((path / ".zmetadata").read_text("utf-8"))
        consolidated["metadata"][".zattrs"] = attributes
        contents = {".zattrs": attributes, ".zmetadata": consolidated}
        replace_fixed(path, {name: json.dumps(text, indent=2) for name, text in contents.items()})
