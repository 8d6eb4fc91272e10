"""Show the reStructuredText mathematics of the docstrings on Markdown pages."""

from __future__ import annotations

import re
import textwrap
from typing import Any

import griffe

DISPLAY = re.compile(r"^( *)\.\. math:: *(.*(?:\n(?:\1 +\S.*| *(?=\n\1 {3,}\S)))*)", re.MULTILINE)
INLINE = re.compile(r":math:`([^`]+)`")
ROLE = re.compile(r":(?:func|class|meth|mod|attr):`~?([^`]+)`")


def to_markdown(text: str) -> str:
    """Turn math directives and roles into dollar signs, and cross-reference roles into code."""

    def display(match: re.Match[str]) -> str:
        indent = match.group(1)
        body = textwrap.dedent(match.group(2)).strip()
        if r"\\" in body:
            # as Sphinx does for its directive
            body = f"\\begin{{aligned}}\n{body}\n\\end{{aligned}}"
        body = textwrap.indent(body, indent)
        return f"{indent}$$\n{body}\n{indent}$$"

    text = DISPLAY.sub(display, text)
    text = INLINE.sub(lambda m: "$" + " ".join(m.group(1).split()) + "$", text)
    return ROLE.sub(r"`\1`", text)


class MathDocstrings(griffe.Extension):
    """Rewrites docstrings before they are parsed."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        if obj.docstring is not None:
            obj.docstring.value = to_markdown(obj.docstring.value)
