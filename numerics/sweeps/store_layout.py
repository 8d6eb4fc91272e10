"""Shape of a store, and how an empty one is made."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from numerics.core.results import library_versions
from numerics.version import version

from .integrity import write_manifest
from .measurements import Variable
from .source_identity import source_identity

OPEN, DONE, FAILED = 0, 1, 2

FORMAT = 2

# characters of an error that are kept
ERROR_LENGTH = 500

# version 2 of Zarr keeps texts and consolidated metadata within its specification
ZARR_FORMAT: Any = 2

BOOKS: dict[str, tuple[Any, Any, str, str]] = {
    "status": ("i1", OPEN, "0 open, 1 done, 2 failed", "1"),
    "seconds": ("f8", np.nan, "time that the point took, without waiting", "s"),
    "digest": ("i8", 0, "digest of what the store holds of a point, 0 of an open one", "1"),
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


def allocate(path: Path, layout: Layout) -> None:
    """Make the store under another name and move it: there is never half a store.

    Every chunk has a checksum, so that a changed one is an error for whoever reads it.
    """
    import zarr
    from numcodecs import CRC32

    workplace = path.with_name(f"{path.name}.new-{os.getpid()}")
    shutil.rmtree(workplace, ignore_errors=True)
    try:
        layout.coordinates.assign_attrs(_attributes(layout)).to_zarr(
            workplace, zarr_format=ZARR_FORMAT, consolidated=False, mode="w"
        )
        group = zarr.open_group(
            workplace, mode="r+", zarr_format=ZARR_FORMAT, use_consolidated=False
        )
        grid, names = tuple(layout.axes.values()), list(layout.axes)
        for name, (kind, value, meaning, units) in BOOKS.items():
            single = name == "error"  # long, and rare: a file for each
            array = group.create_array(
                name,
                shape=grid,
                chunks=(1,) * len(grid) if single else grid,
                dtype=kind,
                fill_value=np.nan if kind == "f8" else None,
                filters=[CRC32()],
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
                filters=[CRC32()],
                attributes=_labels([*names, *variable.dims], variable.meaning, variable.units),
            )
        zarr.consolidate_metadata(workplace, zarr_format=ZARR_FORMAT)
        write_manifest(workplace, (*BOOKS, *layout.variables))
        workplace.rename(path)
    finally:
        shutil.rmtree(workplace, ignore_errors=True)


def _attributes(layout: Layout) -> dict[str, Any]:
    return {
        "source": "sweep of SGD simulations, curves and spectra",
        "configuration": json.dumps(layout.configuration, sort_keys=True),
        "sweep_format": FORMAT,
        "measured": json.dumps(sorted(layout.variables)),
        "source_identity": source_identity(),
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
