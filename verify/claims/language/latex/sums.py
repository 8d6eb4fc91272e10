r"""What stands under a sum in LaTeX: ``\sum_{b=1}^{k-1}``, ``\sum_{l\in[k]}``, ``\sum_{a<b}``,
``\sum_{b:\,b\ne a}``, ``\sum_{\substack{b=1\\b\ne a}}^k``, ``\sum_{1\le b<c\le k}``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

from verify.claims.language.text import Token
from verify.claims.language.tree import (
    Add,
    Bound,
    Condition,
    Index,
    Name,
    Negative,
    Node,
    Number,
    Sum,
)

from .indices import GREEK_INDICES, LatexReader

LIMITS = {r"\le": 0, "<": -1, r"\ge": 0, ">": 1}
UNEQUAL = r"\ne"
_UPPER = (r"\le", "<")
_DOTS = (r"\dots", r"\ldots", r"\cdots", r"\dotsc")
_FULL = "write \\sum_{b=1}^{k}, or \\sum_b for all of its values"


@dataclass
class _Under:
    """What is read under a sum so far; ``low`` is the letter that starts at a number."""

    letters: list[str] = field(default_factory=list)
    conditions: list[Condition | Bound] = field(default_factory=list)
    bare: list[str] = field(default_factory=list)
    low: str | None = None

    def letter(self, name: str) -> bool:
        """A letter that is summed over from now on, and whether it is new."""
        new = name not in self.letters
        if new:
            self.letters.append(name)
        return new


class SumReader(LatexReader):
    """Sums, for a reader of products and groups."""

    def product(self) -> Node:
        raise NotImplementedError

    def group(self) -> Node:
        raise NotImplementedError

    def summed(self, token: Token) -> Node:
        self.demand("_")
        under = _Under()
        if opened := self.accept("{"):
            stacked = self.accept(r"\substack")
            inner = self.demand("{") if stacked else None
            while not self.ahead("}"):
                excluded, here = self._excludes(under), self.next
                comma = self.found[self.at - 1].text == ","
                self.item(under)
                if excluded and comma and under.bare:
                    one, other = r"\sum_{b\ne a,\,b\ne c}", r"\sum_{b\ne a}\sum_c"
                    raise self.ambiguous(here, "a letter behind an inequality", one, other)
                if not self.accept(",", ":", "\\\\"):
                    break
            if inner:
                self.demand("}", inner)
            self.demand("}", opened)
        else:
            under.letter(self.letter_summed())
        if not under.letters:
            raise self.error("the letter of an index", "write \\sum_{b}, \\sum_{bc}")
        if self.next.text == "^":
            upper = self.take()
            if under.low is None or len(under.letters) != 1:
                expected = "a lower limit with it, of one index"
                raise self.refused(upper, "an upper limit", expected, _FULL)
            limit = self.group()
            under.conditions.append(Bound(under.low, limit, True, position=upper.position))
        elif under.low is not None:
            raise self.error("'^' and an upper limit", _FULL)
        body = self.product()
        return Sum(tuple(under.letters), body, tuple(under.conditions), position=token.position)

    @staticmethod
    def _excludes(under: _Under) -> bool:
        """Whether what was read last under a sum is a relation of two letters that differ."""
        last = under.conditions[-1] if under.conditions else None
        return isinstance(last, Condition) and not last.equal and not under.bare

    def letter_summed(self) -> str:
        token = self.next
        if token.kind != "letter" and token.text not in GREEK_INDICES:
            remedy = "write \\sum_{b}, \\sum_{bc} or \\sum_{b\\ne a}"
            raise self.error("the letter of an index", remedy)
        return str(self.index())

    def item(self, under: _Under) -> None:
        """Letters, or a condition: one relation, or a chain such as 1 <= b < c <= k."""
        start = self.next
        if start.kind == "number":
            self.chain(under, [self.limit_here()])
            return
        names = [self.letter_summed()]
        while self.next.kind == "letter" or self.next.text in GREEK_INDICES:
            names.append(self.letter_summed())
        sign = self.next
        if sign.text in (",", ":", "}", "\\\\"):
            for name in names:
                if not under.letter(name):
                    raise self.ambiguous(start, f"{name!r} twice under a sum", "it once", "two")
            under.bare += names
        elif sign.text == r"\in":
            self.take()
            under.bare += [n for n in names if under.letter(n)]
            self.members(under)
        elif len(names) > 1:
            got = "several letters before a relation under a sum"
            raise self.ambiguous(start, got, r"\sum_b\sum_{c\ne a}", r"\sum_{b\ne a}\sum_{c\ne a}")
        else:
            self.related(under, names[0], start)

    def related(self, under: _Under, name: str, start: Token) -> None:
        """b = 1, b != a, b < a, of a letter summed over."""
        if under.bare and name not in under.letters and self.next.text != "=":
            got = "a relation of the last of several letters under a sum"
            raise self.ambiguous(start, got, r"\sum_b\sum_{c\ne a}", r"\sum_{b\ne a}\sum_{c\ne a}")
        if self.accept(UNEQUAL):
            under.letter(name)
            position = self.next.position
            under.conditions.append(Condition(name, self.index(), False, position=position))
        elif equal := self.accept("="):
            if not under.letter(name):
                position = equal.position
                under.conditions.append(Condition(name, self.index(), True, position=position))
                return
            under.low = name
            under.conditions.append(Bound(name, self.limit_here(), False, position=start.position))
        elif self.next.text in LIMITS:
            self.chain(under, [Name(name, position=start.position)])
        else:
            raise self.error("'}' or a condition", "write \\sum_{b}, \\sum_{bc} or \\sum_{b\\ne a}")

    def chain(self, under: _Under, operands: list[Node]) -> None:
        signs: list[str] = []
        while self.next.text in LIMITS:
            signs.append(self.take().text)
            operands.append(self.limit_here())
        if not signs:
            raise self.error("a relation", "write \\sum_{1\\le b\\le k}")
        if len(operands) == 2 and isinstance(operands[0], Name):
            under.letter(operands[0].base)
        for operand in operands[1:-1]:
            if not isinstance(operand, Name):
                raise self.error("a letter between two relations", "write \\sum_{1\\le b\\le k}")
            under.letter(operand.base)
        for left, sign, right in zip(operands, signs, operands[1:], strict=False):
            upper = sign in _UPPER
            if isinstance(left, Name) and left.base in under.letters:
                under.conditions.append(_bound(left, right, upper, sign))
            elif isinstance(right, Name) and right.base in under.letters:
                mirrored = {r"\le": r"\ge", r"\ge": r"\le", "<": ">", ">": "<"}[sign]
                under.conditions.append(_bound(right, left, not upper, mirrored))
            else:
                raise self.error("a limit of a letter summed over", "write \\sum_{1\\le b\\le k}")

    def limit_here(self) -> Node:
        """Numbers, sizes and letters with + and - between them."""
        start = self.next
        terms: list[Node] = []
        sign: Token | None = self.accept("-", "+")
        while True:
            position = self.next.position
            term: Node
            if self.next.kind == "number":
                term = Number(Fraction(self.take().text), position=position)
            else:
                term = Name(str(self.index()), position=position)
            negative = sign is not None and sign.text == "-"
            terms.append(Negative(term, position=position) if negative else term)
            sign = self.accept("-", "+")
            if sign is None:
                break
        return terms[0] if len(terms) == 1 else Add(tuple(terms), position=start.position)

    def members(self, under: _Under) -> None:
        r"""[k], {1, ..., k} or {1, 2}, without an element where \setminus follows."""
        start = self.next
        opened = self.accept("[", r"\{")
        remedy = r"write \sum_{b\in[k]}, \sum_{b=1}^{k} or \sum_b"
        if opened is None:
            raise self.error("'[k]' or a list of numbers", remedy)
        one: Node = Number(Fraction(1), position=start.position)
        first, last = one, self.limit_here()
        if opened.text == r"\{":
            first, count = last, 1
            while self.accept(","):
                if self.accept(*_DOTS):
                    self.demand(",")
                    last = self.limit_here()
                    break
                last, count = self.limit_here(), count + 1
                if last != Number(Fraction(count)) or first != one:
                    raise self.refused(start, "a set with gaps", "numbers from 1", remedy)
        self.demand("]" if opened.text == "[" else r"\}", opened)
        for name in under.bare:
            under.conditions.append(Bound(name, first, False, position=start.position))
            under.conditions.append(Bound(name, last, True, position=start.position))
        if self.accept(r"\setminus", r"\backslash"):
            braced = self.accept(r"\{")
            position = self.next.position
            left_out: list[Index] = [self.index()]
            while braced and self.accept(","):
                left_out.append(self.index())
            if braced:
                self.demand(r"\}", braced)
            for name in under.bare:
                for other in left_out:
                    under.conditions.append(Condition(name, other, False, position=position))
        under.bare = []


def _bound(letter: Name, limit: Node, upper: bool, sign: str) -> Bound:
    """b < a is b <= a - 1."""
    shift, position = LIMITS[sign], letter.position
    if shift:
        one = Number(Fraction(1), position=position)
        step = one if shift > 0 else Negative(one, position=position)
        limit = Add((limit, step), position=position)
    return Bound(letter.base, limit, upper, position=position)
