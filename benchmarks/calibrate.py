"""True error over estimate: random problems from a wide box against calculations that share nothing
with the package.

Usage: ``python -m benchmarks calibrate [--problems N] [--seed S] [--only KIND ...]``.  Drifts
(:mod:`benchmarks.calibrate_drifts`), integrals in three and more dimensions
(:mod:`benchmarks.calibrate_wide`), curves and fixed points (:mod:`benchmarks.calibrate_curves`),
population blocks and correctors (:mod:`benchmarks.calibrate_blocks`), effective edges and outliers
(:mod:`benchmarks.calibrate_spectra`).  A problem is *wrong* where a returned value is further from
the truth than its estimate; the exit code is then 1.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from time import perf_counter

import numpy as np

from .calibrate_blocks import calibrate_blocks
from .calibrate_curves import calibrate_curves
from .calibrate_drifts import calibrate_drifts
from .calibrate_spectra import calibrate_spectra
from .calibrate_wide import calibrate_wide
from .calibration_record import Record, table, tallies

# of all problems, the share of every kind
KINDS: dict[str, tuple[float, Callable[[int, int], Iterator[Record]]]] = {
    "drifts": (0.4, calibrate_drifts),
    "wide": (0.05, calibrate_wide),
    "curves": (0.15, calibrate_curves),
    "blocks": (0.2, calibrate_blocks),
    "spectra": (0.2, calibrate_spectra),
}


def main(arguments: list[str] | None = None) -> None:
    """Print the counts of every kind and of all."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks calibrate", description=__doc__)
    parser.add_argument("--problems", type=int, default=1000, help="number of random problems")
    parser.add_argument(
        "--seed", type=int, default=None, help="of the draws; a fresh one if left out"
    )
    parser.add_argument("--only", nargs="+", choices=tuple(KINDS), help="kinds; all if left out")
    parser.add_argument("--minutes", type=float, default=np.inf, help="stop each kind after these")
    options = parser.parse_args(arguments)
    seed = int(np.random.SeedSequence().generate_state(1)[0])
    seed = seed if options.seed is None else options.seed
    print(f"seed {seed}", flush=True)
    chosen = options.only or list(KINDS)
    total = sum(KINDS[name][0] for name in chosen)
    records: list[Record] = []
    for name in chosen:
        share, draw = KINDS[name]
        records += _within(draw(round(options.problems * share / total), seed), options.minutes)
    counts = tallies(records)
    print(table(counts))
    sys.exit(1 if any(tally.wrong for tally in counts.values()) else 0)


def _within(records: Iterator[Record], minutes: float) -> list[Record]:
    """What is compared within a time."""
    begin, out = perf_counter(), []
    for record in records:
        out.append(record)
        if not record.covered:
            print(f"WRONG {record}", flush=True)
        if perf_counter() - begin > 60 * minutes:
            break
    return out
