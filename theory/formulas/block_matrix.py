"""Matrices in blocks V B Vᵀ + cI, one block a pair of layers or units."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import index
from typing import Any, SupportsIndex

import sympy as sp

from theory.errors import InputError
from theory.expectations.contracted import ContractedMatrix
from theory.expectations.derived import Derived, shown_as
from theory.expectations.moments import exists
from theory.keywords import with_known_keywords
from theory.names import DISTRIBUTIONAL
from theory.notebook import entries_latex
from theory.problem.model import Model
from theory.symbols import upper_triangle

from .block_tensors import Block, BlockTensors

__all__ = ["Block", "BlockMatrix"]

_LETTERS = {"hessian": "H", "gradient": "G", "gauss-newton": "N", "fisher": "F"}


@with_known_keywords
@dataclass(frozen=True, repr=False)
class BlockMatrix(Derived):
    """A population second-moment matrix (Hessian or G) by its blocks.

    Attributes
    ----------
    first_layer : mapping (a, b) -> Block, a <= b
        d x d blocks of x^a, x^b; :meth:`block` also serves a > b.
    mixed : matrix, (C q) x (r + C)
        Row a q + i: coefficients on V of the d-vector in the block of x^a, v_i.
    readout : matrix, q x q
    kink_rule : str
        What a Hessian keeps of the kinks of the loss; G has no second derivative, and no such
        choice.

    Examples
    --------
    >>> from theory import derive_hessian, xor
    >>> hessian = derive_hessian(xor(2), kink_rule="almost-everywhere")
    >>> hessian.kind, hessian.regularized, list(hessian.first_layer)
    ('hessian', True, [(0, 0), (0, 1), (1, 1)])
    >>> hessian.block(1, 0).coefficients.shape, hessian.mixed.shape
    ((4, 4), (4, 4))
    """

    model: Model
    route: str
    kind: str
    regularized: bool
    first_layer: Mapping[tuple[int, int], Block] = field(metadata=shown_as("B"))
    mixed: sp.ImmutableDenseMatrix = field(metadata=shown_as("B^{xv}"))
    readout: sp.ImmutableDenseMatrix = field(metadata=shown_as("B^{vv}"))
    kink_rule: str = DISTRIBUTIONAL

    def block(self, a: int, b: int) -> Block:
        """Return the block of the 0-based units (a, b); block (b, a) is its transpose."""
        size = self.model.units
        if not all(isinstance(i, SupportsIndex) and 0 <= index(i) < size for i in (a, b)):
            raise InputError("block", (a, b), f"two units in 0..{size - 1}", "count units from 0")
        if a <= b:
            return self.first_layer[a, b]
        found = self.first_layer[b, a]
        return Block(sp.ImmutableDenseMatrix(found.coefficients.T), found.bulk)

    def entries(
        self, pairs: Sequence[tuple[int, int]], *, mixed: bool = False, readout: Sequence[int] = ()
    ) -> Sequence[sp.Expr]:
        """The coefficients, row by row, and the bulk of every block of ``pairs`` (0-based units in
        either order); then ``mixed``, if asked for; then ``readout`` at 0-based rows and columns.
        """
        if self._is_contracted:
            return self.first_layer.tensors.entries(pairs, mixed=mixed, readout=readout)  # type: ignore[attr-defined]
        expressions: list[sp.Expr] = []
        for a, b in pairs:
            block = self.block(a, b)
            bulk = block.bulk if isinstance(block.bulk, sp.MatrixBase) else [block.bulk]
            expressions += [*block.coefficients, *bulk]
        expressions += self.mixed if mixed else ()
        return (*expressions, *(self.readout[i, j] for i in readout for j in readout))

    def _equations(self) -> Iterator[tuple[str, str]]:
        r"""Block (1, 1) on the span and off it, one of the other kinds, and how they are built."""
        letter = _LETTERS[self.kind]
        yield rf"{letter}_{{ab}}", r"V B_{ab} V^T + c_{ab} I,\quad V = [e_1..e_r, x^1..x^C]"
        first = self.block(0, 0)
        yield from entries_latex("(B_{11})", first.coefficients)
        yield from entries_latex("c_{11}", first.bulk)
        if self.model.readout_size:
            yield from entries_latex(f"{letter}^{{vv}}", self.readout)

    @property
    def _is_contracted(self) -> bool:
        """Whether every part still is what was derived."""
        tensors = getattr(self.first_layer, "tensors", None)
        return (
            tensors is not None
            and self.mixed is tensors.mixed
            and getattr(self.readout, "contraction", None) is tensors.readout
        )


class ContractedBlocks(Mapping[tuple[int, int], Block]):
    """The first-layer blocks of contracted tensors, each built when it is asked for."""

    def __init__(self, tensors: BlockTensors) -> None:
        self.tensors = tensors
        self._blocks: dict[tuple[int, int], Block] = {}

    def __getitem__(self, pair: tuple[int, int]) -> Block:
        if pair not in self._blocks:
            a, b = pair
            if not 0 <= a <= b < self.tensors.units:
                raise KeyError(pair)
            self._blocks[pair] = self.tensors.block(a, b)
        return self._blocks[pair]

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return iter(upper_triangle(self.tensors.units))

    def __len__(self) -> int:
        return self.tensors.units * (self.tensors.units + 1) // 2

    def __or__(self, other: Mapping[tuple[int, int], Block]) -> dict[tuple[int, int], Block]:
        """The blocks with some replaced, as with a dict."""
        return {**self, **other}

    def __reduce__(self) -> Any:
        return dict, (dict(self),)


def contracted_matrix(
    model: Model, route: str, kind: str, regularized: bool, tensors: BlockTensors, kink_rule: str
) -> BlockMatrix:
    """The matrix in blocks of contracted tensors."""
    matrix = BlockMatrix(
        model,
        route,
        kind,
        regularized,
        ContractedBlocks(tensors),
        tensors.mixed,
        ContractedMatrix.of(tensors.readout),
        kink_rule,
    )
    return matrix if exists(model, route) else matrix.written_out()
