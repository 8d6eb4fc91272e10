"""What the commands write to the terminal: tables, progress bars, one-line errors; and where files
may go.
"""

from __future__ import annotations

import errno
import io
import os
import stat
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from threading import Timer
from time import perf_counter
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape

from theory.errors import InputError, printable

from .messages import complain, inform, is_quiet, say, tell_duration

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure
    from rich.progress import Progress

# exit codes; 0 is success
NOT_WELL, BAD_INPUT, INCONCLUSIVE, INTERRUPTED = 1, 2, 3, 130
# seconds after which work that prints nothing is announced
PATIENCE = 2.0
# columns assumed where the output is not a terminal and has no width of its own
_PIPE_WIDTH = 140


def standard_output() -> Console:
    """Console for results; wide when the output is a file or a pipe, so that tables are not cut."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=_PIPE_WIDTH)


def hush_libraries() -> None:
    """From now on in this process, warnings of ours are lines on standard error, and those of
    libraries are nothing that a user could act upon: what they warn of ends in an error of ours.

    Whoever asks Python for warnings (``-W``) sees them all.
    """
    if not sys.warnoptions:
        warnings.showwarning = _show_warning


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: object = None,
    line: str | None = None,
) -> None:
    if category.__module__.partition(".")[0] in ("theory", "numerics", "verify"):
        complain(f"warning: {message}")


@contextmanager
def progress_bar(description: str) -> Iterator[Callable[[float], None]]:
    """A bar on standard error, moving on a terminal; yields a function of the fraction done."""
    with _waiting(description, moving=False) as bar:
        task = bar.add_task(description, total=1.0)
        yield lambda fraction: bar.update(task, completed=fraction)


@contextmanager
def named_progress(
    description: str, *, reached: bool = False, timed: bool = True
) -> Iterator[Callable[[str, float], None]]:
    """A bar for work in named steps; yields a function of the step's name and the fraction done.

    Where standard error is no terminal, a line for every step that has been finished; with
    ``reached`` the name tells what has been reached instead of the step at work, and is the line.
    """
    with _waiting(description, timed=timed) as bar:
        task = bar.add_task(description, total=1.0)
        if bar.console.is_terminal:
            yield lambda name, fraction: bar.update(
                task, description=escape(printable(name)), completed=fraction
            )
        else:
            yield _reached_steps() if reached else _finished_steps(description)


def _finished_steps(description: str) -> Callable[[str, float], None]:
    """A function that writes a line whenever the name of the step at work changes."""
    start, at_work = perf_counter(), ""

    def report(name: str, fraction: float) -> None:
        nonlocal at_work
        # the end of one of several systems, `kgmm: done`, is no step of its own
        if at_work and name != at_work and at_work.rpartition(": ")[2] != "done":
            seconds = perf_counter() - start
            inform(f"{description}: finished {at_work}; {fraction:.0%} done after {seconds:.0f} s")
        at_work = name

    return report


def _reached_steps() -> Callable[[str, float], None]:
    """A function that writes a line whenever something else has been reached."""
    start, last = perf_counter(), ""

    def report(name: str, fraction: float) -> None:
        nonlocal last
        if name != last:
            inform(f"{name}; {fraction:.0%} done after {perf_counter() - start:.0f} s")
        last = name

    return report


@contextmanager
def spinner(description: str) -> Iterator[None]:
    """A moving sign with the elapsed time, for work whose length is not known beforehand."""
    with _waiting(description, fraction=False) as bar:
        bar.add_task(description, total=None)
        yield


@contextmanager
def integrating(description: str, *, complains: bool = True) -> Iterator[None]:
    """A spinner for a curve; a tolerance that is not reached becomes a line on standard error.

    ``complains`` is off where the command speaks of the tolerance beside its results.
    """
    from numerics.core.errors import ToleranceWarning

    with warnings.catch_warnings(record=True) as seen, spinner(description):
        warnings.simplefilter("always", ToleranceWarning)
        yield
    for warning in seen:
        if not issubclass(warning.category, ToleranceWarning):
            warnings.warn_explicit(
                warning.message, warning.category, warning.filename, warning.lineno
            )
        elif complains:
            complain(f"warning: {warning.message}")


@contextmanager
def _waiting(
    description: str, *, moving: bool = True, fraction: bool = True, timed: bool = True
) -> Iterator[Progress]:
    """A display on the terminal; where standard error is none, one line once the work has taken
    PATIENCE seconds.

    It shows a moving sign, the description, the fraction done and the time. At the end of ten
    seconds and more it is said how long it took, where nobody else does.
    """
    # nothing of it is needed to print a help
    from rich.progress import (
        BarColumn,
        Progress,
        SpinnerColumn,
        TaskProgressColumn,
        TextColumn,
        TimeElapsedColumn,
    )

    sign = [SpinnerColumn()] if moving else []
    done = [BarColumn(), TaskProgressColumn()] if fraction else []
    console = Console(stderr=True)
    notice = Timer(
        PATIENCE, inform, [f"{description}: this takes longer than {PATIENCE:g} s, please wait"]
    )
    notice.daemon = True
    start = perf_counter()
    if not console.is_terminal:
        notice.start()
    bar = Progress(
        *sign,
        TextColumn("{task.description}"),
        *done,
        TimeElapsedColumn(),
        console=console,
        transient=True,
    )
    try:
        # what is never started leaves no empty line behind, whatever the version of Rich
        with bar if console.is_terminal and not is_quiet() else nullcontext():
            yield bar
    finally:
        notice.cancel()
    if timed:
        tell_duration(description, perf_counter() - start)


def check_output(option: str, path: Path | None, suffixes: Sequence[str] = ()) -> Path | None:
    """Refuse a path that cannot be written, before any work starts.

    Parameters
    ----------
    option : str
        Name of the option, such as ``--plot``.
    path : Path or None
        None passes.
    suffixes : sequence of str
        Accepted endings; any when empty.

    Raises
    ------
    theory.InputError
        Unknown ending, a directory, a missing or unwritable parent directory, an unwritable file.
    """
    if path is None:
        return None
    if suffixes and path.suffix.lower() not in suffixes:
        expected = f"a file name ending in {', '.join(suffixes)}"
        raise InputError(option, path, expected, "the ending chooses the format")
    try:
        _check_place(option, path)
    except InputError:
        raise
    except (OSError, ValueError) as error:  # a name too long, links in a circle, a zero byte
        reason = getattr(error, "strerror", None) or str(error)
        remedy = "choose another directory or file name"
        raise InputError(option, path, f"a writable place ({reason})", remedy) from error
    return path


def _check_place(option: str, path: Path) -> None:
    """A file can be put there, in the place of the one that there may be."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        mode = None
    if mode is not None and stat.S_ISDIR(mode):
        raise InputError(option, path, "a file name", "it is a directory; add a file name")
    if mode is not None and not stat.S_ISREG(mode):
        remedy = "write to a file, and pass it on from there"
        expected = "a new name or a regular file"
        raise InputError(option, f"{path}, a pipe or device", expected, remedy)
    # a link stays one: what it leads to is written
    parent = Path(os.path.realpath(path)).parent
    if not parent.is_dir():
        raise InputError(option, path, "a file in an existing directory", f"create {parent} first")
    if mode is not None and not os.access(path, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    # what is written goes to a new file beside it, whose name is longer
    with tempfile.NamedTemporaryFile(dir=parent, prefix=f".{path.stem}.", suffix=path.suffix):
        pass


def check_outputs(outputs: Iterable[tuple[str, Path | None, Sequence[str]]]) -> None:
    """Check outputs, each with its option and endings, and that no two are the same file."""
    seen: dict[Path, str] = {}
    for option, path, suffixes in outputs:
        if check_output(option, path, suffixes) is not None and path is not None:
            other = seen.setdefault(path.resolve(), option)
            if other != option:
                expected = f"a file other than that of {other}"
                raise InputError(option, path, expected, "choose two names")


def write_data(data: xr.Dataset, path: Path | None) -> None:
    """Write a Dataset as netCDF; None writes nothing."""
    if path is not None:
        from numerics.core.files import replacing

        # a full disk brings HDF5 down with the process: it writes into memory, Python to the disk
        buffer = io.BytesIO()
        data.to_netcdf(buffer, engine="h5netcdf")
        with replacing(path) as new:
            new.write_bytes(buffer.getbuffer())
        say(f"wrote {path}")


def write_text(path: Path, text: str) -> None:
    """Write a text file, whole or not at all."""
    from numerics.core import files

    files.write_text(path, text)
    say(f"wrote {path}")


def write_figure(figure: Figure, path: Path) -> None:
    """Write a figure in the format of its file name."""
    from verify.figures import save_figure

    save_figure(figure, path)
    say(f"wrote {path}")
