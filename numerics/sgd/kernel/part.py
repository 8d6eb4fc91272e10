"""What a method of simulation contributes to the generated kernel: lines of source."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class KernelPart:
    """Source of a method; in all of it ``@UNITS@`` stands for the number of units.

    Attributes
    ----------
    functions : str
        Functions that the lines call.
    unpack : str
        Names the arrays of the method, given as the tuple ``s``.
    begin : str
        Puts the weights of a replica where they are at step 0, from its row ``start``.
    record : str
        Writes the summary statistics into ``overlap[n, slot]`` and ``gram_perp[n, slot]``.
    sample : str
        Draws sample j of a batch: sets its component ``l`` and its pre-activations ``u``.
    update : str
        Takes the step, with the gradients ``g``, ``rate`` = delta / b and ``shrink`` = 1 - delta
        beta.
    """

    functions: str
    unpack: str
    begin: str
    record: str
    sample: str
    update: str


def unpack_lines(arrays: Any) -> str:
    """``x = s.x`` for all fields of a named tuple."""
    return "\n".join(f"{name} = s.{name}" for name in arrays._fields)
