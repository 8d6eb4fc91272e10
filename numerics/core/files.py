"""Files that are written whole or not at all."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


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
