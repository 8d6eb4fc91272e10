r"""The language of claimed formulas: text to a syntax tree and back, without evaluating any code.

The names are those of docs/conventions.md; indices follow an underscore (``m_1_2``, ``m_a_s``) or
stand in brackets (``m[a,s]``).  ``E_l[f]`` is an expectation, ``sum_b(f)`` a sum over all values of
an index, ``sum_b(f, b != a)`` over some of them, ``delta_a_b`` a Kronecker delta and ``diff(f,
u_a)`` a derivative.  A tree has no meaning yet: :mod:`verify.claims.language.meaning` gives it that
of a model.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from .number_sizes import MOST_BITS, largest_bits
from .tree import (
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
    Number,
    Power,
    Sum,
    children,
    place_of,
)

# bounds of what is read: longer is no formula that somebody wrote
LONGEST, DEEPEST, MOST_DIGITS, LARGEST_EXPONENT, MOST_TERMS = 20_000, 100, 60, 10_000, 5_000
# names that contain an underscore of their own
COMPOUND = ("c_delta",)
_TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+\.\d+(?:[eE][+-]?\d+)?|\d+(?:[eE][+-]?\d+)?)|(?P<name>[A-Za-z][A-Za-z0-9]*(?:_[A-Za-z0-9]+)*)"
    r"|(?P<sign>\*\*|==|!=|<=|>=|[-+*/^()\[\],]))"
)


@dataclass(frozen=True)
class Token:
    """A piece of a formula: its kind (number, name, sign or end), what it says, and where it
    starts, from 0.
    """

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
            expected = "numbers, names, + - * / ^ ( ) [ ] and commas"
            remedy = "LaTeX is read where a formula holds a backslash or is given as latex = ..."
            raise FormulaError(text, start, f"the character {text[start]!r}", expected, remedy)
        kind = str(match.lastgroup)
        token = Token(kind, match.group(kind), match.start(kind))
        if kind == "number":
            check_number(text, token)
        found.append(token)
        position = match.end()
    return [*found, Token("end", "", stop)]


def check_number(text: str, token: Token) -> None:
    """Refuse numbers that would fill the memory."""
    digits, _, exponent = token.text.lower().partition("e")
    too_large = len(exponent) > MOST_DIGITS or abs(int(exponent or 0)) > LARGEST_EXPONENT
    if len(digits) > MOST_DIGITS or too_large or not token.text.isascii():
        expected = f"at most {MOST_DIGITS} digits and exponents up to {LARGEST_EXPONENT}"
        remedy = "give fewer digits"
        raise FormulaError(text, token.position, "a number that is too long", expected, remedy)


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
            remedy = (
                f"the one at {place_of(self.text, opened.position)} is not closed"
                if opened
                else f"write {text!r} here"
            )
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
                "an operator or the end",
                "write * between factors" if missing else "check the brackets before it",
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
        node, chain = self.signed(), False
        while sign := self.accept("*", "/"):
            other = self.signed()
            if sign.text == "/":
                node, chain = Divide(node, other, position=start), False
                continue
            # a product in brackets stays one factor
            before = node.factors if chain and isinstance(node, Multiply) else (node,)
            node, chain = Multiply((*before, other), position=start), True
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
            expected = "E[...] or E_l[...] with one component"
            remedy = "write E_l[f] for component l and E[f] for the whole mixture"
            raise FormulaError(self.text, token.position, repr(token.text), expected, remedy)
        bracket = self.accept("[", "(")
        if bracket is None:
            raise self.error("'['", "write E_l[f]")
        body = self.sum()
        self.demand("]" if bracket.text == "[" else ")", bracket)
        return Expectation(indices[0] if indices else None, body, position=token.position)

    def summed(self, token: Token, indices: tuple[Index, ...]) -> Node:
        letters = tuple(i for i in indices if isinstance(i, str))
        if not letters or len(letters) != len(indices):
            expected = "sum_b(...) with the letters summed over"
            remedy = "write sum_b(f), sum_b_c(f) or sum_b(f, b != a)"
            raise FormulaError(self.text, token.position, repr(token.text), expected, remedy)
        bracket = self.demand("(")
        body = self.sum()
        conditions = []
        while self.accept(","):
            conditions.append(self.condition())
        self.demand(")", bracket)
        return Sum(letters, body, tuple(conditions), position=token.position)

    def condition(self) -> Condition | Bound:
        start = self.next.position
        left = self.index()
        if isinstance(left, str) and (sign := self.accept("<=", ">=")):
            return Bound(left, self.sum(), sign.text == "<=", position=start)
        sign = self.accept("==", "!=")
        if sign is None:
            raise self.error("'==', '!=', '<=' or '>='", "write a condition such as b != a")
        return Condition(left, self.index(), sign.text == "==", position=start)


def split_name(text: str) -> tuple[str, tuple[Index, ...]]:
    """A name and the indices that follow its underscores: ``m_1_2`` is m with (1, 2)."""
    for known in COMPOUND:
        if text == known or text.startswith(f"{known}_"):
            return known, _indices(text[len(known) :].split("_")[1:])
    base, *rest = text.split("_")
    return base, _indices(rest)


def _indices(parts: list[str]) -> tuple[Index, ...]:
    return tuple(int(p) if p.isdigit() else p for p in parts)


def parse_formula(text: str) -> Node:
    """Read a formula in plain text; nothing in it is evaluated.

    The tree has no meaning yet: names may be anything that looks like one, so that other readers of
    formulas (a schedule in t, say) can use the same grammar and give it a meaning of their own.
    The text is brought into the normal form NFKC first, and bounded: at most 20,000 characters,
    brackets nested 100 deep, numbers of 60 digits, exponents of ten up to 10,000, 5,000 parts and
    powers of numbers of 60,000 digits.

    Raises
    ------
    FormulaError
        With the position and the reason; ``position`` counts in the normal form.

    Examples
    --------
    >>> from verify.claims.language.tree import show
    >>> print(show(parse_formula("-sum_l(p_l*E_l[g_a]) / lambda")))
    -sum_l(p_l*E_l[g_a])/lambda
    >>> parse_formula("m_1_2 + )")
    Traceback (most recent call last):
        ...
    verify.claims.language.tree.FormulaError: formula: got ')' at column 9 of 'm_1_2 + )'; ...
    """
    text = normalized(text)
    return bounded(text, nested(text, _Parser(text, tokens(text)).whole))


def normalized(text: str) -> str:
    """The text in the normal form NFKC.

    Raised, lowered and fraction characters are refused before: there NFKC makes v₁² a v12.
    """
    if len(text) > LONGEST:
        expected = f"at most {LONGEST} characters"
        raise FormulaError(text, LONGEST, f"{len(text)} characters", expected, "split the formula")
    check_digits(text)
    for position, character in enumerate(text):
        kind = unicodedata.decomposition(character).partition(" ")[0]
        if kind in ("<super>", "<sub>", "<fraction>"):
            remedy = "write ^2 for a raised and _1 for a lowered 2 or 1, and (1/2) for a half"
            raise FormulaError(text, position, f"the character {character!r}", "plain text", remedy)
    return unicodedata.normalize("NFKC", text)


def check_digits(text: str) -> None:
    """Refuse digits in a row, of a number or an index, that would fill the memory."""
    if long := re.search(rf"\d{{{MOST_DIGITS + 1},}}", text):
        remedy = "give fewer digits"
        expected = f"at most {MOST_DIGITS} digits and exponents up to {LARGEST_EXPONENT}"
        raise FormulaError(text, long.start(), "a number that is too long", expected, remedy)


def bounded(text: str, tree: Node) -> Node:
    """A tree with not too many parts, and no numbers that fill the memory."""
    left, count = [tree], 0
    while left:
        left += children(left.pop())
        count += 1
        if count > MOST_TERMS:
            expected = f"at most {MOST_TERMS}"
            got = f"a formula of more than {MOST_TERMS} parts"
            raise FormulaError(text, 0, got, expected, "split the formula")
    if largest_bits(tree) > MOST_BITS:
        expected = f"no towers of powers: exact numbers of at most {MOST_BITS} binary digits"
        raise FormulaError(text, 0, "a number that is too large", expected, "use exp")
    return tree


def nested(text: str, read: Callable[[], Node]) -> Node:
    """What a reader makes of a text; brackets that are nested too deeply are refused."""
    depth = 0
    for position, character in enumerate(text):
        depth += (character in "([{") - (character in ")]}")
        if depth > DEEPEST:
            got, expected = "a formula nested too deeply", f"at most {DEEPEST} levels of brackets"
            raise FormulaError(text, position, got, expected, "drop needless brackets")
    try:
        return read()
    except RecursionError as error:
        expected = "at most some hundred levels of brackets"
        remedy = "drop needless brackets"
        raise FormulaError(text, 0, "a formula nested too deeply", expected, remedy) from error
