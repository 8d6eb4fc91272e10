"""What a sweep adds to its points: time on two workers against half the sum of the points alone."""

from __future__ import annotations

import tempfile
from pathlib import Path
from time import perf_counter

import numpy as np

from numerics import (
    Measurement,
    Parameters,
    Problem,
    Setting,
    State,
    Sweep,
    Trial,
    Variable,
    run_sweep,
    simulate_sgd,
)
from theory import kgmm

POINTS, WORKERS, SECONDS = 40, 2, 1.0
MODEL = kgmm(3)


def build(values: dict[str, float]) -> Setting:
    """A point: direct SGD, k = 3, d = 400."""
    return Setting(
        Problem(MODEL, Parameters(np.full(3, 1 / 3), values["precision"], 0.1, 1)),
        State(np.zeros((3, 3)), np.eye(3)),
        time=[0, 4],
        dimension=400,
    )


def _simulate(trial: Trial) -> dict[str, np.ndarray]:
    """Runs one after the other until a second has passed, however busy the machine is."""
    begin, s, number = perf_counter(), trial.setting, 0
    while perf_counter() - begin < SECONDS:
        run = simulate_sgd(
            s.model,
            s.parameters,
            s.initial,
            s.time,
            s.dimension,
            seed=trial.seed("run", number),
            workers=1,
        )
        number += 1
    return {"end": run["misalignment"].to_numpy()[:, -1]}


END = Measurement(
    "end", _simulate, {"end": Variable(("replica", "unit"), "misalignment at the end")}
)


def sweep_overhead(points: int = POINTS, workers: int = WORKERS) -> dict[str, float]:
    """Seconds of the sweep, of its points alone, and the overhead.

    The sweep is timed from the call to its return, start of the processes and writing included.
    """
    sweep = Sweep({"precision": np.linspace(5, 20, points).tolist()}, build, [END])
    with tempfile.TemporaryDirectory() as directory:
        begin = perf_counter()
        data = run_sweep(sweep, Path(directory) / "overhead.zarr", workers=workers)
        whole = perf_counter() - begin
        alone = float(data["seconds"].sum())
    return {"sweep": whole, "points": alone, "overhead": whole * workers / alone - 1}
