"""Value and derivatives of an expression at numbers, carried through its parts together.

An influence function has a slope for every mean. Sums, products and powers need no derivative of
the whole expression as a formula, which would be written out once for every mean.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import sympy as sp

Slopes = dict[sp.Expr, float]


def value_and_slopes(
    e: sp.Expr, at: Mapping[sp.Expr, float], numbers: Mapping[sp.Symbol, sp.Expr] | None = None
) -> tuple[float, Slopes]:
    """The value of an expression, and its derivatives by the means it depends on.

    The value is NaN where it is complex or infinite.

    Parameters
    ----------
    e : sympy.Expr
    at : mapping Expr -> float
        The means: symbols, or expectations as they stand in the expression.
    numbers : mapping Symbol -> Expr, optional
        Exact numbers of all other symbols; no derivative is taken by them.

    Examples
    --------
    >>> x, y, beta = sp.symbols("x y beta", real=True)
    >>> means, numbers = {x: 3.0, y: 2.0}, {beta: sp.Integer(2)}
    >>> value, slopes = value_and_slopes(beta * x**2 * y + 1, means, numbers)
    >>> value, slopes[x], slopes[y]
    (37.0, 24.0, 18.0)
    """
    value, slopes = _parts(e, at, numbers or {})
    if not np.isnan([value, *slopes.values()]).any() or _has_open_powers(e):
        return value, slopes
    # a part may be beyond floats where the whole is not, as in exp(-x) exp(sqrt(x)) at 1e12
    try:
        return _by_formula(e, at, numbers or {})
    except (TypeError, OverflowError):  # a slope that is complex or infinite
        return value, slopes


def _has_open_powers(e: sp.Expr) -> bool:
    """Whether exact numbers would be raised to others, which may be 1e12."""
    return any(p.exp.free_symbols and p.base != sp.E for p in e.atoms(sp.Pow))


def _parts(
    e: sp.Expr, at: Mapping[sp.Expr, float], numbers: Mapping[sp.Symbol, sp.Expr]
) -> tuple[float, Slopes]:
    if e in at:
        return at[e], {e: 1.0}
    if e in numbers:
        return number_or_nan(numbers[e]), {}
    if e.is_Number:
        return number_or_nan(e), {}
    if e.is_Add:
        parts = [_parts(x, at, numbers) for x in e.args]
        slopes: Slopes = {}
        for _, own in parts:
            _add(slopes, own, 1.0)
        return float(sum(value for value, _ in parts)), slopes
    if e.is_Mul:
        return _product([_parts(x, at, numbers) for x in e.args])
    if e.is_Pow and e.exp.is_Integer:
        base, own = _parts(e.base, at, numbers)
        n = int(e.exp)
        if base == 0 and n < 0:
            return np.nan, {}
        return float(base**n), {x: n * base ** (n - 1) * slope for x, slope in own.items()}
    if e.is_Pow and e.base != sp.E and e.exp.free_symbols and not any(e.has(x) for x in at):
        # exact numbers to the power of 1e12 have as many digits
        base, exponent = (_parts(x, at, numbers)[0] for x in e.args)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            value = float(np.power(np.float64(base), exponent))
        return value if np.isfinite(value) else np.nan, {}
    return _by_formula(e, at, numbers)


def _by_formula(
    e: sp.Expr, at: Mapping[sp.Expr, float], numbers: Mapping[sp.Symbol, sp.Expr]
) -> tuple[float, Slopes]:
    """The same where the derivative is written out: what is no sum, product or power."""
    names = {x: sp.Dummy(real=True) for x in at if e.has(x)}
    # a mean may be an expectation, which holds symbols that are no numbers of the outside
    e = e.xreplace({**numbers, **names})
    values = {name: sp.Float(at[x]) for x, name in names.items()}
    slopes = {x: float(e.diff(name).xreplace(values)) for x, name in names.items()}
    return number_or_nan(e.xreplace(values)), slopes


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
