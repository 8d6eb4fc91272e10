"""Random problems of a wide box: no returned number is further from the truth than its estimate.

Truths share no code with the package: :mod:`benchmarks.calibrate`.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from helpers import fresh_rng

from benchmarks.calibrate_blocks import calibrate_blocks
from benchmarks.calibrate_spectra import calibrate_spectra
from benchmarks.calibrate_wide import calibrate_wide
from benchmarks.calibration_record import Record, table, tallies


@pytest.mark.slow
@pytest.mark.parametrize(
    ("draw", "count"), [(calibrate_blocks, 8), (calibrate_spectra, 15), (calibrate_wide, 3)]
)
def test_estimates_cover_errors_of_blocks_and_spectra(draw, count):
    records = list(draw(count, int(fresh_rng().integers(2**31))))
    assert [str(r) for r in records if not r.covered] == []
    # one in twenty may be refused: six of fifteen are with odds of 5e-5
    assert sum(bool(r.refusal) for r in records) <= 5


def test_a_fault_is_counted_and_named():
    """An estimate that is a hundred times too small, and a number that is none."""
    good = Record("x", np.array([1e-9, 2e-9]), np.array([1e-8, 1e-8]), "", "seed 3", 0.1)
    small = dataclasses.replace(good, estimates=np.array([1e-8, 1e-10]))
    none = dataclasses.replace(good, errors=np.array([np.nan, 0.0]))
    refused = Record.refused("x", ArithmeticError("rank 3 at 0.25"), "seed 4", 0.1)
    tally = tallies([good, small, none, refused])["x"]
    assert (tally.returned, tally.refused, len(tally.wrong)) == (3, 1, 2)
    assert good.covered
    assert not small.covered
    assert not none.covered
    assert small.worst_ratio == pytest.approx(20)
    assert dict(tally.reasons) == {"ArithmeticError: rank # at #": 1}
    # known no better than that, the truth does not tell
    assert dataclasses.replace(small, doubts=2e-9).covered
    text = table({"x": tally})
    assert "WRONG x: error 2e-09, estimate 1e-10" in text
    assert "number 1: seed 3" in text
    assert "refused 1 times" in text
