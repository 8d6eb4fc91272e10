r"""The step of a model with a rule of its own: what takes the place of the update in the kernel.

A step subtracts :math:`\delta(\frac1b\sum_j\hat g_{aj}Y_j+\sum_bK_{ab}x^b)` from :math:`x^a`,
projected where the rule projects, and with momentum through a velocity (mathematics.md section 12).
The numbers of the rule come beside the arrays of the method, in :class:`RuleArrays`.
"""

from __future__ import annotations

from dataclasses import replace
from textwrap import indent
from typing import NamedTuple

import numpy as np
import sympy as sp

from numerics.core.validation import Array
from theory.problem.updating.rule import Rule
from theory.problem.updating.update import DOMINANT

from .part import KernelPart, unpack_lines
from .statistical import gain_lines, push_lines


class RuleArrays(NamedTuple):
    """The numbers of a rule, and what it remembers of a replica.

    Attributes
    ----------
    decay : array, shape (C, C)
        K, ridges included.
    readout_decay : array, shape (q,)
    momentum : float
    projector : array, shape (r, r)
        Onto the span of the means, in orthonormal coordinates of the directions.
    change : array, shape (C, width)
        Scratch: what a step subtracts; the width is that of the weights, d or r.
    rest : array, shape (C, C)
        Scratch: the factor of R_perp before its update.
    part : array, shape (r,)
        Scratch: coordinates along the directions.
    velocity : array, shape (C, width)
        The last movement, of rules with momentum.
    readout_velocity : array, shape (q,)
    mixing : array, shape (C, C)
        What a step subtracts beside delta times the decay: of the chain with momentum, whose rows
        are units and velocities.
    """

    decay: Array
    readout_decay: Array
    momentum: float
    projector: Array
    change: Array
    rest: Array
    part: Array
    velocity: Array
    readout_velocity: Array
    mixing: Array

    @classmethod
    def build(
        cls, rule: Rule, ridge: float, width: int, means: Array, mixing: Array | None = None
    ) -> RuleArrays:
        """Numbers at a ridge; ``means`` are orthonormal coordinates of the means, n x r."""
        c, q = rule.loss.units, len(rule.readout_decay)
        # the ridge is the one symbol that a rule may hold
        open_symbols = rule.decay.free_symbols.union(*(e.free_symbols for e in rule.readout_decay))
        symbols = dict.fromkeys(open_symbols, sp.Float(ridge, 17))
        decay = np.array(rule.decay.xreplace(symbols).tolist(), dtype=float).reshape(c, c)
        readout = np.array([float(e.xreplace(symbols)) for e in rule.readout_decay])
        projector = np.linalg.pinv(means) @ means if means.size else np.zeros((0, 0))
        r = means.shape[1]
        return cls(
            decay,
            readout,
            float(rule.momentum),
            np.ascontiguousarray(projector),
            np.zeros((c, width)),
            np.zeros((c, c)),
            np.zeros(r),
            np.zeros((c, width)),
            np.zeros(q),
            np.zeros((0, 0)) if mixing is None else mixing,
        )


def ruled(
    part: KernelPart, rule: Rule, weights: str, feature: str, banded: bool = False
) -> KernelPart:
    """The part of a method with the step of a rule.

    Parameters
    ----------
    part : KernelPart
        Of the plain gradient.
    rule : Rule
    weights : str
        Name of the array that moves, ``x`` or ``m``.
    feature : str
        Coordinate i of sample j of the batch.
    banded : bool
        Whether the noise has bands, in each of which the chain takes the step.
    """
    reduced, loss = weights == "m", rule.loss
    change, factor = _CHANGE, _FACTOR
    unpack, mixed = part.unpack, not rule.decay.is_diagonal()
    if loss.statistics:
        change, factor = (text.replace("decay[", "gains[") for text in (change, factor))
        change = gain_lines(loss) + change + push_lines(loss, reduced)
        unpack += "\ngains = np.empty((@UNITS@, @UNITS@))"
        mixed = mixed or any(each.first != each.second for each in loss.statistics)
    lines = change
    if rule.project is not None:
        dominant = rule.project == DOMINANT
        project = _PROJECT_M if reduced else _PROJECT_X
        project = project.replace("@FIRST@", "change[a, :] = 0.0" if dominant else "pass")
        lines += project.replace("@SIGN@", "+" if dominant else "-")
    if reduced and rule.momentum != 0:
        lines, factor = (_with_mixing(text) for text in (lines, factor))
        mixed = True
    lines += _VELOCITY if rule.momentum != 0 and not reduced else _MOVE
    if reduced and rule.project != DOMINANT:
        lines += factor + (_ANY if mixed else _ONE_OR_MANY)
    if banded and reduced:
        lines, feature = _in_every_band(lines), "y[band, j, i]"
    names = {"WEIGHTS": weights, "FEATURE": feature}
    for name, text in names.items():
        lines = lines.replace(f"@{name}@", text)
    unpack = f"s, rule = s_and_rule\n{unpack}\n{unpack_lines(RuleArrays, 'rule')}"
    begin = f"{part.begin}\nvelocity[:] = 0.0\nreadout_velocity[:] = 0.0"
    return replace(part, unpack=unpack, begin=begin, update=lines)


