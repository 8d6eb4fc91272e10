"""Every line of the table of known models states a model, whose drift is derived."""

from __future__ import annotations

import re
from functools import lru_cache

import pytest
from helpers import ROOT

from theory import Model, derive_drift

TEXT = (ROOT / "docs" / "known_models.md").read_text(encoding="utf-8")
ROWS = dict(re.findall(r"^\| ([^|`]+) \| `(.+)` \|$", TEXT, re.MULTILINE))


@lru_cache(maxsize=1)
def beginnings():
    """What the lines of the table stand on."""
    space: dict = {}
    exec(re.search(r"```python\n(.*?)```", TEXT, re.DOTALL)[1], space)
    return space


def test_the_table_is_large():
    assert len(ROWS) >= 25


@pytest.mark.parametrize("name", ROWS)
def test_a_known_model_has_a_drift(name):
    model = eval(ROWS[name], dict(beginnings()))
    assert isinstance(model, Model)
    drift = derive_drift(model)
    assert drift.overlap.shape == model.symbols.overlap.shape
    known = {*model.symbols.state, *model.symbols.gram, *model.parameter_symbols}
    entries = [drift.overlap[0, 0], drift.corrector[0, 0], *drift.readout[:1, 0]]
    assert any(entry != 0 for entry in entries)
    for entry in entries:
        assert {x for x in entry.free_symbols if str(x)[0] in "mRv"} <= known
