"""A state of many bands, units and directions: how long its drift and its curve take."""

from __future__ import annotations

from fractions import Fraction
from time import process_time

import numpy as np

from numerics import Problem, State, integrate_curves
from theory import Bands, derive_drift, kgmm

from .history import Rows

BANDS, CLASSES = 20, 10
# what is asked for, in processor seconds
DERIVED, INTEGRATED = 30.0, 60.0


def wide_bands(table: Rows) -> None:
    """Twenty bands of ten units and ten directions, with scales of each class, from nothing."""
    rng = np.random.default_rng(0)
    shares = [Fraction(2 * (g + 1), BANDS * (BANDS + 1)) for g in range(BANDS)]
    scales = [[Fraction(int(n), 10) for n in rng.integers(3, 20, BANDS)] for _ in range(CLASSES)]
    start = process_time()
    model = kgmm(CLASSES, bands=Bands(shares, scales))
    drift = derive_drift(model)
    assert drift.overlap[0, 0] != 0  # one entry written out
    derived = process_time() - start
    grams = np.array([float(share) for share in shares])[:, None, None] * np.eye(CLASSES)
    weights = np.full(CLASSES, 1 / CLASSES)
    problem = Problem(
        model, weights=weights, precision=10, ridge=0.1, step=1, directions_gram=grams
    )
    start = process_time()
    curve = integrate_curves(problem, State.zero(problem), [0, 1, 4])
    integrated = process_time() - start
    size = f"{BANDS} bands x {CLASSES} units x {CLASSES} directions"
    error = f"curve to t = 4 (error {curve.attrs['error_estimate']:.1e})"
    for what, seconds, limit in (
        ("drift, an entry written out", derived, DERIVED),
        (error, integrated, INTEGRATED),
    ):
        ratio = f"{seconds / limit:.2f} (at most 1)"
        table.add_row(f"{size}: {what}", f"{seconds:.1f} CPU s", f"{limit:g} s", ratio)
