"""What remains of a derived expression once integrals and elementary factors have values: a sparse polynomial."""

from __future__ import annotations

from collections.abc import Sequence

import numba
import numpy as np
import sympy as sp
from numpy.typing import NDArray

from theory import GaussianExpectation, InputError
from theory.derived import find_expectations

from . import codegen
from .state import Array


class SparsePolynomial:
    """Expressions as sparse polynomials over the values [outer, reciprocals, moments, leaves].

    Attributes
    ----------
    leaves : tuple of sympy.Expr
        Elementary factors, functions of the outer symbols, in the order of their values.
    reciprocals : array of int
        Positions among the outer symbols of those whose inverse is a value of its own (lambda, in practice).
    moments : slice
        Where the moments stand among the values.
    """

    def __init__(
        self, expressions: Sequence[sp.Expr], outer: Sequence[sp.Symbol],
        integrands: dict[sp.Expr, int], components: int,
    ) -> None:
        self._outer_index = {s: i for i, s in enumerate(outer)}
        self._integrands = integrands
        self._reciprocal_index: dict[sp.Symbol, int] = {}
        self._leaf_index: dict[sp.Expr, int] = {}
        rows: list[list[tuple[float, list[tuple[str, int]]]]] = []
        for e in expressions:
            codegen_expression = e if not e.has(GaussianExpectation) else _distribute(e)
            rows.append([self._term(t) for t in sp.Add.make_args(codegen_expression) if t != 0])
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
        self.expression_starts = np.array(expression_starts, dtype=np.int64)
        self.term_starts = np.array(term_starts, dtype=np.int64)
        self.coefficients = np.array(coefficients, dtype=float)
        self.factors = np.array(factors, dtype=np.int64)

    def evaluate(self, values: Array) -> Array:
        """Evaluate all expressions at the concatenated values."""
        return self._evaluate(self.coefficients, values)

    def absolute(self, values: Array) -> Array:
        """Sums of the absolute values of the terms of each expression, for values >= 0."""
        return self._evaluate(np.abs(self.coefficients), values)

    def _evaluate(self, coefficients: Array, values: Array) -> Array:
        out = np.empty(self.expression_starts.size - 1)
        _evaluate_terms(self.expression_starts, coefficients, self.term_starts, self.factors, values, out)
        return out

    def _term(self, term: sp.Expr) -> tuple[float, list[tuple[str, int]]]:
        number, rest = term.as_coeff_Mul()
        parts: list[tuple[str, int]] = []
        leaves: list[sp.Expr] = []
        for factor in sp.Mul.make_args(rest):
            base, power = factor.as_base_exp()
            if isinstance(base, GaussianExpectation) and power.is_Integer and power > 0:
                index = (base.law.component - 1) * len(self._integrands)
                index += self._integrands[base.general_integrand]
                parts += [("moment", index)] * int(power)
            elif base in self._outer_index and power.is_Integer:
                if power > 0:
                    parts += [("outer", self._outer_index[base])] * int(power)
                else:
                    index = self._reciprocal_index.setdefault(base, len(self._reciprocal_index))
                    parts += [("reciprocal", index)] * -int(power)
            elif factor.has(GaussianExpectation):
                raise InputError(
                    "expressions", factor, "sums and products of expectations",
                    "compile the expectations alone and combine their values",
                )
            elif factor != 1:
                leaves.append(factor)
        if leaves:
            leaf = sp.Mul(*leaves)
            parts.append(("leaf", self._leaf_index.setdefault(leaf, len(self._leaf_index))))
        return float(number), parts


def _distribute(e: sp.Expr) -> sp.Expr:
    """Multiply out, if needed, what makes every expectation a factor of a product; integrands stay as they are."""
    flat = all(
        isinstance(factor.as_base_exp()[0], GaussianExpectation) or not factor.has(GaussianExpectation)
        for term in sp.Add.make_args(e)
        for factor in sp.Mul.make_args(term)
    )
    if flat:
        return e
    names = {node: sp.Dummy() for node in find_expectations(e)}
    plain = sp.expand(e.xreplace(names), power_base=False, power_exp=False, log=False, basic=False)
    return plain.xreplace({name: node for node, name in names.items()})


@numba.njit(cache=True, nogil=True)
def _evaluate_terms(
    expression_starts: NDArray[np.int64], coefficients: Array, term_starts: NDArray[np.int64],
    factors: NDArray[np.int64], values: Array, out: Array,
) -> None:
    for e in range(out.size):
        total = 0.0
        for t in range(expression_starts[e], expression_starts[e + 1]):
            product = coefficients[t]
            for f in range(term_starts[t], term_starts[t + 1]):
                product *= values[factors[f]]
            total += product
        out[e] = total
