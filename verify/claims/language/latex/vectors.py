r"""Vectors of the data space in LaTeX, and the scalars that their inner products are.

``Y\cdot e_s``, ``Y^\top x^a``, ``\langle x^a, x_\perp^b\rangle``, ``\|x^a\|^2``.  Vectors are Y,
the weights x^a and their parts x_\perp^a, the directions e_s and the means \mu_l; what an author
calls them otherwise is said by a table of names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from verify.claims.language.text import Token
from verify.claims.language.tree import Call, FormulaError, Index, Multiply, Name, Node, Number, Sum

from .indices import PERP, LatexReader
from .tokens import closing

_TRANSPOSED = (r"\top", "T")
_ZERO = Fraction(0)


@dataclass(frozen=True)
class Vector:
    """Y, x (a weight), perp (its part off the directions), e (a direction) or mu (a mean)."""

    kind: str
    index: Index = ""


@dataclass(frozen=True)
class Named:
    """What a letter of the author stands for: a formula, a vector, or the name of a function.

    ``lower`` and ``upper`` are the letters of its indices, as its definition writes them.
    """

    meaning: Node | Vector | str
    lower: tuple[str, ...] = ()
    upper: tuple[str, ...] = ()


class VectorReader(LatexReader):
    """Inner products; a vector alone is refused."""

    names: Mapping[str, Named]

    def vector_starts(self) -> bool:
        token, after = self.next, self.found[min(self.at + 1, len(self.found) - 1)].text
        if token.text in self.names:
            return isinstance(self.names[token.text].meaning, Vector)
        if token.text == "Y":
            return after != "_" and not self.is_of_band()
        if token.text == "e":
            return after == "_"
        if token.text in ("x", r"\mu"):
            return after in ("_", "^")
        if token.text in ("(", "{"):
            return self.transposed_bracket()
        return False

    def is_of_band(self) -> bool:
        """Whether a raised band and indices follow the next token: Y^g_s is a number."""
        here, self.at = self.at, self.at + 1
        found = bool(self.band_index())
        self.at = here
        return found

    def transposed_bracket(self) -> bool:
        """(x^a)^\\top and {e_s}^\\top."""
        close = {"(": ")", "{": "}"}[self.next.text]
        end, depth = 0, 0
        for i in range(self.at, len(self.found)):
            depth += (self.found[i].text == self.next.text) - (self.found[i].text == close)
            if not depth:
                end = i
                break
        after = [t.text for t in self.found[end + 1 : end + 4]]
        marks = ([m] for m in _TRANSPOSED), (["{", m] for m in _TRANSPOSED)
        raised = after[:1] == ["^"] and any(
            after[1 : 1 + len(mark)] == mark for group in marks for mark in group
        )
        if not (end and raised):
            return False
        here, self.at = self.at, self.at + 1
        found = self.vector_starts()
        self.at = here
        return found

    def vector(self) -> tuple[Vector, bool]:
        """A vector, and whether it is transposed."""
        token = self.take()
        if token.text in ("(", "{"):
            inside, _ = self.vector()
            self.demand(")" if token.text == "(" else "}", token)
            return inside, self.transposes()
        if token.text in self.names:
            return self.author_vector(self.names[token.text], token), self.transposes()
        if token.text == "Y":
            return Vector("Y"), self.transposes()
        if token.text in ("e", r"\mu"):
            self.demand("_")
            return Vector(token.text.strip("\\"), self.only(token, self.index_list(1))), (
                self.transposes()
            )
        return self.weight(token)

    def weight(self, token: Token) -> tuple[Vector, bool]:
        """x^a, x_a, x_\\perp^b, x^{b}_{\\perp}, x^{a\\top}."""
        found: list[Index] = []
        transposed = False
        while self.next.text in ("^", "_"):
            if self.transposes():
                transposed = True
                break
            raised = self.take()
            braced = self.next.text == "{"
            end = closing(self.text, self.found, self.at) if braced else self.at + 1
            if braced and self.found[end - 1].text in _TRANSPOSED and raised.text == "^":
                comma = self.found[end - 2].text == ","
                del self.found[end - 1 - comma : end]
                end -= 1 + comma
                transposed = True
            if braced and self.ahead("{", "(") and self.found[end - 1].text == ")":  # x^{(a)}
                del self.found[end - 1], self.found[self.at + 1]
            found += self.index_list()
        perp = PERP in found
        indices = tuple(i for i in found if i != PERP)
        kind = "perp" if perp else "x"
        return Vector(kind, self.only(token, indices)), transposed or self.transposes()

    def only(self, token: Token, indices: tuple[Index, ...]) -> Index:
        if len(indices) != 1:
            got = f"the vector {token.text} with {len(indices)} indices"
            raise self.refused(token, got, "one index", "write x^a, x_\\perp^a, e_s or \\mu_l")
        return indices[0]

    def author_vector(self, named: Named, token: Token) -> Vector:
        meaning = named.meaning
        assert isinstance(meaning, Vector)
        values = self.pattern(named, token)
        index = meaning.index
        return Vector(meaning.kind, values.get(index, index) if isinstance(index, str) else index)

    def pattern(self, named: Named, token: Token) -> dict[str, Index]:
        """The indices that a letter of the author has here, by the letters of its definition."""
        values: dict[str, Index] = {}
        wanted = {"_": named.lower, "^": named.upper}
        done: set[str] = set()
        while self.next.text in wanted and wanted[self.next.text] and self.next.text not in done:
            sign = self.take().text
            done.add(sign)
            letters = wanted[sign]
            indices = self.index_list(len(letters))
            if len(indices) != len(letters):
                got = f"{token.text} with {len(indices)} indices there"
                remedy = "write it as in the table of names"
                raise self.refused(token, got, f"{len(letters)}", remedy)
            pairs = list(zip(letters, indices, strict=True))
            # a number in the table is that number: \sigma^2 says nothing about \sigma^4
            if other := next((i for x, i in pairs if x.isdigit() and x != str(i)), None):
                got = f"{token.text} with {sign}{other}"
                remedy = "write it as in the table of names, or give the letter itself a meaning"
                raise self.refused(token, got, "the number of its definition", remedy)
            values |= dict(pairs)
        if missing := [s for s, letters in wanted.items() if letters and s not in done]:
            got, remedy = f"{token.text} without {missing[0]}", "write it as in the table of names"
            raise self.refused(token, got, "the indices of its definition", remedy)
        return values

    def transposes(self) -> bool:
        """Whether ^T or ^\\top follows; it is taken."""
        for mark in _TRANSPOSED:
            for texts in (("^", mark), ("^", "{", mark, "}")):
                if self.ahead(*texts):
                    self.at += len(texts)
                    return True
        return False

    def product_of_vectors(self) -> Node:
        """A vector times a vector."""
        start = self.next
        left, transposed = self.vector()
        dot = self.accept(r"\cdot")
        if dot and transposed:
            got = "a transposed vector with a dot"
            raise self.ambiguous(start, got, r"Y\cdot e_s", r"Y^\top e_s")
        if (dot or transposed) and self.vector_starts():
            right, again = self.vector()
            if not again:
                return self.inner(left, right, start)
        if not (dot or transposed) and self.vector_starts():
            right, again = self.vector()
            if again:
                found = ((v.kind, (v.index,) if v.kind != "Y" else ()) for v in (left, right))
                parts = tuple(Name(*part, position=start.position) for part in found)
                return Call(Name("dyad", position=start.position), parts, position=start.position)
        expected = "an inner product"
        remedy = r"write Y\cdot e_s, Y^\top e_s or \langle Y, e_s\rangle"
        raise self.refused(start, "a vector where a number belongs", expected, remedy)

    def angle(self, token: Token) -> tuple[Node | None, int]:
        r"""\langle v, w\rangle as a number; None where the brackets hold one formula."""
        depth, end, comma = 0, self.at, False
        while self.found[end].text != r"\rangle" or depth:
            text = self.found[end].text
            if self.found[end].kind == "end":
                raise self.refused(token, "'\\langle'", "'\\rangle'", "it is not closed")
            depth += (text in ("(", "[", "{", r"\{", r"\langle")) - (
                text in (")", "]", "}", r"\}", r"\rangle")
            )
            comma = comma or (text == "," and depth == 0)
            end += 1
        if not comma:
            return None, end
        if not self.vector_starts():
            raise self.not_vector(token)
        left, _ = self.vector()
        self.demand(",")
        if not self.vector_starts():
            raise self.not_vector(token)
        right, _ = self.vector()
        self.demand(r"\rangle", token)
        return self.inner(left, right, token), end

    def not_vector(self, token: Token) -> FormulaError:
        got, expected = "an inner product", "one of Y, x^a, x_\\perp^a, e_s and \\mu_l"
        remedy = r"write \langle Y, e_s\rangle, and other letters into a table: % names: W_i = x^i"
        return self.refused(token, got, expected, remedy)

    def norm(self, token: Token) -> Node:
        r"""\|x^a\|^2, \|x^a\|_2^2, \|v\|^2."""
        if self.next.text == "v" and self.found[self.at + 1].text == r"\|":
            self.take()
            square: Node = Name("v", ("i",), position=token.position)
            square = Multiply((square, square), position=token.position)
            square = Sum(("i",), square, position=token.position)
        elif self.vector_starts():
            vector, _ = self.vector()
            square = self.inner(vector, vector, token)
        else:
            raise self.not_vector(token)
        self.demand(r"\|", token)
        for euclidean in (("_", "2"), ("_", "{", "2", "}")):
            self.at += len(euclidean) if self.ahead(*euclidean) else 0
        if not (self.ahead("^", "2") or self.ahead("^", "{", "2", "}")):
            got, remedy = "a norm without its square", r"write \sqrt{Q_{aa}} or \|x^a\|^2"
            raise self.refused(token, got, "a squared norm", remedy)
        self.at += 2 if self.ahead("^", "2") else 4
        return square

    def inner(self, left: Vector, right: Vector, token: Token) -> Node:
        """The inner product of two vectors in the names of the conventions."""
        order = ("Y", "mu", "x", "perp", "e")
        one, two = sorted((left, right), key=lambda v: order.index(v.kind))
        if one.kind == two.kind:
            one, two = left, right
        kinds, at = (one.kind, two.kind), token.position
        i, j = one.index, two.index
        letter = "t" if "s" in (i, j) else "s"
        names = {
            ("Y", "e"): ("Y", (j,)),
            ("Y", "x"): ("u", (j,)),
            ("Y", "perp"): ("zeta", (j,)),
            ("x", "x"): ("Q", (i, j)),
            ("x", "perp"): ("R", (i, j)),
            ("perp", "perp"): ("R", (i, j)),
            ("x", "e"): ("m", (i, j)),
            ("e", "e"): ("Gamma", (i, j)),
        }
        if kinds in names:
            base, indices = names[kinds]
            return Name(base, indices, position=at)
        if kinds in (("perp", "e"), ("mu", "perp")):
            return Number(_ZERO, position=at)
        through: dict[tuple[str, str], Name] = {
            ("Y", "mu"): Name("Y", (letter,), position=at),
            ("mu", "x"): Name("m", (j, letter), position=at),
            ("mu", "e"): Name("Gamma", (letter, j), position=at),
        }
        if kinds in through:
            mean = j if kinds == ("Y", "mu") else i
            coordinate = Name("S", (mean, letter), position=at)
            body = Multiply((coordinate, through[kinds]), position=at)
            return Sum((letter,), body, position=at)
        got, expected = f"the inner product of {one.kind} and {two.kind}", "one that has a name"
        raise self.refused(token, got, expected, "see docs/conventions.md for inner products")
