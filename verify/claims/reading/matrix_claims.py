"""Claims between matrices, written out as claims about all of their entries."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from verify.claims.judgement import Claim
from verify.claims.language.dyads import block_entries, holds_dyads
from verify.claims.language.index_letters import KINDS
from verify.claims.language.matrices import (
    MATRICES,
    entrywise,
    is_between_matrices,
    letters_of,
    shape_of,
)
from verify.claims.language.tree import (
    Call,
    Expectation,
    Index,
    Multiply,
    Name,
    Node,
    Number,
    children,
    show,
)
from verify.claims.quantities import DRIFT, EXPRESSION, STEP


def written_out(claim: Claim) -> Claim:
    """The claim about the entries, at open indices, where it was one between matrices.

    Raises
    ------
    FormulaError
        Shapes that do not match.
    """
    if not isinstance(claim.formula, Node):
        return claim
    quantity, text = claim.quantity, claim.text
    if quantity.kind in (DRIFT, STEP) and quantity.parts and not quantity.parts[0][1]:
        base = quantity.parts[0][0]
        kinds: tuple[str, ...] = MATRICES[base]
        indices = _open(kinds, claim.formula)
        entry = "_".join([base, *map(str, indices)])
        opened = replace(quantity, entry=entry, parts=((base, indices),))
        zero = isinstance(claim.formula, Number) and claim.formula.value == 0
        right = claim.formula if zero else entrywise(text, claim.formula, kinds, indices)
        return replace(claim, quantity=opened, formula=right)
    left = quantity.left
    if quantity.kind == EXPRESSION and left is not None:
        if not (is_between_matrices(left) or is_between_matrices(claim.formula) or _bare(left)):
            return claim
        inside = quantity.sample
        kinds = shape_of(text, left, inside)
        indices = _open(kinds, left, claim.formula)
        one = entrywise(text, left, kinds, indices, inside)
        two = entrywise(text, claim.formula, kinds, indices, inside)
        return replace(claim, quantity=replace(quantity, entry=show(one), left=one), formula=two)
    if is_between_matrices(claim.formula):
        return replace(claim, formula=entrywise(text, claim.formula, (), ()))
    return claim


def _bare(left: Node) -> bool:
    """A matrix without indices, alone or as a mean: g, H, Q, E_l[g]."""
    if isinstance(left, Expectation):
        return _bare(left.body)
    return isinstance(left, Name) and left.base in MATRICES and not left.indices


def _open(kinds: tuple[str, ...], *trees: Node) -> tuple[Index, ...]:
    """Letters for open indices that stand nowhere else."""
    used = set().union(*map(letters_of, trees))
    found: list[str] = []
    for kind in kinds:
        # of too many letters the first is taken, and refused where it is bound
        free = [x for x in KINDS[kind] if x not in used] or [KINDS[kind][0]]
        found.append(free[0])
        used.add(free[0])
    return tuple(found)


def block_claims(left: Node, right: Node) -> Iterator[tuple[str, bool | None, Node]]:
    """The entries that ``H_{ab} = ...`` says something about, where dyads stand on its right: names
    of the quantities, whether the ridge is included, formulas.
    """
    if not (holds_dyads(right) and (block := _block(left))):
        return
    head, indices, regularized = block
    for place, formula in block_entries("", right, indices).items():
        yield f"{head}_{indices[0]}_{indices[1]}[{place}]", regularized, formula


def _block(left: Node) -> tuple[str, tuple[Index, ...], bool | None] | None:
    """H_{ab}, G_{ab}, E[H_{ab} Y Y^T] or E[g_a g_b Y Y^T]; the last two without ridge."""
    if isinstance(left, Name) and left.base in ("H", "G") and len(left.indices) == 2:
        return left.base, left.indices, None
    if not (isinstance(left, Expectation) and left.component is None):
        return None
    factors = left.body.factors if isinstance(left.body, Multiply) else ()
    names = [f for f in factors if isinstance(f, Name)]
    dyads = [f for f in factors if isinstance(f, Call) and f.name.base == "dyad"]
    features = len(dyads) == 1 and all(c == Name("Y") for c in children(dyads[0]))
    if not features or len(names) + 1 != len(factors):
        return None
    if len(names) == 1 and names[0].base == "H" and len(names[0].indices) == 2:
        return "H", names[0].indices, False
    if len(names) == 2 and all(n.base == "g" and len(n.indices) == 1 for n in names):
        return "G", (names[0].indices[0], names[1].indices[0]), False
    return None
