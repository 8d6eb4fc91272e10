"""Tutorials as executed notebooks: a page of docs/tutorials is run when the site is built.

The Markdown page is the only source.  Its snippets become the cells of a notebook, which is run in
a Jupyter kernel; the page shows below each snippet what it printed, drew or displays, and offers
the notebook.  Outputs that the page states must be those that are printed: the build stops
otherwise.
"""

from __future__ import annotations

import base64
import html
import os
import re
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import jupytext
import nbformat
from mkdocs.structure.files import File
from nbclient import NotebookClient
from nbformat import NotebookNode
from stated_outputs import agree, expected_outputs, without_outputs
from traitlets.config import Config

ROOT = Path(__file__).resolve().parent.parent
CODE = re.compile(r"^```(?:python|sh)\n.*?^```\n", re.S | re.M)
# what a reader who does not see the figure is told; it stands below the snippet that draws it
FIGURE = re.compile(r"<!-- figure: (.*?) -->\n*", re.S)
PAGE_LINK = re.compile(r"\[([^]]+)\]\((?!https?:)[^)]*\)")
COLOURS = re.compile(r"\x1b\[[0-9;]*m")

# source of a page -> its notebook: a server that rebuilds runs what has changed alone
_executed: dict[str, NotebookNode] = {}


def as_notebook(text: str) -> NotebookNode:
    """The cells of a page, without what only the page can show: links to others, stated outputs."""
    notebook = jupytext.reads(text, fmt="md")
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = PAGE_LINK.sub(r"\1", FIGURE.sub("", cell.source))
        elif not cell.source.startswith("%%sh"):
            cell.metadata["stated"] = " ".join(expected_outputs(cell.source).values())
            cell.source = without_outputs(cell.source)
    notebook.cells = [cell for cell in notebook.cells if cell.source.strip()]
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number}"  # a page that has not changed gives the same file
    notebook.metadata["kernelspec"] = {
        "name": "python3",
        "display_name": "Python 3",
        "language": "python",
    }
    return notebook


def execute(text: str, where: str) -> NotebookNode:
    """The notebook of a page with its outputs.

    Raises
    ------
    ValueError
        A snippet prints something else than the page states.
    nbclient.exceptions.CellExecutionError
        A snippet raises.
    """
    notebook = as_notebook(text)
    with TemporaryDirectory() as folder:
        work = Path(folder, "work")
        work.mkdir()
        client = NotebookClient(
            notebook,
            timeout=600,
            kernel_name="python3",
            record_timing=False,
            coalesce_streams=True,
            config=Config(
                KernelManager={"transport": "ipc", "connection_file": f"{folder}/k.json"}
            ),
            resources={"metadata": {"path": str(work)}},
        )
        client.execute(env=_environment(Path(folder)))
    for cell in notebook.cells:
        cell.outputs = [o for o in cell.get("outputs", []) if o.get("name") != "stderr"]
        printed = "".join(o["text"] for o in cell.outputs if o.output_type == "stream")
        stated = cell.metadata.pop("stated", "")
        if stated and not agree(printed, stated):
            raise ValueError(f"{where} states {stated!r}, printed is {printed!r}")
        if cell.cell_type == "markdown":
            del cell["outputs"]
    notebook.metadata.pop("jupytext", None)
    return notebook


def _environment(folder: Path) -> dict[str, str]:
    """Variables of a kernel: the package and its command are those of this checkout."""
    command = folder / "bin" / "specalign"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m specalign "$@"\n')
    command.chmod(0o755)
    # figures go into the notebook, whatever backend the builder has
    variables = {k: v for k, v in os.environ.items() if k != "MPLBACKEND"}
    variables["PATH"] = os.pathsep.join([str(command.parent), os.environ.get("PATH", "")])
    variables |= {"PYTHONPATH": str(ROOT), "NO_COLOR": "1", "COLUMNS": "80", "TERM": "dumb"}
    # the builder's own configuration of IPython is no part of the page
    return variables | {"IPYTHONDIR": str(folder)}


def notebooks(sources: dict[str, str]) -> dict[str, NotebookNode]:
    """Executed notebooks of pages, two at a time."""
    new = {name: text for name, text in sources.items() if text not in _executed}
    with ThreadPoolExecutor(2) as pool:
        found = pool.map(execute, new.values(), new.keys())
        _executed.update(zip(new.values(), found, strict=True))
    return {name: _executed[text] for name, text in sources.items()}


def shown(output: NotebookNode, caption: str) -> str:
    """Markdown of one output of a cell."""
    if output.output_type == "stream":
        return _text(output["text"])
    data = output["data"]
    if "image/png" in data:
        if not caption:
            raise ValueError("a snippet that draws needs <!-- figure: ... --> below it")
        content = base64.b64encode(base64.b64decode(data["image/png"])).decode()
        text = html.escape(" ".join(caption.split()), quote=True)
        return f'<p><img class="drawn" alt="{text}" src="data:image/png;base64,{content}"></p>'
    if "text/html" in data:
        # formulas go the way of those in Markdown
        found = re.sub(r"\$\$(.*?)\$\$", r'<span class="arithmatex">\(\1\)</span>',
                       data["text/html"], flags=re.S)  # fmt: skip
        return f'<div class="shown">{found}</div>'
    if "text/latex" in data:
        return data["text/latex"]
    return _text(data["text/plain"])


def _text(text: str) -> str:
    return f'<pre class="printed"><code>{html.escape(COLOURS.sub("", text).rstrip())}</code></pre>'


def with_outputs(text: str, notebook: NotebookNode) -> str:
    """A page with the outputs of each cell below its snippet."""
    cells = iter([cell for cell in notebook.cells if cell.cell_type == "code"])
    return "".join(_parts(text, cells))


def _parts(text: str, cells: Iterator[NotebookNode]) -> Iterator[str]:
    place = 0
    for match in CODE.finditer(text):
        yield text[place : match.start()]
        place = match.end()
        caption = FIGURE.match(text[place:].lstrip("\n"))
        cell = next(cells)
        language = "sh" if cell.source.startswith("%%sh") else "python"
        yield f"```{language}\n{cell.source.removeprefix('%%sh').strip()}\n```\n"
        outputs = [shown(output, caption[1] if caption else "") for output in cell.outputs]
        if outputs:
            body = "\n\n".join(outputs)
            yield f'\n<div class="output" markdown>\n\n{body}\n\n</div>\n'
    yield FIGURE.sub("", text[place:])


def _sources(files: Any) -> dict[str, str]:
    pages = [f for f in files.documentation_pages() if f.src_uri.startswith("tutorials/")]
    return {page.src_uri: page.content_string for page in pages}


def on_files(files: Any, *, config: Any, **_: Any) -> Any:
    """What mkdocs calls once: every tutorial is run, and its notebook is a file of the site."""
    for uri, notebook in notebooks(_sources(files)).items():
        name = uri.removesuffix(".md") + ".ipynb"
        files.append(File.generated(config, name, content=nbformat.writes(notebook) + "\n"))
    return files


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """What mkdocs calls for every page."""
    uri, text = page.file.src_uri, page.file.content_string
    if not uri.startswith("tutorials/"):
        return markdown
    offer = (
        f"[Take this page as a notebook]({Path(uri).stem}.ipynb){{ download }}: outputs and figures"
        " are those of the run that built it."
    )
    title, _, rest = with_outputs(text, _executed[text]).partition("\n\n")
    return f"{title}\n\n{offer}\n\n{rest}"
