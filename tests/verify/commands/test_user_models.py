"""A model of the user's own in every command, and what the commands say beside their results."""

from __future__ import annotations

import json
from fractions import Fraction

import numpy as np
import pytest
import xarray as xr
from command_cases import invoke, succeed
from matplotlib import image

import specalign as sa
from theory import InputError, derive_drift
from verify.commands import messages
from verify.settings.user_model import UserConfiguration, load_model
from verify.tables.effective import near_degenerate

MODEL = """
import specalign as sa
from beside import UNITS

u, y = sa.symbols.vector("u", UNITS), sa.symbols.LABEL
loss = sa.Loss(sa.Softplus(u[0]) - y * u[0], units=UNITS)
data = sa.Mixture.build(labels=[1, 0], coordinates=[[1], [-1]], directions_gram=[[1]])
logistic = sa.Model.build(data, loss, name="logistic")
fixed = sa.Model.build(data, loss, ridge="1/5", step=1, name="fixed")
if __name__ == "__main__":
    raise SystemExit("run as a program")
"""


@pytest.fixture
def model(tmp_path):
    (tmp_path / "beside.py").write_text("UNITS = 1\n")
    path = tmp_path / "model.py"
    path.write_text(MODEL)
    return path


def test_a_curve_of_ones_own_model_is_that_of_python(model, tmp_path):
    out = tmp_path / "curve.nc"
    weights = ("--weights", "0.7,0.3")
    succeed("curves", "--model", f"{model}:logistic", *weights, "--time", "1,4", "-o", out)
    mine = load_model(f"{model}:logistic")
    problem = sa.Problem(mine, weights=[0.7, 0.3], precision=10, ridge=0.1, step=1)
    expected = sa.integrate_curves(problem, sa.State.zero(problem), time=[1, 4])
    with xr.open_dataset(out) as found:
        np.testing.assert_allclose(found.overlap, expected.overlap, atol=1e-12)
        assert found.attrs["model"] == "logistic"


TEMPERED = """
import sympy as sp
import specalign as sa

u, y, T = sa.symbols.vector("u", 1), sa.symbols.LABEL, sp.Symbol("T", positive=True)
loss = sa.Loss(T * (sa.Softplus(u[0] / T) - y * u[0] / T), units=1, parameters={"T": (0.5, 2)})
data = sa.Mixture.build(labels=[1, 0], coordinates=[[1], [-1]], directions_gram=[[1]])
model = sa.Model.build(data, loss, ridge=0, step=1, name="tempered")
"""


def test_numbers_of_a_loss_are_set_on_the_command_line_and_in_a_file(tmp_path):
    file = tmp_path / "tempered.py"
    file.write_text(TEMPERED)
    tempered = f"{file}:model"
    mine = load_model(tempered)
    said = UserConfiguration(mine, set={"T": Fraction(3, 4)})
    assert said.parameters().values == {"T": 0.75}
    assert said.symbolic_model().loss.parameters == ()
    config = tmp_path / "numbers.toml"
    config.write_text("[parameters]\nset = {T = 0.75}\n")
    outs = [tmp_path / "one.nc", tmp_path / "two.nc"]
    options = ("curves", "--model", tempered, "--time", "1,2")
    succeed(*options, "--set", "T=3/4", "-o", outs[0])
    succeed(*options, "--config", config, "-o", outs[1])
    with xr.open_dataset(outs[0]) as one, xr.open_dataset(outs[1]) as two:
        np.testing.assert_array_equal(one.overlap, two.overlap)
        assert json.loads(one.attrs["parameters"])["values"] == {"T": 0.75}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "set: got no number of T"),
        (("--set", "tau=1"), "set: got tau; expected free parameters of tempered: T"),
        (("--set", "T"), "names and numbers such as T=0.5"),
        (("--set", "T=1,T=2"), "names and numbers such as T=0.5"),
        (("--set", "T=3"), r"T: got 3.0; expected a number in [1/2, 2]"),
    ],
)
def test_numbers_of_a_loss_that_are_missing_or_wrong(options, message, tmp_path):
    file = tmp_path / "tempered.py"
    file.write_text(TEMPERED)
    found = invoke("curves", "--model", f"{file}:model", *options)
    assert found.exit_code == 2
    assert message in " ".join(found.output.split())


