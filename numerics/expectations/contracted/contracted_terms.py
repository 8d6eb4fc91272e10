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
# kinds of values in the order in which they are laid out
KINDS = ("outer", "moment", "composite", "number")
# a tensor of a term: the letters of its free indices, and kind and position for each entry
Sources = tuple[str, tuple[Index, Index]]
# a tensor, and for each of its indices the value it is held at, or the letters before its own
Shape = tuple[Tensor, tuple[tuple[bool, int], ...]]


def contracted_integrands(vector: ContractedVector) -> dict[sp.Expr, int]:
    """The integrands that the selected entries need, with their positions."""
    found: dict[sp.Expr, int] = {}
    seen: set[Shape] = set()
    for selection in vector.selections:
        if not selection.indices:
            continue
        for term in selection.contraction.terms:
            for operand in term.operands:
                shape = _shape(operand, selection)
                if isinstance(operand[0], MomentTensor) and shape not in seen:
                    seen.add(shape)
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
        self._known: dict[Shape, tuple[Index, Index]] = {}
        found = [list(self._products(s)) for s in vector.selections]
        self.inner = SparsePolynomial(tuple(self._composites), outer, integrands, components)
        self.leaves, self.reciprocals = self.inner.leaves, self.inner.reciprocals
        self.moments = self.inner.moments
        end = self.moments.stop + len(self.leaves)
        numbers = end + len(self._composites)
        starts = np.array([0, self.moments.start, end, numbers])
        self.numbers = np.array(list(self._numbers), dtype=float)
        self._sums: list[Callable[[Array], Array]] = [
            tensor_sums(s, [_placed(p, starts) for p in products], numbers, self.numbers)
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
            kind, position = self._outer_source(term.factor)
            product: list[Sources] = [("", (np.array(KINDS.index(kind)), np.array(position)))]
            for operand in term.operands:
                # a letter that stands twice, such as that of a token, takes a diagonal
                free = "".join(c for c in dict.fromkeys(operand[1]) if c not in held)
                product.append((free, self._sources(operand, selection)))
            yield product

    def _sources(self, operand: Operand, selection: Selection) -> tuple[Index, Index]:
        """Kind and position of every entry, found once for tensors that stand in many terms."""
        shape = _shape(operand, selection)
        if shape not in self._known:
            tensor, letters = operand
            moments = isinstance(tensor, MomentTensor)
            entry = self._integrand_source if moments else self._entry_source
            found = [entry(tensor, at) for at in _indices(operand, selection, moments=moments)]
            sizes = _sizes(operand, selection, moments=moments)
            kinds = np.array([KINDS.index(kind) for kind, _ in found], dtype=np.int64)
            positions = np.array([position for _, position in found], dtype=np.int64)
            kinds, positions = (x.reshape(tuple(sizes.values())) for x in (kinds, positions))
            if moments:  # the same integrands in every component, those of one after another
                held = dict(selection.fixed)
                at = np.array(held.get(letters[0], range(tensor.shape[0])), dtype=np.int64)
                at = at.reshape(at.shape + (1,) * len(sizes))
                first = at * len(self._integrands) * (kinds == KINDS.index("moment"))
                positions = first + positions
                kinds = np.broadcast_to(kinds, positions.shape)
            self._known[shape] = kinds, positions
        return self._known[shape]

    def _integrand_source(self, tensor: Tensor, at: tuple[int, ...]) -> Source:
        """Of a moment in the first component."""
        assert isinstance(tensor, MomentTensor)
        integrand = tensor.integrand(*at)
        if integrand in self._integrands:
            return "moment", self._integrands[integrand]
        return self._outer_source(integrand)  # the expectation of a number

    def _entry_source(self, tensor: Tensor, at: tuple[int, ...]) -> Source:
        return self._outer_source(tensor.entry(*at))

    def _outer_source(self, e: sp.Expr) -> Source:
        if e in self._outer:
            return "outer", self._outer[e]
        if e.is_number:
            return "number", self._numbers.setdefault(float(e), len(self._numbers))
        return "composite", self._composites.setdefault(e, len(self._composites))


def _sizes(operand: Operand, selection: Selection, *, moments: bool = False) -> dict[str, int]:
    """The ranges of the letters of a tensor that are not held; without that of the component, for
    ``moments``.
    """
    held = dict(selection.fixed)
    tensor, letters = operand
    pairs = list(zip(letters, tensor.shape, strict=True))[int(moments) :]
    return {c: n for c, n in pairs if c not in held}


def _indices(
    operand: Operand, selection: Selection, *, moments: bool = False
) -> Iterator[tuple[int, ...]]:
    """All indices of a tensor with the held letters at their values; without the component, for
    ``moments``.
    """
    held = dict(selection.fixed)
    sizes = _sizes(operand, selection, moments=moments)
    letters = operand[1][int(moments) :]
    for at in np.ndindex(*sizes.values()):
        where = held | dict(zip(sizes, at, strict=True))
        yield tuple(where[c] for c in letters)


def _shape(operand: Operand, selection: Selection) -> Shape:
    """What the entries of a tensor depend on that a term reads."""
    tensor, letters = operand
    held = dict(selection.fixed)
    return tensor, tuple((c in held, held.get(c, letters.index(c))) for c in letters)


def _placed(product: list[Sources], starts: Index) -> TensorProduct:
    """The tensors of a term as positions among all values."""
    letters = tuple(letters for letters, _ in product)
    arrays = tuple(starts[kinds] + positions for _, (kinds, positions) in product)
    return TensorProduct(letters, arrays)


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
