"""The command serves the two-layer XOR network: formulas, curves, runs, spectra, files, and bad
input.
"""

from __future__ import annotations

import re

import numpy as np
import pytest
import sympy as sp
import xarray as xr
from command_cases import invoke, succeed
from helpers import ROOT

from numerics import integrate_noiseless, population_spectrum
from theory import derive_hessian, separated_fixed_point, xor
from theory.problem.activations import ACTIVATIONS
from verify.commands import curves as commands_theory
from verify.commands import simulate
from verify.commands import spectrum as commands_numeric
from verify.printing.formulas import QUANTITIES, collect
from verify.settings.configuration import Configuration, read_configuration
from verify.settings.models import MODELS

EXAMPLE = ROOT / "examples" / "xor_K4.toml"
FAST = ["--time", "0,0.05,0.1"]
EVEN = ["--weights", "1/4,1/4,1/4,1/4"]


def formulas(text: str) -> dict[str, str]:
    """Left- and right-hand sides below the header."""
    lines = [line for line in text.splitlines() if " = " in line and line[0] not in "#%"]
    return {line.split(" = ")[0]: line.split(" = ")[-1] for line in lines}


# --- the table of models --------------------------------------------------------------------------


@pytest.mark.parametrize("name", MODELS)
def test_sizes_in_the_table_are_those_of_the_model(name):
    kind = MODELS[name]
    for size in (kind.least, kind.default, kind.default + 2):
        given = Configuration(name=name, **{kind.size: size})
        model, parameters, initial = given.numbers()
        assert model.components == kind.components(size) == parameters.weights.size
        assert model.directions == kind.directions(size) == len(parameters.directions_gram)
        assert len(kind.direction_names) in (0, model.directions)
        assert initial.readout.size == model.readout_size


def test_every_default_unit_leans_towards_its_cluster():
    _, parameters, initial = Configuration(name="xor", width=5).numbers()
    np.testing.assert_array_equal(
        initial.overlap, [[0.1, 0], [-0.1, 0], [0, 0.1], [0, -0.1], [0.1, 0]]
    )
    np.testing.assert_array_equal(initial.readout, [0.5, 0.5, -0.5, -0.5, 0.5])
    np.testing.assert_array_equal(initial.gram_perp, np.eye(5) / 4)
    assert (parameters.precision, parameters.ridge, parameters.step) == (100, 0.05, 1)
    assert Configuration(name="xor").times() == 30
    assert Configuration().times() == 16


@pytest.mark.parametrize("command", ["derive", "curves", "simulate", "spectrum"])
def test_help_states_the_defaults_of_both_models(command):
    text = " ".join(succeed(command, "--help").replace("│", " ").split())
    for words in (
        "kgmm 10, xor 100",
        "kgmm 0.1, xor 0.05",
        "xor: the number K of hidden units",
        *ACTIVATIONS,
    ):
        assert words in text


def test_the_example_is_the_reference_to_four_digits():
    given = read_configuration(EXAMPLE)
    model, parameters, initial = given.numbers()
    assert (model.name, parameters.precision, given.activation) == ("xor4", 20, "relu")
    np.testing.assert_array_equal(initial.readout, [0.5323, 0.3654, 0.4127, 0.4308])


def test_files_take_width_and_activation(tmp_path):
    path = tmp_path / "run.toml"
    path.write_text(
        "[model]\nname = 'xor'\nwidth = 2\nactivation = 'tanh'\n[initial]\nreadout = [1, -1]\n"
    )
    model, _, initial = read_configuration(path).numbers()
    assert model.loss == xor(2, activation="tanh").loss
    np.testing.assert_array_equal(initial.readout, [1, -1])


# --- bad input ------------------------------------------------------------------------------------

