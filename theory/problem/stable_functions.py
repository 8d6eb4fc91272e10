"""Functions with short derivatives, readable printing and an overflow-free form.

SymPy can differentiate ``log(exp(u1) + ... + exp(uk))``, but every derivative repeats the whole
sum.  These functions know their derivative in terms of each other, so that derivatives of the
softmax loss are polynomials in the class probabilities, and ``rewrite(exp)`` recovers the
elementary form at any time. ``stable()`` is the form that generated code uses: equal, but free of
overflow.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import sympy as sp

from theory.rewriting import Rewriting


class StableFunction(sp.Function):
    """A function with an overflow-free form for generated code."""

    def stable(self) -> sp.Expr:
        """Return an equal expression for code generation that does not overflow in floating point.

        It may contain :class:`Maximum`, which only generated code evaluates; ``rewrite(exp)`` is
        the form for everything else.
        """
        raise NotImplementedError(f"{type(self).__name__} must define stable()")

    def _eval_evalf(self, prec: int) -> sp.Expr | None:
        if self.free_symbols:
            return None
        # itself alone: a sine in its argument by exponentials would leave imaginary rounding
        elementary = self.rewrite(sp.exp, deep=False)
        return None if elementary == self else elementary._eval_evalf(prec)


class Maximum(sp.Function):
    """Largest of its arguments, never evaluated: only generated code will see it.

    ``sympy.Max`` compares its arguments symbolically at every construction, which dominates code
    generation.
    """

    is_real = True


def stabilise(expression: sp.Expr) -> sp.Expr:
    """Replace every :class:`StableFunction` by its overflow-free elementary form.

    Examples
    --------
    >>> f = sp.Symbol("f", real=True)
    >>> from theory import Sigmoid
    >>> stabilise(Sigmoid(f))
    tanh(f/2)/2 + 1/2
    """
    return stabilised([expression], {})[0]


def stabilised(expressions: Sequence[sp.Expr], names: Mapping[sp.Expr, sp.Expr]) -> list[sp.Expr]:
    """Expressions with other names, and then :func:`stabilise` of each; parts that they share are
    rewritten once.
    """
    rewrite = Rewriting(names, lambda e: e.stable() if isinstance(e, StableFunction) else e)
    return [rewrite(e) for e in expressions]
