r"""Sums over indices and derivatives in LaTeX: ``\sum_{b=1}^{k-1}``, ``\partial_{u_c}(...)``."""

from __future__ import annotations

from fractions import Fraction

from .latex_tokens import LatexReader
from .text import Token
from .tree import (
    Add,
    Bound,
    Call,
    Condition,
    FormulaError,
    Index,
    Name,
    Negative,
    Node,
    Number,
    Sum,
)

UNEQUAL = (r"\ne", r"\neq")
LIMITS = {r"\le": 0, r"\leq": 0, "<": -1, r"\ge": 0, r"\geq": 0, ">": 1}
_UPPER = (r"\le", r"\leq", "<")
CLOSING = {"(": ")", "[": "]", "{": "}", r"\{": r"\}"}


class SumReader(LatexReader):
    """What is written under a sum or a derivative, for a reader of factors and groups."""

    def sum(self) -> Node:
        raise NotImplementedError

    def product(self) -> Node:
        raise NotImplementedError

    def factor(self) -> Node:
        raise NotImplementedError

    def group(self) -> Node:
        raise NotImplementedError

    def starts_factor(self) -> bool:
        raise NotImplementedError

    def ambiguous(self, token: Token, got: str, one: str, other: str) -> FormulaError:
        expected = "one reading"
        return FormulaError(self.text, token.position, got, expected, f"write {one}, or {other}")

    def derivative(self, token: Token) -> Node:
        r"""\partial_c f or \partial_{u_c} f: a derivative in a pre-activation, or in v_i."""
        self.demand("_")
        variables: list[Node] = []
        opened = self.accept("{")
        while True:
            letter = self.take()
            if letter.text in ("u", "v") and self.next.text == "_":
                variables.append(Name(letter.text, self.indices(), position=letter.position))
            elif letter.kind in ("letter", "number"):
                index: Index = int(letter.text) if letter.kind == "number" else letter.text
                variables.append(Name("u", (index,), position=letter.position))
            else:
                self.at -= letter.kind != "end"
                raise self.error("an index or a variable", "write \\partial_c or \\partial_{u_c}")
            if opened is None:
                break
            self.accept(",")
            if self.accept("}"):
                break
        bracketed = self.next.text in CLOSING
        body = self.factor()
        if not bracketed and self.starts_factor():
            got = "a derivative of several factors without brackets"
            raise self.ambiguous(token, got, r"\partial_c(f g)", r"\partial_c(f)\, g")
        name = Name("diff", position=token.position)
        return Call(name, (body, *variables), position=token.position)

    def summed(self, token: Token) -> Node:
        r"""\sum_b, \sum_{bc}, \sum_{b\ne a}, \sum_{b<a}, \sum_{b=1}^{k-1}."""
        self.demand("_")
        letters: list[str] = []
        conditions: list[Condition | Bound] = []
        opened = self.accept("{")
        low: Token | None = None
        while True:
            letter = self.take()
            if letter.kind != "letter":
                self.at -= letter.kind != "end"
                remedy = "write \\sum_{b}, \\sum_{bc} or \\sum_{b\\ne a}"
                raise self.error("the letter of an index", remedy)
            letters.append(letter.text)
            if opened is None:
                break
            if self.accept(*UNEQUAL):
                other = self.take()
                right: Index = int(other.text) if other.kind == "number" else other.text
                conditions.append(Condition(letter.text, right, False, position=other.position))
            elif sign := self.accept(*LIMITS):
                conditions.append(self.bound(letter, sign.text in _UPPER))
                conditions[-1] = self.strict(conditions[-1], LIMITS[sign.text])
            elif low := self.accept("="):
                conditions.append(self.bound(letter, False))
            self.accept(",")
            if self.accept("}"):
                break
        if self.next.text == "^":
            upper = self.take()
            if low is None or len(letters) != 1:
                got, expected = "an upper limit", "a lower limit with it, of one index"
                remedy = "write \\sum_{b=1}^{k}, or \\sum_b for all of its values"
                raise FormulaError(self.text, upper.position, got, expected, remedy)
            conditions.append(Bound(letters[0], self.group(), True, position=upper.position))
        elif low is not None:
            remedy = "write \\sum_{b=1}^{k}, or \\sum_b for all of its values"
            raise self.error("'^' and an upper limit", remedy)
        return Sum(tuple(letters), self.product(), tuple(conditions), position=token.position)

    def bound(self, letter: Token, upper: bool) -> Bound:
        return Bound(letter.text, self.sum(), upper, position=letter.position)

    def strict(self, bound: Condition | Bound, shift: int) -> Bound:
        """b < a is b <= a - 1."""
        assert isinstance(bound, Bound)
        if not shift:
            return bound
        one = Number(Fraction(1), position=bound.position)
        step = one if shift > 0 else Negative(one, position=bound.position)
        limit = Add((bound.limit, step), position=bound.position)
        return Bound(bound.letter, limit, bound.upper, position=bound.position)
