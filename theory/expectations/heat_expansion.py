"""The expansion of an expectation in the covariance, by the heat equation of the Gaussian."""

from __future__ import annotations

import math

import sympy as sp
from sympy.polys.rings import PolyElement

from theory.rewriting import Rewriting, derivative_of

from .gaussian_law import GaussianLaw


class TooManyTermsError(Exception):
    """An expansion has more terms than were allowed, by the order ``order``."""

    def __init__(self, order: int) -> None:
        super().__init__(f"too many terms by order {order}")
        self.order = order


def heat_expansion(
    f: sp.Expr, law: GaussianLaw, order: int, most: float = math.inf
) -> list[sp.Expr]:
    r"""Return the terms a_j of :math:`E_l[f(u)] = \sum_j a_j`, a_j of order j in the covariance.

    :math:`a_j = \frac{1}{j!}\big[(\tfrac12\sum_{cd}\Sigma_{cd}\partial_c\partial_d)^j
    f\big](mS_l^T)`, :math:`\Sigma = Q/\lambda` (mathematics.md section 5).  For a polynomial f the
    sum is finite and exact.  More than ``most`` terms in all raise a TooManyTermsError.
    """
    where = dict(zip(law.variables, law.mean, strict=True))
    terms = _polynomial_laplacians(f, law, order, most) if order else [f]
    if terms is None:
        terms = [f]
        for j in range(1, order + 1):
            terms.append(laplacian(terms[-1], law) / j)
            if math.isfinite(most) and sum(map(sp.count_ops, terms)) > most:
                raise TooManyTermsError(j)
    put = Rewriting(where)
    return [put(term) for term in terms]


def _polynomial_laplacians(
    f: sp.Expr, law: GaussianLaw, order: int, most: float
) -> list[sp.Expr] | None:
    """The iterated Laplacians by polynomial arithmetic, or None where f has no such form.

    Where the derivatives of a set of functions are polynomials in these functions, polynomial
    arithmetic replaces symbolic differentiation of ever longer products.  Coefficients of distinct
    products of Q stay apart.
    """
    generators = _closed_family(f, law, nested=order > 1)
    if generators is None:
        return None
    names = {g: sp.Dummy() for g in generators}
    rest = [s for s in (*law.variables, *sorted(f.free_symbols - set(law.variables), key=str))]
    ring_symbols = [*names.values(), *rest]
    try:
        ring, *_ = sp.ring(ring_symbols, sp.QQ)
        start = ring.from_expr(f.xreplace(names))
        slopes = [
            [ring.from_expr(sp.expand(derivative_of(g, u)).xreplace(names)) for g in generators]
            for u in law.variables
        ]
    except (ValueError, sp.PolynomialError):
        return None
    inner = [ring.gens[i] for i in range(len(generators))]
    own = {u: ring.gens[len(generators) + i] for i, u in enumerate(law.variables)}

    def derivative(p: PolyElement, c: int) -> PolyElement:
        total = p.diff(own[law.variables[c]])
        for generator, slope in zip(inner, slopes[c], strict=True):
            if slope:
                total += p.diff(generator) * slope
        return total

    back = {name: g for g, name in names.items()}
    level: dict[tuple[tuple[int, int], ...], PolyElement] = {(): start}
    result, count = [f], 0
    for j in range(1, order + 1):
        following: dict[tuple[tuple[int, int], ...], PolyElement] = {}
        for pairs, p in level.items():
            for c in range(len(law.variables)):
                first = derivative(p, c)
                for d in range(c, len(law.variables)):
                    second = derivative(first, d)
                    if second:
                        factor = sp.QQ(1, 2 * j) if c == d else sp.QQ(1, j)
                        key = tuple(sorted([*pairs, (c, d)]))
                        following[key] = following.get(key, ring.zero) + second * factor
        level = following
        count += sum(map(len, level.values()))
        if count > most:
            raise TooManyTermsError(j)
        result.append(
            sp.Add(
                *(
                    sp.Mul(*(law.covariance[c, d] for c, d in pairs)) * p.as_expr().xreplace(back)
                    for pairs, p in level.items()
                )
            )
        )
    return result


def _closed_family(f: sp.Expr, law: GaussianLaw, nested: bool) -> list[sp.Expr] | None:
    """The functions of u in f and its derivatives, or None if these do not come to an end.

    Functions of functions, as in networks of several layers, count only where they may be
    ``nested``: their slopes are long sums, and multiplied out they are many times longer than the
    products that one Laplacian leaves.
    """
    family: list[sp.Expr] = []
    fresh = sorted(f.atoms(sp.Function), key=sp.default_sort_key)
    while fresh:
        family += fresh
        if not nested and any(_holds_function(e, law) for e in fresh):
            return None
        if len(family) > 64:
            return None
        slopes = [derivative_of(g, u) for g in fresh for u in law.variables if g.has(u)]
        found = set().union(*(s.atoms(sp.Function) for s in slopes)) - set(family)
        fresh = sorted(found, key=sp.default_sort_key)
    return family or None


def holds_nested_functions(f: sp.Expr, law: GaussianLaw) -> bool:
    """Whether an argument of a function holds another function of u, as behind a hidden layer."""
    return any(_holds_function(e, law) for e in f.atoms(sp.Function))


def _holds_function(e: sp.Expr, law: GaussianLaw) -> bool:
    """Whether an argument of a function holds another function of u."""
    return any(g.has(*law.variables) for a in e.args for g in a.atoms(sp.Function))


def laplacian(f: sp.Expr, law: GaussianLaw) -> sp.Expr:
    """Half the covariance-weighted Laplacian of ``f`` in the pre-activations."""
    terms = []
    present = f.free_symbols
    for a, u in enumerate(law.variables):
        if u not in present:
            continue
        first = derivative_of(f, u)
        for b in range(a, len(law.variables)):
            second = derivative_of(first, law.variables[b])
            if second != 0:
                factor = sp.Rational(1, 2) if a == b else sp.Integer(1)
                terms.append(factor * law.covariance[a, b] * second)
    return sp.Add(*terms)
