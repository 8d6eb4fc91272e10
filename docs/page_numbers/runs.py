"""Commands whose numbers pages state: run, timed, and kept in a file of docs/data."""

from __future__ import annotations

import hashlib
import json
import os
import re
import resource
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import specalign

ROOT = Path(__file__).resolve().parent.parent.parent
DATA = ROOT / "docs" / "data"


def read_json(path: Path) -> dict[str, Any]:
    """All that a file holds."""
    return dict(json.loads(path.read_text("utf-8")))


def to_digits(value: Any, digits: int = 6) -> Any:
    """Numbers, in lists or not, to so many significant digits.

    Examples
    --------
    >>> to_digits([1 / 3, [2 / 3]], 2)
    [0.33, [0.67]]
    """
    if isinstance(value, dict):
        return {key: to_digits(each, digits) for key, each in value.items()}
    if isinstance(value, list):
        return [to_digits(each, digits) for each in value]
    return float(f"{value:.{digits}g}") if isinstance(value, float) else value


def read_numbers(path: Path) -> dict[str, Any]:
    """All that a command wrote, to six digits."""
    return dict(to_digits(read_json(path)))


@dataclass(frozen=True)
class Run:
    """A command as a page prints it, the option by which it writes its numbers, what is kept of
    them, and whether that is also what it prints.
    """

    name: str
    command: str
    option: str = "--json"
    suffix: str = ".json"
    keep: Callable[[Path], dict[str, Any]] = read_numbers
    printed: bool = False

    @property
    def fingerprint(self) -> str:
        """Changes where the command changes, or the script that it runs, or what that imports from
        its folder.
        """
        script = ROOT / shlex.split(self.command)[1]
        text = script.read_text("utf-8") if script.is_file() else ""
        for name in sorted(set(re.findall(r"^(?:from|import) (\w+)", text, re.M))):
            neighbour = script.with_name(f"{name}.py")
            text += neighbour.read_text("utf-8") if neighbour.is_file() else ""
        return hashlib.sha256((self.command + text).encode()).hexdigest()[:16]

    def run(self) -> dict[str, Any]:
        """Run the command; its numbers, with seconds of processor time and the date."""
        program, *words = shlex.split(self.command)
        start = [sys.executable] if program == "python" else [sys.executable, "-m", program]
        with tempfile.TemporaryDirectory() as folder:
            written = Path(folder) / f"numbers{self.suffix}"
            before = _seconds_of_children()
            done = subprocess.run(
                [*start, *words, self.option, str(written)],
                check=True,
                cwd=ROOT,
                env=os.environ
                | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "COLUMNS": "200"},
                stdout=subprocess.PIPE,
                text=True,
            )
            seconds = _seconds_of_children() - before
            numbers = self.keep(written)
            if self.printed:  # but for the names of files
                lines = [line.rstrip() for line in done.stdout.splitlines()]
                numbers["output"] = [line for line in lines if not line.startswith("wrote ")]
        about = {
            "command": self.command,
            "fingerprint": self.fingerprint,
            "seconds": round(seconds, 1),
            "version": specalign.__version__,
            "date": datetime.now(UTC).date().isoformat(),
        }
        return about | numbers


def record(page: str) -> dict[str, Any]:
    """What the runs of a page found, by their names."""
    path = DATA / f"{page}.json"
    return read_json(path) if path.exists() else {}


def make(page: str, runs: Iterator[Run], chosen: list[str]) -> dict[str, Any]:
    """Run what is stale, or the runs named, and keep each at once: a run that is stopped goes on
    where it was.
    """
    found = record(page)
    known = {run.name: run for run in runs}
    for name, run in known.items():
        stale = found.get(name, {}).get("fingerprint") != run.fingerprint
        if (name in chosen) if chosen else stale:
            print(f"{page} {name}: {run.command}", flush=True)
            found[name] = run.run()
            print(f"{page} {name}: {found[name]['seconds']:.0f} s", flush=True)
            write(page, {n: found[n] for n in known if n in found})
    return found


def write(page: str, found: dict[str, Any]) -> None:
    """A line for each entry of a run, so that versions can be compared."""
    runs = []
    for name, run in found.items():
        lines = ",\n".join(
            f"  {json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}"
            for key, value in run.items()
        )
        runs.append(f" {json.dumps(name)}: {{\n{lines}\n }}")
    DATA.mkdir(exist_ok=True)
    text = "{\n" + ",\n".join(runs) + "\n}\n"
    (DATA / f"{page}.json").write_text(text, "utf-8")


def _seconds_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
