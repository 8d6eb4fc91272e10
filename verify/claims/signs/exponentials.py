"""Exponentials as powers of symbols, and logistic functions for what is rational in them."""

from __future__ import annotations

from itertools import chain

import sympy as sp

from theory import Sigmoid


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


def logistic(f: sp.Expr) -> sp.Expr:
    """exp(k x)/(1 + exp(x))^n by s = Sigmoid(x), as s^k (1 - s)^(n - k), for 0 <= k <= n; 1 - s
    for Sigmoid(-x).

    Examples
    --------
    >>> x = sp.Symbol("x", real=True)
    >>> logistic(sp.exp(-x) / (1 + sp.exp(-x)) ** 2)
    -Sigmoid(x)**2 + Sigmoid(x)
    """
    falling = {s for s in f.atoms(Sigmoid) if s.args[0].could_extract_minus_sign()}
    f = f.xreplace({s: 1 - Sigmoid(-s.args[0]) for s in falling})
    return sp.expand(sp.Add(*map(_logistic, sp.Add.make_args(sp.expand(f)))))


def _logistic(term: sp.Expr) -> sp.Expr:
    factors = sp.Mul.make_args(term)
    own = [f for f in factors if isinstance(f, sp.exp) or (f.is_Pow and f.base.has(sp.exp))]
    names, rational = named_exponentials(sp.Mul(*own))
    top, bottom = sp.fraction(sp.together(rational))
    if not names or not all(e.is_polynomial(*names) for e in (top, bottom)):
        return term
    content, parts = sp.factor_list(bottom)
    # 1 + X^3 has factors, and stays one
    alone = {x: sp.Mul(*(b**n for b, n in parts if b.free_symbols == {x})) for x in names}
    left = sp.Mul(content, *(b**n for b, n in parts if len(b.free_symbols) != 1))
    total = sp.Integer(1)
    for x, product in alone.items():
        for base, n in sp.sqf_list(product, x)[1] if product.has(x) else ():
            power = sp.degree(base, x)
            if sp.expand(base - 1 - x**power) != 0:
                left *= base**n
                continue
            k = min(n, sp.Poly(top, x).monoms()[-1][0] // power)
            top = sp.cancel(top / x ** (k * power))
            s = Sigmoid(power * names[x].args[0])
            total *= s**k * (1 - s) ** (n - k)
    if total == 1:
        return term
    others = sp.Mul(*(f for f in factors if f not in own))
    return others * total * (top / left).xreplace(names)
