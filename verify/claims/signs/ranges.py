"""Bounds of formulas over all states, by interval arithmetic rounded outwards.

1 - sin(m) is never negative and cosh(m) is never less than 1, whatever m is: regions behind such
forms need not be looked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import mpmath
import sympy as sp
from mpmath import iv

from theory import GaussianExpectation, Model, ReLU, Sigmoid, Softmax, Softplus, Step
from theory.expectations.existence import is_positive

Box = Mapping[sp.Symbol, Any]
# a form with more operations is not bounded
LARGEST = 400
_WHOLE = iv.mpf([-mpmath.inf, mpmath.inf])
_POSITIVE, _UNIT, _BOTH = iv.mpf([0, mpmath.inf]), iv.mpf([0, 1]), iv.mpf([-1, 1])


@lru_cache(maxsize=5_000)
def bounds(model: Model | None, form: sp.Expr) -> tuple[float, float]:
    """Bounds of a form at every state where it has a value.

    Examples
    --------
    >>> x = sp.Symbol("x", real=True)
    >>> bounds(None, sp.cosh(x) - sp.sin(x) / 2)
    (0.5, inf)
    """
    found = _range(form, _box(model)) if form.count_ops() <= LARGEST else None
    found = _WHOLE if found is None else found
    return float(found.a), float(found.b)


@lru_cache(maxsize=64)
def _box(model: Model | None) -> Box:
    """Where symbols lie of which SymPy knows less."""
    if model is None:
        return {}
    s = model.symbols
    diagonal = (
        gram[first + i, i]
        for gram in (s.gram, s.gram_perp)
        for first in range(0, gram.rows, s.units)
        for i in range(s.units)
    )
    found = {x: _POSITIVE for x in diagonal if x.is_Symbol}
    return found | {p: _UNIT for p in model.mixture.weights if p.is_Symbol}


def _range(e: sp.Expr, box: Box) -> Any:
    """An interval around all values, None where they may be complex."""
    if e.is_Rational:
        return iv.mpf(int(e.p)) / int(e.q)
    if e is sp.pi:
        return iv.pi
    if e in box:
        return box[e]
    if isinstance(e, GaussianExpectation):
        return _POSITIVE if is_positive(e) else _WHOLE
    parts = [_range(x, box) for x in e.args]
    found = None
    if parts and not any(p is None for p in parts):
        try:
            found = _operation(e, parts)
        except (ArithmeticError, ValueError):  # a bound that is infinite in the wrong place
            found = None
    if found is not None and not any(map(mpmath.isnan, (found.a, found.b))):
        return found
    return _POSITIVE if e.is_nonnegative else _WHOLE if e.is_real else None


def _operation(e: sp.Expr, parts: list[Any]) -> Any:
    if e.is_Add:
        return sum(parts, iv.mpf(0))
    if e.is_Mul:
        total = iv.mpf(1)
        for part in parts:
            total = total * part
        return total
    if isinstance(e, sp.exp):
        return iv.exp(parts[0])
    if e.is_Pow:
        return _power(parts[0], e.exp)
    rule = _RULES.get(e.func)
    return None if rule is None else rule(*parts)


def _power(base: Any, exponent: sp.Expr) -> Any:
    """A root of what may be negative may be complex, and a product of two such roots negative."""
    if exponent.is_Integer:
        n = int(exponent)
        return base**n if n > 0 else 1 / base**-n
    if not base.a >= 0 or not exponent.is_real:
        return None
    return iv.sqrt(base) if exponent == sp.S.Half else _POSITIVE


def _rising(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Of a function that rises: from its value at one end to that at the other."""
    return lambda x: iv.mpf([function(x.a).a, function(x.b).b])


def _by_sign(largest: Any) -> Callable[[Any], Any]:
    """Of an odd function that rises to some number."""
    return lambda x: iv.mpf([0 if x.a >= 0 else -largest, 0 if x.b <= 0 else largest])


def _size(x: Any) -> Any:
    low, high = abs(x.a), abs(x.b)
    inside = x.a <= 0 and x.b >= 0
    first, last = (low, high) if low <= high else (high, low)
    return iv.mpf([0 if inside else first.a, last.b])


def _ramp(x: Any) -> Any:
    return iv.mpf([x.a if x.a >= 0 else 0, x.b if x.b >= 0 else 0])


def _step(x: Any) -> Any:
    return iv.mpf([1 if x.a > 0 else 0, 0 if x.b <= 0 else 1])


def _cosh(x: Any) -> Any:
    return _rising(lambda t: (iv.exp(t) + iv.exp(-t)) / 2)(_size(x))


def _log(x: Any) -> Any:
    return iv.log(x) if x.a >= 0 else None


_RULES: dict[Any, Callable[..., Any]] = {
    sp.log: _log,
    sp.sin: iv.sin,
    sp.cos: iv.cos,
    sp.cosh: _cosh,
    sp.sinh: _rising(lambda t: (iv.exp(t) - iv.exp(-t)) / 2),
    sp.tanh: _rising(lambda t: 1 - 2 / (iv.exp(2 * t) + 1)),
    sp.erf: _by_sign(1),
    sp.atan: _by_sign(iv.pi.b / 2),
    sp.Abs: _size,
    ReLU: _ramp,
    Step: _step,
    Sigmoid: _rising(lambda t: 1 / (1 + iv.exp(-t))),
    Softplus: _rising(lambda t: iv.log(1 + iv.exp(t))),
    Softmax: lambda *_: _UNIT,
}
