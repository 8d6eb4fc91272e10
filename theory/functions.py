"""Smooth functions a loss may use, with derivatives that stay small and printing that stays readable.

SymPy can differentiate ``log(exp(u1) + ... + exp(uk))``, but every derivative repeats the whole sum.  These
functions know their derivative in terms of each other, so that derivatives of the softmax loss are
polynomials in the class probabilities, and ``rewrite(exp)`` recovers the elementary form at any time.
``stable()`` is the form that generated code uses: equal, but free of overflow.
"""

from __future__ import annotations

import sympy as sp
from sympy.printing.str import StrPrinter


class StableFunction(sp.Function):
    """A function with an overflow-free form for generated code."""

    def stable(self) -> sp.Expr:
        """Return an equal expression for code generation that does not overflow in floating point.

        It may contain :class:`Maximum`, which only generated code evaluates; ``rewrite(exp)`` is the form for
        everything else.
        """
        raise NotImplementedError(f"{type(self).__name__} must define stable()")

    def _eval_evalf(self, prec: int) -> sp.Expr | None:
        if self.free_symbols:
            return None
        return self.rewrite(sp.exp)._eval_evalf(prec)


class Maximum(sp.Function):
    """Largest of its arguments, never evaluated: for stable forms that only generated code will see.

    ``sympy.Max`` compares its arguments symbolically at every construction, which dominates code generation.
    """

    is_real = True


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
            *(
                self.fdiff(i + 2) * a.diff(s)
                for i, a in enumerate(self.args[1:])
                if a.has(s)
            )
        )

    def _eval_rewrite_as_exp(self, index: sp.Expr, *args: sp.Expr, **hints: object) -> sp.Expr:
        return sp.exp(args[int(index) - 1]) / sp.Add(*(sp.exp(a) for a in args))

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


class Step(StableFunction):
    r"""1 for f > 0, else 0: the derivative of :class:`ReLU`, idempotent; its own derivative is DiracDelta(f).

    The value 0 at f = 0 is the convention of automatic differentiation; no expectation depends on it, and no
    comparison is made while f is symbolic.

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
    >>> ReLU(f).diff(f), ReLU(-3), ReLU(3)
    (step(f), 0, 3)
    """

    is_real = True
    is_nonnegative = True

    @classmethod
    def eval(cls, f: sp.Expr) -> sp.Expr | None:
        if f.is_number and f.is_comparable:
            return f if f > 0 else sp.Integer(0)
        return None

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        return Step(self.args[0])

    def stable(self) -> sp.Expr:
        return Maximum(self.args[0], 0)

    def _sympystr(self, printer: StrPrinter) -> str:
        return f"relu({printer._print(self.args[0])})"

    def _latex(self, printer: StrPrinter, exp: str | None = None) -> str:
        text = rf"\left({printer._print(self.args[0])}\right)_+"
        return text if exp is None else rf"{text}^{{{exp}}}"


def stabilise(expression: sp.Expr) -> sp.Expr:
    """Replace every :class:`StableFunction` by its overflow-free elementary form.

    Examples
    --------
    >>> f = sp.Symbol("f", real=True)
    >>> stabilise(Sigmoid(f))
    tanh(f/2)/2 + 1/2
    """
    return expression.replace(
        lambda e: isinstance(e, StableFunction), lambda e: e.stable()
    )
