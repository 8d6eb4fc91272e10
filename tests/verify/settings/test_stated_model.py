"""Models that a TOML file states: the same as those that Python states, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import sympy as sp
from command_cases import invoke, succeed

from theory import Bands, InputError, Loss, Mixture, Model, Softplus, Update, kgmm, symbols
from verify.settings.stated_model import read_settings
from verify.settings.sweep_file import read_sweep
from verify.settings.texts.loss_text import parse_loss

(U1, U2), (V1,), (T1, T2) = (symbols.vector(*each) for each in (("u", 2), ("v", 1), ("t", 2)))
Y, XI, G = symbols.LABEL, symbols.LABEL_NOISE, symbols.SLOPE

TEACHER = """
[model]
loss = "(v_1*tanh(u_1) - sign(t_1) - xi/2)^2 / 2"
readout = 1
kinks = ["t_1"]

[mixture]
labels = [0]
coordinates = [[0]]

[bands]
fractions = [0.25, 0.75]
scales = [1, 0.5]

[update]
rates = { "layer 1" = 2 }
rules = { "layer 1" = "max(-1, min(1, g))" }
"""
TEMPERED = """
[model]
loss = "T*(softplus(u_1/T) - y*u_1/T)"
parameters = { T = [0.25, 4] }

[mixture]
labels = [1, 0]
coordinates = [[1], [-1]]

[run]
time = [0, 1]
dimension = 100
"""
BUILT_IN = """
[model]
name = "kgmm"
k = 2

