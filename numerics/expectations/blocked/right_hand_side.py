"""Expressions of a model at many states by one compiled loop: law, integrals, and what remains.

An integrator asks for hundreds of values of an expression in a few dozen numbers.  From Python
each costs the calls of some fifty array functions; here it costs one call.  The loop is the same
for all models, and compiled once: what is a model's own are the code of its features, called by
its address, and tables of numbers.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numba
import numpy as np
from numba.core import types
from numba.extending import intrinsic

from numerics.core.flatten import outer_symbols
from numerics.core.geometry import coordinates_of
from numerics.core.parameters import Parameters
from numerics.core.validation import Array
from theory import Model

from ..contracted.contracted_terms import ContractedTerms
from ..quadrature import Rule
from ..smooth_integrands import NO_SIZES
from ..sparse_polynomial import SparsePolynomial, Terms, evaluate_terms, joined_terms
from .blocked_integrands import BlockedIntegrands
from .common_law import FixedNumbers, fill_law
from .row_sums import Index, Products, add_moments, address_of, call_at


class Remainder(NamedTuple):
    """What remains once integrals have values: two polynomials, the second in that of the first.

    Attributes
    ----------
    reciprocals : array
        Positions among the outer symbols whose inverses are values.
    moments, composites : int
        Where moments, and values of the first polynomial, begin among all values.
    numbers : array
        Values that never change, the last ones.
    inner, final : Terms
    order : array
        Which row of the second polynomial an expression is; empty where something else is to be
        done with the values.
    """

    reciprocals: Index
    moments: int
    composites: int
    numbers: Array
    inner: Terms
    final: Terms
    order: Index


def remainder_of(terms: SparsePolynomial | ContractedTerms) -> Remainder | None:
    """The tables of what remains; None where there are leaves."""
    if terms.leaves:
        return None
    moments, end = terms.moments.start, terms.moments.stop
    if isinstance(terms, SparsePolynomial):
        order = np.arange(terms.terms.starts.size - 1)
        nothing = joined_terms([])
        return Remainder(terms.reciprocals, moments, end, np.zeros(0), nothing, terms.terms, order)
    listed = terms.listed()
    final, order = listed or (joined_terms([]), np.zeros(0, dtype=np.int64))
    inner = terms.inner.terms
    return Remainder(terms.reciprocals, moments, end, terms.numbers, inner, final, order)


class RightHandSide:
    """Expressions at state vectors, where one law serves all components and nothing is inverted.

    Parameters
    ----------
    model : theory.Model
        Without bands.
    functions : BlockedIntegrands
    remainder : Remainder
    basis : array, shape (D, fields)
        Orthonormal rows: the directions that integrands depend on.
    """

    def __init__(
        self, model: Model, functions: BlockedIntegrands, remainder: Remainder, basis: Array
    ) -> None:
        self._model, self._functions, self._remainder = model, functions, remainder
        self._basis = np.ascontiguousarray(basis)
        self._coordinates = coordinates_of(model)
        self._outer = len(outer_symbols(model))
        self._width = remainder.composites + remainder.inner.starts.size - 1
        self._width += remainder.numbers.size
        self._axes: tuple[Array, Array] | None = None
        self._law_at = _address_of_law()
        self._moments_at = _address_of_moments(numba.typeof(functions.products))
        self._known: tuple[Parameters, FixedNumbers] | None = None

    @classmethod
    def of(
        cls, model: Model, functions: BlockedIntegrands, remainder: Remainder, basis: Array
    ) -> RightHandSide | None:
        """None where components have laws of their own, samples several tokens, or the loss
        numbers and statistics beside a sample.
        """
        own = model.mixture.bands is not None or model.tokens > 1 or model.loss.beside
        if own or not len(basis):
            return None
        return cls(model, functions, remainder, basis)

    def evaluate(
        self,
        parameters: Parameters,
        vectors: Array,
        rule: Rule,
        nodes: Array,
        sizes: Array | None = None,
    ) -> tuple[Array, Array] | None:
        """Values of all expressions, and of all they consist of, shapes (R, ...).

        At state vectors (R, size), each on nodes (N, D) of its own; None where a number is not
        finite, or a moment is NaN.  Fills ``sizes``, if given, with absolute moments.
        """
        known = self._known
        if known is None or known[0] is not parameters:
            known = self._known = parameters, FixedNumbers.of(self._model, parameters)
        vectors = np.ascontiguousarray(vectors)
        states, functions = len(vectors), self._functions
        values = np.empty((states, self._width))
        out = np.empty((states, self._remainder.order.size))
        readout = vectors[:, vectors.shape[1] - self._model.readout_size :]
        found = evaluate_states(
            (self._law_at, self._moments_at, functions.address),
            functions.products,
            functions.kinds,
            functions.labels,
            functions.coefficient_values(functions.labels, readout),
            known[1],
            self._coordinates,
            self._basis,
            self._model.units,
            self._model.readout_size,
            self._outer,
            self._remainder,
            vectors,
            self._axes_of(nodes),
            rule.weights,
            1.0 / rule.size,
            values,
            out,
            NO_SIZES if sizes is None else sizes,
        )
        return (out, values) if found else None

    def _axes_of(self, nodes: Array) -> Array:
        """The nodes axis by axis, remembered: a curve asks for those of the same rule."""
        known = self._axes
        if known is None or known[0] is not nodes:
            known = self._axes = nodes, np.ascontiguousarray(np.swapaxes(nodes, 1, 2))
        return known[1]


@lru_cache(maxsize=None)
def _address_of_moments(kind: Any) -> int:
    """Where the machine code of ``add_moments`` stands, for the type of its products."""
    matrices, tensor, index = types.float64[:, ::1], types.float64[:, :, ::1], types.int64[::1]
    arguments = (
        types.int64, kind, types.float64[::1], index, tensor, tensor, tensor, types.float64[::1],
        matrices, tensor, types.float64, tensor, tensor,
    )  # fmt: skip
    return address_of(add_moments, arguments)


@lru_cache(maxsize=None)
def _address_of_law() -> int:
    """Where the machine code of ``fill_law`` stands."""
    matrix, vector = types.float64[:, ::1], types.float64[::1]
    fields = [vector, matrix, matrix, vector, types.float64]
    fixed = types.NamedTuple(fields, FixedNumbers)
    return address_of(
        fill_law, (fixed, matrix, matrix, types.int64, vector, vector, matrix, matrix)
    )


@intrinsic
def _call_law(
    typing: Any,
    at: Any,
    fixed: Any,
    coordinates: Any,
    basis: Any,
    units: Any,
    vector: Any,
    values: Any,
    means: Any,
    factor: Any,
) -> Any:
    """Call ``fill_law`` at an address."""
    return types.none(at, fixed, coordinates, basis, units, vector, values, means, factor), call_at


@intrinsic
def _call_moments(
    typing: Any,
    at: Any,
    address: Any,
    products: Any,
    labels: Any,
    kinds: Any,
    means: Any,
    shift: Any,
    whitened: Any,
    weights: Any,
    v: Any,
    coefficients: Any,
    reach: Any,
    out: Any,
    sizes: Any,
) -> Any:
    """Call ``add_moments`` at an address."""
    arguments = (
        address, products, labels, kinds, means, shift, whitened, weights, v, coefficients, reach,
        out, sizes,
    )  # fmt: skip
    return types.none(at, *arguments), call_at


@numba.njit(inline="always")
def fill_shift(factor: Array, nodes: Array, shift: Array) -> None:
    """shift = F^T nodes^T: where the nodes stand around the mean, field by field."""
    for a in range(shift.shape[0]):
        row = shift[a]
        for i in range(row.size):
            row[i] = 0.0
        for d in range(factor.shape[0]):
            weight, axis = factor[d, a], nodes[d]
            for i in range(row.size):
                row[i] += weight * axis[i]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def evaluate_states(
    addresses: tuple[int, int, int],
    products: Products,
    kinds: Index,
    labels: Array,
    coefficients: Array,
    fixed: FixedNumbers,
    coordinates: Array,
    basis: Array,
    units: int,
    readout: int,
    outer: int,
    remainder: Remainder,
    vectors: Array,
    nodes: Array,
    weights: Array,
    reach: float,
    values: Array,
    out: Array,
    sizes: Array,
) -> bool:
    """The loop of :meth:`RightHandSide.evaluate`; False where it returns None."""
    law_at, moments_at, address = addresses
    states, fields = vectors.shape[0], basis.shape[1]
    integrands = products.term_starts.size - 1
    means = np.empty((1, labels.size, fields))
    moments = np.empty((1, labels.size, integrands))
    factor, shift = np.empty(basis.shape), np.empty((1, fields, weights.size))
    no_rows, own_readout = np.empty((1, 0, 0)), np.empty((1, readout))
    inner, final, order = remainder.inner, remainder.final, remainder.order
    entries = np.empty((1, final.starts.size - 1))
    for e in range(states):
        row, vector = values[e], vectors[e]
        _call_law(  # type: ignore[call-arg]
            law_at, fixed, coordinates, basis, units, vector, row, means[0], factor
        )
        if np.isnan(means[0, 0, 0]):
            return False
        fill_shift(factor, nodes[e], shift[0])
        for i in range(readout):
            own_readout[0, i] = vector[vector.size - readout + i]
        for i in range(moments.size):
            moments.flat[i] = 0.0
        own = coefficients[min(e, coefficients.shape[0] - 1) :]
        _call_moments(
            moments_at,
            address,
            products,
            labels,
            kinds,
            means,
            shift,
            no_rows,
            weights,
            own_readout,
            own,
            reach,
            moments,
            sizes[e:],
        )
        at = outer
        for position in remainder.reciprocals:
            row[at] = 1.0 / row[position]
            at += 1
        for l in range(labels.size):
            for j in range(integrands):
                row[at] = moments[0, l, j]
                if np.isnan(row[at]):
                    return False
                at += 1
        here = values[e : e + 1]
        evaluate_terms(inner, inner.coefficients, here, here[:, remainder.composites :])
        at = remainder.composites + inner.starts.size - 1
        for number in remainder.numbers:
            row[at] = number
            at += 1
        if order.size > 0:
            evaluate_terms(final, final.coefficients, here, entries)
            for j in range(order.size):
                out[e, j] = entries[0, order[j]]
    return True
