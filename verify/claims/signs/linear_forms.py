"""Linear forms that are never positive together, shown by multipliers in exact arithmetic."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import sympy as sp

# multipliers below this are none; denominators among which they are looked for
NONE, DENOMINATOR = 1e-9, 10_000


def exclude_each_other(
    positive: Sequence[sp.Expr], zero: Sequence[sp.Expr] = (), not_negative: Sequence[sp.Expr] = ()
) -> bool:
    """Whether it is shown that forms are not all positive where others are zero, or not negative.

    By Farkas' lemma this is so where some combination of them, with multipliers that are not
    negative for all but the zeros, and positive for one that is positive, is a number that is not
    positive.  Linear programming finds the multipliers in floating point; they are taken for
    fractions, and count where those are exact.

    Examples
    --------
    >>> x, y = sp.symbols("x y", real=True)
    >>> exclude_each_other([x - y - 1, y - x]), exclude_each_other([x - y - 1, y + x])
    (True, False)
    """
    from scipy.optimize import linprog  # a quarter of a second that few claims need

    forms = [*positive, *not_negative, *zero]
    names = sorted(set().union(*(f.free_symbols for f in forms)), key=str)
    polynomials = [sp.Poly(f, *names) for f in forms]
    slopes = [[p.coeff_monomial(x) for x in names] for p in polynomials]
    offsets = [p.coeff_monomial(1) for p in polynomials]
    if not all(x.is_number for row in (*slopes, offsets) for x in row):
        return False
    count, signed = len(positive), len(positive) + len(not_negative)
    # the combination of least value; multipliers of the positive forms have the sum 1
    found = linprog(
        np.array(offsets, dtype=float),
        A_eq=np.vstack([np.array(slopes, dtype=float).T, np.arange(len(forms)) < count]),
        b_eq=[*np.zeros(len(names)), 1.0],
        bounds=[(0, None) if i < signed else (None, None) for i in range(len(forms))],
    )
    if not found.success or found.fun > NONE:
        return False
    return any(
        _is_shown(multipliers, slopes, offsets, count, signed)
        for multipliers in _fractions(found.x, slopes)
    )


def _fractions(found: np.ndarray, slopes: Sequence[Sequence[sp.Expr]]) -> list[list[sp.Expr]]:
    """What the multipliers may be exactly: near fractions, or the one dependence of the forms."""
    near = [Fraction(float(x)).limit_denominator(DENOMINATOR) for x in found]
    candidates = [[sp.Rational(x.numerator, x.denominator) for x in near]]
    used = [i for i, x in enumerate(found) if abs(x) > NONE]
    dependences = sp.Matrix([slopes[i] for i in used]).T.nullspace()
    if len(dependences) == 1:
        (vector,) = dependences
        largest = max(range(len(used)), key=lambda j: abs(found[used[j]]))
        scale = sp.sign(vector[largest]) * (1 if found[used[largest]] > 0 else -1)
        whole = [sp.Integer(0)] * len(found)
        for i, x in zip(used, vector, strict=True):
            whole[i] = scale * x
        candidates.append(whole)
    return candidates


def _is_shown(
    multipliers: Sequence[sp.Expr],
    slopes: Sequence[Sequence[sp.Expr]],
    offsets: Sequence[sp.Expr],
    count: int,
    signed: int,
) -> bool:
    if any(x.is_nonnegative is not True for x in multipliers[:signed]):
        return False
    if not any(multipliers[:count]):
        return False
    totals = [
        sp.Add(*(m * row[j] for m, row in zip(multipliers, slopes, strict=True)))
        for j in range(len(slopes[0]))
    ]
    value = sp.Add(*(m * c for m, c in zip(multipliers, offsets, strict=True)))
    return all(t == 0 for t in totals) and bool(value.is_nonpositive)
