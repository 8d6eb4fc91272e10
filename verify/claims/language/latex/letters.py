r"""Letters and words of LaTeX: names of the conventions and of the author, fractions, roots."""

from __future__ import annotations

import re
from fractions import Fraction

from verify.claims.language.conventions import BAND_SHAPES, SHAPES
from verify.claims.language.substitution import with_indices
from verify.claims.language.text import Token
from verify.claims.language.tree import Call, Divide, Name, Node, Number, Power

from .functions import WORDS, FunctionReader
from .indices import PERP
from .vectors import Vector

# letters of matrices and of the gradient, whose coefficients stand in square brackets
BLOCKS = ("H", "G", "g")
# of what an author may write the time behind: m_{as}(t)
_STATE = ("m", "R", "v", "Q", "u")

# before a bracket that is told its size
_SIZED = re.compile(r"\\(?:left|[bB]igg?l?)\s*\Z")
# space between factors that parts them
_WIDE = re.compile(r"\\q?quad(?![A-Za-z])|\\hspace|\\hfill")


class LetterReader(FunctionReader):
    """What begins with a letter, a word or a fraction."""

    def group(self) -> Node:
        raise NotImplementedError

    def authors(self, token: Token) -> Node:
        """A letter of the table of names."""
        named = self.names[token.text]
        if isinstance(named.meaning, str):
            return self.function(named.meaning, token, bare=False)
        if isinstance(named.meaning, Vector):
            self.at -= 1
            return self.product_of_vectors()
        values = self.pattern(named, token)
        return with_indices(self.text, named.meaning, values, token.position)

    def check_beside(self) -> None:
        """A wide space parts what is no product; a number in brackets at the end is a tag, where
        nothing tells their size.
        """
        last, token = self.found[self.at - 1], self.next
        if _WIDE.search(self.text, last.position, max(last.position, token.position)):
            got, remedy = "a wide space between factors", r"write \cdot, or a display for each"
            raise self.refused(token, got, "an operator, or the end", remedy)
        texts = [t.text for t in self.found[self.at : self.at + 4]]
        is_number = texts[0] == "(" and texts[1].isdigit() and texts[2:] in ([")", ""], [")", "."])
        if is_number and not _SIZED.search(self.text, 0, token.position):
            got = "a number in brackets at the end"
            raise self.ambiguous(token, got, rf"\cdot {texts[1]}", rf"\tag{{{texts[1]}}}")

    def scale(self, start: int) -> Name | None:
        r"""\sigma_{lg}, the scale of the noise in a band; None of the function \sigma."""
        here, found = self.at, list(self.found)
        indices = self.indices(2) if self.next.text == "_" else ()
        if len(indices) == 2:
            return Name("sigma", indices, position=start)
        self.at, self.found = here, found
        return None

    def delta(self, token: Token) -> Node:
        r"""\delta_{ab} is Kronecker's, \delta(u) Dirac's."""
        if self.next.text in ("(", "["):
            return self.function("dirac", token)
        return Name("delta", self.indices(2), position=token.position)

    def fraction(self, token: Token) -> Node:
        r"""\frac{a}{b}, \frac12 where two digits stand for the two arguments, and derivatives."""
        special = self.rate(token) or self.partial_fraction(token)
        if special is not None:
            return special
        start, digits = token.position, self.next
        if digits.kind == "number" and len(digits.text) == 2:
            above, below = self.take_digit(), self.take_digit()
            one, two = (Number(Fraction(t.text), position=t.position) for t in (above, below))
            return Divide(one, two, position=start)
        return Divide(self.group(), self.group(), position=start)

    def root(self, token: Token) -> Node:
        r"""\sqrt{x} and \sqrt[n]{x}."""
        start = token.position
        if opened := self.accept("["):
            degree = self.sum()
            self.demand("]", opened)
            one = Number(Fraction(1), position=start)
            return Power(self.group(), Divide(one, degree, position=start), position=start)
        return Call(Name("sqrt", position=start), (self.group(),), position=start)

    def word(self) -> Node:
        """An upright word: a function, or a name with indices."""
        token = self.take()
        if token.text in WORDS:
            return self.function(WORDS[token.text], token, token.text not in ("step", "diff"))
        if self.next.text == "(" and token.text not in SHAPES:
            return self.function(token.text, token)
        return Name(token.text, self.indices(), position=token.position)

    def letter(self) -> Node:
        token = self.take()
        base, start = token.text, token.position
        if base == "e" and self.accept("^"):
            return Call(Name("exp", position=start), (self.group(),), position=start)
        if base == "E":
            return self.expectation(token)
        if base == "c" and self.next.text == "_":
            self.take()
            if not self.accept(r"\delta"):
                opened = self.demand("{")
                self.demand(r"\delta")
                self.demand("}", opened)
            return Name("c_delta", position=start)
        if base == "g" and self.next.text in ("(", "'"):
            return self.function("g", token, bare=False)
        if base == "f" and self.next.text in ("(", "["):
            got = "f before a bracket"
            raise self.ambiguous(token, got, r"f\cdot(...) for a product", "f for the output")
        indices = self.band_index() if base in BAND_SHAPES else ()
        indices = (*indices, *self.indices(arity(base)))
        if base == "R" and self.next.text == "^" and self.is_perp():
            indices = indices or self.indices(arity(base))
        if base == "R":
            indices = tuple(i for i in indices if i != PERP)
        elif PERP in indices:
            got, expected = f"{base} with \\perp", "R^\\perp or x_\\perp^a"
            raise self.refused(token, got, expected, "see docs/conventions.md")
        if base in _STATE and self.ahead("(", "t", ")"):
            self.at += 3
        name = Name(base, indices, position=start)
        return self.block_entry(name) or name

    def block_entry(self, name: Name) -> Call | None:
        r"""H_{ab}[e_s, x^c], G_{ab}[\mathrm{bulk}], g_a[e_s]: a coefficient of a block.

        None, and nothing is taken, where the square brackets hold a factor as elsewhere.
        """
        if name.base not in BLOCKS or not name.indices or self.next.text != "[":
            return None
        start, found = self.at, list(self.found)
        self.take()
        at = self.next.position
        arguments: list[Node] = []
        if self.ahead("bulk", "]") or self.ahead(*"bulk", "]"):
            self.at += 1 if self.next.text == "bulk" else len("bulk")
            arguments.append(Name("bulk", position=at))
        else:
            while self.vector_starts():
                vector, transposed = self.vector()
                if vector.kind not in ("e", "x") or transposed:
                    break
                arguments.append(Name(vector.kind, (vector.index,), position=at))
                if not self.accept(","):
                    break
        if arguments and self.accept("]"):
            return Call(name, tuple(arguments), position=name.position)
        self.at, self.found = start, found
        return None

    def is_perp(self) -> bool:
        r"""Whether ^\perp follows; it is taken."""
        for texts in (("^", r"\perp"), ("^", "{", r"\perp", "}")):
            if self.ahead(*texts):
                self.at += len(texts)
                return True
        return False


def arity(base: str) -> int | None:
    """How many indices a name of the conventions has, None where that is open."""
    shape = SHAPES.get(base)
    return len(shape.split("_")) if shape else None