def test_built_in_models_have_no_numbers_of_their_own():
    found = invoke("curves", "kgmm", "--set", "T=1")
    assert found.exit_code == 2
    assert "the loss of kgmm has no numbers of its own" in " ".join(found.output.split())


@pytest.fixture
def banded(tmp_path):
    """A file with two classes whose noise has bands, everything else open."""
    file = tmp_path / "banded.py"
    bands = "sa.Bands([0.25, 0.75], [[1, 0.5], [0.5, 1]])"
    file.write_text(f"import specalign as sa\nmodel = sa.kgmm(2, bands={bands})\n")
    return f"{file}:model"


def test_printed_formulas_of_bands(banded):
    """Names have the band first, and what is printed is what is derived."""
    printed = invoke("derive", "--model", banded, "--quantity", "drift").stdout
    assert "u ~ N(sum_g m_g S_l^T" in printed
    drift = derive_drift(load_model(banded))
    entry = next(line for line in printed.splitlines() if line.startswith("d m_2_1_2/dt = "))
    assert entry == f"d m_2_1_2/dt = {drift.overlap[2, 1]}"
    one = invoke("derive", "--model", banded, "--quantity", "drift", "--entry", "corrector_2_2_1")
    assert f"corrector_2_1_2 = {drift.corrector[2, 1]}" in one.stdout.splitlines()
    found = invoke("derive", "--model", banded, "--quantity", "drift", "--entry", "m_3_1_1")
    assert found.exit_code == 2
    assert "i in 1..2" in found.stderr
    hessian = invoke("derive", "--model", banded, "--quantity", "hessian", "--entry", "H_1_2")
    names = [line.split(" = ")[0] for line in hessian.stdout.splitlines() if " = " in line]
    assert "H_1_2[bulk_2]" in names
    assert "H_1_2[e_2_1,x_1_2]" in names


@pytest.mark.slow
def test_claims_about_bands(banded, tmp_path):
    claims = tmp_path / "claims.toml"
    formula = "c_delta/lambda*rho_2*sum_l(p_l*sigma_l_2^2*E_l[g_1^2])"
    claims.write_text(f'[[claim]]\nquantity = "corrector_2_1_1"\nformula = "{formula}"\n')
    judged = json.loads(invoke("check", "--model", banded, claims, "--json", "-").stdout)
    assert [c["verdict"] for c in judged["claims"]] == ["proved"]


def test_numbers_of_bands_stand_one_below_the_other(banded):
    """R_perp of each is its share of the identity, and so are orthonormal directions."""
    plain = UserConfiguration(load_model(banded))
    problem, start = plain.problem()
    assert np.allclose(problem.parameters.directions_gram, [0.25 * np.eye(2), 0.75 * np.eye(2)])
    assert np.allclose(start.gram_perp, [0.25 * np.eye(2), 0.75 * np.eye(2)])
    half = Fraction(1, 2)
    rows = [[1, 0], [0, 1], [2, half], [half, 2]]
    moved = plain.but(overlap=rows, gram_perp=rows, directions_gram=rows)
    problem, start = moved.problem()
    for found in (start.overlap, start.gram_perp, problem.parameters.directions_gram):
        assert np.array_equal(found, np.reshape(np.array(rows, dtype=float), (2, 2, 2)))
    assert float(moved.symbolic_model().mixture.band_gram(1)[0, 1]) == 0.5
    with pytest.raises(InputError, match=r"overlap.*4 rows of 2"):
        plain.but(overlap=[[1, 0], [0, 1]]).problem()


