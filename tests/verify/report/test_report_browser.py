"""The report in a real browser: nothing on the console, no network, formulas drawn, narrow and
wide, light and dark.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from browser import browser
from matplotlib.figure import Figure

from theory import InputError
from verify.checks.equations import EQUATIONS
from verify.checks.registry import CHECKS, statement_of
from verify.figures.of_exhibits import draw
from verify.printing.mathml import mathml, mathml_parts
from verify.report.html import write_html
from verify.verdict.results import CheckResult, Exhibit, JointReport, Report
from verify.verdict.tolerance import Comparison, Part, Tolerance

PHONE, DESKTOP = 360, 1200
# relative luminance of a colour that a style names, and the contrast of two (WCAG 2)
CONTRAST = """
(() => {
  const light = colour => {
    const [r, g, b] = colour.match(/[\\d.]+/g).slice(0, 3).map(x => x / 255)
      .map(x => x <= 0.03928 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = element => {
    for (let e = element; e; e = e.parentElement) {
      const colour = getComputedStyle(e).backgroundColor;
      if (!colour.endsWith(', 0)')) return colour;
    }
    return 'rgb(255, 255, 255)';
  };
  const found = [];
  for (const e of document.querySelectorAll(
      'p, dt, dd, th, td, a, h1, h2, h3, code, summary, math, figcaption, .badge')) {
    const pair = [light(getComputedStyle(e).color), light(behind(e))].sort((a, b) => b - a);
    found.push((pair[0] + 0.05) / (pair[1] + 0.05));
  }
  return Math.min(...found);
})()
"""


@dataclass(frozen=True)
class Line:
    """An exhibit that is drawn as a wide figure."""

    width: float = 9.0


@draw.register
def draw_line(record: Line) -> Figure:
    figure = Figure(figsize=(record.width, 4), layout="constrained")
    figure.subplots().plot([0, 1], [0, 1])
    return figure


def results(system: str) -> list[CheckResult]:
    """Every check there is, with long quantities, a figure, and what a verdict may be."""
    close = Tolerance(
        (
            Part(0.01, "4.1 standard errors over independent replicas (T3)"),
            Part(0.002, "quadrature (T2)"),
        )
    )
    comparisons = [
        Comparison(
            f"{system}: overlap m_1_{i} at t = {i}, extrapolated to d -> infinity",
            0.1234567,
            0.12 + s,
            close,
        )
        for i, s in enumerate([0.0] * 8 + ([0.5] if system == "xor" else []))
    ]
    return [
        CheckResult(
            name,
            statement_of(name),
            source,
            comparisons,
            3,
            {"dimensions": [32, 64, 128, 256], "replicas": 1000},
            1.5,
            [Exhibit("figure", "A figure with a caption.", Line)] if name == "curves" else [],
            ["A note."],
            EQUATIONS[name],
        )
        for name, (_, source) in CHECKS.items()
    ]


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    parts = [
        Report(s, "quick", 3, 5e-5, results(s), 12.0, {"python": "3.11"}) for s in ("kgmm", "xor")
    ]
    write_html(JointReport(parts, "quick", 3, 1e-4), path)
    return path


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    with browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [PHONE, DESKTOP])
def test_the_report_in_a_browser(page, report, width, dark):
    page.open(report, width=width, dark=dark)
    # nothing on the console, and nothing fetched but the file and the figures inside it
    assert page.errors == []
    assert [r for r in page.requests if not r.startswith(("file:", "data:"))] == []
    assert page.evaluate("[...document.images].every(i => i.complete && i.naturalWidth > 0)")
    # the page itself does not scroll sideways
    assert page.evaluate("innerWidth") == width
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    # the scheme that was asked for, and enough contrast for text in it (WCAG 2, level AA)
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(int(x) for x in ground[4:-1].split(",")) < 3 * 128) == dark
    assert page.evaluate(CONTRAST) >= 4.5


def test_formulas_are_drawn(page, report):
    page.open(report)
    sizes = page.evaluate(
        "[...document.querySelectorAll('math')].map(m => [m.getBoundingClientRect().width, "
        "m.getBoundingClientRect().height])"
    )
    assert len(sizes) == 2 * sum(len(mathml_parts(latex)) for latex in EQUATIONS.values())
    assert all(width > 20 and height > 10 for width, height in sizes)
    # laid out as mathematics, not as a row of letters: a fraction is higher than its numerator
    assert page.evaluate(
        "[...document.querySelectorAll('mfrac')].every(f => f.getBoundingClientRect().height > "
        "1.5 * f.firstElementChild.getBoundingClientRect().height)"
    )
    assert page.evaluate("document.querySelectorAll('merror').length") == 0
    assert "\\" not in str(page.evaluate("document.body.innerText"))


@pytest.mark.parametrize("width", [PHONE, DESKTOP])
def test_formulas_fit_their_page(page, report, width):
    """What is wider than a phone scrolls in its own box; that is for the exception."""
    page.open(report, width=width)
    wide = page.evaluate(
        "[...document.querySelectorAll('.formula')].filter(f => f.scrollWidth > "
        "f.clientWidth).length"
    )
    assert wide <= (0 if width == DESKTOP else 8)  # of 40 formulas


def test_a_check_can_be_linked_to(page, report):
    """Every check has an anchor that the browser scrolls to, and says what it is, its seed and how
    to repeat it.
    """
    page.open(report, width=PHONE)
    for name in CHECKS:
        page.evaluate(f"location.hash = 'xor-{name}'")
        assert page.evaluate(f"document.querySelector(':target').id == 'xor-{name}'")
        assert page.evaluate(
            "Math.abs(document.querySelector(':target').getBoundingClientRect().top) < 2 || "
            "scrollY + innerHeight >= document.documentElement.scrollHeight - 2"
        )
        text = page.evaluate("document.querySelector(':target').innerText")
        assert f"specalign verify --level quick --seed 3 --only {name}" in text
        assert "seed\n3" in text
        assert "standard errors" in text


def test_a_press_on_a_figure_shows_it_in_full(page, report):
    page.open(report, width=PHONE)
    width = "document.querySelector('#kgmm-curves-figure img').getBoundingClientRect().width"
    small = page.evaluate(width)
    page.evaluate("document.querySelector('#kgmm-curves-figure label').click()")
    assert page.evaluate(width) > 1.5 * small
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE


def test_the_browser_sees_what_is_wrong(page, tmp_path):
    """A page with a message on the console, an image from a server, and a box wider than a
    phone.
    """
    wrong = tmp_path / "wrong.html"
    wrong.write_text(
        "<!DOCTYPE html><meta name='viewport' content='width=device-width'><p style='width: "
        "700px'>x</p>"
        "<img src='https://example.org/a.png'><script>console.error('wrong'); "
        "nothing.at.all</script>"
    )
    page.open(wrong, width=PHONE)
    assert any("wrong" in error for error in page.errors)
    assert any("Uncaught" in error for error in page.errors)
    assert "https://example.org/a.png" in page.requests
    assert page.evaluate("document.documentElement.scrollWidth") > PHONE


# --- without a browser ----------------------------------------------------------------------------


def test_every_check_has_an_equation():
    assert set(EQUATIONS) == set(CHECKS)


@pytest.mark.parametrize("latex", [r"\frac{a}", r"\nosuchcommand{a}", "a^", r"\left( a"])
def test_latex_that_would_not_be_drawn_is_refused(latex):
    with pytest.raises(InputError, match="equation"):
        mathml(latex)


@pytest.mark.slow
def test_no_browser_is_said_or_refused(monkeypatch):
    from browser import executable

    monkeypatch.setenv("SPECALIGN_BROWSER", "/nowhere/browser")
    monkeypatch.delenv("SPECALIGN_REQUIRE_BROWSER", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no browser"):
        executable()
    monkeypatch.setenv("SPECALIGN_REQUIRE_BROWSER", "1")
    with pytest.raises(pytest.fail.Exception, match="SPECALIGN_REQUIRE_BROWSER is set"):
        executable()
