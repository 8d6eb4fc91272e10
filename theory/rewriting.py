"""Derivatives and substitutions that visit every distinct part of an expression once.

Derivatives of networks hold the same functions in many places.  SymPy's own ``diff``, ``xreplace``
and ``replace`` walk a part again wherever it stands, and ``diff`` walks all of its result at every
level.  The results here are the same expressions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import sympy as sp
from sympy.core.function import ArgumentIndexError


def derivative_of(expression: sp.Expr, symbol: sp.Symbol) -> sp.Expr:
    """The derivative in a symbol, as ``expression.diff(symbol)`` states it.

    Examples
    --------
    >>> x, y = sp.symbols("x y")
    >>> derivative_of(x * sp.sin(x * y), y)
    x**2*cos(x*y)
    """
    known: dict[sp.Basic, sp.Expr] = {symbol: sp.Integer(1)}

    def of(e: sp.Basic) -> sp.Expr:
        found = known.get(e)
        if found is None:
            found = known[e] = _by_parts(e, symbol, of)
        return found

    return of(expression)


def _by_parts(e: sp.Basic, symbol: sp.Symbol, of: Callable[[sp.Basic], sp.Expr]) -> sp.Expr:
    """That of an expression from those of its parts."""
    if e.is_Atom:
        return sp.Integer(0)
    rule = type(e)._eval_derivative
    if isinstance(e, sp.Add):
        return sp.Add(*(of(a) for a in e.args))
    if isinstance(e, sp.Mul):
        args = e.args
        slopes = [of(a) for a in args]
        terms = (sp.Mul(*args[:i], s, *args[i + 1 :]) for i, s in enumerate(slopes) if s != 0)
        return sp.Add(*terms)
    if isinstance(e, sp.Pow):
        base, power = of(e.base), of(e.exp)
        if base == 0 and power == 0:
            return sp.Integer(0)
        return e * (power * sp.log(e.base) + base * e.exp / e.base)
    if isinstance(e, sp.Function) and (
        rule is sp.Function._eval_derivative or getattr(type(e), "chain_rule", False)
    ):
        slopes = [of(a) for a in e.args]
        return sp.Add(*(_slope(e, i + 1) * s for i, s in enumerate(slopes) if s != 0))
    return e.diff(symbol)


def _slope(function: sp.Function, place: int) -> sp.Expr:
    """The derivative of a function in one of its arguments."""
    try:
        return function.fdiff(place)
    except ArgumentIndexError:
        return sp.Function.fdiff(function, place)


class Rewriting:
    """A substitution and then a function of every part, from the inside out.

    Parameters
    ----------
    rule : mapping
        What stands for what, as for ``xreplace``; what is put in is not searched.
    function : callable, optional
        From a part, whose own parts are rewritten, to what stands in its place.

    Examples
    --------
    >>> x, y = sp.symbols("x y")
    >>> put = Rewriting({x: y})
    >>> put(x * sp.sin(x)), put(sp.sin(x))
    (y*sin(y), sin(y))
    """

    def __init__(
        self,
        rule: Mapping[sp.Basic, sp.Basic],
        function: Callable[[sp.Basic], sp.Basic] | None = None,
    ) -> None:
        self._known: dict[sp.Basic, sp.Basic] = dict(rule)
        self._function = function

    def __call__(self, e: sp.Basic) -> sp.Basic:
        found = self._known.get(e)
        if found is None:
            found = self._known[e] = self._rewritten(e)
        return found

    def _rewritten(self, e: sp.Basic) -> sp.Basic:
        if e.args:
            args = tuple(self(a) for a in e.args)
            if any(new is not old for new, old in zip(args, e.args, strict=True)):
                e = e.func(*args)
        return e if self._function is None else self._function(e)
