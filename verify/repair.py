"""The nearest single change that mends a refuted claim, found by trying edits and confirmed on all of its entries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
import sympy as sp

from numerics.high_precision import DimensionError
from theory import InputError, Model
from theory.derived import find_expectations

from .cases import Case, case_at, cases_of
from .edits import single_edits
from .formula_edits import formula_edits
from .judgement import Claim
from .points import random_point
from .stages_digits import certified_gaps, evaluate, gaps, node_values

# edits tried: a claim with more is too long for a single change to be found so
MOST = 500
SAME = 1e-9


@dataclass(frozen=True)
class _Candidate:
    text: str
    expression: sp.Expr
    claim: Claim | None = None


def find_repair(claim: Claim, case: Case, model: Model, rng: np.random.Generator) -> str:
    """In words, or empty where no single change mends the claim.

    Changes of the formula as it is written come first: they have to mend every entry.  Then those of the expression
    that the wrong entry is.  All are sieved at one point in double precision and confirmed with many digits.
    """
    candidates: list[_Candidate] = []
    if claim.is_text:
        for edit in islice(formula_edits(claim.formula, claim.quantity.letters), MOST):
            changed = replace(claim, formula=edit.tree)
            try:
                entry = case_at(changed, model, case.bindings)
            except InputError:
                continue
            if entry.claimed != case.claimed:
                candidates.append(_Candidate(edit.text, entry.claimed, changed))
    for found in _sieve(candidates, case, model, rng):
        assert found.claim is not None
        if _mends_all(found.claim, rng):
            return found.text
    single = [_Candidate(e.text, e.expression) for e in islice(single_edits(case.claimed, case.derived), MOST)]
    for found in _sieve(single, case, model, rng):
        if _agrees([(found.expression, case.derived)], case.needs_full_rank, model, rng, case.more):
            return found.text if "the whole" in found.text else f"in {case.name}: {found.text}"
    return ""


def _sieve(candidates: Sequence[_Candidate], case: Case, model: Model, rng: np.random.Generator) -> list[_Candidate]:
    most = (3 if model.loss.is_smooth else 2) + (0 if model.loss.gauge is None else model.loss.gauge.cols)
    point = random_point(model, rng, min(model.units, most))
    values = {**point.values, **case.more}
    expressions = [*(c.expression for c in candidates), case.derived]
    nodes = list(dict.fromkeys(n for e in expressions for n in find_expectations(e)))
    try:
        table = node_values(nodes, point, values, None)
    except (DimensionError, ArithmeticError):
        return []
    right = float(evaluate(case.derived, values, table)[0])
    kept = []
    for candidate in candidates:
        try:
            value, _, size = evaluate(candidate.expression, values, table)
        except (TypeError, KeyError, ZeroDivisionError):
            continue
        if abs(float(value) - right) <= SAME * (float(size) + abs(right)):
            kept.append(candidate)
    return kept


def _mends_all(claim: Claim, rng: np.random.Generator) -> bool:
    cases = cases_of(claim)
    full = any(c.needs_full_rank for c in cases)
    return _agrees([(c.claimed, c.derived) for c in cases], full, claim.model, rng, cases[0].more)


def _agrees(
    pairs: Sequence[tuple[sp.Expr, sp.Expr]], full_rank: bool, model: Model, rng: np.random.Generator,
    more: dict[sp.Symbol, sp.Expr],
) -> bool:
    try:
        found = gaps(pairs, random_point(model, rng), None, more) if full_rank else (
            certified_gaps(pairs, model, rng, more)[1]
        )
        return not any(gap.refuted for gap in found)
    except (DimensionError, ArithmeticError):
        return False
