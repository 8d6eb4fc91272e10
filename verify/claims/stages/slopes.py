"""Value and derivatives of an expression at numbers, carried through its parts together.

An influence function has a slope for every mean. Sums, products and powers need no derivative of
the whole expression as a formula, which would be written out once for every mean.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import sympy as sp

Slopes = dict[sp.Symbol, float]


def value_and_slopes(e: sp.Expr, at: Mapping[sp.Symbol, float]) -> tuple[float, Slopes]:
    """The value of an expression, and its derivatives by the symbols it depends on.

    The value is NaN where it is complex or infinite.

    Examples
    --------
    >>> x, y = sp.symbols("x y", real=True)
    >>> value, slopes = value_and_slopes(x**2 * y + 1, {x: 3.0, y: 2.0})
    >>> value, slopes[x], slopes[y]
    (19.0, 12.0, 9.0)
    """
    if e in at:
        return at[e], {e: 1.0}
    if not e.free_symbols:
        return number_or_nan(e), {}
    if e.is_Add:
        parts = [value_and_slopes(x, at) for x in e.args]
        slopes: Slopes = {}
        for _, own in parts:
            _add(slopes, own, 1.0)
        return float(sum(value for value, _ in parts)), slopes
    if e.is_Mul:
        return _product([value_and_slopes(x, at) for x in e.args])
    if e.is_Pow and e.exp.is_Integer:
        base, own = value_and_slopes(e.base, at)
        n = int(e.exp)
        if base == 0 and n < 0:
            return np.nan, {}
        return float(base**n), {x: n * base ** (n - 1) * slope for x, slope in own.items()}
    numbers = {x: sp.Float(v) for x, v in at.items()}
    used = [x for x in at if x in e.free_symbols]
    return number_or_nan(e.xreplace(numbers)), {x: float(e.diff(x).xreplace(numbers)) for x in used}


def _product(parts: list[tuple[float, Slopes]]) -> tuple[float, Slopes]:
    value: float = 1.0
    slopes: Slopes = {}
    for factor, own in parts:
        slopes = {x: slope * factor for x, slope in slopes.items()}
        _add(slopes, own, value)
        value *= factor
    return value, slopes


def _add(total: Slopes, more: Slopes, times: float) -> None:
    for x, slope in more.items():
        total[x] = total.get(x, 0.0) + times * slope


def number_or_nan(value: sp.Expr) -> float:
    """A float; NaN where it is complex or infinite."""
    value = value if value.is_Number else sp.N(value)
    return float(value) if value.is_real and value.is_finite else np.nan
