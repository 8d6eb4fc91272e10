"""Features of a sample inside an expectation, averaged at fixed pre-activations."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import sympy as sp

from theory import GaussianExpectation, Model, symbols
from theory.expectations.gaussian_law import preactivation_law


def features_of(model: Model) -> tuple[sp.Symbol, ...]:
    """Y . e_s of a sample: t_s of a teacher, which the loss sees, Y_s of another direction."""
    seen = model.loss.teachers
    names = (("t" if s in seen else "Y", s) for s in range(model.directions))
    return tuple(symbols.indexed(*name) for name in names)


@lru_cache(maxsize=20_000)
def average_features(f: sp.Expr, model: Model, component: int) -> sp.Expr:
    r"""E_l[f] with the features of f averaged at fixed u.

    u stands for all fields of the loss, teachers among them, and x^c for the vectors behind them.
    With w = Q^+(u - Eu), a feature is :math:`F=EF+\sum_c(t\cdot x^c)w_c+\varepsilon`,
    :math:`\varepsilon` independent of u with covariance :math:`t\cdot
    t'/\lambda-\lambda^{-1}\sum_{cd}(t\cdot x^c)P_{cd}(t'\cdot x^d)`.
    """
    law = preactivation_law(model, component)
    s, lam, rows = model.symbols, model.mixture.precision, model.field_overlaps
    y, zeta = symbols.vector("Y", model.directions), symbols.vector("zeta", model.units)
    used = [x for x in (*y, *zeta) if x in f.free_symbols]
    if not used:
        return GaussianExpectation(f, law)

    def facts(x: sp.Symbol) -> tuple[sp.Expr, list[sp.Expr], tuple[str, int]]:
        if x in y:
            j = y.index(x)
            return model.mixture.mean_overlaps[component, j], list(rows[:, j]), ("Y", j)
        b = zeta.index(x)
        beside = [sp.Integer(0)] * (rows.rows - model.units)
        return sp.Integer(0), [*s.gram_perp[b, :], *beside], ("zeta", b)

    known = {x: facts(x) for x in used}

    def inner(one: tuple[str, int], two: tuple[str, int]) -> sp.Expr:
        if one[0] != two[0]:
            return sp.Integer(0)
        return (model.mixture.directions_gram if one[0] == "Y" else s.gram_perp)[one[1], two[1]]

    def covariance(one: sp.Symbol, two: sp.Symbol) -> sp.Expr:
        (_, left, a), (_, right, b) = known[one], known[two]
        explained = sp.Add(
            *(
                left[c] * s.gram_inverse[c, d] * right[d]
                for c in range(rows.rows)
                for d in range(rows.rows)
            )
        )
        return (inner(a, b) - explained) / lam

    polynomial = sp.Poly(f, *used)
    total = []
    for powers, coefficient in polynomial.terms():
        factors = [x for x, n in zip(used, powers, strict=True) for _ in range(n)]
        for fixed, pairs in _pairings(factors):
            value = coefficient * sp.Mul(*(covariance(x, z) for x, z in pairs))
            for x in fixed:
                mean, along, _ = known[x]
                value *= mean + sp.Add(*(t * w for t, w in zip(along, s.whitened, strict=True)))
            total.append(value)
    return sp.Add(*(_outside(t, law) for term in total for t in sp.Add.make_args(sp.expand(term))))


def _outside(term: sp.Expr, law: sp.Basic) -> sp.Expr:
    """c E[f] for a product c f with c free of u, w and y."""
    constant, rest = term.as_independent(*law.bound, as_Add=False)
    return constant * GaussianExpectation(rest, law)


def _pairings(
    factors: list[sp.Symbol],
) -> Iterator[tuple[list[sp.Symbol], list[tuple[sp.Symbol, sp.Symbol]]]]:
    """Every way to leave some factors alone and pair the others (Wick)."""
    if not factors:
        yield [], []
        return
    first, rest = factors[0], factors[1:]
    for fixed, pairs in _pairings(rest):
        yield [first, *fixed], pairs
    for i, other in enumerate(rest):
        for fixed, pairs in _pairings(rest[:i] + rest[i + 1 :]):
            yield fixed, [(first, other), *pairs]
