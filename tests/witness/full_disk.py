"""A disk that is full: from the n-th file on that is opened to be written, or after so many bytes
of any file.
"""

from __future__ import annotations

import errno
import os
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_FULL: list[FullFrom] = []
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


class FullFrom:
    """Counts the files below a folder that are opened to be written; the n-th and all after fail.

    Parameters
    ----------
    folder : Path
    number : int
    """

    def __init__(self, folder: Path, number: int) -> None:
        self.folder, self.number, self.seen = str(folder), number, 0

    @property
    def was_reached(self) -> bool:
        return self.seen >= self.number

    def __enter__(self) -> FullFrom:
        _FULL.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        _FULL.remove(self)

    def see(self, path: str) -> None:
        """Refuse a file from the n-th on."""
        if path.startswith(self.folder):
            self.seen += 1
            if self.was_reached:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)


def _see(event: str, arguments: tuple) -> None:
    if event == "open" and _FULL and isinstance(arguments[2], int) and arguments[2] & _WRITING:
        for full in _FULL:
            full.see(os.fsdecode(arguments[0]) if not isinstance(arguments[0], int) else "")


sys.addaudithook(_see)


@contextmanager
def cut_after(size: int) -> Iterator[None]:
    """No file can grow beyond so many bytes, whoever writes it: the system refuses the rest.

    Compiled modules of Python are not written meanwhile: the interpreter does not look how much of
    one was written, and one cut short would end every later import of it with an EOFError.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "dont_write_bytecode", True)
        patch.setenv("PYTHONDONTWRITEBYTECODE", "1")
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
