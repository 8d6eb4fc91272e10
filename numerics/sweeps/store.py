"""The store of a sweep: one Zarr group that xarray opens, a chunk for each point, written by one
process.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from numerics.core.results import library_versions, version
from theory import InputError

from .measurements import Variable

OPEN, DONE, FAILED = 0, 1, 2
FORMAT = 1
# characters of an error that are kept
ERROR_LENGTH = 500
# version 2 of Zarr keeps texts and consolidated metadata within its specification
_ZARR_FORMAT: Any = 2
_BOOKS: dict[str, tuple[Any, Any, str, str]] = {
    "status": ("i1", OPEN, "0 open, 1 done, 2 failed", "1"),
    "seconds": ("f8", np.nan, "time that the point took, without waiting", "s"),
    "error": (f"<U{ERROR_LENGTH}", "", "why a failed point failed", "1"),
}


@dataclass(frozen=True)
class Layout:
    """Shape of a store.

    Attributes
    ----------
    axes : mapping from names to sizes
        Dimensions of the grid, the slowest first.
    coordinates : xarray.Dataset
        Coordinates of axes and of the dimensions of measurements.
    variables : mapping from names to Variable
    sizes : mapping from names to int
        Of the dimensions of measurements.
    configuration : mapping
        What the store holds, as JSON can write it.
    """

    axes: Mapping[str, int]
    coordinates: xr.Dataset
    variables: Mapping[str, Variable]
    sizes: Mapping[str, int]
    configuration: Mapping[str, Any]

    def block(self, name: str) -> tuple[int, ...]:
        """Shape of a variable at one point."""
        return tuple(self.sizes[d] for d in self.variables[name].dims)


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
        else:
            _allocate(path, layout)
        self._group = zarr.open_group(
            path, mode="r+", zarr_format=_ZARR_FORMAT, use_consolidated=False
        )
        self._note_versions()
        self._arrays: dict[str, Any] = {
            name: self._group[name] for name in (*_BOOKS, *layout.variables)
        }
        self.status: NDArray[np.int8] = np.array(self._arrays["status"][...])
        self._seconds = np.array(self._arrays["seconds"][...])

    def _note_versions(self) -> None:
        """Add the versions at work to those that were before."""
        import zarr

        for name, now in (
            ("specalign_version", version()),
            ("library_versions", library_versions()),
        ):
            noted = str(self._group.attrs[name]).split("; then ")
            if noted[-1] != now:
                self._group.attrs[name] = "; then ".join([*noted, now])
                zarr.consolidate_metadata(self.path, zarr_format=_ZARR_FORMAT)

    def points(self, *states: int) -> Iterator[int]:
        """Numbers of the points in one of these states."""
        yield from np.flatnonzero(np.isin(self.status.ravel(), states)).tolist()

    def count(self, state: int) -> int:
        return int((self.status == state).sum())

    def write(self, number: int, values: Mapping[str, Any], seconds: float) -> None:
        """Keep the numbers of a finished point; its status comes last."""
        at = self._at(number)
        for name, value in values.items():
            shape = self.layout.block(name)
            block = padded(value, shape)
            self._arrays[name][at + (slice(None),) * len(shape)] = block if shape else float(block)
        self._close(at, DONE, seconds, "")

    def fail(self, number: int, error: str, seconds: float = np.nan) -> None:
        """Record why a point failed."""
        self._close(self._at(number), FAILED, seconds, error)

    def _close(self, at: tuple[int, ...], state: int, seconds: float, error: str) -> None:
        if error or self.status[at] == FAILED:
            self._arrays["error"][at] = error[:ERROR_LENGTH]
        self._seconds[at] = seconds
        self._arrays["seconds"][...] = self._seconds
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
    if path.exists():
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


def read_configuration_of(path: Path) -> dict[str, Any]:
    """The configuration of the sweep at ``path``."""
    import zarr

    try:
        group = zarr.open_group(path, mode="r", zarr_format=_ZARR_FORMAT, use_consolidated=False)
        found = json.loads(str(group.attrs["configuration"]))
    except (OSError, KeyError, ValueError) as error:
        raise InputError(
            "store",
            path,
            "a new name, or the store of a sweep",
            "it holds something else: choose another name",
        ) from error
    if not isinstance(found, dict):
        raise InputError(
            "store", path, "the store of a sweep", "it holds something else: choose another name"
        )
    return found


def open_store(path: str | Path) -> xr.Dataset:
    """The labelled Dataset of a store, read when needed; ``xarray.open_zarr`` does the same.

    Raises
    ------
    theory.InputError
        There is no sweep at ``path``.
    """
    read_configuration_of(Path(path))
    return xr.open_zarr(path, chunks=None)


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


def _allocate(path: Path, layout: Layout) -> None:
    """Make the store under another name and move it: there is never half a store."""
    import zarr

    workplace = path.with_name(f"{path.name}.new-{os.getpid()}")
    shutil.rmtree(workplace, ignore_errors=True)
    try:
        layout.coordinates.assign_attrs(_attributes(layout)).to_zarr(
            workplace, zarr_format=_ZARR_FORMAT, consolidated=False, mode="w"
        )
        group = zarr.open_group(
            workplace, mode="r+", zarr_format=_ZARR_FORMAT, use_consolidated=False
        )
        grid, names = tuple(layout.axes.values()), list(layout.axes)
        for name, (kind, value, meaning, units) in _BOOKS.items():
            single = name == "error"  # long, and rare: a file for each
            array = group.create_array(
                name,
                shape=grid,
                chunks=(1,) * len(grid) if single else grid,
                dtype=kind,
                fill_value=np.nan if kind == "f8" else None,
                attributes=_labels(names, meaning, units),
            )
            if not single:
                array[...] = np.full(grid, value)
        for name, variable in layout.variables.items():
            block = layout.block(name)
            group.create_array(
                name,
                shape=grid + block,
                chunks=(1,) * len(grid) + tuple(max(n, 1) for n in block),
                dtype="f8",
                fill_value=np.nan,
                attributes=_labels([*names, *variable.dims], variable.meaning, variable.units),
            )
        zarr.consolidate_metadata(workplace, zarr_format=_ZARR_FORMAT)
        workplace.rename(path)
    finally:
        shutil.rmtree(workplace, ignore_errors=True)


def _attributes(layout: Layout) -> dict[str, Any]:
    return {
        "source": "sweep of SGD simulations, curves and spectra",
        "configuration": json.dumps(layout.configuration, sort_keys=True),
        "sweep_format": FORMAT,
        "specalign_version": version(),
        "library_versions": library_versions(),
        "begun": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _labels(dims: Sequence[str], meaning: str, units: str) -> dict[str, Any]:
    return {"_ARRAY_DIMENSIONS": list(dims), "long_name": meaning, "units": units}


def padded(value: ArrayLike, shape: Sequence[int]) -> NDArray[np.float64]:
    """A block of the declared shape, NaN where the value is smaller.

    Examples
    --------
    >>> padded([1.0, 2.0], (3,))
    array([ 1.,  2., nan])
    """
    given = np.asarray(value, dtype=float)
    out = np.full(tuple(shape), np.nan)
    out[tuple(slice(n) for n in given.shape)] = given
    return out
