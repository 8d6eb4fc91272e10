"""Integrands that are equal at every point, or everywhere but at kinks: identities of elementary
functions.

Softmax, logistic and hyperbolic functions are rational functions of exponentials; ReLU and step are
polynomials on either side of their kinks, which are visited one by one; logarithms of positive
polynomials are split into those of their factors. What is left are rational functions of generators
that are taken for independent, so that nothing false vanishes.  Each holds wherever both sides are
defined; whether expectations exist is asked before (:mod:`theory.expectations.existence`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import sympy as sp

from theory import GaussianExpectation, LogSumExp, ReLU, Sigmoid, Softmax, Softplus, Step
from theory.expectations.derived import find_expectations
from theory.expectations.gaussian_law import GaussianLaw
from verify.claims.signs.exponentials import named_exponentials

from .expansion import expanded

# kinks in one integrand whose sides are all visited, and operations that are rewritten
MOST_KINKS, LARGEST = 4, 1_500
# points at which an integrand is looked at before anything is rewritten, and how equal they are
LOOKS, EQUAL = 3, 1e-9
_BY_EXPONENTIALS = (Softmax, Sigmoid, Softplus, LogSumExp, sp.tanh, sp.sinh, sp.cosh)


def without_constant_integrands(difference: sp.Expr) -> sp.Expr:
    """Replace the sum of all expectations of a law by its value, where the integrands add up to one
    that does not depend on the pre-activations.

    Examples
    --------
    >>> from theory import kgmm, preactivation_law
    >>> law = preactivation_law(kgmm(2), 0)
    >>> u = law.variables[0]
    >>> parts = (sp.cosh(u) ** 2, -(sp.sinh(u) ** 2))
    >>> without_constant_integrands(sum(GaussianExpectation(f, law) for f in parts))
    1
    """
    integrands: dict[GaussianLaw, sp.Expr] = {}
    terms: dict[GaussianLaw, list[sp.Expr]] = {}
    others: list[sp.Expr] = []
    for term in sp.Add.make_args(difference):
        coefficient, node = _linear(term)
        if node is None:
            others.append(term)
            continue
        before = integrands.get(node.law, sp.Integer(0))
        integrands[node.law] = before + coefficient * node.integrand
        terms.setdefault(node.law, []).append(term)
    if not integrands:
        if next(find_expectations(difference), None) is not None:
            return difference  # a function of expectations has no value at a point
        value = constant_value(difference, difference.free_symbols)
        return difference if value is None else value
    # what stands outside of a single law's expectations may be part of its integrand
    found = []
    for law, integrand in integrands.items():
        value = constant_value(integrand, law.bound)
        found += terms[law] if value is None else [value]
    return expanded(sp.Add(*found, *others))


def _linear(term: sp.Expr) -> tuple[sp.Expr, GaussianExpectation | None]:
    """A term as a coefficient times one expectation; None where it is anything else."""
    nodes = list(find_expectations(term))
    if len(nodes) != 1:
        return term, None
    if nodes[0] in sp.Mul.make_args(term):
        return term.xreplace({nodes[0]: sp.Integer(1)}), nodes[0]
    name = sp.Dummy(real=True)
    coefficient = sp.expand(term.xreplace({nodes[0]: name})).coeff(name)
    if sp.expand(coefficient * name - term.xreplace({nodes[0]: name})) != 0:
        return term, None
    return coefficient, nodes[0]


def constant_value(f: sp.Expr, variables: Iterable[sp.Symbol]) -> sp.Expr | None:
    """What a function equals where it does not depend on the variables; None where it does, or
    where that cannot be told.
    """
    inner = set(variables) & f.free_symbols
    if not inner:
        return f
    if f.has(sp.DiracDelta) or f.count_ops() > LARGEST or not _looks_constant(f, inner):
        return None
    values = []
    for side in _sides(f, MOST_KINKS):
        if side is None:
            return None
        value = _normal_form(side)
        if value.free_symbols & inner:
            return None
        values.append(value)
    first = values[0]
    return first if all(sp.cancel(sp.together(v - first)) == 0 for v in values[1:]) else None


def _looks_constant(f: sp.Expr, variables: set[sp.Symbol]) -> bool:
    """Whether its numbers are alike at a few points; what is not is not rewritten."""
    others = sorted(f.free_symbols - variables, key=str)
    at = {s: sp.Rational(7 + 3 * i, 11 + 2 * i) for i, s in enumerate(others)}
    seen = []
    for n in range(LOOKS):
        point = {
            s: sp.Rational((-1) ** (n + i // 2) * (5 + 4 * i + 3 * n), 13 - n)
            for i, s in enumerate(sorted(variables, key=str))
        }
        value = sp.N(f.xreplace(at | point).rewrite(sp.exp), 20)
        if not value.is_Number or not value.is_finite:
            return False
        seen.append(float(value))
    return max(seen) - min(seen) <= EQUAL * (1 + max(map(abs, seen)))


def _sides(f: sp.Expr, left: int) -> Iterator[sp.Expr | None]:
    """The function on both sides of each of its kinks, and on it: a pre-activation that is 0 stays
    there. None where these are too many.
    """
    kinks = [e for e in f.atoms(ReLU, Step) if not e.args[0].has(ReLU, Step)]
    if not kinks:
        yield f
        return
    if not left:
        yield None
        return
    x = min((e.args[0] for e in kinks), key=sp.default_sort_key)
    nothing, one = sp.Integer(0), sp.Integer(1)
    for step, ramp, back_step, back_ramp in (
        (one, x, nothing, nothing),
        (nothing, nothing, one, -x),
        (Step(nothing), nothing, Step(nothing), nothing),
    ):
        change = {Step(x): step, ReLU(x): ramp, Step(-x): back_step, ReLU(-x): back_ramp}
        yield from _sides(f.xreplace(change), left - 1)


def _normal_form(f: sp.Expr) -> sp.Expr:
    """A rational function of symbols, exponentials and logarithms that stand for themselves."""
    for _ in range(f.count_ops() + 1):
        known = f.atoms(*_BY_EXPONENTIALS)
        if not known:
            break
        f = f.xreplace({e: e.rewrite(sp.exp) for e in known})
    f = _split_logarithms(f)
    names, f = named_exponentials(f)
    return sp.sympify(sp.cancel(sp.together(f)).xreplace(names))


def _split_logarithms(f: sp.Expr) -> sp.Expr:
    """log(A B / C) = log A + log B - log C where all of them are positive polynomials in
    exponentials, and log exp(x) = x.
    """
    change = {}
    for e in f.atoms(sp.log):
        names, inside = named_exponentials(e.args[0])
        above, below = sp.fraction(sp.cancel(sp.together(inside)))
        parts = [_positive_factors(p, set(names)) for p in (above, below)]
        if any(p is None for p in parts):
            continue
        total = sp.Integer(0)
        for sign, factors in zip((1, -1), parts, strict=True):
            for base, power in factors or ():
                exponent = names[base].as_base_exp()[1] if base in names else None
                log = sp.log(base.xreplace(names)) if exponent is None else exponent
                total += sign * power * log
        change[e] = total
    return f.xreplace(change)


def _positive_factors(p: sp.Expr, positive: set[sp.Expr]) -> list[tuple[sp.Expr, int]] | None:
    """Factors of a polynomial in positive symbols that are positive for their coefficients are."""
    if p.free_symbols - positive:
        return None
    if p.is_number:
        return [(p, 1)] if p.is_positive else None
    content, factors = sp.factor_list(p)
    if not content.is_positive:
        return None
    for base, _ in factors:
        if not all(c.is_positive for c in sp.Poly(base, *sorted(positive, key=str)).coeffs()):
            return None
    return [(content, 1), *factors]
