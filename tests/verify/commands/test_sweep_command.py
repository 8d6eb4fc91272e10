"""`specalign sweep`: files, options, bad input, figures."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from time import monotonic, sleep

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr
from command_runner import new_runner
from helpers import ROOT

import numerics.sweeps.run
from numerics import open_store
from theory import InputError
from verify.commands.cli import app
from verify.figures.sweeps import Series, exponent_of, plot_sweep, series_of
from verify.settings.figure_table import FigureTable
from verify.settings.sweep_file import read_sweep

BASE = """
[model]
name = "kgmm"
k = 2

[run]
time = [0, 1]
dimension = 20
samples_per_dimension = 4
seed = 3

[sweep]
precision = [5, 10]
ridge = [0.1, 0.2, 0.3]
measure = ["statistics"]
"""
EXAMPLES = sorted((ROOT / "examples").glob("sweep_*.toml"))


def invoke(*arguments: object):
    return new_runner().invoke(
        app, [str(a) for a in arguments], env={"COLUMNS": "200", "NO_COLOR": "1"}
    )


@pytest.fixture
def write(tmp_path):
    def write(text: str = BASE, *changes: tuple[str, str]) -> Path:
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        path = tmp_path / "sweep.toml"
        path.write_text(text, "utf-8")
        return path

    return write


@pytest.fixture
def no_work(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("work was started")

    monkeypatch.setattr(numerics.sweeps.run, "_Driver", refuse)


# --- bad input ------------------------------------------------------------------------------------

BAD = {
    "misspelt axis": (
        ("precision = [5", "presicion = [5"),
        ["[sweep]", "'presicion'", "did you mean 'precision'"],
    ),
    "misspelt table": (("[sweep]", "[swep]"), ["'swep'", "did you mean 'sweep'"]),
    "misspelt measurement": (
        ('["statistics"]', '["statistic"]'),
        ["measure", "did you mean 'statistics'"],
    ),
    "no measurement": (('measure = ["statistics"]', ""), ["measure", "alignment"]),
    "measurement as text": (
        ('["statistics"]', '"statistics"'),
        ["measure", "a list of measurements"],
    ),
    "one value": (
        ("precision = [5, 10]", "precision = 5"),
        ["[sweep] precision", "a list of values"],
    ),
    "no value": (
        ("precision = [5, 10]", "precision = []"),
        ["[sweep] precision", "a list of values"],
    ),
    "text among numbers": (
        ("precision = [5, 10]", 'precision = [5, "ten"]'),
        ["precision", "a number"],
    ),
    "a fractional dimension": (
        ("precision = [5, 10]", "replicas = [1.5]"),
        ["replicas", "an integer"],
    ),
    "weights without inner brackets": (
        ("precision = [5, 10]", "weights = [0.5, 0.5]"),
        ["weights", "brackets"],
    ),
    "value out of its domain": (
        ("precision = [5, 10]", "precision = [5, -10]"),
        ["precision", "at precision = -10"],
    ),
    "a small dimension": (
        ("ridge = [0.1, 0.2, 0.3]", "samples = [1]"),
        ["samples", "samples_per_dimension"],
    ),
    "axis and value": (
        ("ridge = [0.1, 0.2, 0.3]", "dimension = [20, 30]"),
        ["dimension", "a value and an axis"],
    ),
    "times as axis": (("ridge = [0.1, 0.2, 0.3]", "time = [1, 2]"), ["'time'", "latest time"]),
    "models as axis": (
        ("ridge = [0.1, 0.2, 0.3]", 'name = ["xor"]'),
        ["'name'", "a file for each model"],
    ),
    "width of a mixture": (
        ("ridge = [0.1, 0.2, 0.3]", "width = [2, 3]"),
        ["width", "no width for the model kgmm"],
    ),
    "weights of another k": (
        ("ridge = [0.1, 0.2, 0.3]", "weights = [[0.2, 0.3, 0.5]]"),
        ["weights", "3 entries"],
    ),
    "repeated value": (("precision = [5, 10]", "precision = [5, 5]"), ["precision", "5 twice"]),
    "negative seed": (("ridge = [0.1, 0.2, 0.3]", "seed = [-1]"), ["seed", "got -1"]),
    "unknown option of a measurement": (
        ("[sweep]", "[measurement]\ntreshold = 1\n[sweep]"),
        ["threshold"],
    ),
    "blocks as a number": (
        ("[sweep]", "[measurement]\nblocks = 1\n[sweep]"),
        ["blocks", "a list of units"],
    ),
    "block zero": (
        ("[sweep]", "[measurement]\nblocks = [0]\n[sweep]"),
        ["blocks", "counted from 1"],
    ),
    "random and given": (
        ("[run]", "[initial]\nrandom = 1\noverlap = [[0, 0], [0, 0]]\n[run]"),
        ["random", "one of the two"],
    ),
    "random length": (("[run]", "[initial]\nrandom = 0\n[run]"), ["random", "> 0"]),
    "ratio of samples": (
        ("samples_per_dimension = 4", "samples_per_dimension = 0"),
        ["samples_per_dimension", "> 0"],
    ),
    "unknown method": (("seed = 3", 'method = "reduce"'), ["method", "did you mean 'reduced'"]),
    "figure of something else": (
        ("[sweep]", '[figure]\nx = "ridge"\ny = "alignment"\n[sweep]'),
        ["[figure] y"],
    ),
    "figure against something else": (
        ("[sweep]", '[figure]\nx = "rigde"\ny = "overlap"\n[sweep]'),
        ["[figure] x"],
    ),
    "figure without x": (("[sweep]", '[figure]\ny = "overlap"\n[sweep]'), ["no x"]),
    "figure lines": (
        ("[sweep]", '[figure]\nx="ridge"\ny="overlap"\nlines="unti"\n[sweep]'),
        ["lines", "'unit'"],
    ),
    "figure label": (
        ("[sweep]", '[figure]\nx="ridge"\ny="overlap"\nselect={unit=3}\n[sweep]'),
        ["select unit", "one of 1, 2"],
    ),
    "figure key": (
        ("[sweep]", '[figure]\nx="ridge"\ny="overlap"\nlogx=true\n[sweep]'),
        ["'logx'", "log_x"],
    ),
    "figure panels": (
        ("[sweep]", '[figure]\nx="ridge"\ny="overlap"\nfit=[true, false]\n[sweep]'),
        ["fit", "2 entries"],
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_files_stop_before_any_work(case, write, tmp_path, no_work):
    change, words = BAD[case]
    result = invoke("sweep", write(BASE, change), "--store", tmp_path / "s.zarr")
    assert result.exit_code == 2, result.output
    message = result.stderr.splitlines()[-1]  # a busy machine asks for patience before
    assert message.startswith("error: ")
    assert "Remedy" in message
    for word in words:
        assert word in message, message
    assert not (tmp_path / "s.zarr").exists()


def test_a_file_without_axes_is_refused(write, tmp_path, no_work):
    result = invoke("sweep", write(BASE.split("[sweep]")[0]), "--store", tmp_path / "s.zarr")
    assert result.exit_code == 2
    assert "a table [sweep]" in result.stderr


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--workers", "0"], ["--workers", ">= 1"]),
        (["--workers", "two"], ["--workers", "'two'", "integer"]),
        (["--workers", "2", "--scheduler", "tcp://127.0.0.1:1"], ["--workers", "--scheduler"]),
        (["--plot", "figure.png"], ["--plot", "[figure]"]),
        (["--plot", "figure.jpg"], ["--plot", ".png"]),
        (["--retry"], ["no option of this name", "Remedy: write --retry-failed"]),
    ],
)
def test_bad_options_stop_before_any_work(options, words, write, tmp_path, no_work, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = invoke("sweep", write(), "--store", tmp_path / "s.zarr", *options)
    assert result.exit_code == 2
    for word in words:
        assert word in result.stderr


def test_a_store_is_asked_for(write):
    result = invoke("sweep", write())
    assert result.exit_code == 2
    assert "--store" in result.stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_an_unwritable_place_is_refused(write, tmp_path, no_work):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    result = invoke("sweep", write(), "--store", closed / "s.zarr")
    assert result.exit_code == 2
    assert "a writable place" in result.stderr


def test_missing_files_and_places_are_refused(write, tmp_path, no_work):
    for arguments, word in (
        ((tmp_path / "no.toml", "--store", tmp_path / "s.zarr"), "readable TOML file"),
        ((write(), "--store", tmp_path / "no" / "s.zarr"), "create"),
    ):
        result = invoke("sweep", *arguments)
        assert result.exit_code == 2
        assert word in result.stderr


# --- running --------------------------------------------------------------------------------------


def test_listing_computes_nothing(write, tmp_path, no_work):
    result = invoke("sweep", write(), "--store", tmp_path / "s.zarr", "--list")
    assert result.exit_code == 0, result.output
    assert "6 points, measured: statistics" in result.stdout
    assert result.stdout.count("open") == 6
    assert not (tmp_path / "s.zarr").exists()


@pytest.mark.slow
def test_the_command_runs_resumes_draws_and_refuses(write, tmp_path):
    figure = (
        '\n[figure]\nx = "ridge"\ny = "misalignment"\nlines = "precision"\nselect = { time = 1 }\n'
    )
    store, plot = tmp_path / "s.zarr", tmp_path / "f.png"
    result = invoke("sweep", write(BASE + figure), "--store", store, "--workers", 2, "--plot", plot)
    assert result.exit_code == 0, result.output
    assert f"6 of 6 points done, 0 failed: {store}" in result.stdout
    assert plot.stat().st_size > 5000
    assert (
        invoke("sweep", write(BASE + figure), "--store", store, "--list").stdout.count("done") == 6
    )
    # a figure is not part of what the store holds
    assert invoke("sweep", write(), "--store", store).exit_code == 0
    result = invoke("sweep", write(BASE, ("time = [0, 1]", "time = [0, 2]")), "--store", store)
    assert result.exit_code == 2
    assert "run.time: [0.0, 1.0] in the store, now [0.0, 2.0]" in " ".join(result.stderr.split())


def test_failed_points_are_told_and_exit_1(write, tmp_path):
    path = write(
        BASE,
        ("ridge = [0.1, 0.2, 0.3]", "ridge = [0.1, 1000]"),
        ("precision = [5, 10]", "precision = [5]"),
    )
    result = invoke("sweep", path, "--store", tmp_path / "s.zarr", "--workers", 1)
    assert result.exit_code == 1
    assert "1 of 2 points done, 1 failed" in result.stdout
    assert "failed at precision = 5.0, ridge = 1000.0: DivergenceError" in result.stderr
    assert "--retry-failed" in result.stderr


@pytest.mark.slow
def test_ctrl_c_keeps_what_is_done_and_says_how_to_go_on(write, tmp_path):
    path = write(
        BASE,
        ("ridge = [0.1, 0.2, 0.3]", f"seed = {list(range(2000))}"),
        ("seed = 3", "replicas = 200"),
    )
    store = tmp_path / "s.zarr"
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "verify.commands.cli",
            "sweep",
            str(path),
            "--store",
            str(store),
            "--workers",
            "2",
        ],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    end = monotonic() + 60
    while monotonic() < end:
        sleep(0.1)
        if store.exists() and (open_store(store).status == 1).any():
            break
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: workers get it too
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130, errors
    assert re.search(
        r"interrupted: \d+ of 4000 points are kept in .*the same command goes on", errors
    ), errors
    assert not (tmp_path / "s.zarr.lock").exists()


# --- files and figures ----------------------------------------------------------------------------


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_examples_are_sweeps_with_a_figure(path):
    described = read_sweep(path)
    assert described.figure is not None
    assert described.measure
    assert f"examples/{path.name} --store" in path.read_text("utf-8")
    if path.stem != "sweep_size_kgmm":  # models of many classes take a while
        sweep = described.sweep()
        assert sweep.settings[0].options["method"] == "reduced"


def test_there_is_an_example_for_every_question():
    assert {p.stem for p in EXAMPLES} == {
        "sweep_dimension",
        "sweep_samples",
        "sweep_size_kgmm",
        "sweep_width_xor",
        "sweep_escape",
    }


def test_files_give_the_settings_they_say(write):
    sweep = read_sweep(
        write(BASE, ("samples_per_dimension = 4", "samples_per_dimension = 2.5"))
    ).sweep()
    assert sweep.shape == (2, 3)
    assert sweep.seed == 3
    last = sweep.settings[-1]
    assert (last.parameters.precision, last.parameters.ridge, last.samples, last.dimension) == (
        10,
        0.3,
        50,
        20,
    )
    assert sweep.settings[0].model is last.model


def power_law(noise: float = 0.0) -> xr.Dataset:
    x = np.array([10.0, 20, 40, 80])
    rng = np.random.default_rng(0)
    values = 3 * x[:, None] ** -0.5 * (1 + noise * rng.normal(size=(4, 50)))
    return xr.Dataset(
        {"y": (("dimension", "replica"), values)}, {"dimension": x, "replica": np.arange(50)}
    )


def test_the_exponent_of_a_power_law_lies_in_its_interval():
    (series,) = series_of(power_law(0.1), FigureTable("dimension", ("y",)), "y")
    np.testing.assert_allclose(series.error, 0.1 * series.mean / np.sqrt(50), rtol=0.4)
    slope, half = exponent_of(series)
    assert abs(slope + 0.5) < half < 0.05
    exact = exponent_of(series_of(power_law(), FigureTable("dimension", ("y",)), "y")[0])
    np.testing.assert_allclose(exact, (-0.5, 0), atol=1e-6)
    assert exponent_of(Series("", np.ones(2), np.ones(2), np.ones(2))) is None


def test_means_leave_missing_points_out():
    data = power_law(0.1)
    data.y[1] = np.nan
    data.y[2, :40] = np.nan
    (series,) = series_of(data, FigureTable("dimension", ("y",)), "y")
    assert np.isnan(series.mean[1])
    np.testing.assert_allclose(series.mean[2], data.y[2, 40:].mean())
    np.testing.assert_allclose(series.error[2], data.y[2, 40:].std(ddof=1) / np.sqrt(10))


def test_a_figure_has_a_panel_each_and_states_the_exponent():
    data = power_law(0.05)
    data["z"] = data.y.expand_dims(matrix=["hessian", "gradient"])
    data["population_z"] = data.z.mean("replica")
    table = FigureTable(
        "dimension",
        ("y", "z"),
        "matrix",
        select=({}, {}),
        theory=("", "population_z"),
        log_x=True,
        log_y=(True, True),
        fit=(True, False),
        labels=("", "z label"),
        title="title",
    )
    figure = plot_sweep(data, table)
    first, second = figure.axes
    assert first.get_xscale() == first.get_yscale() == "log"
    assert re.fullmatch(
        r"exponent −0\.\d\d ± 0\.\d\d", first.get_legend().get_texts()[0].get_text()
    )
    assert [t.get_text() for t in second.get_legend().get_texts()] == ["Hessian", "G", "population"]
    assert second.get_ylabel() == "z label"
    assert first.get_xlabel() == "dimension d"
    plt.close("all")


def test_the_help_of_the_command_states_units_and_an_example():
    text = " ".join(invoke("sweep", "--help").stdout.replace("│", " ").split())
    assert "Example: specalign sweep" in text
    assert "units of steps * c_delta / dimension" in text


def test_the_base_of_a_sweep_is_checked_like_any_configuration(write):
    with pytest.raises(InputError, match="did you mean 'time'"):
        read_sweep(write(BASE, ("time = [0, 1]", "tme = [0, 1]")))
