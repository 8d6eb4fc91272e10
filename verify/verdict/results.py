"""What a check says: verdict, comparisons, tolerances, seed, sample sizes, seconds, exhibits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup

from theory.keywords import with_known_keywords

from .notebook import displayed, heading, table
from .tolerance import Comparison, Family, Verdict, combine


@dataclass(frozen=True)
class Exhibit:
    """What a check shows beside its numbers; its data are made only when a report asks for them.

    Attributes
    ----------
    name, caption : str
    data : callable
        Returns one of the records of :mod:`verify.checks.exhibits`; :mod:`verify.figures` draws it.
    """

    name: str
    caption: str
    data: Callable[[], Any]


@dataclass(frozen=True)
class Outcome:
    """What a check function returns.

    The runner counts the comparisons, which gives them their tolerances, and adds name, seed and
    time to make a :class:`CheckResult`.
    """

    comparisons: Sequence[Comparison | Family]
    samples: dict[str, Any]
    exhibits: Sequence[Exhibit] = ()
    notes: list[str] = field(default_factory=list)


@with_known_keywords
@dataclass(frozen=True, repr=False)
class CheckResult:
    """Outcome of one check.

    Attributes
    ----------
    name : str
        Identifier, such as ``curves``.
    statement : str
        What has to hold, in words.
    source : str
        Where the statement comes from.
    comparisons : list of Comparison
    seed : int
        Root seed of the run.
    samples : dict
        Sample sizes (dimension, replicas, test points, ...).
    seconds : float
    exhibits : sequence of Exhibit
    notes : list of str
        Remarks a reader needs to judge the result.
    equation : str
        The statement in LaTeX.

    Examples
    --------
    >>> from verify.verdict.tolerance import Part, Tolerance
    >>> bound = Tolerance((Part(0.02, "O(1/d)"),))
    >>> comparisons = [Comparison("m_1_1 at t = 1", 0.51, 0.5, bound)]
    >>> CheckResult("curves", "SGD follows the curve", "section 4", comparisons, 1, {"d": 100}, 0.5)
    CheckResult('curves', holds, seed 1)
    """

    name: str
    statement: str
    source: str
    comparisons: list[Comparison]
    seed: int
    samples: dict[str, Any]
    seconds: float
    exhibits: Sequence[Exhibit] = ()
    notes: list[str] = field(default_factory=list)
    equation: str = ""

    @property
    def verdict(self) -> Verdict:
        return combine([c.verdict for c in self.comparisons])

    def __repr__(self) -> str:
        return f"CheckResult({self.name!r}, {self.verdict.value}, seed {self.seed})"

    def _repr_html_(self) -> str:
        """Verdict, statement and every comparison, for notebooks."""
        top = heading(self.name, self.verdict) + displayed(self.equation)
        return top + comparison_table(self.comparisons)

    @property
    def worst(self) -> Comparison:
        """The comparison closest to (or furthest beyond) its tolerance."""
        return max(self.comparisons, key=lambda c: c.badness)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "name": self.name,
            "verdict": self.verdict.value,
            "statement": self.statement,
            "equation": self.equation,
            "source": self.source,
            "seed": self.seed,
            "samples": self.samples,
            "seconds": self.seconds,
            "notes": self.notes,
            "comparisons": [comparison_data(c) for c in self.comparisons],
        }


def comparison_table(comparisons: Iterable[Comparison]) -> Markup:
    """A row each, for notebooks."""
    rows = [
        (c.quantity, f"{c.measured:.6g}", f"{c.predicted:.6g}", str(c.tolerance), c.verdict)
        for c in comparisons
    ]
    return table(("quantity", "measured", "predicted", "tolerance", "verdict"), rows)


def comparison_data(comparison: Comparison) -> dict[str, Any]:
    """Plain data for JSON."""
    parts = comparison.tolerance.parts
    return {
        "quantity": comparison.quantity,
        "measured": comparison.measured,
        "predicted": comparison.predicted,
        "deviation": comparison.deviation,
        "tolerance": comparison.tolerance.total,
        "tolerance_parts": [{"value": p.value, "reason": p.reason} for p in parts],
        "resolution": comparison.resolution,
        "one_sided": comparison.one_sided,
        "verdict": comparison.verdict.value,
    }


def check_table(results: Iterable[CheckResult]) -> str:
    """A row a check, as HTML."""
    titles = ("check", "verdict", "closest to its tolerance", "deviation / tolerance", "seconds")
    rows = [
        (r.name, r.verdict, r.worst.quantity, f"{r.worst.badness:.2g}", f"{r.seconds:.1f}")
        for r in results
    ]
    return table(titles, rows)


def _command(system: str, level: str, seed: int, only: Sequence[str]) -> str:
    chosen = f" --only {','.join(only)}" if only else ""
    return f"specalign verify {system}--level {level} --seed {seed}{chosen}"


@with_known_keywords
@dataclass(frozen=True, repr=False)
class Report:
    """All results of one run of ``specalign verify``.

    Attributes
    ----------
    system, level : str
    seed : int
    family_error : float
        Probability that a true theory is refuted by chance, over the whole run.
    results : list of CheckResult
    seconds : float
    environment : dict
        Versions and machine.
    complete : bool
        False when the run was interrupted: what is missing is not a pass.
    only : tuple of str
        The checks that were asked for; empty for all.

    Examples
    --------
    >>> report = Report("kgmm", "quick", 1, 1e-4, [], 0.0, {}, complete=False, only=("curves",))
    >>> report
    Report('kgmm', inconclusive: 0 checks, interrupted, seed 1)
    >>> report.command
    'specalign verify kgmm --level quick --seed 1 --only curves'
    """

    system: str
    level: str
    seed: int
    family_error: float
    results: list[CheckResult]
    seconds: float
    environment: dict[str, str]
    complete: bool = True
    only: tuple[str, ...] = ()

    @property
    def verdict(self) -> Verdict:
        verdicts = [r.verdict for r in self.results]
        return combine(verdicts if self.complete else [*verdicts, Verdict.INCONCLUSIVE])

    def __repr__(self) -> str:
        count = f"{len(self.results)} checks" + ("" if self.complete else ", interrupted")
        return f"Report({self.system!r}, {self.verdict.value}: {count}, seed {self.seed})"

    def _repr_html_(self) -> str:
        """Every check with the comparison closest to its tolerance, for notebooks."""
        return heading(self.system, self.verdict) + check_table(self.results)

    @property
    def command(self) -> str:
        """The command that reproduces this report."""
        return _command(f"{self.system} ", self.level, self.seed, self.only)

    def command_of(self, check: str) -> str:
        """The command that repeats one check with the same numbers and the same tolerances."""
        return _command(f"{self.system} ", self.level, self.seed, (check,))

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "system": self.system,
            "level": self.level,
            "seed": self.seed,
            "family_error": self.family_error,
            "verdict": self.verdict.value,
            "seconds": self.seconds,
            "command": self.command,
            "environment": self.environment,
            "complete": self.complete,
            "results": [r.to_dict() for r in self.results],
        }


@with_known_keywords
@dataclass(frozen=True, repr=False)
class JointReport:
    """The reports of several systems, judged in one run of ``specalign verify``.

    Attributes
    ----------
    reports : sequence of Report
        One a system, in the order they were judged; of an interrupted run those with a finished
        check.
    level : str
    seed : int
    family_error : float
        Probability that a true theory is refuted by chance anywhere: the sum of those of the
        reports.
    complete : bool
        False when the run was interrupted: what is missing is not a pass.
    only : tuple of str
        The checks that were asked for; empty for all.
    group : str
        What the command calls the systems; empty for those it judges unasked.

    Examples
    --------
    >>> reports = [Report(name, "quick", 1, 5e-5, [], 2.0, {}) for name in ("kgmm", "xor")]
    >>> joint = JointReport(reports, "quick", 1, 1e-4)
    >>> joint.command, joint.seconds
    ('specalign verify --level quick --seed 1', 4.0)
    """

    reports: Sequence[Report]
    level: str
    seed: int
    family_error: float
    complete: bool = True
    only: tuple[str, ...] = ()
    group: str = ""

    @property
    def verdict(self) -> Verdict:
        verdicts = [r.verdict for r in self.reports]
        return combine(verdicts if self.complete else [*verdicts, Verdict.INCONCLUSIVE])

    def __repr__(self) -> str:
        return f"JointReport({self.verdict.value}: {', '.join(map(repr, self.reports))})"

    def _repr_html_(self) -> str:
        """The reports below each other, for notebooks."""
        return "".join(report._repr_html_() for report in self.reports)

    @property
    def results(self) -> list[CheckResult]:
        """The checks of all systems."""
        return [result for report in self.reports for result in report.results]

    @property
    def seconds(self) -> float:
        return sum(r.seconds for r in self.reports)

    @property
    def command(self) -> str:
        """The command that reproduces this report."""
        return _command(f"{self.group} ".lstrip(), self.level, self.seed, self.only)

    def command_of(self, check: str) -> str:
        """The command that repeats one check with the same numbers and the same tolerances."""
        return _command(f"{self.group} ".lstrip(), self.level, self.seed, (check,))

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "verdict": self.verdict.value,
            "family_error": self.family_error,
            "seconds": self.seconds,
            "command": self.command,
            "complete": self.complete,
            "reports": [r.to_dict() for r in self.reports],
        }
