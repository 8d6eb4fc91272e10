r"""The letters of an author: ``W_i = x^i, \sigma = 1/\sqrt\lambda, \phi = g`` as a table."""

from __future__ import annotations

from collections.abc import Mapping

from verify.claims.language.text import Token
from verify.claims.language.tree import FormulaError

from .formula import LatexFormula
from .functions import FUNCTIONS
from .macros import Macro, expanded
from .tokens import latex_tokens, without_fonts
from .vectors import Named

_REMEDY = r"write W_i = x^i, or \sigma = 1/\sqrt\lambda"
# what has a meaning of its own, which a table may change for formulas and not for itself
_OF_THE_HOUSE = frozenset((r"\lambda", r"\beta", r"\pi", r"\Gamma", *"mRQPSpuwYyvgHGfkKnrqxe"))
_OPEN, _CLOSE = ("(", "[", "{", r"\{"), (")", "]", "}", r"\}")


def read_names(
    text: str, start: int, stop: int, macros: Mapping[str, Macro], known: Mapping[str, Named]
) -> dict[str, Named]:
    """The names that a part of a text defines, ``known`` ones included.

    Raises
    ------
    FormulaError
        An entry that is no equation of a letter, or whose right side is none of formula, vector
        and function.
    """
    tokens = without_fonts(text, expanded(text, latex_tokens(text, start, stop), macros))
    end = tokens.pop()
    names = dict(known)
    for entry in _entries(tokens):
        if entry:
            names |= _entry(text, entry, end, names)
    return names


def _entries(tokens: list[Token]) -> list[list[Token]]:
    """The parts between commas that stand outside of brackets."""
    found: list[list[Token]] = [[]]
    depth = 0
    for token in tokens:
        depth += (token.text in _OPEN) - (token.text in _CLOSE)
        if token.text in (",", ";") and not depth:
            found.append([])
        else:
            found[-1].append(token)
    return found


def _entry(
    text: str, entry: list[Token], end: Token, names: Mapping[str, Named]
) -> dict[str, Named]:
    at = next((i for i, t in enumerate(entry) if t.text in ("=", ":=")), 0)
    right = entry[at + 1 :]
    if not at or not right:
        got, expected = "an entry without '='", "a letter = what it stands for"
        raise FormulaError(text, entry[0].position, got, expected, _REMEDY)
    reader = LatexFormula(text, [*entry[:at], entry[at]], names)
    base = reader.take()
    if base.kind not in ("letter", "command", "word"):
        raise FormulaError(text, base.position, repr(base.text), "a letter", _REMEDY)
    scripts: dict[str, tuple[str, ...]] = {"_": (), "^": ()}
    while reader.next.text in scripts:
        sign = reader.take().text
        scripts[sign] = tuple(str(i) for i in reader.index_list())
    if reader.next.text == "(":  # \phi(z) = g(z)
        raise FormulaError(
            text, reader.next.position, "a name with arguments", "a letter", r"write \phi = g"
        )
    if reader.next.text not in ("=", ":="):
        raise reader.error("'='", _REMEDY)
    if taken := next((t for t in right if t.text in names and t.text in _OF_THE_HOUSE), None):
        got = f"{taken.text}, to which the table gives another meaning"
        expected, remedy = "letters of the conventions", "write what it stands for"
        raise FormulaError(text, taken.position, got, expected, remedy)
    stop = Token("end", "", right[-1].position + len(right[-1].text))
    if len(right) == 1 and (right[0].text in FUNCTIONS or right[0].text in ("g", "relu", "ReLU")):
        function = FUNCTIONS.get(right[0].text, right[0].text.lower())
        return {base.text: Named(function, scripts["_"], scripts["^"])}
    formula = LatexFormula(text, [*right, stop], names)
    if formula.vector_starts():
        vector, _ = formula.vector()
        if formula.next.kind == "end":
            return {base.text: Named(vector, scripts["_"], scripts["^"])}
        formula = LatexFormula(text, [*right, stop], names)
    return {base.text: Named(formula.whole(), scripts["_"], scripts["^"])}
