"""The value of an expression at a point, with its error, where the expectations are known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import mpmath
import sympy as sp

from numerics.expectations.high_precision import high_precision_functions
from theory import GaussianExpectation


def evaluate(
    expression: sp.Expr,
    values: Mapping[sp.Symbol, sp.Expr],
    table: Mapping[GaussianExpectation, tuple[Any, Any]],
) -> tuple[Any, Any, Any]:
    """Value, error and size of an expression; the size adds absolute values where the value may
    cancel.

    The value is NaN where the expression is complex or infinite.
    """
    digits = mpmath.mp.dps
    numbers = {s: exact_number(v) for s, v in values.items()}
    value, error, size = evaluate_parts(expression, numbers, table)
    return value, error + size * mpmath.mpf(10) ** (5 - digits if digits > 30 else -14), size


def evaluate_parts(
    e: sp.Expr,
    numbers: Mapping[sp.Symbol, Any],
    table: Mapping[GaussianExpectation, tuple[Any, Any]],
) -> tuple[Any, Any, Any]:
    """Value, error and size by the parts of an expression, at numbers of mpmath."""
    if isinstance(e, GaussianExpectation):
        value, error = (real_or_nan(x) for x in table[e])
        return value, error, abs(value)
    if e.is_Symbol:
        return numbers[e], mpmath.mpf(0), abs(numbers[e])
    if e.is_Rational:
        exact = exact_number(e)
        return exact, mpmath.mpf(0), abs(exact)
    if e.is_Add:
        parts = [evaluate_parts(x, numbers, table) for x in e.args]
        return tuple(mpmath.fsum(p[i] for p in parts) for i in range(3))
    if e.is_Mul:
        value, error, size = mpmath.mpf(1), mpmath.mpf(0), mpmath.mpf(1)
        for x in e.args:
            v, d, m = evaluate_parts(x, numbers, table)
            value, error, size = value * v, error * m + size * d, size * m
        return value, error, size
    if e.is_Pow and e.exp.is_Integer:
        v, d, m = evaluate_parts(e.base, numbers, table)
        n = int(e.exp)
        if v == 0 and n < 0:
            return mpmath.nan, mpmath.mpf(0), mpmath.mpf(0)
        relative = abs(n) * d / abs(v) if v else d
        return v**n, abs(v**n) * relative, (m if n > 0 else abs(v)) ** n
    if e.has(GaussianExpectation):
        return _function(e, numbers, table)
    # a function of exact numbers
    plain = sp.N(
        e.xreplace({s: sp.Float(numbers[s], mpmath.mp.dps) for s in e.free_symbols}), mpmath.mp.dps
    )
    value = number_of(plain)
    return value, mpmath.mpf(0), abs(value)


def _function(
    e: sp.Expr,
    numbers: Mapping[sp.Symbol, Any],
    table: Mapping[GaussianExpectation, tuple[Any, Any]],
) -> tuple[Any, Any, Any]:
    """A function of expectations: its errors are how far it moves within those of its arguments."""
    parts = [evaluate_parts(a, numbers, table) for a in e.args]
    if not all(mpmath.isfinite(v) for v, _, _ in parts):
        return mpmath.nan, mpmath.mpf(0), mpmath.mpf(0)
    names = [sp.Dummy() for _ in e.args]
    plain = e.func(*names)
    call = sp.lambdify(names, plain, [high_precision_functions(), "mpmath"])

    def at(shift: int, only: int | None = None) -> Any:
        moved = [v + shift * d * (only in (None, i)) for i, (v, d, _) in enumerate(parts)]
        try:
            return real_or_nan(call(*moved))
        except (ArithmeticError, ValueError):
            return mpmath.nan

    value = at(0)
    moves = [abs(at(s, i) - value) for i, (_, d, _) in enumerate(parts) if d for s in (1, -1)]
    error = 2 * mpmath.fsum(moves)
    if not mpmath.isfinite(error):  # within the errors it has no value: nothing is certified
        error = abs(value) if mpmath.isfinite(value) else mpmath.mpf(0)
    return value, error, abs(value)


def number_of(value: sp.Expr) -> Any:
    """A number of SymPy as one of mpmath, NaN if it is complex or infinite."""
    return mpmath.nan if value.has(sp.zoo, sp.oo, sp.nan) else real_or_nan(mpmath.mpmathify(value))


def real_or_nan(value: Any) -> Any:
    """A number of mpmath, NaN if it is complex."""
    if isinstance(value, (complex, mpmath.mpc)):
        return mpmath.mpf(value.real) if value.imag == 0 else mpmath.nan
    return mpmath.mpf(value)


def exact_number(value: Any) -> Any:
    """A number of mpmath, rational ones without rounding before the last digit."""
    value = sp.sympify(value)
    if value.is_Rational:
        return mpmath.mpf(int(value.p)) / int(value.q)
    return mpmath.mpmathify(sp.N(value, mpmath.mp.dps))
