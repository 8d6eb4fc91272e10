"""Gaussian mixture: weights, labels, means in a basis of directions, precision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sympy as sp

from theory import symbols
from theory.errors import InputError, brief_parts
from theory.keywords import with_known_keywords
from theory.notebook import equations_latex, matrix_latex

from .exact_numbers import (
    _check_length,
    as_matrix,
    check_directions_gram,
    check_positive,
    check_weights,
    exact,
    exact_sequence,
)


@with_known_keywords
@dataclass(frozen=True)
class Mixture:
    r"""Mixture of n isotropic Gaussians in R^d, with d left free.

    Component l has weight p_l, label y_l and mean :math:`\mu_l = \sum_s S_{ls} e_s`; a feature is
    :math:`Y = \mu_l + Z/\sqrt\lambda`, Z standard normal.  The directions e_1..e_r are linearly
    independent with Gram matrix Gamma (mathematics.md section 1).

    Parameters
    ----------
    weights : tuple of sympy.Expr, length n
        Class weights p_l > 0, summing to 1.  Numbers or symbols.
    labels : tuple of sympy.Expr, length n
        Labels y_l handed to the loss.
    coordinates : sympy.ImmutableDenseMatrix, n x r
        S: the mean of component l is ``sum_s S[l, s] e_s``.
    directions_gram : sympy.ImmutableDenseMatrix, r x r
        Gamma, symmetric positive definite.
    precision : sympy.Expr
        lambda > 0, the inverse variance of the noise (*not* the weight decay).

    Raises
    ------
    InputError
        If the shapes disagree, numeric weights leave the simplex, a numeric Gamma is not symmetric
        positive definite (linearly dependent means), or a numeric precision is not positive.

    Examples
    --------
    >>> two = Mixture.build(weights=["1/4", "3/4"], labels=[0, 1], coordinates=[[1], [-1]],
    ...                     directions_gram=[[1]], precision=10)
    >>> two.components, two.directions
    (2, 1)
    >>> two.mean_overlaps
    Matrix([
    [ 1],
    [-1]])
    """

    weights: tuple[sp.Expr, ...]
    labels: tuple[sp.Expr, ...]
    coordinates: sp.ImmutableDenseMatrix
    directions_gram: sp.ImmutableDenseMatrix
    precision: sp.Expr

    @classmethod
    @with_known_keywords
    def build(
        cls,
        *,
        labels: Sequence[object],
        coordinates: object,
        weights: Sequence[object] | None = None,
        directions_gram: object | None = None,
        precision: object | None = None,
    ) -> Mixture:
        """Build a mixture from numbers or symbols; whatever is None becomes a symbol."""
        labels_expr = exact_sequence("labels", labels)
        coordinates_expr = as_matrix("coordinates", coordinates)
        n, r = coordinates_expr.shape
        if weights is None:
            weights_expr: tuple[sp.Expr, ...] = symbols.vector("p", n, positive=True)
        else:
            weights_expr = exact_sequence("weights", weights)
        if directions_gram is None:
            gram = symbols.symmetric("Gamma", r)
        else:
            gram = as_matrix("directions_gram", directions_gram)
            if gram.rows == gram.cols:
                check_directions_gram(gram)
                upper = gram
                gram = sp.ImmutableDenseMatrix(
                    *gram.shape, lambda i, j: upper[min(i, j), max(i, j)]
                )
        lam = symbols.PRECISION if precision is None else exact("precision", precision)
        return cls(weights_expr, labels_expr, coordinates_expr, gram, lam)

    def __post_init__(self) -> None:
        n, r = self.coordinates.shape
        if n < 1 or r < 1:
            raise InputError(
                "coordinates",
                f"shape {n} x {r}",
                "at least one component and one direction",
                "state S with a row per component and a column per direction",
            )
        _check_length("weights", self.weights, n)
        _check_length("labels", self.labels, n)
        if self.directions_gram.shape != (r, r):
            rows, columns = self.directions_gram.shape
            raise InputError(
                "directions_gram",
                f"shape {rows} x {columns}",
                f"shape {r} x {r}",
                "give the Gram matrix of the directions, one row per column of the coordinates",
            )
        check_weights(self.weights)
        check_directions_gram(self.directions_gram)
        check_positive("precision", self.precision, "give lambda, the inverse noise variance")

    def __repr__(self) -> str:
        parts = brief_parts(
            weights=list(self.weights),
            labels=list(self.labels),
            coordinates=self.coordinates.tolist(),
            directions_gram=self.directions_gram.tolist(),
            precision=self.precision,
        )
        return f"Mixture({parts})"

    def _repr_latex_(self) -> str:
        """Law of a sample, for notebooks."""
        return equations_latex(self.equations())

    def equations(self) -> list[tuple[str, str]]:
        """Left and right hand sides in LaTeX."""
        means, gram = self.coordinates.tolist(), self.directions_gram.tolist()
        return [
            ("Y", r"\mu_l + Z/\sqrt\lambda\ \text{with probability } p_l,\quad Z\sim N(0, I)"),
            (r"\lambda", str(sp.latex(self.precision))),
            ("p", matrix_latex([list(self.weights)])),
            ("y", matrix_latex([list(self.labels)])),
            (r"\mu_l", rf"\textstyle\sum_s S_{{ls}}e_s,\quad S = {matrix_latex(means)}"),
            (r"e_s\cdot e_t", rf"\Gamma_{{st}},\quad \Gamma = {matrix_latex(gram)}"),
        ]

    @property
    def components(self) -> int:
        """Number n of components."""
        return int(self.coordinates.shape[0])

    @property
    def directions(self) -> int:
        """Number r of directions."""
        return int(self.coordinates.shape[1])

    @property
    def mean_overlaps(self) -> sp.ImmutableDenseMatrix:
        """S Gamma: entry (l, s) is mu_l . e_s."""
        return sp.ImmutableDenseMatrix(self.coordinates * self.directions_gram)
