"""Test settings that hold for tests/ and for the doctests of the three packages."""

from __future__ import annotations

import gc
import os
import signal

import pytest
from hypothesis import settings
from threadpoolctl import threadpool_limits

# test suites of users are run inside tests
pytest_plugins = ["pytester"]

# figures are drawn to files only; set before anything imports matplotlib
os.environ.setdefault("MPLBACKEND", "Agg")
# of many models in one process: SymPy's own 1000 results of each function are soon thrown out; set
# before anything imports SymPy
os.environ.setdefault("SYMPY_CACHE_SIZE", "10000")

# a first call may compile, so wall-clock deadlines say nothing; under CI the examples are the same
# every time
settings.register_profile("specalign", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("specalign")


def pytest_configure() -> None:
    """One linear algebra thread a process: the workers of pytest-xdist use all processors.

    Interruptions are heard: a shell lets its work in the background ignore Ctrl-C, and the
    processes that tests start and interrupt would ignore it as well.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    import numpy  # noqa: F401  the limit applies to libraries that are loaded

    threadpool_limits(limits=1, user_api="blas")
    # SymPy makes many small objects and few circles of them: looking for these took 9 % of the time
    gc.set_threshold(20_000, 20, 20)


def pytest_collection_finish() -> None:
    """What is there before the first test stays to the end: no search for garbage visits it."""
    gc.freeze()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="also run the tests marked slow")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--slow"):
        return
    skip = pytest.mark.skip(reason="slow: run with --slow")
    for item in items:
        if "slow" in item.keywords:
            item.add_marker(skip)
