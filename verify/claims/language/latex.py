r"""Claimed formulas in LaTeX, read by a grammar of their own into the trees of
:mod:`verify.claims.language.text`.

The notation is that of docs/conventions.md: ``\pi_a``, ``\lambda^{-1}``, ``\sum_l p_l``,
``\mathbb{E}_l[...]``, ``\frac``, ``R^\perp_{ab}``, ``\delta_{ab}``, ``\mathbf 1\{a=y\}``, ``Y\cdot
e_s``, ``\partial_c(...)``.  A sum reaches to the next + or - outside of brackets; factors may stand
side by side.  Arguments are taken as TeX takes them.  What the eye can read in two ways is refused,
with both readings; nothing is evaluated.
"""

from __future__ import annotations

from fractions import Fraction

from .latex_sums import CLOSING, LIMITS, UNEQUAL, SumReader
from .latex_tokens import latex_tokens
from .text import Token, bounded, nested, normalized
from .tree import (
    Add,
    Call,
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
# names of operators, set upright; they may stand without brackets
_FUNCTIONS = {
    r"\exp": "exp",
    r"\log": "log",
    r"\ln": "log",
    r"\tanh": "tanh",
    r"\sinh": "sinh",
    r"\cosh": "cosh",
    r"\sin": "sin",
    r"\cos": "cos",
}
_WORDS = ("exp", "log", "tanh", "relu", "ReLU", "step", "erf", "sigmoid", "softplus", "dirac")
_PRODUCTS = (r"\cdot", r"\times", "*")
_FRACTIONS = (r"\frac", r"\tfrac", r"\dfrac")
_WRAPPERS = (r"\mathrm", r"\operatorname", r"\mathbf", r"\mathbb", r"\text", r"\bm", r"\boldsymbol")
# what an exponent -1 makes a matrix or an entry of it, which the eye cannot tell
_MATRICES = ("Q", "R", "Gamma", "H", "G", "m", "S", "P")


def looks_like_latex(text: str) -> bool:
    """A backslash belongs to LaTeX alone."""
    return "\\" in text


def parse_latex(text: str) -> Node:
    r"""Read a formula in LaTeX.

    Raises
    ------
    FormulaError
        With the position, the reason, and the spelling that works.

    Examples
    --------
    >>> from verify.claims.language.tree import show
    >>> show(parse_latex(r"-\lambda^{-1}\sum_b \mathbb{E}_l[H_{ab}]\, m_{bs}"))
    '-(lambda^-1*sum_b(E_l[H_a_b]*m_b_s))'
    >>> show(parse_latex(r"\frac12\lambda \sum_{b=1}^{k-1} \sqrt[3]{\pi_b}"))
    '1/2*lambda*sum_b(pi_b^(1/3), b >= 1, b <= k - 1)'
    """
    text = normalized(text)
    return bounded(text, nested(text, _Latex(text, latex_tokens(text)).whole))


class _Latex(SumReader):
    def whole(self) -> Node:
        if self.next.kind == "end":
            raise self.error("a formula", "write one, such as \\lambda^{-1} m_{11}")
        node = self.sum()
        self.accept(".", ",")
        if self.next.kind != "end":
            raise self.error("an operator, a factor or the end", "check the brackets before it")
        return node

    # --- sums and products ------------------------------------------------------------------------

    def sum(self) -> Node:
        start = self.next.position
        terms = [self.signed_term(self.accept("-", "+"))]
        while sign := self.accept("+", "-"):
            terms.append(self.signed_term(sign))
        return terms[0] if len(terms) == 1 else Add(tuple(terms), position=start)

    def signed_term(self, sign: Token | None) -> Node:
        term = self.product()
        if sign is None or sign.text == "+":
            return term
        return Negative(term, position=sign.position)

    def product(self) -> Node:
        start = self.next.position
        factors = [self.factor()]
        while True:
            if self.accept(*_PRODUCTS):
                factors.append(self.factor())
            elif slash := self.accept("/"):
                above = factors[0]
                if len(factors) > 1:
                    above = Multiply(tuple(factors), position=start)
                factors = [Divide(above, self.factor(), position=start)]
                if self.starts_factor() or self.next.text in _PRODUCTS:
                    got = "a slash with several factors behind it"
                    raise self.ambiguous(slash, got, r"\frac{a}{b c}", r"\frac{a}{b} c")
            elif self.starts_factor():
                if self.next.kind == "number" and self.found[self.at - 1].kind == "number":
                    raise self.error("an operator between numbers", "write 2 \\cdot 3, or 23")
                factors.append(self.factor())
            else:
                break
        return factors[0] if len(factors) == 1 else Multiply(tuple(factors), position=start)

    def starts_factor(self) -> bool:
        token = self.next
        if token.kind in ("number", "letter"):
            return True
        if token.kind == "command":
            relations = (*UNEQUAL, *LIMITS, *_PRODUCTS)
            return token.text not in (r"\}", r"\rangle", r"\|", *relations)
        return token.text in ("(", "[", "{")

    def factor(self) -> Node:
        start = self.next.position
        if sign := self.accept("-"):
            return Negative(self.factor(), position=sign.position)
        node = self.atom()
        raised = None
        while caret := self.accept("^"):
            if raised is not None:
                got = "a second exponent"
                raise self.ambiguous(caret, got, "x^{2^2}", "(x^2)^2")
            raised = self.group()
            node = self.merged(node, raised, caret, start)
        if self.next.text == "_" and self.found[self.at + 1].text == "+":
            self.take(), self.take()
            node = Call(Name("relu", position=start), (node,), position=start)
            if self.next.text == "^":
                raise self.error("brackets around a part with an exponent", "write ((x)_+)^2")
        return node

    def merged(self, node: Node, exponent: Node, caret: Token, start: int) -> Node:
        r"""A power; indices may follow the exponent, as in m^2_{11}."""
        if isinstance(node, Name) and not node.indices and self.next.text == "_":
            node = Name(node.base, self.indices(), position=start)
        inverse = isinstance(exponent, Negative)
        if inverse and isinstance(node, Name) and node.base in _MATRICES and node.indices:
            got = f"{node.base} with indices and a negative exponent"
            entry = "1/Q_{ab} for the inverse of the entry"
            whole = "P_{ab} for the entry of the inverse of Q; the other inverses have no name"
            raise self.ambiguous(caret, got, entry, whole)
        return Power(node, exponent, position=start)

    def group(self) -> Node:
        """An argument as TeX takes it: {...}, or one token, of a number one digit."""
        if opened := self.accept("{"):
            node = self.sum()
            self.demand("}", opened)
            return node
        token = self.next
        if token.kind == "number":
            digit = self.take_digit()
            if self.next.kind == "number" and self.next.position == digit.position + 1:
                got = f"{token.text!r} where TeX takes one digit, {digit.text}"
                rest = f"{{{digit.text}}} {token.text[1:]}"
                raise self.ambiguous(token, got, f"{{{token.text}}}", rest)
            return Number(Fraction(digit.text), position=digit.position)
        return self.single()

    def single(self) -> Node:
        """One letter or command as an argument without braces."""
        token = self.take()
        if token.kind == "letter":
            return Name(token.text, position=token.position)
        if token.text in _GREEK:
            return Name(_GREEK[token.text], position=token.position)
        self.at -= token.kind != "end"
        raise self.error("a group in braces", "write {...}")

    # --- atoms ------------------------------------------------------------------------------------

    def atom(self) -> Node:
        token = self.next
        if token.kind == "number":
            self.take()
            return Number(Fraction(token.text), position=token.position)
        if opened := self.accept(*CLOSING):
            node = self.sum()
            self.demand(CLOSING[opened.text], opened)
            return node
        if token.kind == "command":
            return self.command()
        if token.kind == "letter":
            return self.letter()
        raise self.error("a number, a name or a bracket", "a formula or a factor is missing here")

    def command(self) -> Node:
        token = self.take()
        text, start = token.text, token.position
        if text in _FRACTIONS:
            return self.fraction(start)
        if text == r"\sqrt":
            return self.root(start)
        if text == r"\sum":
            return self.summed(token)
        if text == r"\partial":
            return self.derivative(token)
        if text in _FUNCTIONS:
            return self.function(_FUNCTIONS[text], token)
        if text == r"\sigma":
            return self.function("sigmoid", token, bare=False)
        if text in _WRAPPERS:
            return self.wrapped(token)
        if text == r"\langle":
            expected = "scalars of the conventions"
            remedy = "write Y\\cdot e_s for <Y, e_s> and \\zeta_b for <Y, x_\\perp^b>"
            raise FormulaError(self.text, start, "an inner product", expected, remedy)
        if text in _GREEK:
            return Name(_GREEK[text], self.indices(), position=start)
        remedy = "see docs/derivations.md for what is read"
        raise FormulaError(self.text, start, repr(text), "LaTeX of the conventions", remedy)

    def fraction(self, start: int) -> Node:
        r"""\frac{a}{b}, and \frac12 where two digits stand for the two arguments."""
        token = self.next
        if token.kind == "number" and len(token.text) == 2:
            above, below = self.take_digit(), self.take_digit()
            one, two = (Number(Fraction(t.text), position=t.position) for t in (above, below))
            return Divide(one, two, position=start)
        return Divide(self.group(), self.group(), position=start)

    def root(self, start: int) -> Node:
        r"""\sqrt{x} and \sqrt[n]{x}."""
        if opened := self.accept("["):
            degree = self.sum()
            self.demand("]", opened)
            one = Number(Fraction(1), position=start)
            return Power(self.group(), Divide(one, degree, position=start), position=start)
        return Call(Name("sqrt", position=start), (self.group(),), position=start)

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
            if not self.accept(r"\delta"):
                opened = self.demand("{")
                self.demand(r"\delta")
                self.demand("}", opened)
            return Name("c_delta", position=start)
        if base == "Y" and self.next.text == r"\cdot":
            self.take()
            return self.feature(token)
        indices = self.indices()
        if base == "R" and self.next.text == "^" and self.is_perp(1):
            self.skip_perp()
            indices = indices or self.indices()
        return Name(base, indices, position=start)

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
                got, remedy = "E with several indices", "write \\mathbb{E}_l[...]"
                raise FormulaError(self.text, token.position, got, "one component", remedy)
            component = found[0]
        opened = self.accept("[", "(", r"\{")
        if opened is None:
            return Expectation(component, self.product(), position=token.position)
        body = self.sum()
        self.demand(CLOSING[opened.text], opened)
        if self.next.text == "^":
            one, other = r"\left(\mathbb{E}[x]\right)^2", r"\mathbb{E}[x^2]"
            raise self.ambiguous(self.next, "an exponent of an expectation", one, other)
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
            return self.indicator()
        if word in _WORDS:
            return self.function(word, token)
        return Name(word, self.indices(), position=token.position)

    def indicator(self) -> Node:
        start = self.accept("_") or self.next
        bracket = self.accept("{", r"\{", "(", "[")
        if bracket is None:
            raise self.error("a condition in braces", "write \\mathbf 1\\{a=y\\}")
        left = self.index_list()
        self.demand("=")
        right = self.index_list()
        self.demand(CLOSING[bracket.text], start)
        return Name("delta", (*left, *right), position=start.position)

    def function(self, name: str, token: Token, bare: bool = True) -> Node:
        r"""A function with its argument in brackets, or of one name with a number before it.

        What follows an argument without brackets is of the function or beside it: the eye decides,
        and two eyes differ.
        """
        start = token.position
        base = Name(name, position=start)
        power = self.group() if self.accept("^") else None
        if isinstance(power, Negative):
            one, other = f"({token.text}(x))^{{-1}}", "the inverse function by its own name"
            raise self.ambiguous(token, "a function with a negative exponent", one, other)
        if opened := self.accept("(", "{", "["):
            argument = self.sum()
            self.demand(CLOSING[opened.text], opened)
        elif not bare:
            raise self.error("its argument in brackets", f"write {token.text}(x)")
        else:
            argument = self.bare_argument(token)
        call = Call(base, (argument,), position=start)
        return call if power is None else Power(call, power, position=start)

    def bare_argument(self, token: Token) -> Node:
        start = self.next.position
        factors = [self.factor()]
        if isinstance(factors[0], (Number, Divide)) and self.starts_factor():
            factors.append(self.factor())
        if self.starts_factor() or self.next.text == "/":
            got = f"{token.text} of several factors without brackets"
            raise self.ambiguous(token, got, f"{token.text}(x y)", f"{token.text}(x) y")
        return factors[0] if len(factors) == 1 else Multiply(tuple(factors), position=start)
