"""Contractions in the shapes that formulas have: matrices and vectors expanded entry by entry."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from operator import index as as_index
from typing import Any, SupportsIndex

import sympy as sp

from .contraction import Contraction


class ContractedMatrix(sp.ImmutableDenseMatrix):
    """A matrix that expands an entry when it is asked for, and all of them when it must.

    It is the explicit matrix in all respects but the work of building it: printing, arithmetic and
    comparison expand it, an entry ``[i, j]`` expands that entry alone.

    Attributes
    ----------
    contraction : Contraction, optional
        Of two indices, the matrix itself: what numerics evaluates in place of the entries.
    """

    contraction: Contraction | None
    # what else holds the tensors behind the entries, for matrices of several contractions
    moments: object = None

    @classmethod
    def build(
        cls,
        rows: int,
        columns: int,
        entry: Callable[[int, int], sp.Expr],
        contraction: Contraction | None = None,
    ) -> ContractedMatrix:
        """The matrix of a function of 0-based indices."""
        matrix: ContractedMatrix = object.__new__(cls)
        matrix._mhash = None
        matrix._assumptions = cls.default_assumptions
        matrix._rows, matrix._cols = rows, columns
        matrix._entry_at = entry
        matrix.contraction = contraction
        return matrix

    @classmethod
    def of(cls, contraction: Contraction) -> ContractedMatrix:
        """The matrix of a contraction of two indices, or the column of one of one index.

        Of three indices the matrices of the first one stand one below the other.
        """
        if len(contraction.shape) == 1:
            return cls.build(
                contraction.shape[0], 1, lambda i, _: contraction.entry(i), contraction
            )
        if len(contraction.shape) == 3:
            bands, size, columns = contraction.shape
            return cls.build(
                bands * size,
                columns,
                lambda i, j: contraction.entry(*divmod(i, size), j),
                contraction,
            )
        rows, columns = contraction.shape
        return cls.build(rows, columns, contraction.entry, contraction)

    # what SymPy makes of a matrix is an explicit one
    func = property(lambda self: sp.ImmutableDenseMatrix)
    _fromrep = sp.ImmutableDenseMatrix._fromrep
    _new = sp.ImmutableDenseMatrix._new

    @cached_property
    def explicit(self) -> sp.ImmutableDenseMatrix:
        """All entries expanded."""
        return sp.ImmutableDenseMatrix(self.rows, self.cols, self._entry_at)

    @property
    def _rep(self) -> Any:
        return self.explicit._rep

    @property
    def _args(self) -> tuple[sp.Basic, ...]:
        return self.explicit.args

    def __hash__(self) -> int:
        return hash(self.explicit)

    def __reduce_ex__(self, protocol: SupportsIndex) -> Any:
        return sp.ImmutableDenseMatrix, (self.rows, self.cols, self.explicit.flat())

    def __getitem__(self, key: Any) -> Any:
        single = isinstance(key, tuple) and all(isinstance(i, SupportsIndex) for i in key)
        if not single or len(key) != 2:
            return self.explicit[key]
        i, j = (as_index(n) for n in key)
        if not (-self.rows <= i < self.rows and -self.cols <= j < self.cols):
            raise IndexError(f"Index out of range: a[{key}]")
        return self._entry_at(i % self.rows, j % self.cols)


@dataclass(frozen=True)
class Selection:
    """Some entries of a contraction.

    Attributes
    ----------
    contraction : Contraction
    fixed : tuple of (letter, value)
        Free letters held at a value.
    indices : tuple of tuple of int
        Values of the other free letters, an entry each.
    """

    contraction: Contraction
    indices: tuple[tuple[int, ...], ...]
    fixed: tuple[tuple[str, int], ...] = ()

    @classmethod
    def all_of(cls, contraction: Contraction, fixed: dict[str, int] | None = None) -> Selection:
        """Every entry, the last index fastest."""
        fixed = fixed or {}
        sizes = zip(contraction.output, contraction.shape, strict=True)
        ranges = [range(n) for letter, n in sizes if letter not in fixed]
        return cls(contraction, tuple(product(*ranges)), tuple(fixed.items()))

    @property
    def letters(self) -> str:
        """The letters that ``indices`` give values."""
        held = dict(self.fixed)
        return "".join(letter for letter in self.contraction.output if letter not in held)

    def entry(self, position: int) -> sp.Expr:
        at = dict(self.fixed) | dict(zip(self.letters, self.indices[position], strict=True))
        return self.contraction.entry(*(at[letter] for letter in self.contraction.output))


@dataclass(frozen=True, eq=False)
class ContractedVector(Sequence[sp.Expr]):
    """Expressions one after the other, each expanded when it is asked for.

    Attributes
    ----------
    selections : tuple of Selection
    order : tuple of int, optional
        Positions among the entries of all selections; all of them, in their order, when omitted.
        A position may stand twice.
    """

    selections: tuple[Selection, ...]
    order: tuple[int, ...] | None = None

    @cached_property
    def _places(self) -> tuple[tuple[int, int], ...]:
        """Selection and position in it of every entry."""
        places = [(n, i) for n, s in enumerate(self.selections) for i in range(len(s.indices))]
        return tuple(places if self.order is None else (places[i] for i in self.order))

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, slice):
            return tuple(self[i] for i in range(*key.indices(len(self))))
        selection, position = self._places[key]
        return self.selections[selection].entry(position)

    def __iter__(self) -> Iterator[sp.Expr]:
        return (self[i] for i in range(len(self)))

    def __eq__(self, other: object) -> bool:
        """The same contraction, or the same expressions one by one."""
        if isinstance(other, ContractedVector):
            return (self.selections, self.order) == (other.selections, other.order)
        return tuple(self) == other if isinstance(other, tuple) else NotImplemented

    def __hash__(self) -> int:
        return hash((self.selections, self.order))

    def __reduce__(self) -> Any:
        return tuple, (tuple(self),)


def contraction_of(
    matrix: sp.MatrixBase, output: str, shape: tuple[int, ...]
) -> Contraction | None:
    """The contraction behind a matrix, without terms for an explicit zero, None for others."""
    found: Contraction | None = getattr(matrix, "contraction", None)
    if found is not None:
        return found
    explicit_zero = all(e == 0 for e in matrix)
    return Contraction(output, shape) if explicit_zero else None


def scale(matrix: sp.ImmutableDenseMatrix, factor: sp.Expr) -> sp.ImmutableDenseMatrix:
    """A matrix times a factor; what is contracted stays contracted."""
    found: Contraction | None = getattr(matrix, "contraction", None)
    return matrix * factor if found is None else ContractedMatrix.of(found.scaled(factor))
