"""A sweep in processes of its own, on this machine or on a Dask cluster, whose processes a test
kills.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from time import monotonic, sleep

from helpers import ROOT
from sweep_helpers import computed

POINTS = list(range(1, 9))
DRIVER = f"""
import sys
from sweep_helpers import SLOW, small
from numerics import dask_executor, run_sweep
if __name__ == "__main__":
    store, *address = sys.argv[1:]
    sweep = small(SLOW, precision={POINTS})
    if address:
        with dask_executor(address[0]) as executor:
            run_sweep(sweep, store, executor)
    else:
        run_sweep(sweep, store, workers=2)
"""
# seconds for anything to happen: processes start slowly where many others run
PATIENCE = 240.0


def start(*words: object) -> subprocess.Popen:
    """A Python process that finds the sweep."""
    places = os.pathsep.join([str(ROOT), str(ROOT / "tests" / "witness")])
    return subprocess.Popen(
        [sys.executable, *map(str, words)],
        env=os.environ | {"PYTHONPATH": places},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def wait_until(holds, what: str) -> None:
    end = monotonic() + PATIENCE
    while not holds():
        assert monotonic() < end, what
        sleep(0.01)


class Local:
    """A driver with worker processes of its own."""

    # what can be killed, and how; a worker leaves Ctrl-C to its driver
    targets = (
        ("driver", (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)),
        ("worker", (signal.SIGKILL, signal.SIGTERM)),
    )

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "driver.py").write_text(DRIVER)

    def __enter__(self) -> Local:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing outlives a driver."""

    def addresses(self) -> list[str]:
        return []

    def process_of(self, whom: str, driver: subprocess.Popen) -> int:
        workers = self.workers(driver)
        return driver.pid if whom == "driver" or not workers else workers[0]

    def workers(self, driver: subprocess.Popen) -> list[int]:
        """Processes that have computed a point and are still there."""
        trace = self.folder / "trace.txt"
        lines = trace.read_text().splitlines() if trace.exists() else []
        found = {int(line.split()[1]) for line in lines} - {driver.pid}
        return [pid for pid in found if Path(f"/proc/{pid}").exists()]

    def kill_once(self, whom: str, how: signal.Signals, moment: float) -> None:
        """Start a driver, and send a signal to a process after some time at work."""
        driver = start(self.folder / "driver.py", self.folder / "s.zarr", *self.addresses())
        known = len(computed())
        wait_until(
            lambda: len(computed()) > known or driver.poll() is not None, "no point was begun"
        )
        sleep(moment)
        with suppress(ProcessLookupError):  # it may have ended
            os.kill(self.process_of(whom, driver), how)
        driver.wait(PATIENCE)
        self.settle(whom, driver)

    def settle(self, whom: str, driver: subprocess.Popen) -> None:
        """Workers end with their driver."""
        wait_until(lambda: not self.workers(driver), "a worker outlived its driver")


class Dask(Local):
    """A driver on a scheduler with two workers, each a process."""

    targets = tuple(
        (whom, (signal.SIGKILL, signal.SIGTERM, signal.SIGINT))
        for whom in ("driver", "Dask worker", "scheduler")
    )

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.file = folder / "scheduler.json"
        self.processes: dict[str, subprocess.Popen] = {}

    def __enter__(self) -> Dask:
        self.file.unlink(missing_ok=True)
        where = ("--host", "127.0.0.1", "--scheduler-file", self.file)
        self.processes["scheduler"] = start(
            "-m", "distributed.cli.dask_scheduler", *where, "--port", 0, "--no-dashboard"
        )
        wait_until(self.file.exists, "no scheduler")
        self.start_workers()
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.processes.values():
            process.kill()
            process.wait(PATIENCE)

    def start_workers(self) -> None:
        """Those that are not there."""
        for name in ("Dask worker", "another worker"):
            if name not in self.processes or self.processes[name].poll() is not None:
                self.processes[name] = start(
                    "-m", "distributed.cli.dask_worker", "--scheduler-file", self.file,
                    "--nthreads", 1, "--no-nanny", "--no-dashboard", "--local-directory",
                    self.folder,
                )  # fmt: skip

    def addresses(self) -> list[str]:
        return [json.loads(self.file.read_text())["address"]]

    def process_of(self, whom: str, driver: subprocess.Popen) -> int:
        return driver.pid if whom == "driver" else self.processes[whom].pid

    def settle(self, whom: str, driver: subprocess.Popen) -> None:
        """What was killed has ended, and is started again."""
        if whom != "driver":
            self.processes[whom].wait(PATIENCE)
        if whom == "scheduler":
            self.__exit__()
            self.processes.clear()
            self.__enter__()
        self.start_workers()
