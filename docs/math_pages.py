"""Formulas of the pages as MathML, which browsers show without a script and without a network."""

from __future__ import annotations

import html
import re
from typing import Any

from theory import InputError
from verify.printing.mathml import mathml

FORMULA = re.compile(
    r'<(?P<tag>span|div) class="arithmatex">\s*'
    r"\\(?P<open>[(\[])(?P<latex>.*?)\\[)\]]\s*</(?P=tag)>",
    re.S,
)

# what is written -> what the converter knows
NAMES = {
    r"\arg": r"\mathrm{arg}\,",
    r"\tfrac": r"\frac",
    r"\dfrac": r"\frac",
    r"\lVert": r"\|",
    r"\rVert": r"\|",
}


def on_page_content(content: str, *, page: Any, **_: Any) -> str:
    """What mkdocs calls for the body of every page.

    Raises
    ------
    ValueError
        A formula that MathML does not have: the build stops.
    """
    return FORMULA.sub(lambda match: _element(match, page.file.src_uri), content)


def _element(match: re.Match[str], where: str) -> str:
    latex = html.unescape(match["latex"]).strip()
    display = "block" if match["open"] == "[" else "inline"
    try:
        formula = mathml(_plain(latex), display)
    except InputError as error:
        raise ValueError(f"{where}: {error}") from error
    tag = match["tag"]
    return f'<{tag} class="formula">{formula}</{tag}>'


def _plain(latex: str) -> str:
    """LaTeX with what the converter knows by another name."""
    latex = latex.replace("{aligned}", "{align*}")
    latex = re.sub(r"\\[td]?frac(\d)(\d)", r"\\frac{\1}{\2}", latex)
    for name, known in NAMES.items():
        latex = re.sub(re.escape(name) + r"(?![A-Za-z])", lambda _, k=known: k, latex)
    return latex
