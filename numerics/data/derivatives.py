"""Derivatives of a loss at samples, as generated functions of what a loss sees of them."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import sympy as sp

from numerics.core import codegen
from numerics.core.validation import Array
from theory import Model, Moments, Weight, symbols
from theory.formulas.output_matrices import output_curvature
from theory.problem.output.output_law import FISHER, GAUSS_NEWTON


def compile_derivatives(model: Model, matrix: str) -> Callable[[Array, Array, Array], Array]:
    """Return a function (labels (M,), u (C, M), v) -> derivatives of the loss at every sample.

    For a loss with teachers or label noise ``u`` are all its fields, (u, t, xi).

    For the Hessian all second derivatives, for Gauss-Newton and Fisher what stands in their place,
    shape (C + q, C + q, M); for G all first ones, shape (C
    + q, M). Variables in the order (u_1..u_C, v_1..v_q), of P tokens with C pre-activations
    for each of them.  Generated from the loss for NumPy.
    """
    return _evaluator(model, matrix, False)


def unpacked(model: Model, packed: Array) -> Array:
    """Full matrices from upper triangles, shape (C + q, C + q, M); of tokens (P C + q, P C + q,
    M).
    """
    size = len(model.loss.variables)
    out = np.empty((size, size, packed.shape[1]))
    for row, (i, j) in zip(packed, symbols.upper_triangle(size), strict=True):
        out[i, j] = out[j, i] = row
    return out


@lru_cache(maxsize=32)
def derivative_expressions(model: Model, matrix: str) -> tuple[sp.Expr, ...]:
    """What :func:`compile_derivatives` evaluates, in (y, u, v): the upper triangle of the second
    derivatives, or the first ones, almost everywhere.
    """
    size = len(model.loss.variables)
    if matrix in (GAUSS_NEWTON, FISHER):
        pairs = symbols.upper_triangle(size)
        return tuple(output_curvature(model, matrix, i, j) for i, j in pairs)
    moments = Moments(model, "projection")  # differentiates nothing beyond the weight itself
    weights = (
        [Weight.of((i, j)) for i, j in symbols.upper_triangle(size)]
        if matrix == "hessian"
        else [Weight.of((i,)) for i in range(size)]
    )
    return tuple(_almost_everywhere(moments.expression(w)) for w in weights)


def derivative_terms(model: Model, matrix: str) -> Callable[[Array, Array, Array], Array]:
    """Return a function as :func:`compile_derivatives` does, of the sizes of what is added up to
    the derivatives: their rounding errors are relative to these, and not to what is left of them.
    """
    return _evaluator(model, matrix, True)


def _evaluator(model: Model, matrix: str, terms: bool) -> Callable[[Array, Array, Array], Array]:
    function, rows = derivative_function(model, matrix, terms)

    def evaluate(labels: Array, u: Array, v: Array) -> Array:
        packed = np.empty((rows, u.shape[1]))
        function(labels, u, v, packed)
        return packed if matrix == "gradient" else unpacked(model, packed)

    return evaluate


@lru_cache(maxsize=64)
def derivative_function(
    model: Model, matrix: str, terms: bool = False
) -> tuple[Callable[..., None], int]:
    """Code for the packed derivatives, and how many there are."""
    expressions = derivative_expressions(model, matrix)
    if terms:
        expressions = tuple(_without_signs(e) for e in expressions)
    s = model.symbols
    arguments = (("y", (symbols.LABEL,)), ("u", s.fields), ("v", s.held))
    source = codegen.generate_function("derivatives", arguments, expressions, "numpy")
    return codegen.load_module(source).derivatives, len(expressions)


def _without_signs(e: sp.Expr) -> sp.Expr:
    """The sum of the absolute values of all terms, inside products and powers too."""
    if isinstance(e, (sp.Add, sp.Mul)):
        return e.func(*(_without_signs(a) for a in e.args))
    if isinstance(e, sp.Pow) and e.exp.is_Integer and e.exp.is_positive:
        return _without_signs(e.base) ** e.exp
    return sp.Abs(e)


def _almost_everywhere(expression: sp.Expr) -> sp.Expr:
    """Drop Dirac parts: samples meet a kink with probability 0 (mathematics.md section 2)."""
    return expression.replace(sp.DiracDelta, lambda *_: sp.Integer(0))
