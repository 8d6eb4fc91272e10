"""Verdicts as HTML for notebooks: a heading, the statement, a table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from markupsafe import Markup, escape


def heading(name: str, verdict: str) -> Markup:
    """The name of what was judged, and the verdict."""
    return Markup("<p><b>{}</b>: {}</p>").format(name, verdict)


def displayed(latex: str) -> Markup:
    """A formula, set by the notebook."""
    return Markup("<p>$$") + escape(latex) + Markup("$$</p>") if latex else Markup("")


def table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> Markup:
    """A table of texts.

    Examples
    --------
    >>> print(table(["law"], [["1 < 2"]]))
    <table><tr><th>law</th></tr><tr><td>1 &lt; 2</td></tr></table>
    """

    def row(cells: Sequence[str], tag: str) -> Markup:
        inner = (Markup(f"<{tag}>") + escape(c) + Markup(f"</{tag}>") for c in cells)
        return Markup("<tr>") + Markup("").join(inner) + Markup("</tr>")

    body = Markup("").join([row(titles, "th"), *(row(cells, "td") for cells in rows)])
    return Markup("<table>") + body + Markup("</table>")


def preformatted(text: str) -> Markup:
    """Lines as they are, wrapped where they are longer than the page is wide."""
    return Markup('<pre style="white-space: pre-wrap">') + escape(text) + Markup("</pre>")
