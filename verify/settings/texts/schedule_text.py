"""Schedules written as text: an expression in the time t, read by the grammar of claims."""

from __future__ import annotations

from collections.abc import Sequence

import sympy as sp

from theory.errors import InputError
from verify.claims.language import tree
from verify.settings.values import shown

from .reading import Reading, Vocabulary

TIME = sp.Symbol("t", nonnegative=True)
# bounds of a text: characters, parts of its tree, arguments of Min and Max, powers by numbers, and
# bits of the numbers that arithmetic makes
MAX_LENGTH, MAX_PARTS, MAX_ARGUMENTS, MAX_EXPONENT, MAX_BITS = 400, 120, 6, 64, 1200
_FUNCTIONS = {name: (getattr(sp, name), 1, 1) for name in ("exp", "log", "sqrt", "sin", "cos")}
_FUNCTIONS |= {name: (getattr(sp, name), 1, MAX_ARGUMENTS) for name in ("Min", "Max")}
_VOCABULARY = Vocabulary(
    f"an expression in t, of numbers, pi, + - * / ** and {', '.join(_FUNCTIONS)}",
    _FUNCTIONS,
    MAX_PARTS,
    MAX_EXPONENT,
    MAX_BITS,
)


def parse_schedule(parameter: str, text: str, letters: Sequence[str] = ()) -> sp.Expr:
    """Read an expression in t, such as ``1/(1 + t)``; nothing but numbers, t, pi, elementary
    functions, and the letters that are named.

    Raises
    ------
    theory.InputError
    """
    if len(text) > MAX_LENGTH:
        expected = f"an expression of at most {MAX_LENGTH} characters"
        raise InputError(parameter, shown(text), expected, "write it shorter")

    def named(_: Reading, name: tree.Name) -> sp.Expr | None:
        if name.indices:
            return None
        if name.base == "t":
            return TIME
        return sp.Symbol(name.base, real=True) if name.base in letters else None

    return Reading(_VOCABULARY, parameter, text, named).expression()