BAD = {
    "no unit": (["curves", "xor", "--width", "0"], ["width: got 0", ">= 1", "hidden units"]),
    "width not an integer": (
        ["curves", "xor", "--width", "2.5"],
        ["width:", "'2.5'", "an integer"],
    ),
    "k of xor": (
        ["curves", "xor", "--k", "3"],
        ["k: got 3", "the model xor", "xor has width, activation"],
    ),
    "width of kgmm": (
        ["curves", "kgmm", "--width", "3"],
        ["width: got 3", "the model kgmm", "belongs to xor"],
    ),
    "activation of kgmm": (
        ["derive", "--activation", "relu"],
        ["activation", "the model kgmm", "kgmm has k"],
    ),
    "unknown activation": (
        ["curves", "xor", "--activation", "rleu"],
        ["activation", "'rleu'", "did you mean 'relu'"],
    ),
    "three weights": (
        ["curves", "xor", "--weights", "0.5,0.3,0.2"],
        ["weights", "3 entries", "4, one per cluster"],
    ),
    "three weights of a formula": (
        ["derive", "xor", "--weights", "0.5,0.3,0.2"],
        ["weights", "4, one per cluster"],
    ),
    "weights off the simplex": (
        ["curves", "xor", "--weights", "0.5,0.5,0.5,0.5"],
        ["weights", "sum 2", "simplex"],
    ),
    "readout shape": (["curves", "xor", "--readout", "1,2"], ["readout", "shape (2,)", "(4,)"]),
    "overlap shape": (
        ["curves", "xor", "--overlap", "1,0;0,1"],
        ["overlap", "2 rows of 2", "4 rows of 2", "width"],
    ),
    "Gram shape": (
        ["curves", "xor", "--directions-gram", "1"],
        ["directions_gram", "1 rows", "2 rows of 2"],
    ),
    "dependent directions": (
        ["curves", "xor", "--directions-gram", "1,1;1,1"],
        ["directions_gram", "independent"],
    ),
    "d too small": (["simulate", "xor", "-d", "5"], ["dimension", "got 5", ">= 6"]),
    "block out of range": (
        ["spectrum", "xor", "--block", "1,5"],
        ["--block", "'1,5'", "units 1..4"],
    ),
    "ridge too large": (
        ["derive", "xor", "--quantity", "fixed-point", "--ridge", "1/8", *EVEN],
        ["ridge: got 1/8", "below 1/8", "only the zero fixed point exists"],
    ),
    "ridge too large for any weights": (
        ["derive", "xor", "--quantity", "fixed-point", "--ridge", "0.5"],
        ["ridge: got 1/2", "only the zero fixed point exists", "whatever the weights"],
    ),
    "ridge too large for four clusters": (
        ["derive", "xor", "--quantity", "fixed-point", "--ridge", "0.2"],
        ["ridge: got 1/5", "below 1/8", "equal weights"],
    ),
    "ridge too large for one cluster": (
        [
            "derive",
            "xor",
            "--quantity",
            "fixed-point",
            "--ridge",
            "0.12",
            "--weights",
            "0.4,0.2,0.2,0.2",
        ],
        ["1/10 of the cluster -mu", "--assignment mu,0,0,0"],
    ),
    "no ridge": (
        ["derive", "xor", "--quantity", "fixed-point", "--ridge", "0"],
        ["ridge: got 0", "> 0"],
    ),
    "assignment of another length": (
        ["derive", "xor", "--quantity", "fixed-point", "--assignment", "mu,nu"],
        ["assignment", "4 names"],
    ),
    "unknown cluster": (
        ["derive", "xor", "--quantity", "fixed-point", "--assignment", "mu,nu,pi,0"],
        ["assignment: got 'pi'", "-nu"],
    ),
    "assignment of a drift": (
        ["derive", "xor", "--assignment", "mu,0,0,0"],
        ["--assignment", "for drift"],
    ),
    "assignment of kgmm": (
        ["derive", "--quantity", "fixed-point", "--assignment", "mu"],
        ["--assignment", "the model kgmm"],
    ),
    "fixed point of another activation": (
        ["derive", "xor", "--quantity", "fixed-point", "--activation", "tanh"],
        ["activation: got 'tanh'", "relu for fixed-point", "leave --activation away"],
    ),
    "fixed point of oblique directions": (
        ["derive", "xor", "--quantity", "fixed-point", "--directions-gram", "1,0.4;0.4,1"],
        [
            "directions_gram: got '1,0.4;0.4,1'",
            "orthonormal for fixed-point",
            "leave --directions-gram away",
        ],
    ),
    "samples of both layers": (
        ["spectrum", "xor", "--block", "all", "--samples", "10"],
        ["--block: got 'all' with --samples"],
    ),
    "expansion at a kink": (
        ["derive", "xor", "--limit", "1"],
        ["--limit", "loss has kinks", "--limit noiseless"],
    ),
    "Stein across two kinks": (
        ["derive", "xor", "--quantity", "hessian", "--route", "stein"],
        ["route", "'projection'"],
    ),
    "kink rule of a drift": (
        ["derive", "xor", "--kink-rule", "difference"],
        ["--kink-rule", "for drift"],
    ),
    "kink rule of G": (
        ["spectrum", "xor", "--matrix", "gradient", "--kink-rule", "difference"],
        ["--kink-rule", "for gradient"],
    ),
    "kink rule without kinks": (
        ["derive", "--quantity", "hessian", "--kink-rule", "difference"],
        ["--kink-rule", "no kinks"],
    ),
    "unknown kink rule": (
        ["spectrum", "xor", "--kink-rule", "distribution"],
        ["--kink-rule", "did you mean 'distributional'"],
    ),
    "distributional beside data": (
        ["spectrum", "xor", "--samples", "100", "--kink-rule", "distributional"],
        ["--kink-rule", "'almost-everywhere'"],
    ),
    "noiseless with a precision": (
        ["curves", "xor", "--limit", "noiseless", "--precision", "3"],
        ["--precision", "leave --precision away"],
    ),
    "unknown flow": (["curves", "xor", "--limit", "1"], ["--limit: got '1'", "exact, noiseless"]),
    "entry out of range": (
        ["derive", "xor", "--quantity", "hessian", "--entry", "1,v_9"],
        ["i,v_j with i in 1..4, j in 1..4"],
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_refused_before_any_work(name, no_work):
    arguments, words = BAD[name]
    result = invoke(*arguments)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1
    for word in (*words, "got", "expected", "Remedy:"):
        assert word in result.stderr
    if "kgmm" not in result.stderr:
        assert "class" not in result.stderr


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[model]\nname = 'xor'\nk = 4", ["k: got 4", "the model xor"]),
        ("[model]\nwidth = 4", ["width: got 4", "the model kgmm"]),
        ("[model]\nname = 'xor'\nwidth = '4'", ["width:", "write width = 4"]),
        (
            "[model]\nname = 'xor'\nactivation = 1",
            ["activation:", "a text", 'write activation = "relu"'],
        ),
    ],
)
def test_bad_files_are_refused(text, words, tmp_path, no_work):
    path = tmp_path / "run.toml"
    path.write_text(text)
    result = invoke("curves", "--config", path)
    assert result.exit_code == 2, result.output
    for word in words:
        assert word in result.stderr


