"""Reports: strict JSON, and HTML that is well formed, complete, self-contained and safe to open."""

from __future__ import annotations

import base64
import json
import math
import re
from dataclasses import dataclass, replace
from html.parser import HTMLParser

import numpy as np
import pytest
from matplotlib.figure import Figure

from verify.figures.of_exhibits import draw
from verify.report.html import format_number, render_html, strict, write_html, write_json
from verify.tables.verdicts import rank_comparisons, verdict_details, verdict_table
from verify.verdict.results import CheckResult, Exhibit, JointReport, Report
from verify.verdict.tolerance import Comparison, Part, Tolerance, Verdict

VOID = {"meta", "img", "br", "hr", "link", "input", "path"}


def tolerance(size: float) -> Tolerance:
    return Tolerance(
        (Part(size / 2, "4.1 standard errors (T3)"), Part(size / 2, "next power of 1/d (T4)"))
    )


@dataclass(frozen=True)
class Dots:
    """An exhibit whose figure is as large as one likes."""

    count: int


@draw.register
def draw_dots(record: Dots) -> Figure:
    figure = Figure(figsize=(2, 1))
    figure.subplots().plot(np.random.default_rng(0).normal(size=record.count), ".")
    return figure


def example() -> Report:
    many = [Comparison(f"m_{i} at t = 1", 0.001 * i, 0.0, tolerance(0.1)) for i in range(40)]
    results = [
        CheckResult(
            "curves",
            "Means of SGD follow the curve.",
            "section 4",
            many,
            3,
            {"dimensions": [32, 64], "replicas": np.array([10, 20])},
            1.25,
            [Exhibit("orthonormal", 'Overlaps < 1 & "theory"', lambda: Dots(2))],
            ["d is finite"],
        ),
        CheckResult(
            "span",
            "Blocks live in the span <of the means>.",
            "section 9",
            [
                Comparison("norm", 0.3, 0.1, tolerance(0.02)),
                Comparison("bound", 0.2, 0.5, tolerance(0.02), one_sided=True),
                Comparison("lost", math.nan, 0.5, tolerance(0.02)),
                Comparison("diverged", math.inf, 0.5, tolerance(0.02)),
            ],
            3,
            {"points": 1000},
            0.5,
            [Exhibit("large", "Noise", lambda: Dots(10_000))],
        ),
        CheckResult(
            "weak",
            "Something.",
            "arXiv 2310.03010; section 9",
            [Comparison("lambda = 8: sin^2 in R_perp", 0.1, 0.1, tolerance(0.2), resolution=0.05)],
            3,
            {},
            0.1,
        ),
        CheckResult("empty", "Nothing was compared.", "nowhere", [], 3, {}, 0.0),
    ]
    return Report(
        "kgmm", "quick", 3, 1e-4, results, 2.5, {"python": "3.11", "machine": "<two processors>"}
    )


# --- JSON -----------------------------------------------------------------------------------------


def refuse(text: str):
    raise ValueError(f"{text} is not JSON")


def test_json_is_strict_and_complete(tmp_path):
    path = tmp_path / "report.json"
    write_json(example(), path)
    data = json.loads(path.read_text("utf-8"), parse_constant=refuse)
    assert data["verdict"] == "fails"
    assert data["command"] == "specalign verify kgmm --level quick --seed 3"
    assert [r["verdict"] for r in data["results"]] == [
        "holds",
        "fails",
        "inconclusive",
        "inconclusive",
    ]
    assert data["results"][0]["samples"] == {"dimensions": [32, 64], "replicas": [10, 20]}
    lost, diverged = data["results"][1]["comparisons"][2:]
    assert lost["measured"] is None
    assert lost["measured_text"] == "NaN"
    assert diverged["measured_text"] == "Infinity"
    assert diverged["deviation"] is None
    assert diverged["verdict"] == "fails"
    parts = data["results"][0]["comparisons"][0]["tolerance_parts"]
    assert [p["reason"] for p in parts] == ["4.1 standard errors (T3)", "next power of 1/d (T4)"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.float64(1.5), 1.5),
        (np.bool_(True), True),
        ({"a": -math.inf}, {"a": None, "a_text": "-Infinity"}),
        ({"a": [1.0, math.nan]}, {"a": [1.0, None], "a_text": "1.0, NaN"}),
        ({1: (np.int64(2),)}, {"1": [2]}),
        (Verdict.HOLDS, "holds"),
        ({"a": None}, {"a": None}),
    ],
)
def test_strict_values(value, expected):
    assert strict(value) == expected
    json.dumps(strict(value), allow_nan=False)


