r"""Blocks V B V^T + c I as their authors print them: sums of vectors times transposed vectors.

``\mu_l\mu_l^\top``, ``x^c \mu_l^\top``, ``e_s e_t^\top`` and I, with numbers beside them.  Such a
formula is one for every coefficient of the block, which :func:`block_entries` writes down.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

from .index_letters import KINDS
from .substitution import bound_letters
from .tree import (
    Add,
    Call,
    Divide,
    Expectation,
    FormulaError,
    Index,
    Multiply,
    Name,
    Negative,
    Node,
    Number,
    Sum,
    children,
    free_letters,
)

DYAD, BULK = "dyad", "bulk"
_NOTHING = Number(Fraction(0))


def holds_dyads(tree: Node) -> bool:
    """Whether vectors times transposed vectors stand in a formula."""
    if isinstance(tree, Call) and tree.name.base == DYAD:
        return True
    return any(map(holds_dyads, children(tree)))


def block_entries(text: str, tree: Node, open_letters: Sequence[Index]) -> dict[str, Node]:
    """The coefficients of a block V B V^T + c I, by their places: ``e_s,x_c``, ``bulk``.

    Raises
    ------
    FormulaError
        A term that is no multiple of a dyad and none of I; letters that are bound already.
    """
    used = {*open_letters} | {x for x, _ in free_letters(tree)} | bound_letters(tree)
    units = [x for x in KINDS["unit"] if x not in used][:2]
    directions = [x for x in KINDS["direction"] if x not in used][:2]
    if len(units) < 2 or len(directions) < 2:
        got, expected = "sums over all letters of a kind", "two letters of each for the entries"
        raise FormulaError(text, tree.position, got, expected, "write one entry after the other")
    (c, d), (s, t) = units, directions
    places = [
        (("e", s), ("e", t)),
        (("e", s), ("x", c)),
        (("x", c), ("e", s)),
        (("x", c), ("x", d)),
    ]
    found = {BULK: _coefficient(text, tree, None)}
    for one, two in places:
        found[f"{one[0]}_{one[1]},{two[0]}_{two[1]}"] = _coefficient(text, tree, (one, two))
    return found


_Place = tuple[tuple[str, str], tuple[str, str]] | None


def _coefficient(text: str, tree: Node, place: _Place) -> Node:
    """What stands beside a dyad of basis vectors, or beside I where there is no place."""
    match tree:
        case Name("I"):
            return Number(Fraction(1)) if place is None else _NOTHING
        case Call(Name("dyad"), (Name() as left, Name() as right)):
            return _NOTHING if place is None else _dyad(text, left, right, place)
        case Add(terms):
            parts = [p for t in terms if (p := _coefficient(text, t, place)) != _NOTHING]
            if not parts:
                return _NOTHING
            return parts[0] if len(parts) == 1 else Add(tuple(parts), position=tree.position)
        case Negative(part):
            inner = _coefficient(text, part, place)
            return inner if inner == _NOTHING else Negative(inner, position=tree.position)
        case Divide(above, below):
            inner = _coefficient(text, above, place)
            return inner if inner == _NOTHING else Divide(inner, below, position=tree.position)
        case Sum(_, body, _) | Expectation(_, body):
            inner = _coefficient(text, body, place)
            return inner if inner == _NOTHING else replace(tree, body=inner)
        case Multiply(factors):
            matrices = [f for f in factors if _is_matrix(f)]
            if len(matrices) == 1:
                inner = _coefficient(text, matrices[0], place)
                if inner == _NOTHING:
                    return inner
                rest = tuple(f for f in factors if f is not matrices[0])
                return Multiply((*rest, inner), position=tree.position)
    got, expected = "a term without a vector times a transposed one", "a multiple of one, or of I"
    raise FormulaError(text, tree.position, got, expected, r"write \mu_l\mu_l^\top, x^c e_s^\top")


def _is_matrix(node: Node) -> bool:
    return holds_dyads(node) or node == Name("I") or any(map(_is_matrix, children(node)))


def _dyad(text: str, left: Name, right: Name, place: _Place) -> Node:
    assert place is not None
    found = []
    for vector, (kind, letter) in zip((left, right), place, strict=True):
        at = vector.position
        if vector.base == "mu" and kind == "e":
            found.append(Name("S", (*vector.indices, letter), position=at))
        elif vector.base == kind:
            found.append(Name("delta", (*vector.indices, letter), position=at))
        elif vector.base in ("e", "x", "mu"):
            return _NOTHING
        else:
            got, expected = f"the vector {vector.base}", r"x^c, e_s or \mu_l"
            raise FormulaError(text, at, got, expected, "write it in these")
    return Multiply(tuple(found), position=left.position)
