"""Every line of the table of known models states a model, whose drift is derived."""

from __future__ import annotations

import pytest
from known_models import ROWS, known_model

from theory import Model, derive_drift


def test_the_table_is_large():
    assert len(ROWS) >= 25


@pytest.mark.parametrize("name", ROWS)
def test_a_known_model_has_a_drift(name):
    model = known_model(name)
    assert isinstance(model, Model)
    drift = derive_drift(model)
    assert drift.overlap.shape == model.symbols.overlap.shape
    known = {*model.symbols.state, *model.symbols.gram, *model.parameter_symbols}
    entries = [drift.overlap[0, 0], drift.corrector[0, 0], *drift.readout[:1, 0]]
    assert any(entry != 0 for entry in entries)
    for entry in entries:
        assert {x for x in entry.free_symbols if str(x)[0] in "mRv"} <= known
