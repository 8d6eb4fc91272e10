r"""Bands: orthogonal subspaces of R^d on which the noise has scales of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import mpmath
import sympy as sp

from theory.errors import InputError, brief_parts
from theory.keywords import with_known_keywords
from theory.problem.exact_numbers import as_matrix, check_directions_gram, exact_sequence

# an eigenvalue of a band's Gram matrix below this share of the largest is rounding
RANK_SHARE = 1e-12


@with_known_keywords
@dataclass(frozen=True, init=False, repr=False)
class Bands:
    r"""Orthogonal subspaces (bands) of R^d with projectors P_g, and the scale of the noise in each.

    A feature of component l is

    .. math:: Y = \mu_l + \sum_g\frac{\sigma_{lg}}{\sqrt\lambda}P_gZ,\qquad
              \dim P_g = \rho_g d,

    Z standard normal (mathematics.md section 10): any covariance that is constant on bands, with
    scales of its own for each component.

    Parameters
    ----------
    fractions : sequence of B numbers or symbols
        rho_g > 0, of sum 1.
    scales : n x B matrix, or a sequence of B numbers or symbols
        sigma_lg > 0; a single row serves all components.

    Raises
    ------
    InputError
        Fractions that are not positive or do not sum to 1, scales that are not positive, or rows
        of another length.

    Examples
    --------
    >>> Bands(fractions=["1/10", "9/10"], scales=[[1, "3/10"], [2, "3/10"]])
    Bands(fractions=[1/10, 9/10], scales=[[1, 3/10], [2, 3/10]])
    """

    fractions: tuple[sp.Expr, ...]
    scales: sp.ImmutableDenseMatrix

    def __init__(self, fractions: Sequence[object], scales: object) -> None:
        shares = exact_sequence("fractions", fractions)
        rows = _rows_of("scales", scales)
        _check_fractions(shares)
        if rows.cols != len(shares):
            raise InputError(
                "scales",
                f"{rows.cols} columns",
                f"{len(shares)}, one per band",
                "give the scale of the noise in every band, a row per component",
            )
        for l in range(rows.rows):
            for g in range(rows.cols):
                if _is_not_positive(rows[l, g]):
                    raise InputError(
                        f"scales[{l}][{g}]",
                        rows[l, g],
                        "a number > 0",
                        "give the standard deviation of the noise, in units of 1 / sqrt(lambda)",
                    )
        object.__setattr__(self, "fractions", shares)
        object.__setattr__(self, "scales", rows)

    def __repr__(self) -> str:
        parts = brief_parts(fractions=list(self.fractions), scales=self.scales.tolist())
        return f"Bands({parts})"

    @property
    def count(self) -> int:
        """Number B of bands."""
        return len(self.fractions)

    def substitute(self, numbers: Mapping[sp.Symbol, sp.Expr]) -> Bands:
        """The same with numbers for symbols, checked."""
        shares = [share.xreplace(numbers) for share in self.fractions]
        return Bands(shares, self.scales.xreplace(numbers))

    def for_components(self, components: int) -> Bands:
        """The same with a row of scales for every component."""
        if self.scales.rows == 1 and components > 1:
            return Bands(self.fractions, sp.ones(components, 1) * self.scales)
        if self.scales.rows != components:
            raise InputError(
                "bands",
                f"scales of {self.scales.rows} components",
                f"{components} rows of scales, or one for all",
                "give a row of scales per component of the mixture",
            )
        return self

    def gram_matrices(self, gram: object) -> sp.ImmutableDenseMatrix:
        """The Gram matrices Gamma^g of the directions' parts in every band, one below the other.

        Raises
        ------
        InputError
            Another number of matrices than of bands.
        """
        remedy = "give e_s . P_g e_t, a matrix per band, which add up to that of the directions"
        if isinstance(gram, sp.MatrixBase):
            size = gram.cols
            if gram.rows != self.count * size:
                got, expected = f"shape {gram.rows} x {size}", f"{self.count} matrices"
                raise InputError("directions_gram", got, expected, remedy)
            return _symmetrised(as_matrix("directions_gram", gram), self.count)
        if self.count == 1 and _is_one_matrix(gram):
            return as_matrix("directions_gram", gram)
        try:
            matrices = [as_matrix("directions_gram", each) for each in gram]  # type: ignore[attr-defined]
        except TypeError:
            matrices = []
        except InputError as error:
            if _is_one_matrix(gram):
                matrices = []
            else:
                raise error from None
        if len(matrices) != self.count or len({m.shape for m in matrices}) != 1:
            got = "one matrix" if not matrices else f"{len(matrices)} matrices"
            raise InputError("directions_gram", got, f"{self.count}, one per band", remedy)
        return _symmetrised(sp.ImmutableDenseMatrix.vstack(*matrices), self.count)


def _symmetrised(gram: sp.ImmutableDenseMatrix, bands: int) -> sp.ImmutableDenseMatrix:
    """Matrices one below the other, what is below the diagonals taken from above where it is the
    same up to rounding.
    """
    size = gram.cols
    if gram.rows != bands * size:
        return gram  # refused with its shape

    def entry(row: int, j: int) -> sp.Expr:
        first, i = size * (row // size), row % size
        upper, own = gram[first + min(i, j), max(i, j)], gram[row, j]
        same = (upper - own).is_number and abs(upper - own) <= RANK_SHARE
        return upper if same else own

    return sp.ImmutableDenseMatrix(*gram.shape, lambda row, j: entry(int(row), int(j)))


def check_band_grams(grams: Sequence[sp.MatrixBase]) -> None:
    """Refuse numeric Gram matrices of bands that are not symmetric positive semidefinite, or whose
    sum is not definite.
    """
    for g, gram in enumerate(grams):
        if any(d != 0 for d in gram - gram.T):
            raise InputError(
                f"directions_gram[{g}]", gram.tolist(), "a symmetric matrix", "use e_s . P_g e_t"
            )
        if gram.free_symbols:
            continue
        values = _eigenvalues(gram)
        if min(values) < -RANK_SHARE * max(abs(v) for v in values):
            raise InputError(
                f"directions_gram[{g}]",
                f"{gram.tolist()}, with an eigenvalue {float(min(values)):.3g}",
                "a positive semidefinite matrix",
                "it is the Gram matrix of the parts P_g e_s of the directions in this band",
            )
    total = sp.zeros(*grams[0].shape)
    for gram in grams:
        total += gram
    check_directions_gram(total)


def rank_of(gram: sp.MatrixBase) -> int:
    """The rank of a numeric Gram matrix; its size where entries are open."""
    if gram.free_symbols:
        return int(gram.rows)
    values = _eigenvalues(gram)
    return sum(1 for v in values if v > RANK_SHARE * max(values))


def refuse_bands(mixture: object, what: str) -> None:
    """Refuse a mixture with bands where ``what`` is known for isotropic noise alone."""
    bands = getattr(mixture, "bands", None)
    if bands is not None:
        raise InputError(
            "bands",
            f"a mixture of {bands.count} band(s) with scales of their own",
            f"isotropic noise: {what} is not known for bands",
            "build the mixture without bands, or ask for drift, corrector, diffusion and "
            "finite-size corrections, which know them",
        )


def _rows_of(name: str, scales: object) -> sp.ImmutableDenseMatrix:
    """A matrix, also from a single row of numbers."""
    if not isinstance(scales, (sp.MatrixBase, str)):
        try:
            first = next(iter(scales))  # type: ignore[call-overload]
            iter(first)
        except StopIteration:
            pass
        except TypeError:
            return sp.ImmutableDenseMatrix([exact_sequence(name, scales)])
    return as_matrix(name, scales)


def _is_one_matrix(gram: object) -> bool:
    """Whether a matrix stands where a sequence of matrices should."""
    try:
        as_matrix("directions_gram", gram)
    except InputError:
        return False
    return True


def _is_not_positive(value: sp.Expr) -> bool:
    return bool(value.is_number) and not (value.is_real and value > 0)


def _check_fractions(fractions: Sequence[sp.Expr]) -> None:
    remedy = "give the share of the dimension that each band takes"
    if not fractions:
        raise InputError("fractions", "no entries", "one share per band", remedy)
    for g, share in enumerate(fractions):
        if _is_not_positive(share):
            raise InputError(f"fractions[{g}]", share, "a number > 0", remedy)
    if all(share.is_number for share in fractions):
        total = sp.Add(*fractions)
        if abs(float(total) - 1.0) > RANK_SHARE:
            got = f"{[str(share) for share in fractions]} with sum {float(total):.12g}"
            raise InputError(
                "fractions", got, "fractions with sum 1", "divide the fractions by their sum"
            )


def _eigenvalues(gram: sp.MatrixBase) -> list[mpmath.mpf]:
    with mpmath.workdps(30):
        entries = [[mpmath.mpf(sp.Float(e, 30)) for e in row] for row in gram.tolist()]
        return list(mpmath.eigsy(mpmath.matrix(entries), eigvals_only=True))
