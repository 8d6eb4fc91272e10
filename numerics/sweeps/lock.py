"""One driver at a time: a lock beside the store, with a note of the process that holds it."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from numerics.core.files import write_text
from theory import InputError


@contextmanager
def locked(store: Path) -> Iterator[None]:
    """Hold ``<store>.lock`` while the block runs.

    The system releases the lock when the process ends, however it ends.  Since not every network
    file system carries locks to other machines, ``<store>.owner`` names who holds it, and the note
    of another machine is respected until somebody deletes it.

    Raises
    ------
    theory.InputError
        Another driver is at work on the store; a link stands in place of the lock.
    """
    lock, note = (store.with_name(f"{store.name}.{ending}") for ending in ("lock", "owner"))
    for path in (lock, note):
        if path.is_symlink() or (path.exists() and not path.is_file()):
            raise InputError(
                "store",
                f"{path}, which is no regular file",
                "the lock of a sweep, or nothing",
                "delete it: a lock never follows a link",
            )
    holder = FileLock(lock, timeout=0)
    try:
        holder.acquire()
    except Timeout as error:
        raise _in_use(store, _read(note), lock) from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(
            "store", store, "a place that can be written", f"{reason}: choose another"
        ) from error
    try:
        owner = _read(note)
        if owner is not None and owner["host"] != socket.gethostname():
            raise _in_use(store, owner, note)
        write_text(note, json.dumps({"pid": os.getpid(), "host": socket.gethostname()}))
        try:
            yield
        finally:
            note.unlink(missing_ok=True)
    finally:
        # the file goes while it is still ours: whoever waits for it finds that it has no name
        lock.unlink(missing_ok=True)
        holder.release()


def _in_use(store: Path, owner: dict[str, Any] | None, file: Path) -> InputError:
    if owner is None:
        who = "in use by another process"
    else:
        place = "this machine" if owner["host"] == socket.gethostname() else "another machine"
        who = f"in use by process {owner['pid']} on {owner['host']} ({place})"
    return InputError(
        "store",
        f"{store}, {who}",
        "one driver a store",
        f"wait for it or stop it; if it has ended, delete {file}",
    )


def _read(note: Path) -> dict[str, Any] | None:
    """Who holds the lock; None where there is no note, or one that says nothing."""
    try:
        owner = json.loads(note.read_text("utf-8"))
        return {"pid": int(owner["pid"]), "host": str(owner["host"])}
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None
