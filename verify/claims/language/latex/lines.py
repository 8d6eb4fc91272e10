r"""The lines of a display of LaTeX: which of them go on, and where an equation begins and ends.

A line that begins with = or with an operator goes on with the formula before it, as does one
inside of brackets that are still open; one with a left side of its own begins anew.  In ``a = b =
c`` every equality is one of a chain.  What the page shows in two ways is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from verify.claims.language.text import Token
from verify.claims.language.tree import FormulaError

from .tokens import closing

EQUAL = ("=", ":=", "=:", r"\equiv")
_UNJUDGED = frozenset(
    "\\" + name
    for name in ("approx", "simeq", "sim", "propto", "le", "ge", "ll", "gg", "to", "lesssim")
) | {"<", ">", r"\rightarrow", r"\cong", r"\asymp", r"\gtrsim", r"\mapsto", r"\doteq"}
_SIGNS = ("+", "-")
_PRODUCTS = (r"\cdot", "/")
_OPEN = ("(", "[", "{", r"\{", r"\langle")
_CLOSE = (")", "]", "}", r"\}", r"\rangle", r"\right.")
_INNER = ("aligned", "alignedat", "split", "gathered", "multlined", "array")
CONTINUED = ("multline", "multlined", "equation", "displaymath", "[", "$$", "dmath", "split")
_GATHERED = ("gather", "gathered")


@dataclass(frozen=True)
class Chain:
    """Expressions with = between them; one expression where there is no =."""

    parts: tuple[tuple[Token, ...], ...]
    error: FormulaError | None = None

    @property
    def first(self) -> Token:
        return next(t for part in self.parts for t in part)

    @property
    def last(self) -> Token:
        return next(t for part in reversed(self.parts) for t in reversed(part))


def chains(text: str, tokens: list[Token], environment: str) -> list[Chain]:
    """The equations of a display, in order; what cannot be told apart ends the list."""
    try:
        tokens, environment = _unwrapped(text, _without_labels(text, tokens), environment)
        found, error = _Lines(text, environment.rstrip("*")).of(tokens)
    except FormulaError as failure:
        return [Chain((tuple(tokens) or (Token("end", "", failure.position),),), failure)]
    made = [chain for statement in found for chain in _split(text, statement)]
    if error is not None:
        made.append(Chain(((Token("end", "", error.position),),), error))
    return made


def _depth(token: Token) -> int:
    opens = token.text in _OPEN or token.text.startswith(r"\begin")
    closes = token.text in _CLOSE or token.text.startswith(r"\end")
    return opens - closes


def _without_breaks_of_brackets(tokens: list[Token]) -> list[Token]:
    r"""\left( a \right. \\ \left. + b \right) is one pair of brackets over two lines."""
    dropped: set[int] = set()
    open_end = None
    for i, token in enumerate(tokens):
        if token.text == r"\right.":
            open_end = i
        elif token.text == r"\left." and open_end is not None:
            dropped |= {open_end, i}
            open_end = None
    return [token for i, token in enumerate(tokens) if i not in dropped]


def _without_labels(text: str, tokens: list[Token]) -> list[Token]:
    r"""\stackrel{(a)}{=} is =, and what stands under a brace is no part of the formula."""
    tokens = _without_breaks_of_brackets(tokens)
    made: list[Token] = []
    at = 0
    while at < len(tokens):
        token = tokens[at]
        if token.text in (r"\stackrel", r"\overset", r"\underset") and at + 1 < len(tokens):
            end = closing(text, tokens, at + 1) if tokens[at + 1].text == "{" else at + 1
            at = end + 1
            braced = at < len(tokens) and tokens[at].text == "{"
            inside = tokens[at + 1 : closing(text, tokens, at)] if braced else tokens[at : at + 1]
            if len(inside) != 1 or inside[0].text not in EQUAL:
                got, remedy = f"something set on {token.text}", "write it without the label"
                raise FormulaError(text, token.position, got, "a label over =", remedy)
            made += inside
            at += len(inside) + 2 * braced
        elif token.text in (r"\underbrace", r"\overbrace"):
            end = closing(text, tokens, at + 1)
            made += tokens[at + 1 : end + 1]
            at = end + 1
            if at + 1 < len(tokens) and tokens[at].text in ("_", "^"):
                grouped = tokens[at + 1].text == "{"
                at = closing(text, tokens, at + 1) + 1 if grouped else at + 2
        else:
            made.append(token)
            at += 1
    return made


def _unwrapped(text: str, tokens: list[Token], environment: str) -> tuple[list[Token], str]:
    """An aligned or split block that is the display, or its right side, put in its place."""
    for at, token in enumerate(tokens):
        name = token.text[7:-1] if token.text.startswith(r"\begin{") else ""
        if name not in _INNER:
            continue
        before = tokens[:at]
        system = [t.text for t in before] == [r"\{"]
        if before and not system and before[-1].text not in EQUAL:
            continue
        depth, end = 0, at
        for end in range(at, len(tokens)):
            depth += tokens[end].text.startswith(r"\begin") - tokens[end].text.startswith(r"\end")
            if not depth:
                break
        behind = [t for t in tokens[end + 1 :] if t.text not in (".", ",", ";", r"\right.")]
        if behind or (name == "array" and not (system and _aligns(tokens[at:end]))):
            continue
        start = at + 1
        if name in ("alignedat", "array"):
            start = closing(text, tokens, start) + 1
        elif [t.text for t in tokens[start : start + 1]] == ["["]:
            start += 3
        kind = environment if before and not system else name
        return [*([] if system else before), *tokens[start:end]], kind
    return tokens, environment


def _aligns(tokens: list[Token]) -> bool:
    """An array whose cells begin with =, one equation a line; others are cases."""
    return any(one.text == "&" and two.text in EQUAL for one, two in pairwise(tokens))


class _Lines:
    """Puts lines together to statements."""

    def __init__(self, text: str, environment: str) -> None:
        self.text, self.environment = text, environment
        self.statements: list[list[Token]] = []
        self.depth = 0

    def of(self, tokens: list[Token]) -> tuple[list[list[Token]], FormulaError | None]:
        """The statements, and why the rest of the display is none."""
        try:
            for row in self.rows(tokens):
                self.read(row)
        except FormulaError as error:
            return self.statements, error
        return self.statements, None

    def rows(self, tokens: list[Token]) -> list[list[list[Token]]]:
        """Cells of lines; breaks inside of environments and brackets of TeX are no lines."""
        rows: list[list[list[Token]]] = [[[]]]
        depth = 0
        for token in tokens:
            depth += (token.text == "{" or token.text.startswith(r"\begin")) - (
                token.text == "}" or token.text.startswith(r"\end")
            )
            if token.text == "\\\\" and not depth:
                rows.append([[]])
            elif token.text == "&" and not depth:
                rows[-1].append([])
            else:
                rows[-1][-1].append(token)
        return [row for row in rows if any(row)]

    def read(self, row: list[list[Token]]) -> None:
        first = row[:2]
        if self.environment == "eqnarray":
            first, row = row[:3], [[], *row[2:]]
        self.piece([t for cell in first for t in cell], not first[0] and len(first) > 1)
        for at, cell in enumerate(row[2:], 2):
            if not cell:
                continue
            begins = at % 2 == 0 and at + 1 < len(row) and self.depth == 0
            relation = at + 1 < len(row) and row[at + 1] and row[at + 1][0].text in EQUAL
            if begins and relation:
                self.statements.append([*cell])
            else:
                self.piece(cell, True)

    def piece(self, tokens: list[Token], indented: bool) -> None:
        """A line or a column: of the statement before it, or the start of a new one."""
        if not tokens:
            return
        if not self.statements or (self.depth == 0 and self.starts_anew(tokens, indented)):
            self.statements.append([])
        self.statements[-1] += tokens
        self.depth = max(0, sum(map(_depth, self.statements[-1])))

    def starts_anew(self, tokens: list[Token], indented: bool) -> bool:
        last, first = self.statements[-1][-1], tokens[0]
        relation = _relation(tokens)
        if first.text in EQUAL:
            return False
        if last.text in (".", ";", ","):
            return True
        if last.text in (*_SIGNS, *_PRODUCTS):
            if first.text in (*_SIGNS, *_PRODUCTS):
                got = "an operator at the end of one line and at the start of the next"
                raise self.two(first, got, "it once, at the start of the line", "brackets")
            return False
        if last.text in EQUAL:
            return False
        if first.text in _SIGNS:
            if relation is None or indented or self.environment in CONTINUED:
                return False
            if self.environment in _GATHERED or first.text == "+":
                got = "a line that begins with a sign and has an = of its own"
                raise self.two(first, got, "one formula on one line", "brackets around it")
            return True
        if first.text in _PRODUCTS:
            return False
        if relation is not None and self.environment not in CONTINUED:
            return True
        before = _relation(self.statements[-1])
        if self.environment in _GATHERED and relation is None and before is None:
            return True
        got = "a line that begins with a factor"
        raise self.two(first, got, "\\cdot or + at its start", "a left side and =")

    def two(self, token: Token, got: str, one: str, other: str) -> FormulaError:
        expected, remedy = "one reading", f"write {one}, or {other}"
        return FormulaError(self.text, token.position, got, expected, remedy)


def _relation(tokens: list[Token]) -> Token | None:
    """The first = outside of brackets, or relation that is refused later."""
    depth = 0
    for token in tokens:
        depth += _depth(token)
        if depth <= 0 and (token.text in EQUAL or token.text in _UNJUDGED):
            return token
    return None


def _split(text: str, statement: list[Token]) -> list[Chain]:
    """A statement at its commas, each part at its =."""
    parts: list[list[Token]] = [[]]
    depth = 0
    for i, token in enumerate(statement):
        depth += _depth(token)
        if depth == 0 and (token.text in (",", ";") or (token.kind, token.text) == ("word", "and")):
            around = [t.kind for t in statement[i - 1 : i + 2 : 2]]
            if i + 1 < len(statement) and statement[i + 1].text in EQUAL:
                continue  # punctuation at the end of a line of a chain
            close = i + 1 < len(statement) and statement[i + 1].position == token.position + 1
            if around == ["number", "number"] and close:
                got, remedy = "a comma between digits", "write 0.5, or a space behind the comma"
                error = FormulaError(text, token.position, got, "one reading", remedy)
                return [Chain((tuple(statement),), error)]
            parts.append([])
        else:
            parts[-1].append(token)
    parts = [part for part in parts if part and part[0].text != "."]
    return [_chain(text, part, len(parts)) for part in parts]


def _chain(text: str, tokens: list[Token], several: int) -> Chain:
    pieces: list[list[Token]] = [[]]
    depth, foreign = 0, None
    for token in tokens:
        depth += _depth(token)
        if depth == 0 and token.text in EQUAL:
            pieces.append([])
        else:
            if depth == 0 and (token.text in _UNJUDGED or token.text == r"\ne"):
                foreign = foreign or token
            pieces[-1].append(token)
    if not all(pieces[1:]):
        error = FormulaError(text, tokens[-1].position, "nothing behind =", "a formula", "write it")
        return Chain((tuple(tokens),), error)
    if foreign is not None:
        got, expected = f"the relation {foreign.text}", "="
        remedy = (
            "write = with + O(\\lambda^{-2}), or say % order: 1; conditions on indices as cases"
        )
        return Chain(_frozen(pieces), FormulaError(text, foreign.position, got, expected, remedy))
    if several > 1 and len(pieces) == 1:
        got, expected = "a remark or condition behind a comma", "an equation"
        remedy = r"write it in words, or a condition on indices with \delta_{ab} or cases"
        return Chain(_frozen(pieces), FormulaError(text, tokens[0].position, got, expected, remedy))
    return Chain(_frozen(pieces))


def _frozen(pieces: list[list[Token]]) -> tuple[tuple[Token, ...], ...]:
    return tuple(tuple(piece) for piece in pieces)
