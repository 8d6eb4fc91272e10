r"""Tokens of LaTeX: comments and spacing belong to nothing, letters are taken out of their fonts.

An accent, or a letter in a script font, is a letter of its own (``\bar m``, ``\mathcal{L}``): it is
kept as one token, which only a table of names can explain.
"""

from __future__ import annotations

import re

from verify.claims.language.text import Token, check_number
from verify.claims.language.tree import FormulaError, place_of

# commands for space and size, with what they take; and comments
_NOTHING = (
    r"\s|(?<!\\)%[^\n]*|\\[,;:!> ]|\\q?quad(?![A-Za-z])|~"
    r"|\\(?:[bB]igg?[lrm]?|middle|(?:display|text|script)style|(?:no)?limits|nonumber|notag"
    r"|mathstrut|strut|relax|allowbreak|nobreak|centering|noindent|qedhere|par|null"
    r"|(?:small|med|big)skip|tiny|small|normalsize)(?![A-Za-z])"
    r"|\\(?:label|tag\*?|hspace\*?|vspace\*?|[hv]?phantom|intertext|shortintertext|eqref|ref|cite)"
    r"\s*\{(?:[^{}]|\{[^{}]*\})*\}"
    r"|\\(?:left|right)(?![A-Za-z])(?!\s*\.)"
)
_TOKEN = re.compile(
    rf"(?:{_NOTHING})*"
    r"(?:(?P<null>\\(?:left|right)\s*\.)|(?P<number>\d+\.\d+|\d+)"
    r"|(?P<break>\\\\\*?(?:\s*\[[^\]]*\])?|\\cr(?![A-Za-z])|\\newline(?![A-Za-z]))"
    r"|(?P<environment>\\(?:begin|end)\s*\{[A-Za-z]+\*?\})"
    r"|(?P<command>\\[A-Za-z]+|\\[{}|\d])|(?P<letter>[A-Za-z])"
    r"|(?P<sign>:=|=:|[-+*/^_(){}\[\],=.'<>&|:;!]))"
)
_SPACE = re.compile(rf"(?:{_NOTHING})*$")

_FONT_NAMES = (
    "mathbf mathrm mathit mathsf mathnormal bm boldsymbol pmb symbf symup symit text textbf"
    " textrm textit operatorname mathop"
)
_FONTS = frozenset("\\" + name for name in _FONT_NAMES.split())
_SCRIPT_NAMES = "mathcal mathscr mathfrak mathbb mathds mathbbm"
_ACCENT_NAMES = "bar hat tilde check widehat widetilde vec"
_SCRIPTS = frozenset("\\" + name for name in _SCRIPT_NAMES.split())
_ACCENTS = frozenset("\\" + name for name in _ACCENT_NAMES.split())
_WORDS = frozenset((r"\mathrm", r"\text", r"\operatorname", r"\mathop", r"\textrm", r"\mathsf"))
INDICATOR = r"\mathbf{1}"
_SYNONYMS = {
    r"\lbrace": r"\{",
    r"\rbrace": r"\}",
    r"\lbrack": "[",
    r"\rbrack": "]",
    r"\lparen": "(",
    r"\rparen": ")",
    r"\lVert": r"\|",
    r"\rVert": r"\|",
    r"\Vert": r"\|",
    r"\lvert": "|",
    r"\rvert": "|",
    r"\vert": "|",
    r"\coloneqq": ":=",
    r"\colon": ":",
    r"\mid": ":",
    r"\neq": r"\ne",
    r"\leq": r"\le",
    r"\geq": r"\ge",
    r"\leqslant": r"\le",
    r"\geqslant": r"\ge",
    r"\lt": "<",
    r"\gt": ">",
    r"\bot": r"\perp",
    r"\intercal": r"\top",
    r"\transpose": r"\top",
    r"\prime": "'",
    r"\dfrac": r"\frac",
    r"\tfrac": r"\frac",
    r"\cfrac": r"\frac",
    r"\bullet": r"\cdot",
    r"\times": r"\cdot",
    "*": r"\cdot",
    r"\ast": r"\cdot",
    r"\mu ": r"\mu",
    r"\boxed": "{}",
    r"\ensuremath": "{}",
    r"\mathord": "{}",
    r"\mathrel": "{}",
    r"\mathbin": "{}",
}


