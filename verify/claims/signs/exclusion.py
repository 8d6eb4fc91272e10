"""Signs of forms that no state has together."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product

import numpy as np
import sympy as sp

from theory import Model

from .gram_signs import never_has
from .linear_forms import exclude_each_other
from .ranges import bounds


def is_impossible(model: Model | None, signs: Mapping[sp.Expr, int]) -> bool:
    """Whether one of the signs is never met, or signs of some forms exclude each other: what
    floating point finds counts where exact arithmetic confirms it.

    The domain is taken larger than it is: symbols that are positive are, diagonal entries are not
    negative, and bound what is beside them.  Terms that are not linear are taken for symbols of
    which bounds are known.
    """
    if any(_never_has(model, form, sign) for form, sign in signs.items()):
        return True
    terms = {c: sp.expand(c).as_coefficients_dict() for c in signs}
    if not all(c.is_Rational for parts in terms.values() for c in parts.values()):
        return False
    parts = dict.fromkeys(t for own in terms.values() for t in own if t != 1)
    named = {t: t if t.is_Symbol else sp.Dummy(real=True) for t in parts}
    names = {t for t in parts if t.is_Symbol}
    positive = [
        s * sp.Add(*(c * named.get(t, t) for t, c in terms[form].items()))
        for form, s in signs.items()
    ]
    not_negative, sums = ([], []) if model is None else _domain(model, names)
    for t, name in named.items():
        low, high = bounds(model, t)
        not_negative += [name - sp.Rational(low)] if np.isfinite(low) else []
        not_negative += [sp.Rational(high) - name] if np.isfinite(high) else []
    return exclude_each_other(positive, sums, not_negative)


def _never_has(model: Model | None, form: sp.Expr, sign: int) -> bool:
    low, high = bounds(model, form)
    if high <= 0 if sign > 0 else low >= 0:
        return True
    if model is None:
        return False
    free = sp.expand(form.xreplace(model.gram_definition()))
    low, high = bounds(model, free)
    return bool(high <= 0 if sign > 0 else low >= 0) or never_has(model, form, sign)


def _domain(model: Model, names: set[sp.Symbol]) -> tuple[list[sp.Expr], list[sp.Expr]]:
    """Linear forms that are not negative at any state, and some that are zero."""
    s = model.symbols
    found: list[sp.Expr] = []
    for gram, first in product((s.gram, s.gram_perp), range(0, s.gram.rows, s.units)):
        for i in range(s.units):
            own = gram[first + i, i]
            found += [own] if own in names else []
            for j in range(i):
                beside, other = gram[first + i, j], gram[first + j, j]
                if {beside, own, other} <= names:
                    bound = own + other
                    found += [bound - 2 * beside, bound + 2 * beside]
    sums: list[sp.Expr] = []
    bands = model.mixture.bands
    for shares in (model.mixture.weights, () if bands is None else bands.fractions):
        used = set().union(*(p.free_symbols for p in shares))
        if used & names and all(_is_linear(p) for p in shares):
            found += [p for p in shares if p.free_symbols]
            total = sp.expand(sp.Add(*shares) - 1)
            sums += [total] if total != 0 else []
    for each in model.loss.free_parameters:
        if each.symbol in names:
            found += [each.symbol - each.low] if each.low.is_finite else []
            found += [each.high - each.symbol] if each.high.is_finite else []
    return found, sums


def _is_linear(e: sp.Expr) -> bool:
    return all(t.is_Symbol or t == 1 for t in sp.expand(e).as_coefficients_dict())
