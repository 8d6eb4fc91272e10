r"""Momentum in the reduced chain: the velocities are further rows, which samples move as well.

A heavy ball, :math:`w\leftarrow\theta w-\delta(\hat gY+Kx)`, :math:`x\leftarrow x+w`, is a chain of
the 2C vectors (x, w): both rows of a unit get the same sample, and a constant matrix mixes them.
The law of a step depends on their overlaps and Gram matrices alone, so that the chain stays exact
at any d (mathematics.md sections 6 and 12).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import sympy as sp

from numerics.core.validation import Array
from theory import Loss
from theory.problem.updating.rule import Rule


def with_velocities(rule: Rule) -> tuple[Loss, Rule]:
    """The loss and the rule of units and velocities; the loss does not hold the latter."""
    loss, c = rule.loss, rule.loss.units
    wide = replace(loss, units=2 * c, gauge=None, layers=(), output=None)
    slopes = (*rule.slopes[:c], *rule.slopes[:c], *rule.slopes[c:])
    ridges = (*rule.ridges[:c], *rule.ridges[:c], *rule.ridges[c:])
    decay = sp.Matrix([[rule.decay, sp.zeros(c)], [rule.decay, sp.zeros(c)]])
    decay = sp.ImmutableDenseMatrix(decay)
    return wide, replace(rule, loss=wide, slopes=slopes, ridges=ridges, decay=decay)


def mixing(rule: Rule) -> Array:
    """What a step subtracts of the rows beside samples and decay, of a rule of both."""
    c, theta = rule.loss.units // 2, float(rule.momentum)
    found = np.zeros((2 * c, 2 * c))
    found[:c, c:] = -theta * np.eye(c)
    found[c:, c:] = (1 - theta) * np.eye(c)
    return found
