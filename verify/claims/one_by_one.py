"""Claims judged one after the other in a process of their own, each within a limit of time.

What cannot be read, takes too long or breaks down gets an answer of its own, and the others go on:
whatever a claim is busy with, in Python or in compiled code, ends with the process that judges it.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from time import perf_counter
from types import TracebackType
from typing import Any

from theory import InputError
from verify.claims.reading.listing import ListedClaim
from verify.printing.read_as import read_as_latex
from verify.printing.shorten import shorten

from .judge import judge
from .judgement import Finding, Judgement, Stage, Status
from .stage_verdicts import STAGES

# seconds within which a claim is judged, unless the user says otherwise
LIMIT = 60.0
# seconds beyond the limit after which a process that does not answer is ended
GRACE = 0.2


@dataclass(frozen=True)
class Answer:
    """What is reported about a claim of a file, judged or not.

    Attributes
    ----------
    name, model : str
    finding : Finding
    verdict : str
        The finding in words; ``gave up after 60 s``.
    stages : dict
        Status of each stage.
    stands : bool
    expected : str or None
    as_expected : bool or None
    seconds : float
    text : str
        Everything, to read.
    document : dict
        The same as plain data.
    latex : str
        What was read, as an equation in LaTeX; empty where nothing was.
    """

    name: str
    model: str
    finding: Finding
    verdict: str
    stages: dict[str, str]
    stands: bool
    expected: str | None
    as_expected: bool | None
    seconds: float
    text: str
    document: dict[str, Any]
    latex: str = ""


class ClaimJudge:
    """Judges the claims of a list by number, in a process of its own; a context manager.

    Parameters
    ----------
    claims : sequence of ListedClaim
    seed : int
        Root of the random points and samples; a claim is judged alike alone and in company.
    limit : float
        Seconds within which a claim is read and judged.

    Examples
    --------
    >>> from pathlib import Path
    >>> from verify.claims.files import list_claims
    >>> claims = list_claims(Path("examples/claims/softmax.toml"))[:1]
    >>> with ClaimJudge(claims, seed=0, limit=60) as judges:
    ...     [judges.answer(i).verdict for i in range(len(claims))]
    ['proved']
    """

    def __init__(self, claims: Sequence[ListedClaim], seed: int, limit: float) -> None:
        self._claims, self._seed, self._limit = claims, seed, limit
        # copies of this process know every claim; elsewhere claims are sent
        methods = multiprocessing.get_all_start_methods()
        self._context = multiprocessing.get_context("fork" if "fork" in methods else "spawn")
        self._process: Any = None
        self._connection: Connection | None = None

    def __enter__(self) -> ClaimJudge:
        self._start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._end()

    def answer(self, number: int) -> Answer:
        """Judge a claim; give it up where its time is over."""
        if self._process is None:
            self._start()
        assert self._connection is not None
        start, stages = perf_counter(), dict[str, Stage]()
        finding: Finding | None = None
        try:
            self._connection.send(number)
            while True:
                left = self._limit + GRACE - (perf_counter() - start)
                if not self._connection.poll(max(left, 0.0)):
                    reason = f"gave up after {self._limit:g} s"
                    outcome = Finding.GAVE_UP
                    break
                message = self._connection.recv()
                if isinstance(message, Answer):
                    return message
                finding, known = message
                stages = {stage.name: stage for stage in known}
        except (EOFError, ConnectionError):
            self._process.join()
            reason = f"please report: the process ended with code {self._process.exitcode}"
            outcome = Finding.DEFECT
        self._end()
        known = list(stages.values())
        seconds = perf_counter() - start
        return unjudged(self._claims[number], finding or outcome, reason, seconds, known)

    def _start(self) -> None:
        self._connection, theirs = self._context.Pipe()
        arguments = (theirs, self._connection, tuple(self._claims), self._seed)
        self._process = self._context.Process(target=_work, args=arguments, daemon=True)  # type: ignore[attr-defined]
        with _held_back(signal.SIGINT):  # until the process has said that it is not for it
            self._process.start()
        theirs.close()

    def _end(self) -> None:
        if self._process is not None and self._connection is not None:
            self._process.kill()
            self._process.join()
            self._connection.close()
        self._process = self._connection = None


def judge_each(
    claims: Sequence[ListedClaim], seed: int = 0, limit: float = LIMIT
) -> Iterator[Answer]:
    """Judge claims one by one; the answers come as they are found."""
    with ClaimJudge(claims, seed, limit) as judges:
        for number in range(len(claims)):
            yield judges.answer(number)


def unjudged(
    claim: ListedClaim, finding: Finding, reason: str, seconds: float, known: Sequence[Stage] = ()
) -> Answer:
    """The answer about a claim whose judgement did not come to an end.

    Parameters
    ----------
    claim : ListedClaim
    finding : Finding
        That of the claim where the stages had told it, and only what follows from it was missing.
    reason : str
        Why there is no more.
    seconds : float
    known : sequence of Stage
        What had been found.
    """
    texts = claim.texts
    stages = {stage.name: stage for stage in known}
    missing = Stage("", Status.INCONCLUSIVE, reason)
    every = [stages.get(name, missing) for name in STAGES]
    decided = finding not in (Finding.GAVE_UP, Finding.DEFECT, Finding.UNREADABLE)
    verdict = reason if finding is Finding.GAVE_UP else finding.value
    verdict += ": please report" if finding is Finding.DEFECT else ""
    expected = texts.get("expected")
    expected = str(expected).lower() if expected is not None else None
    stands = finding in (Finding.PROVED, Finding.AGREES)
    as_expected = None
    if expected is not None:
        as_expected = stands if expected == "true" else finding is Finding.REFUTED
    formula = str(texts.get("formula", texts.get("latex", ""))).strip()
    lines = [f"{claim.name}: {verdict}"]
    lines += [f"  claimed      {formula}"] if formula else []
    if finding is Finding.UNREADABLE:
        lines.append(f"  {reason}")
    else:
        lines += [
            f"  {n:<12} {s.status.value}: {s.text}" for n, s in zip(STAGES, every, strict=True)
        ]
    lines += [f"  repair       {reason}"] if decided else []
    document = {
        "name": claim.name,
        "model": claim.model,
        "quantity": str(texts.get("quantity", "")),
        "formula": formula,
        "read_as": "",
        "source": str(texts.get("source", "")),
        "order": texts.get("order"),
        "verdict": finding.value,
        "expected": expected,
        "as_expected": as_expected,
        "stages": [
            {"name": n, "status": s.status.value, "text": s.text, **s.details}
            for n, s in zip(STAGES, every, strict=True)
        ],
        "counterexample": None,
        "difference": "",
        "repair": "",
        "hint": "",
        "reason": reason,
        "seconds": seconds,
    }
    statuses = {n: s.status.value for n, s in zip(STAGES, every, strict=True)}
    return Answer(
        name=claim.name,
        model=claim.model,
        finding=finding,
        verdict=verdict,
        stages=statuses if stages else dict.fromkeys(STAGES, ""),
        stands=stands,
        expected=expected,
        as_expected=as_expected,
        seconds=seconds,
        text="\n".join(lines),
        document=document,
    )


def _judged(found: Judgement) -> Answer:
    """The answer about a claim that was judged."""
    defect = found.finding is Finding.DEFECT
    return Answer(
        name=found.claim.name,
        model=found.claim.model.name,
        finding=found.finding,
        verdict=found.finding.value + (": please report" if defect else ""),
        stages={stage.name: stage.status.value for stage in found.stages},
        stands=found.stands,
        expected=found.claim.expected,
        as_expected=found.as_expected,
        seconds=found.seconds,
        text=str(found),
        document=found.to_dict(),
        latex=read_as_latex(found.claim),
    )


@contextlib.contextmanager
def _held_back(number: signal.Signals) -> Iterator[None]:
    """A signal waits until the block is over; processes that start in it inherit that."""
    _set_mask(number, held=True)
    try:
        yield
    finally:
        _set_mask(number, held=False)


def _set_mask(number: signal.Signals, *, held: bool) -> None:
    if hasattr(signal, "pthread_sigmask"):  # of POSIX
        how = signal.SIG_BLOCK if held else signal.SIG_UNBLOCK
        signal.pthread_sigmask(how, {number})


# --- in the process that judges -------------------------------------------------------------------


def _work(
    connection: Connection, parents: Connection, claims: Sequence[ListedClaim], seed: int
) -> None:
    """Answer numbers of claims until nobody asks any more."""
    parents.close()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the one who asks
    _set_mask(signal.SIGINT, held=False)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()
    with contextlib.suppress(EOFError, ConnectionError):
        while True:
            number = connection.recv()
            connection.send(_answer(claims[number], seed, connection))


def _answer(claim: ListedClaim, seed: int, connection: Connection) -> Answer:
    start = perf_counter()
    try:
        return _judged(
            judge(claim.read(), seed, lambda *known: connection.send((known[0], list(known[1]))))
        )
    except InputError as error:
        return unjudged(claim, Finding.UNREADABLE, str(error), perf_counter() - start)
    except ConnectionError:
        raise
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        reason = f"please report: {type(error).__name__} in {where.name}: {shorten(error, 200)}"
        return unjudged(claim, Finding.DEFECT, reason, perf_counter() - start)


def _end_with(sentinel: int) -> None:
    """No process outlives the one it works for."""
    wait([sentinel])
    os._exit(1)
