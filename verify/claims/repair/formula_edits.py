"""Single changes of a claimed formula as it is written: what mends it for all of its indices at
once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from verify.claims.language.conventions import COMPONENTS, DIRECTIONS, PARAMETERS, UNITS
from verify.claims.language.tree import (
    Add,
    Call,
    Divide,
    Expectation,
    Index,
    Multiply,
    Name,
    Negative,
    Node,
    Number,
    Power,
    Sum,
    children,
    show,
)
from verify.printing.shorten import shorten

_FACTORS = (
    Power(Name("lambda"), Negative(Number(Fraction(1)))),
    Name("lambda"),
    Number(Fraction(2)),
    Number(Fraction(1, 2)),
    Name("c_delta"),
    Power(Name("c_delta"), Negative(Number(Fraction(1)))),
    Name("beta"),
)


@dataclass(frozen=True)
class FormulaEdit:
    """A changed tree and what was changed."""

    text: str
    tree: Node


def formula_edits(tree: Node, letters: tuple[str, ...]) -> Iterator[FormulaEdit]:
    """Every single change: a sign, a factor, a transposed or other index, a term less, a Kronecker
    case more.

    Parameters
    ----------
    tree : Node
    letters : tuple of str
        The open indices of the quantity.

    Examples
    --------
    >>> from verify.claims.language.text import parse_formula
    >>> [e.text for e in formula_edits(parse_formula("m_a_s"), ("a", "s"))][:2]
    ['write m_s_a for m_a_s', 'write m_s_s for m_a_s']
    """
    # nearest first: an index, another tensor, then signs and factors, then cases and terms
    yield from _indices(tree, letters)
    yield from _tensors(tree)
    yield from _named_terms(tree, letters)
    yield FormulaEdit("flip the sign of the whole", Negative(tree))
    for factor in _FACTORS:
        yield FormulaEdit(f"multiply the whole by {show(factor)}", Multiply((factor, tree)))
    yield from _ridge_terms(tree, letters)
    for path, node in _places(tree):
        if path and _is_term(tree, path):
            shown = shorten(show(node), 60)
            yield FormulaEdit(f"flip the sign of {shown}", put(tree, path, Negative(node)))
            for factor in _FACTORS:
                yield FormulaEdit(
                    f"multiply {shown} by {show(factor)}", put(tree, path, Multiply((factor, node)))
                )
    for path, node in _places(tree):
        if path and _is_term(tree, path):
            parent = _get(tree, path[:-1])
            assert isinstance(parent, Add)
            for one, two in _pairs(letters):
                partner = _exchanged(node, one, two)
                if _kind(one) == _kind(two) and partner != node:
                    yield FormulaEdit(
                        f"add the term with {one} and {two} exchanged:"
                        f" {shorten(show(partner), 60)}",
                        put(tree, path[:-1], Add((*parent.terms, partner))),
                    )
    for path, node in _places(tree):
        if path and _is_term(tree, path):
            yield FormulaEdit(
                f"drop {shorten(show(node), 60)}", put(tree, path, Number(Fraction(0)))
            )
        if path and (_is_term(tree, path) or isinstance(node, Name)):
            for one, two in _pairs(letters):
                delta = Name("delta", (one, two))
                other = Add((Number(Fraction(1)), Negative(delta)))
                product = Multiply((delta, node))
                yield FormulaEdit(
                    f"multiply {shorten(show(node), 60)} by {show(delta)}", put(tree, path, product)
                )
                yield FormulaEdit(
                    f"leave out {shorten(show(node), 60)} where {one} = {two}",
                    put(tree, path, Multiply((other, node))),
                )
    for path, node in _places(tree):
        if path and isinstance(node, Name) and not _is_term(tree, path):
            for one, two in _pairs(letters):
                yield FormulaEdit(
                    f"write delta_{one}_{two} - {shorten(show(node), 60)} for"
                    f" {shorten(show(node), 60)}",
                    put(tree, path, Add((Name("delta", (one, two)), Negative(node)))),
                )
    for path, node in _places(tree):
        if isinstance(node, Add):
            for one, two in _pairs(letters):
                yield FormulaEdit(
                    f"add the case delta_{one}_{two} to {shorten(show(node), 60)}",
                    put(tree, path, Add((*node.terms, Name("delta", (one, two))))),
                )


Path = tuple[int, ...]


def _places(tree: Node, path: Path = ()) -> Iterator[tuple[Path, Node]]:
    yield path, tree
    for i, child in enumerate(children(tree)):
        yield from _places(child, (*path, i))


def _is_term(tree: Node, path: Path) -> bool:
    parent = _get(tree, path[:-1])
    return isinstance(parent, Add)


def _get(tree: Node, path: Path) -> Node:
    for i in path:
        tree = children(tree)[i]
    return tree


def put(tree: Node, path: Path, node: Node) -> Node:
    """The tree with another node at a place."""
    if not path:
        return node
    i, rest = path[0], path[1:]
    parts = list(children(tree))
    parts[i] = put(parts[i], rest, node)
    match tree:
        case Call():
            return replace(tree, arguments=tuple(parts))
        case Add():
            return replace(tree, terms=tuple(parts))
        case Multiply():
            return replace(tree, factors=tuple(parts))
        case Divide():
            return replace(tree, above=parts[0], below=parts[1])
        case Power():
            return replace(tree, base=parts[0], exponent=parts[1])
        case Negative():
            return replace(tree, inside=parts[0])
        case Sum() | Expectation():
            return replace(tree, body=parts[0])
    raise TypeError(type(tree).__name__)


def _indices(whole: Node, letters: tuple[str, ...]) -> Iterator[FormulaEdit]:
    """Transposed indices, and one index replaced by another letter at hand."""

    def walk(node: Node, path: Path, bound: tuple[str, ...]) -> Iterator[FormulaEdit]:
        if isinstance(node, Name) and node.indices and "v" not in node.indices:
            found = node.indices
            others: list[tuple[Index, ...]] = []
            if len(found) == 2:
                others.append((found[1], found[0]))
            for position, index in enumerate(found):
                for letter in (*letters, *bound):
                    if letter != index and isinstance(index, str):
                        others.append((*found[:position], letter, *found[position + 1 :]))
            for other in dict.fromkeys(others):
                changed = replace(node, indices=other)
                yield FormulaEdit(
                    f"write {show(changed)} for {show(node)}", put(whole, path, changed)
                )
        if isinstance(node, Expectation) and isinstance(node.component, str):
            for letter in (*letters, *bound):
                if letter != node.component:
                    changed_e = replace(node, component=letter)
                    yield FormulaEdit(
                        f"write E_{letter} for E_{node.component} in {shorten(show(node), 60)}",
                        put(whole, path, changed_e),
                    )
        inner = (*bound, *node.indices) if isinstance(node, Sum) else bound
        for i, child in enumerate(children(node)):
            yield from walk(child, (*path, i), inner)

    yield from walk(whole, (), ())


# tensors that are taken for one another, and what a size stands for
_TAKEN_FOR = {"Q": ("R", "m"), "R": ("Q", "m"), "m": ("Q", "R"), "P": ("Q",)}
_SIZES = {"d": Add((Name("d"), Negative(Name("r"))))}


def _tensors(tree: Node) -> Iterator[FormulaEdit]:
    """Another tensor of the same indices: Q for R_perp, m for Q; and d - r for d or back."""
    for path, node in _places(tree):
        if isinstance(node, Name) and len(node.indices) == 2 and node.base in _TAKEN_FOR:
            for base in _TAKEN_FOR[node.base]:
                changed = replace(node, base=base)
                yield FormulaEdit(
                    f"write {show(changed)} for {show(node)}", put(tree, path, changed)
                )
        if isinstance(node, Name) and not node.indices and node.base in _SIZES:
            size = _SIZES[node.base]
            yield FormulaEdit(f"write {show(size)} for {show(node)}", put(tree, path, size))
        for short, long in _SIZES.items():
            if node == long:
                yield FormulaEdit(f"write {short} for {show(node)}", put(tree, path, Name(short)))
    everywhere = [("Q", "R"), ("R", "Q"), ("m", "Q"), ("Q", "m")]
    for one, two in everywhere:
        changed_all = _renamed(tree, one, two)
        if changed_all != tree:
            yield FormulaEdit(f"write {two} for {one} everywhere", changed_all)


def _renamed(node: Node, one: str, two: str) -> Node:
    if isinstance(node, Name) and node.base == one and len(node.indices) == 2:
        return replace(node, base=two)
    for i, child in enumerate(children(node)):
        node = put(node, (i,), _renamed(child, one, two))
    return node


def _named_terms(tree: Node, letters: tuple[str, ...]) -> Iterator[FormulaEdit]:
    """The corrector, more or less: the term of the dynamics that is forgotten most."""
    open_pairs = [(a, b) for a, b in _pairs(letters) if _kind(a) == _kind(b)]
    names = [node for _, node in _places(tree) if isinstance(node, Name) and node.base == "R"]
    numbered = [(n.indices[0], n.indices[1]) for n in names if len(n.indices) == 2]
    pairs: Sequence[tuple[Index, Index]] = open_pairs or list(dict.fromkeys(numbered))
    for one, two in pairs:
        gradients = Multiply((Name("g", (one,)), Name("g", (two,))))
        mean = Expectation(None, gradients)
        corrector = Divide(Multiply((Name("c_delta"), mean)), Name("lambda"))
        name = f"corrector_{one}_{two}"
        text = f"{name}, which is {show(corrector)}"
        yield FormulaEdit(f"add + {text}", Add((tree, corrector)))
        yield FormulaEdit(f"take off {text}", Add((tree, Negative(corrector))))


def _ridge_terms(tree: Node, letters: tuple[str, ...]) -> Iterator[FormulaEdit]:
    """What the ridge adds: a number, a multiple of the identity, or one of a statistic."""
    found: list[Node] = [Name("beta")]
    for one, two in _pairs(letters):
        kinds = {_kind(one), _kind(two)}
        if len(kinds) == 1:
            found.append(Multiply((Name("beta"), Name("delta", (one, two)))))
        if kinds == {UNITS}:
            size = Name("R", (one, two))
            found.append(Multiply((Number(Fraction(2)), Name("beta"), size)))
        if (_kind(one), _kind(two)) == (UNITS, DIRECTIONS):
            found.append(Multiply((Name("beta"), Name("m", (one, two)))))
    found += [
        Multiply((Name("beta"), Name("v", (letter,))))
        for letter in letters
        if _kind(letter) == PARAMETERS
    ]
    for term in found:
        yield FormulaEdit(f"add {show(term)}, the ridge", Add((tree, term)))
        yield FormulaEdit(f"take off {show(term)}, the ridge", Add((tree, Negative(term))))


def _exchanged(node: Node, one: str, two: str) -> Node:
    """The same with two letters exchanged."""
    swap: dict[Index, Index] = {one: two, two: one}
    for i, child in enumerate(children(node)):
        node = put(node, (i,), _exchanged(child, one, two))
    if isinstance(node, Name):
        return replace(node, indices=tuple(swap.get(i, i) for i in node.indices))
    if isinstance(node, Expectation) and node.component is not None:
        return replace(node, component=swap.get(node.component, node.component))
    return node


def _pairs(letters: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    for i, one in enumerate(letters):
        for two in letters[i + 1 :]:
            if _kind(one) and _kind(two):
                yield one, two


def _kind(letter: str) -> str:
    return next((k for k in (UNITS, DIRECTIONS, COMPONENTS, PARAMETERS) if letter in k), "")
