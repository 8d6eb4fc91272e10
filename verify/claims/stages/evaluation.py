"""The value of an expression at a point, with its error, where the expectations are known."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import mpmath
import sympy as sp

from numerics.expectations.high_precision import high_precision_functions
from theory import GaussianExpectation

# value, error and size
Triple = tuple[Any, Any, Any]
NOTHING = mpmath.mpf(0)


class Evaluator:
    """Values, errors and sizes of expressions at one point, in the digits mpmath is set to.

    What expressions share is evaluated once: the candidates of a repair differ from a claim, and a
    claim from what is derived, in little.

    Parameters
    ----------
    values : mapping Symbol -> Expr
        Exact numbers.
    table : mapping GaussianExpectation -> (value, error)

    Attributes
    ----------
    digits : int
        Those mpmath was set to where it was made.
    """

    def __init__(
        self,
        values: Mapping[sp.Symbol, sp.Expr],
        table: Mapping[GaussianExpectation, tuple[Any, Any]],
    ) -> None:
        self._values, self._table = values, table
        self.digits = mpmath.mp.dps
        self._known: dict[sp.Expr, Triple] = {}

    def evaluate(self, expression: sp.Expr) -> Triple:
        """Value, error and size of an expression; the size adds absolute values where the value
        may cancel.

        The value is NaN where the expression is complex or infinite.
        """
        value, error, size = self.parts(expression)
        digits = self.digits
        return value, error + size * mpmath.mpf(10) ** (5 - digits if digits > 30 else -14), size

    def knows(self, nodes: Iterable[GaussianExpectation]) -> bool:
        """Whether the values of expectations are known."""
        return all(node in self._table for node in nodes)

    def parts(self, e: sp.Expr) -> Triple:
        """The same by the parts of an expression, without the rounding of the whole."""
        found = self._known.get(e)
        if found is None:
            found = self._known[e] = self._parts(e)
        return found

    def _parts(self, e: sp.Expr) -> Triple:
        if isinstance(e, GaussianExpectation):
            value, error = (real_or_nan(x) for x in self._table[e])
            return value, error, abs(value)
        if e.is_Symbol or e.is_Rational:
            exact = exact_number(self._values[e] if e.is_Symbol else e)
            return exact, NOTHING, abs(exact)
        if e.is_Add:
            columns = zip(*(self.parts(x) for x in e.args), strict=True)
            value, error, size = (mpmath.fsum(column) for column in columns)
            return value, error, size
        if e.is_Mul:
            return self._product(e)
        if e.is_Pow and e.exp.is_Integer:
            v, d, m = self.parts(e.base)
            n = int(e.exp)
            if v == 0 and n < 0:
                return mpmath.nan, NOTHING, NOTHING
            relative = abs(n) * d / abs(v) if v else d
            return v**n, abs(v**n) * relative, (m if n > 0 else abs(v)) ** n
        if e.has(GaussianExpectation):
            return self._function(e)
        return self._plain(e)

    def _product(self, e: sp.Expr) -> Triple:
        value, error, size = mpmath.mpf(1), NOTHING, mpmath.mpf(1)
        for x in e.args:
            v, d, m = self.parts(x)
            value, error, size = value * v, error * m + size * d, size * m
        return value, error, size

    def _plain(self, e: sp.Expr) -> Triple:
        """A function of exact numbers."""
        digits = self.digits
        numbers = {s: sp.Float(self.parts(s)[0], digits) for s in e.free_symbols}
        value = number_of(sp.N(e.xreplace(numbers), digits))
        if not mpmath.isfinite(value):
            # at the edge of where it is real, as the root of a determinant that is zero
            value = number_of(sp.N(e.xreplace(dict(self._values)), digits))
        return value, NOTHING, abs(value)

    def _function(self, e: sp.Expr) -> Triple:
        """A function of expectations: its errors are how far it moves within those of its
        arguments.
        """
        parts = [self.parts(a) for a in e.args]
        if not all(mpmath.isfinite(v) for v, _, _ in parts):
            return mpmath.nan, NOTHING, NOTHING
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
            error = abs(value) if mpmath.isfinite(value) else NOTHING
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
