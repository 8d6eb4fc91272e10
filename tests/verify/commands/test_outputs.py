"""What a command leaves behind: whole files or none, also when it is stopped."""

from __future__ import annotations

import ast
import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import xarray as xr
from command_cases import invoke
from helpers import ROOT

from numerics.core import files
from verify.settings.configuration import Configuration
from verify.settings.option_table import OPTIONS

QUICK = ["--k", "2", "--time", "0.1", "-d", "20", "--replicas", "2"]


SWEEP = "[run]\ntime = [0, 1]\ndimension = 20\nreplicas = 2\n[sweep]\nprecision = [5, 10]\n"
SWEEP += 'measure = ["statistics"]\n[figure]\nx = "precision"\ny = "misalignment"\n'
CLAIM = '[model]\nk = 2\n[[claim]]\nquantity = "E_l[u_1]"\nformula = "m_1_l"\n'


def pipe(path):
    os.mkfifo(path)


def link_to_device(path):
    path.symlink_to("/dev/null")


def link_in_a_circle(path):
    path.symlink_to(path.name)


def link_to_nowhere(path):
    path.symlink_to(path.parent / "absent" / path.name)


BAD_PLACES = {
    "pipe": (pipe, "a pipe or device"),
    "link to a device": (link_to_device, "a pipe or device"),
    "link in a circle": (link_in_a_circle, "writable place"),
    "link to nowhere": (link_to_nowhere, "in an existing directory"),
    "directory": (Path.mkdir, "it is a directory"),
    "file below a file": (lambda path: None, "file.txt"),
}


def outputs():
    """Every option of every command that writes a file."""
    for option in OPTIONS:
        for command in option.commands:
            if option.suffixes is not None or option.name == "json":
                ending = (option.suffixes or ("",))[0]
                yield pytest.param(
                    command, option.spellings[0], ending, id=f"{command} {option.name}"
                )


@pytest.mark.skipif(os.name != "posix", reason="makes pipes")
@pytest.mark.parametrize(("command", "option", "ending"), list(outputs()))
def test_what_is_no_place_for_a_file_is_refused_before_work(
    command, option, ending, tmp_path, no_work
):
    (tmp_path / "file.txt").write_text("old")
    (tmp_path / "sweep.toml").write_text(SWEEP)
    (tmp_path / "claim.toml").write_text(CLAIM)
    words = {
        "sweep": [tmp_path / "sweep.toml", "--store", tmp_path / "s.zarr"],
        "check": [tmp_path / "claim.toml"],
        "new": [tmp_path / "model.py"],
        "fit": [tmp_path / "data.csv"],
    }.get(command, [])
    for name, (make, complaint) in BAD_PLACES.items():
        parent = tmp_path / ("file.txt" if name == "file below a file" else "")
        path = parent / f"{name.replace(' ', '-')}{ending}"
        make(path)
        result = invoke(command, *words, option, path)
        assert result.exit_code == 2, (name, result.output)
        assert complaint in result.stderr, name
    assert (tmp_path / "file.txt").read_text() == "old"
    assert not (tmp_path / "s.zarr").exists()


@pytest.mark.parametrize(("option", "name"), [("--output", "s.nc"), ("--plot", "s.png")])
def test_a_full_disk_leaves_the_old_file_and_no_other(option, name, tmp_path, monkeypatch):
    path = tmp_path / name
    path.write_bytes(b"old")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    result = invoke("simulate", *QUICK, option, path)
    assert result.exit_code == 1
    assert "could not write: [Errno 28] No space left on device" in result.stderr
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == [name]


WRITERS = {
    "netCDF of a simulation": ("simulate", "--output", "s.nc", QUICK),
    "netCDF of a curve": ("curves", "--output", "c.nc", QUICK[:4]),
    "png": ("curves", "--plot", "c.png", QUICK[:4]),
    "svg": ("curves", "--plot", "c.svg", QUICK[:4]),
    "pdf": ("curves", "--plot", "c.pdf", QUICK[:4]),
    "text": ("derive", "--output", "d.txt", ["--k", "2"]),
    "json": ("effective", "--json", "e.json", ["--k", "2"]),
    "netCDF of an effective spectrum": ("effective", "--output", "e.nc", ["--k", "2"]),
    "netCDF of a spectrum": ("spectrum", "--output", "p.nc", ["--k", "2"]),
    "json of a check": ("verify", "--json", "v.json", ["kgmm", "--only", "routes"]),
    "report": ("verify", "--report", "v.html", ["kgmm", "--only", "routes"]),
    "json of claims": ("check", "--json", "c.json", ["{claim}"]),
}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """Files that commands read."""
    folder = tmp_path_factory.mktemp("inputs")
    (folder / "claim.toml").write_text(CLAIM)
    return {"claim": folder / "claim.toml"}


