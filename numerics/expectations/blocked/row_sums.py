"""Moments of products of features over the nodes of a rule: one loop for all models.

What is a model's own, the code of its features, is called by its address: this loop is compiled
once, and kept for all models and processes.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numba
import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from numerics.core.validation import Array

from .row_functions import ROW

Index = NDArray[np.int64]
# types of y, v and rows
FEATURES = types.float64, types.float64[::1], types.float64[::1]


class Products(NamedTuple):
    """Which products of features integrands consist of, where the label is one of several.

    Attributes
    ----------
    total, units : int
        Rows in all, and of fields.
    groups : array, shape (labels + 1,)
        The groups of products, of a common left row, that a label has begin here.
    lefts : array, shape (groups,)
        Where the left row of a group begins.
    starts : array, shape (groups + 1,)
        The products of a group begin here.
    rights : array
        Where the right row of a product begins.
    term_starts : array, shape (integrands + 1,)
        The terms of an integrand begin here.
    place : array, shape (labels, terms)
        The product of a term, among those of the label.
    term_left, term_right : array, shape (labels, terms)
        Where its rows begin.
    widest : int
        Most products of a label.
    """

    total: int
    units: int
    groups: Index
    lefts: Index
    starts: Index
    rights: Index
    term_starts: Index
    place: Index
    term_left: Index
    term_right: Index
    widest: int


def address_of(function: Any, arguments: tuple[Any, ...]) -> int:
    """Where the machine code of a function for these types stands, compiled if it is not."""
    function.compile(arguments)
    result = function.get_compile_result(types.void(*arguments))
    return int(result.library.get_pointer_to_function(result.fndesc.llvm_cfunc_wrapper_name))


def call_at(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    """Code that calls the function at the address, the first argument, with all others.

    A function that is called by its name is compiled into each of its callers again.
    """
    kinds = [context.get_value_type(each) for each in signature.args[1:]]
    kind = ir.FunctionType(context.get_value_type(types.none), kinds)
    builder.call(builder.inttoptr(arguments[0], kind.as_pointer()), arguments[1:])
    return context.get_dummy_value()


@intrinsic
def _call_features(typing: Any, address: Any, y: Any, v: Any, rows: Any) -> Any:
    return types.none(address, y, v, rows), call_at


@numba.njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})
def add_products(
    rows: Array, weights: Array, lefts: Index, starts: Index, rights: Index, table: Array
) -> None:
    """table[p] += sum_i weights[i] left[i] right_p[i].

    The pairs from starts[g] to starts[g + 1] have the left row lefts[g], and the first of all is
    that of table[0]; rows are given by where they begin.  Four right rows are read for one left
    row: loads are what the sum waits for.
    """
    n, first_pair = weights.size, starts[0]
    scratch = np.empty(ROW)
    for g in range(lefts.size):
        left = rows[lefts[g] : lefts[g] + n]
        for i in range(n):
            scratch[i] = weights[i] * left[i]
        p, end = starts[g], starts[g + 1]
        while p + 4 <= end:
            first = rows[rights[p] : rights[p] + n]
            second = rows[rights[p + 1] : rights[p + 1] + n]
            third = rows[rights[p + 2] : rights[p + 2] + n]
            fourth = rows[rights[p + 3] : rights[p + 3] + n]
            one = two = three = four = 0.0
            for i in range(n):
                one += scratch[i] * first[i]
                two += scratch[i] * second[i]
                three += scratch[i] * third[i]
                four += scratch[i] * fourth[i]
            at = p - first_pair
            table[at] += one
            table[at + 1] += two
            table[at + 2] += three
            table[at + 3] += four
            p += 4
        while p < end:
            first = rows[rights[p] : rights[p] + n]
            one = 0.0
            for i in range(n):
                one += scratch[i] * first[i]
            table[p - first_pair] += one
            p += 1


@numba.njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})
def add_sizes(
    rows: Array,
    units: int,
    weights: Array,
    reach: float,
    starts: Index,
    coefficients: Array,
    lefts: Index,
    rights: Index,
    sizes: Array,
) -> None:
    """sizes[j] += sum_i weights[i] (1 + reach max_a |u_a[i]|) |sum_t c_t left_t[i] right_t[i]|.

    The terms t of integrand j are those from starts[j] to starts[j + 1]; the fields u are the first
    ``units`` rows.
    """
    n = weights.size
    scratch, values = np.zeros(ROW), np.empty(ROW)
    for a in range(units):
        row = rows[a * ROW : a * ROW + n]
        for i in range(n):
            scratch[i] = max(scratch[i], abs(row[i]))
    for i in range(n):
        scratch[i] = weights[i] * (1.0 + reach * scratch[i])
    for j in range(sizes.size):
        for i in range(n):
            values[i] = 0.0
        for t in range(starts[j], starts[j + 1]):
            left, right = rows[lefts[t] : lefts[t] + n], rows[rights[t] : rights[t] + n]
            for i in range(n):
                values[i] += coefficients[t] * left[i] * right[i]
        total = 0.0
        for i in range(n):
            total += scratch[i] * abs(values[i])
        sizes[j] += total


@numba.njit(inline="always")
def fill_rows(rows: Array, mean: Array, shift: Array, start: int, n: int) -> None:
    """Rows mean + shift of n nodes from a start on; the rest of a row repeats the last of them."""
    for a in range(mean.size):
        row, moved, here = rows[a * ROW : (a + 1) * ROW], shift[a, start : start + n], mean[a]
        for i in range(n):
            row[i] = here + moved[i]
        for i in range(n, ROW):
            row[i] = row[n - 1]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def add_moments(
    address: int,
    products: Products,
    labels: Array,
    kinds: Index,
    means: Array,
    shift: Array,
    whitened: Array,
    weights: Array,
    v: Array,
    coefficients: Array,
    reach: float,
    out: Array,
    sizes: Array,
) -> None:
    """out[e, l, j] += E_l[f_j] at state e, where component l has u = means[e, l] + shift[e, :, i].

    Unless ``sizes`` is empty, sizes[e, l, j] += E_l[|f_j| (1 + reach max_a |u_a|)].
    """
    p = products
    rows = np.zeros(p.total * ROW)
    table, zero = np.empty(p.widest), np.zeros(p.units)
    nodes = weights.size
    for e in range(means.shape[0]):
        terms = coefficients[min(e, coefficients.shape[0] - 1)]
        for l in range(labels.size):
            kind = kinds[l]
            low, high = p.groups[kind], p.groups[kind + 1]
            lefts, starts = p.lefts[low:high], p.starts[low : high + 1]
            own = terms[min(l, coefficients.shape[1] - 1)]
            for t in range(table.size):
                table[t] = 0.0
            for start in range(0, nodes, ROW):
                n = min(ROW, nodes - start)
                fill_rows(rows, means[e, l], shift[e], start, n)
                if whitened.shape[1] > 0:
                    fill_rows(rows[p.units * ROW :], zero, whitened[e], start, n)
                _call_features(address, labels[l], v[e], rows)  # type: ignore[call-arg]
                part = weights[start : start + n]
                add_products(rows, part, lefts, starts, p.rights, table)
                if sizes.size > 0:
                    left, right = p.term_left[kind], p.term_right[kind]
                    add_sizes(
                        rows, p.units, part, reach, p.term_starts, own, left, right, sizes[e, l]
                    )
            place = p.place[kind]
            for j in range(out.shape[2]):
                total = 0.0
                for t in range(p.term_starts[j], p.term_starts[j + 1]):
                    total += own[t] * table[place[t]]
                out[e, l, j] += total
