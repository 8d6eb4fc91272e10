"""Sums of products of tensors whose entries are values in one vector.

Sums of few products are one list of them, added up by compiled code; larger ones are contracted
tensor by tensor, as matrix products.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from numerics.core.validation import Array
from theory.expectations.contracted import Selection

from ..sparse_polynomial import Terms, evaluate_terms

Index = NDArray[np.int64]
# number of products up to which they are listed: some 5 ns each, where a contraction takes 10 us
LISTED = 20_000
# the letter of rows, which no tensor has
ROWS = "Z"


@dataclass(frozen=True)
class TensorProduct:
    """Tensors to be multiplied: the letters of each, and where its entries stand among values."""

    letters: tuple[str, ...]
    positions: tuple[Index, ...]

    @property
    def sizes(self) -> dict[str, int]:
        """The range of every letter."""
        return {
            letter: size
            for letters, array in zip(self.letters, self.positions, strict=True)
            for letter, size in zip(letters, array.shape, strict=True)
        }


def tensor_sums(
    selection: Selection, products: Sequence[TensorProduct], first: int, numbers: Array
) -> Callable[[Array], Array]:
    """The function from rows of all values to rows of the entries of a selection.

    Parameters
    ----------
    selection : Selection
    products : sequence of TensorProduct
        Of the terms of its contraction.
    first : int
        Position of the first number among the values; numbers never change.
    numbers : array
    """
    count = len(selection.indices)
    if not products or not count:
        return Listed(selection, [], first, numbers)
    letters = selection.letters
    total = 0
    for product in products:
        summed = [n for letter, n in product.sizes.items() if letter not in letters]
        total += count * int(np.prod(summed))
    if total <= LISTED:
        return Listed(selection, products, first, numbers)
    return _Contracted(selection, products)


class Listed:
    """Every product of every entry, by the positions of its factors."""

    def __init__(
        self, selection: Selection, products: Sequence[TensorProduct], first: int, numbers: Array
    ) -> None:
        rows: list[Index] = []
        factors: list[list[Index]] = []
        for product in products:
            row, found = _list(selection, product)
            # what is 0 for ever is left out
            alive = np.ones(row.size, dtype=bool)
            for position in found:
                constant = position >= first
                alive[constant] &= numbers[position[constant] - first] != 0
            rows.append(row[alive])
            factors.append([position[alive] for position in found])
        if not rows:
            none = np.zeros(0, dtype=np.int64)
            starts = np.zeros(len(selection.indices) + 1, dtype=np.int64)
            self.terms = Terms(starts, np.zeros(0), np.zeros(1, dtype=np.int64), none)
            return
        widths = [np.full(row.size, len(each)) for row, each in zip(rows, factors, strict=True)]
        order = np.argsort(np.concatenate(rows), kind="stable")
        flat = [np.stack(each, axis=1) for each in factors]
        whole = [terms[i] for terms in flat for i in range(len(terms))]
        count = len(selection.indices)
        some = [np.zeros(0, dtype=np.int64)]
        self.terms = Terms(
            np.searchsorted(np.concatenate(rows)[order], np.arange(count + 1)),
            np.ones(order.size),
            np.concatenate([[0], np.cumsum(np.concatenate(widths)[order])]),
            np.concatenate([*some, *(whole[i] for i in order)]),
        )

    def __call__(self, values: Array) -> Array:
        out = np.empty((len(values), self.terms.starts.size - 1))
        evaluate_terms(self.terms, self.terms.coefficients, values, out)
        return out


def _list(selection: Selection, product: TensorProduct) -> tuple[Index, list[Index]]:
    """The entry that each product of a term belongs to, and the positions of its factors."""
    free = dict(zip(selection.letters, np.array(selection.indices).T, strict=True))
    summed = {c: n for c, n in product.sizes.items() if c not in free}
    count = len(selection.indices)
    shape = (count, *summed.values())
    at = {c: index.reshape(-1, *(1 for _ in summed)) for c, index in free.items()}
    for axis, (letter, size) in enumerate(summed.items(), start=1):
        at[letter] = np.arange(size).reshape([size if i == axis else 1 for i in range(len(shape))])
    found = []
    for letters, array in zip(product.letters, product.positions, strict=True):
        here = array[tuple(at[letter] for letter in letters)]
        found.append(np.broadcast_to(here, shape).ravel())
    rows = np.broadcast_to(np.arange(count).reshape(-1, *(1 for _ in summed)), shape).ravel()
    return rows, found


class _Contracted:
    """Every term by a sequence of products of two tensors, chosen beforehand."""

    def __init__(self, selection: Selection, products: Sequence[TensorProduct]) -> None:
        self._products = products
        self._at = tuple(np.array(selection.indices).T)
        self._steps = []
        for product in products:
            # the first operand is the factor, a number; one more letter counts the rows
            operands = ",".join(f"{ROWS}{letters}" for letters in product.letters[1:])
            text = f"{operands}->{ROWS}{selection.letters}"
            shapes = [np.broadcast_to(0.0, (1, *array.shape)) for array in product.positions[1:]]
            self._steps.append((text, np.einsum_path(text, *shapes, optimize="optimal")[0]))

    def __call__(self, values: Array) -> Array:
        total: Array = np.zeros(())
        for product, (text, steps) in zip(self._products, self._steps, strict=True):
            factor, *tensors = (values[:, array] for array in product.positions)
            found = np.einsum(text, *tensors, optimize=steps)
            total = total + factor.reshape(-1, *[1] * (found.ndim - 1)) * found
        return np.asarray(total[:, *self._at] if self._at else total[:, None])
