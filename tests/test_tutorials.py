"""Tutorials are run as notebooks when the documentation is built; ``SPECALIGN_SITE`` names it."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from helpers import ROOT
from test_docs import script

pytest.importorskip("jupytext", reason="the extra docs is not installed")
nbformat = pytest.importorskip("nbformat")

SITE = Path(os.environ.get("SPECALIGN_SITE", "/nowhere"))
PAGES = sorted((ROOT / "docs" / "tutorials").glob("*.md"))


@pytest.fixture(scope="module")
def pages():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "docs"))
        return script("tutorial_pages")


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_a_notebook_is_its_page(path, pages):
    text = path.read_text("utf-8")
    notebook = pages.as_notebook(text)
    told = "".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    # links to pages that the reader of a notebook has not
    assert ".md" not in re.sub(r"`[^`]*`", "", told)
    assert "<!--" not in told
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert len(code) == len(pages.CODE.findall(text)) > 3
    assert sum(bool(cell.metadata.get("stated")) for cell in code) > 0
    # every figure is described
    assert text.count("sa.plot.save") == len(pages.FIGURE.findall(text))


@pytest.mark.skipif(not SITE.is_dir(), reason="no documentation is built: set SPECALIGN_SITE")
@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_the_site_shows_and_offers_what_was_run(path, pages):
    notebook = nbformat.read(SITE / "tutorials" / f"{path.stem}.ipynb", as_version=4)
    nbformat.validate(notebook)
    sources = [cell.source for cell in pages.as_notebook(path.read_text("utf-8")).cells]
    assert [cell.source for cell in notebook.cells] == sources
    outputs = [o for cell in notebook.cells for o in cell.get("outputs", [])]
    assert not [o for o in outputs if o.output_type == "error" or o.get("name") == "stderr"]
    page = (SITE / "tutorials" / path.stem / "index.html").read_text("utf-8")
    assert f'href="../{path.stem}.ipynb"' in page
    assert page.count('<div class="output">') == sum(
        bool(cell.get("outputs")) for cell in notebook.cells
    )


@pytest.mark.slow
def test_a_page_that_states_something_else_stops_the_build(pages):
    text = (
        "Three:\n\n```python\nimport sys\n\nprint(1 + 2)  # {}\nprint('no', file=sys.stderr)\n```\n"
    )
    notebook = pages.execute(text.format(3), "page.md")
    assert [o["text"] for o in notebook.cells[1].outputs] == ["3\n"]
    shown = pages.with_outputs(text.format(3), notebook)
    assert '<pre class="printed"><code>3</code></pre>' in shown
    assert "# 3" not in shown
    with pytest.raises(ValueError, match=r"page\.md states '4', printed is '3\\n'"):
        pages.execute(text.format(4), "page.md")


def test_a_figure_that_nothing_describes_stops_the_build(pages):
    drawn = nbformat.v4.new_output("display_data", {"image/png": "aGVs\nbG8="})
    shown = pages.shown(drawn, 'A "curve"\nover time')
    assert 'alt="A &quot;curve&quot; over time" src="data:image/png;base64,aGVsbG8="' in shown
    with pytest.raises(ValueError, match="figure"):
        pages.shown(drawn, "")


def test_texts_of_outputs_are_escaped_and_formulas_are_those_of_pages(pages):
    output = nbformat.v4.new_output
    assert ">&lt;b&gt;1</code>" in pages.shown(output("stream", text="<b>\x1b[31m1\n"), "")
    html = output("execute_result", {"text/html": "<p>$$x$$</p>", "text/plain": "x"})
    assert '<span class="arithmatex">\\(x\\)</span>' in pages.shown(html, "")
    latex = output("execute_result", {"text/latex": "$$x$$", "text/plain": "x"})
    assert pages.shown(latex, "") == "$$x$$"
