"""Tokens of LaTeX, and how indices are read from them: what the grammar of
:mod:`verify.claims.language.latex` stands on.
"""

from __future__ import annotations

import re

from .text import Reader, Token, check_number
from .tree import FormulaError, Index

_TOKEN = re.compile(
    r"(?:\s|\\[,;:! ]|\\q?quad\b"
    r"|\\(?:left|right|[bB]igg?[lrm]?|displaystyle|limits|nonumber)(?![A-Za-z])\.?|[~&])*"
    r"(?:(?P<number>\d+\.\d+|\d+)|(?P<command>\\[A-Za-z]+|\\[{}|])|(?P<letter>[A-Za-z])|(?P<sign>[-+*/^_(){}\[\],=.'<>]))"
)
_SPACE = re.compile(
    r"(?:\s|\\[,;:! ]|\\q?quad\b|\\(?:left|right|[bB]igg?[lrm]?)(?![A-Za-z])\.?|[~&])*$"
)


def latex_tokens(text: str) -> list[Token]:
    """Split LaTeX into tokens, with an end mark; spacing commands belong to nothing."""
    found, position = [], 0
    while not _SPACE.match(text, position):
        match = _TOKEN.match(text, position)
        if match is None:
            start = position + len(text[position:]) - len(text[position:].lstrip())
            expected = "LaTeX of a formula"
            remedy = "see docs/derivations.md for what is read"
            raise FormulaError(text, start, f"the character {text[start]!r}", expected, remedy)
        kind = str(match.lastgroup)
        token = Token(kind, match.group(kind), match.start(kind))
        if kind == "number":
            check_number(text, token)
        found.append(token)
        position = match.end()
    return [*found, Token("end", "", len(text.rstrip()))]


class LatexReader(Reader):
    """Indices after _ and ^, and the mark of the perpendicular part."""

    def is_perp(self, ahead: int) -> bool:
        texts = [t.text for t in self.found[self.at + ahead : self.at + ahead + 3]]
        return texts[:1] == [r"\perp"] or texts == ["{", r"\perp", "}"]

    def skip_perp(self) -> None:
        self.take()
        if self.accept("{"):
            self.take()
            self.demand("}")
        else:
            self.take()

    def take_digit(self) -> Token:
        """The first digit of a number, which is all that TeX takes of it as an argument."""
        token = self.take()
        if len(token.text) > 1:
            rest = Token("number", token.text[1:], token.position + 1)
            self.found = [*self.found[: self.at], rest, *self.found[self.at :]]
        return Token("number", token.text[:1], token.position)

    def indices(self) -> tuple[Index, ...]:
        found: tuple[Index, ...] = ()
        while self.next.text == "_" and self.found[self.at + 1].text != "+":
            self.take()
            found = (*found, *self.index_list())
        return found

    def index_list(self) -> tuple[Index, ...]:
        """Indices after _ or ^: one token, or any number in braces, with or without commas."""
        opened = self.accept("{")
        found: list[Index] = []
        while True:
            token = self.next
            if token.kind == "number":
                self.take()
                joined = opened is not None and "," not in self.inside()
                found += [int(c) for c in token.text] if joined else [int(token.text)]
            elif token.kind == "letter":
                self.take()
                found.append(token.text)
                if token.text == "v" and self.accept("_"):
                    found += self.index_list()
            elif token.text in (r"\perp", ",") and opened:
                self.take()
                continue
            else:
                raise self.error(
                    "an index: a letter or a number from 1", "write m_{12}, m_{as} or R_{a,b}"
                )
            if opened is None:
                return tuple(found)
            if self.accept("}"):
                return tuple(found)

    def inside(self) -> str:
        """What is left of the group that is being read."""
        texts = []
        for token in self.found[max(0, self.at - 2) :]:
            if token.text == "}":
                break
            texts.append(token.text)
        return "".join(texts)
