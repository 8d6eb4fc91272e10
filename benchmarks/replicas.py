"""Many short replicas: together in one call of the kernel, and each in a call of its own."""

from __future__ import annotations

from time import perf_counter, process_time

from numerics import simulate_sgd
from numerics.sgd import chain

from .chain import cases
from .history import Rows

REPLICAS, DIMENSION, STEPS = 10_000, 100, (1, 50, 200)


def short_replicas(rows: Rows) -> None:
    """Processor time of a replica beside that of a call of its own; two threads beside one."""
    model, parameters, state = cases()[0]

    def measure(steps: int, workers: int, replicas: int = REPLICAS) -> tuple[float, float]:
        end = steps * parameters.step / DIMENSION
        wall, cpu = perf_counter(), process_time()
        simulate_sgd(
            model, parameters, state, [end], DIMENSION, replicas, workers=workers, method="reduced"
        )
        return (perf_counter() - wall) / replicas, (process_time() - cpu) / replicas

    measure(1, 1, 10)
    together = chain.CALL_OPERATIONS
    for steps in STEPS:
        chain.CALL_OPERATIONS = 0.0
        alone = measure(steps, 1, REPLICAS // 5)[1]
        chain.CALL_OPERATIONS = together
        (one, cpu), (two, _) = measure(steps, 1), measure(steps, 2)
        rows.add_row(
            f"{REPLICAS:,} replicas of {steps} steps, reduced chain k = 3",
            f"{1e6 * cpu:.1f} µs each",
            f"a call of the kernel each: {1e6 * alone:.1f} µs",
            f"{alone / cpu:.1f} (at least 4 for 50 steps)",
        )
        rows.add_row(
            f"  two threads, {steps} steps",
            f"{1e6 * two:.1f} µs each",
            f"one thread: {1e6 * one:.1f} µs",
            f"{one / two:.2f} (at least 1.8)",
        )
