r"""Claimed formulas in LaTeX, read by a grammar of their own into the trees of
:mod:`verify.claims.language.text`.

The notation is that of docs/conventions.md: ``\pi_a``, ``\lambda^{-1}``, ``\sum_l p_l``,
``\mathbb{E}_l[...]``, ``\frac``, ``R^\perp_{ab}``, ``\delta_{ab}``, ``\mathbf 1\{a=y\}``, ``Y\cdot
e_s``, ``\partial_c(...)``.  A sum reaches to the next + or - outside of brackets; factors may stand
side by side.  Nothing is evaluated.
"""

from __future__ import annotations

from fractions import Fraction

from .latex_tokens import LatexReader, latex_tokens
from .text import Token, nested
from .tree import (
    Add,
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
)

_GREEK = {
    r"\lambda": "lambda",
    r"\beta": "beta",
    r"\pi": "pi",
    r"\Gamma": "Gamma",
    r"\delta": "delta",
    r"\zeta": "zeta",
    r"\ell": "ell",
}
_FUNCTIONS = {
    r"\exp": "exp",
    r"\log": "log",
    r"\ln": "log",
    r"\tanh": "tanh",
    r"\sinh": "sinh",
    r"\cosh": "cosh",
    r"\sin": "sin",
    r"\cos": "cos",
    r"\sigma": "sigmoid",
    r"\sqrt": "sqrt",
}
_PRODUCTS = (r"\cdot", r"\times", "*")
_UNEQUAL = (r"\ne", r"\neq")
_WRAPPERS = (r"\mathrm", r"\operatorname", r"\mathbf", r"\mathbb", r"\text", r"\bm", r"\boldsymbol")


def looks_like_latex(text: str) -> bool:
    """A backslash belongs to LaTeX alone."""
    return "\\" in text


def parse_latex(text: str) -> Node:
    r"""Read a formula in LaTeX.

    Raises
    ------
    FormulaError
        With the position and the reason.

    Examples
    --------
    >>> from verify.claims.language.tree import show
    >>> show(parse_latex(r"-\lambda^{-1}\sum_b \mathbb{E}_l[H_{ab}]\, m_{bs}"))
    '-(lambda^-1*sum_b(E_l[H_a_b]*m_b_s))'
    """
    return nested(text, _Latex(text, latex_tokens(text)).whole)


