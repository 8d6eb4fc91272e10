"""The command on small tables: what it prints and writes, what it refuses."""

from __future__ import annotations

import json

import numpy as np
import pytest
from command_cases import invoke, succeed
from helpers import fresh_rng

from numerics import SoftmaxNetwork, compare_with_data, fit_mixture
from verify.real_data.comparison_tables import comparison_remarks, deviations

FAST = ("--time", 1, "--replicas", 2, "--samples", 200, "--count", 3)


def gaussian_classes(rng: np.random.Generator, per_class: int):
    """Two classes whose noise is Gaussian, with variances of their own along the axes."""
    scales = np.array([[1.5, 1.0, 0.5, 0.2, 0.3], [0.8, 1.4, 0.6, 0.1, 0.25]])
    means = np.array([[0.6, 0.3, 0, 0.2, 0], [-0.6, 0, 0.2, -0.2, 0.1]])
    noise = rng.standard_normal((2, per_class, 5))
    # exact first and second moments: what is left to compare is the law
    noise -= noise.mean(axis=1, keepdims=True)
    for c in range(2):
        root = np.linalg.cholesky(np.linalg.inv(np.cov(noise[c].T, bias=True)))
        noise[c] = noise[c] @ root
    x = np.concatenate([noise[c] * scales[c] + means[c] for c in range(2)])
    return x, np.repeat([0, 1], per_class)


@pytest.fixture
def table(tmp_path):
    x, y = gaussian_classes(np.random.default_rng(1), 12)
    file = tmp_path / "table.csv"
    names = np.array(["left", "right"])[y]
    lines = ["a,b,c,d,e,kind"]
    lines += [
        ",".join([*map(repr, row.tolist()), name]) for row, name in zip(x, names, strict=True)
    ]
    file.write_text("\n".join(lines))
    return file


@pytest.mark.slow
def test_theory_holds_for_gaussian_data_and_isotropic_theory_does_not():
    """At the same weights and along training; the isotropic theory is the wrong one."""
    fitted = fit_mixture(*gaussian_classes(fresh_rng(), 10_000), scale="none")
    assert fitted.dropped.max() < 1e-6
    network = SoftmaxNetwork(step=0.05, ridge=0.1)
    sizes = {"runs": 3, "count": 4, "samples": 10_000, "seed": 0}
    found = compare_with_data(fitted, network, [0.0, 1.0, 3.0], **sizes)
    for name, kind, close in (
        ("gaussian_eigenvalue", "bands", 0.12),
        ("gaussian_eigenvalue", "full", 0.12),
        ("theory_eigenvalue", "bands", 0.2),
    ):
        assert np.abs(deviations(found, name, "hessian", kind)).max() < close, name
    assert np.abs(deviations(found, "theory_eigenvalue", "hessian", "isotropic")).max() > 0.3
    gap = found["theory_accuracy"].mean("run") - found["accuracy"].mean("run")
    assert np.abs(gap.sel(theory="bands")).max() < 0.06
    assert found["class_distance"].sel(gaussian="bands").max() < 0.12
    assert found["class_distance"].sel(gaussian="isotropic").max() > 0.2


@pytest.mark.slow
def test_everything_is_printed_and_written(table, tmp_path):
    files = {s: tmp_path / f"out.{s}" for s in ("json", "png", "nc")}
    wanted = ["--json", files["json"], "--plot", files["png"], "--output", files["nc"]]
    text = succeed("fit", table, *FAST, "--classes", "right,left", "--scale", "none", *wanted)
    assert "24 samples in d = 5; classes right (12), left (12)." in text
    assert "Fitted: 5 band(s), 1 direction(s)" in text
    for word in ("Training", "Leading eigenvalues at t = 0", "Hessian: worst of 3", "Classes, at"):
        assert word in text
    content = json.loads(files["json"].read_text())
    assert content["classes"] == ["right", "left"]
    assert np.shape(content["eigenvalue"]) == (2, len(content["time"]), 3)
    assert content["accuracy"][0] == pytest.approx(0.5)
    for line in content["remarks"]:
        assert line in text
    assert all(file.stat().st_size > 1000 for file in files.values())
    again = succeed("fit", table, *FAST, "--classes", "right,left", "--scale", "none")
    assert again in text


@pytest.mark.slow
def test_a_network_starts_where_its_theory_starts(table, tmp_path):
    """Weights of the data's runs and of the theory are the same at time 0, and so is the norm."""
    file = tmp_path / "out.json"
    words = ("--network", "two-layer", "--units", 2, "--activation", "tanh", "--ridge", "0.1")
    succeed("fit", table, *FAST, *words, "--scale", "none", "--json", file)
    content = json.loads(file.read_text())
    assert content["model"] == "mlp2-2"
    assert content["ridge"] == 0.1
    norm = content["norm"][0]
    assert norm > 0
    assert np.allclose(np.array(content["theory_norm"])[:, 0], norm)
    assert content["norm_error"][0] == pytest.approx(0, abs=1e-12)


@pytest.mark.slow
def test_eigenvalues_at_zero_weights_are_those_of_the_second_moment(table):
    """Half of every one of E[Y Y^T] / 2, for the difference of two units."""
    x = np.loadtxt(table, delimiter=",", skiprows=1, usecols=range(5))
    fitted = fit_mixture(x, [0] * 12 + [1] * 12, scale="none")
    network = SoftmaxNetwork(step=0.5)
    found = compare_with_data(fitted, network, [0.0, 0.5], runs=2, count=5, samples=200)
    second = np.linalg.eigvalsh(np.cov(x.T, bias=True))[::-1]
    own = found["eigenvalue"].sel(matrix="hessian")[0, 0]
    assert np.allclose(own, second / 2, atol=1e-10)
    assert np.allclose(found["norm"][:, 0], 0)
    assert len(list(comparison_remarks(found))) == 4


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["missing.csv"], "No such file"),
        (["TABLE", "--classes", "left"], "one class"),
        (["TABLE", "--labels", "left,up"], "'up'"),
        (["TABLE", "--scale", "big"], "--scale"),
        (["TABLE", "--scale", "1/0"], "--scale"),
        (["TABLE", "--label-column", "f"], "a column: "),
        (["TABLE", "--label-column", "a"], "'left' in line 2, column 6"),
        (["TABLE", "--bands", "0"], "integer >= 1"),
        (["TABLE", "--clusters", "9"], "in every cluster"),
        (["TABLE", "--step", "0"], "--step"),
        (["TABLE", "--time", "0"], "time"),
        (["TABLE", "--time", "1e6", "--step", "1e-6"], "steps"),
        (["TABLE", "--samples", "5"], "integer >= 100"),
        (["TABLE", "--network", "deep"], "two-layer"),
        (["TABLE", "--plot", "a.gif"], "--plot"),
        (["sklearn:mnist"], "sklearn:digits"),
        (["a.npy", "b.npy", "c.npy"], "3 names"),
    ],
)
def test_bad_input_is_refused_before_any_work(table, words, message):
    result = invoke("fit", *[table if w == "TABLE" else w for w in words])
    assert result.exit_code == 2, result.output
    assert message in result.output
    assert "Traceback" not in result.output
