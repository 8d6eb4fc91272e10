r"""Displays of a LaTeX text and the statements in them, with what comments say about each.

Text between displays is not read, except for macros, tables of names and comments of the form ``%
key: value``.  Comments hold for the claim that follows; inside a display, for the line after it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise

from verify.claims.language.index_letters import conventional
from verify.claims.language.text import Token, bounded, nested
from verify.claims.language.tree import FormulaError, Node

from .author_names import read_names
from .conditionals import without_dead_branches
from .formula import LatexFormula
from .lines import Chain, chains
from .macros import Macros, expanded, read_macros
from .remainders import Remainder
from .tokens import latex_tokens, without_fonts
from .vectors import Named

LONGEST_FILE = 2_000_000
NAMES = "names"
_ENVIRONMENTS = (
    "equation",
    "align",
    "alignat",
    "flalign",
    "gather",
    "multline",
    "eqnarray",
    "displaymath",
    "dmath",
)
_ENDS = {"\\[": "\\]", "$$": "$$"}
_COMMENT = r"^[ \t]*%+[ \t]*(?P<key>[A-Za-z][A-Za-z_-]*)[ \t]*{}[ \t]*(?P<value>.*?)[ \t]*$"
_KEY, _OLD_KEY = (re.compile(_COMMENT.format(sign), re.M) for sign in ":=")
_HIDDEN = re.compile(
    r"\\begin\{(?P<env>verbatim|comment|lstlisting|filecontents)\*?\}.*?\\end\{(?P=env)\*?\}"
    r"|\\verb(?P<mark>[^A-Za-z*\s]).*?(?P=mark)",
    re.S,
)


@dataclass(frozen=True)
class Comment:
    """``% key: value`` and where it stands."""

    key: str
    value: str
    position: int
    start: int
    stop: int


@dataclass(frozen=True)
class Statement:
    """One equality of a display: two expressions as tokens, or one where there is no =.

    Attributes
    ----------
    display, line : int
        Which display, and which equality of it, from 1.
    start, stop : int
        Where it stands in the text.
    left, right : tuple of Token
        ``left`` is empty where there is none.
    follows : bool
        It goes on with a chain: its left side is the right side before it.
    names : mapping
        The letters of the author.
    error : FormulaError, optional
        Why it cannot be told apart from its surroundings.
    """

    display: int
    line: int
    start: int
    stop: int
    left: tuple[Token, ...]
    right: tuple[Token, ...]
    follows: bool = False
    names: Mapping[str, Named] = field(default_factory=dict)
    error: FormulaError | None = None


@dataclass(frozen=True)
class Document:
    """A text in its normal form, its comments, and its statements by display."""

    text: str
    comments: tuple[Comment, ...]
    displays: tuple[tuple[int, int, tuple[Statement, ...]], ...]


def read_document(text: str) -> Document:
    """Find displays and statements; nothing of a formula is read yet.

    Raises
    ------
    FormulaError
        A text that is too long; macros or a table of names that cannot be read.
    """
    if len(text) > LONGEST_FILE:
        expected = f"at most {LONGEST_FILE} characters"
        raise FormulaError("", 0, f"a file of {len(text)} characters", expected, "split it")
    text = "".join(map(_normal, text.replace("\r\n", "\n").replace("\r", "\n")))
    hidden = without_dead_branches(_HIDDEN.sub(lambda m: re.sub(r"[^\n]", " ", m.group()), text))
    macros = read_macros(hidden)
    comments = tuple(_comments(hidden))
    plain = _blank_definitions(hidden, macros)
    tables = _tables(hidden, comments, macros)
    displays = []
    for number, (start, stop, begin, environment) in enumerate(_displays(plain, macros), 1):
        names: Mapping[str, Named] = {}
        for position, table in tables:
            names = table if position < stop else names
        found = tuple(_statements(plain, (start, stop), environment, number, macros, names))
        displays.append((begin, stop, found))
    return Document(plain, comments, tuple(displays))


def _normal(character: str) -> str:
    """NFKC of a character, except where that changes what is written: ² is not 2."""
    if character.isascii():
        return character
    kind = unicodedata.decomposition(character).partition(" ")[0]
    if kind in ("<super>", "<sub>", "<fraction>"):
        return character
    return unicodedata.normalize("NFKC", character)


def _comments(text: str) -> Iterator[Comment]:
    found = [*_KEY.finditer(text), *_OLD_KEY.finditer(text)]
    for match in sorted(found, key=lambda m: m.start()):
        start, stop = match.start("value"), match.end("value")
        key = match["key"].replace("-", "_")  # as the options of commands are written
        yield Comment(key, match["value"], match.start(), start, stop)


def _blank_definitions(text: str, macros: Macros) -> str:
    for start, stop in macros.spans:
        blank = re.sub(r"[^\n]", " ", text[start:stop])
        text = text[:start] + blank + text[stop:]
    return text


def _tables(
    text: str, comments: tuple[Comment, ...], macros: Macros
) -> list[tuple[int, dict[str, Named]]]:
    tables: list[tuple[int, dict[str, Named]]] = []
    for comment in comments:
        if comment.key == NAMES:
            known = tables[-1][1] if tables else {}
            here = macros.before(comment.position)
            names = read_names(text, comment.start, comment.stop, here, known)
            tables.append((comment.position, names))
    return tables


def _displays(text: str, macros: Macros) -> Iterator[tuple[int, int, int, str]]:
    """Body and beginning of every display, and its environment, in order."""
    quiet = re.sub(r"(?<!\\)%[^\n]*", lambda m: " " * len(m.group()), text)
    short: dict[str, str] = {}
    for _, name, macro in macros.found:
        short[name] = re.sub(r"\s", "", macro.body)
    begins = {n: b[7:-1] for n, b in short.items() if re.fullmatch(r"\\begin\{\w+\*?\}", b)}
    ends = {b[5:-1]: n for n, b in short.items() if re.fullmatch(r"\\end\{\w+\*?\}", b)}
    words = "|".join(re.escape(name) + r"(?![A-Za-z])" for name in begins) or r"(?!)"
    names = "|".join(_ENVIRONMENTS)
    start = re.compile(
        rf"(?<!\\)(?P<open>\\\[|\$\$)|\\begin\s*\{{(?P<env>(?:{names})\*?)\}}|(?P<word>{words})"
        r"|(?P<stop>\\end\s*\{document\})"
    )
    position = 0
    while match := start.search(quiet, position):
        if match["stop"]:
            return
        position = match.end()
        environment = match["open"] or match["env"] or begins[match["word"]]
        if match["word"] and environment.rstrip("*") not in _ENVIRONMENTS:
            continue
        if match["open"]:
            end = re.compile(r"(?<!\\)" + re.escape(_ENDS[environment]))
        else:
            own = re.escape(ends.get(environment, "")) + r"(?![A-Za-z])"
            closing = rf"\\end\s*\{{{re.escape(environment)}\}}"
            end = re.compile(closing + (rf"|{own}" if environment in ends else ""))
        found = end.search(quiet, position)
        stop = found.start() if found else len(quiet)
        body = position
        if environment.startswith("alignat") and (
            count := re.compile(r"\s*\{\d\}").match(quiet, position)
        ):
            body = count.end()
        yield body, stop, match.start(), environment.strip("\\")
        position = found.end() if found else len(quiet)


def _statements(
    text: str,
    span: tuple[int, int],
    environment: str,
    display: int,
    macros: Macros,
    names: Mapping[str, Named],
) -> Iterator[Statement]:
    start, stop = span
    try:
        raw = latex_tokens(text, start, stop)
        tokens = without_fonts(text, expanded(text, raw, macros.before(stop)))[:-1]
        found = chains(text, tokens, environment) if tokens else []
    except FormulaError as error:
        yield Statement(display, 1, start, stop, (), (), names=names, error=error)
        return
    line = 0
    for chain in found:
        for left, right, follows in _pairs(chain):
            line += 1
            first = (left or right or (chain.first,))[0].position
            last = (right or (chain.last,))[-1]
            end = min(last.position + len(last.text), stop)
            yield Statement(display, line, first, end, left, right, follows, names, chain.error)


def _pairs(chain: Chain) -> Iterator[tuple[tuple[Token, ...], tuple[Token, ...], bool]]:
    """The equalities of a chain; one where it cannot be read."""
    parts = chain.parts
    if chain.error is not None or len(parts) == 1:
        yield (), parts[-1], False
        return
    for i, (left, right) in enumerate(pairwise(parts)):
        yield left, right, i > 0


@dataclass(frozen=True)
class Equality:
    """A statement that has been read: trees, and what an O(...) in it tells."""

    left: Node | None
    right: Node
    left_away: Remainder | None = None


def read_statement(
    text: str,
    statement: Statement,
    fixed: frozenset[str] = frozenset(),
    beside: tuple[Statement, ...] = (),
    *,
    named: bool = False,
) -> Equality:
    """Read both sides.

    Parameters
    ----------
    text : str
        Of the document.
    statement : Statement
    fixed : frozenset of str
        Index letters of a quantity that is given elsewhere.
    beside : tuple of Statement
        Others of the same chain, in which a letter counts the same.
    named : bool
        The quantity is named elsewhere: a left side that is no formula of the language is a name
        that its author has for it.

    Raises
    ------
    FormulaError
    """
    if statement.error is not None:
        raise statement.error
    right, told = _side(text, statement, statement.right)
    trees, remainders = [right], [told]
    if statement.left:
        try:
            left, before = _side(text, statement, statement.left)
            trees, remainders = [left, right], [before, told]
        except FormulaError:
            if not named:
                raise
    others = [tree for other in beside for tree in _readable(text, other)]
    trees = conventional(text, [*trees, *others], fixed)[: len(trees)]
    known = [each for each in remainders if each is not None]
    left_side = trees[0] if len(trees) == 2 else None
    return Equality(left_side, trees[-1], min(known) if known else None)


def _side(
    text: str, statement: Statement, tokens: tuple[Token, ...]
) -> tuple[Node, Remainder | None]:
    last = tokens[-1]
    end = Token("end", "", min(last.position + len(last.text), statement.stop))
    reader = LatexFormula(text, [*tokens, end], statement.names)
    tree = bounded(text, nested(text[statement.start : statement.stop], reader.whole))
    return tree, reader.left_away


def _readable(text: str, statement: Statement) -> list[Node]:
    found = []
    for tokens in (statement.left, statement.right):
        with suppress(FormulaError):
            found += [_side(text, statement, tokens)[0]] if tokens else []
    return found
