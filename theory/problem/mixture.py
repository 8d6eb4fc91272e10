"""Gaussian mixture: weights, labels, means in a basis of directions, precision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import sympy as sp

from theory import symbols
from theory.errors import InputError, brief, brief_parts
from theory.keywords import with_known_keywords
from theory.notebook import equations_latex, matrix_latex

from .covariance.bands import Bands, check_band_grams
from .covariance.tokens import coordinates_of_tokens, refuse_tokens
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
    bands : Bands, optional
        Bands of R^d with scales of the noise of their own, a row of scales per component.  Then
        ``directions_gram`` holds the Gram matrix Gamma^g of every band, one below the other (B r x
        r, positive semidefinite, of a sum that is definite).
    tokens : int
        P, the number of independent features Y_p of a sample.  The mean of feature p of component l
        is ``sum_s S[l P + p, s] e_s``: then ``coordinates`` has n P rows (mathematics.md section
        12b).

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
    bands: Bands | None = None
    tokens: int = 1

    @classmethod
    @with_known_keywords
    def build(
        cls,
        *,
        labels: Sequence[object],
        coordinates: object | None = None,
        tokens: object | None = None,
        weights: Sequence[object] | None = None,
        directions_gram: object | None = None,
        precision: object | None = None,
        bands: Bands | None = None,
    ) -> Mixture:
        """Build a mixture from numbers or symbols; whatever is None becomes a symbol.

        ``directions_gram`` may be ``"orthonormal"``; with bands it is a sequence of matrices, one
        per band, or orthonormal directions of which every band has its share.  Of samples that
        hold several features ``tokens`` has the place of the coordinates: for every component a
        matrix, a row of coordinates per token.

        Examples
        --------
        >>> patches = Mixture.build(labels=[1, 0], tokens=[[[1], [0]], [[-1], [0]]])
        >>> patches.components, patches.tokens
        (2, 2)
        """
        labels_expr = exact_sequence("labels", labels)
        coordinates_expr, count = _coordinates(coordinates, tokens)
        n, r = coordinates_expr.rows // count, coordinates_expr.cols
        if weights is None:
            weights_expr: tuple[sp.Expr, ...] = symbols.vector("p", n, positive=True)
        else:
            weights_expr = exact_sequence("weights", weights)
        if bands is not None:
            bands = _checked_bands(bands).for_components(n)
        several = bands is not None and bands.count > 1
        if isinstance(directions_gram, str):
            directions_gram = _named_gram(directions_gram, r, bands)
        if directions_gram is None:
            gram = symbols.symmetric("Gamma", r, bands.count if bands else 1)
        elif bands is not None:
            gram = bands.gram_matrices(directions_gram)
        else:
            gram = as_matrix("directions_gram", directions_gram)
        if not several and gram.rows == gram.cols and directions_gram is not None:
            check_directions_gram(gram)
            upper = gram
            gram = sp.ImmutableDenseMatrix(*gram.shape, lambda i, j: upper[min(i, j), max(i, j)])
        lam = symbols.PRECISION if precision is None else exact("precision", precision)
        return cls(weights_expr, labels_expr, coordinates_expr, gram, lam, bands, count)

    def __post_init__(self) -> None:
        n, r = self.components, self.directions
        if n < 1 or r < 1:
            raise InputError(
                "coordinates",
                f"shape {n} x {r}",
                "at least one component and one direction",
                "state S with a row per component and a column per direction",
            )
        if self.tokens > 1 and self.bands is not None:
            refuse_tokens(self, "noise with bands")
        _check_length("weights", self.weights, n)
        _check_length("labels", self.labels, n)
        if self.bands is not None:
            object.__setattr__(self, "bands", _checked_bands(self.bands).for_components(n))
        if self.directions_gram.shape != (self.band_count * r, r):
            rows, columns = self.directions_gram.shape
            raise InputError(
                "directions_gram",
                f"shape {rows} x {columns}",
                f"shape {self.band_count * r} x {r}",
                "give the Gram matrix of the directions, one row per column of the coordinates",
            )
        check_weights(self.weights)
        if self.band_count > 1:
            check_band_grams([self.band_gram(g) for g in range(self.band_count)])
        else:
            check_directions_gram(self.directions_gram)
        check_positive("precision", self.precision, "give lambda, the inverse noise variance")

    def __repr__(self) -> str:
        parts = brief_parts(
            weights=list(self.weights),
            labels=list(self.labels),
            **self._named_coordinates,
            directions_gram=self.directions_gram.tolist(),
            precision=self.precision,
            **({} if self.bands is None else {"bands": self.bands}),
        )
        return f"Mixture({parts})"

    @property
    def _named_coordinates(self) -> dict[str, object]:
        """The coordinates of the means by the argument of :meth:`build` that states them."""
        rows, count = self.coordinates.tolist(), self.tokens
        if count == 1:
            return {"coordinates": rows}
        return {"tokens": [rows[i : i + count] for i in range(0, len(rows), count)]}

    def _repr_latex_(self) -> str:
        """Law of a sample, for notebooks."""
        return equations_latex(self.equations())

    def equations(self) -> list[tuple[str, str]]:
        """Left and right hand sides in LaTeX."""
        means, gram = self.coordinates.tolist(), self.directions_gram.tolist()
        if self.bands is not None:
            return self._banded_equations(self.bands)
        at = "" if self.tokens == 1 else "p"
        index, of = (f"_{at}", f"_{{l{at}}}") if at else ("", "_l")
        feature = rf"\mu{of} + Z{index}/\sqrt\lambda\ \text{{with probability }} p_l"
        return [
            (f"Y{index}", rf"{feature},\quad Z{index}\sim N(0, I)"),
            (r"\lambda", str(sp.latex(self.precision))),
            ("p", matrix_latex([list(self.weights)])),
            ("y", matrix_latex([list(self.labels)])),
            (rf"\mu{of}", rf"\textstyle\sum_s S_{{l{at}s}}e_s,\quad S = {matrix_latex(means)}"),
            (r"e_s\cdot e_t", rf"\Gamma_{{st}},\quad \Gamma = {matrix_latex(gram)}"),
        ]

    @property
    def components(self) -> int:
        """Number n of components."""
        return int(self.coordinates.shape[0]) // self.tokens

    @property
    def directions(self) -> int:
        """Number r of directions."""
        return int(self.coordinates.shape[1])

    @property
    def band_count(self) -> int:
        """Number of bands, 1 without them."""
        return 1 if self.bands is None else self.bands.count

    def band_gram(self, band: int) -> sp.ImmutableDenseMatrix:
        """Gamma^g of the 0-based band g; Gamma itself where there is one band."""
        r = self.directions
        return sp.ImmutableDenseMatrix(self.directions_gram[band * r : (band + 1) * r, :])

    @property
    def total_gram(self) -> sp.ImmutableDenseMatrix:
        """Gamma, the sum over bands: entry (s, t) is e_s . e_t."""
        if self.band_count == 1:
            return self.directions_gram
        total = sp.zeros(self.directions, self.directions)
        for g in range(self.band_count):
            total += self.band_gram(g)
        return sp.ImmutableDenseMatrix(total)

    @property
    def mean_overlaps(self) -> sp.ImmutableDenseMatrix:
        """S Gamma: entry (l, s) is mu_l . e_s; with bands S Gamma^g, one below the other, and with
        tokens row l P + p is of mu_lp.
        """
        if self.band_count == 1:
            return sp.ImmutableDenseMatrix(self.coordinates * self.directions_gram)
        grams = (self.band_gram(g) for g in range(self.band_count))
        return sp.ImmutableDenseMatrix.vstack(*(self.coordinates * gram for gram in grams))

    @cached_property
    def span_projector(self) -> sp.ImmutableDenseMatrix:
        """Pi, r x r: e_s has the part sum_t Pi_ts e_t in the span of the means."""
        independent = self.coordinates.T.rref()[1]
        basis, gram = (
            self.coordinates.extract(list(independent), list(range(self.directions))),
            self.directions_gram,
        )
        if basis.rows == self.directions:
            return sp.ImmutableDenseMatrix(sp.eye(self.directions))
        across = basis * gram
        return sp.ImmutableDenseMatrix(basis.T * (across * basis.T).inv() * across)

    def variance(self, component: int, band: int) -> sp.Expr:
        """sigma_lg^2: lambda times the variance of the noise of a component in a band."""
        return sp.Integer(1) if self.bands is None else self.bands.scales[component, band] ** 2

    def _banded_equations(self, bands: Bands) -> list[tuple[str, str]]:
        """Left and right hand sides in LaTeX, with bands."""
        grams = [self.band_gram(g).tolist() for g in range(bands.count)]
        means = matrix_latex(self.coordinates.tolist())
        return [
            (
                "Y",
                r"\mu_l + \textstyle\sum_g \sigma_{lg}P_gZ/\sqrt\lambda\ "
                r"\text{with probability } p_l,\quad Z\sim N(0, I)",
            ),
            (r"\lambda", str(sp.latex(self.precision))),
            (r"\rho", matrix_latex([list(bands.fractions)])),
            (r"\sigma", matrix_latex(bands.scales.tolist())),
            ("p", matrix_latex([list(self.weights)])),
            ("y", matrix_latex([list(self.labels)])),
            (r"\mu_l", rf"\textstyle\sum_s S_{{ls}}e_s,\quad S = {means}"),
            *(
                (rf"e_s\cdot P_{{{g}}}e_t", rf"\Gamma^{{{g}}}_{{st}} = {matrix_latex(gram)}")
                for g, gram in enumerate(grams, start=1)
            ),
        ]


def _coordinates(
    coordinates: object | None, tokens: object | None
) -> tuple[sp.ImmutableDenseMatrix, int]:
    """S with a row per component and token, and the number of tokens."""
    if (coordinates is None) == (tokens is None):
        got = "neither coordinates nor tokens" if tokens is None else "coordinates beside tokens"
        remedy = "coordinates are those of one feature a sample, tokens those of several"
        raise InputError("coordinates", got, "one of the two", remedy)
    if tokens is None:
        return as_matrix("coordinates", coordinates), 1
    return coordinates_of_tokens(tokens)


def _checked_bands(bands: object) -> Bands:
    """Refuse what is no Bands."""
    if not isinstance(bands, Bands):
        got, remedy = type(bands).__name__, "write Bands(fractions=[...], scales=[[...], ...])"
        raise InputError("bands", got, "an sa.Bands", remedy)
    return bands


def _named_gram(name: str, directions: int, bands: Bands | None) -> object:
    """The Gram matrix of orthonormal directions, or one a band, which has its share of each."""
    if name != "orthonormal":
        expected = "a matrix or 'orthonormal'"
        raise InputError("directions_gram", brief(repr(name)), expected, "check the spelling")
    one = sp.eye(directions)
    return one if bands is None else [share * one for share in bands.fractions]
