"""What a command leaves behind: whole files or none, also when it is stopped."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest
import xarray as xr
from command_cases import invoke
from helpers import ROOT

from numerics.core import files

QUICK = ["--k", "2", "--time", "0.1", "-d", "20", "--replicas", "2"]


@pytest.mark.skipif(os.name != "posix", reason="makes a pipe")
@pytest.mark.parametrize(
    ("command", "option", "ending"),
    [
        ("simulate", "--output", ".nc"),
        ("simulate", "--plot", ".png"),
        ("derive", "--output", ""),
        ("effective", "--json", ""),
        ("verify", "--report", ".html"),
    ],
)
def test_a_pipe_or_device_is_no_output(command, option, ending, tmp_path, no_work):
    pipe = tmp_path / f"pipe{ending}"
    os.mkfifo(pipe)
    result = invoke(command, option, pipe)
    assert result.exit_code == 2, result.output
    assert "a pipe or device" in result.stderr


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
}


@pytest.mark.skipif(os.name != "posix", reason="needs limits of resources")
@pytest.mark.parametrize("old", [None, b"old"], ids=["new", "old"])
@pytest.mark.parametrize("writer", WRITERS)
def test_every_writer_leaves_the_old_file_or_none(writer, old, tmp_path):
    """The system refuses all bytes beyond the first 200 of any file, also to libraries in C."""
    from full_disk import cut_after

    command, option, name, words = WRITERS[writer]
    path = tmp_path / name
    if old is not None:
        path.write_bytes(old)
    with cut_after(200):
        result = invoke(command, *words, option, path)
    assert result.exit_code == 1, result.output
    assert "could not write" in result.stderr
    assert [p.name for p in tmp_path.iterdir()] == ([] if old is None else [name])
    assert old is None or path.read_bytes() == old


def test_an_output_that_is_a_link_stays_one(tmp_path):
    real = tmp_path / "real.nc"
    (tmp_path / "link.nc").symlink_to(real)
    assert invoke("simulate", *QUICK, "--output", tmp_path / "link.nc").exit_code == 0
    assert (tmp_path / "link.nc").is_symlink()
    xr.open_dataset(real, engine="h5netcdf").close()


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
