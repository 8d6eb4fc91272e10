"""Products and inverses of small matrices of fractions, far quicker than with SymPy's numbers."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import sympy as sp

Rows = list[list[Fraction]]


def fractions_of(matrix: sp.MatrixBase) -> Rows | None:
    """The rows of a matrix of rational numbers, None of any other."""
    flat = matrix.flat()
    if not all(x.is_Rational for x in flat):
        return None
    numbers = [Fraction(int(x.p), int(x.q)) for x in flat]
    width = matrix.cols
    return [numbers[i * width : (i + 1) * width] for i in range(matrix.rows)]


def rationals(rows: Rows) -> list[sp.Rational]:
    """The entries as numbers of SymPy, row by row."""
    return [sp.Rational(x.numerator, x.denominator) for row in rows for x in row]


def transposed(rows: Rows) -> Rows:
    """Rows for columns."""
    return [list(column) for column in zip(*rows, strict=True)]


def product(first: Rows, *others: Rows) -> Rows:
    """The product of matrices, none of them without columns.

    Examples
    --------
    >>> half = [[Fraction(1, 2), Fraction(0)], [Fraction(1), Fraction(2)]]
    >>> [[str(x) for x in row] for row in product(half, half)]
    [['1/4', '0'], ['5/2', '4']]
    """
    for other in others:
        columns = transposed(other)
        first = [[_inner(row, column) for column in columns] for row in first]
    return first


def _inner(one: Sequence[Fraction], two: Sequence[Fraction]) -> Fraction:
    return sum((x * y for x, y in zip(one, two, strict=True) if x and y), Fraction(0))


def total(one: Rows, two: Rows) -> Rows:
    """The sum of two matrices."""
    return [[x + y for x, y in zip(*rows, strict=True)] for rows in zip(one, two, strict=True)]


def inverse(rows: Rows) -> Rows | None:
    """The inverse by elimination, None of a singular matrix.

    Examples
    --------
    >>> [[str(x) for x in row] for row in inverse([[Fraction(2), Fraction(1)], [Fraction(0), 4]])]
    [['1/2', '-1/8'], ['0', '1/4']]
    """
    size = len(rows)
    work = [[*row, *(Fraction(i == j) for j in range(size))] for i, row in enumerate(rows)]
    for i in range(size):
        pivot = next((j for j in range(i, size) if work[j][i]), None)
        if pivot is None:
            return None
        work[i], work[pivot] = work[pivot], work[i]
        scale = work[i][i]
        work[i] = [x / scale for x in work[i]]
        for j in range(size):
            if j != i and work[j][i]:
                factor = work[j][i]
                work[j] = [x - factor * y for x, y in zip(work[j], work[i], strict=True)]
    return [row[size:] for row in work]
