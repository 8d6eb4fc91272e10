r"""Many integrands of few factors: moments of all products in one pass over the nodes.

The derivatives of a loss are sums of products of few functions, such as :math:`-\pi_a\pi_b` or
:math:`v_av_b\,\sigma'(f)g'_ag'_b`.  A product is cut into two *features*,

.. math:: E_l[f_j] = \sum_t c_{jt}(y_l, v)\,E_l[\phi_{j_t}\,\psi_{j_t'}],

and the moments of all pairs of features are matrix products over the nodes: code is generated for
the features alone, of which there are as many as units where integrands are as many as pairs of
them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from itertools import accumulate as running_sums
from typing import cast

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from numerics.core import codegen
from numerics.core.validation import Array
from theory import Model, symbols

from .smooth_integrands import Fields

# from here on code for every integrand takes longer to compile than curves take to integrate
MANY = 300
# features that meet so few others gain nothing from a matrix product
FEW = 2
# powers up to this one are products
MOST_REPEATED = 4
# nodes whose features are held at once
BLOCK = 512
_ONE = sp.Integer(1)

Index = NDArray[np.int64]


class ProductIntegrands:
    """Integrands by the moments of pairs of features; see :class:`.smooth_integrands.Integrands`.

    Parameters
    ----------
    model : theory.Model
        With a smooth loss.
    integrands : sequence of sympy.Expr
        In y, u, w, v.
    target : {"numba", "numpy"}
        Of the features.
    whole : bool
        Take sums as one feature: nothing cancels between the moments of their terms.
    """

    def __init__(
        self, model: Model, integrands: Sequence[sp.Expr], target: str, *, whole: bool = False
    ) -> None:
        s = model.symbols
        self.integrands = tuple(integrands)
        self.deltas: list[list[tuple[int, sp.Expr]]] = []
        self._whole = whole
        self._bound = frozenset((*s.fields, *s.whitened))
        self._features: dict[sp.Expr, int] = {_ONE: 0}
        self._coefficients: dict[sp.Expr, int] = {}
        rows, pairs, coefficients = [], [], []
        for j, integrand in enumerate(self.integrands):
            for coefficient, left, right in self._terms(integrand):
                rows.append(j)
                known = self._features
                first, second = (known.setdefault(f, len(known)) for f in (left, right))
                pairs.append((first, second))
                numbers = self._coefficients
                coefficients.append(numbers.setdefault(coefficient, len(numbers)))
        self._starts = np.searchsorted(rows, np.arange(len(self.integrands)))
        self._coefficient = np.array(coefficients, dtype=np.int64)
        self._arrange(pairs)
        arguments: codegen.Arguments = (
            ("y", (symbols.LABEL,)),
            ("u", s.fields),
            ("w", s.whitened),
            ("v", s.held),
        )
        self._arguments = arguments
        features = tuple(self._features)
        self.source = codegen.generate_function("features", arguments, features, target)
        self._fill: Callable[..., None] | None = None
        if target == "numba":
            self.source += _FILL
            self._fill = codegen.load_module(self.source).fill
        outer = codegen.generate_function(
            "coefficients", (arguments[0], arguments[3]), tuple(self._coefficients), "numpy"
        )
        self._coefficient_function = codegen.load_module(outer).coefficients

    def _terms(self, integrand: sp.Expr) -> Iterator[tuple[sp.Expr, sp.Expr, sp.Expr]]:
        """Coefficient and two features of every term; a sum of single functions is one feature."""
        split = [self._split(term) for term in sp.Add.make_args(integrand)]
        single = self._whole or all(len(factors) < 2 for _, factors in split)
        if len(split) > 1 and single:
            split = [(_ONE, [integrand])]
        for coefficient, factors in split:
            half = len(factors) // 2
            yield coefficient, sp.Mul(*factors[:half]), sp.Mul(*factors[half:])

    def _split(self, term: sp.Expr) -> tuple[sp.Expr, list[sp.Expr]]:
        """What no node is needed for, and the other factors, powers repeated."""
        outer, inner = [], []
        for factor in sp.Mul.make_args(term):
            base, power = factor.as_base_exp()
            if not factor.free_symbols & self._bound:
                outer.append(factor)
            elif power.is_Integer and 1 < power <= MOST_REPEATED:
                inner += [base] * int(power)
            else:
                inner.append(factor)
        return sp.Mul(*outer), inner

    def _arrange(self, pairs: list[tuple[int, int]]) -> None:
        """Renumber the features, those that are multiplied by the same ones side by side."""
        groups, single = _grouped(set(pairs))
        known = list(self._features)
        order = [i for group in groups for i in group]
        order += sorted(set(range(len(known))) - set(order))
        place = np.argsort(order)
        self._features = {known[i]: n for n, i in enumerate(order)}
        self._left, self._right = place[np.array(pairs, dtype=np.int64).reshape(-1, 2)].T
        ends = list(running_sums(len(group) for group in groups))
        self._dense = list(zip([0, *ends], ends, strict=False))
        self._single = place[np.array(single, dtype=np.int64).reshape(-1, 2)].T

    def moments(self, fields: Fields, reach: float = 0.0, sizes: Array | None = None) -> Array:
        """E_l[f_j]; ``sizes`` gains E_l[|f_j| (1 + reach max_a |u_a|)] where it is given."""
        states, components = fields.means.shape[:2]
        out = np.zeros((states, components, len(self.integrands)))
        for e in range(states):
            coefficients = self._coefficients_at(fields.labels, fields.readout[e])
            for l in range(components):
                for part in _blocks(fields.weights.size):
                    self._add(fields, e, l, part, coefficients, out[e, l])
                    if sizes is not None:
                        self._add_sizes(fields, e, l, part, reach, sizes[e, l])
        return out

    def values(self, u: Array, label: float | Array, v: Array, w: Array | None = None) -> Array:
        """f_j at given pre-activations of shape (C, N), shape (number of integrands, N)."""
        features = self._features_at(u, label, v, np.zeros_like(u) if w is None else w)
        coefficients = self._coefficients_at(np.atleast_1d(label), v)[self._coefficient]
        terms = coefficients * features[self._left] * features[self._right]
        return np.asarray(np.add.reduceat(terms, self._starts, axis=0))

    def _features_at(self, u: Array, label: float | Array, v: Array, w: Array) -> Array:
        """Shape (number of features, N)."""
        out = np.empty((len(self._features), u.shape[1]))
        self._array_function(label, u, w, v, out)
        return out

    @cached_property
    def _array_function(self) -> Callable[..., None]:
        features = tuple(self._features)
        source = codegen.generate_function("features", self._arguments, features, "numpy")
        return cast("Callable[..., None]", codegen.load_module(source).features)

    def _coefficients_at(self, labels: Array, v: Array) -> Array:
        """Shape (number of distinct coefficients, L)."""
        out = np.empty((len(self._coefficients), len(labels)))
        self._coefficient_function(labels, v, out)
        return out

    def _add(
        self, fields: Fields, e: int, l: int, part: slice, coefficients: Array, out: Array
    ) -> None:
        """Add the sums over some nodes for one component."""
        mean, label = fields.means[e, l], float(fields.labels[l])
        shift, whitened = fields.shift[e, part], fields.whitened[e, part]
        if self._fill is None:
            flat = self._features_at((mean + shift).T, label, fields.readout[e], whitened.T)
            features = np.ascontiguousarray(flat.T)
        else:
            features = np.empty((len(shift), len(self._features)))
            self._fill(label, mean, shift, whitened, fields.readout[e], features)
        weighted = features * fields.weights[part][:, None]
        table = np.empty((features.shape[1], features.shape[1]))
        for start, stop in self._dense:
            own = slice(start, stop)
            table[own, own] = weighted[:, own].T @ features[:, own]
        left, right = self._single
        table[left, right] = np.einsum("ia,ia->a", weighted[:, left], features[:, right])
        terms = coefficients[self._coefficient, l] * table[self._left, self._right]
        out += np.add.reduceat(terms, self._starts)

    def _add_sizes(
        self, fields: Fields, e: int, l: int, part: slice, reach: float, sizes: Array
    ) -> None:
        u = (fields.means[e, l] + fields.shift[e, part]).T
        whitened = fields.whitened[e, part].T
        f = self.values(u, float(fields.labels[l]), fields.readout[e], whitened)
        sizes += np.abs(f) @ (fields.weights[part] * (1.0 + reach * np.abs(u).max(axis=0)))


def _blocks(nodes: int) -> list[slice]:
    """Nodes whose features are held at once."""
    return [slice(i, min(i + BLOCK, nodes)) for i in range(0, nodes, BLOCK)]


def _grouped(pairs: set[tuple[int, int]]) -> tuple[list[list[int]], list[tuple[int, int]]]:
    """Sets of features whose products are all wanted, or nearly, and single products.

    Features that are multiplied belong together, unless one of them meets few others.
    """
    degree = Counter(i for pair in pairs for i in set(pair))
    single = sorted(p for p in pairs if min(degree[p[0]], degree[p[1]]) <= FEW)
    parent: dict[int, int] = {}

    def root(i: int) -> int:
        while parent.setdefault(i, i) != i:
            i = parent[i]
        return i

    for a, b in sorted(pairs - set(single)):
        parent[root(a)] = root(b)
    groups: dict[int, list[int]] = {}
    for i in sorted(parent):
        groups.setdefault(root(i), []).append(i)
    return list(groups.values()), single


_FILL = '''

@numba.njit(cache=True, nogil=True, error_model='numpy')
def fill(label, mean, shift, whitened, v, out):
    """Row i of out: the features at u = mean + shift[i]."""
    u = np.empty(mean.size)
    for i in range(shift.shape[0]):
        for a in range(mean.size):
            u[a] = mean[a] + shift[i, a]
        features(label, u, whitened[i], v, out[i])
'''