[bands]
fractions = ["1/10", "9/10"]
scales = [[1, 0.3], [2, 0.3]]
"""


def written(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "stated.toml"
    file.write_text(text)
    return file


@pytest.mark.slow
def test_a_stated_model_is_the_one_of_python(tmp_path):
    found = read_settings(written(tmp_path, TEACHER)).model()
    data = Mixture.build(labels=[0], coordinates=[[0]], bands=Bands(["1/4", "3/4"], [[1, "1/2"]]))
    loss = Loss((V1 * sp.tanh(U1) - sp.sign(T1) - XI / 2) ** 2 / 2, 1, 1, kinks=(T1,))
    rules = {"layer 1": sp.Max(-1, sp.Min(1, G))}
    update = Update(rates={"layer 1": 2}, rules=rules)
    assert found == Model.build(data, loss, name="stated", update=update)


def test_a_built_in_model_gets_bands_and_an_update(tmp_path):
    text = f"{BUILT_IN}\n[update]\nmomentum = 0.5\n"
    found = read_settings(written(tmp_path, text)).model()
    bands = Bands(["1/10", "9/10"], [[1, "3/10"], [2, "3/10"]])
    assert found == kgmm(2, bands=bands).with_update(Update(momentum="1/2"))


def test_commands_take_stated_models(tmp_path):
    file = written(tmp_path, TEMPERED)
    printed = succeed("derive", "--config", file, "--quantity", "gradient")
    assert "Sigmoid(u_1/T)" in printed
    succeed("curves", "--config", file, "--set", "T=2", "--output", tmp_path / "curve.nc")
    refused = invoke("curves", "--config", file)
    assert refused.exit_code == 2
    assert "no number of T" in refused.stderr


def test_free_parameters_are_axes_of_sweeps(tmp_path):
    text = f'{TEMPERED}\n[sweep]\nT = [0.5, 2]\nprecision = [1, 4]\nmeasure = ["curve"]\n'
    sweep = read_sweep(written(tmp_path, text)).sweep()
    assert [s.parameters.values["T"] for s in sweep.settings] == [0.5, 0.5, 2, 2]
    assert [s.parameters.precision for s in sweep.settings] == [1, 4, 1, 4]
    other = read_sweep(written(tmp_path, text.replace("y*u_1", "y*u_1*2"))).sweep()
    assert other.layout.configuration != sweep.layout.configuration


@pytest.mark.parametrize(
    ("text", "expression"),
    [
        ("(u_1 - y)^2 / 2", (U1 - Y) ** 2 / 2),
        ("log(1 + exp(u_1)) + abs(u_2)", sp.log(1 + sp.exp(U1)) + sp.Abs(U2)),
        ("Q_2_1*m_1_2", symbols.symmetric("Q", 2)[0, 1] * symbols.rectangular("m", 1, 2)[0, 1]),
        ("u_2_1*u_1_2", symbols.tokens("u", 2, 2)[1][0] * symbols.tokens("u", 1, 2)[0][1]),
        ("softplus(-y*u_1) + g_1 - g", Softplus(-Y * U1) + symbols.vector("g", 1)[0] - G),
    ],
)
def test_formulas_of_losses(text, expression):
    assert parse_loss("loss", text) == expression


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("__import__('os')", "loss: got .*check the character"),
        ("tan(u_1)", "tan is not known here; functions are"),
        ("u_0", "indices counted from 1"),
        ("u_1_2_3", r"write u_1_1"),
        ("alpha*u_1", "alpha is not known here"),
        ("E[u_1]", "expectations have no meaning here"),
        ("exp(u_1, 2)", r"exp takes one argument"),
        ("u_1^(3^5)", "exponents are at most 64"),
        ("2^(3^999)", "too large"),
        ("((2^64)^64)^64*u_1", "too large"),
        ("exp(99999999*log(3))*u_1", "towers of powers"),
        ("softmax(u_1, u_2)", r"softmax takes 3 to 64 arguments"),
        ("softmax(3, u_1, u_2)", "begins with its class, 1 to 2"),
        ("softmax(y, u_1, u_2)", "begins with its class, 1 to 2"),
        ("sqrt(-1)*u_1", "give a real number"),
        (3, "a formula as text"),
    ],
)
def test_what_is_no_loss_is_refused(text, message):
    with pytest.raises(InputError, match=message):
        parse_loss("loss", text)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("fractions = [0.25, 0.75]", "fractions = [0.25, 0.5]", "fractions with sum 1"),
        ("scales = [1, 0.5]", "", "no scales"),
        ('"layer 1" = 2', '"layer 7" = 2', "rates: got 'layer 7'"),
        ("labels = [0]\n", "", "labels, and coordinates or tokens"),
        ('loss = "(v_1', 'los = "(v_1', "key 'los'|los"),
        ("coordinates = [[0]]", "coordinates = [[0]]\nmeans = 1", "means"),
        ("sign(t_1)", "sign(t_1) - t_2", "teacher t_2"),
        ('kinks = ["t_1"]', 'kinks = "t_1"', "kinks: got 't_1'"),
        ('rates = { "layer 1" = 2 }', "rates = 2", "rates: got 2"),
        ("[mixture]", "[mixtures]", "table 'mixtures'|mixtures.*did you mean"),
    ],
)
def test_bad_statements_are_refused_by_name(old, new, message, tmp_path):
    assert old in TEACHER
    with pytest.raises(InputError, match=message):
        read_settings(written(tmp_path, TEACHER.replace(old, new)))


def test_two_models_at_once_are_refused(tmp_path):
    file = written(tmp_path, TEMPERED)
    other = tmp_path / "model.py"
    other.write_text("import specalign as sa\nmodel = sa.kgmm(2)\n")
    refused = invoke("curves", "--config", file, "--model", other)
    assert refused.exit_code == 2
    assert "beside a configuration that states a model" in refused.stderr


def test_samples_of_several_features(tmp_path):
    text = """
    [model]
    loss = "softplus(-y*u_1_1*u_1_2)"
    tokens = 2
    [mixture]
    labels = [1, -1]
    tokens = [[[1], [1]], [[1], [-1]]]
    """
    file = written(tmp_path, text)
    (left, right), *_ = symbols.tokens("u", 1, 2)
    data = Mixture.build(labels=[1, -1], tokens=[[[1], [1]], [[1], [-1]]])
    stated = Model.build(data, Loss(Softplus(-Y * left * right), units=1, tokens=2), name=file.stem)
    assert read_settings(file).symbolic_model() == stated
    assert "H_1_1[bulk] = " in succeed("derive", "--config", file, "--quantity", "hessian")
    unknown = invoke("effective", "--config", file, "--emergence", "--time", "0,1")
    assert unknown.exit_code == 2
    assert "emergence is not known for tokens" in unknown.stderr