# --- derive ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("quantity", QUANTITIES)
@pytest.mark.parametrize("style", ["text", "latex", "pretty"])
def test_every_quantity_prints(quantity, style):
    text = succeed("derive", "xor", "--width", 1, "--quantity", quantity, "--format", style)
    assert "mu" in text
    assert "class" not in text
    assert len([line for line in text.splitlines() if line and line[0] not in "#%"]) >= 4


@pytest.mark.parametrize(
    ("quantity", "entry", "names"),
    [
        ("drift", "m_1_1", ["d m_1_1/dt"]),
        ("drift", "R_2_1", ["d R_1_2/dt"]),
        ("drift", "v_2", ["d v_2/dt"]),
        ("gradient", "g_v_1", ["g_v_1"]),
        ("gradient-matrix", "G_v", ["G_v_1_v_1", "G_v_1_v_2", "G_v_2_v_2"]),
        ("hessian", "H_1_v_2", [f"H_1_v_2[{z}]" for z in ("e_1", "e_2", "x_1", "x_2")]),
        ("hessian", "1,v_2", [f"H_1_v_2[{z}]" for z in ("e_1", "e_2", "x_1", "x_2")]),
        ("hessian", "v_2,1", [f"H_1_v_2[{z}]" for z in ("e_1", "e_2", "x_1", "x_2")]),
        ("hessian", "H_v_2_1[e_1]", ["H_1_v_2[e_1]"]),
        ("hessian", "H_v_2_v_1", ["H_v_1_v_2"]),
        ("diffusion", "Cov[v_1,m_1_1]", ["Cov[m_1_1,v_1]"]),
    ],
)
def test_entries_of_both_layers_are_named_alike(quantity, entry, names):
    assert (
        list(
            formulas(
                succeed("derive", "xor", "--width", 2, "--quantity", quantity, "--entry", entry)
            )
        )
        == names
    )


