"""State of every point of a store, as far as its digest confirms it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .integrity import point_digest
from .store_layout import BOOKS, DONE, FAILED, OPEN


@dataclass
class Books:
    """State of every point, as far as its digest confirms it.

    Attributes
    ----------
    status, seconds, digest : arrays of the shape of the grid
    damaged : list of int
        Numbers of points that were finished and are not what was written; their status is open.
    repaired : bool
        Whether anything differs from what the store says.
    false : bool
        Whether what the store says is false.  A status that still says open of a point that is
        finished is not: a kill just before the last write leaves it.
    """

    status: NDArray[np.int8]
    seconds: NDArray[np.float64]
    digest: NDArray[np.int64]
    damaged: list[int]
    repaired: bool
    false: bool


def verify_points(arrays: Mapping[str, Any], grid: tuple[int, ...], variables: list[str]) -> Books:
    """Compare everything the store holds of each point with the digest of the point."""
    stored = {name: _book(arrays[name], grid) for name in BOOKS if name != "error"}
    status, seconds, digest = (
        np.full(grid, BOOKS[name][1], BOOKS[name][0]) if found is None else found.copy()
        for name, found in stored.items()
    )
    begun, status[...] = status.copy(), OPEN
    damaged = []
    for number, at in enumerate(np.ndindex(grid)):
        status[at] = _confirmed_state(arrays, variables, at, int(digest[at]))
        if status[at] == OPEN and (digest[at] != 0 or begun[at] != OPEN):
            damaged.append(number)
            digest[at], seconds[at] = 0, np.nan
    unreadable = any(found is None for found in stored.values())
    differs = begun != status
    false = unreadable or bool(np.any(differs & (begun != OPEN)))
    return Books(status, seconds, digest, damaged, false or bool(differs.any()), false)


def _confirmed_state(
    arrays: Mapping[str, Any], variables: list[str], at: tuple[int, ...], digest: int
) -> int:
    """The state whose digest a point has; open where it has none."""
    if digest == 0:
        return OPEN
    error = _read(lambda: str(arrays["error"][at]), "")
    if digest == point_digest({}, FAILED, error):
        return FAILED
    blocks = {name: _read(partial(_block, arrays, name, at), None) for name in variables}
    whole = all(block is not None for block in blocks.values())
    return DONE if whole and digest == point_digest(blocks, DONE, error) else OPEN


def _book(array: Any, grid: tuple[int, ...]) -> NDArray[Any] | None:
    """One entry a point; None where it cannot be read."""
    found = _read(lambda: np.array(array[...]), None)
    return None if found is None or found.shape != grid else found


def _read(read: Callable[[], Any], instead: Any) -> Any:
    """What a chunk holds; codecs raise whatever they like where bytes are damaged."""
    try:
        return read()
    except Exception:
        return instead


def _block(arrays: Mapping[str, Any], name: str, at: tuple[int, ...]) -> Any:
    """What the store holds of one variable at one point."""
    return arrays[name][at]