@pytest.mark.skipif(os.name != "posix", reason="needs limits of resources")
@pytest.mark.parametrize("old", [None, b"old"], ids=["new", "old"])
@pytest.mark.parametrize("writer", WRITERS)
def test_every_writer_leaves_the_old_file_or_none(writer, old, tmp_path, inputs):
    """The system refuses all bytes beyond the first 200 of any file, also to libraries in C."""
    from full_disk import cut_after

    command, option, name, words = WRITERS[writer]
    path = tmp_path / name
    if old is not None:
        path.write_bytes(old)
    with cut_after(200):
        result = invoke(command, *(word.format(**inputs) for word in words), option, path)
    assert result.exit_code == 1, result.output
    assert "could not write" in result.stderr
    assert [p.name for p in tmp_path.iterdir()] == ([] if old is None else [name])
    assert old is None or path.read_bytes() == old


def test_no_library_is_left_damaged_by_a_full_disk(tmp_path, monkeypatch):
    """Compiled modules of Python are not written while a test fills the disk."""
    from full_disk import cut_after

    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "seldom_imported.py").write_text(f"TEXT = {'word ' * 100!r}\n")
    with cut_after(200):
        assert importlib.import_module("seldom_imported").TEXT
    monkeypatch.delitem(sys.modules, "seldom_imported")
    assert importlib.import_module("seldom_imported").TEXT


def test_a_file_that_ends_too_early_is_told(monkeypatch):
    """No "Aborted." and nothing more, as of an end of what is typed."""

    def cut_short(*_):
        raise EOFError("marshal data too short")

    monkeypatch.setattr(Configuration, "times", cut_short)
    result = invoke("curves", "--k", 2)
    assert "marshal data too short" in str(result.exception)
    assert "Aborted" not in result.output


def test_an_output_that_is_a_link_stays_one(tmp_path):
    real = tmp_path / "real.nc"
    (tmp_path / "link.nc").symlink_to(real)
    assert invoke("simulate", *QUICK, "--output", tmp_path / "link.nc").exit_code == 0
    assert (tmp_path / "link.nc").is_symlink()
    xr.open_dataset(real, engine="h5netcdf").close()


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="sends a POSIX signal")
def test_a_request_to_end_keeps_what_was_recorded(tmp_path):
    path = tmp_path / "s.nc"
    code = f"""
import os, signal, sys, threading
import numerics.sgd.simulate
from verify.commands.cli import main
begin = numerics.sgd.simulate.run_replica
def run(*arguments):
    threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGTERM)).start()
    return begin(*arguments)
numerics.sgd.simulate.run_replica = run
sys.argv = ["specalign", "simulate", "--time", "1e9", "-d", "6", "--replicas", "1"]
sys.argv += ["--output", {str(path)!r}]
main()
"""
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert run.returncode == 130, run.stderr
    assert re.search(r"interrupted: recorded \d+ of 201 times .* written to", run.stderr)
    with xr.open_dataset(path, engine="h5netcdf") as runs:
        assert not runs.attrs["complete"]


# calls that make or fill a file, and where they may stand: all others go through one of these
WRITERS_OF_FILES = {"write_text", "write_bytes", "to_netcdf", "to_zarr", "savefig", "open", "mkdir"}
ALLOWED = {
    "numerics/core/files.py": {"write_text", "open"},
    # the cache directory, and to read: modules come whole, by a new file that takes their name
    "numerics/core/generated/module_files.py": {"mkdir", "open"},
    "numerics/real_data/labelled_files.py": {"open"},  # to read
    "numerics/sweeps/integrity.py": {"write_text"},  # into a new file that takes a name
    "numerics/sweeps/store_layout.py": {"to_zarr"},  # into a new directory that takes a name
    "theory/regular_files.py": {"open"},  # to read
    "verify/commands/terminal.py": {"to_netcdf", "write_bytes"},  # memory, and a new file
    "verify/figures/style.py": {"savefig", "write_bytes"},  # memory, and a new file
    "verify/report/html.py": {"savefig"},  # memory
}


def writers_of_files(source: str) -> set[str]:
    """Names of calls on an object that make or fill a file; ``files.write_text`` is our own."""
    return {
        node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call)
        and (
            (
                isinstance(node.func, ast.Attribute)
                and node.func.attr in WRITERS_OF_FILES
                and not (isinstance(node.func.value, ast.Name) and node.func.value.id == "files")
            )
            or (isinstance(node.func, ast.Name) and node.func.id == "open")
        )
    }


@pytest.mark.slow
def test_no_file_is_written_but_whole():
    for package in ("theory", "numerics", "verify", "specalign"):
        for file in (ROOT / package).rglob("*.py"):
            name = str(file.relative_to(ROOT))
            assert writers_of_files(file.read_text("utf-8")) <= ALLOWED.get(name, set()), name


@pytest.mark.parametrize("source", ["open('x', 'w')", "path.write_text('x')", "f.savefig(path)"])
def test_the_search_for_writers_sees_them(source):
    assert writers_of_files(source)
    assert not writers_of_files("files.write_text(path, text); write_text(path, text)")
