"""Numbers, linear algebra and the functions of losses at the precision mpmath is set to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath
import sympy as sp

Row = tuple[Any, ...]

# digits beyond those asked for, for sums and products
GUARD = 12


def number_of(e: sp.Expr) -> Any:
    """A constant as a number of mpmath."""
    e = sp.sympify(e)
    if e.is_Rational:
        return mpmath.mpf(int(e.p)) / int(e.q)
    return mpmath.mpmathify(sp.N(e, mpmath.mp.dps + 5))


def factor_of(covariance: list[list[Any]], digits: int) -> list[list[Any]]:
    """F with F F^T = covariance and as many columns as its rank (Cholesky with pivots)."""
    size = len(covariance)
    rest = [list(row) for row in covariance]
    floor = mpmath.mpf(10) ** (-digits) * max(
        [abs(covariance[i][i]) for i in range(size)] + [mpmath.mpf(0)]
    )
    columns: list[list[Any]] = []
    for _ in range(size):
        pivot = max(range(size), key=lambda i: rest[i][i])
        if rest[pivot][pivot] <= floor:
            break
        root = mpmath.sqrt(rest[pivot][pivot])
        column = [rest[i][pivot] / root for i in range(size)]
        columns.append(column)
        for i in range(size):
            for j in range(size):
                rest[i][j] -= column[i] * column[j]
    return [[column[i] for column in columns] for i in range(size)]


def reduce_rows(rows: list[list[Any]], digits: int) -> list[list[Any]]:
    """The same rows in an orthonormal basis of their span (Gram-Schmidt, longest rest first)."""
    basis: list[list[Any]] = []
    rest = [list(r) for r in rows]
    floor = mpmath.mpf(10) ** (-digits)
    while True:
        lengths = [mpmath.sqrt(mpmath.fsum(x * x for x in r)) for r in rest]
        longest = max(range(len(rest)), key=lambda i: lengths[i], default=None)
        if longest is None or lengths[longest] <= floor:
            break
        unit = [x / lengths[longest] for x in rest[longest]]
        basis.append(unit)
        rest = [
            [x - inner * b for x, b in zip(r, unit, strict=True)]
            for r in rest
            for inner in [mpmath.fsum(x * b for x, b in zip(r, unit, strict=True))]
        ]
    return [
        [mpmath.fsum(x * b for x, b in zip(r, unit, strict=True)) for unit in basis] for r in rows
    ]


def high_precision_functions() -> dict[str, Callable[..., Any]]:
    """The functions of losses that mpmath lacks, by the names generated code calls them by.

    Examples
    --------
    >>> table = high_precision_functions()
    >>> table["Softmax"](1, mpmath.mpf(0), mpmath.mpf(0))
    mpf('0.5')
    """
    exp, log = mpmath.exp, mpmath.log
    zero, one = mpmath.mpf(0), mpmath.mpf(1)

    # all classes of one sample share their exponentials
    last: list[Any] = [None, []]

    def softmax(a: Any, *u: Any) -> Any:
        key = (mpmath.mp.prec, u)
        if last[0] != key:
            powers = [exp(b) for b in u]
            total = mpmath.fsum(powers)
            last[:] = [key, [p / total for p in powers]]
        return last[1][int(a) - 1]

    return {
        "LogSumExp": lambda *u: log(mpmath.fsum(exp(a) for a in u)),
        "Softmax": softmax,
        "Softplus": lambda f: mpmath.log1p(exp(f)) if f < 0 else f + mpmath.log1p(exp(-f)),
        "Sigmoid": lambda f: one / (1 + exp(-f)),
        "ReLU": lambda f: f if f > 0 else zero,
        "Step": lambda f: one if f > 0 else zero,
    }
