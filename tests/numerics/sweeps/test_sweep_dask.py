"""Sweeps on a real Dask cluster of this machine."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from time import monotonic

import pytest
import xarray as xr
from command_runner import new_runner
from helpers import ROOT
from sweep_helpers import SLOW, small

from numerics import SweepError, dask_executor, open_store, run_sweep
from numerics.sweeps import executors
from theory import InputError
from verify.commands.cli import app

# a cluster leaves sockets and loops to the garbage collector
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


@pytest.fixture
def cluster():
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0", silence_logs=50
    ) as started:
        yield started


@pytest.mark.slow
def test_a_cluster_gives_the_same_bits(cluster, tmp_path):
    sweep = small("statistics", "alignment", "escape")
    with dask_executor(cluster.scheduler_address) as executor:
        found = run_sweep(sweep, tmp_path / "d.zarr", executor)
    with ThreadPoolExecutor(1) as executor:
        expected = run_sweep(sweep, tmp_path / "t.zarr", executor)
    xr.testing.assert_identical(
        *(data.load().drop_vars("seconds").drop_attrs(deep=False) for data in (found, expected))
    )


@pytest.mark.slow
def test_a_dying_worker_loses_nothing(cluster, tmp_path):
    killed = []

    def kill(done, failed, total):
        if done == 2 and not killed:
            killed.append(next(iter(cluster.workers.values())).pid)
            os.kill(killed[0], signal.SIGKILL)

    with dask_executor(cluster.scheduler_address) as executor:
        data = run_sweep(small(SLOW), tmp_path / "s.zarr", executor, progress=kill)
    assert killed
    assert (data.status == 1).all()


@pytest.mark.slow
def test_a_lost_scheduler_stops_the_sweep_and_keeps_what_is_done(cluster, tmp_path, monkeypatch):
    # the wait for a scheduler that may come back
    monkeypatch.setattr(executors, "PATIENCE", 2.0)

    def end(done, failed, total):
        if done == 2:
            cluster.close()

    sweep = small(SLOW, precision=list(range(1, 10)))
    with (
        pytest.raises(SweepError, match="scheduler"),
        dask_executor(cluster.scheduler_address) as executor,
    ):
        run_sweep(sweep, tmp_path / "s.zarr", executor, progress=end)
    with ThreadPoolExecutor(4) as executor:
        assert (run_sweep(sweep, tmp_path / "s.zarr", executor).status == 1).all()


@pytest.fixture
def foreign_worker(tmp_path):
    """A cluster whose only worker computes with a changed copy of the packages."""
    distributed = pytest.importorskip("distributed")
    copy = tmp_path / "other"
    for package in ("theory", "numerics"):
        shutil.copytree(ROOT / package, copy / package)
    setting = copy / "numerics" / "sweeps" / "trial.py"
    setting.write_text(setting.read_text("utf-8") + "\n# another version\n", encoding="utf-8")
    with distributed.LocalCluster(
        n_workers=0, dashboard_address="127.0.0.1:0", silence_logs=50
    ) as started:
        helpers = ROOT / "tests" / "witness"
        process = subprocess.Popen(
            [sys.executable, "-m", "distributed.cli.dask_worker", started.scheduler_address],
            env=os.environ | {"PYTHONPATH": os.pathsep.join([str(copy), str(helpers)])},
            cwd=tmp_path,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            with distributed.Client(started.scheduler_address, set_as_default=False) as client:
                client.wait_for_workers(1, timeout=60)
            yield started
        finally:
            process.terminate()
            process.wait(20)


@pytest.mark.slow
def test_a_worker_of_another_version_is_refused_by_name(foreign_worker, tmp_path):
    begin = monotonic()
    with (
        dask_executor(foreign_worker.scheduler_address) as executor,
        pytest.raises(InputError, match=r"1 of 1 workers with another version \(tcp://.* source"),
    ):
        run_sweep(small(), tmp_path / "s.zarr", executor)
    assert monotonic() - begin < 15
    assert not (open_store(tmp_path / "s.zarr").status == 1).any()


@pytest.mark.slow
def test_what_such_a_worker_sends_is_not_kept(foreign_worker, tmp_path, monkeypatch):
    """Also where it joins after the workers were asked."""
    monkeypatch.setattr(executors.Engine, "check_workers", lambda self: None)
    with (
        dask_executor(foreign_worker.scheduler_address) as executor,
        pytest.raises(SweepError, match=r"a worker, process \d+ on .*, runs specalign"),
    ):
        run_sweep(small(), tmp_path / "s.zarr", executor)
    assert not (open_store(tmp_path / "s.zarr").status == 1).any()


@pytest.mark.slow
def test_the_command_computes_on_a_scheduler(cluster, tmp_path):
    file = tmp_path / "sweep.toml"
    file.write_text(
        "[run]\ntime = [0, 1]\ndimension = 20\n"
        '[sweep]\nprecision = [5, 10]\nmeasure = ["statistics"]\n'
    )
    result = new_runner().invoke(
        app,
        [
            "sweep",
            str(file),
            "--store",
            str(tmp_path / "s.zarr"),
            "--scheduler",
            cluster.scheduler_address,
        ],
    )
    assert result.exit_code == 0, result.output
    assert "2 of 2 points done, 0 failed" in result.stdout


def refused(address: str, monkeypatch) -> str:
    pytest.importorskip("distributed")
    monkeypatch.setattr(executors, "PATIENCE", 1.0)
    begin = monotonic()
    with (
        pytest.raises(InputError, match=r"scheduler: got .* running Dask scheduler") as caught,
        dask_executor(address),
    ):
        pass
    assert monotonic() - begin < 10
    return str(caught.value)


def test_an_unreachable_scheduler_is_an_error_within_seconds(monkeypatch):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    assert "dask scheduler" in refused(f"tcp://127.0.0.1:{port}", monkeypatch)


def test_a_listener_that_never_answers_is_an_error_within_seconds(monkeypatch):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        assert "no answer within 1 s" in refused(
            f"tcp://127.0.0.1:{silent.getsockname()[1]}", monkeypatch
        )


def test_nonsense_is_no_address(monkeypatch):
    assert "missing port" in refused("nonsense", monkeypatch)


def test_without_dask_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with (
        pytest.raises(InputError, match=r"pip install 'specalign\[dask\]'"),
        dask_executor("tcp://127.0.0.1:1"),
    ):
        pass


@pytest.mark.slow
def test_local_sweeps_do_not_load_dask(tmp_path):
    code = (
        "import sys; sys.path.insert(0, 'tests/witness');"
        "from concurrent.futures import ThreadPoolExecutor;"
        "from sweep_helpers import small;"
        "from numerics import run_sweep;"
        f"run_sweep(small(), {str(tmp_path / 's.zarr')!r}, ThreadPoolExecutor(1));"
        "assert 'distributed' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
