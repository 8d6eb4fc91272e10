"""Where generated modules and their machine code are kept between runs.

Whatever stands there may be damaged, or no file at all: it is then made again.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import stat
import tempfile
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

import platformdirs
from numba.core.caching import FunctionCache, IndexDataCacheFile

# bytes of a file beyond which it is none of ours
MOST_BYTES = 10**8


@lru_cache(maxsize=None)
def cache_directory() -> Path:
    """Directory of the generated modules; created on first use.

    ``$SPECALIGN_CACHE_DIR`` or the user's cache directory.  One that cannot be written, or where
    other users could put code, is replaced by a temporary one that serves this process.
    """
    wanted = os.environ.get("SPECALIGN_CACHE_DIR") or platformdirs.user_cache_dir("specalign")
    path = Path(wanted) / "generated"
    try:
        path.mkdir(parents=True, exist_ok=True)
        if _is_open_to_others(path):
            return temporary_directory()
        with tempfile.TemporaryFile(dir=path):
            pass
    except (OSError, ValueError):  # no place to write, a zero byte in its name
        return temporary_directory()
    return path


@lru_cache(maxsize=None)
def temporary_directory() -> Path:
    """A directory for the files of this process."""
    return Path(tempfile.mkdtemp(prefix="specalign-"))


def _is_open_to_others(path: Path) -> bool:
    """Whether a user other than this one and root could have put code into a directory."""
    if os.name != "posix":
        return False
    found = path.stat()
    foreign = found.st_uid not in (os.geteuid(), 0)
    return foreign or (bool(found.st_mode & stat.S_IWOTH) and not found.st_mode & stat.S_ISVTX)


def place_module(name: str, source: str) -> Path:
    """The file of a generated module, with this source in it."""
    try:
        return _place(cache_directory() / f"{name}.py", source)
    except OSError:  # a full disk, a directory of this name
        return _place(temporary_directory() / f"{name}.py", source)


def _place(path: Path, source: str) -> Path:
    content = source.encode()
    if _bytes_of(path) != content:
        descriptor, new = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
            os.replace(new, path)  # atomic, and what a link leads to stays as it is
        except OSError:
            os.remove(new)
            raise
    return path


def _bytes_of(path: str | Path) -> bytes | None:
    """What a regular file holds; None for anything else, of which reading might have no end."""
    try:
        found = os.stat(path)
        if not stat.S_ISREG(found.st_mode) or found.st_size > MOST_BYTES:
            return None
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return None


def keep_machine_code_safely(module: ModuleType) -> None:
    """Let the compiled functions of a module survive damage to the files of their machine code."""
    for function in vars(module).values():
        if isinstance(getattr(function, "_cache", None), FunctionCache):
            function._cache = _SafeCache(function.py_func)


class _CheckedFile(IndexDataCacheFile):
    """The files of numba, machine code with a checksum: with a wrong bit it would crash.

    The checksum stands at the end, where numba itself does not look.
    """

    def _load_index(self) -> Any:
        return super()._load_index() if _bytes_of(self._index_path) is not None else {}

    def _load_data(self, name: str) -> Any:
        content = _bytes_of(self._data_path(name)) or b""
        data, digest = content[:-32], content[-32:]
        if hashlib.sha256(data).digest() != digest:
            raise OSError(f"{name} is damaged")  # numba takes it as a file that is not there
        return pickle.loads(data)

    def _save_data(self, name: str, data: Any) -> None:
        content = self._dump(data)
        with self._open_for_write(self._data_path(name)) as file:
            file.write(content + hashlib.sha256(content).digest())


class _SafeCache(FunctionCache):
    """Machine code that cannot be read is compiled again; what cannot be written is not kept."""

    def __init__(self, function: Any) -> None:
        super().__init__(function)
        old = self._cache_file
        base = Path(old._index_name).stem
        self._cache_file = _CheckedFile(self._cache_path, base, old._source_stamp)

    def load_overload(self, signature: Any, context: Any) -> Any:
        try:
            return super().load_overload(signature, context)
        except Exception:  # what a damaged index unpickles to may raise anything
            with suppress(OSError):
                self.flush()
            return None

    def save_overload(self, signature: Any, data: Any) -> None:
        with suppress(OSError):
            super().save_overload(signature, data)
