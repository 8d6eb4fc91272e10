"""Files that no reader should trip over: refused by name at once, whatever they hold or are."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from audit import import_everything, learning, watched
from command_cases import invoke
from helpers import ROOT
from hostile_files import (
    CLAIM,
    NO_CLAIMS,
    NO_CONFIGURATIONS,
    NO_FORMULAS,
    NO_LATEX,
    NO_SWEEPS,
    NO_TEXTS,
)

from theory import InputError
from verify.claims.files import read_claims

pytestmark = pytest.mark.usefixtures("no_work")
# how a file is given: its ending, and the words of the command
COMMANDS = {
    "configuration": (".toml", ["simulate", "--config", "{file}"]),
    "sweep": (".toml", ["sweep", "{file}", "--store", "s.zarr", "--list"]),
    "claims": (".toml", ["check", "{file}"]),
    "latex": (".tex", ["check", "{file}"]),
}


@pytest.fixture(scope="module", autouse=True)
def warmed():
    import_everything()
    with learning():
        for words in (["simulate", "--k", "1"], ["sweep", "a", "--store", "b"], ["check", "a"]):
            invoke(*words)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def refusal(kind: str, file: Path) -> str:
    """The one line that refuses a file."""
    words = [word.format(file=file) for word in COMMANDS[kind][1]]
    with watched() as watch:
        result = invoke(*words)
    watch.check()
    assert result.exit_code == 2, result.output
    message = result.stderr
    assert len(message.splitlines()) == 1
    assert re.search(r"^error: .*got .*; expected .*\. Remedy: .*", message)
    assert len(message) < 4000
    assert all(c.isprintable() or c == "\n" for c in message)
    return message


def written(kind: str, content: str | bytes) -> Path:
    file = Path(f"hostile{COMMANDS[kind][0]}")
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return file


@pytest.mark.parametrize("kind", COMMANDS)
@pytest.mark.parametrize("name", NO_TEXTS)
def test_no_reader_trips_over_what_is_no_text(kind, name):
    refusal(kind, written(kind, NO_TEXTS[name]))
    assert not Path("pwned").exists()


@pytest.mark.parametrize("name", NO_CONFIGURATIONS)
def test_no_configuration_is_accepted_that_means_nothing(name):
    refusal("configuration", written("configuration", NO_CONFIGURATIONS[name]))


@pytest.mark.parametrize("name", NO_SWEEPS)
def test_no_sweep_is_accepted_that_means_nothing(name):
    refusal("sweep", written("sweep", NO_SWEEPS[name]))
    assert not Path("s.zarr").exists()


def refused_claims(kind: str, content: str) -> None:
    """Claims that the readers refuse; the command judges each in a process of its own."""
    file = written(kind, content)
    with watched() as watch, pytest.raises(InputError) as caught:
        read_claims(file)
    watch.check()
    assert len(str(caught.value)) < 4000
    assert all(c.isprintable() or c == "\n" for c in str(caught.value))


def claim_of(formula: str) -> str:
    return CLAIM + 'formula = "' + formula.replace('"', "") + '"\n'


@pytest.mark.parametrize("name", NO_FORMULAS)
def test_no_formula_is_read_that_means_nothing(name):
    refused_claims("claims", claim_of(NO_FORMULAS[name]))


@pytest.mark.parametrize("name", NO_CLAIMS)
def test_no_claim_is_read_that_means_nothing(name):
    refused_claims("claims", NO_CLAIMS[name])


@pytest.mark.parametrize("name", NO_LATEX)
def test_no_latex_is_read_that_means_nothing(name):
    refused_claims("latex", NO_LATEX[name])


@pytest.mark.parametrize("name", ["code", "power tower", "brackets", "escape codes"])
def test_the_command_refuses_what_its_readers_refuse(name):
    result = invoke("check", written("claims", claim_of(NO_FORMULAS[name])))
    assert result.exit_code == 2
    assert "Remedy:" in result.stderr
    assert all(c.isprintable() or c == "\n" for c in result.output)


def test_there_are_enough_of_them():
    tables = NO_CONFIGURATIONS, NO_SWEEPS, NO_FORMULAS, NO_CLAIMS, NO_LATEX
    assert len(COMMANDS) * len(NO_TEXTS) + sum(map(len, tables)) > 400


# --- what a name may lead to ----------------------------------------------------------------------


def a_pipe(path: Path) -> None:
    os.mkfifo(path)


def a_circle(path: Path) -> None:
    path.symlink_to(path)


def a_lost_link(path: Path) -> None:
    path.symlink_to("nowhere.toml")


def zeros_without_end(path: Path) -> None:
    path.symlink_to("/dev/zero")


def a_full_device(path: Path) -> None:
    path.symlink_to("/dev/full")


def a_terminal(path: Path) -> None:
    path.symlink_to("/dev/tty")


def a_line_of_100_megabytes(path: Path) -> None:
    with path.open("wb") as file:
        for _ in range(100):
            file.write(b"a" * 10**6)


def a_hole_of_a_terabyte(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(10**12)


def own_memory(path: Path) -> None:
    path.symlink_to("/proc/self/mem")


@pytest.mark.skipif(os.name != "posix", reason="makes pipes and devices")
@pytest.mark.parametrize("kind", COMMANDS)
@pytest.mark.parametrize(
    "made",
    [
        Path.mkdir,
        a_pipe,
        a_circle,
        a_lost_link,
        zeros_without_end,
        a_full_device,
        a_terminal,
        a_line_of_100_megabytes,
        a_hole_of_a_terabyte,
        own_memory,
    ],
    ids=lambda made: made.__name__,
)
def test_no_reader_waits_for_what_is_no_file(kind, made):
    path = Path(f"hostile{COMMANDS[kind][0]}")
    made(path)
    refusal(kind, path)


# a process of its own: with imports, from the first byte to the last
SAMPLE = {
    "option": ["curves", "--precision", "9**9**9"],
    "schedule": ["curves", "--schedule", "\uff45\uff58\uff49\uff54\uff08\uff09"],
    "runs": ["simulate", "--k", "24", "--replicas", "1000000"],
    "configuration": ["curves", "--config", "/dev/zero"],
    "pipe": ["curves", "--config", "pipe"],
    "words": ["curves", "--bogus"],
    "output": ["curves", "--output", "/dev/full"],
    "sweep": ["sweep", "/dev/zero", "--store", "s.zarr"],
}


# A program inherits, as its own, the largest memory of the process that started it, here that of
# all tests before. This small process between the two starts the command and tells what it took.
LAUNCHER = """
import resource, subprocess, sys
status = subprocess.call([sys.executable, "-m", "specalign", *sys.argv[1:]], stdout=-3)
usage = resource.getrusage(resource.RUSAGE_CHILDREN)
print(usage.ru_utime, usage.ru_maxrss)
sys.exit(status)
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="makes pipes and devices")
@pytest.mark.parametrize("name", SAMPLE)
def test_a_process_refuses_as_quickly(name):
    os.mkfifo("pipe")
    process = subprocess.run(
        [sys.executable, "-c", LAUNCHER, *SAMPLE[name]],
        env=os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "200"},
        capture_output=True,
        text=True,
    )
    seconds, kilobytes = map(float, process.stdout.split())
    errors = process.stderr
    assert process.returncode == 2, errors
    assert "Remedy:" in errors
    assert len(errors.splitlines()) == 1
    # importing the numeric packages takes most of it
    assert seconds < 5
    assert kilobytes < 500e3
