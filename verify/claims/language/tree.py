"""Formulas as trees: what every reader of a formula makes, and every change of one works on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from theory import InputError

# an index: a number counted from 1, a letter, or y for the label
Index = int | str


def place_of(text: str, position: int) -> str:
    r"""Where a character stands, counted from 1: its line too in a text of several.

    Examples
    --------
    >>> place_of("a + (b", 4), place_of("a\n + (b", 5)
    ('column 5', 'line 2, column 4')
    """
    line = text.count("\n", 0, position) + 1
    column = position - (text.rfind("\n", 0, position) + 1) + 1
    return f"line {line}, column {column}" if "\n" in text.strip() else f"column {column}"


class FormulaError(InputError):
    """A formula that cannot be read or has no meaning; ``position`` counts characters from 0."""

    def __init__(
        self, text: str, position: int, got: str, expected: str, remedy: str, where: str = "formula"
    ) -> None:
        self.text, self.position, self.plain = text, position, got
        got = f"{got} at {place_of(text, position)} of {_excerpt(text, position)}"
        super().__init__(where, got, expected, remedy)

    def __reduce__(self) -> tuple[type[FormulaError], tuple[str, int, str, str, str, str]]:  # type: ignore[override]
        return type(self), (
            self.text,
            self.position,
            self.plain,
            self.expected,
            self.remedy,
            self.parameter,
        )


@dataclass(frozen=True)
class Node:
    """A part of a formula; ``position`` is where it starts in the text."""

    position: int = field(default=0, compare=False, kw_only=True)


@dataclass(frozen=True)
class Number(Node):
    """An exact number."""

    value: Fraction


@dataclass(frozen=True)
class Name(Node):
    """A symbol or function with its indices."""

    base: str
    indices: tuple[Index, ...] = ()


@dataclass(frozen=True)
class Call(Node):
    """A function of arguments; ``diff`` and ``inner`` are functions too."""

    name: Name
    arguments: tuple[Node, ...]


@dataclass(frozen=True)
class Add(Node):
    """A sum of two terms or more; a difference adds a :class:`Negative`."""

    terms: tuple[Node, ...]


@dataclass(frozen=True)
class Multiply(Node):
    """A product of two factors or more."""

    factors: tuple[Node, ...]


@dataclass(frozen=True)
class Divide(Node):
    """A quotient."""

    above: Node
    below: Node


@dataclass(frozen=True)
class Negative(Node):
    """A formula with its sign changed."""

    inside: Node


@dataclass(frozen=True)
class Power(Node):
    """A power; ``base^exponent``."""

    base: Node
    exponent: Node


@dataclass(frozen=True)
class Condition(Node):
    """``left == right`` or ``left != right`` of two indices."""

    left: Index
    right: Index
    equal: bool


@dataclass(frozen=True)
class Bound(Node):
    """``letter <= limit`` (``upper``) or ``letter >= limit`` of an index of a sum.

    The limit is a whole number made of numbers, sizes (k, r, n, q) and other indices.
    """

    letter: str
    limit: Node
    upper: bool


@dataclass(frozen=True)
class Sum(Node):
    """Over all values of the indices that meet the conditions."""

    indices: tuple[str, ...]
    body: Node
    conditions: tuple[Condition | Bound, ...] = ()


@dataclass(frozen=True)
class Expectation(Node):
    """E_l[body], or E[body] over the whole mixture where ``component`` is None."""

    component: Index | None
    body: Node


def show(node: Node) -> str:
    """A formula as text that :func:`parse_formula` reads back."""
    return _show(node, 0)


# binding strengths: sum 0, product 1, sign 2, power 3, primary 4
def _show(node: Node, least: int) -> str:
    text, strength = _text(node)
    return text if strength >= least else f"({text})"


def _text(node: Node) -> tuple[str, int]:
    match node:
        case Number(value):
            whole = value.denominator == 1
            return str(value), (4 if whole and value >= 0 else 1)
        case Name(base, indices):
            return "_".join([base, *map(str, indices)]), 4
        case Call(name, arguments):
            return f"{_text(name)[0]}({', '.join(_show(a, 0) for a in arguments)})", 4
        case Expectation(component, body):
            return f"E{'' if component is None else f'_{component}'}[{_show(body, 0)}]", 4
        case Sum(indices, body, conditions):
            more = "".join(f", {_condition(c)}" for c in conditions)
            return f"sum_{'_'.join(indices)}({_show(body, 0)}{more})", 4
        case Power(base, exponent):
            return f"{_show(base, 4)}^{_show(exponent, 2)}", 3
        case Negative(inside):
            return f"-{_show(inside, 2)}", 2
        case Multiply(factors):
            first, *rest = factors
            return "*".join(
                [_show(first, 1 if isinstance(first, Divide) else 2), *(_show(f, 2) for f in rest)]
            ), 1
        case Divide(above, below):
            return f"{_show(above, 1)}/{_show(below, 2)}", 1
        case Add(terms):
            first, *rest = terms
            parts = [_show(first, 1)]
            for term in rest:
                if isinstance(term, Negative):
                    parts.append(f" - {_show(term.inside, 1)}")
                else:
                    parts.append(f" + {_show(term, 1)}")
            return "".join(parts), 0
    raise TypeError(type(node).__name__)


def _condition(c: Condition | Bound) -> str:
    if isinstance(c, Bound):
        return f"{c.letter} {'<=' if c.upper else '>='} {_show(c.limit, 0)}"
    return f"{c.left} {'==' if c.equal else '!='} {c.right}"


def children(node: Node) -> tuple[Node, ...]:
    """The parts of a formula, in reading order."""
    match node:
        case Call(_, arguments):
            return arguments
        case Add(parts) | Multiply(parts):
            return parts
        case Divide(left, right) | Power(left, right):
            return left, right
        case Negative(inside):
            return (inside,)
        case Sum(_, body, _) | Expectation(_, body):
            return (body,)
    return ()


def _excerpt(text: str, position: int) -> str:
    """The text around a position, in quotes."""
    flat = " ".join(text.split()) if "\n" in text else text
    if len(flat) <= 72:
        return repr(flat)
    around = " ".join(text[max(0, position - 30) : position + 30].split())
    return f"'...{around}...'"


# names of sizes in the limits of sums; any other letter there is an index
SIZES = ("k", "K", "r", "n", "q")


def limit_letters(limit: Node) -> list[str]:
    """Index letters in the limit of a sum."""
    if isinstance(limit, Name):
        return [] if limit.base in SIZES else [limit.base]
    return [letter for child in children(limit) for letter in limit_letters(child)]


def free_letters(tree: Node) -> Iterator[tuple[str, int]]:
    """Index letters that no sum binds, with their positions."""

    def indices(
        found: Sequence[Index], position: int, bound: frozenset[str]
    ) -> Iterator[tuple[str, int]]:
        for i in found:
            if isinstance(i, str) and i not in bound and i not in ("y", "v"):
                yield i, position

    def walk(node: Node, bound: frozenset[str]) -> Iterator[tuple[str, int]]:
        match node:
            case Name(_, found):
                yield from indices(found, node.position, bound)
            case Call(name, _):
                yield from indices(name.indices, node.position, bound)
            case Expectation(component, _) if component is not None:
                yield from indices([component], node.position, bound)
            case Sum(letters, _, conditions):
                bound = bound | set(letters)
                for c in conditions:
                    if isinstance(c, Bound):
                        yield from indices(limit_letters(c.limit), c.position, bound)
                    else:
                        yield from indices([c.left, c.right], c.position, bound)
        for child in children(node):
            yield from walk(child, bound)

    yield from walk(tree, frozenset())
