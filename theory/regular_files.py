"""Files that are read: regular ones of a bounded size, whatever the name leads to."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from theory.errors import InputError


def check_regular(name: str, path: str | Path, expected: str, remedy: str) -> Path:
    """Refuse what is no regular file: a directory, a pipe or device that is read without end.

    Parameters
    ----------
    name : str
        Of the parameter, for the message.
    path : path
    expected : str
        What the file should be.
    remedy : str

    Raises
    ------
    theory.InputError
    """
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError) as error:  # links in a circle, names too long, zero bytes
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(name, path, f"{expected} ({reason})", remedy) from error
    if not stat.S_ISREG(mode):
        what = "a directory" if stat.S_ISDIR(mode) else "a pipe or device"
        raise InputError(name, f"{path}, {what}", expected, remedy)
    return Path(path)


def read_bytes(name: str, path: str | Path, most: int, expected: str, remedy: str) -> bytes:
    """The content of a regular file of a bounded size, whatever its length claims to be.

    Raises
    ------
    theory.InputError
        No regular file, one that cannot be read, or a longer one.
    """
    file = check_regular(name, path, expected, remedy)
    try:
        with file.open("rb") as opened:
            content = opened.read(most + 1)
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(name, path, f"{expected} ({reason})", remedy) from error
    if len(content) > most:
        raise InputError(name, path, f"a file of at most {most} bytes", "check the path")
    return content
