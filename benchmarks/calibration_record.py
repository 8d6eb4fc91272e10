"""One compared problem of the calibration, and the counts of many."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
NOTHING: Array = np.zeros(0)


@dataclass(frozen=True)
class Record:
    """What was estimated and what was true.

    Attributes
    ----------
    what : str
        Feature and kind of problem.
    errors, estimates : array, or float
        Distance of every returned number from the truth, and its estimate; empty where nothing was
        returned.
    refusal : str
        The message; empty where a number was returned.
    detail : str
        Enough to draw the problem again.
    seconds : float
        Spent by the package, compilation included.
    doubts : array, or float
        To which the truth itself is known.
    """

    what: str
    errors: Array | float
    estimates: Array | float
    refusal: str
    detail: str
    seconds: float
    doubts: Array | float = 0.0

    @classmethod
    def refused(cls, what: str, error: Exception, detail: str, seconds: float) -> Record:
        """A problem that was not answered."""
        reason = f"{type(error).__name__}: {error}"
        return cls(what, NOTHING, NOTHING, reason, detail, seconds)

    @property
    def covered(self) -> bool:
        """Whether every estimate is at least the error."""
        excess = np.asarray(self.errors) - self.estimates - self.doubts
        return bool(np.all(excess <= 0.0))  # NaN is not covered

    @property
    def worst_ratio(self) -> float:
        """Largest error, beyond the doubt of the truth, over its estimate."""
        beyond = np.maximum(np.asarray(self.errors, dtype=float) - self.doubts, 0.0)
        estimates = np.broadcast_to(np.asarray(self.estimates, dtype=float), beyond.shape)
        ratios = np.divide(
            beyond, estimates, out=np.full(beyond.shape, np.inf), where=estimates > 0
        )
        ratios = np.where(beyond == 0.0, 0.0, ratios)
        return float(np.nan_to_num(ratios, nan=np.inf).max(initial=0.0))

    @property
    def slack(self) -> Array:
        """Estimate over error, where the truth is known well enough to tell the error."""
        errors, estimates, doubts = np.broadcast_arrays(self.errors, self.estimates, self.doubts)
        clear = errors > 10 * doubts
        return np.asarray(estimates[clear] / errors[clear], dtype=float)

    def __str__(self) -> str:
        excess = np.ravel(np.asarray(self.errors) - self.estimates - self.doubts)
        at = int(np.argmax(np.nan_to_num(excess, nan=np.inf)))
        parts = (self.errors, self.estimates, self.doubts)
        error, estimate, doubt = (np.ravel(np.broadcast_to(x, excess.shape))[at] for x in parts)
        return (
            f"{self.what}: error {error:.3g}, estimate {estimate:.3g}, truth known to {doubt:.2g}, "
            f"number {at}: {self.detail}"
        )


@dataclass
class Tally:
    """Counts of one kind of problem."""

    returned: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    slack: list[float] = field(default_factory=list)
    worst: float = 0.0
    seconds: float = 0.0

    @property
    def refused(self) -> int:
        """Problems without an answer."""
        return sum(self.reasons.values())

    def add(self, record: Record) -> None:
        """Count one problem."""
        self.seconds += record.seconds
        if record.refusal:
            self.reasons[_without_numbers(record.refusal)] += 1
            return
        self.returned += 1
        self.worst = max(self.worst, record.worst_ratio)
        if not record.covered:
            self.wrong.append(str(record))
        slack = record.slack
        if slack.size:
            self.slack.append(float(np.median(slack)))

    def join(self, other: Tally) -> None:
        """Add the counts of another kind."""
        self.returned += other.returned
        self.reasons += other.reasons
        self.wrong += other.wrong
        self.slack += other.slack
        self.worst = max(self.worst, other.worst)
        self.seconds += other.seconds


def tallies(records: Iterable[Record]) -> dict[str, Tally]:
    """Counts by kind."""
    out: dict[str, Tally] = {}
    for record in records:
        out.setdefault(record.what, Tally()).add(record)
    return out


TITLES = (
    ("kind", 34), ("drawn", 6), ("returned", 9), ("refused", 8), ("covered", 8), ("worst", 9),
    ("median estimate/error", 22), ("s", 8),
)  # fmt: skip


def table(counts: dict[str, Tally]) -> str:
    """One line a kind, one of all, then every fault and the reasons of the refusals."""
    total = Tally()
    lines = [" ".join(f"{t:<{w}}" if w > 30 else f"{t:>{w}}" for t, w in TITLES)]
    for what, tally in sorted(counts.items()):
        total.join(tally)
        lines.append(_line(what, tally))
    lines.append(_line("all", total))
    lines += [f"refused {n} times: {reason}" for reason, n in total.reasons.most_common()]
    lines += [f"WRONG {text}" for text in total.wrong]
    return "\n".join(lines)


def _line(what: str, tally: Tally) -> str:
    drawn = tally.returned + tally.refused
    covered = tally.returned - len(tally.wrong)
    median = f"{np.median(tally.slack):.3g}" if tally.slack else "-"
    return (
        f"{what:34} {drawn:6} {tally.returned:9} {tally.refused:8} {covered:8} "
        f"{tally.worst:9.3g} {median:>22} {tally.seconds:8.1f}"
    )


def _without_numbers(text: str) -> str:
    """Reasons that differ in their numbers alone are one."""
    return re.sub(r"-?\d+(\.\d+)?(e[+-]?\d+)?", "#", text)[:160]
