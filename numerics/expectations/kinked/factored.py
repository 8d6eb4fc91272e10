"""Integrands as products of a function and of whitened pre-activations: sums of all of them are
matrix products.

Blocks of a matrix on the span have few functions, :math:`H_{ab}(u)`, each times the same products
:math:`w_iw_j`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from numerics.core.validation import Array


class FactoredIntegrands:
    """Functions, and products of whitened pre-activations, of which integrands are the products.

    Parameters
    ----------
    integrands : sequence of sympy.Expr
    whitened : sequence of sympy.Symbol

    Attributes
    ----------
    functions : tuple of sympy.Expr
        Distinct ones; what is no power of a whitened pre-activation stays in them.
    products : list of tuple of int
        Whitened pre-activations that are multiplied, with repetition.

    Examples
    --------
    >>> u, v, w = sp.symbols("u v w")
    >>> factored = FactoredIntegrands([u, u * v * w**2, u * w, u * v], [v, w])
    >>> factored.functions, factored.products
    ((u,), [(), (0, 1, 1), (1,), (0,)])
    """

    def __init__(self, integrands: Sequence[sp.Expr], whitened: Sequence[sp.Symbol]) -> None:
        places = {w: i for i, w in enumerate(whitened)}
        partners: dict[sp.Expr, dict[tuple[int, ...], None]] = {}
        pairs = [_split(e, places) for e in integrands]
        for function, product in pairs:
            partners.setdefault(function, {}).setdefault(product)
        # functions that meet the same products are multiplied with them at once
        groups: dict[frozenset[tuple[int, ...]], list[sp.Expr]] = {}
        for function, products in partners.items():
            groups.setdefault(frozenset(products), []).append(function)
        self.products = list(dict.fromkeys(product for _, product in pairs))
        self.functions = tuple(f for members in groups.values() for f in members)
        column = {product: i for i, product in enumerate(self.products)}
        place: dict[tuple[sp.Expr, tuple[int, ...]], int] = {}
        self._groups: list[tuple[slice, NDArray[np.intp]]] = []
        start = 0
        for met, members in groups.items():
            ordered = sorted(met, key=column.__getitem__)
            columns = np.array([column[product] for product in ordered], dtype=np.intp)
            self._groups.append((slice(start, start + len(members)), columns))
            start += len(members)
            for function in members:
                for product in ordered:
                    place[function, product] = len(place)
        self._place = np.array([place[pair] for pair in pairs], dtype=np.intp)
        order = {function: i for i, function in enumerate(self.functions)}
        self._function = np.array([order[f] for f, _ in pairs], dtype=np.intp)
        self._product = np.array([column[p] for _, p in pairs], dtype=np.intp)

    @property
    def rows(self) -> int:
        """Arrays that are held at once."""
        return len(self.functions) + len(self.products)

    def values(self, functions: Array, white: Array) -> Array:
        """Every integrand, (J, N), of values of the functions at whitened ``white``, (C, N)."""
        if self.products == [()]:
            return functions[self._function]
        return np.asarray(functions[self._function] * self._products(white)[self._product])

    def sums(self, functions: Array, white: Array, weights: Array) -> Array:
        """Sums of every integrand over the nodes of every pair, (pair, J); the nodes of one pair
        stand after those of another.
        """
        n = weights.size
        pairs = functions.shape[1] // n
        weighted = (self._products(white).reshape(-1, pairs, n) * weights).swapaxes(0, 1)
        apart = functions.reshape(-1, pairs, n).swapaxes(0, 1)
        tables = [
            apart[:, rows] @ weighted[:, columns].swapaxes(1, 2) for rows, columns in self._groups
        ]
        flat = [table.reshape(pairs, -1) for table in tables]
        return np.concatenate([np.empty((pairs, 0)), *flat], axis=1)[:, self._place]

    def _products(self, white: Array) -> Array:
        out = np.empty((len(self.products), white.shape[1]))
        for row, product in zip(out, self.products, strict=True):
            row[:] = white[product[0]] if product else 1.0
            for i in product[1:]:
                row *= white[i]
        return out


def _split(e: sp.Expr, places: dict[sp.Symbol, int]) -> tuple[sp.Expr, tuple[int, ...]]:
    """A product as its other factors and the whitened pre-activations in it, with repetition."""
    function, product = [], []
    for factor in sp.Mul.make_args(e):
        base, power = factor.as_base_exp()
        if base in places and power.is_Integer and power > 0:
            product += [places[base]] * int(power)
        else:
            function.append(factor)
    return sp.Mul(*function), tuple(sorted(product))