class _Latex(LatexReader):
    def whole(self) -> Node:
        if self.next.kind == "end":
            raise self.error("a formula", "write one, such as \\lambda^{-1} m_{11}")
        node = self.sum()
        self.accept(".", ",")
        if self.next.kind != "end":
            raise self.error("an operator, a factor or the end", "check the brackets before it")
        return node

    def sum(self) -> Node:
        start = self.next.position
        terms = []
        sign = self.accept("-", "+")
        terms.append(self.signed_term(sign))
        while sign := self.accept("+", "-"):
            terms.append(self.signed_term(sign))
        return terms[0] if len(terms) == 1 else Add(tuple(terms), position=start)

    def signed_term(self, sign: Token | None) -> Node:
        term = self.product()
        return (
            Negative(term, position=sign.position)
            if sign is not None and sign.text == "-"
            else term
        )

    def product(self) -> Node:
        start = self.next.position
        factors = [self.factor()]
        while True:
            if self.accept(*_PRODUCTS):
                factors.append(self.factor())
            elif self.accept("/"):
                above = (
                    factors[0] if len(factors) == 1 else Multiply(tuple(factors), position=start)
                )
                factors = [Divide(above, self.factor(), position=start)]
            elif self.starts_factor():
                factors.append(self.factor())
            else:
                break
        return factors[0] if len(factors) == 1 else Multiply(tuple(factors), position=start)

    def starts_factor(self) -> bool:
        token = self.next
        if token.kind in ("number", "letter"):
            return True
        if token.kind == "command":
            return token.text not in (r"\}", r"\rangle", r"\|") and token.text not in _UNEQUAL
        return token.text in ("(", "[", "{")

    def factor(self) -> Node:
        start = self.next.position
        if sign := self.accept("-"):
            return Negative(self.factor(), position=sign.position)
        node = self.atom()
        while self.accept("^"):
            node = Power(node, self.group(), position=start)
        if self.next.text == "_" and self.found[self.at + 1].text == "+":
            self.take(), self.take()
            node = Call(Name("relu", position=start), (node,), position=start)
        return node

    def group(self) -> Node:
        """{...} or one token."""
        if opened := self.accept("{"):
            node = self.sum()
            self.demand("}", opened)
            return node
        token = self.take()
        if token.kind == "number":
            # without braces LaTeX takes one digit
            return Number(Fraction(token.text[0]), position=token.position)
        if token.kind == "letter":
            return Name(token.text, position=token.position)
        if token.text in _GREEK:
            return Name(_GREEK[token.text], position=token.position)
        self.at -= token.kind != "end"
        raise self.error("a group in braces", "write {...}")

    def atom(self) -> Node:
        token = self.next
        if token.kind == "number":
            self.take()
            return Number(Fraction(token.text), position=token.position)
        for open_, close in (("(", ")"), ("[", "]"), ("{", "}"), (r"\{", r"\}")):
            if opened := self.accept(open_):
                node = self.sum()
                self.demand(close, opened)
                return node
        if token.kind == "command":
            return self.command()
        if token.kind == "letter":
            return self.letter()
        raise self.error("a number, a name or a bracket", "a formula or a factor is missing here")

    def command(self) -> Node:
        token = self.take()
        text, start = token.text, token.position
        if text in (r"\frac", r"\tfrac", r"\dfrac"):
            return Divide(self.group(), self.group(), position=start)
        if text == r"\sum":
            return self.summed(token)
        if text == r"\partial":
            return self.derivative(token)
        if text in _FUNCTIONS:
            return self.function(_FUNCTIONS[text], start)
        if text in _WRAPPERS:
            return self.wrapped(token)
        if text == r"\langle":
            expected = "scalars of the conventions"
            remedy = "write Y\\cdot e_s for <Y, e_s> and \\zeta_b for <Y, x_\\perp^b>"
            raise FormulaError(self.text, start, "an inner product", expected, remedy)
        if text in _GREEK:
            base = _GREEK[text]
            return Name(base, self.indices(), position=start)
        remedy = "see docs/derivations.md for what is read"
        raise FormulaError(self.text, start, repr(text), "LaTeX of the conventions", remedy)

    def letter(self) -> Node:
        token = self.take()
        base, start = token.text, token.position
        if base == "e" and self.next.text == "^":
            self.take()
            return Call(Name("exp", position=start), (self.group(),), position=start)
        if base == "E":
            return self.expectation(token)
        if base == "c" and self.next.text == "_":
            self.take()
            if self.accept(r"\delta"):
                return Name("c_delta", position=start)
            opened = self.demand("{")
            self.demand(r"\delta")
            self.demand("}", opened)
            return Name("c_delta", position=start)
        if base == "Y" and self.next.text == r"\cdot":
            self.take()
            return self.feature(token)
        if base == "R" and self.next.text == "^" and self.is_perp(1):
            self.skip_perp()
        return Name(base, self.indices(), position=start)

    def feature(self, token: Token) -> Node:
        """Y . e_s, Y . x^b or Y . x_perp^b."""
        which = self.take()
        if which.text == "e":
            return Name("Y", self.indices(), position=token.position)
        if which.text == "x":
            perp = False
            if self.next.text == "_" and self.is_perp(1):
                perp = True
                self.skip_perp()
            self.demand("^")
            index = self.index_list()
            return Name("zeta" if perp else "u", index, position=token.position)
        self.at -= which.kind != "end"
        raise self.error("e_s, x^b or x_\\perp^b", "other products of Y have no name")

    def expectation(self, token: Token) -> Node:
        component: Index | None = None
        if found := self.indices():
            if len(found) > 1:
                got = "E with several indices"
                expected = "one component"
                remedy = "write \\mathbb{E}_l[...]"
                raise FormulaError(self.text, token.position, got, expected, remedy)
            component = found[0]
        opened = self.accept("[", "(", r"\{")
        if opened is None:
            return Expectation(component, self.product(), position=token.position)
        body = self.sum()
        self.demand({"[": "]", "(": ")", r"\{": r"\}"}[opened.text], opened)
        return Expectation(component, body, position=token.position)

    def wrapped(self, token: Token) -> Node:
        """\\mathbb{E}, \\mathbf 1{a = y}, \\operatorname{relu}(u)."""
        opened = self.accept("{")
        word = ""
        while self.next.kind in ("letter", "number"):
            word += self.take().text
            if opened is None:
                break
        if opened:
            self.demand("}", opened)
        if word == "E":
            return self.expectation(token)
        if word in ("1", "I"):
            return self.indicator(token)
        if word in (
            "exp",
            "log",
            "tanh",
            "relu",
            "ReLU",
            "step",
            "erf",
            "sigmoid",
            "softplus",
            "dirac",
        ):
            return self.function(word, token.position)
        return Name(word, self.indices(), position=token.position)

    def indicator(self, token: Token) -> Node:
        opened = self.accept("_") or self.next
        bracket = self.accept("{", r"\{", "(", "[")
        if bracket is None:
            raise self.error("a condition in braces", "write \\mathbf 1\\{a=y\\}")
        left = self.index_list()
        self.demand("=")
        right = self.index_list()
        self.demand({"{": "}", r"\{": r"\}", "(": ")", "[": "]"}[bracket.text], opened)
        return Name("delta", (*left, *right), position=token.position)

    def function(self, name: str, start: int) -> Node:
        base = Name(name, position=start)
        power = self.group() if self.accept("^") else None
        if opened := self.accept("(", "{", "["):
            argument = self.sum()
            self.demand({"(": ")", "{": "}", "[": "]"}[opened.text], opened)
        else:
            argument = self.factor()
        call = Call(base, (argument,), position=start)
        return call if power is None else Power(call, power, position=start)

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
        return Call(
            Name("diff", position=token.position),
            (self.factor(), *variables),
            position=token.position,
        )

    def summed(self, token: Token) -> Node:
        self.demand("_")
        letters: list[str] = []
        conditions: list[Condition] = []
        opened = self.accept("{")
        while True:
            letter = self.take()
            if letter.kind != "letter":
                self.at -= letter.kind != "end"
                raise self.error(
                    "the letter of an index", "write \\sum_{b}, \\sum_{bc} or \\sum_{b\\ne a}"
                )
            letters.append(letter.text)
            if opened is None:
                break
            if self.accept(*_UNEQUAL):
                other = self.take()
                right: Index = int(other.text) if other.kind == "number" else other.text
                conditions.append(Condition(letter.text, right, False, position=other.position))
            elif self.accept("="):
                self.take()
            self.accept(",")
            if self.accept("}"):
                break
        if self.accept("^"):
            # an upper limit: the range of an index is that of its letter
            if self.next.text == "{":
                while self.take().text != "}":
                    pass
            else:
                self.take()
        return Sum(tuple(letters), self.product(), tuple(conditions), position=token.position)
