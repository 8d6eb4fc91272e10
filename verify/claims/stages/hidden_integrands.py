"""Terms inside of expectations that no point sees: a bump far out changes no digit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import sympy as sp

from theory.expectations.derived import find_expectations
from verify.claims.cases import Case
from verify.random_points.exact import Point

from .digits import affordable_gaps
from .node_identities import linearise
from .small_terms import LARGEST, smallest_term


def hidden_integrands(
    cases: Sequence[Case], points: Sequence[Point], digits: int, more: Mapping[sp.Symbol, sp.Expr]
) -> str:
    """What was not seen of expectations at points on a line, empty where nothing is left.

    Expectations are split into those of products.  What stands beside them outside may be zero but
    in some regions, so that points of all regions that were visited are of use.
    """
    split = {c.name: linearise(c.claimed - c.derived) for c in cases}
    left = [c for c in cases if not c.needs_full_rank and split[c.name].count_ops() <= LARGEST]
    unseen: dict[str, set[sp.Expr]] = {}
    for point in points:
        left = [c for c in left if unseen.get(c.name, True)]
        if not left:
            return ""
        found = affordable_gaps([(split[c.name], sp.S.Zero) for c in left], point, digits, more)
        for case, gap in zip(left, found, strict=True):
            if gap is None:
                continue
            terms = gap.terms or ({split[case.name]: 0} if split[case.name] != 0 else {})
            inside = (t for t in terms if next(find_expectations(t), None) is not None)
            hidden = {t for t in inside if not gap.sees(t)}
            unseen[case.name] = hidden & unseen.get(case.name, hidden)
    name = next((n for n, terms in unseen.items() if terms), "")
    return f"{name}: {smallest_term(unseen[name])}" if name else ""