def test_the_rules_add_up():
    model = xor(2)
    kept = {
        rule: collect(model, "hessian", kink_rule=rule).values
        for rule in ("almost-everywhere", "difference")
    }
    whole = collect(model, "hessian").values
    values = derive_hessian(model)
    assert whole["H_1_1[bulk]"] == values.block(0, 0).bulk
    assert kept["difference"]["H_1_1[bulk]"].has(sp.DiracDelta)
    assert not kept["almost-everywhere"]["H_1_1[bulk]"].has(sp.DiracDelta)
    assert all(value == 0 for name, value in kept["difference"].items() if "v" in name)


def test_the_rule_is_in_the_title():
    for rule in ("distributional", "almost-everywhere", "difference"):
        arguments = ["--quantity", "hessian", "--entry", "H_v", "--kink-rule", rule]
        assert rule in succeed("derive", "xor", "--width", 1, *arguments).splitlines()[0]


def test_the_noiseless_limit_of_a_kink_is_explained():
    text = succeed(
        "derive",
        "xor",
        "--width",
        1,
        "--quantity",
        "hessian",
        "--limit",
        "noiseless",
        "--entry",
        "H_1_1",
    )
    assert "DiracDelta(m_1_1)" in text
    for note in (
        "left of a Gaussian of width 1/sqrt(lambda)",
        "share of active samples",
        "step(z) = 1 for z > 0",
    ):
        assert note in text
    assert "E_1[" not in text


def test_a_smooth_activation_has_an_expansion():
    text = succeed(
        "derive", "xor", "--width", 1, "--activation", "softplus", "--limit", 1, "--entry", "v_1"
    )
    assert "/lambda" in formulas(text)["d v_1/dt"]
    assert "kink" not in text


def test_numbers_and_correlated_directions_enter_formulas():
    text = succeed(
        "derive",
        "xor",
        "--width",
        1,
        "--entry",
        "m_1_2",
        "--directions-gram",
        "1,1/2;1/2,1",
        "--ridge",
        "0.05",
        *EVEN,
    )
    plain = succeed("derive", "xor", "--width", 1, "--entry", "m_1_2", "--ridge", "0.05", *EVEN)
    assert "m_1_2/20" in formulas(text)["d m_1_2/dt"]
    # what mu contributes along a correlated nu without noise, and nothing along an orthogonal one
    assert formulas(text)["d m_1_2/dt"].count("E_1[") > formulas(plain)["d m_1_2/dt"].count("E_1[")


# --- fixed points ---------------------------------------------------------------------------------


@pytest.mark.slow
def test_fixed_points_are_those_of_the_theory():
    assignment = ["mu", "-mu", "nu", "0"]
    text = succeed(
        "derive", "xor", "--quantity", "fixed-point", "--assignment", ",".join(assignment)
    )
    point, printed = separated_fixed_point(xor(4), assignment), formulas(text)
    names = {
        str(s): s
        for s in (*point.model.symbols.readout, *point.model.mixture.weights, point.model.ridge)
    }

    def value(name: str) -> sp.Expr:
        return sp.sympify(printed.get(name, "0"), locals=names)

    assert value("norm[mu]") == point.squared_norms[0]
    assert value("m_3_2") == point.overlap[2, 1]
    assert sp.cancel(value("H_1_1[e_2,e_2]") - point.first_layer(0, 0)[1, 1]) == 0
    assert sp.cancel(value("H_1_v_3[e_2]") - point.mixed(0, 2)[1]) == 0
    assert value("G_v_2_v_2") == point.readout("gradient")[1, 1]
    assert value("eigenvalue_H_v[nu]") == point.readout_eigenvalues()[2]
    assert "v, v block 3" in text
    assert "4: idle" in text


