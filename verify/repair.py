"""The nearest single-term change that mends a refuted claim, found by trying edits and confirmed."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

import numpy as np
import sympy as sp

from numerics.high_precision import DimensionError
from theory.derived import find_expectations

from .cases import Case
from .edits import Edit, single_edits
from .judgement import Claim
from .points import Point, random_point
from .stages_digits import certified_gaps, evaluate, gaps, node_values

# edits tried; a claim with more is too long for a single-term change to be found so
MOST = 600
SAME = 1e-9


def find_repair(cases: Sequence[Case], wrong: Case, claim: Claim, rng: np.random.Generator) -> str:
    """In words, or empty where no single-term change mends the wrong entry.

    Edits are sieved at one point in double precision and confirmed at further ones with many digits.
    """
    model = claim.model if wrong in cases else None
    if model is None:
        from .smaller import smaller_models

        model = next(
            (m for m in smaller_models(claim) if m.units == _units(wrong)), claim.model
        )
    point = random_point(model, rng, None if model.loss.is_smooth or model.units <= 2 else 2)
    edits = list(islice(single_edits(wrong.claimed, wrong.derived), MOST))
    for edit in _sieve(edits, wrong.derived, point, wrong):
        if _confirmed(edit, wrong, model, rng):
            at = f"in {wrong.name}: " if wrong.bindings and edit.kind != "whole" else ""
            whole = edit.text.endswith("the whole") or "the whole by" in edit.text
            return edit.text if whole else f"{at}{edit.text}"
    return ""


def _units(case: Case) -> int:
    laws = [n.law for e in (case.claimed, case.derived) for n in find_expectations(e)]
    return len(laws[0].variables) if laws else 0


def _sieve(edits: Sequence[Edit], wanted: sp.Expr, point: Point, case: Case) -> list[Edit]:
    values = {**point.values, **case.more}
    nodes = list(dict.fromkeys(n for e in (*(x.expression for x in edits), wanted) for n in find_expectations(e)))
    try:
        table = node_values(nodes, point, values, None)
    except (DimensionError, ArithmeticError):
        return []
    right = float(evaluate(wanted, values, table)[0])
    kept = []
    for edit in edits:
        try:
            value, _, size = evaluate(edit.expression, values, table)
        except (TypeError, KeyError, ZeroDivisionError):
            continue
        if abs(float(value) - right) <= SAME * (float(size) + abs(right)):
            kept.append(edit)
    return kept


def _confirmed(edit: Edit, case: Case, model: object, rng: np.random.Generator) -> bool:
    from theory import Model

    assert isinstance(model, Model)
    pair = [(edit.expression, case.derived)]
    try:
        if case.needs_full_rank:
            return not gaps(pair, random_point(model, rng), None, case.more)[0].refuted
        return not certified_gaps(pair, model, rng, case.more)[1][0].refuted
    except (DimensionError, ArithmeticError):
        return False


