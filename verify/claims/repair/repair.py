"""The nearest single change that mends a refuted claim, found by trying edits and confirmed on all
of its entries.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
import sympy as sp

from numerics.expectations.certified_digits import DimensionError
from theory import InputError, Model
from theory.expectations.derived import find_expectations
from verify.claims.cases import Case, case_at, cases_of
from verify.claims.judgement import Claim
from verify.claims.signs.exclusion import is_impossible
from verify.claims.stages.digits import certified_gaps, gaps, general_points, node_values
from verify.claims.stages.evaluation import Evaluator
from verify.claims.stages.region_search import find_point
from verify.claims.stages.regions import Sides, Signs, cuts_of
from verify.random_points.exact import Point, random_point

from .expression_edits import LONGEST, Edit, single_edits
from .formula_edits import formula_edits

# edits tried: a claim with more is too long for a single change to be found so
MOST = 500
SAME = 1e-9
# points drawn anew at which a repair has to hold before it is shown
CONFIRMATIONS = 6
# edits of a formula looked at together, and points among which one is sought where a claim is wrong
AT_ONCE, SOUGHT = 60, 12


@dataclass(frozen=True)
class Mender:
    """How a kind of claims tells whether a changed formula is right.

    Attributes
    ----------
    read : callable Claim -> Expr
        What a changed claim says for the entry that is wrong.
    kept : callable, expressions -> list of bool
        Which of many expressions may be right for that entry; a quick look.
    confirmed : callable Expr -> bool
        Whether one of them is, looked at as closely as the claim was.
    mends_all : callable Claim -> bool
        Whether a changed claim is right for every entry.
    """

    read: Callable[[Claim], sp.Expr]
    kept: Callable[[Sequence[sp.Expr]], list[bool]]
    confirmed: Callable[[sp.Expr], bool]
    mends_all: Callable[[Claim], bool]


def nearest_change(
    claim: Claim,
    claimed: sp.Expr,
    right: sp.Expr | None,
    mender: Mender,
    entry: str,
    remainder: sp.Expr | None = None,
) -> str:
    """In words, or empty where no single change mends the claim.

    Changes of the formula as it is written come first: they have to mend every entry.  Then those
    of the expression that the wrong entry is, and the single term that it lacks; they are said to
    be of that entry alone.

    Parameters
    ----------
    claim : Claim
    claimed : sympy.Expr
        What it says for the entry that is wrong.
    right : sympy.Expr, optional
        What is right for that entry, where that is an expression.
    mender : Mender
    entry : str
        The name of the entry, empty where it is the only one.
    remainder : sympy.Expr, optional
        Claimed minus right, simplified.
    """
    if claim.is_text:
        edits = islice(formula_edits(claim.formula, claim.quantity.letters), MOST)
        # the nearest first: most that are right are among the first few
        while few := list(islice(edits, AT_ONCE)):
            changes: list[tuple[str, sp.Expr, Claim]] = []
            for edit in few:
                changed = replace(claim, formula=edit.tree)
                try:
                    expression = mender.read(changed)
                except InputError:
                    continue
                if expression != claimed:
                    changes.append((edit.text, expression, changed))
            may_be_right = mender.kept([e for _, e, _ in changes])
            for possible, (text, _, changed) in zip(may_be_right, changes, strict=True):
                if possible and _mends_all(mender, changed):
                    return text
    if right is None:
        return ""
    single: list[Edit] = list(islice(single_edits(claimed, right), MOST))
    if remainder is not None and not remainder.is_Add and len(str(remainder)) <= LONGEST:
        single.append(Edit("missing", f"add the missing term {-remainder}", claimed - remainder))
    for kept, found in zip(mender.kept([e.expression for e in single]), single, strict=True):
        if kept and mender.confirmed(found.expression):
            return (
                found.text
                if "the whole" in found.text or not entry
                else f"in {entry}: {found.text}"
            )
    return ""


def _mends_all(mender: Mender, changed: Claim) -> bool:
    """Whether a changed claim can be read, and is right, for every entry."""
    try:
        return mender.mends_all(changed)
    except InputError:
        return False  # an index that one entry has is beyond the range of another


def find_repair(
    claim: Claim,
    case: Case,
    model: Model,
    rng: np.random.Generator,
    remainder: sp.Expr | None = None,
) -> str:
    """Of a claim that is to hold exactly: sieved at one point in double precision, confirmed with
    many digits.
    """

    def mends_all(changed: Claim) -> bool:
        cases = cases_of(changed)
        full = any(c.needs_full_rank for c in cases)
        return _agrees(
            [(c.claimed, c.derived) for c in cases], full, changed.model, rng, cases[0].more
        )

    return nearest_change(
        claim,
        case.claimed,
        case.derived,
        Mender(
            lambda changed: case_at(changed, model, case.bindings).claimed,
            lambda expressions: _sieve(expressions, case, model, rng),
            lambda expression: _agrees(
                [(expression, case.derived)], case.needs_full_rank, model, rng, case.more
            ),
            mends_all,
        ),
        case.name,
        remainder,
    )


def _sieve(
    candidates: Sequence[sp.Expr], case: Case, model: Model, rng: np.random.Generator
) -> list[bool]:
    """Which candidates are right at a point at which the claim is not."""
    for _ in range(SOUGHT):
        (point,) = general_points(model, rng, 1)
        found = _right_at([case.claimed, *candidates], case, point)
        if not found[0]:
            return found[1:]
    return [False] * len(candidates)


def _right_at(candidates: Sequence[sp.Expr], case: Case, point: Point) -> list[bool]:
    values = {**point.values, **case.more}
    nodes = list(
        dict.fromkeys(n for e in (*candidates, case.derived) for n in find_expectations(e))
    )
    try:
        table = node_values(nodes, point, values, None)
    except (DimensionError, ArithmeticError):
        return [False] * len(candidates)
    here = Evaluator(values, table)
    right = float(here.evaluate(case.derived)[0])
    kept = []
    for candidate in candidates:
        try:
            value, _, size = here.evaluate(candidate)
        except (TypeError, KeyError, ZeroDivisionError):
            kept.append(False)
            continue
        kept.append(abs(float(value) - right) <= SAME * (float(size) + abs(right)))
    return kept


def _agrees(
    pairs: Sequence[tuple[sp.Expr, sp.Expr]],
    full_rank: bool,
    model: Model,
    rng: np.random.Generator,
    more: dict[sp.Symbol, sp.Expr],
) -> bool:
    """Whether both sides agree at points of their own: what holds at one point may be an accident
    of its signs, so that both sides of every kink are among them.
    """
    sides = Sides(cuts_of(e for pair in pairs for e in pair))
    for n in range(CONFIRMATIONS):
        try:
            if full_rank or n:
                point = random_point(model, rng)
                found = gaps(pairs, point, None, more)
            else:
                point, found = certified_gaps(pairs, model, rng, more)
        except DimensionError:
            if n:
                continue  # points on a line are all that is affordable
            return False
        except ArithmeticError:
            return False
        if any(gap.refuted for gap in found):
            return False
        at = {**point.values, **more}
        if set(sides.names) <= set(at):
            sides.visit(at)
    return not any(_wrong_where(s, pairs, model, rng, more) for s in sides.unvisited())


def _wrong_where(
    signs: Signs,
    pairs: Sequence[tuple[sp.Expr, sp.Expr]],
    model: Model,
    rng: np.random.Generator,
    more: dict[sp.Symbol, sp.Expr],
) -> bool:
    """Whether both sides differ, or cannot be compared, where forms have signs not yet met."""
    if is_impossible(model, signs):
        return False
    for rank in (None, 1):
        point = find_point(model, rng, signs, rank, more)
        if point is None:
            continue
        try:
            return any(gap.refuted for gap in gaps(pairs, point, None, more))
        except (DimensionError, ArithmeticError):
            continue
    return True
