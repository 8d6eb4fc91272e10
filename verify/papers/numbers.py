"""What a statement of a published work is judged by: our numbers beside those it claims."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import SupportsFloat

import numpy as np

from verify.verdict.compare import compare
from verify.verdict.tolerance import Chance, Comparison, Part, Verdict, judge_together

# probability that a true statement is refuted by chance, of all its numbers together
FAMILY_ERROR = 1e-7


@dataclass(frozen=True)
class Number:
    """A number of ours, the one that the work claims, and the one that a wrong theory has.

    Attributes
    ----------
    comparison : Comparison
        Of ours with the claimed one.
    wrong : float or None
        What a wrong theory puts in the place of the claimed number; None where both agree.
    """

    comparison: Comparison
    wrong: float | None = None


def number(
    quantity: str,
    here: SupportsFloat,
    claimed: SupportsFloat,
    *parts: Part | Chance,
    wrong: SupportsFloat | None = None,
    resolution: SupportsFloat | None = None,
    one_sided: bool = False,
) -> Number:
    """State a number: ours, the claimed one and the parts of the tolerance between them.

    Parameters
    ----------
    quantity : str
        What is compared, with its parameters.
    here, claimed : float
        What specalign finds, and what the work says (or what its formula gives).
    *parts : Part or Chance
        Of the tolerance, each with its reason.
    wrong : float, optional
        What the wrong theory of the statement says: the same tolerance has to refute it.
    resolution : float, optional
        A tolerance above it makes the verdict *inconclusive*.
    one_sided : bool
        The work claims that ``here`` is at most ``claimed``; the wrong theory then says that it is
        at least ``wrong``.
    """
    found = compare(quantity, here, claimed, *parts, resolution=resolution, one_sided=one_sided)
    return Number(found, None if wrong is None else float(wrong))


def mean_of_runs(
    quantity: str,
    runs: Sequence[float] | np.ndarray,
    claimed: SupportsFloat,
    *parts: Part,
    wrong: SupportsFloat | None = None,
    resolution: SupportsFloat | None = None,
) -> Number:
    """State the mean of independent runs; its standard error is the part left to chance."""
    values = np.asarray(runs, dtype=float)
    error = values.std(ddof=1) / np.sqrt(values.size)
    chance = Chance(float(error), values.size - 1)
    return number(
        quantity, values.mean(), claimed, chance, *parts, wrong=wrong, resolution=resolution
    )


@dataclass(frozen=True)
class Judged:
    """Numbers of a statement with their tolerances, and whether its wrong theory was refuted.

    Attributes
    ----------
    comparisons : list of Comparison
        As claimed.
    wrong : list of Comparison
        The same numbers beside those of the wrong theory, within the same tolerances.
    """

    comparisons: list[Comparison]
    wrong: list[Comparison]

    @property
    def wrong_is_refuted(self) -> bool:
        return any(c.verdict is Verdict.FAILS for c in self.wrong)

    @property
    def worst_wrong(self) -> Comparison | None:
        """What refutes the wrong theory most clearly."""
        return max(self.wrong, key=lambda c: c.badness, default=None)


def judge_numbers(numbers: Sequence[Number]) -> Judged:
    """Count the numbers of a statement, give them their tolerances, and judge both theories."""
    judged = judge_together([n.comparison for n in numbers], FAMILY_ERROR)
    pairs = zip(judged, numbers, strict=True)
    return Judged(judged, [_beside(c, n.wrong) for c, n in pairs if n.wrong is not None])


def _beside(judged: Comparison, wrong: float) -> Comparison:
    """The number beside that of the wrong theory; of bounds it says the contrary, at least."""
    if not judged.one_sided:
        return replace(judged, predicted=wrong)
    name = f"minus {judged.quantity}"
    return replace(judged, quantity=name, measured=-judged.measured, predicted=-wrong)
