"""One step of SGD on samples that hold several tokens: the lines of a method, for each of them.

A sample draws its component once, and then a feature for every token; their pre-activations stand
one behind the other in ``u``.  A step with P tokens moves the weights as a batch of P samples does,
with the gradient in the pre-activations of each: row j P + p of the arrays of features is token p
of sample j.
"""

from __future__ import annotations

import re
from dataclasses import replace
from textwrap import indent

from theory import Loss

from . import direct, reduced
from .part import KernelPart


def direct_part(loss: Loss) -> KernelPart:
    """The direct method for a loss of several tokens."""
    preactivations, _ = direct.step_lines(loss.units, "features[j, i]", "features[0, i]")
    feature = direct.FEATURE.replace("@SCALE@", "") + preactivations
    return _of_tokens(direct.part(loss), loss.tokens, direct.COMPONENT, feature)


def reduced_part(loss: Loss) -> KernelPart:
    """The reduced method for a loss of several tokens."""
    return _of_tokens(reduced.part(loss), loss.tokens, reduced.COMPONENT, reduced.FEATURE)


def _of_tokens(part: KernelPart, tokens: int, component: str, feature: str) -> KernelPart:
    """A part whose samples have rows of their own for every token."""
    changes = {
        ", j, ": ", row, ",
        "[j": "[row",
        "means[l, ": "means[mean, ",
        " u[": " u[first + ",
        "\nu[": "\nu[first + ",
    }
    for old, new in changes.items():
        feature = feature.replace(old, new)
    sample = (
        f"{component}for p in range({tokens}):\n"
        f"    row, mean, first = j * {tokens} + p, l * {tokens} + p, p * @UNITS@\n"
        f"{indent(feature, '    ')}"
    )
    update = re.sub(r"\bg\b", "rows", re.sub(r"\bbatch\b", "rows.shape[0]", part.update))
    update = f"rows = g[:, :@FIELDS@].copy().reshape((batch * {tokens}, @UNITS@))\n{update}"
    return replace(part, sample=sample, update=update)
