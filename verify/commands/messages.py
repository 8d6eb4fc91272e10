"""What the commands say beside their results: through ``logging``, onto the screen and into a file.

Results go to standard output, whatever is asked here. Messages go to standard error: errors and
warnings always, and all others unless ``--quiet`` is given. ``--log`` keeps a copy of both in a
file, with times and levels.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import perf_counter

import typer

from theory.errors import printable

LOGGER = logging.getLogger("specalign")
LOGGER.setLevel(logging.DEBUG)
LOGGER.propagate = False  # whoever embeds the command has handlers of their own
# results, which the screen shows by themselves
RESULT = 15
logging.addLevelName(RESULT, "RESULT")
# seconds from which on it is said how long something took
LONG = 10.0


class _Screen(logging.Handler):
    """Messages as single lines on whatever standard error is at the time."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print a message."""
        typer.echo(record.getMessage(), err=True)


class _File(logging.FileHandler):
    """Messages in a file; one that cannot be written ends the command."""

    def handleError(self, record: logging.LogRecord) -> None:
        """Leave the file alone from here on, and pass the error on."""
        LOGGER.removeHandler(self)
        error = sys.exc_info()[1]
        if error is not None:
            raise error


_SCREEN = _Screen(logging.INFO)
LOGGER.addHandler(_SCREEN)


def _line(text: str) -> str:
    return printable(" ".join(text.split()))


def complain(text: str) -> None:
    """An error or a warning: one line on standard error, also with ``--quiet``."""
    is_warning = text.startswith("warning:")
    LOGGER.log(logging.WARNING if is_warning else logging.ERROR, "%s", _line(text))


def inform(text: str) -> None:
    """A hint or the course of the work: one line on standard error, unless ``--quiet``."""
    LOGGER.info("%s", _line(text))


def say(text: str) -> None:
    """Print a line of results, unwrapped and without markup."""
    typer.echo(text)
    first, _, rest = text.partition("\n")
    more = f" ... and {len(rest.splitlines())} lines more" if rest else ""
    LOGGER.log(RESULT, "%s", printable(first) + more)


def is_quiet() -> bool:
    """Whether only results, warnings and errors are wanted."""
    return _SCREEN.level > logging.INFO


def tell_duration(what: str, seconds: float) -> None:
    """Say how long something took, if it was long."""
    if seconds >= LONG:
        inform(f"{what}: took {seconds:.0f} s")


@contextmanager
def messages(command: str, quiet: bool, log: Path | None) -> Iterator[None]:
    """Say as much as is asked for while a command runs, and keep it in a file."""
    _SCREEN.setLevel(logging.WARNING if quiet else logging.INFO)
    file, start = None, perf_counter()
    if log is not None:
        file = _File(log, encoding="utf-8")
        file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        LOGGER.addHandler(file)
        LOGGER.debug("specalign %s begins", command)
    try:
        yield
    except BaseException as error:
        # it is shown by whoever ends the command
        LOGGER.debug("%s", printable(f"{type(error).__name__}: {error}"))
        raise
    finally:
        if file is not None and file in LOGGER.handlers:
            LOGGER.debug("specalign %s ends after %.1f s", command, perf_counter() - start)
            LOGGER.removeHandler(file)
        if file is not None:
            with suppress(OSError):  # of a full disk, which has been told
                file.close()
        _SCREEN.setLevel(logging.INFO)
