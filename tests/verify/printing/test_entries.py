"""What ``derive --entry`` selects, and that nothing else is expanded for it."""

from __future__ import annotations

import time

import pytest
from helpers import fresh_rng
from processor import is_within

from theory import kgmm, xor
from verify.printing.formulas import collect

MODELS = {"kgmm": kgmm(2), "xor": xor(2)}
KINDS = ("drift", "gradient", "hessian", "gradient-matrix", "diffusion")
# names tried of every quantity
TRIED = 6


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("kind", KINDS)
def test_an_entry_or_a_block_is_that_of_the_whole(name: str, kind: str) -> None:
    whole = collect(MODELS[name], kind)
    names = list(whole.entries)
    for asked in fresh_rng().choice(names, min(TRIED, len(names)), replace=False):
        assert collect(MODELS[name], kind, entry=str(asked)).values == {asked: whole.values[asked]}
    blocks = sorted({entry.group for entry in whole.entries.values() if entry.group})
    for block in blocks[:: max(1, len(blocks) // 3)]:
        members = {e.name for e in whole.entries.values() if e.group == block}
        # the rows of the diffusion matrix are named as the state is
        part = collect(MODELS[name], kind, entry=block)
        assert part.values == {n: whole.values[n] for n in whole.entries if n in members}
        assert part.selection == block


@pytest.mark.slow
def test_one_entry_of_many_classes_takes_seconds() -> None:
    """All 876 entries of the drift took three minutes before one of them was shown."""
    start = time.process_time()
    assert list(collect(kgmm(24), "drift", entry="m_1_1").values) == ["m_1_1"]
    assert is_within(time.process_time() - start, 10)
