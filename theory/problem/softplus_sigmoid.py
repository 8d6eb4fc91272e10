"""Softplus and its derivative, the sigmoid."""

from __future__ import annotations

import sympy as sp
from sympy.printing.str import StrPrinter

from .stable_functions import Maximum, StableFunction


class Softplus(StableFunction):
    """log(1 + exp(f)); its derivative is the logistic function ``Sigmoid(f)``.

    Examples
    --------
    >>> f = sp.Symbol("f", real=True)
    >>> Softplus(f).diff(f, 2)
    -(Sigmoid(f) - 1)*Sigmoid(f)
    """

    is_positive = True

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        return Sigmoid(self.args[0])

    def _eval_rewrite_as_exp(self, f: sp.Expr, **hints: object) -> sp.Expr:
        return sp.log(1 + sp.exp(f))

    def stable(self) -> sp.Expr:
        f = self.args[0]
        return Maximum(f, 0) + sp.log(1 + sp.exp(-sp.Abs(f)))


class Sigmoid(StableFunction):
    """1 / (1 + exp(-f)); sigma' = sigma (1 - sigma).

    Examples
    --------
    >>> Sigmoid(0)
    1/2
    """

    is_positive = True

    @classmethod
    def eval(cls, f: sp.Expr) -> sp.Expr | None:
        return sp.Rational(1, 2) if f.is_zero else None

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        return self * (1 - self)

    def _eval_rewrite_as_exp(self, f: sp.Expr, **hints: object) -> sp.Expr:
        return 1 / (1 + sp.exp(-f))

    def stable(self) -> sp.Expr:
        return (1 + sp.tanh(self.args[0] / 2)) / 2

    def _latex(self, printer: StrPrinter, exp: str | None = None) -> str:
        power = "" if exp is None else f"^{{{exp}}}"
        return rf"\sigma{power}\left({printer._print(self.args[0])}\right)"
