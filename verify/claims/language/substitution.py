"""Index letters of trees: put in place of others, and found."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from .tree import (
    SIZES,
    Add,
    Bound,
    Call,
    Condition,
    Divide,
    Expectation,
    FormulaError,
    Index,
    Multiply,
    Name,
    Negative,
    Node,
    Power,
    Sum,
    children,
)


def with_children(node: Node, change: Callable[[Node], Node]) -> Node:
    """A part of a formula whose own parts are changed."""
    match node:
        case Call(_, arguments):
            return replace(node, arguments=tuple(map(change, arguments)))
        case Add(terms):
            return replace(node, terms=tuple(map(change, terms)))
        case Multiply(factors):
            return replace(node, factors=tuple(map(change, factors)))
        case Divide(above, below):
            return replace(node, above=change(above), below=change(below))
        case Power(base, exponent):
            return replace(node, base=change(base), exponent=change(exponent))
        case Negative(inside):
            return replace(node, inside=change(inside))
        case Sum(_, body, _) | Expectation(_, body):
            return replace(node, body=change(body))
    return node


def renamed(node: Node, letters: Mapping[str, Index]) -> Node:
    """A formula with other index letters, bound ones included; ``letters`` says which for which."""

    def of(index: Index) -> Index:
        return letters.get(index, index) if isinstance(index, str) else index

    def limit(found: Node) -> Node:
        if isinstance(found, Name) and found.base in letters and found.base not in SIZES:
            return replace(found, base=str(letters[found.base]))
        return with_children(found, limit)

    def change(found: Node) -> Node:
        found = with_children(found, change)
        match found:
            case Name(_, indices):
                return replace(found, indices=tuple(map(of, indices)))
            case Call(name, _) if name.indices:
                return replace(found, name=replace(name, indices=tuple(map(of, name.indices))))
            case Expectation(component, _) if component is not None:
                return replace(found, component=of(component))
            case Sum(bound, _, conditions):
                own = tuple(str(of(letter)) for letter in bound)
                return replace(found, indices=own, conditions=tuple(map(condition, conditions)))
        return found

    def condition(found: Condition | Bound) -> Condition | Bound:
        if isinstance(found, Bound):
            return replace(found, letter=str(of(found.letter)), limit=limit(found.limit))
        return replace(found, left=of(found.left), right=of(found.right))

    return change(node)


def bound_letters(node: Node) -> set[str]:
    """Letters that sums bind, anywhere in a formula."""
    own = set(node.indices) if isinstance(node, Sum) else set()
    return own.union(*map(bound_letters, children(node)))


def with_indices(text: str, node: Node, values: Mapping[str, Index], position: int) -> Node:
    """A named formula at the indices it has where it is used."""
    clash = bound_letters(node) & {v for v in values.values() if isinstance(v, str)}
    if clash:
        got = f"the index {min(clash)!r}, which the name sums over"
        expected, remedy = "another letter", "rename the index of the sum in the table of names"
        raise FormulaError(text, position, got, expected, remedy)
    return _moved(renamed(node, values), position)


def _moved(node: Node, position: int) -> Node:
    """A formula whose parts all stand where its name is used."""
    return replace(with_children(node, lambda n: _moved(n, position)), position=position)