@pytest.mark.parametrize(
    ("assignment", "words"),
    [
        ("mu,-mu,nu,-nu,mu", ["4 of 4 clusters", "attracting as a set", "0 occurs once"]),
        ("mu,mu,mu,nu,0", ["2 of 4 clusters", "unstable: an idle unit grows", "flow_"]),
        ("0,0,0,0,0", ["0 of 4 clusters", "zero fixed point", "unstable"]),
        ("mu,-mu,nu,-nu,0", ["neutral to first order"]),
    ],
)
def test_stability_is_stated(assignment, words):
    text = succeed(
        "derive",
        "xor",
        "--width",
        5,
        "--quantity",
        "fixed-point",
        "--assignment",
        assignment,
        "--ridge",
        "1/20",
        *EVEN,
    )
    for word in words:
        assert word in text
    assert "nan" not in text


@pytest.mark.slow
def test_units_pick_the_clusters_in_turn_by_default():
    arguments = ["--quantity", "fixed-point", "--entry", "norm[mu]", "--format", "latex"]
    text = succeed("derive", "xor", "--width", 5, *arguments)
    assert r"v_{1}^{2} + v_{5}^{2} = \log" in text
    assert r"1: $\mu$, 2: $-\mu$, 3: $\nu$, 4: $-\nu$, 5: $\mu$" in text


# --- curves, simulate, spectrum -------------------------------------------------------------------


@pytest.mark.slow
def test_curves_show_readouts_and_name_the_directions(tmp_path):
    data, plot = tmp_path / "c.nc", tmp_path / "c.png"
    text = succeed("curves", "xor", *FAST, "--output", data, "--plot", plot)
    for word in (
        "xor4",
        "overlap μ",
        "overlap ν",
        "readout v",
        "largest |v_i|",
        "Error of any statistic",
    ):
        assert word in text
    with xr.open_dataset(data, engine="h5netcdf") as curve:
        assert curve["readout"].shape == (3, 4)
    assert plot.exists()


@pytest.mark.slow
def test_the_noiseless_curve_is_that_of_the_library(tmp_path):
    data, plot = tmp_path / "c.nc", tmp_path / "c.png"
    text = succeed(
        "curves", "xor", "--limit", "noiseless", "--time", "0,2", "--output", data, "--plot", plot
    )
    assert "noiseless dynamics" in text
    assert "m_1_2 = 0 with step(-m_1_2) = 0.5" in text
    model, parameters, initial = Configuration(name="xor").numbers()
    direct = integrate_noiseless(model, parameters, initial, [0.0, 2.0])
    with xr.open_dataset(data, engine="h5netcdf") as curve:
        np.testing.assert_array_equal(curve["overlap"], direct["overlap"])


def test_a_smooth_model_has_a_noiseless_curve_too():
    text = succeed("curves", "--limit", "noiseless", *FAST)
    assert "Tolerance of the integrator" in text
    assert "kink" not in text


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments", [["--width", 1], ["--activation", "tanh"], ["--directions-gram", "1,0.3;0.3,1"]]
)
def test_curves_of_other_networks(arguments):
    assert "Error of any statistic" in succeed("curves", "xor", *FAST, *arguments)


@pytest.mark.slow
def test_simulate_sets_sgd_beside_the_theory(tmp_path):
    data = tmp_path / "s.nc"
    text = succeed(
        "simulate",
        "--config",
        EXAMPLE,
        *FAST,
        "-d",
        40,
        "--replicas",
        2,
        "--output",
        data,
        "--plot",
        tmp_path / "s.png",
    )
    assert "mean of 2 runs in dimension 40" in text
    rows = [line for line in text.splitlines() if re.match(r"│ 1 +│ (SGD|theory)", line)]
    assert len(rows) == 2
    assert all(row.count("│") == 8 for row in rows)