def _with_mixing(lines: str) -> str:
    """Decay and what mixes the rows whatever the step."""
    lines = lines.replace("if decay[a, b] != 0.0:", "if decay[a, b] != 0.0 or mixing[a, b] != 0.0:")
    return lines.replace("delta * decay[a, b]", "(delta * decay[a, b] + mixing[a, b])")


def _in_every_band(lines: str) -> str:
    """The lines of the reduced method, taken in one band after the other.

    Sample j moves the factor of a band as one with the gradient sigma_lg g_j
    (:mod:`numerics.sgd.kernel.banded`).
    """
    for old, new in (
        ("@WEIGHTS@[", "m[band, "),
        ("a_perp.shape[1]", "a_perp.shape[2]"),
        ("a_perp[", "a_perp[band, "),
        ("a_perp, zeta, wishart[k", "a_perp[band], zeta[band], wishart[band, k"),
        ("rate, g", "rate, h"),
    ):
        lines = lines.replace(old, new)
    return f"\nfor band in range(m.shape[0]):\n{indent(_UNITS_OF_NOISE + lines, '    ')}"


def readout_line(rule: Rule | None) -> str:
    """The movement of readout parameter i, of which ``total`` sums the gradients."""
    if rule is None:
        return "v[i] = shrink * v[i] - rate * total"
    change = "rate * total + delta * readout_decay[i] * v[i]"
    if rule.momentum == 0:
        return f"v[i] -= {change}"
    moved = f"readout_velocity[i] = momentum * readout_velocity[i] - ({change})"
    return f"{moved}\nv[i] += readout_velocity[i]"


# the head of ``record`` of the reduced method
_CHANGE = """
for a in range(@UNITS@):
    for i in range(change.shape[1]):
        change[a, i] = 0.0
    for j in range(batch):
        rate_a = rate * g[j, a]
        if rate_a != 0.0:
            for i in range(change.shape[1]):
                change[a, i] += rate_a * @FEATURE@
    for b in range(@UNITS@):
        if decay[a, b] != 0.0:
            for i in range(change.shape[1]):
                change[a, i] += delta * decay[a, b] * @WEIGHTS@[b, i]
"""

# into ``part``: coordinates of the change in the span of the means, for unit a
_PROJECT_X = """
for a in range(@UNITS@):
    part[:] = 0.0
    for q in range(basis.shape[0]):
        total = 0.0
        for i in range(basis.shape[1]):
            total += basis[q, i] * change[a, i]
        for p in range(basis.shape[0]):
            part[p] += projector[p, q] * total
    @FIRST@
    for q in range(basis.shape[0]):
        for i in range(basis.shape[1]):
            change[a, i] @SIGN@= part[q] * basis[q, i]
"""

_PROJECT_M = """
for a in range(@UNITS@):
    part[:] = 0.0
    for q in range(part.size):
        for p in range(part.size):
            part[p] += projector[p, q] * change[a, q]
    @FIRST@
    for q in range(part.size):
        change[a, q] @SIGN@= part[q]
"""

_MOVE = """
for a in range(@UNITS@):
    for i in range(change.shape[1]):
        @WEIGHTS@[a, i] -= change[a, i]
"""

_VELOCITY = """
for a in range(@UNITS@):
    for i in range(change.shape[1]):
        velocity[a, i] = momentum * velocity[a, i] - change[a, i]
        @WEIGHTS@[a, i] += velocity[a, i]
"""

# of [A, 0], what decays; the sample comes with the update
_FACTOR = """
for a in range(@UNITS@):
    for c in range(@UNITS@):
        rest[a, c] = a_perp[a, c]
        for b in range(@UNITS@):
            rest[a, c] -= delta * decay[a, b] * a_perp[b, c]
for a in range(@UNITS@):
    for c in range(a_perp.shape[1]):
        a_perp[a, c] = rest[a, c] if c < @UNITS@ else 0.0
"""

_UNITS_OF_NOISE = """
for a in range(@UNITS@):
    for j in range(batch):
        h[j, a] = spread[drawn[j], band] * g[j, a]
"""

_ANY = "update_many(a_perp, zeta, wishart[k], rate, g, triangle)\n"

_ONE_OR_MANY = f"""
if batch == 1:
    update_one(a_perp, zeta, wishart[k, 0, 0], rate, g)
else:
    {_ANY}"""
