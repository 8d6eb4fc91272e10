"""Speed of the simulations: reduced chain against a NumPy loop, direct kernel against drawing its
normal numbers.
"""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from time import perf_counter

import numba
import numpy as np

from numerics import Parameters, State, simulate_sgd
from numerics.core.random_numbers.ziggurat import fill_normals
from numerics.sgd.generators import sfc64_states
from theory import Model, kgmm, xor

from .history import Rows

DIMENSIONS = (10**3, 10**5, 10**7, 10**9)
STEPS = 2_000_000

PEAK = """
import resource
from benchmarks.chain import cases
from numerics import simulate_sgd
model, parameters, state = cases()[0]
for steps in (1000, {steps}):
    simulate_sgd(model, parameters, state, [steps / 10**6], 10**6, workers=1, method="reduced")
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def cases() -> list[tuple[Model, Parameters, State]]:
    """The k = 3 mixture and the XOR network of four units."""
    rng = np.random.default_rng(0)
    return [
        (kgmm(3), Parameters([0.5, 0.3, 0.2], 10.0, 0.1, 1.0), State(np.zeros((3, 3)), np.eye(3))),
        (
            xor(4),
            Parameters([0.25] * 4, 100.0, 0.05, 1.0, np.eye(2)),
            State(0.3 * rng.normal(size=(4, 2)), 0.5 * np.eye(4), rng.normal(size=4) / 2),
        ),
    ]


@numba.njit(nogil=True)
def draw(state: np.ndarray, steps: int, row: np.ndarray) -> None:
    """The normal numbers that a direct simulation draws, and nothing else."""
    for _ in range(steps):
        fill_normals(state, 1.0, row)


@numba.njit(nogil=True)
def draw_one_by_one(rng: np.random.Generator, steps: int, row: np.ndarray) -> None:
    """The same numbers from the generator that Numba hands to compiled code."""
    for _ in range(steps):
        for i in range(row.size):
            row[i] = rng.standard_normal()


def reduced_chain(table: Rows, numpy_rate: float) -> None:
    """Steps a second on one thread, whatever the dimension; ``numpy_rate`` is that of a NumPy loop
    at d = 1000.
    """
    for (model, parameters, state), least in zip(cases(), (5e6, 2.5e6), strict=True):
        rates = []
        for dimension in DIMENSIONS:
            run = partial(
                simulate_sgd,
                model,
                parameters,
                state,
                [STEPS / dimension],
                dimension,
                workers=1,
                method="reduced",
            )
            run()
            rates.append(STEPS / min(_seconds(run) for _ in range(5)))
        table.add_row(
            f"reduced chain, {model.name}, one thread, d = 10^3",
            f"{rates[0] / 1e6:.2f} million steps/s",
            f"{least / 1e6:g} million",
            f"{rates[0] / least:.2f} (at least 1)",
        )
        if model.loss.is_smooth:
            table.add_row(
                "  against a NumPy loop at d = 1000",
                f"{rates[0]:,.0f} steps/s",
                f"{numpy_rate:,.0f} steps/s",
                f"{rates[0] / numpy_rate:.0f} (at least 100)",
            )
        spread = max(rates) / min(rates) - 1
        table.add_row(
            f"  fastest against slowest, d = 10^3 .. 10^9, {model.name}",
            ", ".join(f"{r / 1e6:.2f}" for r in rates),
            "10 %",
            f"{spread / 0.1:.2f} (at most 1)",
        )


def direct_kernel(table: Rows, dimension: int = 1000, steps: int = 20_000) -> None:
    """Time of a direct step against that of drawing its d normal numbers in the same way."""
    row, words = np.empty(dimension), sfc64_states(0, 0, 1)[0]
    rng = np.random.Generator(np.random.SFC64(0))
    draw(words, 1, row)
    draw_one_by_one(rng, 1, row)
    for model, parameters, state in cases():
        end = steps * parameters.step / dimension
        run = partial(simulate_sgd, model, parameters, state, [end], dimension, workers=1)
        run()
        # in turn, so that drift of the machine's speed meets both
        work = (run, lambda: draw(words, steps, row), lambda: draw_one_by_one(rng, steps, row))
        rounds = np.array([[_seconds(each) for each in work] for _ in range(7)])
        least = rounds.min(axis=0) / steps * 1e6
        limits = ("drawing its normals", "drawing them by Numba's generator")
        for column, (limit, most) in enumerate(zip(limits, (2.0, 1.0), strict=True), start=1):
            ratio = float(np.median(rounds[:, 0] / rounds[:, column]))
            table.add_row(
                f"direct kernel, {model.name}, d = {dimension}, against {limit}",
                f"{least[0]:.2f} us",
                f"{least[column]:.2f} us",
                f"{ratio:.2f} (at most {most:g})",
            )


def memory(table: Rows) -> None:
    """Largest resident memory of a process after few and after many steps."""
    peaks = [
        float(
            subprocess.run(
                [sys.executable, "-c", PEAK.format(steps=steps)],
                check=True,
                capture_output=True,
                text=True,
            ).stdout
        )
        / 1024
        for steps in (10_000, 20_000_000)
    ]
    table.add_row(
        "memory after 2 10^7 steps against 10^4",
        f"{peaks[1]:.0f} MiB",
        f"{peaks[0]:.0f} MiB",
        f"{peaks[1] / peaks[0]:.2f} (about 1)",
    )


def _seconds(function) -> float:  # type: ignore[no-untyped-def]
    start = perf_counter()
    function()
    return perf_counter() - start
