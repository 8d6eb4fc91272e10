"""What a block of code does to the world: code made from text, files written, processes, sockets,
time and memory.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import gettempdir
from time import process_time

from processor import is_within

# limits of a refusal: seconds of processor time, and bytes
MOST_SECONDS, MOST_BYTES = 2.0, 500e6
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_WORLD = {
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.fork",
    "os.rename",
    "os.remove",
    "os.mkdir",
    "os.truncate",
    "pickle.find_class",
    "shutil.rmtree",
    "socket.bind",
    "socket.connect",
    "subprocess.Popen",
}


@dataclass
class Watch:
    """What was seen.

    Attributes
    ----------
    events : list of str
        Code that was made of text, and whatever reached beyond the process.
    seconds, bytes : float
    """

    events: list[str] = field(default_factory=list)
    seconds: float = 0.0
    bytes: float = 0.0

    def check(self) -> None:
        """Nothing was executed or written, soon and in little memory."""
        assert not self.events, self.events
        assert is_within(self.seconds, MOST_SECONDS), f"{self.seconds:.2f} s"
        assert self.bytes < MOST_BYTES, f"{self.bytes / 1e6:.0f} MB"


_AT_WORK: list[Watch] = []
_HARMLESS: set[str] = set()
_LEARNS: list[bool] = []


def _see(event: str, arguments: tuple) -> None:
    if _LEARNS and event == "compile":
        _HARMLESS.add(str(arguments[0]))
    if not _AT_WORK:
        return
    if event == "compile":
        source, name = str(arguments[0]), str(arguments[1])
        # of our own generator, and what libraries make of their own annotations
        if not ("generated" in name or source in _HARMLESS or "def monomial_" in source):
            _AT_WORK[-1].events.append(f"compile {source[:200]!r} in {name}")
    elif event == "open":
        path, _, flags = arguments
        # a descriptor was seen when it was opened by its name
        if isinstance(path, int):
            return
        if isinstance(flags, int) and flags & _WRITING and not _is_ours(path):
            _AT_WORK[-1].events.append(f"open {path} to write")
    elif event in _WORLD and not (event.startswith("os.") and _is_ours(arguments[:1])):
        _AT_WORK[-1].events.append(f"{event} {str(arguments)[:200]}")


def _is_ours(path: object) -> bool:
    """A probe for a writable place, or the cache of generated code."""
    text, cache = str(path), os.environ.get("SPECALIGN_CACHE_DIR", "specalign")
    return any(place in text for place in (f"{cache}/generated", f"{gettempdir()}/tmp", "/proc/"))


sys.addaudithook(_see)


def import_everything() -> None:
    """Load every module of ours: imports compile and read, and are no answer to any input.

    Neither is the directory of generated code, which is made once.
    """
    for package in ("theory", "numerics", "verify", "specalign"):
        found = importlib.import_module(package)
        for module in pkgutil.walk_packages(found.__path__, f"{package}."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)
    importlib.import_module("rich.progress")  # a command loads it when it has to wait
    importlib.import_module("numerics.core.generated.module_files").cache_directory()


@contextmanager
def learning() -> Iterator[None]:
    """What libraries compile of their own texts at every call, in a block that is harmless."""
    _LEARNS.append(True)
    try:
        yield
    finally:
        _LEARNS.pop()


def _peak(reset: bool = False) -> float:
    """Most bytes of memory that this process has held since the last reset; 0 where the system
    does not tell.
    """
    try:
        if reset:
            with open("/proc/self/clear_refs", "w") as file:
                file.write("5")
        with open("/proc/self/status") as file:
            return next(float(line.split()[1]) for line in file if "VmHWM" in line) * 1024
    except OSError:
        return 0.0


class TooLong(BaseException):
    """Work that has to be ended."""


def _end(*_: object) -> None:
    raise TooLong


@contextmanager
def watched(seconds: float = 30.0) -> Iterator[Watch]:
    """See what a block does; it is ended after so many seconds."""
    watch, before = Watch(), signal.signal(signal.SIGALRM, _end)
    held = _peak(reset=True)
    _AT_WORK.append(watch)
    begin = process_time()
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield watch
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        watch.seconds = process_time() - begin
        _AT_WORK.pop()
        watch.bytes = _peak() - held
        signal.signal(signal.SIGALRM, before)


def seen_in(folder: Path) -> list[str]:
    """Names of the files of a folder."""
    return sorted(path.name for path in folder.iterdir())
