"""The pages of a built documentation in a browser; ``SPECALIGN_SITE`` names where it was built.

``mkdocs build --strict --site-dir DIRECTORY`` builds it, and stops at a link or anchor that leads
nowhere and at a formula that cannot be shown.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from browser import browser

import numerics
import theory
import verify
from specalign import plot

SITE = Path(os.environ.get("SPECALIGN_SITE", "/nowhere"))
PALETTE = "data-md-color-scheme"
FAINT = (Path(__file__).parent / "witness" / "contrast.js").read_text("utf-8")
# what a reader who does not see the page is told by a screen reader instead
NAMELESS = """[...document.querySelectorAll("a[href], button")].filter(
    e => e.getClientRects().length && !(e.innerText.trim() || e.title || e.ariaLabel
         || e.querySelector("img[alt]:not([alt=''])"))).map(e => e.outerHTML)"""
CRAMPED = """[...document.querySelectorAll("div.formula")].filter(
    e => parseFloat(getComputedStyle(e).paddingTop) < 8).length"""
pytestmark = pytest.mark.skipif(
    not SITE.is_dir(), reason="no documentation is built: set SPECALIGN_SITE"
)


# every image has a text and can be shown, those below the fold too, which load when they are seen
IMAGES = """Promise.all([...document.images].map(i => { i.loading = "eager"; return i.decode(); }))
    .then(() => [...document.images].every(i => i.alt), () => false)"""


def test_no_page_asks_for_anything_elsewhere():
    for page in SITE.rglob("*.html"):
        text = page.read_text("utf-8")
        found = re.findall(r'<(?:script|img|link)[^>]+(?:src|href)="(https?:[^"]*)"', text)
        assert [address for address in found if "fonts" in address or "cdn" in address] == [], page
        assert "arithmatex" not in text, page


def test_every_page_fits_a_phone_and_has_no_errors(tmp_path):
    pages = sorted(p for p in SITE.rglob("*.html") if p.name != "404.html")
    assert len(pages) > 20
    with browser(tmp_path) as page:
        for path in pages:
            wide = [1200] if path.parent == SITE else []  # a phone is the narrower test
            for width in [*wide, 390]:
                page.open(path, width=width, dark=width == 390)
                place = path.relative_to(SITE), width
                assert page.evaluate("document.documentElement.scrollWidth") <= width, place
                assert page.errors == [], place
                asked = [a for a in page.requests if not a.startswith(("file:", "data:", "blob:"))]
                assert asked == [], place
            assert page.evaluate(IMAGES), path
            assert page.evaluate("document.documentElement.lang && document.title"), path
            assert page.evaluate("document.querySelectorAll('h1').length") == 1, path
            assert page.evaluate(NAMELESS) == [], path
            for palette in ("default", "slate"):
                # a page that was opened before may have left its palette as the chosen one
                page.evaluate(f"document.body.setAttribute('{PALETTE}', '{palette}')")
                assert page.evaluate(FAINT) == [], (path, palette)
            # letters reach beyond the box of a display, and are cut where it has no room
            assert page.evaluate(CRAMPED) == 0, path
            if "math" in path.read_text("utf-8"):
                shown = "[...document.querySelectorAll('math')].every(m => m.offsetHeight !== 0)"
                assert page.evaluate(shown), path


@pytest.mark.parametrize("package", [theory, numerics, verify, plot])
def test_headings_of_the_reference_are_public_names(package):
    name = package.__name__.split(".")[-1]
    page = (SITE / "api" / name / "index.html").read_text("utf-8")
    headings = re.findall(r'<h[2-6] id="([^"]+)"', page)
    names = package.__all__ if hasattr(package, "__all__") else dir(package)
    prefix = "verify.figures.on_axes" if package is plot else name
    inside = [h.removeprefix(f"{prefix}.") for h in headings if h.startswith(f"{prefix}.")]
    assert sorted({h.split(".")[0] for h in inside}) == sorted(names)
    for heading in inside:
        assert not any(part.startswith("_") for part in heading.split(".")), heading
        value = package
        for part in heading.split("."):
            value = getattr(value, part, None) or vars(value)["__dataclass_fields__"][part]
    # every other heading is a subject
    subjects = [h for h in headings if not h.startswith(f"{prefix}.")]
    assert len(subjects) <= len(inside) / 3


FAINT_STYLES = {
    "color: #767676": [],  # 4.54 to 1
    "color: #777777": [4.48],
    "color: #777777; font-size: 24px": [],  # large
    "color: rgba(0, 0, 0, 0.5)": [3.98],
    "opacity: 0.5": [3.98],
    "color: #ccc; visibility: hidden": [],
    "color: #949494; background: #000": [],
    "background: rgba(0, 0, 0, 0.6)": [3.66],
}


def test_faint_texts_are_seen(tmp_path):
    file = tmp_path / "page.html"
    file.write_text("<p>Some words</p>", "utf-8")
    with browser(tmp_path / "profile") as page:
        page.open(file)
        for style, seen in FAINT_STYLES.items():
            page.evaluate(f"document.querySelector('p').style.cssText = '{style}'")
            assert [ratio for ratio, *_ in page.evaluate(FAINT)] == seen, style
