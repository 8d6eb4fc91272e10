"""The table of known models: one list of lines, shared by the page and the tests."""

from __future__ import annotations

import re
from functools import lru_cache

from helpers import ROOT

from theory import Model

TEXT = (ROOT / "docs" / "known_models.md").read_text(encoding="utf-8")
ROWS = dict(re.findall(r"^\| ([^|`]+) \| `(.+)` \|$", TEXT, re.MULTILINE))


@lru_cache(maxsize=1)
def beginnings():
    """What the lines of the table stand on."""
    space: dict = {}
    exec(re.search(r"```python\n(.*?)```", TEXT, re.DOTALL)[1], space)
    return space


def known_model(name: str) -> Model:
    """The model of a row of the table."""
    return stated(ROWS[name])


def stated(line: str, **more: object) -> Model:
    """The model that a line in the language of the table states."""
    return eval(line, {**beginnings(), **more})
