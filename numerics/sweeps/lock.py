"""One driver at a time: a lock file beside the store, with the process that holds it."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from theory import InputError

try:
    import fcntl
except (
    ImportError
):  # Windows: two drivers that start within the same millisecond are not told apart there
    fcntl = None  # type: ignore[assignment]


@contextmanager
def locked(store: Path) -> Iterator[None]:
    """Hold ``<store>.lock`` while the block runs.

    The file of a process of this machine that has ended is taken over.

    Raises
    ------
    theory.InputError
        Another driver is at work on the store.
    """
    path = store.with_name(f"{store.name}.lock")
    mine = {"pid": os.getpid(), "host": socket.gethostname(), "started": _started(os.getpid())}
    with _alone(path) as file:
        owner = _read(file)
        if owner is not None and _alive(owner):
            place = "this machine" if owner["host"] == mine["host"] else "another machine"
            raise InputError(
                "store",
                f"{store}, in use by process {owner['pid']} on {owner['host']} ({place})",
                "one driver a store",
                f"wait for it or stop it; if it has ended, delete {path}",
            )
        file.seek(0)
        file.truncate()
        file.write(json.dumps(mine))
        file.flush()
    try:
        yield
    finally:
        with _alone(path) as file:
            if _read(file) == mine:
                path.unlink(missing_ok=True)


@contextmanager
def _alone(path: Path) -> Iterator[Any]:
    """The open lock file, read or changed by one process at a time."""
    while True:
        try:
            file = path.open("a+", encoding="utf-8")
        except OSError as error:
            reason = error.strerror or str(error)
            raise InputError(
                "store",
                path.with_suffix(""),
                "a place that can be written",
                f"{reason}: choose another",
            ) from error
        try:
            if fcntl is not None:
                fcntl.flock(file, fcntl.LOCK_EX)
            # whoever held it before may have deleted it: then another file has its name
            if not path.exists() or not os.path.samestat(os.fstat(file.fileno()), path.stat()):
                continue
            yield file
            return
        finally:
            file.close()


def _read(file: Any) -> dict[str, Any] | None:
    file.seek(0)
    try:
        owner = json.loads(file.read())
        return owner if {"pid", "host"} <= owner.keys() else None
    except (ValueError, AttributeError):
        return None


def _alive(owner: dict[str, Any]) -> bool:
    """Whether the owner may still be at work; that of another machine always may."""
    if owner["host"] != socket.gethostname():
        return True
    try:
        os.kill(owner["pid"], 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    # numbers of processes are used again: the same number with another start is another process
    return owner.get("started") is None or owner["started"] == _started(owner["pid"])


def _started(pid: int) -> str | None:
    """When a process began, in ticks since the machine did; None where the system does not tell."""
    try:
        return Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return None