@pytest.mark.slow
def test_curves_and_spectra_of_bands(banded, tmp_path):
    out, figure = tmp_path / "curve.nc", tmp_path / "curve.png"
    said = succeed("curves", "--model", banded, "--time", "1", "-o", out, "--plot", figure)
    with xr.open_dataset(out, engine="h5netcdf") as data:
        assert data.overlap.sizes["band"] == 2
        whole = float(data.overlap.isel(time=-1, unit=0, direction=0).sum())
    assert f"{whole:.4f}" in said
    assert figure.stat().st_size
    sizes = ("--dimension", "80", "--samples", "400", "--at", "1")
    said = succeed("spectrum", "--model", banded, "--block", "1,1", *sizes)
    assert "with multiplicity 16, 56" in said
    succeed("effective", "--model", banded, "--block", "1,1", *sizes)
    succeed("simulate", "--model", banded, "--time", "0.1", "--dimension", "80", "--replicas", "2")
    refused = invoke("spectrum", "--model", banded, "--dimension", "81")
    assert refused.exit_code == 2
    assert "multiple of 4" in refused.stderr


def test_numbers_that_a_model_fixes_are_its_own(model):
    settings = UserConfiguration(load_model(f"{model}:fixed"), precision=3)
    assert settings.parameters().ridge == 0.2
    assert settings.parameters().precision == 3
    assert settings.symbolic_model().mixture.precision == 3
    for command in ("curves", "derive"):
        refused = invoke(command, "--model", f"{model}:fixed", "--ridge", "0.3")
        assert refused.exit_code == 2
        assert "ridge" in refused.stderr
        assert "1/5" in refused.stderr


@pytest.mark.slow
def test_every_command_takes_a_model_of_ones_own(model):
    mine = ("--model", f"{model}:logistic")
    drift = succeed("derive", *mine, "--entry", "m_1_1", "--precision", "3")
    assert "E_1[Sigmoid(u_1) - 1]" in drift
    assert "lambda" not in drift.partition("d m_1_1/dt")[2]
    small = ("--time", "1", "-d", "50")
    assert "SGD on logistic" in succeed("simulate", *mine, *small, "--replicas", "2")
    assert "mean 1" in succeed("spectrum", *mine, "-d", "50")
    assert "logistic: gradient matrix G, block (1, 1)" in succeed(
        "effective", *mine, "--matrix", "gradient", "--phi", "4"
    )
    laws = succeed("verify", *mine, "--only", "gauge,rotation")
    assert "rotation: holds" in laws
    assert "gauge: not applicable" in laws


@pytest.mark.slow
def test_claims_are_judged_for_a_model_of_ones_own(model, tmp_path):
    claims = tmp_path / "claims.tex"
    claims.write_text(r"\[ \mathrm{corrector}_{ab} = \frac{c_\delta}{\lambda} E[g_a g_b] \]")
    wrong = tmp_path / "wrong.toml"
    wrong.write_text('[[claim]]\nquantity = "corrector_a_b"\nformula = "E[g_a*g_b]"\n')
    found = invoke("check", "--model", f"{model}:logistic", claims, wrong, "--json", "-")
    assert found.exit_code == 1
    judged = json.loads(found.stdout)["claims"]
    assert [(c["model"], c["verdict"]) for c in judged] == [
        ("logistic", "proved"),
        ("logistic", "refuted"),
    ]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("model.py:logistik",), "did you mean 'logistic'"),
        (("model.py",), "2 models"),
        (("model.toml:logistic",), "a Python file and a name in it"),
        (("missing.py:logistic",), "a Python file (No such file"),
        (("model.py:data",), "data, a Mixture"),
        (("broken.py:logistic",), "line 2"),
        (("leaves.py:logistic",), "SystemExit"),
        (("model.py:logistic", "--k", "3"), "belongs to a built-in model"),
        (("model.py:logistic", "--weights", "1/3,1/3,1/3"), "2 weights"),
        (("model.py:logistic", "--overlap", "1,2"), "1 rows of 1 entries"),
        (("model.py:logistic", "--gram-perp", "-1"), "gram_perp"),
        (("model.py:logistic", "--block", "2,2"), "units 1..1"),
    ],
)
def test_what_is_no_model_is_refused(model, words, expected, monkeypatch):
    monkeypatch.chdir(model.parent)
    (model.parent / "broken.py").write_text("x = 1\nx.loss\n")
    (model.parent / "leaves.py").write_text("raise SystemExit(0)\n")
    found = invoke("spectrum", "--model", *words)
    assert found.exit_code == 2, found.output
    assert expected in found.stderr