def latex_tokens(text: str, start: int = 0, stop: int | None = None) -> list[Token]:
    """Split LaTeX into tokens, with an end mark; ``position`` counts in the whole text."""
    stop = len(text) if stop is None else stop
    found, position = [], start
    while not _SPACE.match(text, position, stop):
        match = _TOKEN.match(text, position, stop)
        if match is None:
            raise _foreign(text, position, stop)
        kind = str(match.lastgroup)
        written = _SYNONYMS.get(match.group(kind), match.group(kind))
        if written != "{}":  # such a command leaves its argument in braces
            token = Token(_KINDS.get(kind, kind), _written(kind, written), match.start(kind))
            if kind == "command" and not written.startswith("\\"):
                token = Token("sign", written, match.start(kind))
            if kind == "number":
                check_number(text, token)
            found.append(token)
        position = match.end()
    return [*found, Token("end", "", len(text[:stop].rstrip()))]


_KINDS = {"null": "sign", "break": "sign"}


def _written(kind: str, text: str) -> str:
    if kind == "null":
        return text.replace(" ", "")
    if kind == "break":
        return "\\\\"
    return re.sub(r"\s", "", text)


def _foreign(text: str, position: int, stop: int) -> FormulaError:
    skipped = re.compile(rf"(?:{_NOTHING})*").match(text, position, stop)
    start = skipped.end() if skipped else position
    expected, remedy = "LaTeX of a formula", "see docs/derivations.md for what is read"
    return FormulaError(text, start, f"the character {text[start]!r}", expected, remedy)


def without_fonts(text: str, found: list[Token]) -> list[Token]:
    r"""Letters taken out of their fonts: ``\bm{m}`` is m, ``\mathbb{E}`` is E, ``\mathbf 1`` one.

    Words set upright stay as they are; an accent and a letter of a script font become one token.
    """
    made: list[Token] = []
    at = 0
    while at < len(found):
        token = found[at]
        if token.text in ("_", "^") and [t.text for t in found[at + 1 : at + 3]] == ["{", "}"]:
            at += 3
            continue
        if _is_empty(found, at):
            at += 2
            continue
        if token.text not in _FONTS | _SCRIPTS | _ACCENTS:
            made.append(token)
            at += 1
            continue
        inside, at = _argument(text, found, at + 1)
        inside = without_fonts(text, inside)
        plain = inside[0] if len(inside) == 1 else None
        if token.text in _FONTS and plain is None:
            word = "".join(t.text for t in inside).rstrip(".,;:")
            if token.text in _WORDS and re.fullmatch(r"[A-Za-z][A-Za-z0-9]*", word):
                made.append(Token("word", word, token.position))
            else:
                opened, closed = (Token("sign", s, token.position) for s in "{}")
                made += [opened, *inside, closed]
        elif plain is None:
            expected, remedy = "a single letter in it", "write the letters one by one"
            raise FormulaError(text, token.position, repr(token.text), expected, remedy)
        elif plain.text == "1" or (plain.text == "I" and token.text in _SCRIPTS):
            made.append(Token("command", INDICATOR, token.position))
        elif token.text in _FONTS or plain.text == "E" or plain.text == "O":
            made.append(Token(plain.kind, plain.text, token.position))
        else:
            accent = {r"\widehat": r"\hat", r"\widetilde": r"\tilde"}.get(token.text, token.text)
            made.append(Token("command", f"{accent}{{{plain.text}}}", token.position))
    return made


def _is_empty(found: list[Token], at: int) -> bool:
    """{} for space, in front of an operator: no argument of anything."""
    before = found[at - 1].text if at else "&"
    empty = [t.text for t in found[at : at + 2]] == ["{", "}"]
    return empty and before in ("&", "\\\\", "=", "+", "-", ",", "(", "[", "{", "{}", r"\cdot")


def _argument(text: str, found: list[Token], at: int) -> tuple[list[Token], int]:
    """The tokens of an argument, and where the text goes on: a group, or one token of one digit."""
    if at >= len(found) or found[at].kind == "end":
        raise FormulaError(text, found[-1].position, "the end", "an argument", "write {...}")
    token = found[at]
    if token.text == "{":
        end = closing(text, found, at)
        return found[at + 1 : end], end + 1
    if token.kind == "number" and len(token.text) > 1:
        rest = Token("number", token.text[1:], token.position + 1)
        found[at : at + 1] = [Token("number", token.text[:1], token.position), rest]
    return found[at : at + 1], at + 1


def closing(text: str, found: list[Token], at: int) -> int:
    """Where the brace that is opened at a place is closed."""
    if at >= len(found) or found[at].text != "{":
        place = found[min(at, len(found) - 1)].position
        raise FormulaError(text, place, "no argument", "an argument in braces", "write {...}")
    depth = 0
    for i in range(at, len(found)):
        depth += (found[i].text == "{") - (found[i].text == "}")
        if not depth:
            return i
    remedy = f"the one at {place_of(text, found[at].position)} is not closed"
    raise FormulaError(text, found[-1].position, "the end", "'}'", remedy)
