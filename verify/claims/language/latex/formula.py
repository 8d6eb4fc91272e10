r"""Claimed formulas in LaTeX, read by a grammar of their own into the trees of
:mod:`verify.claims.language.text`.

The notation is that of docs/conventions.md: ``\pi_a``, ``\lambda^{-1}``, ``\sum_l p_l``,
``\mathbb{E}_l[...]``, ``\frac``, ``R^\perp_{ab}``, ``\delta_{ab}``, ``\mathbf 1\{a=y\}``, ``Y\cdot
e_s``, ``\partial_c(...)``.  A sum reaches to the next + or - outside of brackets; factors may stand
side by side.  Arguments are taken as TeX takes them.  What the eye can read in two ways is refused,
with both readings; nothing is evaluated.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from fractions import Fraction

from verify.claims.language.conventions import BAND_SHAPES
from verify.claims.language.index_letters import conventional
from verify.claims.language.matrices import ENTRY, ODOT, OTIMES, TRANSPOSE
from verify.claims.language.text import Token, bounded, nested, normalized
from verify.claims.language.tree import (
    Add,
    Call,
    Divide,
    FormulaError,
    Multiply,
    Name,
    Negative,
    Node,
    Number,
    Power,
    free_letters,
)

from .functions import FUNCTIONS, LETTERS
from .indices import GREEK_INDICES
from .letters import LetterReader, arity
from .lines import chains
from .remainders import Remainder, inverse_power
from .sums import LIMITS, UNEQUAL
from .tokens import INDICATOR, latex_tokens, without_fonts
from .vectors import Named

_LETTERS = ("lambda", "beta", "pi", "Gamma", "delta", "zeta", "kappa", "eta", "tau", "ell", "rho")
_GREEK = {"\\" + n: n for n in (*_LETTERS, "xi")}
_CLOSING = {"(": ")", "[": "]", r"\{": r"\}"}
# what an exponent -1 makes a matrix or an entry of it, which the eye cannot tell
_MATRICES = ("Q", "R", "Gamma", "H", "G", "m", "S", "P")
_OF_MATRICES = {r"\odot": ODOT, r"\circ": ODOT, r"\otimes": OTIMES}
_NO_FACTOR = frozenset(
    (
        *_OF_MATRICES,
        r"\}",
        r"\rangle",
        UNEQUAL,
        *LIMITS,
        r"\cdot",
        r"\in",
        r"\top",
        r"\perp",
        r"\right.",
    )
)


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
    return bounded(text, nested(text, lambda: _formula(text)))


def _formula(text: str) -> Node:
    tokens = without_fonts(text, latex_tokens(text))
    found = chains(text, tokens[:-1], "split")
    if any(chain.error for chain in found):
        raise next(chain.error for chain in found if chain.error)
    if len(found) > 1 or (found and len(found[0].parts) > 1):
        place = (found[1].first if len(found) > 1 else found[0].parts[1][0]).position
        got, remedy = "an equation", "give the formula alone; the quantity has a place of its own"
        raise FormulaError(text, place, got, "one formula", remedy)
    reader = LatexFormula(text, [*(found[0].parts[0] if found else ()), tokens[-1]])
    tree = reader.whole()
    if (told := reader.left_away) is not None:
        remedy = f"say order = {told.order} beside the formula"
        place = text.rfind("O" if told.whole else "o")
        raise FormulaError(text, place, "a remainder O(...)", "a formula without it", remedy)
    return conventional(text, [tree], {letter for letter, _ in free_letters(tree)})[0]


class LatexFormula(LetterReader):
    """The grammar: sums, products, powers, atoms.

    Parameters
    ----------
    text : str
        For messages.
    found : list of Token
        With their fonts removed, an end mark behind them.
    names : mapping, optional
        Letters of the author.
    """

    def __init__(
        self, text: str, found: Sequence[Token], names: Mapping[str, Named] | None = None
    ) -> None:
        super().__init__(text, list(found))
        self.names = dict(names or {})
        self.left_away: Remainder | None = None

    def whole(self) -> Node:
        if self.next.kind == "end":
            raise self.error("a formula", "write one, such as \\lambda^{-1} m_{11}")
        node = self.sum()
        self.accept(".", ",", ";")
        if self.next.kind != "end":
            raise self.error("an operator, a factor or the end", "check the brackets before it")
        return node

    # --- sums and products ------------------------------------------------------------------------

    def sum(self) -> Node:
        start = self.next.position
        terms = [self.signed_term(self.accept("-", "+"))]
        while sign := self.accept("+", "-"):
            if self.next.text in ("O", "o") and self.found[self.at + 1].text in ("(", r"\{"):
                self.left_away = self.remainder(self.take())
                break
            terms.append(self.signed_term(sign))
        return terms[0] if len(terms) == 1 else Add(tuple(terms), position=start)

    def remainder(self, token: Token) -> Remainder:
        r"""The order up to which a formula holds that ends in + O(\lambda^{-n})."""
        opened = self.demand("(")
        body = self.sum()
        self.demand(")", opened)
        power = inverse_power(body)
        last = self.next.kind == "end" or self.next.text in (".", ",", ";")
        if power is None or not last or power < (token.text == "O"):
            got, expected = "this remainder", r"O(\lambda^{-n}) or o(\lambda^{-n}) at the end"
            raise self.refused(token, got, expected, r"write + O(\lambda^{-2})")
        return Remainder(power - (token.text == "O"), token.text == "O")

    def signed_term(self, sign: Token | None) -> Node:
        term = self.product()
        if sign is None or sign.text == "+":
            return term
        return Negative(term, position=sign.position)

    def product(self) -> Node:
        start = self.next.position
        factors = [self.factor()]
        while True:
            if self.accept(r"\cdot"):
                factors.append(self.factor())
            elif sign := self.accept(*_OF_MATRICES):
                name = Name(_OF_MATRICES[sign.text], position=sign.position)
                both = (factors[-1], self.factor())
                factors[-1] = Call(name, both, position=sign.position)
            elif slash := self.accept("/"):
                above = factors[0]
                if len(factors) > 1:
                    above = Multiply(tuple(factors), position=start)
                factors = [Divide(above, self.factor(), position=start)]
                if self.starts_factor() or self.next.text == r"\cdot":
                    got = "a slash with several factors behind it"
                    raise self.ambiguous(slash, got, r"\frac{a}{b c}", r"\frac{a}{b} c")
            elif self.starts_factor():
                if self.next.kind == "number" and self.found[self.at - 1].kind == "number":
                    raise self.error("an operator between numbers", "write 2 \\cdot 3, or 23")
                self.check_beside()
                factors.append(self.factor())
            else:
                break
        return factors[0] if len(factors) == 1 else Multiply(tuple(factors), position=start)

    def starts_factor(self) -> bool:
        token = self.next
        if token.kind in ("number", "letter", "word"):
            return True
        if token.kind == "environment":
            return token.text.startswith(r"\begin")
        if token.kind == "command":
            return token.text not in _NO_FACTOR
        return token.text in ("(", "[", "{")

    def factor(self) -> Node:
        start = self.next.position
        if sign := self.accept("-"):
            return Negative(self.factor(), position=sign.position)
        if self.vector_starts():
            return self.product_of_vectors()
        bracketed, is_exponential = self.next.text in _CLOSING, self.ahead("e", "^")
        node = self.braced() if self.next.text == "{" else self.atom()
        raised = is_exponential and isinstance(node, Call)
        while self.next.text == "^":
            if self.transposes():
                node = Call(Name(TRANSPOSE, position=start), (node,), position=start)
                continue
            caret = self.take()
            if raised:
                got = "a second exponent"
                raise self.ambiguous(caret, got, "x^{2^2}", "(x^2)^2")
            raised = True
            node = self.merged(node, self.group(), caret, start, bracketed)
        if self.next.text == "_" and self.found[self.at + 1].text == "+":
            if raised:  # the page shows it like (x)_+^2
                got = "a positive part with an exponent"
                raise self.ambiguous(self.next, got, "((x)_+)^2", "(x^2)_+")
            self.take(), self.take()
            node = Call(Name("relu", position=start), (node,), position=start)
            if self.next.text == "^":
                raise self.error("brackets around a part with an exponent", "write ((x)_+)^2")
        if bracketed and self.next.text == "_":
            name = Name(ENTRY, self.indices(), position=start)
            node = Call(name, (node,), position=start)
        if self.next.text == "'":
            got, remedy = "a prime", "write \\frac{\\partial f}{\\partial u_a} for a derivative"
            raise self.refused(self.next, got, "a name without it", remedy)
        return node

    def merged(self, node: Node, exponent: Node, caret: Token, start: int, bracketed: bool) -> Node:
        r"""A power; indices may follow the exponent, as in m^2_{11}."""
        named = isinstance(node, Name) and not node.indices and not bracketed
        if isinstance(node, Name) and named and self.next.text == "_":
            node = Name(node.base, self.indices(arity(node.base)), position=start)
        inverse = isinstance(exponent, Negative) and not bracketed
        if inverse and isinstance(node, Name) and node.base in _MATRICES and node.indices:
            got = f"{node.base} with indices and a negative exponent"
            entry = "1/Q_{ab} for the inverse of the entry"
            whole = "P_{ab} for the entry of the inverse of Q; the other inverses have no name"
            raise self.ambiguous(caret, got, entry, whole)
        return Power(node, exponent, position=start)

    def braced(self) -> Node:
        """A group in braces, which nobody sees on the page: refused where it would matter."""
        before = self.found[self.at - 1].text if self.at else "("
        opened = self.take()
        node = self.sum()
        self.demand("}", opened)
        shown_alone = before in ("(", "[", "{", r"\{", "+", ",", "=", "_", "^")
        followed = self.starts_factor() or self.next.text in (r"\cdot", "/")
        open_sum = isinstance(node, Add) and (followed or not shown_alone)
        if isinstance(node, Negative):
            open_sum = not shown_alone
        raised = self.next.text in ("^", "_") and not isinstance(node, (Name, Number, Call))
        if open_sum or raised:
            one, other = r"\left(a+b\right) c", "a + b c"
            raise self.ambiguous(opened, "braces that the page does not show", one, other)
        return node

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
        if token.text == r"\frac":
            return self.fraction(self.take())
        return self.single()

    def single(self) -> Node:
        """One letter or command as an argument without braces."""
        token = self.take()
        if token.text in self.names and not (
            self.names[token.text].lower or self.names[token.text].upper
        ):
            return self.authors(token)
        if token.kind == "letter":
            return Name(token.text, position=token.position)
        if token.text in _GREEK:
            return Name(_GREEK[token.text], position=token.position)
        self.at -= token.kind != "end"
        transposed = "write the entries, such as m_{as}, for a transposed matrix"
        remedy = transposed if token.text == r"\top" else "write {...}"
        raise self.error("a group in braces", remedy)

    # --- atoms ------------------------------------------------------------------------------------

    def atom(self) -> Node:
        token = self.next
        if token.text in self.names:
            return self.authors(self.take())
        if token.kind == "number":
            self.take()
            return Number(Fraction(token.text), position=token.position)
        if token.kind == "environment":
            return self.environment(self.take())
        if opened := self.accept(*_CLOSING):
            if opened.text == r"\{" and self.next.kind == "environment":
                node = self.environment(self.take())
                self.demand(r"\right.", opened)
                return node
            node = self.sum()
            self.demand(_CLOSING[opened.text], opened)
            return node
        if token.kind == "command":
            return self.command()
        if token.kind in ("letter", "word"):
            return self.letter() if token.kind == "letter" else self.word()
        if token.text == "|":
            remedy = r"write \sqrt{x^2} for an absolute value"
            raise self.refused(token, "'|'", "round or square brackets", remedy)
        raise self.error("a number, a name or a bracket", "a formula or a factor is missing here")

    def environment(self, token: Token) -> Node:
        if token.text in (r"\begin{cases}", r"\begin{array}", r"\begin{dcases}"):
            return self.cases(token)
        remedy = "write the entries, one formula each"
        raise self.refused(token, repr(token.text), "a number or two cases", remedy)

    def command(self) -> Node:
        token = self.take()
        text, start = token.text, token.position
        readers = {
            r"\frac": self.fraction,
            r"\sqrt": self.root,
            r"\sum": self.summed,
            r"\partial": self.derivative,
            r"\dot": self.dotted,
            INDICATOR: self.indicator,
            r"\langle": self.angle_brackets,
            r"\|": self.norm,
        }
        if text in readers:
            return readers[text](token)
        if text in FUNCTIONS:
            return self.function(FUNCTIONS[text], token)
        if text == r"\sigma" and (scale := self.scale(start)):
            return scale
        if text in LETTERS:
            return self.function(LETTERS[text], token, bare=False)
        if text == r"\delta":
            return self.delta(token)
        if text in _GREEK:
            band = self.band_index() if _GREEK[text] in BAND_SHAPES else ()
            indices = (*band, *self.indices(arity(_GREEK[text])))
            name = Name(_GREEK[text], indices, position=start)
            return self.softmax(name) if text == r"\pi" and name.indices else name
        raise self.refused(token, repr(text), "LaTeX of the conventions", _remedy(text))


def _remedy(command: str) -> str:
    """The spelling that works, for what is met in manuscripts and not read."""
    known = {
        r"\prod": "write the factors one by one",
        r"\int": r"write \mathbb{E}_l[...] for an integral against the data",
        r"\pm": "write the two formulas one by one",
        r"\mp": "write the two formulas one by one",
        r"\dots": "write the sum with \\sum",
        r"\ldots": "write the sum with \\sum",
        r"\cdots": "write the sum with \\sum",
        r"\phi": r"say in a comment what it is: % names: \phi = g",
        r"\varphi": r"say in a comment what it is: % names: \varphi = g",
        r"\nabla": r"write \partial_{u_a} or g_a",
        r"\max": r"write (x)_+ or \operatorname{relu}(x) for \max(0, x)",
    }
    if command in GREEK_INDICES or "{" in command:
        return f"say in a comment what it is: % names: {command} = ..."
    close = difflib.get_close_matches(command, _GREEK, n=1, cutoff=0.7)
    meant = f"did you mean {close[0]}? Otherwise " if close else ""
    unknown = f"{meant}define it by \\newcommand{{{command}}}{{...}}, or see docs/derivations.md"
    return known.get(command, unknown)


__all__ = ["FormulaError", "LatexFormula", "looks_like_latex", "parse_latex"]
