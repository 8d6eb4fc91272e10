"""Settings and measurements for tests of sweeps, in a module that worker processes can import."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import numpy as np

from numerics import Measurement, Parameters, Problem, Setting, State, Sweep, Trial, Variable
from theory import kgmm


def build(values) -> Setting:
    k = values.get("k", 2)
    weights = values.get("weights", [1 / k] * k)
    return Setting(
        Problem(
            kgmm(k), Parameters(weights, values.get("precision", 10), values.get("ridge", 0.1), 1)
        ),
        State(np.zeros((k, k)), np.eye(k)),
        time=[0, 0.5, 1],
        dimension=values.get("dimension", 20),
        replicas=values.get("replicas", 2),
        samples=100,
        options={"method": "reduced"},
    )


def trace(trial: Trial) -> None:
    """A line for every time a point is computed, in the file that the environment names."""
    if "SWEEP_TRACE" in os.environ:
        with Path(os.environ["SWEEP_TRACE"]).open("a") as file:
            file.write(f"{trial.index} {os.getpid()}\n")


def _counted(trial: Trial) -> dict:
    trace(trial)
    return {"noise": np.random.default_rng(trial.sequence("noise")).normal(size=2)}


def _slow(trial: Trial) -> dict:
    time.sleep(0.3)
    return _counted(trial)


def _failing(trial: Trial) -> dict:
    trace(trial)
    if trial.setting.parameters.precision == 5 and not os.environ.get("SWEEP_MENDED"):
        raise ZeroDivisionError("precision five, ünlucky")
    return {"noise": [1.0, 2.0]}


def _deadly(trial: Trial) -> dict:
    trace(trial)
    if trial.index == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return {"noise": [1.0, 2.0]}


def _wrong_shape(trial: Trial) -> dict:
    return {"noise": [1.0, 2.0, 3.0]}


def _threads(trial: Trial) -> dict:
    from threadpoolctl import threadpool_info

    return {
        "noise": [
            max(lib["num_threads"] for lib in threadpool_info() if lib["user_api"] == "blas"),
            os.getpid(),
        ]
    }


_NOISE = {"noise": Variable(("pair",), "two numbers")}
COUNTED, SLOW, FAILING, DEADLY, WRONG, THREADS = (
    Measurement(name, function, _NOISE, sizes={"pair": 2})
    for name, function in (
        ("counted", _counted),
        ("slow", _slow),
        ("failing", _failing),
        ("deadly", _deadly),
        ("wrong", _wrong_shape),
        ("threads", _threads),
    )
)


def small(*measure, **axes) -> Sweep:
    """A sweep of cheap points."""
    return Sweep(
        axes or {"precision": [5, 10], "dimension": [20, 30, 40]},
        build,
        measure or (COUNTED,),
        seed=7,
    )


def computed() -> list[int]:
    """Points computed so far, each as often as it was."""
    path = Path(os.environ["SWEEP_TRACE"])
    return [int(line.split()[0]) for line in path.read_text().splitlines()] if path.exists() else []


DRIVER = """
import sys
from sweep_helpers import SLOW, small
from numerics import run_sweep
if __name__ == "__main__":
    run_sweep(small(SLOW, precision=list(range(1, 13))), sys.argv[1], workers=2)
"""
