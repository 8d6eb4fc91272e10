"""Digests by which a damaged store is told from a whole one."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numerics.core.files import replacing
from theory import InputError

MANIFEST = ".specalign.json"
# what zarr writes to describe arrays and groups
_METADATA = (".zarray", ".zattrs", ".zgroup", ".zmetadata")


class DamagedPointsWarning(UserWarning):
    """Finished points of a store that were damaged since, and are computed again.

    Examples
    --------
    A sweep over a store that has to be whole:

    >>> import warnings
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("error", DamagedPointsWarning)
    ...     warnings.warn("point 3 is damaged", DamagedPointsWarning)       # by run_sweep
    Traceback (most recent call last):
        ...
    numerics.sweeps.integrity.DamagedPointsWarning: point 3 is damaged
    """


def point_digest(values: Mapping[str, NDArray[np.float64]], state: int, error: str) -> int:
    """Digest of what was found at one point, as a number below 2^63; never 0.

    The time it took is left away: the same numbers have the same digest on every machine.

    Examples
    --------
    >>> a = point_digest({"x": np.array([1.0, np.nan])}, 1, "")
    >>> a == point_digest({"x": np.array([1.0, np.nan])}, 1, ""), a > 0
    (True, True)
    >>> a == point_digest({"x": np.array([1.0, 2.0])}, 1, "")
    False
    """
    digest = blake2b(digest_size=8)
    for name in sorted(values):
        block = np.ascontiguousarray(values[name], dtype="<f8")
        digest.update(f"{name}{block.shape}\0".encode())
        # there are many bit patterns of NaN, and stores need not keep which it was
        digest.update(np.where(np.isnan(block), np.nan, block).astype("<f8").tobytes())
    digest.update(json.dumps([int(state), error]).encode())
    return (int.from_bytes(digest.digest(), "little") >> 1) or 1


def fixed_files(store: Path, changing: Sequence[str]) -> Iterator[Path]:
    """The files of a store that do not change while it is filled: descriptions and coordinates.

    Parameters
    ----------
    store : Path
    changing : sequence of str
        Arrays whose content changes.
    """
    for file in sorted(store.rglob("*")):
        parts = file.relative_to(store).parts
        if parts[-1] in _METADATA or (
            len(parts) == 2 and parts[0] not in changing and not parts[-1].endswith(".partial")
        ):
            yield file


def write_manifest(store: Path, changing: Sequence[str]) -> None:
    """Note the digests of all fixed files, in a file of its own."""
    files = {
        file.relative_to(store).as_posix(): [_file_digest(file)]
        for file in fixed_files(store, changing)
    }
    _write(store, {"files": files})


def replace_fixed(store: Path, contents: Mapping[str, str]) -> None:
    """Change fixed files together: killed at any moment, the store stays valid.

    Until all files are changed the manifest accepts the old content and the new one of each.
    """
    manifest = _read(store)
    for name, text in contents.items():
        manifest["files"][name].append(_digest(text.encode()))
    _write(store, manifest)
    for name, text in contents.items():
        with replacing(store / name) as new:
            new.write_text(text, encoding="utf-8")
        manifest["files"][name] = [_digest(text.encode())]
    _write(store, manifest)


def check_fixed(store: Path) -> None:
    """Compare every fixed file with its digest.

    Raises
    ------
    theory.InputError
        Naming the files that are missing or changed.
    """
    damaged = []
    for name, known in _read(store)["files"].items():
        try:
            whole = _file_digest(store / name) in known
        except OSError:
            whole = False
        if not whole:
            damaged.append(name)
    if damaged:
        more = f" and {len(damaged) - 5} more" if len(damaged) > 5 else ""
        raise _damage(store, f"{', '.join(damaged[:5])}{more} missing or changed")


def _damage(store: Path, what: str) -> InputError:
    return InputError(
        "store",
        f"{store}: {what}",
        "the files that the sweep wrote",
        "restore them from a copy, or delete the store and start the sweep again",
    )


def _read(store: Path) -> dict[str, Any]:
    try:
        found = json.loads((store / MANIFEST).read_text("utf-8"))
        files = {
            str(name): [str(digest) for digest in known] for name, known in found["files"].items()
        }
        sealed = found["seal"] == _seal(files)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _damage(store, f"{MANIFEST} is missing or cannot be read") from error
    if not sealed:
        raise _damage(store, f"{MANIFEST} was changed")
    return {"files": files}


def _write(store: Path, manifest: dict[str, Any]) -> None:
    files = manifest["files"]
    with replacing(store / MANIFEST) as new:
        new.write_text(
            json.dumps({"files": files, "seal": _seal(files)}, sort_keys=True), encoding="utf-8"
        )


def _seal(files: Mapping[str, Sequence[str]]) -> str:
    return _digest(json.dumps(files, sort_keys=True).encode())


def _file_digest(file: Path) -> str:
    return _digest(file.read_bytes())


def _digest(content: bytes) -> str:
    return blake2b(content, digest_size=16).hexdigest()
