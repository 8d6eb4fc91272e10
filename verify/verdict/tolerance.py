"""Where every bound comes from: tolerances made of named parts, and verdicts that cannot pass by
weakness.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import scipy.stats

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
class Tolerance:
    """A bound as the sum of its parts.

    Examples
    --------
    >>> bound = Tolerance((Part(0.01, "4.1 standard errors"), Part(0.002, "O(1/d^2) remainder")))
    >>> bound.total
    0.012
    """

    parts: tuple[Part, ...]

    @property
    def total(self) -> float:
        return float(sum(part.value for part in self.parts))

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
        return float(scipy.stats.norm.isf(tail))
    return float(scipy.stats.t.isf(tail, degrees))


def combine(verdicts: list[Verdict]) -> Verdict:
    """A family fails if any member fails, is inconclusive if any is and none fails, and holds
    otherwise.
    """
    if Verdict.FAILS in verdicts:
        return Verdict.FAILS
    if Verdict.INCONCLUSIVE in verdicts or not verdicts:
        return Verdict.INCONCLUSIVE
    return Verdict.HOLDS