def test_laws_of_a_model_know_no_level(model):
    found = invoke("verify", "--model", f"{model}:logistic", "--level", "full")
    assert found.exit_code == 2
    assert "--level" in found.stderr
    assert "hessian_symmetric: " in succeed("verify", "--model", f"{model}:logistic", "--list")


# --- messages -------------------------------------------------------------------------------------


@pytest.mark.slow
def test_quiet_leaves_results_and_errors_alone():
    words = ("xor", "--activation", "tanh", "--time", "1", "--width", "1")
    loud, quiet = invoke("curves", *words), invoke("curves", *words, "--quiet")
    assert "hint:" in loud.stderr
    assert quiet.stderr == ""
    assert quiet.stdout == loud.stdout
    assert "error: k" in invoke("curves", "--k", "0", "--quiet").stderr
    assert not messages.is_quiet()


def test_a_log_holds_what_was_said_and_grows(tmp_path):
    log, out = tmp_path / "run.log", tmp_path / "out.nc"
    words = ("curves", "--k", "2", "--time", "1", "-o", out, "--log", log)
    succeed(*words)
    lines = log.read_text().splitlines()
    assert "specalign curves begins" in lines[0]
    assert any(f"RESULT wrote {out}" in line for line in lines)
    assert invoke(*words, "--weights", "1").exit_code == 2
    assert "InputError: weights" in log.read_text()
    assert len(log.read_text().splitlines()) > len(lines)
    assert not any(isinstance(h, messages._File) for h in messages.LOGGER.handlers)
    refused = invoke("curves", "--log", tmp_path)
    assert "--log" in refused.stderr


def test_long_work_says_how_long_it_took(capsys):
    messages.tell_duration("a curve", 9.9)
    messages.tell_duration("a curve", 11.2)
    assert capsys.readouterr().err == "a curve: took 11 s\n"


def test_a_log_that_cannot_be_written_is_an_error(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError("No space left on device")

    with messages.messages("curves", False, tmp_path / "run.log"):
        (handler,) = (h for h in messages.LOGGER.handlers if isinstance(h, messages._File))
        monkeypatch.setattr(handler.stream, "write", refuse)
        with pytest.raises(OSError, match="No space"):
            messages.say("a result")
        assert handler not in messages.LOGGER.handlers


# --- tables ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("places", "multiplicity", "marked"),
    [
        ([2.0, 1.0], [1, 1], [False, False]),
        ([1.01, 1.0, 0.5], [1, 1, 1], [True, True, False]),
        ([1.0, 1.0, 0.5], [2, 2, 1], [False, False, False]),
        ([1.01, 1.0, 1.0], [1, 2, 2], [True, True, True]),
        ([], [], []),
    ],
)
def test_near_degenerate_outliers_are_marked(places, multiplicity, marked):
    data = xr.Dataset({"outliers": ("eigen", places), "multiplicity": ("eigen", multiplicity)})
    assert near_degenerate(data).tolist() == marked


# --- figures --------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_figure_has_the_size_and_style_that_are_asked_for(tmp_path):
    png, small = tmp_path / "a.png", tmp_path / "b.png"
    words = ("curves", "--k", "2", "--time", "1", "--plot")
    succeed(*words, png, "--size", "5x2", "--title", "")
    assert image.imread(png).shape[:2] == (300, 750)
    succeed(*words, small, "--style", "paper")
    assert image.imread(small).shape != image.imread(png).shape


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("--size", "7x4"), "without --plot"),
        (("--title", "a"), "without --plot"),
        (("--plot", "a.png", "--size", "7"), "write 7x4"),
        (("--plot", "a.png", "--size", "7x400"), "<= 60"),
        (("--plot", "a.png", "--style", "poster"), "paper"),
        (("--plot", "a.png", "--title", "$x"), ""),
        (("--plot", "a.png", "--title", "a\x07"), "control characters"),
    ],
)
def test_figures_that_cannot_be_drawn_are_refused(words, named, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = invoke("curves", "--k", "2", "--time", "1", *words)
    assert found.exit_code == (2 if named else 0)
    assert named in found.stderr