@pytest.mark.parametrize("rule", ["distributional", "almost-everywhere", "difference"])
def test_spectra_follow_the_rule(rule, tmp_path):
    data = tmp_path / "p.nc"
    text = succeed("spectrum", "xor", "--width", 2, "--kink-rule", rule, "--output", data)
    assert rule.capitalize()[:10] in text
    model, parameters, state = Configuration(name="xor", width=2).numbers()
    direct = population_spectrum(
        model, parameters, state, block=(0, 0), blocks=derive_hessian(model, kink_rule=rule)
    )
    with xr.open_dataset(data, engine="h5netcdf") as spectrum:
        assert spectrum.attrs["kink_rule"] == rule
        np.testing.assert_allclose(spectrum["eigenvalue"], direct["eigenvalue"], atol=1e-12)


@pytest.mark.parametrize("block", ["1,1", "1,2", "full", "readout"])
@pytest.mark.parametrize("matrix", ["hessian", "gradient"])
def test_spectra_beside_data_are_almost_everywhere(block, matrix, tmp_path):
    text = succeed(
        "spectrum",
        "xor",
        "--width",
        2,
        "--matrix",
        matrix,
        "--block",
        block,
        "-d",
        20,
        "--samples",
        2000,
        "--plot",
        tmp_path / "p.png",
    )
    assert (
        ("almost-everywhere Hessian" in text)
        == ("averages over data approach" in text)
        == (matrix == "hessian")
    )
    assert "2000 fresh samples in dimension 20" in text
    assert ("Lengths of the features" in text) == (block == "readout")
    assert ("cos² μ" in text) == (block != "readout")


@pytest.mark.slow
def test_the_spectrum_of_both_layers_states_the_share_of_the_second(tmp_path):
    text = succeed("spectrum", "xor", "--block", "all", "--plot", tmp_path / "p.png")
    assert "both layers" in text
    assert "share in v" in text


@pytest.mark.slow
@pytest.mark.parametrize("command", ["curves", "simulate", "spectrum"])
def test_titles_name_the_directions(command, tmp_path, monkeypatch):
    titles = []

    def note(figure, path):
        titles.append(figure.get_suptitle().replace("\n", " "))

    for module in (commands_numeric, commands_theory, simulate):
        monkeypatch.setattr(module, "write_figure", note)
    options = {"curves": FAST, "simulate": [*FAST, "-d", 20, "--replicas", 2], "spectrum": []}[
        command
    ]
    succeed(command, "xor", *options, "--plot", tmp_path / "a.png")
    assert titles[0].startswith("xor4: ")
    assert "λ = 100, β = 0.05, $c_\\delta$ = 1, p = 1/4, orthonormal μ and ν" in titles[0]


def test_numbers_of_a_fixed_point_are_in_decimals_too():
    point = [
        "--width",
        1,
        "--quantity",
        "fixed-point",
        "--assignment",
        "mu",
        "--ridge",
        0.05,
        *EVEN,
    ]
    assert "norm[mu] = v_1**2 = log(4)  # 1.38629" in succeed("derive", "xor", *point)
    latex = succeed("derive", "xor", *point, "--format", "latex")
    assert r"\log{\left(4 \right)} \approx 1.38629" in latex


@pytest.mark.slow
@pytest.mark.parametrize(
    ("activation", "words"),
    [
        ("tanh", "activation is odd"),
        ("softplus", "--overlap, --gram-perp and --readout"),
        ("relu", ""),
    ],
)
def test_another_activation_with_the_default_start_gets_a_hint(activation, words):
    result = invoke("curves", "xor", "--activation", activation, *FAST)
    assert ("hint: the default start is made for ReLU units" in result.stderr) == bool(words)
    assert words in result.stderr
    assert (
        "hint"
        not in invoke(
            "curves", "xor", "--width", 1, "--overlap", "0.5,0", "--activation", activation, *FAST
        ).stderr
    )
