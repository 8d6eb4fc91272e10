r"""The language of claimed formulas: text to a syntax tree and back, without evaluating any code.

The names are those of docs/conventions.md; indices follow an underscore (``m_1_2``, ``m_a_s``) or stand in brackets
(``m[a,s]``).  ``E_l[f]`` is an expectation, ``sum_b(f)`` a sum over all values of an index, ``sum_b(f, b != a)`` over
some of them, ``delta_a_b`` a Kronecker delta and ``diff(f, u_a)`` a derivative.  A tree has no meaning yet:
:mod:`verify.claim_meaning` gives it that of a model.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction

from theory import InputError

# an index: a number counted from 1, a letter, or y for the label
Index = int | str


class FormulaError(InputError):
    """A formula that cannot be read or has no meaning; ``position`` counts characters from 0."""

    def __init__(
        self, text: str, position: int, got: str, expected: str, remedy: str, where: str = "formula"
    ) -> None:
        self.text, self.position, self.plain = text, position, got
        line = text.count("\n", 0, position) + 1
        column = position - (text.rfind("\n", 0, position) + 1) + 1
        place = f"line {line}, column {column}" if "\n" in text.strip() else f"column {column}"
        super().__init__(where, f"{got} at {place} of {_excerpt(text, position)}", expected, remedy)

    def __reduce__(self) -> tuple[type[FormulaError], tuple[str, int, str, str, str, str]]:  # type: ignore[override]
        return type(self), (self.text, self.position, self.plain, self.expected, self.remedy, self.parameter)


@dataclass(frozen=True)
class Node:
    """A part of a formula; ``position`` is where it starts in the text."""

    position: int = field(default=0, compare=False, kw_only=True)


@dataclass(frozen=True)
class Number(Node):
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
    terms: tuple[Node, ...]


@dataclass(frozen=True)
class Multiply(Node):
    factors: tuple[Node, ...]


@dataclass(frozen=True)
class Divide(Node):
    above: Node
    below: Node


@dataclass(frozen=True)
class Negative(Node):
    inside: Node


@dataclass(frozen=True)
class Power(Node):
    base: Node
    exponent: Node


@dataclass(frozen=True)
class Condition(Node):
    """``left == right`` or ``left != right`` of two indices."""

    left: Index
    right: Index
    equal: bool


@dataclass(frozen=True)
class Sum(Node):
    """Over all values of the indices that meet the conditions."""

    indices: tuple[str, ...]
    body: Node
    conditions: tuple[Condition, ...] = ()


@dataclass(frozen=True)
class Expectation(Node):
    """E_l[body], or E[body] over the whole mixture where ``component`` is None."""

    component: Index | None
    body: Node


# names that contain an underscore of their own
COMPOUND = ("c_delta",)
_TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+\.\d+(?:[eE][+-]?\d+)?|\d+(?:[eE][+-]?\d+)?)|(?P<name>[A-Za-z][A-Za-z0-9]*(?:_[A-Za-z0-9]+)*)"
    r"|(?P<sign>\*\*|==|!=|[-+*/^()\[\],]))"
)


@dataclass(frozen=True)
class Token:
    kind: str
    text: str
    position: int


def tokens(text: str) -> list[Token]:
    """Split a formula, with an end mark; a character that belongs to nothing is refused."""
    found, position = [], 0
    stop = len(text.rstrip())
    while position < stop:
        match = _TOKEN.match(text, position)
        if match is None:
            start = position + len(text[position:]) - len(text[position:].lstrip())
            raise FormulaError(
                text, start, f"the character {text[start]!r}", "numbers, names, + - * / ^ ( ) [ ] and commas",
                "LaTeX is read where a formula holds a backslash or is given as latex = ...",
            )
        kind = str(match.lastgroup)
        found.append(Token(kind, match.group(kind), match.start(kind)))
        position = match.end()
    return [*found, Token("end", "", stop)]


class Reader:
    """What every reader of tokens does: look, take, demand."""

    def __init__(self, text: str, found: list[Token]) -> None:
        self.text, self.found, self.at = text, found, 0

    @property
    def next(self) -> Token:
        return self.found[self.at]

    def take(self) -> Token:
        token = self.found[self.at]
        self.at += token.kind != "end"
        return token

    def accept(self, *texts: str) -> Token | None:
        return self.take() if self.next.kind != "end" and self.next.text in texts else None

    def demand(self, text: str, opened: Token | None = None) -> Token:
        token = self.accept(text)
        if token is None:
            remedy = f"the one at column {opened.position + 1} is not closed" if opened else f"write {text!r} here"
            raise self.error(f"{text!r}", remedy)
        return token

    def error(self, expected: str, remedy: str) -> FormulaError:
        got = repr(self.next.text) if self.next.kind != "end" else "the end"
        return FormulaError(self.text, self.next.position, got, expected, remedy)


class _Parser(Reader):
    """Precedence climbing: sums, products, signs, powers, primaries."""

    def whole(self) -> Node:
        if self.next.kind == "end":
            raise self.error("a formula", "write one, such as lambda*m_1_1")
        node = self.sum()
        if self.next.kind != "end":
            missing = self.next.kind in ("name", "number") or self.next.text == "("
            raise self.error(
                "an operator or the end", "write * between factors" if missing else "check the brackets before it"
            )
        return node

    def sum(self) -> Node:
        start = self.next.position
        terms = [self.product()]
        while sign := self.accept("+", "-"):
            term = self.product()
            terms.append(Negative(term, position=sign.position) if sign.text == "-" else term)
        return terms[0] if len(terms) == 1 else Add(tuple(terms), position=start)

    def product(self) -> Node:
        start = self.next.position
        node = self.signed()
        while sign := self.accept("*", "/"):
            other = self.signed()
            if sign.text == "/":
                node = Divide(node, other, position=start)
            elif isinstance(node, Multiply):
                node = Multiply((*node.factors, other), position=start)
            else:
                node = Multiply((node, other), position=start)
        return node

    def signed(self) -> Node:
        if sign := self.accept("-"):
            return Negative(self.signed(), position=sign.position)
        self.accept("+")
        return self.power()

    def power(self) -> Node:
        start = self.next.position
        base = self.primary()
        if self.accept("^", "**"):
            return Power(base, self.signed(), position=start)
        return base

    def primary(self) -> Node:
        token = self.next
        if token.kind == "number":
            self.take()
            return Number(Fraction(token.text), position=token.position)
        if bracket := self.accept("("):
            node = self.sum()
            self.demand(")", bracket)
            return node
        if token.kind == "name":
            return self.named()
        raise self.error("a number, a name or a bracket", "a formula or a factor is missing here")

    def named(self) -> Node:
        token = self.take()
        base, indices = split_name(token.text)
        if base == "E":
            return self.expectation(token, indices)
        if base == "sum":
            return self.summed(token, indices)
        bracket = self.accept("[")
        if bracket:
            indices = (*indices, *self.listed(self.index, "]", bracket))
        name = Name(base, indices, position=token.position)
        if bracket := self.accept("("):
            if base == "delta":
                more = self.listed(self.index, ")", bracket)
                return Name(base, (*indices, *more), position=token.position)
            return Call(name, self.listed(self.sum, ")", bracket), position=token.position)
        return name

    def listed(self, one: Callable[[], Node | Index], close: str, opened: Token) -> tuple:
        found = [one()]
        while self.accept(","):
            found.append(one())
        self.demand(close, opened)
        return tuple(found)

    def index(self) -> Index:
        token = self.take()
        if token.kind == "number" and token.text.isdigit():
            return int(token.text)
        if token.kind == "name" and len(token.text) == 1:
            return token.text
        self.at -= token.kind != "end"
        raise self.error("an index: a letter or a number from 1", "write m_1_2, m_a_s or m[a,s]")

    def expectation(self, token: Token, indices: tuple[Index, ...]) -> Node:
        if len(indices) > 1:
            raise FormulaError(
                self.text, token.position, repr(token.text), "E[...] or E_l[...] with one component",
                "write E_l[f] for component l and E[f] for the whole mixture",
            )
        bracket = self.accept("[", "(")
        if bracket is None:
            raise self.error("'['", "write E_l[f]")
        body = self.sum()
        self.demand("]" if bracket.text == "[" else ")", bracket)
        return Expectation(indices[0] if indices else None, body, position=token.position)

    def summed(self, token: Token, indices: tuple[Index, ...]) -> Node:
        letters = tuple(i for i in indices if isinstance(i, str))
        if not letters or len(letters) != len(indices):
            raise FormulaError(
                self.text, token.position, repr(token.text), "sum_b(...) with the letters summed over",
                "write sum_b(f), sum_b_c(f) or sum_b(f, b != a)",
            )
        bracket = self.demand("(")
        body = self.sum()
        conditions = []
        while self.accept(","):
            conditions.append(self.condition())
        self.demand(")", bracket)
        return Sum(letters, body, tuple(conditions), position=token.position)

    def condition(self) -> Condition:
        start = self.next.position
        left = self.index()
        sign = self.accept("==", "!=")
        if sign is None:
            raise self.error("'==' or '!='", "write a condition such as b != a")
        return Condition(left, self.index(), sign.text == "==", position=start)


def split_name(text: str) -> tuple[str, tuple[Index, ...]]:
    """A name and the indices that follow its underscores: ``m_1_2`` is m with (1, 2)."""
    for known in COMPOUND:
        if text == known or text.startswith(f"{known}_"):
            return known, _indices(text[len(known):].split("_")[1:])
    base, *rest = text.split("_")
    return base, _indices(rest)


def _indices(parts: list[str]) -> tuple[Index, ...]:
    return tuple(int(p) if p.isdigit() else p for p in parts)


def parse_formula(text: str) -> Node:
    """Read a formula.

    Raises
    ------
    FormulaError
        With the position and the reason.

    Examples
    --------
    >>> print(show(parse_formula("-sum_l(p_l*E_l[g_a]) / lambda")))
    -sum_l(p_l*E_l[g_a])/lambda
    >>> parse_formula("m_1_2 + )")
    Traceback (most recent call last):
        ...
    verify.claim_language.FormulaError: formula: got ')' at column 9 of 'm_1_2 + )'; ...
    """
    return _Parser(text, tokens(text)).whole()


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
            more = "".join(f", {c.left} {'==' if c.equal else '!='} {c.right}" for c in conditions)
            return f"sum_{'_'.join(indices)}({_show(body, 0)}{more})", 4
        case Power(base, exponent):
            return f"{_show(base, 4)}^{_show(exponent, 2)}", 3
        case Negative(inside):
            return f"-{_show(inside, 2)}", 2
        case Multiply(factors):
            first, *rest = factors
            return "*".join([_show(first, 1 if isinstance(first, Divide) else 2), *(_show(f, 2) for f in rest)]), 1
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
    around = " ".join(text[max(0, position - 30):position + 30].split())
    return f"'...{around}...'"
