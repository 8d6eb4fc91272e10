"""Pages of the API: the public names of a package by subject, a table of them and their docstrings.

A page holds the comment ``<!-- api: theory -->``.  The names come from ``__all__`` of the package
and the subjects from the comments in it: a new public name is on its page without another edit.
"""

from __future__ import annotations

import re
import tokenize
from pathlib import Path
from typing import Any

import griffe

ROOT = Path(__file__).resolve().parent.parent
PLACE = re.compile(r"<!-- api: (\w+) -->")


def public_names(package: str) -> dict[str, list[str]]:
    """Subject -> public names, as the comments in ``__all__`` divide them."""
    groups: dict[str, list[str]] = {}
    inside, subject = False, ""
    with tokenize.open(ROOT / package / "__init__.py") as file:
        for token in tokenize.generate_tokens(file.readline):
            if token.type == tokenize.NAME and token.string == "__all__":
                inside = token.start[1] == 0
            elif inside and token.type == tokenize.COMMENT and "noqa" not in token.string:
                subject = token.string.lstrip("# ").capitalize()
            elif inside and token.type == tokenize.STRING:
                groups.setdefault(subject, []).append(token.string.strip("\"'"))
            elif inside and token.string == "]":
                return groups
    raise ValueError(f"{package}/__init__.py has no list __all__")


def summary(package: griffe.Module, name: str) -> str:
    """The first sentence of a docstring, on one line."""
    target: Any = package[name]
    target = target.final_target if target.is_alias else target
    if target.docstring is None:
        return ""
    paragraph = " ".join(target.docstring.value.split("\n\n")[0].split())
    # a bar would end the cell of the table
    return paragraph.replace("\\|", r"\Vert ").replace("|", "\\|")


def page(package: str) -> str:
    """The body of a page: for every subject a table of names, then each with its docstring."""
    groups = public_names(package)
    extensions = griffe.load_extensions(str(ROOT / "docs" / "griffe_math.py"))
    module = griffe.load(package, search_paths=[ROOT], resolve_aliases=True, extensions=extensions)
    assert isinstance(module, griffe.Module)
    parts = []
    for subject, names in groups.items():
        rows = [f"| [`{n}`][{package}.{n}] | {summary(module, n)} |" for n in names]
        table = "\n".join(["| | |", "|---|---|", *rows])
        entries = [
            f"::: {package}.{name}\n    options:\n      heading_level: 3\n"
            "      show_root_heading: true\n      show_root_toc_entry: true\n"
            "      show_submodules: false"
            for name in names
        ]
        parts.append("\n\n".join([f"## {subject}", table, *entries]))
    return "\n\n".join(parts)


def on_page_markdown(markdown: str, **_: Any) -> str:
    """What mkdocs calls for every page."""
    return PLACE.sub(lambda match: page(match[1]), markdown)
