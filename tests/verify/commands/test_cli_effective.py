"""The command `effective`: what it says and writes, and what it refuses before any work."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
import xarray as xr
from command_cases import invoke, succeed

import numerics
import numerics.dynamics.curves
import verify.figures
from numerics import Parameters, State, effective_spectrum, solve_curve
from theory import kgmm
from verify.figures import plot_emergence

SMALL = ["--k", "2", "--precision", "4", "--ridge", "0.1"]


@pytest.mark.slow
def test_numbers_are_those_of_the_python_function(tmp_path):
    paths = {name: tmp_path / f"a.{name}" for name in ("nc", "json", "png")}
    text = succeed(
        "effective",
        *SMALL,
        "--at",
        "2",
        "--aspect-ratio",
        "3",
        "--output",
        paths["nc"],
        "--json",
        paths["json"],
        "--plot",
        paths["png"],
    )
    model, parameters = kgmm(2), Parameters([0.5, 0.5], 4, 0.1, 1)
    state = solve_curve(model, parameters, State(np.zeros((2, 2)), np.eye(2)), 2.0).state(2.0)
    expected = effective_spectrum(model, parameters, state, 3.0, block=(0, 0))
    written = xr.load_dataset(paths["nc"], engine="h5netcdf")
    np.testing.assert_array_equal(written.outliers, expected.outliers)
    np.testing.assert_array_equal(written.density, expected.density)
    content = json.loads(paths["json"].read_text())
    assert content["values"]["outliers"] == expected.outliers.values.tolist()
    assert content["attributes"]["edge_kind_right"] == "critical"
    assert paths["png"].stat().st_size > 5000
    for place in expected.outliers.values:
        assert f"{place:.6g}" in text
    assert f"Outliers predicted: {expected.sizes['eigen']}" in text
    assert "a square-root edge" in text
    assert "at t = 2" in text
    assert "Atom" not in text
    assert "rules of different size and family" in text


@pytest.mark.slow
def test_data_stand_beside_the_theory(tmp_path):
    output = tmp_path / "a.nc"
    text = succeed(
        "effective",
        *SMALL,
        "--block",
        "full",
        "--samples",
        "40",
        "-d",
        "80",
        "--output",
        output,
        "--plot",
        tmp_path / "a.svg",
        "--log-density",
    )
    written = xr.load_dataset(output, engine="h5netcdf")
    assert written.attrs["aspect_ratio"] == 0.5
    assert written.empirical_eigenvalue.size == written.outliers.size
    # the gauge and few samples: three quarters of the spectrum
    assert "Atom: a share 0.75 of the eigenvalues is exactly 0.1." in text
    assert "40 fresh samples in dimension 80" in text
    shares = re.search(r"leading eigenspace: (.*?) \(empirical: (.*?)\)", text)
    assert shares is not None
    assert all(0 <= float(s) <= 1 for part in shares.groups() for s in part.split(", "))


@pytest.mark.slow
def test_essential_edges_and_tails_are_explained():
    at_end = ("effective", *SMALL, "--matrix", "gradient", "--at", "end", "--time", "4")
    thin = succeed(*at_end, "--tail", "0")
    assert "essential" in thin
    assert "--tail 1/M" in thin
    cut = succeed("effective", *SMALL, "--matrix", "gradient", "--at", "4", "--tail", "1/1000")
    assert "tail = 0.001" in cut
    assert "essential" not in cut
    assert "tail = 0.001" in succeed(*at_end)  # the default shows what data do


@pytest.mark.slow
def test_near_critical_outliers_are_flagged():
    """Just above the threshold of the second outlier at the start."""
    found = numerics.phase_diagram(
        kgmm(2),
        Parameters([0.5, 0.5], 1, 0.1, 1),
        State(np.zeros((2, 2)), np.eye(2)),
        [0.3, 1.1, 3, 9],
        [4.0],
    )
    precision = 1.02 * float(found.threshold[0])
    text = succeed("effective", "--k", "2", "--precision", f"{precision:.8f}")
    assert "(near critical)" in text
    assert "near critical): at finite d" in text


@pytest.mark.slow
def test_emergence_lists_events(tmp_path):
    text = succeed(
        "effective",
        "--k",
        "2",
        "--precision",
        "2",
        "--ridge",
        "0.05",
        "--gram-perp",
        "0.01,0;0,0.01",
        "--emergence",
        "--time",
        "0,2,4",
        "--plot",
        tmp_path / "a.png",
        "--json",
        tmp_path / "a.json",
        "--output",
        tmp_path / "a.nc",
    )
    content = json.loads((tmp_path / "a.json").read_text())
    (time,) = content["values"]["event_time"]
    assert f"{time:.8g}" in text
    assert "merges" in text
    assert "2 at the start, 1 at t = 4" in text
    assert xr.load_dataset(tmp_path / "a.nc", engine="h5netcdf").sizes["time"] == 3
    quiet = succeed("effective", *SMALL, "--emergence", "--time", "0,0.1")
    assert "No outlier emerges or merges" in quiet


def test_the_readout_has_no_bulk():
    text = succeed(
        "effective", "xor", "--width", "2", "--block", "readout", "--samples", "400", "-d", "40"
    )
    assert "No bulk" in text
    assert "Atom" not in text


def test_outliers_left_of_the_bulk_have_no_leading_eigenspace():
    text = succeed("effective", *SMALL, "--block", "1,2", "--at", "4")
    assert "left of the bulk" in text
    assert "leading eigenspace" not in text


def test_mixed_blocks_have_singular_values_of_both_signs_and_no_edge():
    text = succeed("effective", "xor", "--width", "1", "--block", "mixed", "--aspect-ratio", "2")
    assert "No bulk" in text
    assert "e+30" not in text
    places = [float(x) for x in re.findall(r"(?:right|left) +│ +(\S+) ", text)]
    assert len(places) == 2
    assert places[0] == pytest.approx(-places[1], rel=1e-5)


BAD = {
    "aspect ratio zero": (["--aspect-ratio", "0"], ["--aspect-ratio: got 0", "> 0", "M / d"]),
    "aspect ratio no number": (["--aspect-ratio", "four"], ["'four'", "a number"]),
    "aspect ratio against samples": (
        ["--aspect-ratio", "3", "--samples", "100", "-d", "50"],
        ["--aspect-ratio: got 3", "M / d = 2", "150 samples"],
    ),
    "large tail": (["--tail", "0.5"], ["--tail: got 0.5", "a number <= 0.1", "1 / M"]),
    "unknown matrix": (["--matrix", "hesian"], ["--matrix", "did you mean 'hessian'"]),
    "block counted from zero": (["--block", "0,1"], ["--block", "'0,1'", "units 1..3"]),
    "mixed of one layer": (["--block", "mixed"], ["--block: got 'mixed'", "no readout parameters"]),
    "time": (["--at", "-1"], ["--at", "got -1", ">= 0"]),
    "late time": (["--at", "1e13"], ["--at: got 1e+13", "<= 1000000000000", "end the run before"]),
    "two times": (["--emergence", "--at", "1"], ["--at: got 1", "together with --emergence"]),
    "data along training": (
        ["--emergence", "--samples", "10"],
        ["--samples", "together with --emergence"],
    ),
    "no sample": (["--samples", "0"], ["samples", "got 0", ">= 1"]),
    "small dimension": (["--samples", "10", "-d", "5"], ["dimension", "got 5", ">= 6"]),
    "negative seed": (["--seed", "-1"], ["seed", "got -1"]),
    "ending": (["--plot", "a.txt"], ["--plot", "png"]),
    "readout along training": (
        ["xor", "--emergence", "--block", "readout"],
        ["--block: got 'readout'", "with a bulk"],
    ),
    "data of both layers": (
        ["xor", "--block", "all", "--samples", "10"],
        ["--block: got 'all'", "leave --samples"],
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_refused_before_any_work(case, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("work was started")

    monkeypatch.setattr(numerics, "effective_spectrum", refuse)
    monkeypatch.setattr(numerics, "emergence", refuse)
    monkeypatch.setattr(numerics.dynamics.curves, "solve_curve", refuse)
    arguments, words = BAD[case]
    result = invoke("effective", *arguments)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    message = " ".join(result.stderr.split())
    assert message.startswith("error: ")
    for word in words:
        assert word in message


def test_help_states_purpose_and_examples():
    text = succeed("effective", "--help")
    assert "Example:  specalign effective" in text
    assert "M / d" in text


@pytest.mark.slow
def test_the_figure_of_emergence_has_the_times_that_its_events_need(tmp_path, monkeypatch):
    drawn = []

    def keep(data, title):
        drawn.append(data)
        return plot_emergence(data, title=title)

    monkeypatch.setattr(verify.figures, "plot_emergence", keep)
    words = ("--k", "2", "--precision", "2", "--ridge", "0.05", "--gram-perp", "0.01,0;0,0.01")
    out = tmp_path / "events.nc"
    succeed(
        "effective", *words, "--emergence", "--time", "30", "--plot", tmp_path / "a.png", "-o", out
    )
    (course,) = drawn
    (event,) = course.event_time.values
    assert ((course.time >= 0) & (course.time <= 1.5 * event)).sum() >= 30
    with xr.open_dataset(out) as written:  # drawn is what was computed, once
        np.testing.assert_array_equal(written.time, course.time)
        np.testing.assert_array_equal(written.outlier, course.outlier)
