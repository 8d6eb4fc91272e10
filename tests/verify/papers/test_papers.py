"""The atlas of published works: entries are whole, both theories are judged, and so it is said."""

from __future__ import annotations

import json
import re
import runpy

import numpy as np
import pytest
from command_runner import new_runner
from helpers import ROOT, fresh_rng
from matplotlib.figure import Figure

from theory import InputError
from verify.commands.cli import app
from verify.papers.entry import Entry, Statement, load, names
from verify.papers.judging import judge_paper
from verify.papers.numbers import judge_numbers, mean_of_runs, number
from verify.verdict.tolerance import Part, Verdict

SMALL = Part(0.01, "a test")
RECORD = json.loads((ROOT / "docs" / "atlas.json").read_text("utf-8"))


@pytest.fixture
def rng():
    return fresh_rng()


@pytest.fixture
def seed(rng):
    return int(rng.integers(2**31))


def statement(**texts) -> Statement:
    return Statement(**{"name": "one", "says": "x", "place": "y", "wrong": "z", **texts})


@pytest.mark.parametrize("name", names())
def test_an_entry_is_whole(name):
    entry = load(name)
    assert entry.statements
    assert 1900 < entry.year < 2100
    assert all(len(text) > 3 for text in entry.texts.values())
    for one in entry.statements:
        if one.claims:
            text = (entry.folder / one.claims).read_text("utf-8")
            assert {"true", "false"} <= set(re.findall(r"true|false", text))
        else:
            assert callable(entry.measure(one))
        assert (one.expected is Verdict.HOLDS) == (not one.finding), "a finding has its numbers"
    assert callable(entry.module.figure)


@pytest.mark.parametrize("name", names())
def test_the_record_is_that_of_the_files(name):
    found = RECORD[name]
    assert found["files"] == load(name).fingerprint, "run python docs/make_atlas.py"
    assert found["as_expected"]
    assert (ROOT / "docs" / "img" / "papers" / f"{name}.png").is_file()


def test_there_are_as_many_works_as_the_page_says():
    assert list(RECORD) == names()


def test_the_page_is_that_of_the_record():
    page = runpy.run_path(str(ROOT / "docs" / "make_atlas.py"))["page"]
    written = (ROOT / "docs" / "papers.md").read_text("utf-8")
    assert written == page(RECORD), "run python docs/make_atlas.py --page"


@pytest.mark.slow
def test_cheapest_statements_of_entries_drawn_at_random_are_as_recorded(seed):
    for name in np.random.default_rng(seed).choice(names(), 2, replace=False):
        one = min(RECORD[name]["statements"], key=lambda s: s["seconds"])
        result = judge_paper(load(name), seed, only=[one["name"]])
        assert result.as_expected, (name, one["name"], result.to_dict())


def test_both_theories_are_judged_within_one_tolerance():
    judged = judge_numbers([number("x", 1.0, 1.005, SMALL, wrong=1.1)])
    assert [c.verdict for c in judged.comparisons] == [Verdict.HOLDS]
    assert judged.wrong_is_refuted
    assert not judge_numbers([number("x", 1.0, 1.005, SMALL, wrong=1.009)]).wrong_is_refuted
    assert not judge_numbers([number("x", 1.0, 1.0, SMALL)]).wrong_is_refuted
    bound = judge_numbers([number("x", 1.0, 1.2, SMALL, wrong=1.1, one_sided=True)])
    assert bound.comparisons[0].verdict is Verdict.HOLDS
    assert bound.wrong_is_refuted


def test_a_mean_is_held_to_its_standard_error(rng):
    runs = rng.normal(2.0, 1.0, 400)
    judged = judge_numbers([mean_of_runs("x", runs, 2.0, wrong=3.0)])
    assert judged.comparisons[0].verdict is Verdict.HOLDS
    assert judged.wrong_is_refuted
    error = runs.std(ddof=1) / 20
    assert 5 * error < judged.comparisons[0].tolerance.total < 6 * error


def fake(tmp_path, numbers, **texts) -> Entry:
    one = statement(**texts)
    entry = Entry("fake", tmp_path, 2000, {}, (one,))
    entry.__dict__["module"] = type("run", (), {"one": staticmethod(lambda seed: numbers)})
    return entry


@pytest.mark.parametrize(
    ("here", "wrong", "expected", "as_expected"),
    [
        (1.0, 2.0, "holds", True),
        (1.1, 2.0, "holds", False),  # the statement fails
        (1.0, 1.0, "holds", False),  # nothing refutes the wrong theory
        (1.1, 2.0, "fails", True),  # a finding
        (1.0, 2.0, "fails", False),  # a finding that is none
        (float("nan"), 2.0, "holds", False),
    ],
)
def test_verdicts_are_held_against_what_is_expected(here, wrong, expected, as_expected, tmp_path):
    numbers = [number("x", here, 1.0, SMALL, wrong=wrong)]
    entry = fake(tmp_path, numbers, expected=Verdict(expected))
    assert judge_paper(entry).as_expected is as_expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("year = 2000\n", "no title"),
        ('titel = "x"\n', "titel"),
        ('[[statement]]\nname = "x"\n', "no title"),
    ],
)
def test_descriptions_with_something_missing_are_refused(text, words, tmp_path, monkeypatch):
    (tmp_path / "fake").mkdir()
    (tmp_path / "fake" / "paper.toml").write_text(text)
    monkeypatch.setattr("verify.papers.entry.files", lambda _: tmp_path)
    with pytest.raises(InputError, match=words):
        load("fake")


def invoke(*words: object):
    return new_runner().invoke(app, ["paper", *map(str, words)])


def test_the_command_lists_and_refuses():
    listed = invoke("--list")
    assert listed.exit_code == 0
    assert all(name in listed.output.replace("\n", "") for name in names())
    for words, said in (((), "nothing"), (("saad_sola_1995",), "saad_solla_1995")):
        refused = invoke(*words)
        assert refused.exit_code == 2
        assert said in refused.output
    refused = invoke("saad_solla_1995", "--only", "plateaus")
    assert refused.exit_code == 2
    assert "plateau" in refused.output


def test_the_command_judges_draws_and_writes(tmp_path, monkeypatch):
    numbers = [number("x", 1.0, 1.0, SMALL, wrong=2.0)]
    entry = fake(tmp_path, numbers)
    texts = ("title", "authors", "published", "read", "model", "figure")
    entry.texts.update(dict.fromkeys(texts, "text"))
    entry.module.figure = staticmethod(lambda: Figure())
    monkeypatch.setattr("verify.papers.entry.load", lambda name: entry)
    found = invoke("fake", "--json", tmp_path / "a.json", "--plot", tmp_path / "a.png", "--seed", 3)
    assert found.exit_code == 0, found.output
    written = json.loads((tmp_path / "a.json").read_text("utf-8"))
    assert written["seed"] == 3
    assert written["statements"][0]["wrong_is_refuted"] is True
    assert (tmp_path / "a.png").stat().st_size > 0
    numbers[0] = number("x", 5.0, 1.0, SMALL, wrong=2.0)
    assert invoke("fake").exit_code == 1
