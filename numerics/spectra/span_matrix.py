"""Matrices of the form V B Vᵀ + cI with the columns of V spanning weights and directions; no d x d
array.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from numerics.core.geometry import SpanBasis
from numerics.core.validation import Array
from numerics.expectations.estimation import sampling_error
from theory import InputError
from theory.keywords import with_known_keywords
from theory.notebook import numbers_text, short_repr

# a block of 0-based units, or a named part of the matrix
BlockName = tuple[int, int] | str


@with_known_keywords
@dataclass(frozen=True)
class SpanMatrix:
    r"""A population matrix, or a block of it, without its d x d entries.

    .. math:: M = (I_n\otimes L)\,(\text{matrix} - \mathsf c\otimes I)\,(I_n\otimes L)^T
              + \mathsf c\otimes I_d

    with L the orthonormal basis and :math:`\mathsf c` the bulk matrix (mathematics.md section 3):
    on span(L) it is ``matrix``, on the orthogonal complement ``bulk``: in every band its own, where
    there are several (section 10).

    Attributes
    ----------
    kind : {"hessian", "gradient", "gauss-newton", "fisher"}
    block : (a, b), "first_layer", "readout" or "all"
    regularized : bool
    matrix : array, shape (n rank + q', n rank + q')
        n = C for the full first layer and 1 for a block; unit-major (row a * rank + i is basis
        vector i in the block row of x^a).  q' = q readout rows at the end for "all"; for "readout"
        nothing else.
    bulk : array, shape (n, n)
        Of B > 1 bands (B, n, n).
    basis : SpanBasis
    matrix_error, bulk_error : array
        Bounds of the error of every entry (quadrature and rounding).
    quadrature : str
    samples : pair of arrays, or None
        ``matrix`` and ``bulk`` of every randomisation (first axis) of a randomised rule.

    Examples
    --------
    >>> from numerics import Problem, State, population_block
    >>> from theory import kgmm
    >>> problem = Problem(kgmm(2), weights=[0.5, 0.5], precision=10, ridge=0, step=1)
    >>> zero = State([[0, 0], [0, 0]], [[0, 0], [0, 0]])
    >>> block = population_block(problem, zero, block=(0, 0))
    >>> block.matrix.round(6), block.levels.round(6)          # on the means, and off them
    (array([[0.15, 0.  ],
           [0.  , 0.15]]), array([0.025]))
    >>> round(block.misalignment, 6)
    0.166667
    """

    kind: str
    block: BlockName
    regularized: bool
    matrix: Array
    bulk: Array
    basis: SpanBasis
    matrix_error: Array
    bulk_error: Array
    quadrature: str
    samples: tuple[Array, Array] | None = None

    def __repr__(self) -> str:
        return short_repr(
            self,
            repr(self.kind),
            block=self.block,
            regularized=self.regularized,
            matrix=numbers_text(self.matrix),
            bulk=numbers_text(self.bulk),
            largest_error=f"{self.matrix_error.max(initial=0.0):.2g}",
        )

    @property
    def rows(self) -> int:
        """n, the number of first-layer block rows."""
        return int(self.bulk.shape[-1])

    @property
    def levels(self) -> Array:
        """Eigenvalues off the span, (n,) decreasing; with bands those of every band, (B, n)."""
        symmetric = (self.bulk + np.swapaxes(self.bulk, -1, -2)) / 2
        return np.asarray(np.linalg.eigvalsh(symmetric)[..., ::-1])

    @property
    def bulk_level_error(self) -> float:
        """Bound of the error of every level."""
        return _norm(self.bulk_error)

    @property
    def multiplicities(self) -> tuple[str, NDArray[np.intp]]:
        """How often every level occurs, in words, and the axes of the span that each band has."""
        bands = 1 if self.bulk.ndim == 2 else len(self.bulk)
        counts = np.bincount(self.basis.bands, minlength=bands)
        if self.bulk.ndim == 2:
            return f"d - {counts[0]} for each of {self.rows} bulk eigenvalue(s)", counts
        each = ", ".join(f"d_{g + 1} - {n}" for g, n in enumerate(counts))
        return f"{each} for each of {self.rows} bulk eigenvalue(s) of the bands", counts

    @property
    def eigenvalue_error(self) -> float:
        """Bound of the error of every eigenvalue of ``matrix`` (Weyl: the norm of its
        perturbation).
        """
        return _norm(self.matrix_error)

    def check_symmetric(self) -> None:
        """Refuse a block without real spectrum: G with ridge has non-symmetric blocks off the
        diagonal.
        """
        if np.any(np.abs(self.matrix - self.matrix.T) > self.matrix_error + self.matrix_error.T):
            raise InputError(
                "block",
                self.block,
                "a symmetric block",
                "use regularized=False, a diagonal block or block='first_layer'",
            )

    @property
    def misalignment_error(self) -> float:
        """Error of :attr:`misalignment`: a bound from the errors of the entries, or the spread over
        randomisations where that is less.
        """
        total = max(_norm(self.matrix), _norm(self.bulk))
        error = max(_norm(self.matrix_error), _norm(self.bulk_error))
        bound = (1 + self.misalignment) * error / total if total > 0 else 0.0
        if self.samples is None:
            return bound
        several = np.array([self._misaligned(m, c) for m, c in zip(*self.samples, strict=True)])
        # a ratio is not linear: its mean is not that of the mean matrix
        beside = abs(float(several.mean()) - self.misalignment)
        return min(bound, float(sampling_error(several)) + beside)

    @property
    def misalignment(self) -> float:
        r"""Distance of the matrix from the span of the directions, :math:`\|P_\perp
        M\|_{op}/\|M\|_{op}`.

        P_perp projects every first-layer row off Span(e_1..e_r) and keeps nothing of the readout;
        the bulk counts (mathematics.md section 8).
        """
        return self._misaligned(self.matrix, self.bulk)

    def _misaligned(self, matrix: Array, bulk_matrix: Array) -> float:
        r, rank = self.basis.directions, self.basis.rank
        outside = np.zeros(matrix.shape[0], dtype=bool)
        outside[: self.rows * rank] = np.tile(np.arange(rank) >= r, self.rows)
        bulk = _norm(bulk_matrix)
        total = max(_norm(matrix), bulk)
        return max(_norm(matrix[outside]), bulk) / total if total > 0 else 0.0


def _norm(matrix: Array) -> float:
    """Operator norm, 0 for an empty matrix; of several the largest."""
    return float(np.linalg.norm(matrix, 2, axis=(-2, -1)).max()) if matrix.size else 0.0
