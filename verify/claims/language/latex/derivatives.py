r"""Derivatives in LaTeX: ``\partial_{u_c}(...)``, ``\frac{\partial \ell}{\partial u_a}``, and
those in time, ``\dot m_{as}``, ``\partial_t m_{as}``, ``\frac{d}{dt} m_{as}``, which name a drift.
"""

from __future__ import annotations

from verify.claims.language.text import Token
from verify.claims.language.tree import Call, Index, Name, Node, Power

from .tokens import closing
from .vectors import VectorReader

CLOSING = {"(": ")", "[": "]", "{": "}", r"\{": r"\}"}
_STATE = ("m", "R", "v")
# what a loss is differentiated in, each with an index
_VARIABLES = ("u", "v", "t")
_TIME = r"write \dot m_{as}, \dot R^\perp_{ab} or \dot v_i"


class DerivativeReader(VectorReader):
    """What is written for a derivative, for a reader of factors and groups."""

    def factor(self) -> Node:
        raise NotImplementedError

    def atom(self) -> Node:
        raise NotImplementedError

    def starts_factor(self) -> bool:
        raise NotImplementedError

    # --- in time ----------------------------------------------------------------------------------

    def dotted(self, token: Token) -> Node:
        r"""\dot m_{as}, \dot{m}_{as}, \dot{m_{as}}: the drift of a variable of the state."""
        if self.next.text == "{":
            end = closing(self.text, self.found, self.at)
            del self.found[end], self.found[self.at]
        return self.drift_of(token)

    def drift_of(self, token: Token) -> Node:
        variable = self.atom()
        if isinstance(variable, Power) or not (
            isinstance(variable, Name) and variable.base in _STATE
        ):
            got = "the time derivative of something else than m, R or v"
            raise self.refused(token, got, "a variable of the state", _TIME)
        return Call(Name("drift", position=token.position), (variable,), position=token.position)

    def rate(self, token: Token) -> Node | None:
        r"""\frac{d m_{as}}{dt} and \frac{d}{dt} m_{as}; None where the fraction is no rate."""
        if self.next.text != "{":
            return None
        middle = closing(self.text, self.found, self.at)
        if self.found[middle + 1].text != "{":
            return None
        end = closing(self.text, self.found, middle + 1)
        above = self.found[self.at + 1 : middle]
        below = self.found[middle + 2 : end]
        in_time = [t.text for t in below]
        if in_time[:3] == ["d", "t", "^"] and above and above[0].text == "d":
            raise self.refused(token, "a second derivative in time", "a first one", _TIME)
        if in_time not in (["d", "t"], [r"\partial", "t"]):
            return None
        if not above or above[0].text not in ("d", r"\partial"):
            raise self.refused(token, "a fraction over dt", "a time derivative", _TIME)
        rest = above[1:]
        self.found = [*self.found[: self.at], *rest, *self.found[end + 1 :]]
        return self.drift_of(token)

    # --- in variables -----------------------------------------------------------------------------

    def derivative(self, token: Token) -> Node:
        r"""\partial_c f or \partial_{u_c} f: a derivative in a pre-activation, v_i or t_s.

        Higher ones are \partial_{u_a u_b} f, \partial_c^2 f, \partial^2_{u_a u_b} f.
        """
        order = self.times()
        if self.ahead("_", "t") or self.ahead("_", "{", "t", "}"):
            self.at += 2 if self.ahead("_", "t") else 4
            return self.drift_of(token)
        self.demand("_")
        variables: list[Node] = []
        opened = self.accept("{")
        while True:
            variables.append(self.variable())
            if opened is None:
                break
            self.accept(",")
            if self.accept("}"):
                break
        if self.next.text == "^":
            if order is not None:
                one, other = r"\partial_c^2 f", r"(\partial_c f)^2"
                raise self.ambiguous(self.next, "a second exponent of a derivative", one, other)
            order = self.times()
        if order is not None and len(variables) == 1:
            variables *= order
        self.check_order(token, order, variables)
        return self.differentiated(token, variables)

    def times(self) -> int | None:
        """The order that is raised on a derivative, 0 of what is no number; None of no exponent."""
        if not self.accept("^"):
            return None
        braced = self.accept("{")
        order = int(self.take_digit().text) if self.next.kind == "number" else 0
        if not order:
            remedy = r"write \partial_c^2 f or \partial_{u_a u_b} f"
            raise self.error("the order of the derivative, a digit", remedy)
        if braced:
            self.demand("}", braced)
        return order

    def check_order(self, token: Token, order: int | None, variables: list[Node]) -> None:
        """As many variables as the order that is written says."""
        if order is not None and len(variables) != order:
            got = f"a derivative of order {order} in {len(variables)} variables"
            remedy = r"write \frac{\partial^2 f}{\partial u_a\partial u_b}"
            raise self.refused(token, got, "as many variables as its order", remedy)

    def differentiated(self, token: Token, variables: list[Node]) -> Node:
        bracketed = self.next.text in CLOSING
        body = self.factor()
        if not bracketed and self.starts_factor():
            got = "a derivative of several factors without brackets"
            raise self.ambiguous(token, got, r"\partial_c(f g)", r"\partial_c(f)\, g")
        name = Name("diff", position=token.position)
        return Call(name, (body, *variables), position=token.position)

    def variable(self) -> Node:
        letter = self.take()
        if letter.text in _VARIABLES and self.next.text == "_":
            return Name(letter.text, self.indices(1), position=letter.position)
        if letter.kind in ("letter", "number") and letter.text not in _VARIABLES:
            index: Index = int(letter.text) if letter.kind == "number" else letter.text
            return Name("u", (index,), position=letter.position)
        self.at -= letter.kind != "end"
        raise self.error("an index or a variable", "write \\partial_c or \\partial_{u_c}")

    def partial_fraction(self, token: Token) -> Node | None:
        r"""\frac{\partial^2 f}{\partial u_a\partial u_b}, \frac{\partial}{\partial u_c}(f)."""
        # \partial_{u_b} f above is a derivative of its own, part of any numerator
        if not self.ahead("{", r"\partial") or self.ahead("{", r"\partial", "_"):
            return None
        opened = self.take()
        self.take()
        order = self.times() or 1
        body = None
        if not self.ahead("}"):
            body = self.factor()
        self.demand("}", opened)
        below = self.demand("{")
        variables: list[Node] = []
        while self.accept(r"\partial"):
            if self.next.text not in _VARIABLES:
                raise self.error("u_a, v_i or t_s", r"write \frac{\partial f}{\partial u_a}")
            variable = self.variable()
            variables += [variable] * (self.times() or 1)
        self.demand("}", below)
        self.check_order(token, order, variables)
        if body is None:
            return self.differentiated(token, variables)
        name = Name("diff", position=token.position)
        return Call(name, (body, *variables), position=token.position)
