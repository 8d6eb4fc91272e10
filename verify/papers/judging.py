"""Run an entry of the atlas: every statement beside its wrong theory, with a verdict on both."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from time import process_time
from typing import Any

from numerics.version import version
from verify.claims.files import list_claims
from verify.claims.judge import judge
from verify.claims.judgement import Finding
from verify.verdict.results import comparison_data
from verify.verdict.tolerance import Comparison, Tolerance, Verdict, combine

from .entry import Entry, Statement
from .numbers import Judged, judge_numbers

# of a proof nothing is left to measure: a claim stands (0) or does not (1)
_PROOF = Tolerance(())


@dataclass(frozen=True)
class StatementResult:
    """What was found about a statement and its wrong theory, and in how many seconds of CPU."""

    statement: Statement
    judged: Judged
    seconds: float

    @property
    def verdict(self) -> Verdict:
        return combine([c.verdict for c in self.judged.comparisons])

    @property
    def as_expected(self) -> bool:
        """The verdict is the expected one, and the wrong theory is refuted."""
        return self.verdict is self.statement.expected and self.judged.wrong_is_refuted

    @property
    def worst(self) -> Comparison:
        """The number closest to its tolerance, or furthest beyond."""
        return max(self.judged.comparisons, key=lambda c: c.badness)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        s, judged = self.statement, self.judged
        return {
            "name": s.name,
            "says": s.says,
            "place": s.place,
            "verdict": self.verdict.value,
            "expected": s.expected.value,
            "finding": s.finding,
            "wrong": s.wrong,
            "wrong_is_refuted": judged.wrong_is_refuted,
            "seconds": round(self.seconds, 2),
            "numbers": [comparison_data(c) for c in judged.comparisons],
            "wrong_numbers": [comparison_data(c) for c in judged.wrong],
        }


@dataclass(frozen=True)
class PaperResult:
    """All statements of a work, judged with one seed."""

    entry: Entry
    seed: int
    results: list[StatementResult]

    @property
    def verdict(self) -> Verdict:
        return combine([r.verdict for r in self.results])

    @property
    def as_expected(self) -> bool:
        return all(r.as_expected for r in self.results)

    @property
    def seconds(self) -> float:
        return sum(r.seconds for r in self.results)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        entry = self.entry
        return {
            "name": entry.name,
            "year": entry.year,
            **entry.texts,
            "seed": self.seed,
            "version": version(),
            "files": entry.fingerprint,
            "verdict": self.verdict.value,
            "as_expected": self.as_expected,
            "seconds": round(self.seconds, 2),
            "statements": [r.to_dict() for r in self.results],
        }


def judge_statement(entry: Entry, statement: Statement, seed: int) -> StatementResult:
    """Measure a statement, and judge it and its wrong theory."""
    start = process_time()
    if statement.claims:
        judged = _judge_claims(entry, statement, seed)
    else:
        judged = judge_numbers(list(entry.measure(statement)(seed)))
    return StatementResult(statement, judged, process_time() - start)


def judge_paper(
    entry: Entry,
    seed: int = 0,
    *,
    only: Iterable[str] | None = None,
    progress: Callable[[str, float], None] | None = None,
) -> PaperResult:
    """Judge all statements of a work, or those named.

    Parameters
    ----------
    entry : Entry
    seed : int
        Root of all random numbers.
    only : iterable of str, optional
        Names of statements.
    progress : callable, optional
        Told the name of a statement and the share that is done before it.
    """
    chosen = entry.pick(only)
    results = []
    for i, statement in enumerate(chosen):
        if progress is not None:
            progress(statement.name, i / len(chosen))
        results.append(judge_statement(entry, statement, seed))
    return PaperResult(entry, seed, results)


def _judge_claims(entry: Entry, statement: Statement, seed: int) -> Judged:
    """Formulas that should be true beside some that should be refuted, by symbols and digits."""
    path = entry.folder / statement.claims
    true, false = [], []
    for claim in (listed.read() for listed in list_claims(path, entry.symbolic_model())):
        finding = judge(claim, seed).finding
        name = " ".join(claim.name.split())
        if claim.expected == "false":
            # beside the claim that it holds: a refutation is a deviation of 1
            found = float(finding is Finding.REFUTED)
            false.append(Comparison(name, found, 0.0, _PROOF))
        else:
            stands = finding in (Finding.PROVED, Finding.AGREES)
            unknown = finding not in (Finding.REFUTED, Finding.CONTRADICTORY)
            resolution = -1.0 if unknown and not stands else None
            off = 0.0 if unknown else 1.0
            true.append(Comparison(f"{name}: {finding.value}", off, 0.0, _PROOF, resolution))
    return Judged(true, list(_all_refuted(false)))


def _all_refuted(false: list[Comparison]) -> Iterator[Comparison]:
    """Every wrong formula has to be refuted: one that is not makes the others count for nothing."""
    if all(c.verdict is Verdict.FAILS for c in false):
        yield from false
