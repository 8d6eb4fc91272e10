"""Terms of a difference that numbers do not see: zero, or too small beside the others.

A ramp that is zero, a power of a small number, a bump somewhere else: two formulas may agree to all
digits at every point that is looked at because one term never counted.  Each has to be larger than
what is left of the difference, and than its error, at some point.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any

import mpmath
import numpy as np
import sympy as sp

from theory import GaussianExpectation, Model
from theory.expectations.derived import find_expectations
from verify.printing.shorten import shorten
from verify.random_points.exact import Point, wide_points

from .evaluation import Evaluator

# points at which a difference without expectations is looked at
POINTS = 12
# digits of two looks at a small number, and in which its own first digits have to agree
LOOKS, ALIKE = (60, 120), 10
# a difference with more operations is not expanded; how much larger than the rest a term has to be
LARGEST, SEEN = 2_000, 10


@lru_cache(maxsize=2_000)
def terms_of(difference: sp.Expr) -> frozenset[sp.Expr]:
    """Terms of a difference, expanded, and of functions in it, outside of expectations.

    A product that is zero by cancellation is seen where its own terms are.
    """
    nodes = {n: sp.Dummy(real=True) for n in set(find_expectations(difference))}
    back = {name: node for node, name in nodes.items()}
    plain = difference.xreplace(nodes)
    if plain.count_ops() <= LARGEST:
        plain = sp.expand(plain, power_exp=False, power_base=False, log=False)
    found = set(_terms(plain))
    if not nodes and plain != 0:
        found |= {*sp.Add.make_args(plain)}  # one term alone is all of the difference
    # the mean of whitened pre-activations is zero everywhere
    centred = {
        name
        for name, node in back.items()
        if node.integrand == 0 or node.integrand in node.law.whitened
    }
    return frozenset(t.xreplace(back) for t in found if not t.free_symbols & centred)


def _terms(e: sp.Expr) -> Iterator[sp.Expr]:
    parts = sp.Add.make_args(e)
    if len(parts) > 1:
        yield from parts
    for part in parts:
        for factor in sp.Mul.make_args(part):
            for inner in factor.args:
                yield from _terms(inner)


@lru_cache(maxsize=20_000)
def _nodes_of(term: sp.Expr) -> frozenset[GaussianExpectation]:
    return frozenset(find_expectations(term))


def sizes_of_terms(difference: sp.Expr, here: Evaluator) -> dict[sp.Expr, Any]:
    """Absolute values of terms; 0 where an expectation is not known, beside a factor of zero."""
    found = {}
    with mpmath.workdps(here.digits):
        for term in terms_of(difference):
            value = here.parts(term)[0] if here.knows(_nodes_of(term)) else mpmath.mpf(0)
            found[term] = abs(value) if mpmath.isfinite(value) else mpmath.mpf(0)
    return found


def smallest_term(terms: Iterable[sp.Expr]) -> str:
    """Of terms that were not seen, the shortest, and what is the matter with it."""
    term = shorten(min(terms, key=lambda t: (t.count_ops(), str(t))))
    return f"{term} is zero, or too small to be seen, at all points of full rank"


def certain_value(e: sp.Expr, values: Mapping[sp.Symbol, sp.Expr]) -> Any | None:
    """The value of an expression without expectations, where it is sure not to be zero.

    What cancels to zero is another number at another precision; None then, and where there is no
    finite value.

    Examples
    --------
    >>> x = sp.Symbol("x", real=True)
    >>> certain_value(sp.exp(-((x - 20) ** 2)), {x: sp.Integer(3)}) > 0
    True
    >>> certain_value(sp.sin(x) ** 2 + sp.cos(x) ** 2 - 1, {x: sp.Integer(3)}) is None
    True
    """
    if not e.free_symbols <= set(values):
        return None
    found = []
    for digits in LOOKS:
        with mpmath.workdps(digits):
            found.append(Evaluator(values, {}).evaluate(e)[0])
    rough, value = found
    with mpmath.workdps(LOOKS[0]):
        if not mpmath.isfinite(rough) or not mpmath.isfinite(value) or value == 0:
            return None
        alike = abs(rough - value) <= abs(value) * mpmath.mpf(10) ** -ALIKE
    return value if alike else None


def point_of_certain_value(
    e: sp.Expr, model: Model, rng: np.random.Generator, more: Mapping[sp.Symbol, sp.Expr]
) -> tuple[Any, Point] | None:
    """A point, among moderate and wide ones, at which an expression is sure not to be zero."""
    for point in wide_points(model, rng, POINTS if e.free_symbols else 1):
        value = certain_value(e, {**point.values, **more})
        if value is not None:
            return value, point
    return None
