"""Orders at which errors vanish, measured along a geometric sequence of lambda or d."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise, takewhile
from typing import Any

import mpmath
import sympy as sp

from numerics.expectations.certified_digits import DimensionError
from theory import GaussianExpectation, InputError, ReLU, Step, low_noise, symbols
from theory.expectations.derived import find_expectations
from verify.claims.cases import Case
from verify.claims.language.conventions import DIMENSION
from verify.claims.signs.kinked_means import is_near_kink
from verify.claims.signs.leading_powers import is_rational_in, without_negligible
from verify.random_points.exact import Point

from .digits import DIGITS, Gap, gaps
from .regions import Sides, cuts_of

# 1/x falls by this factor a step, over this many steps
RATIO, STEPS = 8, 6
FIRST = {"lambda": 2_000, "d": 1_000}
# a measured order may miss a whole number by this much at the end of the sequence
SLACK = 0.2
# expansions at full rank go so much further than the claim; the sequence in double precision
BEYOND, FEW_FIRST, FEW_RATIO = 1, 20, 3
# certified errors relative to the terms, below which a difference that is not seen is none
EXACT = 1e-40
# what is not analytic in the parameter lies before this times the first one, or is not looked at;
# a number that stands for the limit
FARTHEST, LIMIT = RATIO**12, sp.Integer(10) ** 40
# what an order may lack for a while, where errors of both signs are added
PASSING = 0.45
# a measured order and how far it is pinned; None of an entry without any error
Order = tuple[float, float] | None


@dataclass
class Orders:
    """Orders of entries at one point; which of the terms of each had no part in it."""

    orders: list[Order]
    unseen: list[dict[sp.Expr, bool]] = field(default_factory=list)


def parameter_symbol(parameter: str) -> sp.Symbol:
    """What goes to infinity."""
    return symbols.PRECISION if parameter == "lambda" else DIMENSION


def at_value(
    case: Case, point: Point, parameter: str, value: int
) -> tuple[Point, dict[sp.Symbol, sp.Expr]]:
    """The point, and values of further symbols, where the parameter has a value."""
    if parameter == "lambda":
        return replace(point, precision=sp.Integer(value)), case.more
    return point, {DIMENSION: sp.Integer(value)}


def measured_orders(
    cases: Sequence[Case], point: Point, parameter: str, order: int, enough: float
) -> Orders:
    """Exponents of the errors at the end of a geometric sequence, and how far it pins them.

    Terms that fall like the power ``enough`` may be too small to be seen.

    To many digits where all weight vectors are on a line; at full rank in double precision as far
    as there are dimensions; else, of smooth losses, with every expectation replaced by its
    expansion in 1/lambda beyond the order that is claimed.

    Raises
    ------
    DimensionError, InputError
        Integrals in too many dimensions, or something that is not analytic too far out.
    """
    symbol, model = parameter_symbol(parameter), point.model
    # what falls faster than every power has no part in an order, however late it does
    cases = [replace(c, claimed=without_negligible(c.claimed, symbol, model)) for c in cases]
    pairs = [(c.claimed, c.derived) for c in cases]
    first = _first(cases, point, parameter, many=point.rank == 1)
    if point.rank == 1:
        return _on_line(pairs, cases[0], point, parameter, enough, first)
    try:
        if _scale(cases, parameter) > FEW_FIRST * FEW_RATIO**STEPS:
            raise DimensionError("terms change places beyond what double precision tells")
        return _fitted(pairs, cases[0], point, parameter, enough, first, None)
    except DimensionError:
        if parameter != "lambda" or not all(map(_is_smooth, cases)):
            raise
    expanded = [(_expanded(a - b, order + BEYOND), sp.Integer(0)) for a, b in pairs]
    first = _first(cases, point, parameter, many=True)
    return _fitted(expanded, cases[0], point, parameter, enough, first, DIGITS)


def refutes(order: Order, case: Case, point: Point, parameter: str, least: float) -> bool:
    """Whether an error falls too slowly, and not for a while only, where a kink passes the mean."""
    if order is None or sum(order) >= least:
        return False
    return sum(order) < least - PASSING or not _is_at_kink(case, point, parameter)


def _is_at_kink(case: Case, point: Point, parameter: str) -> bool:
    """Whether a kink has a part in the last three errors of a sequence, which tell the order."""
    first, ratio = (FIRST[parameter], RATIO) if point.rank == 1 else (FEW_FIRST, FEW_RATIO)
    where, more = at_value(case, point, parameter, first * ratio ** (STEPS - 3))
    return is_near_kink(case.claimed - case.derived, {**where.values, **more})


def _first(cases: Sequence[Case], point: Point, parameter: str, *, many: bool) -> int:
    """Where the sequence begins: beyond everything in the parameter that is not analytic, and
    beyond where terms change places.
    """
    first, ratio = (FIRST[parameter], RATIO) if many else (FEW_FIRST, FEW_RATIO)
    if many:
        first = max(first, _scale(cases, parameter))
    symbol = parameter_symbol(parameter)
    cuts = [c for c in cuts_of(e for c in cases for e in (c.claimed, c.derived)) if c.has(symbol)]
    if not cuts:
        return first
    sides = Sides(cuts)
    values = {**point.values, **cases[0].more}
    wanted = sides.of({**values, symbol: LIMIT})
    last = first * FARTHEST
    while sides.of({**values, symbol: first}) != wanted:
        first *= ratio
        if first > last:
            got = f"a kink at {parameter} beyond {last}"
            raise InputError("claim", got, "kinks at moderate numbers", "state the limit itself")
    return first


def _scale(cases: Sequence[Case], parameter: str) -> int:
    """Where lambda outweighs all numbers that are written: 10^8 lambda + lambda^2 is of the second
    order beyond 10^8 alone; roots and other functions of lambda reach the square of a number.
    """
    symbol, largest = parameter_symbol(parameter), 1
    for e in (x for c in cases for x in (c.claimed, c.derived)):
        names = {n: sp.Dummy() for n in set(find_expectations(e))}
        outside = e.xreplace(names)
        number = max((max(abs(n.p), n.q) for n in e.atoms(sp.Rational)), default=1)
        largest = max(largest, number if outside.is_rational_function(symbol) else number**2)
    return largest


def _on_line(
    pairs: Sequence[tuple[sp.Expr, sp.Expr]],
    case: Case,
    point: Point,
    parameter: str,
    enough: float,
    first: int,
) -> Orders:
    """None of an entry without any error, to all digits certified; where there are too few of them,
    nothing is pinned.
    """
    known: dict[GaussianExpectation, tuple[Any, Any]] = {}
    rows = []
    for n in range(STEPS):
        where, more = at_value(case, point, parameter, first * RATIO**n)
        # the law of the pre-activations does not depend on d
        shared = known if parameter == "d" else None
        rows.append(gaps(pairs, where, DIGITS, more, shared, terms=True))
    orders: list[Order] = []
    for column in zip(*rows, strict=True):
        errors = [e for e in map(_error, column) if e is not None]
        sure = all(g.error <= g.size * EXACT for g in column)
        orders.append(None if sure and not errors else exponent(errors))
    return Orders(orders, _unseen(rows, RATIO, enough))


def _fitted(
    pairs: Sequence[tuple[sp.Expr, sp.Expr]],
    case: Case,
    point: Point,
    parameter: str,
    enough: float,
    first: int,
    digits: int | None,
) -> Orders:
    ratio = RATIO if digits else FEW_RATIO
    rows = []
    for n in range(STEPS):
        where, more = at_value(case, point, parameter, first * ratio**n)
        rows.append(gaps(pairs, where, digits, more, terms=True))
    orders: list[Order] = []
    for column in zip(*rows, strict=True):
        errors = list(takewhile(lambda e: e is not None, map(_error, column)))
        orders.append(None if len(errors) < 3 else exponent(errors, ratio))
    return Orders(orders, _unseen(rows, ratio, enough))


def _error(gap: Gap) -> Any:
    """Below the last certified digit there is nothing to fit."""
    return abs(gap.value) if abs(gap.value) > 100 * gap.error else None


def _unseen(rows: list[list[Gap]], ratio: int, enough: float) -> list[dict[sp.Expr, bool]]:
    """Terms that no step of the sequence sees, and that do not fall fast enough."""
    found = []
    for column in zip(*rows, strict=True):
        terms = column[0].terms
        found.append(
            {
                t: not any(g.sees(t) for g in column)
                and not _falls([g.terms[t] for g in column], ratio, enough)
                for t in terms
            }
        )
    return found


def _falls(sizes: list[Any], ratio: int, enough: float) -> bool:
    if not all(sizes):
        return False
    slope = mpmath.log(sizes[0] / sizes[-1]) / (mpmath.log(ratio) * (len(sizes) - 1))
    return bool(slope >= enough)


def exponent(errors: list[Any], ratio: int = RATIO) -> tuple[float, float]:
    """The power that errors fall like, and how far it is pinned."""
    if len(errors) < 3:
        return 0.0, math.inf
    with mpmath.workdps(DIGITS):
        slopes = [float(mpmath.log(a / b) / mpmath.log(ratio)) for a, b in pairwise(errors)]
    # Local slopes approach the order like 1/x or sooner: a change of theirs over ratio - 1 is what
    # is left then, and falls by the ratio with every step; taken twice.  The last change alone may
    # be small by chance, where two terms of the error have opposite signs.
    changes = [abs(b - a) for a, b in pairwise(slopes)]
    left = max(change / ratio**n for n, change in enumerate(reversed(changes)))
    return slopes[-1], 2 * left + 1e-6


def _is_smooth(case: Case) -> bool:
    nodes = {n for e in (case.claimed, case.derived) for n in find_expectations(e)}
    return not any(n.general_integrand.has(ReLU, Step, sp.DiracDelta) for n in nodes)


def kept_terms(e: sp.Expr, parameter: str, order: int) -> sp.Expr | None:
    """An expression without what an order in 1/lambda leaves away, None where that is not known."""
    if parameter != "lambda" or not is_rational_in(e, symbols.PRECISION):
        return None
    try:
        return low_noise(e, order)
    except InputError:
        return None


def _expanded(difference: sp.Expr, order: int) -> sp.Expr:
    """Every expectation replaced by its expansion; what stands outside keeps its form in lambda."""
    nodes = dict.fromkeys(find_expectations(difference))
    return difference.xreplace({node: low_noise(node, order) for node in nodes})
