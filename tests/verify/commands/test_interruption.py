"""Requests to end: whatever becomes of the exception, the exit code is that of an interruption."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
from helpers import ROOT

from verify.commands.interruption import run_interruptibly, was_interrupted

pytestmark = pytest.mark.skipif(os.name != "posix", reason="sends POSIX signals")


@pytest.fixture(autouse=True)
def handlers():
    before = {n: signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def request(number: signal.Signals) -> None:
    os.kill(os.getpid(), number)


class Loses:
    """A KeyboardInterrupt in a destructor is printed, and lost."""

    def __init__(self, number):
        self.number = number

    def __del__(self):
        request(self.number)


def kept(number):
    request(number)


def lost(number):
    Loses(number)
    assert was_interrupted()
    sys.exit(1)


def lost_at_the_end(number):
    Loses(number)


def as_another_error(number):
    try:
        request(number)
    except KeyboardInterrupt as error:
        raise ImportError("cannot import name 'x' from partially initialized module") from error


def as_another_code(number):
    try:
        request(number)
    except KeyboardInterrupt:
        sys.exit(1)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    "command", [kept, lost, lost_at_the_end, as_another_error, as_another_code]
)
def test_a_request_to_end_ends_with_its_code(command, number, capsys):
    with pytest.raises(SystemExit) as end:
        run_interruptibly(lambda: command(number))
    assert end.value.code == 130
    told = capsys.readouterr().err
    assert "interrupted" in told
    assert "Traceback" not in told


@pytest.mark.parametrize("code", [0, 1, 2, 3])
def test_other_codes_stay(code, capsys):
    with pytest.raises(SystemExit) as end:
        run_interruptibly(lambda: sys.exit(code))
    assert end.value.code == code
    assert capsys.readouterr().err == ""


def test_errors_without_a_request_come_through():
    with pytest.raises(ZeroDivisionError):
        run_interruptibly(lambda: 1 / 0)


def test_who_ignores_ctrl_c_goes_on():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with pytest.raises(SystemExit) as end:
        run_interruptibly(lambda: request(signal.SIGINT))
    assert end.value.code == 0


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM"])
def test_an_interrupted_import_is_an_interruption(number):
    code = f"""
import os, signal, sys
class Interrupts:
    def find_spec(self, name, path, target=None):
        if name == "verify.commands.cli":
            os.kill(os.getpid(), signal.{number})
sys.meta_path.insert(0, Interrupts())
from specalign.__main__ import main
main()
"""
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert (run.returncode, run.stderr) == (130, "interrupted\n")
