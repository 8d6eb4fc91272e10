"""Indices in LaTeX: what stands after _ and ^, as numbers and letters."""

from __future__ import annotations

from verify.claims.language.conventions import BANDS
from verify.claims.language.text import Reader, Token
from verify.claims.language.tree import FormulaError, Index, place_of

from .tokens import closing

# letters of other alphabets that count something; which of the conventions they stand for is
# found from where they stand
_GREEK = (
    "alpha beta gamma delta epsilon varepsilon eta theta kappa mu nu xi rho tau ell sigma omega"
)
GREEK_INDICES = frozenset("\\" + name for name in _GREEK.split())
_EXPECTED = "an index: a letter or a number from 1"
_REMEDY = "write m_{12}, m_{as} or R_{a,b}"
PERP = "perp"


class LatexReader(Reader):
    """Tokens and indices."""

    def ambiguous(self, token: Token, got: str, one: str, other: str) -> FormulaError:
        expected = "one reading"
        return FormulaError(self.text, token.position, got, expected, f"write {one}, or {other}")

    def refused(self, token: Token, got: str, expected: str, remedy: str) -> FormulaError:
        return FormulaError(self.text, token.position, got, expected, remedy)

    def ahead(self, *texts: str) -> bool:
        """Whether these tokens come next."""
        return [t.text for t in self.found[self.at : self.at + len(texts)]] == list(texts)

    def take_digit(self) -> Token:
        """The first digit of a number, which is all that TeX takes of it as an argument."""
        token = self.take()
        if len(token.text) > 1:
            rest = Token("number", token.text[1:], token.position + 1)
            self.found = [*self.found[: self.at], rest, *self.found[self.at :]]
        return Token("number", token.text[:1], token.position)

    def indices(self, arity: int | None = None) -> tuple[Index, ...]:
        """All that follows in _; ``arity`` is how many indices the name has, where it is known."""
        found: tuple[Index, ...] = ()
        while self.next.text == "_" and self.found[self.at + 1].text != "+":
            self.take()
            found = (*found, *self.index_list(arity))
        return found

    def band_index(self) -> tuple[Index, ...]:
        r"""The band of m^g_{as}, m^{(1)}_{as} or R^{\perp,g}_{ab}: raised, indices behind it."""
        end = self.at + 1
        if self.next.text != "^":
            return ()
        if self.found[end].text in ("{", "("):
            end = closing(self.text, self.found, end)
        inside = [t for t in self.found[self.at + 1 : end + 1] if t.text not in "{}(),"]
        inside = [t for t in inside if t.text != r"\perp"] or inside
        marked = "(" in [t.text for t in self.found[self.at : end]]
        is_band = len(inside) == 1 and (
            inside[0].text in tuple(BANDS) or (marked and inside[0].text.isdigit())
        )
        if not is_band or self.found[end + 1].text != "_":
            return ()
        self.at = end + 1
        text = inside[0].text
        return (int(text) if text.isdigit() else text,)

    def index_list(self, arity: int | None = None) -> tuple[Index, ...]:
        """Indices after _ or ^: one token, or any number in braces, with or without commas."""
        opened = self.accept("{")
        if opened is None:
            token = self.next
            if token.kind == "number" and len(token.text) > 1:
                digit = self.take_digit()
                got = f"{token.text!r} where TeX takes one digit, {digit.text}"
                rest = f"{{{digit.text}}} {token.text[1:]}"
                raise self.ambiguous(token, got, f"{{{token.text}}}", rest)
            index = self.index(primed=False)
            if self.next.text == "'":  # TeX sets it beside the name, not the index
                got = "a prime behind an index without braces"
                one = f"{{{index}'}} for another index"
                raise self.ambiguous(self.next, got, one, r"\frac{\partial f}{\partial u_a}")
            return (index,)
        end = self.closed(opened)
        commas = any(t.text == "," for t in self.found[self.at : end])
        found: list[Index] = []
        while not self.accept("}"):
            if found and self.accept(","):
                continue
            if self.next.kind == "number" and not commas:
                found += self.digits(end, arity, len(found))
            else:
                found.append(self.index())
                if found[-1] == "v" and self.accept("_"):
                    found += self.index_list(1)
        if not found:
            self.at -= 1
            raise self.error(_EXPECTED, _REMEDY)
        return tuple(found)

    def closed(self, opened: Token) -> int:
        """Where the braces of indices close."""
        try:
            return closing(self.text, self.found, self.at - 1)
        except FormulaError as error:
            place, expected = error.position, "an index or '}'"
            remedy = f"the brace at {place_of(self.text, opened.position)} is not closed"
            raise FormulaError(self.text, place, "the end", expected, remedy) from error

    def digits(self, end: int, arity: int | None, before: int) -> list[Index]:
        """A number without commas: an index a digit, or one index where only one is missing."""
        token = self.take()
        if not token.text.isdigit():
            self.at -= 1
            raise self.error(_EXPECTED, _REMEDY)
        alone = self.at == end
        if alone and arity is not None and arity - before == 1:
            return [int(token.text)]
        if len(token.text) > 2:
            one = f"{token.text[0]},{token.text[1:]}"
            other = f"{token.text[:-1]},{token.text[-1]}"
            raise self.ambiguous(token, f"the indices {token.text}", f"{{{one}}}", f"{{{other}}}")
        return [int(c) for c in token.text]

    def index(self, primed: bool = True) -> Index:
        """A number, a letter, a Greek letter, with primes; the mark of the perpendicular part."""
        token = self.next
        if token.kind == "number" and token.text.isdigit():
            self.take()
            return int(token.text)
        if token.text == r"\perp":
            self.take()
            return PERP
        if token.kind == "letter" or token.text in GREEK_INDICES:
            self.take()
            primes = ""
            while primed and self.accept("'"):
                primes += "'"
            return token.text.removeprefix("\\") + primes
        raise self.error(_EXPECTED, _REMEDY)
