"""Tolerances of named parts, counted critical values, verdicts that cannot pass by weakness."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
import scipy.special

# Family-wise error rate of one whole run of `specalign verify`: the probability that a true theory
# is refuted by chance, shared equally among the checks and, inside a check, among its comparisons.
FAMILY_ERROR = 1e-4


class Verdict(StrEnum):
    """Outcome of a check.

    ``HOLDS``: the deviation is within the tolerance and the tolerance is small enough to mean
    something. ``FAILS``: the deviation exceeds the tolerance.  ``INCONCLUSIVE``: the data are too
    weak for the stated resolution; never counted as a pass.
    """

    HOLDS = "holds"
    FAILS = "fails"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True)
class Part:
    """One part of a tolerance: a size and the reason for it."""

    value: float
    reason: str


@dataclass(frozen=True)
class Chance:
    """The part of a tolerance that chance makes, before anyone knows how many standard errors.

    Attributes
    ----------
    error : float
        Standard error of measured - predicted.
    degrees : float, optional
        Degrees of freedom of the standard error (Student); normal when omitted.
    reason : str, optional
        Shown beside the size, where the usual words do not do; ``{z:.2f}`` stands for the critical
        value.
    """

    error: float
    degrees: float | None = None
    reason: str = ""

    def critical_value(self, count: int, share: float) -> float:
        """Standard errors that ``count`` true statements together exceed with probability at most
        ``share``.
        """
        return critical_value(count, share, self.degrees)

    def part(self, count: int, share: float) -> Part:
        """The size of this part among ``count`` comparisons with a family-wise error ``share``."""
        z = self.critical_value(count, share)
        student = "" if self.degrees is None else ", Student"
        reason = self.reason or f"{{z:.2f}} standard errors{student} (T3)"
        return Part(z * self.error, reason.format(z=z))


@dataclass(frozen=True)
class Tolerance:
    """A bound as the sum of its parts.

    Attributes
    ----------
    parts : tuple of Part
    chance : Chance, optional
        What no one knows the size of until the comparisons of a check have been counted
        (:func:`judge_together`); it then becomes the first of the parts.

    Examples
    --------
    >>> bound = Tolerance((Part(0.002, "O(1/d^2) remainder"),), Chance(0.0025))
    >>> str(bound.counted(20, 1e-3))
    '0.0101 (4.06 standard errors (T3)) + 0.002 (O(1/d^2) remainder)'
    """

    parts: tuple[Part, ...]
    chance: Chance | None = None

    @property
    def total(self) -> float:
        if self.chance is not None:
            raise ValueError("a tolerance with chance has no size before comparisons are counted")
        return float(sum(part.value for part in self.parts))

    def counted(self, count: int, share: float) -> Tolerance:
        """The bound of one of ``count`` comparisons that share the family-wise error ``share``."""
        if self.chance is None:
            return self
        return Tolerance((self.chance.part(count, share), *self.parts))

    def __str__(self) -> str:
        return " + ".join(f"{part.value:.3g} ({part.reason})" for part in self.parts)


@dataclass(frozen=True)
class Comparison:
    """One number of a theory against one measurement.

    Attributes
    ----------
    quantity : str
        What is compared, with its parameters.
    measured, predicted : float
    tolerance : Tolerance
    resolution : float or None
        The smallest deviation of interest: if the tolerance is larger, the comparison is
        inconclusive rather than a pass.  None where the tolerance is itself the statement.
    one_sided : bool
        The statement is measured <= predicted.
    """

    quantity: str
    measured: float
    predicted: float
    tolerance: Tolerance
    resolution: float | None = None
    one_sided: bool = False

    def counted(self, count: int, share: float) -> Comparison:
        """This comparison as one of ``count`` that share the family-wise error ``share``."""
        return replace(self, tolerance=self.tolerance.counted(count, share))

    @property
    def deviation(self) -> float:
        return self.measured - self.predicted

    @property
    def verdict(self) -> Verdict:
        size = self.deviation if self.one_sided else abs(self.deviation)
        if not np.isfinite(size):
            return Verdict.FAILS
        if size > self.tolerance.total:
            return Verdict.FAILS
        if self.resolution is not None and self.tolerance.total > self.resolution:
            return Verdict.INCONCLUSIVE
        return Verdict.HOLDS

    @property
    def strain(self) -> float:
        """Deviation as a share of the tolerance; above 1 the comparison fails."""
        size = self.deviation if self.one_sided else abs(self.deviation)
        total = self.tolerance.total
        return float(size / total) if total > 0 else float(np.inf if size > 0 else 0.0)

    @property
    def badness(self) -> float:
        """The strain, or infinity where it is not a number: that is worse than any number."""
        return np.inf if np.isnan(self.strain) else self.strain


@dataclass(frozen=True)
class Family:
    """Comparisons of which only the worst is reported, while all of them count."""

    members: tuple[Comparison, ...]


def judge_together(statements: Sequence[Comparison | Family], share: float) -> list[Comparison]:
    """Give the comparisons of a check their tolerances, and report the worst of every family.

    The critical value follows from the number of comparisons that chance enters (Bonferroni), so
    that all of them hold with probability at least 1 - ``share`` where the theory is true.

    Parameters
    ----------
    statements : sequence of Comparison or Family
    share : float
        Family-wise error rate of all of them together.
    """
    families = [s.members if isinstance(s, Family) else (s,) for s in statements]
    count = sum(c.tolerance.chance is not None for members in families for c in members)
    judged = [[c.counted(count, share) for c in members] for members in families]
    return [max(members, key=lambda c: c.badness) for members in judged]


def critical_value(comparisons: int, share: float, degrees: float | None = None) -> float:
    """Two-sided critical value such that ``comparisons`` true statements all pass with probability
    1 - share.

    Parameters
    ----------
    comparisons : int
        Number of comparisons judged together (Bonferroni).
    share : float
        Family-wise error rate given to them.
    degrees : float, optional
        Degrees of freedom of the standard errors (Student); normal when omitted.

    Examples
    --------
    >>> round(critical_value(1, 0.05), 2), round(critical_value(1, 0.05, degrees=5), 2)
    (1.96, 2.57)
    """
    tail = share / (2 * comparisons)
    if degrees is None:
        return float(-scipy.special.ndtri(tail))
    return float(-scipy.special.stdtrit(degrees, tail))


def combine(verdicts: list[Verdict]) -> Verdict:
    """A family fails if any member fails, is inconclusive if any is and none fails, and holds
    otherwise.
    """
    if Verdict.FAILS in verdicts:
        return Verdict.FAILS
    if Verdict.INCONCLUSIVE in verdicts or not verdicts:
        return Verdict.INCONCLUSIVE
    return Verdict.HOLDS
