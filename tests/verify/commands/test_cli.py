"""The command: what it prints and writes, its exit codes, and that bad input stops it before any
work.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import replace
from json import loads
from pathlib import Path
from time import sleep

import numpy as np
import pytest
import xarray as xr
from command_cases import invoke, succeed
from command_runner import new_runner
from helpers import ROOT

import numerics
import numerics.dynamics.curves
import numerics.sgd.simulate
import numerics.spectra.empirical_spectrum
import numerics.spectra.population_spectrum
import verify.checks.runner
from numerics import Parameters, integrate_curves
from theory import InputError
from verify.commands import curves as commands_theory
from verify.commands import simulate
from verify.commands import spectrum as commands_numeric
from verify.commands import terminal as console
from verify.commands.cli import app
from verify.commands.terminal import named_progress, progress_bar, spinner
from verify.settings.configuration import Configuration, read_configuration
from verify.settings.option_table import keys
from verify.tables.runs import error_warnings
from verify.tables.text import fixed, parameters_text
from verify.verdict.results import CheckResult, Report
from verify.verdict.tolerance import FAMILY_ERROR, Comparison, Part, Tolerance

FAST = ["--time", "0,0.05,0.1"]


# --- help and version -----------------------------------------------------------------------------


def test_version_names_the_program():
    assert succeed("--version").startswith("specalign ")


@pytest.mark.parametrize(
    "command", ["derive", "curves", "simulate", "spectrum", "effective", "verify"]
)
def test_help_states_purpose_and_example(command):
    text = succeed(command, "--help")
    assert f"Example:  specalign {command}" in text
    for line in text.splitlines():
        assert "TODO" not in line
    if command not in ("derive", "verify"):
        assert "units of steps * c_delta / dimension" in " ".join(text.replace("│", " ").split())


def test_help_of_the_program_lists_the_commands_and_exit_codes():
    text = succeed("--help")
    for word in ("derive", "curves", "simulate", "spectrum", "verify", "Exit codes"):
        assert word in text


# --- bad input ------------------------------------------------------------------------------------

BAD = {
    "dependent means": (
        ["curves", "--directions-gram", "1,1,0;1,1,0;0,0,1"],
        ["directions_gram", "independent means"],
    ),
    "weights off the simplex": (
        ["curves", "--weights", "0.5,0.3,0.3"],
        ["weights", "sum 1.1", "simplex", "divide"],
    ),
    "negative weight": (["curves", "--weights", "1.5,-0.3,-0.2"], ["weights", "positive"]),
    "weights of another k": (
        ["curves", "--weights", "0.5,0.5"],
        ["weights", "2 entries", "expected 3", "k = 2"],
    ),
    "precision zero": (
        ["curves", "--precision", "0"],
        ["precision", "got 0", "> 0", "inverse noise variance"],
    ),
    "precision negative": (["simulate", "--precision", "-1"], ["precision", "got -1", "> 0"]),
    "ridge negative": (["curves", "--ridge", "-0.1"], ["ridge", "got -0.1", ">= 0"]),
    "step zero": (["simulate", "--step", "0"], ["step", "got 0", "> 0"]),
    "not a number": (["curves", "--precision", "ten"], ["precision", "'ten'", "a number"]),
    "NaN": (["curves", "--precision", "nan"], ["precision", "nan", "finite"]),
    "infinite overlap": (
        ["curves", "--overlap", "inf,0,0;0,0,0;0,0,0"],
        ["overlap", "finite numbers"],
    ),
    "overflowing number": (["curves", "--ridge", "1e999"], ["ridge", "inf", "finite"]),
    "division by zero": (["curves", "--weights", "1/0,1/2,1/2"], ["weights", "1/0"]),
    "gram_perp not PSD": (
        ["curves", "--gram-perp", "1,2,0;2,1,0;0,0,1"],
        ["gram_perp", "semidefinite"],
    ),
    "gram_perp not symmetric": (
        ["curves", "--gram-perp", "1,0,0;1,1,0;0,0,1"],
        ["gram_perp", "symmetric"],
    ),
    "gram_perp name": (["curves", "--gram-perp", "unit"], ["gram_perp", "'unit'", "identity"]),
    "directions name": (
        ["curves", "--directions-gram", "orthogonal"],
        ["directions_gram", "orthonormal"],
    ),
    "overlap shape": (["curves", "--overlap", "1,2"], ["overlap", "1 rows of 2", "3 rows of 3"]),
    "ragged rows": (["curves", "--overlap", "1,2,3;1,2;1,2,3"], ["overlap", "2, 3 entries"]),
    "readout of a single layer": (
        ["curves", "--readout", "1"],
        ["readout: got 1", "no readout for kgmm", "leave it away"],
    ),
    "k too small": (["curves", "--k", "1"], ["k:", "got 1", ">= 2"]),
    "k not an integer": (["curves", "--k", "2.5"], ["k:", "'2.5'", "an integer"]),
    "d too small": (["simulate", "--dimension", "5"], ["dimension", "got 5", ">= 6"]),
    "d too small for a spectrum": (["spectrum", "-d", "5"], ["dimension", "got 5", ">= 6"]),
    "no replica": (["simulate", "--replicas", "0"], ["replicas", "got 0", ">= 1"]),
    "negative seed": (["simulate", "--seed", "-1"], ["seed", "got -1", ">= 0"]),
    "decreasing times": (["curves", "--time", "2,1"], ["time", "increasing"]),
    "negative time": (["simulate", "--time", "-1"], ["time", "got -1", "> 0"]),
    "negative time on a curve": (["spectrum", "--at", "-1"], ["--at", "got -1", ">= 0"]),
    "zero weight": (
        ["curves", "--weights", "1,0,0"],
        ["entry 2 is 0", "every weight > 0", "drop a class of weight 0"],
    ),
    "zero weight of a formula": (
        ["derive", "--weights", "1,0,0"],
        ["weights[1]: got 0", "drop a class of weight 0"],
    ),
    "infinite precision": (
        ["curves", "--precision", "inf"],
        ["precision: got inf", "--limit noiseless"],
    ),
    "infinite precision of a formula": (
        ["derive", "--precision", "inf"],
        ["precision: got inf", "--limit noiseless"],
    ),
    "no sample": (["spectrum", "--samples", "0"], ["samples", "got 0", ">= 1"]),
    "block counted from zero": (["spectrum", "--block", "0,1"], ["--block", "'0,1'", "units 1..3"]),
    "block name": (["spectrum", "--block", "whole"], ["--block", "'whole'", "1..3, or full."]),
    "block beyond the units": (
        ["spectrum", "--block", "4,1"],
        ["--block: got '4,1'", "units 1..3, or full."],
    ),
    "block without readout": (
        ["spectrum", "--block", "readout"],
        ["--block: got 'readout'", "no readout parameters"],
    ),
    "unknown model": (["curves", "kgm"], ["model", "'kgm'", "kgmm", "did you mean"]),
    "unknown system": (["verify", "kgm"], ["system", "'kgm'", "kgmm", "did you mean"]),
    "unknown option": (
        ["curves", "--presicion", "3"],
        ["--presicion: got no option of this name", "Remedy: write --precision."],
    ),
    "unknown command": (["curve"], ["curve", "curves"]),
    "unknown quantity": (["derive", "--quantity", "drft"], ["--quantity", "drft", "drift"]),
    "unknown level": (
        ["verify", "--level", "medium"],
        ["--level: got 'medium'", "one of quick, full"],
    ),
    "unknown route": (["derive", "--route", "stien"], ["--route", "did you mean 'stein'"]),
    "unknown format": (
        ["derive", "--format", "tex"],
        ["--format: got 'tex'", "text, latex, pretty"],
    ),
    "unknown matrix": (["spectrum", "--matrix", "hesian"], ["--matrix", "did you mean 'hessian'"]),
    "unknown limit": (["derive", "--limit", "soft"], ["--limit: got 'soft'", "noiseless"]),
    "limit of a number": (
        ["derive", "--limit", "1", "--precision", "3"],
        ["--precision", "leave --precision away"],
    ),
    "limit of a fixed point": (
        ["derive", "--quantity", "fixed-point", "--limit", "1"],
        ["--limit", "noiseless"],
    ),
    "unknown entry": (
        ["derive", "--entry", "mm_1_1"],
        ["entry", "'mm_1_1'", "did you mean 'm_1_1'"],
    ),
    "entry out of range": (
        ["derive", "--entry", "m_9_9"],
        ["'m_9_9'", "m_i_j with i in 1..3, j in 1..3"],
    ),
    "block entry out of range": (
        ["derive", "--k", "2", "--quantity", "hessian", "--entry", "3,1"],
        ["'3,1'", "i in 1..2, j in 1..2"],
    ),
    "transposed block": (
        ["derive", "--k", "2", "--quantity", "hessian", "--entry", "H_2_1[e_1,x_2]"],
        ["the transpose of block (a, b)", "ask for H_1_2[x_2,e_1]"],
    ),
    "open symbols of a fixed point": (
        ["derive", "--k", "2", "--quantity", "fixed-point", "--directions-gram", "1,0.4;0.4,1"],
        [
            "directions_gram: got '1,2/5;2/5,1' with the symbols beta",
            "--ridge",
            "leave --directions-gram away",
        ],
    ),
    "derive with dependent means": (
        ["derive", "--k", "2", "--directions-gram", "1,1;1,1"],
        ["directions_gram", "independent means"],
    ),
    "derive with NaN": (["derive", "--weights", "nan,0.5,0.5"], ["weights", "nan", "finite"]),
    "verify seed": (["verify", "--seed", "x"], ["seed", "'x'", "an integer"]),
    "verify negative seed": (["verify", "--seed", "-1"], ["seed", "got -1", ">= 0"]),
    "missing config": (
        ["curves", "--config", "absent.toml"],
        ["config", "absent.toml", "readable"],
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_refused_before_any_work(name, no_work):
    arguments, words = BAD[name]
    result = invoke(*arguments)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    message = " ".join(result.stderr.replace("│", " ").split())
    for word in words:
        assert word in message
    assert "Traceback" not in message
    if not message.startswith("Usage"):
        assert len(result.stderr.splitlines()) == 1
        assert "got" in message
        assert "expected" in message
        assert "Remedy:" in message


OUTPUTS = [
    ("derive", "--output", ""),
    ("curves", "--output", ".nc"),
    ("curves", "--plot", ".png"),
    ("simulate", "--output", ".nc"),
    ("simulate", "--plot", ".svg"),
    ("spectrum", "--output", ".nc"),
    ("spectrum", "--plot", ".pdf"),
    ("verify", "--json", ".json"),
    ("verify", "--report", ".html"),
]


@pytest.mark.parametrize(("command", "option", "suffix"), OUTPUTS)
def test_unwritable_output_is_refused_before_any_work(command, option, suffix, no_work, tmp_path):
    directory = tmp_path / f"directory{suffix}"
    directory.mkdir()
    for path, words in (
        (tmp_path / "absent" / f"file{suffix}", "an existing directory"),
        (directory, "it is a directory"),
        (Path(f"/proc/specalign{suffix}"), "a writable place"),
    ):
        if path.parts[1] == "proc" and not path.parent.is_dir():
            continue
        result = invoke(command, option, path)
        assert result.exit_code == 2
        assert f"{option}: got {path}" in result.stderr
        assert words in result.stderr
        assert result.stdout == ""


@pytest.mark.parametrize(
    ("command", "option", "file"),
    [
        ("curves", "--plot", "a.gif"),
        ("curves", "--output", "a.csv"),
        ("verify", "--report", "a.txt"),
    ],
)
def test_unknown_formats_are_refused_before_any_work(command, option, file, no_work, tmp_path):
    result = invoke(command, option, tmp_path / file)
    assert result.exit_code == 2
    assert "the ending chooses the format" in result.stderr
    assert not (tmp_path / file).exists()


def test_two_outputs_cannot_share_a_file(no_work, tmp_path):
    result = invoke("verify", "--json", tmp_path / "a.html", "--report", tmp_path / "a.html")
    assert result.exit_code == 2
    assert "--report" in result.stderr
    assert "--json" in result.stderr


def test_checking_an_output_leaves_no_file_behind(no_work, tmp_path):
    assert invoke("curves", "--precision", "-1", "--plot", tmp_path / "a.png").exit_code == 2
    assert list(tmp_path.iterdir()) == []


def test_an_existing_output_survives_bad_input(no_work, tmp_path):
    path = tmp_path / "a.nc"
    path.write_bytes(b"kept")
    assert invoke("curves", "--precision", "-1", "--output", path).exit_code == 2
    assert path.read_bytes() == b"kept"


# --- configuration files --------------------------------------------------------------------------


EXAMPLES = [
    p for p in sorted((ROOT / "examples").glob("*.toml")) if not p.name.startswith("sweep_")
]


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda p: p.name)
def test_example_files_are_read(file):
    given = read_configuration(file)
    model = given.model()
    parameters, initial = given.parameters(), given.initial(model)
    assert parameters.weights.size == model.components
    assert initial.overlap.shape == (model.units, model.directions)
    given.times()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[modle]\nk = 3", ["'modle'", "did you mean 'model'"]),
        ("[parameters]\nprecison = 3", ["[parameters]", "'precison'", "did you mean 'precision'"]),
        ("[model]\nname = 'kgm'", ["model", "'kgm'", "did you mean 'kgmm'"]),
        ("[model]\nk = '3'", ["k:", "'3'", "an integer", "write k = 3"]),
        ("[model]\nk = 2.0", ["k:", "2.0", "write k = 2"]),
        ("[model]\nk = true", ["k:", "True", "write k = 3"]),
        ("[run]\ndimension = '500'", ["dimension:", "'500'", "write dimension = 500"]),
        ("[run]\nreplicas = 'many'", ["replicas:", "'many'", "write replicas = 20"]),
        (
            "[parameters]\nprecision = '10'",
            ["precision:", "the text '10'", "a number", "without quotes"],
        ),
        ("[parameters]\nweights = ['0.5', 0.5]", ["weights:", "the text '0.5'", "without quotes"]),
        ("[parameters]\nweights = []", ["weights:", "[]", "a list of numbers"]),
        ("[parameters]\nweights = [[0.5]]", ["weights:", "without inner brackets"]),
        ("[parameters]\nridge = 2020-01-01", ["ridge:", "a number", "write ridge = 0.1"]),
        ("[run]\ntime = []", ["time:", "got []", "write time = 16 or time = [0, 4, 16]"]),
        ("[run]\ntime = '4'", ["time:", "the text '4'", "without quotes"]),
        ("[initial]\noverlap = []", ["overlap:", "got []", "a list of rows"]),
        ("[initial]\noverlap = [['1']]", ["overlap:", "the text '1'"]),
        ("[model]\nname = 3", ["name", "a text"]),
        ("[parameters]\nweights = 0.5", ["weights", "a list"]),
        ("[parameters]\nprecision = [1]", ["precision", "a number"]),
        ("[parameters]\nprecision = true", ["precision", "a number"]),
        ("[parameters]\nprecision = nan", ["precision", "nan", "finite"]),
        ("[initial]\noverlap = [1, 2]", ["overlap", "rows"]),
        ("[run]\ndimension = 10.5", ["dimension", "10.5", "an integer", "write dimension = 1000"]),
        ("model = 3", ["model", "[model]"]),
        ("[model\nk = 3", ["valid TOML", "line 1"]),
    ],
)
def test_bad_files_are_refused(text, words, tmp_path, no_work):
    path = tmp_path / "run.toml"
    path.write_text(text)
    result = invoke("curves", "--config", path)
    assert result.exit_code == 2, result.output
    for word in words:
        assert word in result.stderr


def test_options_override_the_file(tmp_path):
    path = tmp_path / "run.toml"
    path.write_text(
        "[model]\nk = 2\n[parameters]\nprecision = 4\nridge = '1/3'\nweights = ['1/4', 0.75]\n"
    )
    given = read_configuration(path).override(Configuration(precision=5))
    assert given.parameters().precision == 5
    assert given.parameters().ridge == 1 / 3
    assert str(given.symbolic_model().mixture.weights) == "(1/4, 3/4)"


def test_decimals_in_a_file_are_exact(tmp_path):
    path = tmp_path / "run.toml"
    path.write_text("[parameters]\nridge = 0.1\n")
    assert str(read_configuration(path).symbolic_model().ridge) == "1/10"


def test_an_expression_is_not_evaluated():
    with pytest.raises(InputError, match="a number"):
        keys()["precision"].read_text("__import__('os').getpid()")


# --- derive ---------------------------------------------------------------------------------------


def test_derive_prints_the_drift_with_open_symbols():
    text = succeed(
        "derive",
        "--k",
        "2",
        "--entry",
        "m_1_2",
        "--limit",
        "noiseless",
        "--directions-gram",
        "orthonormal",
    )
    formula = text.splitlines()[-1]
    assert formula == "d m_1_2/dt = -beta*m_1_2 - p_2*softmax_1(m_1_2, m_2_2)"


def test_derive_keeps_the_corrector_in_sight():
    text = succeed("derive", "--k", "2", "--entry", "corrector_2_1")
    assert "corrector_1_2 = c_delta*p_1*E_1[" in text
    assert "d R_1_2/dt" not in text.splitlines()[-1]


def test_numbers_enter_a_formula_exactly():
    text = succeed(
        "derive", "--k", "2", "--ridge", "0.1", "--entry", "m_1_1", "--weights", "1/3,2/3"
    )
    assert "- m_1_1/10" in text
    assert "beta" not in text.splitlines()[-1]


@pytest.mark.parametrize(
    ("quantity", "style"),
    [(q, "text") for q in ("gradient", "hessian", "gradient-matrix", "diffusion", "fixed-point")]
    + [("drift", "latex"), ("gradient", "pretty"), ("hessian", "latex"), ("fixed-point", "pretty")],
)
def test_quantities_print_in_every_format(quantity, style):
    text = succeed("derive", "--k", "2", "--quantity", quantity, "--format", style)
    body = [line for line in text.splitlines() if line and line[0] not in "#%"]
    assert len(body) >= 6
    assert all(line.startswith(r"\[") and line.endswith(r"\]") for line in body) == (
        style == "latex"
    )


@pytest.mark.parametrize("style", ["text", "latex"])
@pytest.mark.parametrize(
    ("arguments", "total"),
    [
        (["--quantity", "hessian"], 39),
        (["--quantity", "hessian", "--limit", "noiseless"], 39),
        (["--quantity", "hessian", "--entry", "1,2", "--limit", "noiseless"], 17),
        (["--quantity", "gradient", "--entry", "g_1"], 4),
        (["--limit", "noiseless"], 10),
        (["--entry", "corrector", "--limit", "noiseless"], 3),
        (["--entry", "corrector_1_1", "--limit", "noiseless"], 1),
    ],
)
def test_what_the_header_says_of_zeros_is_true(arguments, total, style):
    lines = succeed("derive", "--k", "2", "--format", style, *arguments).splitlines()
    body = [
        line.strip("\\[] ").split(" = ", 1)[1].strip()
        for line in lines
        if line and line[0] not in "%#"
    ]
    notes = [
        re.search(r"of the (\d+) entries.* (\d+) are zero and not shown", line, re.I)
        for line in lines
    ]
    stated = [tuple(map(int, note.groups())) for note in notes if note]
    if any(value != "0" for value in body):
        assert "0" not in body
        assert stated == ([(total, total - len(body))] if len(body) < total else [])
    else:
        assert len(body) == 1
        assert stated == []
        assert any(f"All {total} entries" in line for line in lines) == (total > 1)


def test_the_header_of_latex_defines_what_it_uses():
    text = succeed("derive", "--k", "2", "--quantity", "hessian", "--format", "latex")
    head = [line for line in text.splitlines() if line.startswith("%")]
    assert any(
        r"$\pi_a(u_1, \ldots, u_C) = e^{u_a} / \sum_{c=1}^C e^{u_c}$" in line for line in head
    )
    assert any(r"$H_{a b}[\mathrm{bulk}]$ is $c$" in line for line in head)
    assert r"H_{1 1}[\mathrm{bulk}] = " in text
    assert "[I]" not in text


def test_a_symmetric_entry_is_found_under_both_names():
    one, other = (
        succeed(
            "derive", "--k", "2", "--quantity", "hessian", "--entry", f"H_1_1[{pair}]"
        ).splitlines()[-1]
        for pair in ("e_1,x_1", "x_1,e_1")
    )
    assert one == other


def test_blocks_are_selected_by_name_or_pair():
    by_name = succeed("derive", "--k", "2", "--quantity", "hessian", "--entry", "H_1_2")
    by_pair = succeed("derive", "--k", "2", "--quantity", "hessian", "--entry", "1,2")
    assert by_name == by_pair
    assert "H_1_2[bulk]" in by_name
    assert "H_1_1[" not in by_name


def test_projection_route_explains_its_symbols():
    text = succeed("derive", "--k", "2", "--route", "projection", "--entry", "m_1_1")
    assert "w = P (u - E_l u)" in text
    assert "w_1" in text.splitlines()[-1]


def test_a_limit_drops_the_precision_of_the_file():
    config = ROOT / "examples" / "kgmm_k3.toml"
    assert "softmax" in succeed(
        "derive", "--config", config, "--limit", "noiseless", "--entry", "m_1_1"
    )


def test_correlated_fixed_point_is_solved():
    text = succeed(
        "derive",
        "--k",
        "2",
        "--quantity",
        "fixed-point",
        "--weights",
        "1/2,1/2",
        "--ridge",
        "0.1",
        "--directions-gram",
        "1,0.4;0.4,1",
    )
    values = dict(line.split(" = ") for line in text.splitlines() if line.startswith("m_"))
    assert float(values["m_1_1"]) == -float(values["m_2_1"]) > 0


def test_derive_writes_a_file(tmp_path):
    path = tmp_path / "drift.txt"
    assert "wrote" in succeed("derive", "--k", "2", "--output", path)
    assert path.read_text().count(" = ") >= 10


# --- curves, simulate, spectrum -------------------------------------------------------------------


def test_curves_needs_no_option_and_states_its_error(monkeypatch):
    monkeypatch.setattr(Configuration, "times", lambda self: [0.0, 0.1])
    text = succeed("curves")
    assert "Theoretical curve of kgmm3" in text
    assert "Error of any statistic" in text


@pytest.mark.slow
def test_curves_writes_data_and_figure(tmp_path):
    data, plot = tmp_path / "c.nc", tmp_path / "c.png"
    succeed("curves", *FAST, "--weights", "0.5,0.3,0.2", "--output", data, "--plot", plot)
    with xr.open_dataset(data, engine="h5netcdf") as curve:
        assert curve.sizes["time"] == 3
        assert {"overlap", "gram_perp", "readout", "misalignment"} <= set(curve)
    assert plot.read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_simulate_sets_sgd_beside_the_theory(tmp_path):
    data, plot = tmp_path / "s.nc", tmp_path / "s.svg"
    arguments = ["simulate", *FAST, "-d", 40, "--replicas", 3, "--seed", 4, "--output", data]
    text = succeed(*arguments, "--plot", plot)
    assert "mean of 3 runs in dimension 40" in text
    assert "theory" in text
    assert "theory" not in succeed(*arguments, "--no-theory")
    with xr.open_dataset(data, engine="h5netcdf") as runs:
        assert runs.sizes["replica"] == 3
        assert runs.attrs["seed"] == 4
    assert plot.read_text().startswith("<?xml")


@pytest.mark.slow
def test_a_diverging_run_keeps_what_was_recorded(tmp_path):
    data, plot = tmp_path / "s.nc", tmp_path / "s.png"
    result = invoke(
        "simulate",
        "--time",
        "60",
        "-d",
        10,
        "--replicas",
        1,
        "--step",
        "20",
        "--ridge",
        "3",
        "--output",
        data,
        "--plot",
        plot,
    )
    assert result.exit_code == 1
    assert "diverged at t =" in result.stderr
    assert "reduce step" in result.stderr
    # the attribute of the exception is nothing to a reader of the terminal: the file is
    assert "partial" not in result.stderr
    assert f"in 1 of 1 runs, written to {data}" in result.stderr
    with xr.open_dataset(data, engine="h5netcdf") as runs:
        assert runs.sizes["time"] >= 1
    assert plot.exists()


def test_an_interrupted_run_keeps_what_was_recorded(tmp_path, monkeypatch):
    real = numerics.simulate_sgd

    def interrupted(*arguments, **keywords):
        raise numerics.sgd.simulate.SimulationInterrupted(
            real(*arguments, **keywords).isel(time=slice(0, 2))
        )

    monkeypatch.setattr(numerics, "simulate_sgd", interrupted)
    data = tmp_path / "s.nc"
    result = invoke("simulate", *FAST, "-d", 20, "--replicas", 2, "--output", data)
    assert result.exit_code == 130
    assert "interrupted: recorded 2 of 3 times (t = 0.05 of 0.1) in 2 of 2 runs" in result.stderr
    assert f"written to {data}" in result.stderr
    with xr.open_dataset(data, engine="h5netcdf") as runs:
        assert runs.sizes["time"] == 2
    result = invoke("simulate", *FAST, "-d", 20, "--replicas", 2)
    assert "--output FILE.nc would have kept them" in result.stderr


@pytest.mark.slow
@pytest.mark.parametrize("matrix", ["hessian", "gradient"])
def test_spectrum_of_a_block(matrix, tmp_path):
    data, plot = tmp_path / "p.nc", tmp_path / "p.png"
    text = succeed(
        "spectrum",
        "--k",
        "2",
        "--matrix",
        matrix,
        "--block",
        "1,2",
        "--at",
        "0.1",
        "-d",
        20,
        "--samples",
        200,
        "--output",
        data,
        "--plot",
        plot,
    )
    assert "block (1, 2)" in text
    assert "The state, taken from the curve at t = 0.1, has an error of its own" in text
    assert "200 fresh samples in dimension 20" in text
    with xr.open_dataset(data, engine="h5netcdf") as spectrum:
        assert spectrum.attrs["block"] == "(0, 1)"
        assert spectrum.attrs["empirical_samples"] == 200
        assert np.all(np.diff(spectrum["eigenvalue"]) <= 0)
        assert "empirical_eigenvalue" in spectrum
    assert plot.exists()


def test_spectrum_of_the_full_matrix():
    text = succeed("spectrum", "--k", "2", "--block", "full", "-d", 50)
    assert "first layer" in text
    assert "multiplicity 46" in text
    assert "marked near bulk: within 5 % of that distance" in text
    assert "Error of a population eigenvalue: below" in text
    assert "The state, taken from the curve" not in text


def test_few_samples_are_warned_of_and_stand_beside_nothing_beyond_their_rank():
    text = succeed("spectrum", "--samples", 2, "-d", 40)
    rows = [
        [cell.strip() for cell in line.split("│")[1:-1]]
        for line in text.splitlines()
        if line.startswith("│")
    ]
    assert (
        "Warning: M/d = 0.05 is too small for a comparison. 2 samples leave a matrix of low rank"
        in text
    )
    assert sum(bool(row[4]) for row in rows) == 2
    assert "Empirical bulk" not in text


@pytest.mark.slow
def test_an_error_beyond_the_printed_digits_is_warned_of(monkeypatch):
    solve = numerics.dynamics.curves.solve_curve

    def rough(*arguments, **named):
        return replace(solve(*arguments, **named), error_estimate=0.5)

    with monkeypatch.context() as patched:
        patched.setattr(numerics.dynamics.curves, "solve_curve", rough)
        text = succeed("curves", "--k", 2, "--time", 1)
    assert "Warning: the estimated error" in text
    assert "larger than the last printed digit: no decimal is certain" in text
    small = ("--k", 2, "--weights", "0.75,0.25", "--precision", 7, "--ridge", 0.2, "--time", 1)
    text = succeed("curves", *small)
    assert "Warning" not in text
    # the numbers stand beside the tables, in letters of a terminal
    numbers = "λ = 7, β = 0.2, c_δ = 1, p = (0.75, 0.25), orthonormal means"
    assert f"Numbers: {numbers}." in text
    run = ("--dimension", 8, "--replicas", 2, "--batch", 2)
    assert f"Numbers: {numbers}, batch = 2." in succeed("simulate", *small, *run)


@pytest.mark.parametrize(("error", "says"), [(1e-6, "less than the last printed digit"), (0.1, "")])
def test_a_tolerance_that_is_not_reached_is_told_what_lowers_the_error(error, says):
    curve = xr.Dataset(attrs={"error_estimate": error, "tolerance": 1e-8})
    first, *_ = error_warnings(curve)
    assert "the tolerance 1e-08 was not reached" in first
    assert says in first
    assert "a shorter --time or a larger --precision lowers it." in first


@pytest.mark.slow
def test_a_wide_table_shows_what_each_unit_sees_most():
    text = succeed("curves", "--k", 8, "--time", 0.1)
    assert "overlaps with the first 6 directions, and the largest of each unit" in text
    rows = [
        [cell.strip() for cell in line.split("│")[1:-1]]
        for line in text.splitlines()
        if "theory" in line
    ]
    assert [row[8].split()[1] for row in rows] == [f"({a})" for a in range(1, 9)]
    assert all(
        float(row[8].split()[0]) == max(map(float, (*row[2:8], row[8].split()[0]))) for row in rows
    )


def test_a_fixed_point_of_numbers_is_solved():
    numbers = ["--weights", "0.4,0.6", "--ridge", "0.1"]
    text = succeed("derive", "--k", 2, "--quantity", "fixed-point", *numbers)
    assert "solved[m_1_1] = 0.74077439306" in text
    s = 2 * 0.740774393062309
    assert abs(s * (np.exp(s) + 1) / 10 - 0.8) < 1e-12
    assert "solved" not in succeed("derive", "--k", 2, "--quantity", "fixed-point", *numbers[:2])


def test_off_diagonal_outliers_stand_beside_the_lowest_empirical_eigenvalues(tmp_path):
    data = tmp_path / "p.nc"
    text = succeed(
        "spectrum", "--at", "4", "--block", "1,2", "-d", 40, "--samples", 20_000, "--output", data
    )
    rows = [
        [cell.strip() for cell in line.split("│")[1:-1]]
        for line in text.splitlines()
        if line.startswith("│")
    ]
    assert [row[0] for row in rows[:3]] == ["6", "5", "4"]
    assert [row[1] for row in rows[:3]] == ["outlier"] * 3
    assert {row[1] for row in rows[3:]} <= {"bulk", "near bulk"}
    with xr.open_dataset(data, engine="h5netcdf") as spectrum:
        lowest = spectrum["empirical_eigenvalue"].values[::-1][:3]
    np.testing.assert_allclose([float(row[4]) for row in rows[:3]], lowest, rtol=1e-5)
    np.testing.assert_allclose(
        [float(row[4]) for row in rows[:3]], [float(row[2]) for row in rows[:3]], atol=0.01
    )
    assert [row[4] for row in rows[3:]] == [""] * 3
    assert "3 below it" in text


def test_help_of_curves_says_where_they_start():
    text = " ".join(succeed("curves", "--help").split())
    assert "overlap 0 and R_perp the identity" in text
    assert "--overlap and --gram-perp" in text


# --- numbers, titles, waiting ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (1e-17, "0"),
        (3.21e-7, "3.2e-07"),
        (-0.00009, "-9e-05"),
        (0.25, "0.2500"),
        (-99999.0, "-99999.0000"),
        (123456789012.3, "1.235e+11"),
        (-1.5e300, "-1.5e+300"),
        (float("nan"), "nan"),
        (float("inf"), "inf"),
    ],
)
def test_numbers_of_any_size_fit_a_column(value, text):
    assert fixed(value, zero=1e-12) == text
    assert len(text) <= 11


def test_huge_statistics_do_not_tear_the_table():
    text = succeed(
        "simulate",
        *FAST,
        "-d",
        20,
        "--replicas",
        2,
        "--overlap",
        "1e9,0,0;0,1e-9,0;0,0,1",
        "--no-theory",
    )
    assert "e+" in text
    assert max(map(len, text.splitlines())) < 141


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        (Parameters([1], 10, 0.1, 1), "λ = 10, β = 0.1, $c_\\delta$ = 1, p = 1, orthonormal means"),
        (
            Parameters([0.5, 0.5], 10, 0.1, 1),
            "λ = 10, β = 0.1, $c_\\delta$ = 1, p = 1/2, orthonormal means",
        ),
        (
            Parameters([0.6, 0.4], 0.5, 0, 2, [[1, 0.4], [0.4, 1]]),
            "λ = 0.5, β = 0, $c_\\delta$ = 2, p = (0.6, 0.4), "
            "$\\Gamma_{st}$ = 0.4 off the diagonal",
        ),
    ],
)
def test_titles_name_the_parameters(parameters, text):
    assert parameters_text(parameters) == text


@pytest.mark.parametrize("command", ["curves", "simulate", "spectrum"])
def test_every_figure_has_model_and_parameters_in_its_title(command, tmp_path, monkeypatch):
    titles = []

    def note(figure, path):
        titles.append(figure.get_suptitle().replace("\n", " "))

    for module in (commands_numeric, commands_theory, simulate):
        monkeypatch.setattr(module, "write_figure", note)
    options = {"curves": FAST, "simulate": [*FAST, "-d", 20, "--replicas", 2], "spectrum": []}[
        command
    ]
    succeed(command, "--k", 2, "--precision", 7, *options, "--plot", tmp_path / "a.png")
    assert titles[0].startswith("kgmm2: ")
    assert "λ = 7, β = 0.1, $c_\\delta$ = 1, p = 1/2, orthonormal means" in titles[0]


@pytest.mark.parametrize(
    "waiting",
    [
        lambda: spinner("counting"),
        lambda: progress_bar("counting"),
        lambda: named_progress("counting"),
    ],
)
def test_long_work_is_announced_in_one_line_where_there_is_no_terminal(
    waiting, monkeypatch, capsys
):
    monkeypatch.setattr(console, "PATIENCE", 0.05)
    with waiting():
        sleep(0.3)
    with waiting():
        pass
    sleep(0.1)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "counting: this takes longer than 0.05 s, please wait\n"


def test_building_a_model_of_many_classes_is_announced(monkeypatch):
    real = Configuration.problem
    monkeypatch.setattr(Configuration, "problem", lambda self: (sleep(0.2), real(self))[1])
    monkeypatch.setattr(console, "PATIENCE", 0.02)
    result = invoke("curves", "--k", 3, *FAST)
    assert "building the model for k = 3" in result.stderr
    assert result.exit_code == 0


# --- verify ---------------------------------------------------------------------------------------


def report_of(*measured: float, resolution: float | None = None) -> Report:
    bound = Tolerance((Part(0.1, "standard errors"),))
    results = [
        CheckResult(
            f"check{i}",
            "A holds.",
            "section 1",
            [Comparison("a", value, 0.0, bound, resolution)],
            7,
            {"replicas": 3},
            0.5,
        )
        for i, value in enumerate(measured)
    ]
    return Report("kgmm", "quick", 7, 1e-4, results, 1.0, {"python": "3"})


def verify_with(monkeypatch, report: Report, *arguments: object):
    calls, shares = [], []

    def run(system, level, seed, *, progress, family_error=FAMILY_ERROR, only=None, pool=None):
        calls.append((system, level, seed) if only is None else (system, level, seed, only))
        shares.append(family_error)
        progress("check0", 0.5)
        return report

    monkeypatch.setattr(verify.checks.runner, "run", run)
    result = invoke("verify", *arguments)
    assert sum(shares) == pytest.approx(FAMILY_ERROR)  # of the whole command, however many systems
    return result, calls


def test_verify_without_a_system_covers_all(monkeypatch, tmp_path):
    result, calls = verify_with(
        monkeypatch, report_of(0.01, -0.05), "--seed", 7, "--json", tmp_path / "r.json"
    )
    assert result.exit_code == 0, result.output
    assert calls == [("kgmm", "quick", 7), ("xor", "quick", 7)]
    assert "4 of 4 checks hold" in result.stdout
    assert "Reproduce: specalign verify --level quick --seed 7" in result.stdout


def test_verify_covers_the_systems_of_a_word(monkeypatch):
    result, calls = verify_with(monkeypatch, report_of(0.01), "mlp", "--seed", 7)
    assert result.exit_code == 0, result.output
    assert calls == [("mlp_kgmm", "quick", 7), ("mlp_xor", "quick", 7)]
    assert "Reproduce: specalign verify mlp --level quick --seed 7" in result.stdout


def test_verify_only_some_checks(monkeypatch):
    """In every system that has them, in its order; a system without any is left out."""
    monkeypatch.setattr(
        verify.checks.runner,
        "run",
        lambda *a, **_: replace(report_of(0.01), system=a[0], only=("routes",)),
    )
    shares = []
    result = invoke("verify", "--seed", 7, "--only", "outcomes")
    assert result.exit_code == 0, result.output
    assert "1 of 1 checks hold" in result.stdout
    assert "Reproduce: specalign verify --level quick --seed 7 --only outcomes" in result.stdout

    def run(system, level, seed, *, progress, family_error, only, pool=None):
        shares.append((system, only, family_error))
        return report_of(0.01)

    monkeypatch.setattr(verify.checks.runner, "run", run)
    invoke("verify", "--only", " fixed_point , routes")
    # the share of a system is that of the whole command, so that tolerances are the same
    assert shares == [
        ("kgmm", ["routes", "fixed_point"], FAMILY_ERROR / 2),
        ("xor", ["routes"], FAMILY_ERROR / 2),
    ]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--only", "curvs"), ["only: got 'curvs'", "did you mean 'curves'"]),
        (("kgmm", "--only", "outcomes"), ["only: got 'outcomes'", "this check applies to xor"]),
        (("--only", "curves,,chain"), ["names separated by commas"]),
        (("--only", ""), ["names separated by commas"]),
        (("kgmm", "--list", "--only", "curvs"), ["did you mean 'curves'"]),
    ],
)
def test_unknown_checks_are_refused(arguments, words):
    result = invoke("verify", *arguments)
    assert result.exit_code == 2
    assert all(word in result.stderr for word in words), result.stderr


@pytest.mark.slow
def test_list_of_checks():
    result = invoke("verify", "--list")
    assert result.exit_code == 0, result.output
    rows = {
        line.split("│")[1].strip(): line
        for line in result.stdout.splitlines()
        if line.startswith("│")
    }
    assert set(verify.checks.runner.CHECKS) <= set(rows)
    assert "kgmm, xor" in rows["curves"]
    assert "Mean SGD trajectories" in rows["curves"]
    assert "│ xor " in rows["outcomes"]
    one = invoke("verify", "xor", "--list", "--only", "routes,outcomes").stdout
    assert [name in one for name in ("routes", "outcomes", "curves")] == [True, True, False]


def test_an_interrupted_verification_keeps_what_was_finished(monkeypatch, tmp_path):
    json, html = tmp_path / "r.json", tmp_path / "r.html"

    def run(system, level, seed, *, progress, family_error, only, pool=None):
        report = replace(report_of(0.01, -0.05), system=system, family_error=family_error)
        if system == "xor":
            part = replace(report, results=report.results[:1], complete=False)
            raise verify.checks.runner.VerificationInterrupted(part, 2)
        return report

    monkeypatch.setattr(verify.checks.runner, "run", run)
    result = invoke("verify", "--json", json, "--report", html)
    assert result.exit_code == 130, result.output
    assert re.search(
        r"interrupted after 3 of \d\d checks; what was finished is kept", result.stderr
    )
    data = loads(json.read_text())
    assert data["complete"] is False
    assert data["verdict"] == "inconclusive"
    assert [(r["system"], len(r["results"]), r["complete"]) for r in data["reports"]] == [
        ("kgmm", 2, True),
        ("xor", 1, False),
    ]
    assert "xor-check0" in html.read_text("utf-8")


def test_an_interruption_between_systems_keeps_the_first(monkeypatch):
    def run(system, level, seed, *, progress, family_error, only, pool=None):
        if system == "xor":
            raise KeyboardInterrupt
        return replace(report_of(0.01), system=system)

    monkeypatch.setattr(verify.checks.runner, "run", run)
    with pytest.raises(verify.checks.runner.VerificationInterrupted) as caught:
        verify.checks.runner.run_all()
    assert [r.system for r in caught.value.partial.reports] == ["kgmm"]
    assert not caught.value.partial.complete


def test_progress_over_all_systems_grows_to_one(monkeypatch):
    def run(system, level, seed, *, progress, family_error, only, pool=None):
        progress("curves", 0.0)
        progress("curves", 0.5)
        progress("done", 1.0)
        return report_of(0.01)

    seen = []
    monkeypatch.setattr(verify.checks.runner, "run", run)
    verify.checks.runner.run_all(progress=lambda name, fraction: seen.append((name, fraction)))
    fractions = [fraction for _, fraction in seen]
    assert fractions == sorted(fractions)
    assert fractions[-1] == pytest.approx(1)
    assert {name for name, _ in seen} == {"kgmm: curves", "kgmm: done", "xor: curves", "xor: done"}


def test_verify_names_the_system_of_what_fails(monkeypatch):
    result, _ = verify_with(monkeypatch, report_of(0.01, 0.5))
    assert result.exit_code == 1
    assert "fails: kgmm check1, kgmm check1" in result.stderr  # the same report for both


def test_verify_holds(monkeypatch, tmp_path):
    json, html = tmp_path / "r.json", tmp_path / "r.html"
    result, calls = verify_with(
        monkeypatch,
        report_of(0.01, -0.05),
        "kgmm",
        "--level",
        "full",
        "--seed",
        7,
        "--json",
        json,
        "--report",
        html,
    )
    assert result.exit_code == 0, result.output
    assert calls == [("kgmm", "full", 7)]
    assert "2 of 2 checks hold" in result.stdout
    assert json.exists()
    assert html.exists()


def test_verify_fails_and_says_which(monkeypatch, tmp_path):
    json = tmp_path / "r.json"
    result, _ = verify_with(monkeypatch, report_of(0.01, 0.5, float("nan")), "kgmm", "--json", json)
    assert result.exit_code == 1
    assert "fails: check1, check2" in result.stderr
    assert "tolerance 0.1 = 0.1 (standard errors)" in result.stdout
    assert json.exists()


def test_verify_does_not_take_weakness_for_a_pass(monkeypatch):
    result, _ = verify_with(monkeypatch, report_of(0.01, resolution=0.05), "kgmm")
    assert result.exit_code == 1
    assert "inconclusive: check0" in result.stderr
    assert "exceeds the resolution 0.05" in result.stdout


def test_verify_without_any_check_is_not_a_pass(monkeypatch):
    result, _ = verify_with(monkeypatch, report_of(), "kgmm")
    assert result.exit_code == 1
    assert "no check was made" in result.stderr


# --- the process itself ---------------------------------------------------------------------------


@pytest.mark.slow
def test_exit_code_of_the_process():
    run = subprocess.run(
        [sys.executable, "-m", "verify.commands.cli", "curves", "--precision", "-1"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert run.returncode == 2
    assert run.stdout == ""
    assert run.stderr.startswith("error: precision: got -1")
    assert len(run.stderr.splitlines()) == 1


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="sends a POSIX signal")
def test_control_c_saves_the_partial_run(tmp_path):
    path = tmp_path / "s.nc"
    # the signal comes half a second after the simulation has begun, however long imports and
    # compilation took
    code = f"""
