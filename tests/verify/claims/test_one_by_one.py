"""Claims are judged one by one: what is slow, broken or unreadable does not touch the others."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from command_runner import new_runner
from helpers import ROOT

from theory import kgmm
from verify.claims.files import list_claims, read_claims
from verify.claims.judge import make_claim
from verify.claims.judgement import Claim, Finding
from verify.claims.one_by_one import ClaimJudge, judge_each
from verify.claims.reading.listing import ListedClaim
from verify.commands.cli import app

HEADER = '[model]\nname = "kgmm"\nk = 2\n[parameters]\ndirections_gram = "orthonormal"\n'
RIGHT = '[[claim]]\nname = "right"\nquantity = "E_l[u_1]"\nformula = "m_1_l"\n'
WRONG = '[[claim]]\nname = "wrong"\nquantity = "E_l[u_1]"\nformula = "m_2_l"\n'
TYPO = '[[claim]]\nname = "typo"\nquantity = "E_l[u_1]"\nformula = "m_1_x + lamda"\n'
# no stage of this comes to an end in a minute
SLOW = """[[claim]]
name = "slow"
quantity = "E_l[(u_1 - m_1_l)^24*tanh(u_1*u_2)*(u_2 + u_1)^24*sigmoid(exp(u_2))]"
formula = "E_l[(m_1_l - u_1)^24*tanh(u_1*u_2)*(u_2 + u_1)^24*(1 - sigmoid(-exp(u_2)))]"
"""


def right() -> Claim:
    return make_claim(kgmm(2, directions_gram="orthonormal"), "E_l[u_1]", "m_1_l")


def ends_its_process() -> Claim:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def is_busy() -> Claim:
    while True:
        pass


def is_busy_in_compiled_code() -> Claim:
    return 3 ** (10**9)  # type: ignore[return-value]  # no Python code runs until it ends


def breaks() -> Claim:
    raise ZeroDivisionError("of nothing")


@pytest.mark.parametrize(
    ("broken", "finding", "reason"),
    [
        (ends_its_process, Finding.DEFECT, "please report: the process ended with code -9"),
        (is_busy, Finding.GAVE_UP, "gave up after 0.5 s"),
        (breaks, Finding.DEFECT, "please report: ZeroDivisionError in breaks: of nothing"),
    ],
)
def test_a_claim_that_breaks_down_touches_no_other(
    broken: Callable[[], Claim], finding: Finding, reason: str
) -> None:
    claims = [ListedClaim("one", right), ListedClaim("two", broken), ListedClaim("three", right)]
    start = time.perf_counter()
    with ClaimJudge(claims, 0, 30) as judge:
        first = judge.answer(0)
        judge._limit = 0.5
        second = judge.answer(1)
        judge._limit = 30
        third = judge.answer(2)
    assert [first.finding, third.finding] == [Finding.PROVED] * 2
    assert second.finding is finding
    assert reason in second.text
    assert not second.stands
    assert second.document["verdict"] == finding.value
    assert time.perf_counter() - start < 20


def test_compiled_code_is_stopped_as_well() -> None:
    start = time.perf_counter()
    (found,) = judge_each([ListedClaim("one", is_busy_in_compiled_code)], limit=0.5)
    assert found.finding is Finding.GAVE_UP
    assert time.perf_counter() - start < 10


@pytest.mark.slow
def test_what_was_found_before_the_time_was_over_is_said(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_text(HEADER + SLOW)
    (found,) = judge_each(list_claims(file), limit=1.5)
    assert found.finding is Finding.GAVE_UP
    assert "gave up after 1.5 s" in found.text


def test_reading_is_of_each_claim_alone(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_text(HEADER + TYPO + RIGHT + "expected = true\n")
    bad, good = judge_each(list_claims(file))
    assert (bad.finding, good.finding) == (Finding.UNREADABLE, Finding.PROVED)
    assert "column" in bad.text
    assert good.as_expected
    with pytest.raises(ValueError, match="m_1_x"):
        read_claims(file)


def specalign_check(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-u", "-m", "specalign", "check", *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def children(pid: int) -> list[int]:
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(child) for child in found.split()]


def ended(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z"


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="looks at processes in /proc")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_an_interruption_keeps_what_was_printed(tmp_path: Path, how: signal.Signals) -> None:
    """And no process goes on, even where the one that asks is killed."""
    file, out = tmp_path / "a.toml", tmp_path / "out.json"
    file.write_text(HEADER + RIGHT + SLOW + WRONG)
    process = specalign_check(str(file), "--json", str(out))
    assert process.stdout is not None
    lines = [process.stdout.readline(), process.stdout.readline()]
    assert "proved" in lines[1]
    assert lines[1].rstrip().endswith("right")
    (worker,) = children(process.pid)
    if how is signal.SIGINT:
        os.killpg(process.pid, how)
    else:
        process.kill()
    _, errors = process.communicate(timeout=20)
    if how is signal.SIGINT:
        assert process.returncode == 130, errors
        assert "interrupted" in errors
        assert '"name": "right"' in out.read_text()
    deadline = time.monotonic() + 10
    while not ended(worker) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert ended(worker)


@pytest.mark.slow
def test_verdicts_come_one_by_one_and_exit_codes_keep_their_meaning(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_text(HEADER + RIGHT + TYPO + SLOW + WRONG.replace("wrong", "[/x] \\u001b[31m"))
    process = specalign_check(str(file), "--time-limit", "1")
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    told = [line for line in output.splitlines() if line[:1].isdigit() and "/4" in line[:4]]
    assert [line.split()[1] for line in told] == ["proved", "unreadable", "gave", "refuted"]
    assert told[3].endswith(r"[/x] \x1b[31m")
    assert "typo: unreadable" in errors
    for body, code in ((RIGHT, 0), (RIGHT + TYPO, 2), (TYPO + SLOW, 2), (RIGHT + SLOW, 3)):
        file.write_text(HEADER + body)
        here = new_runner().invoke(app, ["check", str(file), "--time-limit", "1"])
        assert here.exit_code == code, body


@pytest.mark.slow
def test_the_first_verdict_is_on_the_screen_within_seconds(tmp_path: Path) -> None:
    """On a machine that does nothing else it takes two seconds; imports are most of them."""
    file = tmp_path / "a.toml"
    file.write_text(HEADER + RIGHT + SLOW)
    start = time.perf_counter()
    process = specalign_check(str(file))
    assert process.stdout is not None
    process.stdout.readline()
    assert "proved" in process.stdout.readline()
    seconds = time.perf_counter() - start
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert seconds < 12, f"{seconds:.1f} s"


@pytest.mark.parametrize("limit", ["0", "-3", "nan", "inf", "1e9", "soon"])
def test_limits_that_are_none_are_refused(tmp_path: Path, limit: str) -> None:
    file = tmp_path / "a.toml"
    file.write_text(HEADER + RIGHT)
    process = specalign_check(str(file), "--time-limit", limit)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "--time-limit" in errors
    assert output == ""


@pytest.mark.slow
def test_judging_starts_without_what_few_claims_need() -> None:
    """Each of these packages takes a share of the time to the first verdict."""
    code = "import sys; import verify.claims.one_by_one, verify.claims.files; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "sympy" in loaded
    assert not loaded & {"scipy.stats", "scipy.optimize", "xarray", "pandas", "numba", "matplotlib"}
