"""What remains of a derived expression once integrals and elementary factors have values: a sparse
polynomial.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

import numba
import numpy as np
import sympy as sp
from numpy.typing import NDArray

from numerics.core import codegen
from numerics.core.validation import Array
from theory import GaussianExpectation, InputError

# a product of values, each a kind and an index -> its coefficient
Polynomial = dict[tuple[tuple[str, int], ...], Fraction | float]


class Terms(NamedTuple):
    """Polynomials as arrays.

    Attributes
    ----------
    starts : array, shape (polynomials + 1,)
        The terms of a polynomial begin here.
    coefficients : array, shape (terms,)
    factor_starts : array, shape (terms + 1,)
        The factors of a term begin here.
    factors : array
        Positions among the values.
    """

    starts: NDArray[np.int64]
    coefficients: Array
    factor_starts: NDArray[np.int64]
    factors: NDArray[np.int64]


def joined_terms(parts: Sequence[Terms]) -> Terms:
    """The polynomials of all parts, one after the other."""
    zero, none = np.zeros(1, dtype=np.int64), np.zeros(0, dtype=np.int64)
    starts, factor_starts, terms, factors = [zero], [zero], 0, 0
    parts = [Terms(zero, np.zeros(0), zero, none), *parts]
    for part in parts:
        starts.append(terms + part.starts[1:])
        factor_starts.append(factors + part.factor_starts[1:])
        terms, factors = terms + part.coefficients.size, factors + part.factors.size
    return Terms(
        np.concatenate(starts),
        np.concatenate([part.coefficients for part in parts]),
        np.concatenate(factor_starts),
        np.concatenate([part.factors for part in parts]),
    )


class SparsePolynomial:
    """Expressions as sparse polynomials over the values [outer, reciprocals, moments, leaves].

    Attributes
    ----------
    leaves : tuple of sympy.Expr
        Elementary factors, functions of the outer symbols, in the order of their values.
    reciprocals : array of int
        Positions among the outer symbols of those whose inverse is a value of its own (lambda, in
        practice).
    moments : slice
        Where the moments stand among the values.
    """

    def __init__(
        self,
        expressions: Sequence[sp.Expr],
        outer: Sequence[sp.Symbol],
        integrands: dict[sp.Expr, int],
        components: int,
    ) -> None:
        self._outer_index = {s: i for i, s in enumerate(outer)}
        self._integrands = integrands
        self._reciprocal_index: dict[sp.Symbol, int] = {}
        self._leaf_index: dict[sp.Expr, int] = {}
        self._products: dict[sp.Expr, Polynomial] = {}
        self._factor_index: dict[sp.Expr, int] = {}
        rows = [self._row(e) for e in expressions]
        del self._products
        self.leaves = tuple(self._leaf_index)
        codegen.check_symbols(self.leaves, (("outer", outer),))
        self.reciprocals = np.array(
            [self._outer_index[s] for s in self._reciprocal_index], dtype=np.int64
        )
        start = {"outer": 0, "reciprocal": len(outer)}
        start["moment"] = start["reciprocal"] + len(self._reciprocal_index)
        start["leaf"] = start["moment"] + components * len(integrands)
        self.moments = slice(start["moment"], start["leaf"])
        expression_starts, term_starts = [0], [0]
        coefficients: list[float] = []
        factors: list[int] = []
        for row in rows:
            for coefficient, parts in row:
                coefficients.append(coefficient)
                factors.extend(start[kind] + index for kind, index in parts)
                term_starts.append(len(factors))
            expression_starts.append(len(coefficients))
        self.terms = Terms(
            np.array(expression_starts, dtype=np.int64),
            np.array(coefficients, dtype=float),
            np.array(term_starts, dtype=np.int64),
            np.array(factors, dtype=np.int64),
        )

    def evaluate(self, values: Array) -> Array:
        """Evaluate all expressions at rows of concatenated values, shape (R, expressions)."""
        return self._evaluate(self.terms.coefficients, values)

    def absolute(self, values: Array) -> Array:
        """Sums of the absolute values of the terms of each expression, for rows of values >= 0."""
        return self._evaluate(np.abs(self.terms.coefficients), values)

    def _evaluate(self, coefficients: Array, values: Array) -> Array:
        out = np.empty((len(values), self.terms.starts.size - 1))
        evaluate_terms(self.terms, coefficients, values, out)
        return out

    def _row(self, e: sp.Expr) -> list[tuple[float, list[tuple[str, int]]]]:
        """Terms of an expression; elementary factors that meet in a term become one leaf."""
        row = []
        for parts, coefficient in self._expand(e).items():
            if coefficient == 0:
                continue
            factors = [index for kind, index in parts if kind == "factor"]
            kept = [part for part in parts if part[0] != "factor"]
            if factors:
                known = list(self._factor_index)
                leaf = sp.Mul(*(known[index] for index in factors))
                kept.append(("leaf", self._leaf_index.setdefault(leaf, len(self._leaf_index))))
            row.append((float(coefficient), kept))
        return row

    def _expand(self, e: sp.Expr) -> Polynomial:
        """Multiply out what makes every expectation a factor of a product; what has none stays a
        factor of its own.

        As sympy.expand would, without building the thousands of products on the way.
        """
        if e not in self._products:
            self._products[e] = self._expand_new(e)
        return self._products[e]

    def _expand_new(self, e: sp.Expr) -> Polynomial:
        if e.is_Rational:
            return {(): Fraction(int(e.p), int(e.q))}
        if e.is_Float:
            return {(): float(e)}
        if e.is_Add:
            total: Polynomial = {}
            for a in e.args:
                for parts, coefficient in self._expand(a).items():
                    total[parts] = total.get(parts, 0) + coefficient
            return total
        if e.is_Mul:
            product: Polynomial = {(): Fraction(1)}
            for a in e.args:
                single = a.is_Add and not a.has(GaussianExpectation)
                product = _multiply(product, self._factor(a) if single else self._expand(a))
            return product
        if isinstance(e, GaussianExpectation):
            index = (e.law.component - 1) * len(self._integrands) + self._integrands[
                e.general_integrand
            ]
            return {(("moment", index),): Fraction(1)}
        base, power = e.as_base_exp()
        if base in self._outer_index and power.is_Integer:
            kind, table = (
                ("outer", self._outer_index)
                if power > 0
                else ("reciprocal", self._reciprocal_index)
            )
            index = table.setdefault(base, len(table))
            return {((kind, index),) * abs(int(power)): Fraction(1)}
        if not e.has(GaussianExpectation):
            return self._factor(e)
        if not (power.is_Integer and power > 1):
            raise InputError(
                "expressions",
                e,
                "sums and products of expectations",
                "compile the expectations alone and combine their values",
            )
        product = one = self._expand(base)
        for _ in range(int(power) - 1):
            product = _multiply(product, one)
        return product

    def _factor(self, e: sp.Expr) -> Polynomial:
        return {
            (("factor", self._factor_index.setdefault(e, len(self._factor_index))),): Fraction(1)
        }


def _multiply(left: Polynomial, right: Polynomial) -> Polynomial:
    product: Polynomial = {}
    for one, a in left.items():
        for other, b in right.items():
            parts = tuple(sorted(one + other)) if one and other else one or other
            product[parts] = product.get(parts, 0) + a * b
    return product


@numba.njit(cache=True, nogil=True)
def evaluate_terms(terms: Terms, coefficients: Array, values: Array, out: Array) -> None:
    """out[i, e] = sum of coefficients times products of values[i], over the terms of e."""
    for i in range(out.shape[0]):
        row = values[i]
        for e in range(terms.starts.size - 1):
            total = 0.0
            for t in range(terms.starts[e], terms.starts[e + 1]):
                product = coefficients[t]
                for f in range(terms.factor_starts[t], terms.factor_starts[t + 1]):
                    product *= row[terms.factors[f]]
                total += product
            out[i, e] = total
