"""Log-sum-exp and its gradient, the softmax."""

from __future__ import annotations

import mpmath
import sympy as sp
from sympy.printing.str import StrPrinter

from .stable_functions import Maximum, StableFunction

# of precision beyond what is asked, for sums of exponentials
GUARD_BITS = 30


class LogSumExp(StableFunction):
    r"""log sum_c exp(u_c); its derivative in u_a is ``Softmax(a, u_1, ..., u_k)``.

    Examples
    --------
    >>> u, v = sp.symbols("u v", real=True)
    >>> LogSumExp(u, v).diff(u)
    softmax_1(u, v)
    """

    is_real = True

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        return Softmax(argindex, *self.args)

    def _eval_rewrite_as_exp(self, *args: sp.Expr, **hints: object) -> sp.Expr:
        return sp.log(sp.Add(*(sp.exp(a) for a in args)))

    def _eval_evalf(self, prec: int) -> sp.Expr | None:
        if self.free_symbols:
            return None
        lost = 0  # bits, where the terms nearly cancel
        while lost <= 4 * prec:
            working = prec + GUARD_BITS + lost
            with mpmath.workprec(working):
                *rest, top = sorted(a._to_mpmath(working) for a in self.args)
                value = top + mpmath.log1p(mpmath.fsum(mpmath.exp(x - top) for x in rest))
                cancelled = mpmath.mag(top) - mpmath.mag(value) if value else working
            if cancelled <= lost + GUARD_BITS // 2:
                return sp.Expr._from_mpmath(value, prec)
            lost = cancelled
        return super()._eval_evalf(prec)  # nothing is left, as of -log(2) twice

    def stable(self) -> sp.Expr:
        top = Maximum(*self.args)
        return top + sp.log(sp.Add(*(sp.exp(a - top) for a in self.args)))

    def _latex(self, printer: StrPrinter, exp: str | None = None) -> str:
        arguments = ", ".join(printer._print(a) for a in self.args)
        text = rf"\operatorname{{lse}}\left({arguments}\right)"
        return text if exp is None else rf"{text}^{{{exp}}}"


class Softmax(StableFunction):
    r"""Class probability pi_a(u) = exp(u_a) / sum_c exp(u_c).

    The first argument is the 1-based index a.  d pi_a / d u_b = pi_a (delta_ab - pi_b).

    Examples
    --------
    >>> u, v = sp.symbols("u v", real=True)
    >>> Softmax(1, u, v).diff(v)
    -softmax_1(u, v)*softmax_2(u, v)
    >>> Softmax(1, u, v).subs({u: 0, v: 0}).rewrite(sp.exp)
    1/2
    """

    is_positive = True
    # of all arguments but the index, which does not vary
    chain_rule = True

    @property
    def index(self) -> int:
        return int(self.args[0])

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        if argindex == 1:
            raise sp.core.function.ArgumentIndexError(self, argindex)
        other = argindex - 1
        return self * (int(self.index == other) - Softmax(other, *self.args[1:]))

    def _eval_derivative(self, s: sp.Symbol) -> sp.Expr:
        # the base class would differentiate the index argument too
        return sp.Add(
            *(self.fdiff(i + 2) * a.diff(s) for i, a in enumerate(self.args[1:]) if a.has(s))
        )

    def _eval_rewrite_as_exp(self, index: sp.Expr, *args: sp.Expr, **hints: object) -> sp.Expr:
        return sp.exp(args[int(index) - 1]) / sp.Add(*(sp.exp(a) for a in args))

    def _eval_evalf(self, prec: int) -> sp.Expr | None:
        if self.free_symbols:
            return None
        with mpmath.workprec(prec + GUARD_BITS):
            u = [a._to_mpmath(prec + GUARD_BITS) for a in self.args[1:]]
            share = 1 / mpmath.fsum(mpmath.exp(x - u[self.index - 1]) for x in u)
        return sp.Expr._from_mpmath(share, prec)

    def stable(self) -> sp.Expr:
        arguments = self.args[1:]
        top = Maximum(*arguments)
        return sp.exp(arguments[self.index - 1] - top) / sp.Add(
            *(sp.exp(a - top) for a in arguments)
        )

    def _sympystr(self, printer: StrPrinter) -> str:
        arguments = ", ".join(printer._print(a) for a in self.args[1:])
        return f"softmax_{self.index}({arguments})"

    def _latex(self, printer: StrPrinter, exp: str | None = None) -> str:
        arguments = ", ".join(printer._print(a) for a in self.args[1:])
        power = "" if exp is None else f"^{{{exp}}}"
        return rf"\pi_{{{self.index}}}{power}\left({arguments}\right)"
