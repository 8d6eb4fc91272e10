"""What the measurements of a sweep may be told."""

from __future__ import annotations

from dataclasses import dataclass

from numerics.core.validation import as_integer, as_scalar, kind_of
from theory import InputError, Model
from theory.keywords import with_known_keywords


@with_known_keywords
@dataclass(frozen=True)
class MeasureOptions:
    """What measurements may be told.

    Parameters
    ----------
    threshold : float, optional
        Largest overlap at which a run has escaped; half of its final value when omitted.
    blocks : tuple of int, optional
        Units a, counted from 1, whose diagonal blocks (a, a) are measured; all of them when
        omitted.

    Examples
    --------
    >>> from theory import kgmm
    >>> MeasureOptions(blocks=(1, 3)).units(kgmm(3)), MeasureOptions().units(kgmm(3))
    ([0, 2], [0, 1, 2])
    """

    threshold: float | None = None
    blocks: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if self.threshold is not None:
            as_scalar("threshold", self.threshold, 0.0, True, "give an overlap, such as 0.5")
        if self.blocks is not None:
            if not isinstance(self.blocks, (tuple, list)):
                expected, remedy = "units counted from 1", "write blocks=(1, 2)"
                raise InputError("blocks", kind_of(self.blocks), expected, remedy)
            if not self.blocks:
                raise InputError(
                    "blocks", "an empty list", "units counted from 1", "leave it away for all units"
                )
            for unit in self.blocks:
                as_integer("blocks", unit, 1, "units are counted from 1")

    def units(self, model: Model) -> list[int]:
        """0-based units whose blocks are measured."""
        wanted = range(1, model.units + 1) if self.blocks is None else self.blocks
        return [a - 1 for a in wanted if a <= model.units]
