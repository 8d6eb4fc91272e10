"""The command `new`: a commented start for a file of one's own."""

from __future__ import annotations

from fnmatch import fnmatch
from importlib.resources import files
from pathlib import Path

from theory.errors import InputError
from verify.commands.command import takes_options
from verify.commands.terminal import check_output, write_text
from verify.settings.configuration import Configuration

# patterns of names, the first that fits, and the start each has
STARTS = {
    "test_*.py": "test_model.py",
    "*.py": "model.py",
    "*sweep*.toml": "sweep.toml",
    "*claim*.toml": "claims.toml",
    "*.toml": "config.toml",
    "*.tex": "claims.tex",
}


@takes_options
def new(settings: Configuration, *, start: Path) -> None:
    """Write a commented start: a model, a test of a model, claims, a sweep or a configuration.

    The name of the file tells which: model.py, test_model.py, claims.toml, claims.tex, sweep.toml,
    config.toml, or names of one's own that look alike. A file that exists is left alone.

    Example:  specalign new claims.toml
    """
    text = text_of(start)
    if start.exists() or start.is_symlink():
        raise InputError("FILE", start, "a file that does not exist yet", "choose another name")
    check_output("FILE", start)
    write_text(start, text)


def text_of(path: Path) -> str:
    """The start that a file of this name has.

    Raises
    ------
    theory.InputError
        No start is known for the name.

    Examples
    --------
    >>> print(text_of(Path("sweep.toml")).splitlines()[2])
    #     specalign sweep sweep.toml --store sweep.zarr --plot sweep.png
    """
    kind = next((s for pattern, s in STARTS.items() if fnmatch(path.name.lower(), pattern)), None)
    if kind is None:
        names = ", ".join(dict.fromkeys(STARTS.values()))
        raise InputError("FILE", path, f"a name like one of {names}", "choose one of these endings")
    text = files("verify.commands.starts").joinpath(f"{kind}.txt").read_text(encoding="utf-8")
    return text.replace("NAME", path.name)
