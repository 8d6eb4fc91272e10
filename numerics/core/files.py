"""Files that are written whole or not at all."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from theory import InputError


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """A new file beside ``path`` that takes its place when the block ends well.

    The new file has the ending of ``path``, so that writers which choose their format by it choose
    the same one.  Its content is on the disk before the name changes hands: whatever happens, the
    name leads to the whole old file or to the whole new one.

    Raises
    ------
    OSError
        What the block or the disk raises; the old file stays, the new one is removed.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     target = Path(folder) / "numbers.txt"
    ...     with replacing(target) as new:
    ...         _ = new.write_text("1 2 3")
    ...     target.read_text(), [file.name for file in Path(folder).iterdir()]
    ('1 2 3', ['numbers.txt'])
    """
    # a link stays a link: what it leads to is replaced
    target = Path(os.path.realpath(path))
    new = target.with_name(f".{target.stem}.{os.getpid()}-{os.urandom(4).hex()}{target.suffix}")
    try:
        yield new
        with new.open("rb") as file:
            os.fsync(file.fileno())
        if target.exists():
            new.chmod(stat.S_IMODE(target.stat().st_mode))
        new.replace(target)
    finally:
        new.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """Write a text in UTF-8, whole or not at all."""
    with replacing(path) as new:
        new.write_text(text, encoding="utf-8")


def check_regular(parameter: str, path: Path) -> None:
    """Refuse an output that exists and is no regular file: a pipe would block, a device would lose it.

    Raises
    ------
    theory.InputError
    """
    if not path.exists() or path.is_file():
        return
    mode = path.stat().st_mode
    kinds = ((stat.S_ISFIFO, "a pipe"), (stat.S_ISSOCK, "a socket"), (stat.S_ISDIR, "a directory"))
    kind = next((name for is_kind, name in kinds if is_kind(mode)), "a device")
    raise InputError(
        parameter,
        f"{path}, {kind}",
        "a new name or a regular file",
        "write to a file, and pass it on from there",
    )
