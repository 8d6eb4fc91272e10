"""What a contraction is once integrals and elementary factors have values: matrix products.

The counterpart of :class:`numerics.expectations.sparse_polynomial.SparsePolynomial` for a
:class:`theory.expectations.contracted.ContractedVector`: the same values go in, the same numbers
come out, but no entry is written out in symbols.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import sympy as sp

from numerics.core.validation import Array
from theory.expectations.contracted import ContractedVector, Selection
from theory.expectations.contraction import MomentTensor, Operand, Tensor
from theory.expectations.derived import find_expectations

from ..sparse_polynomial import SparsePolynomial, Terms, joined_terms
from .tensor_sums import Index, Listed, TensorProduct, tensor_sums

# what a tensor has at an index: a kind of value and a position among these
Source = tuple[str, int]
# a tensor of a term: letters and shape of its free indices, and a source for each entry
Sources = tuple[str, tuple[int, ...], list[Source]]


def contracted_integrands(vector: ContractedVector) -> dict[sp.Expr, int]:
    """The integrands that the selected entries need, with their positions."""
    found: dict[sp.Expr, int] = {}
    for selection in vector.selections:
        if not selection.indices:
            continue
        for term in selection.contraction.terms:
            for operand in term.operands:
                if isinstance(operand[0], MomentTensor):
                    for at in _indices(operand, selection, moments=True):
                        integrand = operand[0].integrand(*at)
                        if not integrand.is_number:
                            found.setdefault(integrand, len(found))
    return found


class ContractedTerms:
    """A contracted vector over the values [outer, reciprocals, moments, leaves].

    Attributes
    ----------
    leaves, reciprocals, moments
        As of :class:`numerics.expectations.sparse_polynomial.SparsePolynomial`.
    inner : SparsePolynomial
        What tensors and factors consist of, where it is neither a value nor a number.
    numbers : array
        The numbers among them.
    """

    def __init__(
        self,
        vector: ContractedVector,
        outer: Sequence[sp.Symbol],
        integrands: dict[sp.Expr, int],
        components: int,
    ) -> None:
        self._outer = {s: i for i, s in enumerate(outer)}
        self._integrands = integrands
        # expressions in outer symbols, and numbers, that tensors and factors consist of
        self._composites: dict[sp.Expr, int] = {}
        self._numbers: dict[float, int] = {}
        found = [list(self._products(s)) for s in vector.selections]
        self.inner = SparsePolynomial(tuple(self._composites), outer, integrands, components)
        self.leaves, self.reciprocals = self.inner.leaves, self.inner.reciprocals
        self.moments = self.inner.moments
        end = self.moments.stop + len(self.leaves)
        starts = {"outer": 0, "moment": self.moments.start, "composite": end}
        starts["number"] = end + len(self._composites)
        self.numbers = np.array(list(self._numbers), dtype=float)
        self._sums: list[Callable[[Array], Array]] = [
            tensor_sums(s, [_placed(p, starts) for p in products], starts["number"], self.numbers)
            for s, products in zip(vector.selections, found, strict=True)
        ]
        self._order = None if vector.order is None else np.array(vector.order, dtype=np.int64)

    def evaluate(self, values: Array) -> Array:
        """Evaluate all expressions at rows of concatenated values, shape (R, expressions)."""
        return self._contract(values, self.inner.evaluate(values), self.numbers)

    def absolute(self, values: Array) -> Array:
        """Sums of the absolute values of the terms of each expression, for rows of values >= 0."""
        return self._contract(values, self.inner.absolute(values), np.abs(self.numbers))

    def listed(self) -> tuple[Terms, Index] | None:
        """All entries as polynomials in [values, those of ``inner``, numbers], and which of them
        each expression is; None where some are contracted tensor by tensor.
        """
        parts = [each.terms for each in self._sums if isinstance(each, Listed)]
        if len(parts) < len(self._sums):
            return None
        joined = joined_terms(parts)
        count = joined.starts.size - 1
        return joined, np.arange(count) if self._order is None else self._order

    def entries(self, known: Array) -> Array:
        """All expressions at rows of [values, those of ``inner``, numbers]."""
        parts = [each(known) for each in self._sums]
        whole = np.concatenate(parts, axis=1) if parts else np.zeros((len(known), 0))
        return whole if self._order is None else whole[:, self._order]

    def _contract(self, values: Array, composites: Array, constants: Array) -> Array:
        fixed = np.broadcast_to(constants, (len(values), constants.size))
        return self.entries(np.concatenate([values, composites, fixed], axis=1))

    def _products(self, selection: Selection) -> Iterator[list[Sources]]:
        """For every term its factor, and its tensors."""
        if not selection.indices:
            return
        held = dict(selection.fixed)
        for term in selection.contraction.terms:
            product: list[Sources] = [("", (), [self._outer_source(term.factor)])]
            for tensor, letters in term.operands:
                # a letter that stands twice, such as that of a token, takes a diagonal
                sizes = dict(zip(letters, tensor.shape, strict=True))
                free = [c for c in sizes if c not in held]
                sources = [
                    self._source(tensor, at) for at in _indices((tensor, letters), selection)
                ]
                product.append(("".join(free), tuple(sizes[c] for c in free), sources))
            yield product

    def _source(self, tensor: Tensor, at: tuple[int, ...]) -> Source:
        if isinstance(tensor, MomentTensor):
            integrand = tensor.integrand(*at[1:])
            if not integrand.is_number:
                return "moment", at[0] * len(self._integrands) + self._integrands[integrand]
            return self._outer_source(integrand)
        return self._outer_source(tensor.entry(*at))

    def _outer_source(self, e: sp.Expr) -> Source:
        if e in self._outer:
            return "outer", self._outer[e]
        if e.is_number:
            return "number", self._numbers.setdefault(float(e), len(self._numbers))
        return "composite", self._composites.setdefault(e, len(self._composites))


def _indices(
    operand: Operand, selection: Selection, *, moments: bool = False
) -> Iterator[tuple[int, ...]]:
    """All indices of a tensor with the held letters at their values; without the component, for
    ``moments``.
    """
    held = dict(selection.fixed)
    tensor, letters = operand
    pairs = list(zip(letters, tensor.shape, strict=True))[int(moments) :]
    sizes = {c: n for c, n in pairs if c not in held}
    for at in np.ndindex(*sizes.values()):
        where = held | dict(zip(sizes, at, strict=True))
        yield tuple(where[c] for c, _ in pairs)


def _placed(product: list[Sources], starts: dict[str, int]) -> TensorProduct:
    """The tensors of a term as positions among all values."""
    letters = tuple(letters for letters, _, _ in product)
    arrays: list[Index] = [
        np.array([starts[kind] + i for kind, i in sources], dtype=np.int64).reshape(shape)
        for _, shape, sources in product
    ]
    return TensorProduct(letters, tuple(arrays))


def terms_of(
    expressions: Sequence[sp.Expr], outer: Sequence[sp.Symbol], components: int
) -> tuple[dict[sp.Expr, int], SparsePolynomial | ContractedTerms]:
    """The distinct integrands with their positions, and the rest: contracted where it can be."""
    if isinstance(expressions, ContractedVector):
        position = contracted_integrands(expressions)
        return position, ContractedTerms(expressions, outer, position, components)
    position = {}
    for e in expressions:
        for node in find_expectations(e):
            position.setdefault(node.general_integrand, len(position))
    return position, SparsePolynomial(expressions, outer, position, components)
