"""Numbers of the pages are those of the commands beside them, and a part made anew agrees."""

from __future__ import annotations

import doctest
import re
import shlex
import sys
from importlib import import_module

import numpy as np
import pytest
from helpers import ROOT, example, fresh_rng

from numerics import trained_layers
from theory import kgmm, xor
from verify.network_layers.layers_tables import QUANTITIES


@pytest.fixture(scope="module", autouse=True)
def docs():
    """The folder of the documentation, where its scripts find each other."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "docs")
        yield
        for name in [n for n in sys.modules if n.split(".")[0] in ("page_numbers", "make_numbers")]:
            del sys.modules[name]


PAGES = ("layers", "architectures", "classes_and_width", "dominant_space", "real_data", "design")


def test_all_pages_with_numbers_are_here():
    assert import_module("make_numbers").PAGES == PAGES
    for path in (ROOT / "docs").rglob("*.md"):
        places = import_module("page_numbers.markdown").names_of_places(path.read_text("utf-8"))
        assert bool(places) == (path.stem in PAGES and path.parent.name == "docs"), path


@pytest.mark.parametrize("page", PAGES)
def test_a_number_in_a_sentence_begins_no_line(page):
    """Markdown would take a comment there for the end of the paragraph."""
    text = (ROOT / "docs" / f"{page}.md").read_text("utf-8")
    assert not re.findall(r"^\s*<!--= .+? -->.+$", text, re.M)
    assert re.findall(r"^<!--= .+? -->$", text, re.M)


@pytest.mark.parametrize("page", PAGES)
def test_numbers_of_a_page_are_those_of_its_runs(page):
    text = (ROOT / "docs" / f"{page}.md").read_text("utf-8")
    assert import_module("make_numbers").page_text(page) == text
    # and each run is one of a command that the page prints, with its time
    found = import_module("page_numbers.runs").record(page)
    runs = import_module(f"page_numbers.{page}").RUNS
    assert list(found) == [run.name for run in runs]
    for run in runs:
        at = found[run.name]
        assert at["command"] == run.command
        printed = [x for x in text.splitlines() if x.startswith(f"    {run.command}  ")]
        (line,) = (x for x in printed if shlex.split(x, True) == shlex.split(run.command))
        assert line.split("# ")[1] == f"{at['seconds']:.0f} s"


def test_a_number_written_by_hand_is_seen():
    markdown = import_module("page_numbers.markdown")
    assert doctest.testmod(markdown).failed == 0
    page = "at <!--= a -->3.1<!--/-->\n<!--= b -->\n\n| x |\n\n<!--/-->"
    written = markdown.filled(page, {"a": "3.2", "b": "| y |\n"})
    assert written == "at <!--= a -->3.2<!--/-->\n<!--= b -->\n\n| y |\n\n<!--/-->"
    assert markdown.names_of_places(page) == ["a", "b"]
    with pytest.raises(KeyError):
        markdown.filled(page, {"a": "3.2"})


# --- a part made anew -----------------------------------------------------------------------------


def rank_sum_test(pairs, rng, draws: int = 200_000) -> float:
    """Probability that pairs of samples of one law each differ as these do, by permutations.

    The statistic is the sum of squares of standardised rank sums: exact whatever the laws are.
    """
    sizes = [(len(old), len(new)) for old, new in pairs]
    joined = [np.concatenate(pair) for pair in pairs]
    # those of equal values in an order of chance
    ranks = [np.lexsort((rng.random(both.size), both)).argsort() for both in joined]

    def squares(rows, n: int, m: int):
        z = rows.sum(axis=-1) - n * (n + m - 1) / 2
        return z**2 / (n * m * (n + m + 1) / 12)

    own = sum(squares(r[:n], n, m) for r, (n, m) in zip(ranks, sizes, strict=True))
    total = np.zeros(draws)
    for n, m in sizes:
        drawn = rng.permuted(np.tile(np.arange(n + m), (draws, 1)), axis=1)
        total += squares(drawn[:, :n], n, m)
    return float((np.sum(total >= own - 1e-9) + 1) / (draws + 1))


@pytest.mark.slow
def test_layers_made_anew_are_those_of_the_page():
    """Four networks at precisions of chance, six runs from a new seed beside the six of the page.

    They are two samples of one law: the test by ranks is exact, at 1e-4.
    """
    rng = fresh_rng()
    found = import_module("page_numbers.runs").record("layers")
    pairs, wrong = [], []
    for name in rng.choice([f"{d} {n} {h}" for d in ("kgmm", "xor") for n in (2, 3)
                            for h in ("tanh", "relu")], size=4, replace=False):  # fmt: skip
        data, depth, hidden = str(name).split()
        run = found[name]
        i, width = int(rng.integers(5)), int(rng.integers(3))
        ridge = {"kgmm": 0.005, "xor": 0.002}[data]
        new = trained_layers(
            (kgmm(3) if data == "kgmm" else xor(4)).mixture, [run["width"][width]] * int(depth),
            precision=run["precision"][i], ridge=ridge, time=4 / ridge, dimension=100, replicas=6,
            seed=int(rng.integers(2**31)), activation=hidden, biases=data == "xor", samples=3_000,
        )  # fmt: skip
        quantity, layer = str(rng.choice(list(QUANTITIES))), int(rng.integers(int(depth) + 1))
        old = np.array(run[quantity])[width, i]
        # as many digits as are kept
        fresh = [float(f"{x:.4g}") for x in new[quantity].values[0, :, -1, layer]]
        pairs.append((old[:, layer], fresh))
        # a table whose rows were exchanged: the layer 1 of the least and the largest precision
        ends = np.array(run["hessian"])[2, :, :, 0]
        wrong.append((ends[0], ends[-1]))
    assert rank_sum_test(pairs, rng) > 1e-4
    assert rank_sum_test(wrong, rng) < 1e-3


@pytest.mark.slow
def test_architectures_made_anew_are_those_of_the_page():
    rng = fresh_rng()
    made = example("architectures")
    found = import_module("page_numbers.runs").record("architectures")["architectures"]
    name = str(rng.choice(list(made.NETWORKS)))
    time = float(rng.choice(made.TIMES[1:]))
    fresh = made.weights_rows(name, [0.0, time], seed=int(rng.integers(2**31)))[2:]
    stated = [row for row in found[name]["weights"] if row["t"] == time]
    for old, new in zip(stated, fresh, strict=True):
        assert np.allclose(old["theory"], new["theory"], atol=1e-3)
        # ten runs each: Student with 9 degrees at least, 9 standard errors are below 1e-5; twelve
        # tests
        bound = 9 * np.hypot(old["error"], new["error"]) + 1e-3
        assert np.all(np.abs(np.subtract(old["mean"], new["mean"])) < bound)
    blocks = list(made.block_rows(name, [time])) if time < made.TIMES[-1] else []
    for old, new in zip((r for r in found[name]["blocks"] if r["t"] == time), blocks, strict=False):
        assert np.allclose(old["values"], new["values"], atol=2e-4)
        assert np.isclose(old["bulk"], new["bulk"], atol=2e-4)


def agree(old, new, runs: int = 10) -> bool:
    """Whether means of so many runs each are of one law: Student with at least runs - 1 degrees of
    freedom, at about 1e-5.
    """
    bound = {4: 25.0, 8: 10.0, 10: 9.0}[runs] * np.hypot(old["error"], new["error"])
    return bool(np.all(np.abs(np.subtract(old["mean"], new["mean"])) <= bound + 1e-6))


@pytest.mark.slow
def test_classes_made_anew_are_those_of_the_page():
    rng = fresh_rng()
    made = example("many_classes")
    found = import_module("page_numbers.runs").record("classes_and_width")
    classes, shares = found["classes"], found["shares"]["rows"]
    i = int(rng.integers(2))
    for name, value in made.of_classes(classes["k"][i]).items():
        if name in classes["rows"]:
            stated = classes["rows"][name]["values"]
            assert np.isclose(value, stated[i], rtol=0.01), name
    row, later = shares[:2]
    fresh = made.simulated_share(
        row["k"], 8, row["d"], row["runs"], method=row["method"], seed=int(rng.integers(2**31))
    )
    assert agree(row, fresh, row["runs"])
    assert not agree(later, fresh, row["runs"])


@pytest.mark.slow
def test_ends_of_wide_networks_made_anew_are_those_of_the_page():
    rng = fresh_rng()
    made = example("wide_networks")
    found = import_module("page_numbers.runs").record("classes_and_width")["width"]["ends"]
    fresh = made.share_of_ends(4, seed=int(rng.integers(2**31)))

    def distance(width: str) -> float:
        both = np.array([found[width]["share"], fresh["share"]])
        error = (2 * both.mean() * (1 - both.mean()) / fresh["runs"]) ** 0.5
        return float(abs(both[1] - both[0]) / error)

    # a normal law, and the discreteness of 200 runs
    assert distance("4") < 5
    assert distance("8") > 7


@pytest.mark.slow
def test_the_dominant_space_made_anew_is_that_of_the_page():
    rng = fresh_rng()
    made = example("dominant_space")
    name, rule = str(rng.choice(list(made.TIMES))), str(rng.choice(["plain", "dominant"]))
    found = import_module("page_numbers.runs").record("dominant_space")[name]
    problem, start = made.Configuration(name=name).problem()
    times = made.TIMES[name]
    trained = made.problem_with(problem, made.RULES[rule])
    seed = int(rng.integers(2**31))
    fresh = made.simulated_end(trained, start, times[-1], "reduced", seed=seed)
    assert agree(found["ends"][rule]["reduced"], fresh)
    assert not agree(found["ends"]["bulk"]["reduced"], fresh)
    row = found["gradient"][int(rng.integers(len(times)))]
    curve = made.sa.integrate_curves(problem, start, [0, row["t"]][row["t"] == 0 :], tolerance=1e-6)
    again = made.gradient_row(problem, made.sa.State.at(curve, row["t"]), row["t"])
    for key, value in again.items():
        assert np.isclose(value, row[key], rtol=1e-3, atol=1e-6), key


@pytest.mark.slow
def test_wine_made_anew_is_that_of_the_page():
    pytest.importorskip("sklearn")
    rng = fresh_rng()
    runs, page = import_module("page_numbers.runs"), import_module("page_numbers.real_data")
    seed = int(rng.integers(2**31))
    (wine,) = (run for run in page.RUNS if run.name == "wine")
    fresh = runs.Run("wine", f"{wine.command} --seed {seed}", wine.option, wine.suffix, wine.keep)
    new, old = fresh.run(), runs.record("real_data")
    for theory in ("data", "bands", "isotropic"):
        assert agree(old["wine"]["accuracy"][theory], new["accuracy"][theory]), theory
    assert agree(old["wine"]["start"]["bands"], new["start"]["bands"])
    assert not agree(old["wine"]["start"]["bands"], new["start"]["isotropic"])
    assert old["wine"]["classes"] == new["classes"]
