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

SITE = Path(os.environ.get("SPECALIGN_SITE", "/nowhere"))
pytestmark = pytest.mark.skipif(
    not SITE.is_dir(), reason="no documentation is built: set SPECALIGN_SITE"
)


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
            assert page.evaluate("[...document.images].every(i => i.alt && i.complete)"), path
            if "math" in path.read_text("utf-8"):
                shown = "[...document.querySelectorAll('math')].every(m => m.offsetHeight !== 0)"
                assert page.evaluate(shown), path
