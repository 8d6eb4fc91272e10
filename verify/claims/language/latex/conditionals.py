r"""What TeX skips: ``\iffalse ... \else ... \fi`` and ``\iftrue ... \else ... \fi``."""

from __future__ import annotations

import re

# the conditionals of TeX, which are counted where text is skipped; others are macros
_PLAIN = ("if", "ifcat", "ifnum", "ifdim", "ifodd", "ifx", "ifcase", "iftrue", "iffalse", "ifeof")
_STATES = ("ifvmode", "ifhmode", "ifmmode", "ifinner", "ifvoid", "ifhbox", "ifvbox")
_PRIMITIVE = frozenset((*_PLAIN, *_STATES, "ifdefined", "ifcsname", "iffontchar"))
_WORD = re.compile(r"\\newif\s*\\(?P<new>if[A-Za-z@]+)|\\(?P<word>(?:if|else|fi)[A-Za-z@]*)")


def without_dead_branches(text: str) -> str:
    r"""The text with blanks for what an \iffalse or \iftrue leaves out, positions kept.

    Of conditionals whose outcome is not in the text both branches stay.

    Examples
    --------
    >>> without_dead_branches(r"a \iffalse b \ifx c \fi d \else e \fi f").split()
    ['a', 'e', 'f']
    >>> without_dead_branches(r"a \iftrue b \else c \fi d").split()
    ['a', 'b', 'd']
    """
    quiet = re.sub(r"(?<!\\)%[^\n]*", lambda m: " " * len(m.group()), text)
    kinds = set(_PRIMITIVE)
    opened: list[str] = []
    dead: list[tuple[int, int]] = []
    since: int | None = None  # where the part that is left out begins
    depth = 0  # how many conditionals were open there
    for match in _WORD.finditer(quiet):
        if match["new"]:
            kinds.add(match["new"])
            continue
        word = match["word"]
        if word in kinds:
            opened.append(word)
            if since is None and word == "iffalse":
                since, depth = match.start(), len(opened)
            elif since is None and word == "iftrue":
                dead.append(match.span())
        elif word == "else" and opened and opened[-1] in ("iffalse", "iftrue"):
            if since is None and opened[-1] == "iftrue":
                since, depth = match.start(), len(opened)
            elif since is not None and len(opened) == depth and opened[-1] == "iffalse":
                dead.append((since, match.end()))
                since = None
        elif word == "fi" and opened:
            kind = opened.pop()
            if since is not None and len(opened) < depth:
                dead.append((since, match.end()))
                since = None
            elif since is None and kind in ("iffalse", "iftrue"):
                dead.append(match.span())
    if since is not None:
        dead.append((since, len(text)))
    for start, stop in dead:
        text = text[:start] + re.sub(r"[^\n]", " ", text[start:stop]) + text[stop:]
    return text
