"""What a method of simulation contributes to the generated kernel: lines of source."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from theory import Loss


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
        Draws sample j of a batch: sets its component ``l`` and, in ``u``, its pre-activations,
        those of the teachers and label noise.
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


def unpack_lines(arrays: Any, name: str = "s") -> str:
    """``x = s.x`` for all fields of a named tuple."""
    return "\n".join(f"{field} = {name}.{field}" for field in arrays._fields)


def lines_of_teachers(loss: Loss, along: str) -> str:
    """Lines that put the fields of teachers and label noise into ``u``, behind the units.

    Nothing for a loss of pre-activations alone.  ``along`` is coordinate q of sample j in the
    orthonormal basis of the directions, of which row s of ``factor`` makes e_s.
    """
    lines = []
    for n, s in enumerate(loss.teachers, start=loss.units):
        lines += [
            f"u[{n}] = 0.0",
            f"for q in range({s + 1}):",
            f"    u[{n}] += factor[{s}, q] * {along}",
        ]
    if loss.has_label_noise:
        lines.append(f"u[{len(loss.fields) - 1}] = normal(state)")
    return "\n".join(lines) + "\n"
