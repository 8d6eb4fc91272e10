"""Stage (a): is the difference of two expressions exactly zero, and by which identities?

Only exact arithmetic decides: an expression is zero here when expansion into independent generators
leaves nothing. What SymPy cannot bring there is *not proved*, however small its numbers are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import sympy as sp

from theory import GaussianExpectation, Model
from theory.expectations.derived import find_expectations
from verify.claims.judgement import Stage, Status
from verify.claims.signs.one_sided import without_one_sided
from verify.claims.stages.pointwise import without_constant_integrands
from verify.printing.shorten import shorten

from .expansion import expanded, operations
from .node_identities import INSIDE, INTEGRALS, by_nodes

# beyond this many operations an expression is left undecided
LARGEST = 8_000
# and where it is linear in expectations, so that nothing is expanded as a whole
LARGEST_LINEAR = 40_000
LARGEST_RATIONAL = 1_200
GRAM = "Q = R + m Gamma^-1 m^T"
ONE_SIDED = "forms that have one sign at every state"


@dataclass(frozen=True)
class Proof:
    """Whether a difference was brought to zero.

    Attributes
    ----------
    proved : bool
    identities : tuple of str
        Those that were used, in order; of an unsuccessful attempt those that were tried.
    remainder : sympy.Expr
        What is left; 0 if proved.
    """

    proved: bool
    identities: tuple[str, ...]
    remainder: sp.Expr


@lru_cache(maxsize=500)
def prove_equal(left: sp.Expr, right: sp.Expr, model: Model) -> Proof:
    """Bring left - right to zero, if exact identities do.

    Examples
    --------
    >>> from theory import Softmax, kgmm
    >>> u = sp.symbols("u_1 u_2", real=True)
    >>> total = Softmax(1, *u) + Softmax(2, *u)
    >>> prove_equal(total, sp.Integer(1), kgmm(2)).identities
    ('softmax probabilities sum to 1',)
    >>> prove_equal(Softmax(1, *u), sp.Integer(1), kgmm(2)).proved
    False
    """
    difference = sp.sympify(left - right)
    if difference == 0:
        return Proof(True, ("identical expressions",), difference)
    short = _by_nodes(difference, model)
    if short.proved:
        return short
    used, difference = list(short.identities), short.remainder
    changed = without_one_sided(difference, model)
    if changed != difference:
        used.append(ONE_SIDED)
        short = _by_nodes(changed, model)
        used, difference = [*used, *short.identities], short.remainder
        if short.proved:
            return Proof(True, _needed(used), difference)
    for name, change in _identities(model):
        if operations(difference) > LARGEST:
            used.append("given up: too large")
            break
        try:
            changed = change(difference)
        except (sp.PolynomialError, ValueError, NotImplementedError):
            continue
        if changed != 0 and changed.has(sp.I):
            continue  # a sine by exponentials is real up to rounding alone
        if changed != difference:
            used.append(name)
        difference = changed
        if difference == 0:
            return Proof(True, _needed(used), difference)
    return Proof(False, tuple(used), difference)


def prove_all(
    entries: Sequence[tuple[str, sp.Expr, sp.Expr]], model: Model, outcome: str = ""
) -> Stage:
    """The stage of a claim that holds where every entry (name, claimed, derived) is proved."""
    used: dict[str, None] = {}
    for name, claimed, derived in entries:
        proof = prove_equal(claimed, derived, model)
        if not proof.proved:
            text = f"{name}: the identities tried leave {shorten(proof.remainder)}"
            details = {"identities": list(proof.identities)}
            return Stage("symbolic", Status.UNPROVED, text, details)
        used |= dict.fromkeys(proof.identities)
    names = [u for u in used if u != "identical expressions"] or list(used)
    text = f"{outcome or 'claimed - derived = 0'} by {', '.join(names)}"
    return Stage("symbolic", Status.PROVED, text, {"identities": names})


def _needed(used: list[str]) -> tuple[str, ...]:
    """The identities, without the bookkeeping where there is anything else."""
    others = tuple(u for u in dict.fromkeys(used) if u != "expansion")
    return others or ("expansion",)


def _identities(model: Model) -> Iterator[tuple[str, Callable[[sp.Expr], sp.Expr]]]:
    yield "expansion", expanded
    yield from INSIDE
    yield "identities of elementary functions, on both sides of kinks", without_constant_integrands
    if last := _last_weight(model):
        yield "weights sum to 1", lambda e: expanded(_outside(e, last))
    yield from INTEGRALS
    gram = model.gram_definition()
    yield GRAM, lambda e: expanded(_outside(e, gram))
    yield ONE_SIDED, lambda e: without_one_sided(e, model)
    yield "common denominator", lambda e: _rational(e) if not e.has(sp.DiracDelta) else e
    yield (
        "exponential form",
        lambda e: _rational(sp.expand(e.rewrite(sp.exp))) if not e.has(GaussianExpectation) else e,
    )


def _last_weight(model: Model) -> dict[sp.Expr, sp.Expr]:
    """The last weight that is a symbol by the others, empty where there is none."""
    total = sp.Add(*model.mixture.weights)
    alone = [w for w in model.mixture.weights if w.is_Symbol and total.coeff(w) == 1]
    if not alone or (total - alone[-1]).coeff(alone[-1]) != 0:
        return {}
    return {alone[-1]: 1 - (total - alone[-1])}


def _by_nodes(difference: sp.Expr, model: Model) -> Proof:
    """The proof of a difference that is linear in expectations, each of which has one form.

    Not proved, it leaves the difference as it was, without products that cancel.
    """
    cancelled, rest = _without_equal_products(difference, model)
    form = by_nodes(rest) if operations(rest) <= LARGEST_LINEAR else None
    if form is None:
        return Proof(rest == 0, cancelled, rest)
    e, used = form.expression, [*cancelled, *form.identities]
    for name, change in _definitions(model):
        if e == 0:
            break
        changed = expanded(_outside(e, change))
        used += [name] if changed != e else []
        e = changed
    return Proof(True, _needed(used), e) if e == 0 else Proof(False, cancelled, rest)


def _without_equal_products(e: sp.Expr, model: Model) -> tuple[tuple[str, ...], sp.Expr]:
    """Cancel products of sums of expectations whose factors are equal, before they are expanded.

    Of two covariances these are the products of means.  Each factor is brought to one form, and
    has one name, up to its sign.
    """
    split = {t: _sums(t) for t in sp.Add.make_args(e)}
    products = {t: sums for t, sums in split.items() if sum(n for _, n in sums) > 1}
    if len(products) < 2:
        return (), e
    names: dict[sp.Expr, sp.Dummy] = {}
    used: list[str] = []
    total = [t for t in split if t not in products]
    for term, sums in products.items():
        named = term / sp.Mul(*(base**n for base, n in sums))
        for base, n in sums:
            form = by_nodes(base)
            factor = base if form is None else form.expression
            for _, change in _definitions(model):
                factor = expanded(_outside(factor, change))
            used += () if form is None else form.identities
            sign = -1 if factor.could_extract_minus_sign() else 1
            factor = sp.expand(sign * factor)
            known = factor.is_number
            named *= (sign * (factor if known else names.setdefault(factor, sp.Dummy()))) ** n
        total.append(named)
    left = sp.Add(*total)
    if left.free_symbols & set(names.values()):
        return (), e
    return tuple(used), left


def _sums(term: sp.Expr) -> list[tuple[sp.Expr, int]]:
    """Factors of a product that are sums with expectations, and their powers."""
    powers = (f.as_base_exp() for f in sp.Mul.make_args(term))
    return [
        (base, int(n))
        for base, n in powers
        if base.is_Add and n.is_Integer and n > 0 and any(find_expectations(base))
    ]


def _definitions(model: Model) -> Iterator[tuple[str, dict[sp.Expr, sp.Expr]]]:
    """What stands outside of expectations by independent symbols."""
    if last := _last_weight(model):
        yield "weights sum to 1", last
    yield GRAM, model.gram_definition()


def _rational(e: sp.Expr) -> sp.Expr:
    """Over a common denominator, where the polynomials stay small."""
    return sp.cancel(sp.together(e)) if e.count_ops() <= LARGEST_RATIONAL else e


def _outside(expression: sp.Expr, replacement: dict[sp.Expr, sp.Expr]) -> sp.Expr:
    """Replace symbols outside of expectations, whose law keeps its own."""
    names = {n: sp.Dummy() for n in set(find_expectations(expression))}
    back = {name: node for node, name in names.items()}
    return expression.xreplace(names).xreplace(replacement).xreplace(back)