import os, signal, threading
import numerics.sgd.simulate
from verify.commands.cli import app
# a background process may have inherited that it is ignored
signal.signal(signal.SIGINT, signal.default_int_handler)
begin = numerics.sgd.simulate.run_replica
def run(*arguments):
    threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
    return begin(*arguments)
numerics.sgd.simulate.run_replica = run
app(["simulate", "--time", "1e9", "-d", "6", "--replicas", "1", "--output", {str(path)!r}])
"""
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert run.returncode == 130, run.stderr
    assert re.search(
        r"interrupted: recorded \d+ of 201 times .* in 1 of 1 runs, written to", run.stderr
    )
    with xr.open_dataset(path, engine="h5netcdf") as runs:
        assert 1 <= runs.sizes["time"] < 201
        assert not runs.attrs["complete"]


def test_help_does_not_load_the_numeric_libraries():
    code = (
        "import sys; from verify.commands.cli import app\n"
        "try: app(['--help'], prog_name='specalign')\n"
        "except SystemExit: pass\n"
        "sys.exit(bool({'numba', 'xarray', 'matplotlib'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, timeout=60)
    assert run.returncode == 0


def test_curve_of_the_command_is_that_of_the_library(tmp_path):
    path = tmp_path / "c.nc"
    config = ROOT / "examples" / "kgmm_k3.toml"
    succeed("curves", "--config", config, "--time", "0,0.1", "--output", path)
    given = read_configuration(config)
    model = given.model()
    direct = integrate_curves(model, given.parameters(), given.initial(model), [0.0, 0.1])
    with xr.open_dataset(path, engine="h5netcdf") as written:
        np.testing.assert_array_equal(written["overlap"], direct["overlap"])


def test_finished_steps_are_lines_where_there_is_no_terminal(capsys):
    with named_progress("judging") as progress:
        for name, fraction in (
            ("curves", 0.0),
            ("curves", 0.3),
            ("span", 0.5),
            ("span", 0.7),
            ("done", 1.0),
        ):
            progress(name, fraction)
    lines = capsys.readouterr().err.splitlines()
    assert [re.sub(r"\d+ s$", "0 s", line) for line in lines] == [
        "judging: finished curves; 50% done after 0 s",
        "judging: finished span; 100% done after 0 s",
    ]


def test_the_end_of_a_system_is_no_step_of_its_own(capsys):
    steps = ("kgmm: span", "kgmm: done", "xor: span", "xor: done")
    with named_progress("judging") as progress:
        for count, name in enumerate(steps):
            progress(name, count / 3)
    lines = capsys.readouterr().err.splitlines()
    assert [re.sub(r"\d+ s$", "0 s", line) for line in lines] == [
        "judging: finished kgmm: span; 33% done after 0 s",
        "judging: finished xor: span; 100% done after 0 s",
    ]


def test_counts_are_told_when_they_are_reached(capsys):
    with named_progress("3 points", reached=True) as progress:
        for count in (1, 2, 2, 3):
            progress(f"{count} finished, 0 failed of 3 points", count / 3)
    lines = capsys.readouterr().err.splitlines()
    assert [re.sub(r"\d+ s$", "0 s", line) for line in lines] == [
        "1 finished, 0 failed of 3 points; 33% done after 0 s",
        "2 finished, 0 failed of 3 points; 67% done after 0 s",
        "3 finished, 0 failed of 3 points; 100% done after 0 s",
    ]


@pytest.mark.parametrize(
    ("words", "position", "found"),
    [
        ("specalign curves x", 2, ["xor"]),
        ("specalign curves --activation t", 3, ["tanh"]),
        ("specalign simulate --method ", 3, ["direct", "reduced"]),
        ("specalign verify ", 2, ["kgmm", "xor", "mlp", "all"]),
    ],
)
def test_shells_complete_names(words, position, found):
    env = {"COMP_WORDS": words, "COMP_CWORD": str(position)}
    env["_SPECALIGN_COMPLETE"] = "complete_bash"
    result = new_runner().invoke(app, [], prog_name="specalign", env=env)
    assert result.stdout.split() == found


def test_flags_show_no_value_in_the_help():
    for words, flag in ((["curves"], "--quiet"), ([], "--version")):
        result = new_runner().invoke(app, [*words, "--help"], env={"COLUMNS": "120"})
        lines = [line for line in result.stdout.splitlines() if flag in line or "--help" in line]
        assert len(lines) >= 2
        assert "bool" not in "".join(lines).lower()


def test_a_missing_directory_is_told_once(tmp_path):
    result = invoke("curves", "--plot", tmp_path / "absent" / "a.png")
    assert result.stderr.count("--plot") == 1


def test_a_wall_of_formulas_names_its_shorter_forms():
    hint = "one entry alone: --entry m_1_1; in letters"
    assert hint in invoke("derive", "--k", "3").stderr
    assert hint not in invoke("derive", "--k", "3", "--entry", "m_1_1").stderr
    assert hint not in invoke("derive", "--k", "3", "--quiet").stderr
