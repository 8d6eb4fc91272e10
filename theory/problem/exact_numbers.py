"""Numbers of a model as exact SymPy numbers, checked."""

from __future__ import annotations

import math
import numbers
import re
import warnings
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

import sympy as sp

from theory.errors import InputError

# characters of a number that is written as a text
MAX_TEXT = 120
# entries of a row or a list of exact numbers
MAX_ENTRIES = 10_000


def exact(name: str, value: object) -> sp.Expr:
    """Turn a number into an exact rational and leave SymPy expressions alone.

    A float means the decimal it prints as: 0.1 becomes 1/10, not the nearest binary fraction.  A
    text must be a number, such as "1/3" or "0.25": a name in quotes is more likely a slip than a
    symbol.
    """
    wrong = InputError(
        name,
        _repr(value),
        "a number or a SymPy expression",
        'give a number such as 0.1 or "1/3", or a Symbol',
    )
    kind = getattr(getattr(value, "dtype", None), "kind", "O")
    if isinstance(value, (bool, bytes, complex)) or kind not in "iufO":
        raise wrong
    if isinstance(value, sp.Expr):
        expression = sp.nsimplify(value, rational=True) if value.has(sp.Float) else value
    elif isinstance(value, str):
        expression = _of_text(value.strip(), wrong)
    elif isinstance(value, numbers.Rational):
        expression = sp.Rational(value.numerator, value.denominator)
    else:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")  # imaginary parts and masked entries
                number = float(value)  # type: ignore[arg-type]
        except Exception as error:  # what is no number may raise anything
            raise wrong from error
        expression = sp.Rational(repr(number)) if math.isfinite(number) else sp.nan
    if expression.has(sp.nan, sp.oo, -sp.oo, sp.zoo):
        raise InputError(name, value, "a finite number", "remove NaN and infinities")
    return expression


def _repr(value: object) -> str:
    try:
        return repr(value)
    except Exception:  # integers of thousands of digits, objects of the user's
        return f"a {type(value).__name__}"


def _of_text(text: str, wrong: InputError) -> sp.Expr:
    """The number that a text writes; one that would take pages is refused before it is read."""
    exponent = re.search(r"[eE][+-]?([0-9_]+)", text)
    large = exponent is not None and len(exponent[1]) > 3
    if len(text) > MAX_TEXT or large or not text.isascii():
        raise wrong
    try:
        return sp.Rational(text)
    except (TypeError, ValueError, ZeroDivisionError) as error:
        raise wrong from error


def exact_sequence(name: str, values: object) -> tuple[sp.Expr, ...]:
    """Turn a sequence of numbers or symbols into exact expressions."""
    remedy = "write one entry per component in a list"
    if isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
        raise InputError(name, _repr(values), "a sequence of numbers", remedy)
    return tuple(exact(name, v) for v in _bounded(name, values, remedy))


def _bounded(name: str, values: Any, remedy: str) -> list[Any]:
    """The entries of what may never end."""
    found = list(islice(values, MAX_ENTRIES + 1))
    if len(found) > MAX_ENTRIES:
        expected = f"at most {MAX_ENTRIES} entries"
        raise InputError(name, f"more than {MAX_ENTRIES} entries", expected, remedy)
    return found


def as_matrix(name: str, value: object) -> sp.ImmutableDenseMatrix:
    """Turn nested sequences (or a matrix) into an exact immutable SymPy matrix."""
    if isinstance(value, sp.MatrixBase):
        return sp.ImmutableDenseMatrix(value.applyfunc(lambda e: exact(name, e)))
    try:
        remedy = "give nested lists or a SymPy matrix"
        rows = [_bounded(name, row, remedy) for row in _bounded(name, value, remedy)]
    except TypeError as error:
        raise InputError(
            name, _repr(value), "a matrix (rows of numbers)", "give nested lists or a SymPy matrix"
        ) from error
    if not rows or any(len(row) != len(rows[0]) for row in rows):
        raise InputError(
            name, repr(value), "rows of equal length", "give every row the same number of entries"
        )
    return sp.ImmutableDenseMatrix([[exact(name, e) for e in row] for row in rows])


def check_weights(weights: Sequence[sp.Expr]) -> None:
    """Refuse numeric weights that are not positive or do not sum to 1."""
    for i, p in enumerate(weights):
        if p.is_number and not (p.is_real and p > 0):
            raise InputError(
                f"weights[{i}]",
                p,
                "a number > 0",
                "give every weight > 0; drop a class of weight 0",
            )
    if all(p.is_number for p in weights):
        total = sp.Add(*weights)
        # sequences of decimals such as [0.333, 0.333, 0.334] are exact; [1/3]*3 as floats is not
        if abs(float(total) - 1.0) > 1e-12:
            raise InputError(
                "weights",
                f"{[str(p) for p in weights]} with sum {total} = {float(total):g}",
                "weights on the simplex (sum 1)",
                "divide the weights by their sum",
            )


def check_directions_gram(gram: sp.MatrixBase) -> None:
    """Refuse a numeric Gram matrix that is not symmetric positive definite."""
    # decimals such as 0.1 * 3 and 0.3 differ in the last bit: a Gram matrix is symmetric to
    # rounding
    if any(abs(d) > sp.Rational(1, 10**12) if d.is_number else d != 0 for d in (gram - gram.T)):
        raise InputError(
            "directions_gram", gram.tolist(), "a symmetric matrix", "use Gamma_st = e_s . e_t"
        )
    if any(e.is_number and not e.is_real for e in gram):
        raise InputError(
            "directions_gram", gram.tolist(), "real numbers", "drop the imaginary parts"
        )
    if gram.free_symbols:
        return
    # exact leading minors: no tolerance to choose
    for size in range(1, gram.shape[0] + 1):
        minor = gram[:size, :size].det()
        if not minor > 0:
            raise InputError(
                "directions_gram",
                f"{gram.tolist()} (leading minor of size {size} is {minor})",
                "a positive definite matrix, that is linearly independent means",
                "state means that depend on each other by their coordinates in fewer directions: "
                "kgmm(k, means=...), or coordinates=... of a Mixture",
            )


def check_positive(name: str, value: sp.Expr, remedy: str, *, allow_zero: bool = False) -> None:
    """Refuse a numeric ``value`` that is not > 0 (>= 0 if ``allow_zero``)."""
    if not value.is_number:
        return
    if not value.is_real or value < 0 or (value == 0 and not allow_zero):
        raise InputError(name, value, "a number >= 0" if allow_zero else "a number > 0", remedy)


def _check_length(name: str, values: Sequence[object], expected: int) -> None:
    if len(values) != expected:
        raise InputError(
            name,
            f"{len(values)} entries",
            f"{expected}, one per component",
            f"give {expected} {name}",
        )
