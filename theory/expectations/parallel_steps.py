"""Products of steps whose kinks are parallel: one step, an interval, or nothing.

The forms of two parallel kinks determine each other, so that no orthant probability of both exists;
where their distance is a number the product of their steps is a sum of single steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import sympy as sp

from theory.problem.relu_step import Step


def separated(f: sp.Expr, u: Sequence[sp.Symbol]) -> sp.Expr | None:
    """An expanded sum of products with one step for each set of parallel kinks.

    None where the distance of two parallel kinks is no number.

    Examples
    --------
    >>> u = sp.symbols("u", real=True)
    >>> separated(Step(u - 1) * Step(u - 2), [u])
    step(u - 2)
    >>> separated(Step(u) * Step(1 - u), [u]) == Step(u) - Step(u - 1)
    True
    >>> separated(u * Step(u - 1) * sp.DiracDelta(u - 2), [u])
    u*DiracDelta(u - 2)
    """
    found = []
    for term in sp.Add.make_args(f):
        part = _separated(term, u)
        if part is None:
            return None
        found.append(part)
    return sp.Add(*found)


def _separated(term: sp.Expr, u: Sequence[sp.Symbol]) -> sp.Expr | None:
    factors = sp.Mul.make_args(term)
    edges = [e for e in factors if isinstance(e, (Step, sp.DiracDelta)) and e.has(*u)]
    # a delta stays and decides about the step beside it
    edges.sort(key=lambda e: isinstance(e, Step))
    for one, other in combinations(edges, 2):
        if not isinstance(other, Step):
            continue
        ratio = _ratio(one.args[0], other.args[0], u)
        if ratio is None:
            continue
        merged = _merged(one, other, ratio)
        if merged is None:
            return None
        rest = sp.Mul(*(e for e in factors if e not in (one, other)))
        return separated(sp.expand(rest * merged), u)
    return term


def _ratio(one: sp.Expr, other: sp.Expr, u: Sequence[sp.Symbol]) -> sp.Expr | None:
    """k with other = k one + a constant of u, None where there is no such number."""
    pairs = [(sp.expand(one.diff(a)), sp.expand(other.diff(a))) for a in u]
    ratios = {sp.cancel(b / a) for a, b in pairs if a != 0}
    if len(ratios) != 1 or any(a == 0 != b for a, b in pairs):
        return None
    (ratio,) = ratios
    return ratio if ratio.is_number and ratio != 0 else None


def _merged(one: sp.Expr, other: sp.Expr, ratio: sp.Expr) -> sp.Expr | None:
    """The product of a step, or delta, and a step of parallel kinks."""
    z = one.args[0]
    # the other kink is where z = -gap
    gap = sp.expand(other.args[0] / ratio - z)
    if not gap.is_number:
        return None
    if isinstance(one, sp.DiracDelta):
        if gap == 0:
            return None
        return one if gap * ratio > 0 else sp.Integer(0)
    if ratio > 0:
        return Step(z) if gap >= 0 else Step(sp.expand(z + gap))
    # z > 0 and z < -gap
    return Step(z) - Step(sp.expand(z + gap)) if gap < 0 else sp.Integer(0)
