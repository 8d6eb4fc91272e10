"""The starts that `specalign new` writes: each does what its first lines say."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from command_runner import new_runner

from theory import InputError
from verify.commands.cli import app
from verify.commands.starts.new import STARTS, text_of

NAMES = tuple(dict.fromkeys(STARTS.values()))
ROOT = Path(__file__).parents[4]


def write(folder: Path, name: str) -> Path:
    """The file that the command makes."""
    path = folder / name
    result = new_runner().invoke(app, ["new", str(path)])
    assert result.exit_code == 0, result.output
    return path


def run(folder: Path, *words: str) -> str:
    """What a process of one's own prints."""
    done = subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("name", NAMES)
def test_the_name_of_the_file_is_in_its_first_lines(tmp_path, name):
    text = write(tmp_path, f"my_{name}" if name.endswith(".toml") else name).read_text()
    assert "NAME" not in text
    assert name in text


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_overwritten(tmp_path, name):
    path = tmp_path / name
    path.write_text("mine")
    result = new_runner().invoke(app, ["new", str(path)])
    assert result.exit_code == 2
    assert "a file that does not exist yet" in result.output
    assert path.read_text() == "mine"


@pytest.mark.parametrize("name", ["model", "data.csv", "claims.json", "", "sweep.yaml"])
def test_a_name_without_a_start_is_refused(name):
    with pytest.raises(InputError, match=r"a name like one of test_model\.py"):
        text_of(Path(name))


@pytest.mark.slow
def test_claims_are_judged_as_they_expect(tmp_path):
    for name in ("claims.toml", "claims.tex"):
        path = write(tmp_path, name)
        assert new_runner().invoke(app, ["check", str(path)]).exit_code == 0


@pytest.mark.slow
def test_a_model_runs_by_itself(tmp_path):
    write(tmp_path, "model.py")
    printed = run(tmp_path, "model.py")
    assert "logistic: 3 holds" in printed
    assert "SGD" in printed


@pytest.mark.slow
def test_a_test_of_a_model_passes(tmp_path):
    write(tmp_path, "test_model.py")
    run(tmp_path, "-m", "pytest", "-q", "test_model.py")


@pytest.mark.slow
def test_a_sweep_and_a_configuration_are_run(tmp_path):
    sweep, config = write(tmp_path, "sweep.toml"), write(tmp_path, "config.toml")
    store = tmp_path / "sweep.zarr"
    result = new_runner().invoke(
        app, ["sweep", str(sweep), "--store", str(store), "--workers", "1"]
    )
    assert result.exit_code == 0, result.output
    assert new_runner().invoke(app, ["curves", "--config", str(config)]).exit_code == 0
