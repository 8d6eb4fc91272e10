r"""Macros of LaTeX: ``\newcommand``, ``\renewcommand``, ``\providecommand``, ``\def``,
``\DeclareMathOperator`` and ``\let``, without recursion and with bounds.

A macro is put in place of its name as TeX does it, token by token: what stands around is not
bracketed.  As an argument without braces it is one argument, where the page shows it as one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from verify.claims.language.text import MOST_TERMS, Token
from verify.claims.language.tree import FormulaError

from .functions import FUNCTIONS, LETTERS
from .indices import GREEK_INDICES
from .tokens import closing, latex_tokens

_DEFINITION = re.compile(
    r"\\(?P<how>newcommand|renewcommand|providecommand|def|DeclareMathOperator|let)\*?"
    r"(?![A-Za-z])\s*(?:\{\s*(?P<braced>\\(?:[A-Za-z]+|\d))\s*\}|(?P<name>\\(?:[A-Za-z]+|\d)))"
    r"\s*(?:\[(?P<count>\d)\])?\s*(?:\[(?P<default>[^\]]*)\])?(?P<marks>(?:#\d)*)\s*=?\s*"
)
# how many arguments a command takes, which a macro may be one of
_ARGUMENTS = {
    "^": 1,
    "_": 1,
    r"\frac": 2,
    r"\sqrt": 1,
    **dict.fromkeys((r"\dot", r"\bar", r"\hat", r"\tilde", r"\bm", r"\mathbf", r"\mathrm"), 1),
    **dict.fromkeys((r"\mathbb", r"\mathcal", r"\boldsymbol", r"\operatorname", r"\mathsf"), 1),
}
DEEPEST = 20
# what opens and closes a group in which TeX keeps definitions
_NAMED = r"\s*\{(?!document\})[^{}]*\}"
_GROUP = re.compile(
    rf"(?<!\\)(?P<open>\\begin{_NAMED}|\\begingroup\b|\\bgroup\b|\\\[|\{{)"
    rf"|(?<!\\)(?P<close>\\end{_NAMED}|\\endgroup\b|\\egroup\b|\\\]|\}})"
)
# what \providecommand leaves as it is: LaTeX has it, and the grammar reads it
_GREEK = (r"\lambda", r"\pi", r"\Gamma", r"\zeta")
_SIGNS = (r"\sum", r"\partial", r"\langle", r"\rangle", r"\cdot", r"\perp")
_KNOWN = frozenset((*FUNCTIONS, *LETTERS, *GREEK_INDICES, *_ARGUMENTS, *_GREEK, *_SIGNS))


@dataclass(frozen=True)
class Macro:
    """The body of a macro as text, how many arguments it takes, and the default of the first.

    ``local`` tells that it was defined inside a group, after which TeX forgets it.
    """

    body: str
    count: int = 0
    default: str | None = None
    local: bool = False


@dataclass
class Macros:
    """The macros of a text and where each definition stands."""

    found: list[tuple[int, str, Macro]] = field(default_factory=list)
    spans: list[tuple[int, int]] = field(default_factory=list)

    def before(self, position: int) -> dict[str, Macro]:
        """The macros that are known at a place."""
        return {name: macro for at, name, macro in self.found if at <= position}


def read_macros(text: str) -> Macros:
    """The definitions in a text; comments are blanked first."""
    macros, position, depth = Macros(), 0, 0
    blanked = re.sub(r"(?<!\\)%[^\n]*", lambda m: " " * len(m.group()), text)
    while match := _DEFINITION.search(blanked, position):
        name = match["braced"] or match["name"]
        depth += _opened(blanked[position : match.start()])
        start, position = match.end(), match.end()
        if match["how"] == "let":
            other = re.compile(r"\\[A-Za-z]+|\S").match(blanked, start)
            body, position = (other.group(), other.end()) if other else ("", start)
        else:
            end = _end_of_group(blanked, start)
            if end is None:
                expected, remedy = "a body in braces", r"write \newcommand{\x}[1]{...}"
                raise FormulaError(text, match.start(), f"a definition of {name}", expected, remedy)
            body, position = blanked[start + 1 : end], end + 1
        if match["how"] == "DeclareMathOperator":
            body = rf"\operatorname{{{body}}}"
        count = int(match["count"] or 0) or match["marks"].count("#")
        known = name in _KNOWN or any(n == name for _, n, _ in macros.found)
        if not (match["how"] == "providecommand" and known):
            macro = Macro(body, count, match["default"], depth > 0)
            macros.found.append((match.start(), name, macro))
        # a macro that defines others does so where it is used
        for inner in _DEFINITION.finditer(body):
            made = str(inner["braced"] or inner["name"])
            macros.found.append((match.start(), made, Macro("", local=True)))
        macros.spans.append((match.start(), position))
    return macros


def _opened(text: str) -> int:
    """How many groups a part of a text opens more than it closes."""
    return sum(1 if m["open"] else -1 for m in _GROUP.finditer(text))


def _end_of_group(text: str, start: int) -> int | None:
    depth = 0
    for i in range(start, len(text)):
        if text[i] in "{}" and (not i or text[i - 1] != "\\"):
            depth += 1 if text[i] == "{" else -1
            if not depth:
                return i
        elif not depth:
            return None
    return None


def expanded(text: str, tokens: list[Token], macros: Mapping[str, Macro]) -> list[Token]:
    """Tokens with every macro in its place; they keep the position where the macro is used."""
    return _Expansion(text, macros).of(tokens, ()) if macros else tokens


class _Expansion:
    def __init__(self, text: str, macros: Mapping[str, Macro]) -> None:
        self.text, self.macros, self.count = text, macros, 0

    def of(self, tokens: list[Token], inside: tuple[str, ...]) -> list[Token]:
        made: list[Token] = []
        at, wanted = 0, 0  # arguments that the command before still wants
        scripts = False
        while at < len(tokens):
            token = tokens[at]
            if wanted and token.text == "{":
                end = closing(self.text, tokens, at)
                made += [token, *self.of(tokens[at + 1 : end], inside), tokens[end]]
                at, wanted = end + 1, wanted - 1
                continue
            if token.text in self.macros:
                body, at = self.replaced(tokens, at, inside)
                if wanted and len(body) > 1:
                    if scripts:
                        raise self.bare(token)
                    body = [Token("sign", "{", token.position), *body]
                    body.append(Token("sign", "}", token.position))
                made += body
                last = body[-1].text if body else ""
                wanted = _ARGUMENTS.get(last, max(0, wanted - 1))
                scripts = last in ("^", "_")
                continue
            made.append(token)
            at += 1
            if token.text == "[" and made[-2:-1] and made[-2].text == r"\sqrt":
                while at < len(tokens) and tokens[at].text != "]":
                    made.append(tokens[at])
                    at += 1
                at, made = at + 1, made + tokens[at : at + 1]
            elif wanted:
                wanted -= len(token.text) if token.kind == "number" else 1
                wanted = max(0, wanted)
            if token.text in _ARGUMENTS:
                wanted, scripts = _ARGUMENTS[token.text], token.text in ("^", "_")
            self.count += 1
            if self.count > MOST_TERMS:
                got, expected = "macros that make too much", f"at most {MOST_TERMS} tokens"
                raise FormulaError(self.text, token.position, got, expected, "write them out")
        return made

    def bare(self, token: Token) -> FormulaError:
        got = f"{token.text} as an exponent or index without braces"
        remedy = f"write ^{{{token.text}}} or _{{{token.text}}}"
        return FormulaError(self.text, token.position, got, "braces around it", remedy)

    def replaced(
        self, tokens: list[Token], at: int, inside: tuple[str, ...]
    ) -> tuple[list[Token], int]:
        """The body of a macro with its arguments, and where the text goes on."""
        token, macro = tokens[at], self.macros[tokens[at].text]
        if token.text in inside or len(inside) > DEEPEST:
            got, expected = f"{token.text}, which stands for itself", "a macro without recursion"
            raise FormulaError(self.text, token.position, got, expected, "write out what it means")
        if macro.local:
            got = f"{token.text}, defined inside a group, a display or a macro"
            expected = "a definition for all of it"
            remedy = f"define {token.text} before the text"
            raise FormulaError(self.text, token.position, got, expected, remedy)
        arguments, at = self.arguments(tokens, at + 1, macro, token)
        arguments = [self.of(argument, inside) for argument in arguments]
        made: list[Token] = []
        for i, piece in enumerate(re.split(r"#(\d)", macro.body)):
            if i % 2:
                if not 1 <= int(piece) <= len(arguments):
                    got, expected = f"#{piece} in {token.text}", f"{macro.count} arguments"
                    remedy = "check its definition"
                    raise FormulaError(self.text, token.position, got, expected, remedy)
                made += arguments[int(piece) - 1]
            else:
                try:
                    own = latex_tokens(piece)[:-1]
                except FormulaError as error:
                    got = f"{error.plain} in {token.text}"
                    place = token.position
                    raise FormulaError(
                        self.text, place, got, error.expected, error.remedy
                    ) from error
                made += [Token(t.kind, t.text, token.position) for t in own]
        return self.of(made, (*inside, token.text)), at

    def arguments(
        self, tokens: list[Token], at: int, macro: Macro, token: Token
    ) -> tuple[list[list[Token]], int]:
        found: list[list[Token]] = []
        if macro.default is not None:
            if tokens[at].text == "[":
                end = next((i for i in range(at, len(tokens)) if tokens[i].text == "]"), at)
                found.append(tokens[at + 1 : end])
                at = end + 1
            else:
                own = latex_tokens(macro.default)[:-1]
                found.append([Token(t.kind, t.text, token.position) for t in own])
        while len(found) < macro.count:
            if at >= len(tokens) or tokens[at].kind == "end" or tokens[at].text == "}":
                got, expected = f"{token.text} without its arguments", f"{macro.count} of them"
                remedy = "write each in braces"
                raise FormulaError(self.text, token.position, got, expected, remedy)
            if tokens[at].text == "{":
                end = closing(self.text, tokens, at)
                found.append(tokens[at + 1 : end])
                at = end + 1
            elif tokens[at].kind == "number" and len(tokens[at].text) > 1:
                digits = tokens[at]
                found.append([Token("number", digits.text[:1], digits.position)])
                rest = Token("number", digits.text[1:], digits.position + 1)
                tokens[at : at + 1] = [rest]
            else:
                found.append([tokens[at]])
                at += 1
        return found, at
