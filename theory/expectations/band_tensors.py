"""What formulas hold of the bands of the noise and of tokens, as operands of contractions."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, lru_cache

import sympy as sp

from theory.problem.covariance.bands import rank_of
from theory.problem.model import Model
from theory.symbols import TOKENS

from .contraction import Operand, Tensor

# what integration by parts runs over
UNIT_FIELD, TEACHER_FIELD = "u", "t"


class BandTensors:
    """Letters, scales, shares and ranks of bands; for isotropic noise there are none.

    Parameters
    ----------
    model : Model
    """

    def __init__(self, model: Model) -> None:
        self.model = model

    def over(self, letters: str) -> str:
        """Letters of indices, without those of bands where there is one band."""
        return self.model.symbols.over(letters)

    def variance(self, letters: str) -> tuple[Operand, ...]:
        """sigma_lg^2, as operands: none for isotropic noise."""
        if self.model.mixture.bands is None:
            return ()
        return ((self._variances, self.over(letters)),)

    def fraction(self, letter: str) -> tuple[Operand, ...]:
        """rho_g, as operands: none where there is one band."""
        return ((self._fractions, letter),) if self.model.bands > 1 else ()

    def rank(self, letter: str) -> tuple[sp.Expr, tuple[Operand, ...]]:
        """The number of directions, and what it is to be multiplied by: in band g it is the rank of
        Gamma^g.
        """
        if self.model.bands == 1:
            return sp.Integer(self.model.directions), ()
        return sp.Integer(1), ((self._ranks, letter),)

    def every(self, letters: str) -> tuple[Operand, ...]:
        """1 in every band, as operands: for what does not depend on one of its bands."""
        if self.model.bands == 1:
            return ()
        return tuple((self._ones, letter) for letter in letters)

    def same_token(self, first: str, second: str) -> tuple[Operand, ...]:
        """delta_pq of the tokens of two slopes, as operands: none where they are one."""
        if self.model.tokens == 1 or first == second:
            return ()
        return ((identity(self.model.tokens), first + second),)

    def same_band(self, letters: str) -> tuple[Operand, ...]:
        """delta_gh, as operands."""
        return ((identity(self.model.bands), letters),) if self.model.bands > 1 else ()

    @cached_property
    def _variances(self) -> Tensor:
        mixture = self.model.mixture
        shape = (self.model.components, *self.model.symbols.band_shape())
        return Tensor("sigma^2", shape, lambda l, g=0: mixture.variance(l, g))

    @cached_property
    def _fractions(self) -> Tensor:
        bands = self.model.mixture.bands
        values = () if bands is None else bands.fractions
        return Tensor("rho", self.model.symbols.band_shape(), lambda g: values[g])

    @cached_property
    def _ones(self) -> Tensor:
        return Tensor("1", self.model.symbols.band_shape(), lambda g: sp.Integer(1))

    @cached_property
    def _ranks(self) -> Tensor:
        mixture = self.model.mixture
        shape = self.model.symbols.band_shape()
        return Tensor("rank", shape, lambda g: sp.Integer(rank_of(mixture.band_gram(g))))

    def _of_tokens(self, name: str, matrix: sp.MatrixBase) -> Tensor:
        """A tensor of a matrix with a row for every component and token."""
        tokens = self.model.tokens
        if tokens == 1:
            return of_matrix(name, matrix)
        shape = (self.model.components, tokens, matrix.cols)
        return Tensor(name, shape, lambda l, p, s: matrix[l * tokens + p, s])

    def _of_bands(self, name: str, matrix: sp.MatrixBase) -> Tensor:
        """A tensor of matrices of bands that stand one below the other."""
        bands = self.model.bands
        if bands == 1:
            return of_matrix(name, matrix)
        rows = matrix.rows // bands
        shape = (bands, rows, matrix.cols)
        return Tensor(name, shape, lambda g, i, j: matrix[g * rows + i, j])


@lru_cache(maxsize=64)
def identity(size: int) -> Tensor:
    """delta_ab."""
    return Tensor("delta", (size, size), lambda a, b: sp.Integer(int(a == b)))


def of_matrix(name: str, matrix: sp.MatrixBase) -> Tensor:
    """The entries of a matrix."""
    return Tensor(name, matrix.shape, lambda i, j: matrix[i, j])


def kinds_of(letters: str, teachers: str) -> str:
    """For every letter, but those of tokens, whether it runs over units or over teachers."""
    fields = (c for c in letters if c not in TOKENS)
    return "".join(TEACHER_FIELD if c in teachers else UNIT_FIELD for c in fields)


def positions_of(
    sizes: Sequence[tuple[int, ...]], index: tuple[int, ...], units: int
) -> tuple[int, ...]:
    """The position that each index is of; a unit and a token have one of both together."""
    if len(sizes) == len(index):
        return index
    left = iter(index)
    found = []
    for size in sizes:
        at = next(left)
        found.append(at if len(size) == 1 else at + next(left) * units)
    return tuple(found)
