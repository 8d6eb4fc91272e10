"""What a sweep adds to its points: time on two workers against half the sum of the points alone."""

from __future__ import annotations

import tempfile
from pathlib import Path
from time import perf_counter

import numpy as np

from numerics import (
    Measurement,
    MeasureOptions,
    Parameters,
    Setting,
    State,
    Sweep,
    Trial,
    Variable,
    run_sweep,
)
from numerics.sweep import run_point
from theory import kgmm

POINTS, WORKERS, SECONDS = 40, 2, 1.0


def build(values: dict[str, float]) -> Setting:
    """A point: direct SGD, k = 3, whose length is set so that it takes about a second."""
    dimension = 400
    steps = values.get("steps", 1000)
    return Setting(
        kgmm(3), Parameters(np.full(3, 1 / 3), values["precision"], 0.1, 1), State(np.zeros((3, 3)), np.eye(3)),
        time=[0, steps / dimension], dimension=dimension,
    )


def _end(trial: Trial) -> dict[str, np.ndarray]:
    return {"end": trial.records("misalignment")[:, -1]}


END = Measurement("end", _end, {"end": Variable(("replica", "unit"), "misalignment at the end")})


def sweep_overhead(points: int = POINTS, workers: int = WORKERS, seconds: float = SECONDS) -> dict[str, float]:
    """Seconds of the sweep, of its points alone, and the overhead.

    The sweep is timed from the call to its return, start of the processes and writing included.  The points are timed
    where they run, so that both meet a machine that is equally busy.
    """
    steps = round(seconds * _steps_a_second())

    def built(values: dict[str, float]) -> Setting:
        return build(values | {"steps": steps})

    sweep = Sweep({"precision": np.linspace(5, 20, points).tolist()}, built, [END])
    with tempfile.TemporaryDirectory() as directory:
        begin = perf_counter()
        data = run_sweep(sweep, Path(directory) / "overhead.zarr", workers=workers)
        whole = perf_counter() - begin
        alone = float(data["seconds"].sum())
    return {"sweep": whole, "points": alone, "overhead": whole * workers / alone - 1}


def _steps_a_second() -> float:
    def run(steps: int) -> float:
        setting = build({"precision": 10.0, "steps": steps})
        begin = perf_counter()
        outcome = run_point(setting, (END,), 0, 0, MeasureOptions())
        assert not outcome.error, outcome.error
        return perf_counter() - begin

    run(1000)  # compiles
    return float(np.median([20_000 / run(20_000) for _ in range(5)]))
