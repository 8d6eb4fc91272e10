"""ReLU and its derivative, the step."""

from __future__ import annotations

import sympy as sp
from sympy.printing.str import StrPrinter

from .stable_functions import Maximum, StableFunction


class Step(StableFunction):
    r"""1 for f > 0, else 0: the derivative of :class:`ReLU`.

    It is idempotent, and its own derivative is DiracDelta(f).

    The value 0 at f = 0 is the convention of automatic differentiation; no expectation depends on
    it, and no comparison is made while f is symbolic.

    Examples
    --------
    >>> f = sp.Symbol("f", real=True)
    >>> Step(f)**3, Step(f).diff(f), Step(sp.Rational(1, 2)), Step(0)
    (step(f), DiracDelta(f), 1, 0)
    """

    is_real = True
    is_nonnegative = True

    @classmethod
    def eval(cls, f: sp.Expr) -> sp.Expr | None:
        if isinstance(f, (Step, ReLU)):  # both are positive where their argument is
            return Step(f.args[0])
        return sp.Integer(1 if f > 0 else 0) if f.is_number and f.is_comparable else None

    def _eval_power(self, exponent: sp.Expr) -> sp.Expr | None:
        return self if exponent.is_positive else None

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        return sp.DiracDelta(self.args[0])

    def stable(self) -> sp.Expr:
        return self

    def _sympystr(self, printer: StrPrinter) -> str:
        return f"step({printer._print(self.args[0])})"

    def _latex(self, printer: StrPrinter, exp: str | None = None) -> str:
        text = rf"\mathbf{{1}}_{{{printer._print(self.args[0])} > 0}}"
        return text if exp is None else rf"{text}^{{{exp}}}"


class ReLU(StableFunction):
    """max(f, 0); its derivative is ``Step(f)``.

    Unlike ``sympy.Max`` it never compares its arguments while they are symbolic.

    Examples
    --------
    >>> f = sp.Symbol("f", real=True)
    >>> ReLU(f).diff(f), ReLU(-3), ReLU(3), ReLU(ReLU(f))
    (step(f), 0, 3, relu(f))
    """

    is_real = True
    is_nonnegative = True

    @classmethod
    def eval(cls, f: sp.Expr) -> sp.Expr | None:
        if f.is_number and f.is_comparable:
            return f if f > 0 else sp.Integer(0)
        return f if isinstance(f, (Step, ReLU)) else None  # what is not negative is its own ramp

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        return Step(self.args[0])

    def stable(self) -> sp.Expr:
        return Maximum(self.args[0], 0)

    def _sympystr(self, printer: StrPrinter) -> str:
        return f"relu({printer._print(self.args[0])})"

    def _latex(self, printer: StrPrinter, exp: str | None = None) -> str:
        text = rf"\left({printer._print(self.args[0])}\right)_+"
        # an exponent beside the lowered + could be of what stands in the brackets
        return text if exp is None else rf"\left({text}\right)^{{{exp}}}"
