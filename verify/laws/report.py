"""What became of the laws of a model: outcomes, comparisons, and the simplest case on which one
fails.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from theory import Model
from theory.errors import check_choice
from theory.keywords import with_known_keywords
from verify.verdict.notebook import heading, table
from verify.verdict.results import CheckResult
from verify.verdict.tolerance import FAMILY_ERROR, Verdict

from .law import Law

NOT_APPLICABLE = "not applicable"


class LawViolation(AssertionError):
    """A law does not hold, or could not be judged sharply enough; ``report`` has all results.

    Examples
    --------
    >>> from theory import kgmm
    >>> report = ModelReport(kgmm(2), seed=1, results=(), seconds=0.0)
    >>> try:
    ...     raise LawViolation(report)
    ... except LawViolation as violation:
    ...     print(violation.report.holds, violation.report.seed)
    False 1
    """

    def __init__(self, report: ModelReport) -> None:
        super().__init__(str(report))
        self.report = report


@dataclass(frozen=True)
class LawResult:
    """What became of one law.

    Attributes
    ----------
    law : Law
    check : CheckResult, optional
        Comparisons of all cases; None where the law does not apply.
    reason : str
        Why it does not apply.
    example : str
        The simplest failing case found, as code, and the command that repeats it; empty if nothing
        failed.
    """

    law: Law
    check: CheckResult | None
    reason: str = ""
    example: str = ""

    @property
    def outcome(self) -> str:
        """``holds``, ``fails``, ``inconclusive`` or ``not applicable``."""
        return NOT_APPLICABLE if self.check is None else self.check.verdict.value

    def __str__(self) -> str:
        lines = [f"{self.law.name}: {self.outcome}" + (f" ({self.reason})" if self.reason else "")]
        if self.check is not None and self.check.verdict is not Verdict.HOLDS:
            lines.append(f"  {self.law.statement}")
            lines += [
                f"  {c.quantity}: measured {c.measured:.6g}, predicted {c.predicted:.6g}, deviation"
                f" {c.deviation:.3g}, tolerance {c.tolerance.total:.3g} = {c.tolerance}"
                + (
                    f"; to be of use at most {c.resolution:.3g}"
                    if c.verdict is Verdict.INCONCLUSIVE
                    else ""
                )
                for c in self.check.comparisons
                if c.verdict is not Verdict.HOLDS
            ]
            lines += [f"  {note}" for note in self.check.notes]
        if self.example:
            lines.append(self.example)
        return "\n".join(lines)


@with_known_keywords
@dataclass(frozen=True, repr=False)
class ModelReport:
    """All laws judged on one model.

    Attributes
    ----------
    model : theory.Model
    seed : int
    results : tuple of LawResult
    seconds : float
    family_error : float
        Probability that a true theory is refuted by chance in a run of all laws.

    Examples
    --------
    >>> from theory import xor
    >>> from verify import check_model
    >>> report = check_model(xor(2), only=["gauge"], seed=1)
    >>> report
    ModelReport('xor2': 1 not applicable, seed 1)
    >>> report.holds, report["gauge"].outcome                 # nothing was judged
    (False, 'not applicable')
    """

    model: Model
    seed: int
    results: tuple[LawResult, ...]
    seconds: float
    family_error: float = FAMILY_ERROR

    @property
    def holds(self) -> bool:
        """True if every law that applies holds, and at least one applies: what is inconclusive does
        not hold.
        """
        judged = [r.check.verdict for r in self.results if r.check is not None]
        return bool(judged) and all(verdict is Verdict.HOLDS for verdict in judged)

    def __getitem__(self, name: str) -> LawResult:
        by_name = {r.law.name: r for r in self.results}
        return by_name[check_choice("law", name, by_name, "law")]

    @property
    def counts(self) -> str:
        """How many laws had each outcome."""
        counts = Counter(r.outcome for r in self.results)
        return ", ".join(f"{count} {name}" for name, count in counts.items())

    def __repr__(self) -> str:
        return f"ModelReport({self.model.name!r}: {self.counts}, seed {self.seed})"

    def _repr_html_(self) -> str:
        """The verdict on every law, for notebooks."""
        rows = [(r.law.name, r.outcome, r.law.statement, r.reason) for r in self.results]
        titles = ("law", "verdict", "statement", "why not")
        return heading(self.model.name, self.counts) + table(titles, rows)

    def __str__(self) -> str:
        head = f"{self.model.name}: {self.counts}; seed {self.seed}, {self.seconds:.1f} s"
        return "\n".join([head, *(str(r) for r in self.results)])
