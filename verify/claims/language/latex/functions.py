r"""Functions, expectations, indicators and cases in LaTeX."""

from __future__ import annotations

from fractions import Fraction

from verify.claims.language.text import Token
from verify.claims.language.tree import (
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

from .derivatives import CLOSING, DerivativeReader
from .sums import SumReader
from .tokens import closing

# names of operators, set upright; they may stand without brackets
_OPERATORS = "exp log tanh sinh cosh sin cos tan"
_UPRIGHT = "relu step erf erfc sech sigmoid softplus dirac asin acos atan sqrt lse diff Phi dg"
FUNCTIONS = {
    **{"\\" + name: name for name in _OPERATORS.split()},
    r"\ln": "log",
    r"\arcsin": "asin",
    r"\arccos": "acos",
    r"\arctan": "atan",
}
# those that are letters: with brackets alone
LETTERS = {r"\sigma": "sigmoid", r"\Phi": "Phi"}
WORDS = {
    **{name: name for name in f"{_OPERATORS} {_UPRIGHT}".split()},
    "ReLU": "relu",
    "Sigmoid": "sigmoid",
    "Softplus": "softplus",
    "arcsin": "asin",
    "arccos": "acos",
    "arctan": "atan",
    "ln": "log",
    "KroneckerDelta": "KroneckerDelta",
    "Cov": "Cov",
}
_SEVERAL = ("diff", "lse", "KroneckerDelta", "Cov")


class FunctionReader(SumReader, DerivativeReader):
    """What takes an argument."""

    def sum(self) -> Node:
        raise NotImplementedError

    # --- functions --------------------------------------------------------------------------------

    def function(self, name: str, token: Token, bare: bool = True) -> Node:
        r"""A function with its argument in brackets, or of one name with a number before it.

        What follows an argument without brackets is of the function or beside it: the eye decides,
        and two eyes differ.
        """
        start = token.position
        primes = 0
        while self.accept("'"):
            primes += 1
        power = self.group() if self.accept("^") else None
        if isinstance(power, Negative):
            one, other = f"({token.text}(x))^{{-1}}", "the inverse function by its own name"
            raise self.ambiguous(token, "a function with a negative exponent", one, other)
        if opened := self.accept("(", "["):
            arguments = [self.sum()]
            while name in _SEVERAL and self.accept(","):
                arguments.append(self.sum())
            self.demand(CLOSING[opened.text], opened)
        elif opened := self.accept("{", r"\{"):
            arguments = [self.sum()]
            self.demand(CLOSING[opened.text], opened)
            if opened.text == "{" and (self.starts_factor() or self.next.text == "/"):
                raise self.several(token)
        elif not bare:
            raise self.error("its argument in brackets", f"write {token.text}(x)")
        else:
            arguments = [self.bare_argument(token)]
        call = self.called(name, tuple(arguments), primes, token)
        return call if power is None else Power(call, power, position=start)

    def called(self, name: str, arguments: tuple[Node, ...], primes: int, token: Token) -> Node:
        """A function or its derivative at an argument."""
        at = token.position
        call = Call(Name(name, position=at), arguments, position=at)
        if not primes:
            return call
        slopes: dict[str, Node] = {
            "exp": call,
            "relu": Call(Name("step", position=at), arguments, position=at),
            "softplus": Call(Name("sigmoid", position=at), arguments, position=at),
            "g": Call(Name("dg", position=at), arguments, position=at),
            "sin": Call(Name("cos", position=at), arguments, position=at),
        }
        one = Number(Fraction(1), position=at)
        square = Power(call, Number(Fraction(2), position=at), position=at)
        slopes["tanh"] = Add((one, Negative(square, position=at)), position=at)
        rest = Add((one, Negative(call, position=at)), position=at)
        slopes["sigmoid"] = Multiply((call, rest), position=at)
        if primes > 1 or name not in slopes:
            got = f"{token.text} with {primes} primes"
            remedy = r"write \frac{\partial f}{\partial u_a}, or the derivative itself"
            raise self.refused(token, got, "a first derivative that has a name", remedy)
        return slopes[name]

    def several(self, token: Token) -> Exception:
        got = f"{token.text} of several factors without brackets"
        return self.ambiguous(token, got, f"{token.text}(x y)", f"{token.text}(x) y")

    def bare_argument(self, token: Token) -> Node:
        start = self.next.position
        factors = [self.factor()]
        if _is_number(factors[0]) and self.starts_factor():
            factors.append(self.factor())
        if self.starts_factor() or self.next.text == "/":
            raise self.several(token)
        return factors[0] if len(factors) == 1 else Multiply(tuple(factors), position=start)

    def softmax(self, name: Name) -> Node:
        r"""\pi_a, or \pi_a^2(x, y) where a list of arguments follows: softmax_a(x, y)^2."""
        opened = self.at
        if self.next.text == "^":
            braced = self.ahead("^", "{")
            opened = closing(self.text, self.found, self.at + 1) + 1 if braced else self.at + 2
        if not self._opens_list(opened):
            return name
        power = self.group() if self.accept("^") else None
        bracket = self.demand("(")
        arguments = [self.sum()]
        while self.accept(","):
            arguments.append(self.sum())
        self.demand(")", bracket)
        at = name.position
        call = Call(Name("softmax", name.indices, position=at), tuple(arguments), position=at)
        return call if power is None else Power(call, power, position=at)

    def _opens_list(self, at: int) -> bool:
        """Whether a round bracket opens there that holds commas of its own: no factor does."""
        depth = 0
        for token in self.found[at:]:
            if not depth and token.text != "(":
                return False
            if depth == 1 and token.text == ",":
                return True
            depth += (token.text in CLOSING) - (token.text in CLOSING.values())
            if not depth:
                return False
        return False

    # --- expectations -----------------------------------------------------------------------------

    def expectation(self, token: Token) -> Node:
        component: Index | None = None
        if self.ahead("^", "{", "(") or self.ahead("^", "(") or self.ahead("^"):
            got, expected = "E with something raised", "the component as an index"
            raise self.refused(self.next, got, expected, "write \\mathbb{E}_l[...]")
        if self.next.text == "_":
            below = self.next
            try:
                found = self.indices(1)
            except FormulaError as error:
                got, expected = "a distribution under E", "a component, or nothing"
                remedy = "write \\mathbb{E}_l[...] or \\mathbb{E}[...]"
                raise self.refused(below, got, expected, remedy) from error
            if len(found) != 1:
                got, remedy = f"E with {len(found)} indices", "write \\mathbb{E}_l[...]"
                raise self.refused(token, got, "one component", remedy)
            component = found[0]
        opened = self.accept("[", "(", r"\{")
        if opened is None:
            return Expectation(component, self.product(), position=token.position)
        body = self.sum()
        if self.next.text in (":", "|"):
            got, remedy = "a conditional expectation", "write \\mathbb{E}_l[...] for component l"
            raise self.refused(self.next, got, "an expectation", remedy)
        self.demand(CLOSING[opened.text], opened)
        if self.next.text == "^":
            one, other = r"\left(\mathbb{E}[x]\right)^2", r"\mathbb{E}[x^2]"
            raise self.ambiguous(self.next, "an exponent of an expectation", one, other)
        return Expectation(component, body, position=token.position)

    def angle_brackets(self, token: Token) -> Node:
        r"""\langle Y, e_s\rangle is an inner product, \langle f\rangle_l an expectation."""
        product, _ = self.angle(token)
        if product is not None:
            return product
        body = self.sum()
        self.demand(r"\rangle", token)
        component = self.indices(1)
        if len(component) > 1:
            got, remedy = "an average with several indices", "write \\langle f\\rangle_l"
            raise self.refused(token, got, "one component", remedy)
        return Expectation(component[0] if component else None, body, position=token.position)

    # --- cases ------------------------------------------------------------------------------------

    def indicator(self, token: Token) -> Node:
        r"""\mathbf 1\{a=y\}, \mathbf 1_{a\ne b}, \mathbf 1\{u_i > 0\}, \mathbf 1\{u_1 > u_2\}."""
        start = self.accept("_") or self.next
        bracket = self.accept("{", r"\{", "(", "[")
        if bracket is None:
            raise self.error("a condition in braces", "write \\mathbf 1\\{a=y\\}")
        inner = self.accept(r"\{", "(", "[") if bracket.text == "{" else None
        node = self.condition(start)
        if inner:
            self.demand(CLOSING[inner.text], inner)
        self.demand(CLOSING[bracket.text], start)
        return node

    def condition(self, start: Token) -> Node:
        """One where a condition holds: two indices are equal or not, a number is positive."""
        at = start.position
        here = self.at
        if self.next.kind in ("letter", "number") or self.next.text == r"\ell":
            left = self.index()
            if sign := self.accept("=", r"\ne"):
                delta = Name("delta", (left, self.index()), position=at)
                return delta if sign.text == "=" else self.complement(delta)
            self.at = here
        value = self.sum()
        sign = self.accept(">", "<")
        if sign is None:
            expected = "a=b, a\\ne b or x > 0"
            raise self.error(expected, "write \\mathbf 1\\{a=y\\} or \\mathbf 1\\{u_i>0\\}")
        below = self.sum()
        if below != Number(Fraction(0)):
            other = Negative(below, position=at)
            value = Add((value, other), position=at)
        inside = value if sign.text == ">" else Negative(value, position=at)
        return Call(Name("step", position=at), (inside,), position=at)

    def complement(self, delta: Node) -> Node:
        one = Number(Fraction(1), position=delta.position)
        return Add((one, Negative(delta, position=delta.position)), position=delta.position)

    def cases(self, token: Token) -> Node:
        r"""\begin{cases} x & a=b \\ z & a\ne b \end{cases}: two cases of two indices."""
        if token.text == r"\begin{array}" and self.next.text == "{":
            self.at = closing(self.text, self.found, self.at) + 1
        rows: list[tuple[Node, Node | None]] = []
        while self.next.kind != "environment":
            value = self.sum()
            self.accept(",")
            self.accept("&")
            words = self.accept("if", "for", "when", "otherwise", "else")
            other = words is not None and words.text in ("otherwise", "else")
            rows.append((value, None if other else self.condition(self.next)))
            self.accept(",", ".", ";")
            if not self.accept("\\\\"):
                break
        if self.take().text != token.text.replace("begin", "end"):
            self.at -= 1
            raise self.error(token.text.replace("begin", "end"), "close the cases")
        expected, remedy = "two cases, a=b and a\\ne b", "write \\delta_{ab} x + (1-\\delta_{ab}) z"
        if len(rows) != 2 or not isinstance(rows[0][1], (Name, Add)):
            raise self.refused(token, "these cases", expected, remedy)
        (one, first), (two, second) = rows
        assert first is not None
        rest = self.complement(first)
        if isinstance(first, Add):
            rest = first.terms[1].inside if isinstance(first.terms[1], Negative) else rest
        if second is not None and not _same(second, rest):
            raise self.refused(token, "these cases", expected, remedy)
        at = token.position
        parts = (Multiply((first, one), position=at), Multiply((rest, two), position=at))
        return Add(parts, position=at)


def _same(one: Node, two: Node) -> bool:
    """Equal conditions; the order of two indices does not matter."""

    def indices(node: Node) -> tuple[Index, ...]:
        if isinstance(node, Add) and isinstance(node.terms[1], Negative):
            node = node.terms[1].inside
        return node.indices if isinstance(node, Name) else ()

    return type(one) is type(two) and set(indices(one)) == set(indices(two))


def _is_number(node: Node) -> bool:
    if isinstance(node, Divide):
        return _is_number(node.above) and _is_number(node.below)
    return isinstance(node, Number)