# --- HTML -----------------------------------------------------------------------------------------


class Reader(HTMLParser):
    """Checks nesting, collects ids, links, loads and text."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.loads: list[str] = []
        self.images: list[dict] = []
        self.tags: list[str] = []
        self.text = ""

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.tags.append(tag)
        if "id" in values:
            self.ids.append(values["id"])
        if tag == "a":
            self.links.append(values["href"])
        for name in ("src", "srcset", "data", "action", "poster"):
            if name in values:
                self.loads.append(values[name])
        if tag == "link":
            self.loads.append(values["href"])
        if tag == "img":
            self.images.append(values)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


@pytest.fixture(scope="module")
def page() -> str:
    return render_html(example())


@pytest.fixture(scope="module")
def read(page) -> Reader:
    reader = Reader()
    reader.feed(page)
    reader.close()
    return reader


def test_html_is_well_formed(read, page):
    assert page.lstrip().startswith("<!DOCTYPE html>")
    assert read.open == []
    assert len(set(read.ids)) == len(read.ids)


def test_every_check_has_an_anchor_and_is_linked(read):
    for name in ("curves", "span", "weak", "empty"):
        assert name in read.ids
        assert f"#{name}" in read.links
    assert all(link[1:] in read.ids for link in read.links if link.startswith("#"))
    # the summary leads to what does not hold and to every figure, and every section leads back
    assert read.links.count("#span") == 3
    assert read.links.count("#curves-orthonormal") == 1
    assert read.links.count("#checks") == 4


def test_sources_are_linked_and_symbols_are_greek(read):
    assert "https://arxiv.org/abs/2310.03010" in read.links
    assert "λ = 8: sin² in R⊥" in read.text
    assert "lambda" not in read.text


def test_html_loads_nothing_and_runs_nothing(read, page):
    assert all(load.startswith("data:image/") for load in read.loads)
    assert all(link.startswith(("#", "https://arxiv.org/abs/")) for link in read.links)
    assert "script" not in read.tags
    assert "link" not in read.tags
    outside = re.sub(r"data:image/[^\"]*|href=\"https://arxiv.org/abs/", "", page)
    assert not re.search(r"https?://|@import|url\(", outside)


def test_html_says_everything(read):
    text = " ".join(read.text.split())
    for part in (
        "Means of SGD follow the curve.",
        "section 4",
        "4.1 standard errors (T3)",
        "next power of 1/d (T4)",
        "specalign verify kgmm --level quick --seed 3",
        "--seed 3 --only curves",
        "d is finite",
        "32, 64",
        "10, 20",
        "1.2 s",
        "≤ 0.5",
        "NaN",
        "Infinity",
        "inconclusive if the tolerance exceeds 0.05",
        "No comparison was made.",
        "probability at most",
        "<two processors>",
        "the other 35 comparisons",
        "the span <of the means>",
    ):
        assert part in text
    assert text.count("4.1 standard errors (T3)") == 45


def test_text_is_escaped(page):
    assert "<of the means>" not in page
    assert "<two processors>" not in page


def test_figures_are_embedded_with_their_caption(read):
    svg, png = read.images
    assert svg["alt"] == 'Overlaps < 1 & "theory"'
    assert svg["src"].startswith("data:image/svg+xml;base64,")
    assert b"<svg" in base64.b64decode(svg["src"].split(",")[1])
    assert png["src"].startswith("data:image/png;base64,")
    assert base64.b64decode(png["src"].split(",")[1]).startswith(b"\x89PNG")


def test_html_is_made_for_phones_and_for_the_dark(page):
    assert 'name="viewport" content="width=device-width, initial-scale=1"' in page
    assert "prefers-color-scheme: dark" in page
    assert "max-width: 40rem" in page


def test_tables_and_full_figures_scroll_in_their_own_boxes(page):
    assert page.count("<table") == page.count('<div class="scroll" tabindex="0"')
    assert (
        page.count("<img ")
        == page.count('<div class="scroll picture" tabindex="0"')
        == page.count('class="zoom"')
    )
    assert '<th scope="col" class="n">measured</th>' in page  # as the numbers below it
    assert ".zoom:checked + .picture img { max-width: none; }" in page


def test_html_is_the_same_every_time(page, tmp_path):
    path = tmp_path / "r.html"
    write_html(example(), path)
    assert path.read_text("utf-8") == page


# --- several systems ------------------------------------------------------------------------------


def joint(complete: bool = True) -> JointReport:
    one, other = example(), example()
    other = Report("xor", "quick", 3, 5e-5, other.results[:1], 1.5, other.environment, complete)
    return JointReport((replace(one, family_error=5e-5), other), "quick", 3, 1e-4, complete)


@pytest.fixture(scope="module")
def read_joint() -> Reader:
    reader = Reader()
    reader.feed(render_html(joint()))
    reader.close()
    return reader


def test_json_of_several_systems(tmp_path):
    path = tmp_path / "report.json"
    write_json(joint(), path)
    data = json.loads(path.read_text("utf-8"), parse_constant=refuse)
    assert list(data) == ["verdict", "family_error", "seconds", "command", "complete", "reports"]
    assert data["verdict"] == "fails"
    assert data["family_error"] == 1e-4
    assert data["seconds"] == 4
    assert data["command"] == "specalign verify --level quick --seed 3"
    assert [r["system"] for r in data["reports"]] == ["kgmm", "xor"]
    assert sum(r["family_error"] for r in data["reports"]) == data["family_error"]
    assert data["reports"][1] == json.loads(json.dumps(strict(joint().reports[1].to_dict())))


def test_html_of_several_systems_has_a_summary_and_a_section_each(read_joint):
    assert read_joint.open == []
    assert len(set(read_joint.ids)) == len(read_joint.ids)
    for anchor in (
        "systems",
        "kgmm",
        "xor",
        "kgmm-checks",
        "xor-checks",
        "kgmm-curves",
        "xor-curves",
        "kgmm-weak",
    ):
        assert anchor in read_joint.ids
        assert f"#{anchor}" in read_joint.links
    assert all(link[1:] in read_joint.ids for link in read_joint.links if link.startswith("#"))
    text = " ".join(read_joint.text.split())
    for part in (
        "Theory against simulation: kgmm, xor",
        "5 checks: holds 2, fails 1, inconclusive 2",
        "at most 0.0001",
        "share of the error probability5e−05",
        "specalign verify xor --level quick --seed 3",
    ):
        assert part in text
    # the numbers of a check are those of the joint run
    assert text.count("specalign verify --level quick --seed 3") == 1 + 5
    assert all(load.startswith("data:image/") for load in read_joint.loads)
    assert "script" not in read_joint.tags


@pytest.mark.parametrize(
    ("verdicts", "complete", "expected"),
    [
        ([True, True], True, Verdict.HOLDS),
        ([True, False], True, Verdict.FAILS),
        ([True, True], False, Verdict.INCONCLUSIVE),
        ([True, False], False, Verdict.FAILS),
        ([], False, Verdict.INCONCLUSIVE),
    ],
)
def test_the_verdict_of_several_systems_is_the_worst(verdicts, complete, expected):
    reports = [
        Report(
            "kgmm",
            "quick",
            3,
            5e-5,
            [
                CheckResult(
                    "curves",
                    "A.",
                    "section 1",
                    [Comparison("a", 0.0 if holds else 1.0, 0.0, tolerance(0.1))],
                    3,
                    {},
                    0.1,
                )
            ],
            0.1,
            {},
        )
        for holds in verdicts
    ]
    found = JointReport(reports, "quick", 3, 1e-4, complete)
    assert found.verdict is expected
    assert ("interrupted" in render_html(found)) == (not complete)


# --- text -----------------------------------------------------------------------------------------


def test_the_worst_comes_first():
    ranked = rank_comparisons(example().results[1].comparisons)
    assert [c.quantity for c in ranked] == ["lost", "diverged", "norm", "bound"]


def test_details_name_the_failures_and_their_tolerance():
    text = "\n".join(verdict_details(example().results[1]))
    assert "span: fails" in text
    assert (
        "norm: measured 0.3, predicted 0.1, deviation 0.2, tolerance 0.02 = 0.01 (4.1 standard "
        "errors" in text
    )
    assert "bound" not in text


def test_the_table_has_a_row_for_every_check():
    assert verdict_table(example()).row_count == 4


@pytest.mark.parametrize(
    ("value", "text"),
    [(-0.5, "−0.5"), (math.nan, "NaN"), (None, "–"), (1234567.0, "1.235e+06"), (0.0, "0")],
)
def test_numbers_are_readable(value, text):
    assert format_number(value) == text


def test_rounding_is_shown_as_zero():
    assert format_number(-3e-19, zero=1e-12) == "0"
    rounding = Comparison("bulk", 0.001, -3e-19, tolerance(0.1))
    results = [CheckResult("blocks", "A.", "section 3", [rounding], 3, {}, 0.1)]
    report = Report("kgmm", "quick", 3, 1e-4, results, 0.1, {})
    assert "e−19" not in render_html(report)
    assert list(verdict_table(report).columns[4].cells) == ["0"]
