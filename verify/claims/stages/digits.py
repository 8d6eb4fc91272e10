"""Stage (b): two expressions at random admissible points, to as many digits as the quadrature
certifies.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from typing import Any

import mpmath
import numpy as np
import sympy as sp

from numerics.expectations.certified_digits import DimensionError, many_digits
from numerics.expectations.certified_double import few_digits
from theory import GaussianExpectation, Model
from theory.expectations.derived import find_expectations
from theory.expectations.gaussian_law import GaussianLaw
from verify.random_points.exact import Point, random_point

from .evaluation import Evaluator
from .small_terms import SEEN, sizes_of_terms

DIGITS = 50
ROUNDING = 1e-16
# an error that is more than this share of a value, and not small, is no bound
LOST, NEGLIGIBLE = 1e-3, 1e-10
Numbers = Mapping[sp.Symbol, Any]


@dataclass(frozen=True)
class Gap:
    """claimed - derived of one entry at one point, with the certified error of the evaluation.

    ``size`` is what digits are relative to: the sum of the absolute values of the terms of both.
    Where the claim is not a finite real number and what is derived is one, it is ``undefined``;
    where neither is, nothing can be said. ``difference`` is what is evaluated ``here``, for the
    sizes of its terms, where they are asked for.
    """

    value: Any
    error: Any
    size: Any
    undefined: bool = False
    difference: sp.Expr | None = None
    here: Evaluator | None = field(default=None, repr=False, compare=False)

    @property
    def refuted(self) -> bool:
        return self.undefined or bool(
            abs(self.value) > 10 * self.error + self.size * mpmath.mpf(10) ** (-DIGITS - 3)
        )

    @cached_property
    def terms(self) -> Mapping[sp.Expr, Any]:
        """Sizes of the terms of the difference, expanded only where somebody asks for them."""
        if self.difference is None or self.here is None:
            return {}
        return sizes_of_terms(self.difference, self.here)

    def sees(self, term: sp.Expr) -> bool:
        """Whether a term is larger than what is left of the difference, and than its error."""
        return bool(self.terms.get(term, 0) > SEEN * (abs(self.value) + self.error))

    @property
    def digits(self) -> int:
        """Digits that agree, as far as they are certified."""
        if not (mpmath.isfinite(self.value) and mpmath.isfinite(self.error)):
            return 0
        gap = (abs(self.value) + self.error) / self.size if self.size else mpmath.mpf(0)
        return (
            DIGITS
            if gap <= mpmath.mpf(10) ** -DIGITS
            else max(0, int(mpmath.floor(-mpmath.log10(gap))))
        )


def certified_gaps(
    pairs: Sequence[tuple[sp.Expr, sp.Expr]],
    model: Model,
    rng: np.random.Generator,
    more: Mapping[sp.Symbol, sp.Expr] | None = None,
    terms: bool = False,
) -> tuple[Point, list[Gap]]:
    """Fifty digits at a random point: of full rank if its integrals are on a line, else with all
    weights on a line.
    """
    gauge = 0 if model.loss.gauge is None else model.loss.gauge.cols
    if len(model.symbols.preactivation) - gauge <= 1:
        point = random_point(model, rng)
        try:
            return point, gaps(pairs, point, DIGITS, more, terms=terms)
        except DimensionError:  # whitened pre-activations are not constant along the gauge
            pass
    point = random_point(model, rng, 1)
    return point, gaps(pairs, point, DIGITS, more, terms=terms)


def most_dimensions(model: Model) -> int:
    """Dimensions in which there are rules in double precision."""
    return 3 if model.loss.is_smooth else 2


def general_points(model: Model, rng: np.random.Generator, count: int = 2) -> list[Point]:
    """Points in general position, as far as quadrature in double precision reaches."""
    gauge = 0 if model.loss.gauge is None else model.loss.gauge.cols
    # weight vectors on so many axes have so many pre-activations of every token
    rank = max(1, (most_dimensions(model) + gauge) // model.tokens)
    return [random_point(model, rng, min(model.units, rank)) for _ in range(count)]


def arguments_at(claimed: sp.Expr, right: sp.Expr, point: Point) -> int:
    """How many pre-activations the integrands of both depend on at a point, at most."""
    zeros = {s: sp.Integer(0) for s, v in point.values.items() if v == 0}
    most = 0
    expressions = (_without(e, zeros) for e in (claimed, right))
    for node in dict.fromkeys(n for e in expressions for n in find_expectations(e)):
        # of a product with zero nothing is left
        for term in sp.Add.make_args(sp.expand(node.integrand.xreplace(zeros))):
            names = (node.law.variables, node.law.whitened)
            units = {i for x in names for i, u in enumerate(x) if u in term.free_symbols}
            most = max(most, len(units))
    return most


def gaps(
    pairs: Sequence[tuple[sp.Expr, sp.Expr]],
    point: Point,
    digits: int | None,
    more: Mapping[sp.Symbol, sp.Expr] | None = None,
    known: dict[GaussianExpectation, tuple[Any, Any]] | None = None,
    terms: bool = False,
) -> list[Gap]:
    """Evaluate pairs (claimed, derived) at a point.

    Parameters
    ----------
    pairs : sequence of (Expr, Expr)
    point : Point
    digits : int, optional
        Double precision when None.
    more : mapping, optional
        Values of further symbols, such as the dimension.
    known : dict, optional
        Expectations at this point by an earlier call, which ``more`` does not change; it is added
        to.
    terms : bool
        Keep what tells how large the terms of the difference are.

    Raises
    ------
    DimensionError
        Integrals in more dimensions than there are rules for.
    """
    values = {**point.values, **(more or {})}
    zeros = {s: sp.Integer(0) for s, v in values.items() if v == 0}
    whole = [(without_empty_deltas(a), without_empty_deltas(b)) for a, b in pairs]
    pairs = [(_without(claimed, zeros), _without(right, zeros)) for claimed, right in whole]
    nodes = list(dict.fromkeys(n for pair in pairs for e in pair for n in find_expectations(e)))
    table = {} if known is None else known
    table |= node_values([n for n in nodes if n not in table], point, values, digits)
    # in double precision sums of order one are rounded, whatever is left of them
    floor = mpmath.mpf(0 if digits else ROUNDING)
    with mpmath.workdps((digits or 15) + 10):
        here = Evaluator(values, table)
        found = [_gap(claimed, right, here, floor) for claimed, right in pairs]
        if not terms:
            return found
        return [
            replace(g, difference=a - b, here=here) for g, (a, b) in zip(found, whole, strict=True)
        ]


def affordable_gaps(
    pairs: Sequence[tuple[sp.Expr, sp.Expr]],
    point: Point,
    digits: int,
    more: Mapping[sp.Symbol, sp.Expr],
) -> list[Gap | None]:
    """Pairs together, whose integrals share their nodes; one after the other where some of them are
    not affordable, which are None.
    """
    try:
        return [*gaps(pairs, point, digits, more, terms=True)]
    except (DimensionError, ArithmeticError):
        alone = len(pairs) == 1
        return [None] if alone else [affordable_gaps([p], point, digits, more)[0] for p in pairs]


def without_empty_deltas(e: sp.Expr) -> sp.Expr:
    """Without products x delta(x) in expectations: their rounding is all that numbers see."""
    if not any(n.general_integrand.has(sp.DiracDelta) for n in find_expectations(e)):
        return e
    nodes = dict.fromkeys(find_expectations(e))
    changed = {
        n: GaussianExpectation(without_zero_deltas(n.general_integrand), n.law)
        for n in nodes
        if n.general_integrand.has(sp.DiracDelta)
    }
    return sp.sympify(e.xreplace(changed))


@lru_cache(maxsize=20_000)
def without_zero_deltas(f: sp.Expr) -> sp.Expr:
    """f without the terms in which a factor vanishes where a delta function beside it is not zero.

    Examples
    --------
    >>> x = sp.Symbol("x", real=True)
    >>> without_zero_deltas((x + 1) * sp.DiracDelta(x) + x)
    x + DiracDelta(x)
    """
    kept = []
    for term in sp.Add.make_args(sp.expand(f)):
        factors = sp.Mul.make_args(term)
        places = [d.args[0] for d in factors if isinstance(d, sp.DiracDelta)]
        bases = [x.base if x.is_Pow and x.exp.is_positive else x for x in factors]
        ratios = [sp.cancel(b / k) for b in bases for k in places if b.is_polynomial()]
        if not any(r.is_number and r != 0 for r in ratios):
            kept.append(term)
    return sp.Add(*kept)


def _without(expression: sp.Expr, zeros: Mapping[sp.Basic, sp.Basic]) -> sp.Expr:
    """The expression without the terms that vanish, so that their integrals are not asked for."""
    if not zeros:
        return expression
    kept = {node: node for node in find_expectations(expression)}
    return sp.sympify(expression.xreplace({**zeros, **kept}))


def node_values(
    nodes: Sequence[GaussianExpectation],
    point: Point,
    values: Mapping[sp.Symbol, sp.Expr],
    digits: int | None,
) -> dict[GaussianExpectation, tuple[Any, Any]]:
    """Value and certified error of every expectation."""
    gauge = point.model.loss.gauge
    found: dict[GaussianExpectation, tuple[Any, Any]] = {}
    groups: dict[bool, dict[GaussianExpectation, GaussianExpectation]] = {True: {}, False: {}}
    for node in nodes:
        small = _marginal(node)
        groups[small == node][small] = node
    for whole, members in groups.items():
        if not members:
            continue
        own = gauge if whole else None
        if digits is None:
            table = few_digits(members, values, own)
        else:
            table = many_digits(members, values, digits, own)
        found |= {node: _certified(*table[small]) for small, node in members.items()}
    return found


def _certified(value: Any, error: Any) -> tuple[Any, Any]:
    """Value and error; no error bounds what lies beyond the last node where that node matters.

    An integrand whose bulk is farther out than the rule reaches, such as exp(40 z), has its largest
    share at the last node, and the error says so.
    """
    lost = not error <= LOST * abs(value) and error > NEGLIGIBLE
    return value, mpmath.inf if lost else error


@lru_cache(maxsize=20_000)
def _marginal(node: GaussianExpectation) -> GaussianExpectation:
    """The same expectation over the law of the units alone that its integrand sees."""
    law, used = node.law, node.general_integrand.free_symbols
    seen = [i for i, u in enumerate(law.variables) if u in used]
    if node.uses_whitening or len(seen) == len(law.variables) or not seen:
        return node
    pick = lambda names: sp.Tuple(*(names[i] for i in seen))  # noqa: E731
    gram, inverse = (m.extract(seen, seen) for m in (law.gram, law.gram_inverse))
    component, label = law.args[:2]
    own = (component, label, pick(law.variables), pick(law.whitened), pick(law.mean))
    return GaussianExpectation(
        node.general_integrand, GaussianLaw(*own, gram, law.precision, inverse)
    )


def _gap(claimed: sp.Expr, right: sp.Expr, here: Evaluator, floor: Any) -> Gap:
    one, first, size = here.evaluate(claimed)
    two, second, other = here.evaluate(right)
    undefined = not mpmath.isfinite(one) and bool(mpmath.isfinite(two))
    return Gap(one - two, first + second + floor, size + other, undefined)


def is_refuted(
    claimed: sp.Expr, right: sp.Expr, point: Point, more: Mapping[sp.Symbol, sp.Expr] | None = None
) -> bool:
    """Quick look in double precision, for shrinking."""
    try:
        gap = gaps([(claimed, right)], point, None, more)[0]
    except (DimensionError, ArithmeticError, ValueError):
        return False
    return gap.undefined or (gap.refuted and abs(gap.value) > 1e-8 * gap.size)


__all__ = [
    "DIGITS",
    "Gap",
    "affordable_gaps",
    "certified_gaps",
    "gaps",
    "general_points",
    "is_refuted",
    "node_values",
]
