r"""Smooth integrands as products of few features, evaluated on rows of nodes.

As in :mod:`numerics.expectations.product_integrands` an integrand is a sum of products of two
features, and what is summed over the nodes is the product.  Here the label is a number: a feature
such as :math:`\pi_a-\delta_{ay}` is :math:`\pi_a` in all components but one, and is met once.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, partial

import numpy as np
import sympy as sp

from numerics.core import codegen
from numerics.core.validation import Array
from theory import Model, symbols

from ..product_integrands import MANY, ProductIntegrands
from ..smooth_integrands import NO_SIZES, Fields
from .row_code import row_code
from .row_functions import ROW
from .row_sums import FEATURES, Index, Products, add_moments, address_of


class BlockedIntegrands(ProductIntegrands):
    """Integrands in machine code; see :class:`numerics.expectations.smooth_integrands.Integrands`.

    Parameters
    ----------
    model : theory.Model
        With a smooth loss.
    integrands : sequence of sympy.Expr
        In y, u, w, v.
    """

    def __init__(self, model: Model, integrands: Sequence[sp.Expr]) -> None:
        super().__init__(model, integrands, "numpy", whole=len(integrands) < MANY)
        s, labels = model.symbols, list(dict.fromkeys(model.mixture.labels))
        own, table = _at_labels(tuple(self._features), labels)
        used = codegen.symbols_in(own)
        self._uses_whitened = bool(used & set(s.whitened))
        variables = (*s.fields, *(s.whitened if self._uses_whitened else ()))
        code = row_code(variables, (("y", (symbols.LABEL,)), ("v", s.held)), own)
        self.source = code.source
        self._features_module = codegen.load_module(self.source)
        kinds = {float(label): kind for kind, label in enumerate(labels)}
        self.kinds = np.array([kinds[float(y)] for y in model.mixture.labels], dtype=np.int64)
        self._kind_of = kinds
        self.labels = np.array([float(y) for y in model.mixture.labels])
        starts = (code.first + table) * ROW
        # taking columns may leave them one behind the other, which is another type to compile for
        lefts, rights = (
            np.ascontiguousarray(starts[:, chosen]) for chosen in (self._left, self._right)
        )
        ends = np.append(self._starts, self._left.size).astype(np.int64)
        self.products = _products(code.total, len(s.fields), lefts, rights, ends)
        self._constant: Array | None = None
        if not any(c.free_symbols for c in self._coefficients):
            numbers = np.array([float(c) for c in self._coefficients])
            self._constant = numbers[self._coefficient][None, None]

    @cached_property
    def address(self) -> int:
        """Where the machine code of the features stands."""
        return address_of(self._features_module.features, FEATURES)

    def moments(self, fields: Fields, reach: float = 0.0, sizes: Array | None = None) -> Array:
        """E_l[f_j]; ``sizes`` gains E_l[|f_j| (1 + reach max_a |u_a|)] where it is given."""
        whitened = NO_SIZES
        if self._uses_whitened:
            whitened = np.ascontiguousarray(np.swapaxes(fields.whitened, 1, 2))
        states, components = fields.means.shape[:2]
        kinds = self.kinds
        if components != kinds.size:
            kinds = np.array([self._kind_of[float(y)] for y in fields.labels], dtype=np.int64)
        out = np.zeros((states, components, len(self.integrands)))
        # contiguous and writable all: code is compiled anew for every kind of array it meets
        v = np.ascontiguousarray(fields.readout)
        add_moments(
            self.address,
            self.products,
            fields.labels,
            kinds,
            np.ascontiguousarray(fields.means),
            np.ascontiguousarray(np.swapaxes(fields.shift, 1, 2)),
            whitened,
            np.array(fields.weights),
            v,
            self.coefficient_values(fields.labels, v),
            reach,
            out,
            NO_SIZES if sizes is None else sizes,
        )
        return out

    def coefficient_values(self, labels: Array, readout: Array) -> Array:
        """Coefficients of all terms, shape (1 or R, 1 or L, number of terms)."""
        if self._constant is not None:
            return self._constant
        found = [self._coefficients_at(labels, v).T for v in readout]
        return np.ascontiguousarray(np.array(found)[:, :, self._coefficient])


def _at_labels(
    features: Sequence[sp.Expr], labels: Sequence[sp.Expr]
) -> tuple[tuple[sp.Expr, ...], Index]:
    """The distinct features where deltas of the label have values, and which of them a feature is
    at every label, shape (labels, features).
    """
    own: dict[sp.Expr, int] = {}
    table = np.empty((len(labels), len(features)), dtype=np.int64)
    for j, e in enumerate(features):
        deltas = [d for d in e.atoms(sp.KroneckerDelta) if d.has(symbols.LABEL)]
        known: dict[tuple[sp.Expr, ...], int] = {}
        for i, label in enumerate(labels):
            values = tuple(d.xreplace({symbols.LABEL: label}) for d in deltas)
            if values not in known:
                here = e.xreplace(dict(zip(deltas, values, strict=True))) if deltas else e
                known[values] = own.setdefault(here, len(own))
            table[i, j] = known[values]
    return tuple(own), table


def _products(total: int, units: int, lefts: Index, rights: Index, term_starts: Index) -> Products:
    """Number the products of every label, those with the same left row side by side.

    ``lefts`` and ``rights``, shape (labels, terms), are where the rows of a term begin.
    """
    groups: list[int] = []
    starts, ends, found, places = [0], [0], [], []
    for left, right in zip(lefts, rights, strict=True):
        both = np.stack([np.minimum(left, right), np.maximum(left, right)])
        pairs, place = np.unique(both, axis=1, return_inverse=True)
        distinct, counts = np.unique(pairs[0], return_counts=True)
        groups.extend(distinct.tolist())
        starts.extend((starts[-1] + np.cumsum(counts)).tolist())
        ends.append(len(groups))
        found.append(pairs[1])
        places.append(place.ravel())
    as_index = partial(np.array, dtype=np.int64)
    return Products(
        total,
        units,
        groups=as_index(ends),
        lefts=as_index(groups),
        starts=as_index(starts),
        rights=np.concatenate(found).astype(np.int64),
        term_starts=term_starts,
        place=as_index(places),
        term_left=lefts,
        term_right=rights,
        widest=max(each.size for each in found),
    )
