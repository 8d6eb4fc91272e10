"""Directions whose pre-activations a loss holds: the teachers that labels are made by."""

from __future__ import annotations

import re

import sympy as sp

from theory import symbols
from theory.errors import InputError

from .mixture import Mixture

_TEACHER = re.compile("t_([1-9][0-9]*)")


def teachers_in(expression: sp.Expr) -> tuple[int, ...]:
    """0-based directions s whose symbol t_s an expression holds, in their order.

    Examples
    --------
    >>> t = symbols.vector("t", 3)
    >>> teachers_in(t[2] * sp.tanh(t[0]))
    (0, 2)
    """
    found = ((_TEACHER.fullmatch(str(s)), s) for s in expression.free_symbols)
    numbers = ((int(match[1]) - 1, s) for match, s in found if match)
    return tuple(sorted(n for n, s in numbers if s == symbols.indexed("t", n)))


def check_teachers(teachers: tuple[int, ...], mixture: Mixture) -> None:
    """Refuse teachers that are no directions of the mixture."""
    for s in teachers:
        if s >= mixture.directions:
            raise InputError(
                "loss",
                f"the teacher t_{s + 1}",
                f"t_s of a direction s in 1..{mixture.directions} of the mixture",
                "a teacher is a direction: give the mixture a column of coordinates, 0 where no "
                "mean lies along it, and a row of directions_gram for each",
            )
