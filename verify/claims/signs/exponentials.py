"""Exponentials as powers of symbols."""

from __future__ import annotations

from itertools import chain

import sympy as sp


def named_exponentials(f: sp.Expr) -> tuple[dict[sp.Expr, sp.Expr], sp.Expr]:
    """The function with powers of new positive symbols for exponentials, and what they stand for.

    exp(u/2 + v) is X Y with X = exp(u/2), Y = exp(v): exponentials of different monomials are
    independent.
    """
    exponentials = {e: sp.expand(e.args[0]).as_coefficients_dict() for e in f.atoms(sp.exp)}
    whole: dict[sp.Expr, int] = {}
    for monomial, coefficient in chain.from_iterable(d.items() for d in exponentials.values()):
        if coefficient.is_Rational:
            whole[monomial] = int(sp.ilcm(whole.get(monomial, 1), coefficient.q))
    symbols = {m: sp.Dummy(positive=True) for m in whole}
    change: dict[sp.Expr, sp.Expr] = {}
    for e, parts in exponentials.items():
        if all(c.is_Rational for c in parts.values()):
            change[e] = sp.Mul(*(symbols[m] ** int(c * whole[m]) for m, c in parts.items()))
    back = {symbols[m]: sp.exp(m / whole[m]) for m in whole}
    return back, f.xreplace(change)
