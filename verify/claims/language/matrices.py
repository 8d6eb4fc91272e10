r"""Statements between matrices, read as all of their entries.

``m``, ``R``, ``Q``, ``Gamma``, ``S``, ``H``, ``g``, ``u``, ``pi`` and ``v`` without indices are
matrices and columns; side by side they are multiplied, ``transpose(A)``, ``odot(A, B)``,
``otimes(a, b)``, ``diag``, ``tr`` and ``entry`` are what their names say.  A statement between
matrices is one about their entries at open indices, which :func:`entrywise` writes down: what it
makes is a formula of the language like any other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from .index_letters import KINDS
from .substitution import bound_letters, with_children
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
    Sum,
    children,
    free_letters,
)

TRANSPOSE, ODOT, OTIMES, DIAG, TRACE, ENTRY = "transpose", "odot", "otimes", "diag", "tr", "entry"
OPERATIONS = (TRANSPOSE, ODOT, OTIMES, DIAG, TRACE, ENTRY)
# what each index of a matrix counts
MATRICES: dict[str, tuple[str, ...]] = {
    "m": ("unit", "direction"),
    "R": ("unit", "unit"),
    "Q": ("unit", "unit"),
    "P": ("unit", "unit"),
    "corrector": ("unit", "unit"),
    "Gamma": ("direction", "direction"),
    "S": ("component", "direction"),
    "v": ("parameter",),
    "g": ("unit",),
    "u": ("unit",),
    "w": ("unit",),
    "H": ("unit", "unit"),
    "pi": ("unit",),
}
_SEE = "see docs/derivations.md for statements between matrices"


def is_between_matrices(tree: Node) -> bool:
    """Whether an operation on matrices stands in a formula."""
    if isinstance(tree, Call) and tree.name.base in OPERATIONS:
        return True
    return any(map(is_between_matrices, children(tree)))


def shape_of(text: str, tree: Node, inside: bool = False) -> tuple[str, ...]:
    """What rows and columns of a formula count; nothing of a number.

    Raises
    ------
    FormulaError
        Shapes that do not match; a row, which has no open index of its own.
    """
    found = _Entries(text, set(letters_of(tree))).of(tree, inside)
    if (found.rows is None and found.columns is not None) or found.rows == "any":
        got = _shape(found.rows, found.columns)
        raise FormulaError(text, tree.position, got, "a number, a column or a matrix", _SEE)
    return tuple(k for k in (found.rows, found.columns) if k is not None)


def entrywise(
    text: str, tree: Node, kinds: Sequence[str], indices: Sequence[Index], inside: bool = False
) -> Node:
    """The entry of a formula between matrices.

    Parameters
    ----------
    text : str
        For messages.
    tree : Node
    kinds : sequence of str
        What the indices of the left side count; none where it is a number.
    indices : sequence of Index
    inside : bool
        It is about one sample: pi is the column of class probabilities.

    Raises
    ------
    FormulaError
        Shapes that do not match, with the position.

    Examples
    --------
    >>> from verify.claims.language.latex.formula import parse_latex
    >>> from verify.claims.language.tree import show
    >>> tree = parse_latex(r"-\\mathbb{E}[H] m - \\beta m")
    >>> show(entrywise("", tree, ("unit", "direction"), ("a", "s")))
    '-sum_b(E[H_a_b]*m_b_s) - beta*m_a_s'
    """
    bound = bound_letters(tree) & {i for i in indices if isinstance(i, str)}
    if bound:
        got, expected = f"a sum over {min(bound)}, an index of the entry", "another letter"
        raise FormulaError(text, tree.position, got, expected, "rename the index of the sum")
    found = _Entries(text, {*indices} | letters_of(tree)).of(tree, inside)
    rows, columns = (*kinds, None, None)[:2]
    if found.rows == "any" and rows == columns is not None:
        found = replace(found, rows=rows, columns=columns)
    if (found.rows, found.columns) != (rows, columns):
        got = f"{_shape(found.rows, found.columns)} on the right"
        expected = f"{_shape(rows, columns)}, as on the left"
        raise FormulaError(text, tree.position, got, expected, f"check the transposes, or {_SEE}")
    row, column = (*indices, None, None)[:2]
    return found.entry(row, column)


def letters_of(tree: Node) -> set[str]:
    """All index letters of a formula, bound and open."""
    return {letter for letter, _ in free_letters(tree)} | bound_letters(tree)


def _shape(rows: str | None, columns: str | None) -> str:
    if rows is None and columns is None:
        return "a number"
    if rows is None or columns is None:
        return f"a {'row' if rows is None else 'column'} of {rows or columns}s"
    return f"a matrix of {rows}s by {columns}s"


Entry = Callable[[Index | None, Index | None], Node]


@dataclass(frozen=True)
class _Value:
    """A part of a formula: what its rows and columns count, and its entries."""

    rows: str | None
    columns: str | None
    entry: Entry

    @property
    def is_number(self) -> bool:
        return self.rows is None and self.columns is None


class _Entries:
    """Reads parts of a formula as matrices."""

    def __init__(self, text: str, used: set[Index]) -> None:
        self.text, self.used = text, used

    def of(self, node: Node, inside: bool) -> _Value:
        match node:
            case Name():
                return self.name(node, inside)
            case Negative(part):
                found = self.of(part, inside)
                return self.mapped(found, lambda e: Negative(e, position=node.position))
            case Add(terms):
                return self.sum(node, [self.of(t, inside) for t in terms])
            case Multiply(factors):
                values = [self.of(f, inside) for f in factors]
                found = values[0]
                for value, factor in zip(values[1:], factors[1:], strict=True):
                    found = self.product(found, value, factor)
                return found
            case Divide(above, below):
                under = self.number(below, inside)
                found = self.of(above, inside)
                return self.mapped(found, lambda e: Divide(e, under, position=node.position))
            case Expectation(component, body):
                found = self.of(body, True)
                at = node.position
                return self.mapped(found, lambda e: Expectation(component, e, position=at))
            case Sum(_, body, _):
                found = self.of(body, inside)
                return self.mapped(found, lambda e: replace(node, body=e))
            case Call(name, arguments) if name.base in OPERATIONS:
                return self.operation(name, arguments, node.position, inside)
        number = with_children(node, lambda n: self.number(n, inside))
        return _Value(None, None, lambda i, j: number)

    def number(self, node: Node, inside: bool) -> Node:
        found = self.of(node, inside)
        if not found.is_number:
            got = _shape(found.rows, found.columns)
            raise self.refused(node, f"{got} where a number belongs", "a number")
        return found.entry(None, None)

    def name(self, node: Name, inside: bool) -> _Value:
        base, at = node.base, node.position
        given = node.indices
        kinds = MATRICES.get(base, ())
        if base == "I":
            return self.identity(at)
        if base == "g" and given == ("v",):
            return _Value("parameter", None, lambda i, j: Name("g", ("v", _is(i)), position=at))
        if (base == "pi" and not inside) or len(given) >= len(kinds) or not kinds:
            return _Value(None, None, lambda i, j: node)
        left = kinds[len(given) :]
        if len(kinds) == 2 and len(given) == 1:  # the row of a matrix
            return _Value(None, left[0], lambda i, j: Name(base, (*given, _is(j)), position=at))
        if len(left) == 1:
            return _Value(left[0], None, lambda i, j: Name(base, (_is(i),), position=at))
        return _Value(left[0], left[1], lambda i, j: Name(base, (_is(i), _is(j)), position=at))

    def identity(self, at: int) -> _Value:
        return _Value("any", "any", lambda i, j: Name("delta", (_is(i), _is(j)), position=at))

    def mapped(self, value: _Value, change: Callable[[Node], Node]) -> _Value:
        return replace(value, entry=lambda i, j: change(value.entry(i, j)))

    def sum(self, node: Add, values: list[_Value]) -> _Value:
        shaped = [v for v in values if not v.is_number and v.rows != "any"]
        like = shaped[0] if shaped else values[0]
        found = []
        for term, value in zip(node.terms, values, strict=True):
            if value.rows == "any" and like.rows == like.columns:
                value = replace(value, rows=like.rows, columns=like.columns)
            if value.is_number and (like.rows, like.columns) == ("unit", None):
                value = self.one_hot(term, value)
            if (value.rows, value.columns) != (like.rows, like.columns):
                got = f"{_shape(value.rows, value.columns)} beside "
                got += _shape(like.rows, like.columns)
                raise self.refused(term, got, "terms of one shape")
            found.append(value)
        return _Value(
            like.rows,
            like.columns,
            lambda i, j: Add(tuple(v.entry(i, j) for v in found), position=node.position),
        )

    def one_hot(self, term: Node, value: _Value) -> _Value:
        """y beside a column of units is the column of its indicators."""
        sign = isinstance(term, Negative)
        inner = term.inside if isinstance(term, Negative) else term
        if inner != Name("y"):
            return value
        at = inner.position

        def entry(i: Index | None, j: Index | None) -> Node:
            label = Name("delta", (_is(i), "y"), position=at)
            return Negative(label, position=at) if sign else label

        return _Value("unit", None, entry)

    def product(self, one: _Value, two: _Value, place: Node) -> _Value:
        at = place.position
        if one.is_number or two.is_number:
            rest = two if one.is_number else one
            return _Value(
                rest.rows,
                rest.columns,
                lambda i, j: _times(
                    one.entry(*((None, None) if one.is_number else (i, j))),
                    two.entry(*((None, None) if two.is_number else (i, j))),
                ),
            )
        if "any" in (one.columns, two.rows):
            return two if one.columns == "any" else one
        if one.columns is None and two.rows is None:
            return _Value(
                one.rows, two.columns, lambda i, j: _times(one.entry(i, None), two.entry(None, j))
            )
        if one.columns is None or one.columns != two.rows:
            got = f"{_shape(one.rows, one.columns)} times {_shape(two.rows, two.columns)}"
            raise self.refused(place, got, "shapes that match")
        kind = one.columns

        def entry(i: Index | None, j: Index | None) -> Node:
            letter = self.fresh(kind, place)
            body = _times(one.entry(i, letter), two.entry(letter, j))
            return Sum((letter,), body, position=at)

        return _Value(one.rows, two.columns, entry)

    def operation(self, name: Name, arguments: tuple[Node, ...], at: int, inside: bool) -> _Value:
        values = [self.of(a, inside) for a in arguments]
        first, place = values[0], arguments[0]
        if len(values) != (2 if name.base in (ODOT, OTIMES) else 1):
            raise self.refused(place, f"{name.base} of {len(values)}", "its arguments")
        if name.base == TRANSPOSE:
            return _Value(first.columns, first.rows, lambda i, j: first.entry(j, i))
        if name.base == ENTRY:
            return self.entry_of(first, name.indices, place)
        if name.base == DIAG and first.rows and first.columns is None:
            return _Value(
                first.rows,
                first.rows,
                lambda i, j: _times(
                    Name("delta", (_is(i), _is(j)), position=at), first.entry(i, None)
                ),
            )
        square = first.rows is not None and first.rows == first.columns != "any"
        if name.base == DIAG and square:
            return _Value(first.rows, None, lambda i, j: first.entry(i, i))
        if name.base == TRACE and square:

            def trace(i: Index | None, j: Index | None) -> Node:
                letter = self.fresh(str(first.rows), place)
                return Sum((letter,), first.entry(letter, letter), position=at)

            return _Value(None, None, trace)
        if name.base == ODOT:
            second = values[1]
            if (first.rows, first.columns) == (second.rows, second.columns):
                return _Value(
                    first.rows,
                    first.columns,
                    lambda i, j: _times(first.entry(i, j), second.entry(i, j)),
                )
        if name.base == OTIMES:
            second = values[1]
            if first.rows and second.rows and first.columns is second.columns is None:
                return _Value(
                    first.rows,
                    second.rows,
                    lambda i, j: _times(first.entry(i, None), second.entry(j, None)),
                )
        got = f"{name.base} of {' and '.join(_shape(v.rows, v.columns) for v in values)}"
        raise self.refused(place, got, "arguments of its shapes")

    def entry_of(self, value: _Value, indices: tuple[Index, ...], place: Node) -> _Value:
        """(A B)_{ab}, or the row (A B)_a."""
        if value.rows and value.columns and len(indices) == 2:
            return _Value(None, None, lambda i, j: value.entry(*indices))
        if value.rows and value.columns and len(indices) == 1:
            return _Value(None, value.columns, lambda i, j: value.entry(indices[0], j))
        if value.rows and value.columns is None and len(indices) == 1:
            return _Value(None, None, lambda i, j: value.entry(indices[0], None))
        got = f"{len(indices)} indices of {_shape(value.rows, value.columns)}"
        raise self.refused(place, got, "as many as it has")

    def fresh(self, kind: str, place: Node) -> str:
        letter = next((x for x in KINDS[kind] if x not in self.used), None)
        if letter is None:
            got = f"a product over more {kind}s than there are letters for"
            raise self.refused(place, got, "fewer products in one term")
        self.used.add(letter)
        return letter

    def refused(self, node: Node, got: str, expected: str) -> FormulaError:
        remedy = f"write the entries, such as m_{{as}}, or {_SEE}"
        return FormulaError(self.text, node.position, got, expected, remedy)


def _is(index: Index | None) -> Index:
    assert index is not None
    return index


def _times(one: Node, two: Node) -> Node:
    factors: list[Node] = []
    for node in (one, two):
        factors += node.factors if isinstance(node, Multiply) else (node,)
    return Multiply(tuple(factors), position=one.position)
