r"""How objects show themselves: a short ``repr``, and LaTeX for notebooks.

Formulas are shown as far as they can be read at a glance: the first entries of every matrix, the
first terms of every sum, and how much is left out.  ``str`` of an entry, or ``specalign derive``,
gives the whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import sympy as sp

from theory.errors import brief_parts

# of a matrix, a sum and a formula in LaTeX so much is shown
ENTRIES, TERMS, CHARACTERS = 3, 6, 1200
# rows and columns of a matrix of numbers
SIDE = 6


def short_repr(thing: object, *said: str, **named: object) -> str:
    """``Name(said, name=value)`` on one line, every value cut where it is long.

    Examples
    --------
    >>> short_repr(sp.Integer(1), "of 'kgmm2'", step=1.0)
    "One(of 'kgmm2', step=1.0)"
    """
    return f"{type(thing).__name__}({', '.join([*said, *filter(None, [brief_parts(**named)])])})"


def numbers_text(values: Any) -> str:
    """The entries of a small array, and the shape of a larger one.

    Examples
    --------
    >>> import numpy as np
    >>> numbers_text(np.eye(2) / 3), numbers_text(np.zeros((40, 3)))
    ('[[0.333333, 0], [0, 0.333333]]', 'array of 40 x 3')
    """
    if values.size > SIDE**2:
        return f"array of {' x '.join(map(str, values.shape))}"
    return _nested_text(values.tolist())


def _nested_text(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_nested_text, value))}]"
    return f"{value:.6g}"


def formula_latex(expression: sp.Expr) -> str:
    r"""The first terms of an expression.

    Examples
    --------
    >>> from sympy import symbols
    >>> formula_latex(sum(symbols("a:9")))
    'a_{0} + a_{1} + a_{2} + a_{3} + a_{4} + a_{5} + \\cdots\\;\\text{(3 more terms)}'
    """
    terms = sp.Add.make_args(expression)
    if len(terms) == 1:
        text = str(sp.latex(expression))
        return text if len(text) <= CHARACTERS else r"\text{(long)}"
    terms = tuple(expression.as_ordered_terms())
    shown, length = "", 0
    for count, term in enumerate(terms):
        text = str(sp.latex(term))
        length += len(text)
        if count == TERMS or length > CHARACTERS:
            left = len(terms) - count
            more = rf"\cdots\;\text{{({left} more terms)}}"
            return f"{shown} + {more}" if shown else rf"\text{{({left} long terms)}}"
        separate = "" if not shown or text.startswith("-") else "+ "
        shown = f"{shown} {separate}{text}".strip()
    return shown


def equations_latex(equations: Iterable[tuple[str, str]]) -> str:
    r"""Equations below each other, aligned at the sign, as a display; ``x = x`` is left out.

    Examples
    --------
    >>> equations_latex([("x", "1")])
    '$$\\begin{aligned}x &= 1\\end{aligned}$$'
    """
    told = (f"{left} &= {right}" for left, right in equations if left != right)
    lines = r" \\ ".join(told)
    return rf"$$\begin{{aligned}}{lines}\end{{aligned}}$$"


def entries_latex(symbol: str, value: Any) -> Iterator[tuple[str, str]]:
    """The first entries of an expression, a matrix, or a mapping of these, each as an equation."""
    found = _entries(symbol, value)
    yield from ((left, formula_latex(entry)) for left, entry in islice(found, ENTRIES))
    left = _count(value) - ENTRIES
    if left > 0:
        yield r"\cdots", rf"\text{{{left} more entries}}"


def _entries(symbol: str, value: Any) -> Iterator[tuple[str, sp.Expr]]:
    if isinstance(value, sp.MatrixBase):  # which may be an expression as well
        rows, columns = value.shape
        for i in range(rows):
            for j in range(columns):
                place = f"{i + 1}" if columns == 1 else f"{i + 1},{j + 1}"
                yield f"{symbol}_{{{place}}}", value[i, j]
    elif isinstance(value, sp.Expr):
        yield symbol, value
    elif isinstance(value, Mapping):
        for key in value:
            place = ",".join(str(k + 1) for k in key) if isinstance(key, tuple) else str(key)
            yield from _entries(f"{symbol}_{{{place}}}", value[key])


def _count(value: Any) -> int:
    if isinstance(value, sp.MatrixBase):
        return int(value.shape[0] * value.shape[1])
    return len(value) if isinstance(value, Mapping) else 1


def shape_text(value: Any) -> str:
    """The kind and size of a part of a derived object, in a few characters.

    Examples
    --------
    >>> shape_text(sp.eye(2)), shape_text({}), shape_text(sp.Integer(1))
    ('2 x 2', '0 blocks', 'expression')
    """
    if isinstance(value, sp.MatrixBase):
        return "{} x {}".format(*value.shape)
    return f"{len(value)} blocks" if isinstance(value, Mapping) else "expression"


def matrix_latex(rows: Sequence[Sequence[Any]]) -> str:
    r"""A matrix of expressions or numbers, the first rows and columns of a large one.

    Examples
    --------
    >>> matrix_latex([[1.0, 0.25]])
    '\\begin{pmatrix}1 & 0.25\\end{pmatrix}'
    """
    cells = [[_cell(x) for x in row[:SIDE]] for row in rows[:SIDE]]
    if rows and len(rows[0]) > SIDE:
        cells = [[*row, r"\cdots"] for row in cells]
    if len(rows) > SIDE:
        cells.append([r"\vdots"] * len(cells[0]))
    body = r" \\ ".join(" & ".join(row) for row in cells)
    return rf"\begin{{pmatrix}}{body}\end{{pmatrix}}"


def _cell(value: Any) -> str:
    return formula_latex(value) if isinstance(value, sp.Expr) else f"{value:.4g}"
