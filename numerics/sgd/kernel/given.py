"""One step of SGD on samples that are given: the part of the generated kernel that reads them in
order.
"""

from __future__ import annotations

from typing import NamedTuple

from numerics.core.validation import Array, Floats
from theory import Loss

from .direct import step_lines
from .part import KernelPart, unpack_lines


class GivenArrays(NamedTuple):
    """What the kernel works on.

    Attributes
    ----------
    x : array, shape (C, d)
        First-layer weights, changed in place.
    samples : array, shape (steps b, d)
        Step k sees rows k b to (k + 1) b; the labels stand in the place of those of the components.
    beside : array, shape (fields - C, steps b)
        What the teachers see of the samples, and their label noise.
    """

    x: Array
    samples: Floats
    beside: Array


def part(loss: Loss) -> KernelPart:
    """Given samples, for a loss; nothing is recorded and no random number drawn."""
    sample, update = step_lines(loss.units, "samples[l, i]", "samples[first, i]")
    more = len(loss.fields) - loss.units
    sample += "".join(f"u[{loss.units + n}] = beside[{n}, l]\n" for n in range(more))
    return KernelPart(
        "",
        unpack_lines(GivenArrays),
        "pass",
        "pass",
        "l = (step - begin) * batch + j\n" + sample,
        "first = (step - begin) * batch\n"
        + update.replace("samples[l, i]", "samples[first + j, i]"),
    )
