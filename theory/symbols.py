"""The only place that names symbols and fixes the order of the state.

Every index printed in a symbol is 1-based, as in the paper: ``m_2_1`` is the overlap of unit 2 with
direction 1.  Python arrays and function arguments are 0-based, as everywhere in Python.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache

import sympy as sp

from theory.keywords import with_known_keywords

PRECISION = sp.Symbol("lambda", positive=True)
RIDGE = sp.Symbol("beta", nonnegative=True)
STEP = sp.Symbol("c_delta", positive=True)
LABEL = sp.Symbol("y", real=True)
# standard normal label noise, independent of the features
LABEL_NOISE = sp.Symbol("xi", real=True)
# in update rules: the derivative of the loss in the weight, or pre-activation, that is trained
SLOPE = sp.Symbol("g", real=True)
# letters of indices that run over bands, and over tokens
BANDS, TOKENS = "gh", "pq"


@lru_cache(maxsize=None)
@with_known_keywords
def indexed(name: str, *indices: int, positive: bool | None = None) -> sp.Symbol:
    """Return the real symbol ``name_i_j`` for the 0-based ``indices`` (printed 1-based).

    Examples
    --------
    >>> indexed("m", 0, 2)
    m_1_3
    """
    text = "_".join([name, *(str(i + 1) for i in indices)])
    return sp.Symbol(text, positive=True) if positive else sp.Symbol(text, real=True)


def vector(name: str, length: int, *, positive: bool | None = None) -> tuple[sp.Symbol, ...]:
    """Return ``(name_1, ..., name_length)``."""
    return tuple(indexed(name, i, positive=positive) for i in range(length))


def rectangular(name: str, rows: int, columns: int, copies: int = 1) -> sp.ImmutableDenseMatrix:
    """Return the ``rows`` x ``columns`` matrix of independent symbols ``name_i_j``.

    Of several ``copies`` the matrices of ``name_g_i_j`` stand one below the other.
    """
    if copies == 1:
        return sp.ImmutableDenseMatrix(rows, columns, lambda i, j: indexed(name, int(i), int(j)))

    def entry(row: int, j: int) -> sp.Symbol:
        return indexed(name, *divmod(int(row), rows), int(j))

    return sp.ImmutableDenseMatrix(copies * rows, columns, entry)


def symmetric(name: str, size: int, copies: int | None = 1) -> sp.ImmutableDenseMatrix:
    """Return the symmetric matrix of symbols ``name_i_j`` with i <= j.

    Of several ``copies``, such as bands, the matrices of ``name_g_i_j`` stand one below the other.
    """
    if copies is None or copies == 1:
        return sp.ImmutableDenseMatrix(
            size, size, lambda i, j: indexed(name, int(min(i, j)), int(max(i, j)))
        )

    def entry(row: int, j: int) -> sp.Symbol:
        g, i = divmod(int(row), size)
        return indexed(name, g, min(i, int(j)), max(i, int(j)))

    return sp.ImmutableDenseMatrix(copies * size, size, entry)


@with_known_keywords
def tokens(name: str, units: int, tokens: int) -> tuple[tuple[sp.Symbol, ...], ...]:
    """Return the symbols ``name_a_p`` of every unit a at every token p, a row a unit.

    Of one token they are those of :func:`vector`.

    Examples
    --------
    >>> tokens("u", 2, 3)[1]
    (u_2_1, u_2_2, u_2_3)
    >>> tokens("u", 2, 1)
    ((u_1,), (u_2,))
    """
    if tokens == 1:
        return tuple((each,) for each in vector(name, units))
    return tuple(tuple(indexed(name, a, p) for p in range(tokens)) for a in range(units))


def preactivations(units: int, tokens: int = 1) -> tuple[sp.Symbol, ...]:
    """The pre-activations in their order: those of all units at the first token, and so on."""
    if tokens == 1:
        return vector("u", units)
    return tuple(indexed("u", a, p) for p in range(tokens) for a in range(units))


@dataclass(frozen=True)
class Symbols:
    """The symbols of a model of given size.

    =================  ======  ==================  =======================
    quantity           symbol  shape               meaning
    =================  ======  ==================  =======================
    ``overlap``        m_a_s   units x directions  x^a . e_s
    ``gram_perp``      R_a_b   units x units       Gram matrix off the e_s
    ``gram``           Q_a_b   units x units       R + m Gamma^-1 m^T
    ``gram_inverse``   P_a_b   fields x fields     pseudo-inverse of the Gram matrix
    ``readout``        v_i     readout             finite parameters
    ``preactivation``  u_a     units               x^a . Y
    ``teacher``        t_s     teachers            e_s . Y
    ``fields``                 fields              u, t, label noise xi
    ``whitened``       w_a     fields              (P (fields - mean))_a
    =================  ======  ==================  =======================

    Q_ab = x^a . x^b, and R_ab is the part of it orthogonal to the directions; R, Q and P are
    symmetric.  "readout" is the number of finite parameters (weights of a second layer, biases).
    The *fields* are the Gaussian variables that a loss holds: the pre-activations u; those of its
    teachers, t_s = e_s . Y for the directions s in ``teachers``; and label noise.  Their Gram
    matrix is that of the vectors behind them, Q where there are only units.

    The *state* is ``overlap`` (row-major), ``gram_perp`` (upper triangle, row-major), ``readout``;
    this order is used by every vector of summary statistics in the project.

    Of a mixture with B > 1 ``bands``, the overlaps m_g_a_s and the Gram matrices R_g and Q_g of the
    bands stand one below the other, and so do the pseudo-inverses P_l of the components where the
    noise of these has scales of its own (``own_laws`` components).

    Of P > 1 ``tokens`` a sample holds P independent features Y_p, and the pre-activations are
    u_a_p = x^a . Y_p, those of all units at the first token before those at the second.  Their
    Gram matrix has a block Q for every token; P_a_b is the pseudo-inverse of one block.
    """

    units: int
    directions: int
    readout_size: int
    teachers: tuple[int, ...] = ()
    label_noise: bool = False
    bands: int = 1
    own_laws: int | None = None
    beside: tuple[sp.Symbol, ...] = ()
    tokens: int = 1

    @property
    def held(self) -> tuple[sp.Symbol, ...]:
        """What a loss holds that a sample does not change: v, free parameters, statistics."""
        return (*self.readout, *self.beside)

    @cached_property
    def overlap(self) -> sp.ImmutableDenseMatrix:
        return rectangular("m", self.units, self.directions, self.bands)

    @cached_property
    def total_overlap(self) -> sp.ImmutableDenseMatrix:
        """x^a . e_s, the sum over bands."""
        return sum_of_bands(self.overlap, self.units)

    @cached_property
    def gram_perp(self) -> sp.ImmutableDenseMatrix:
        return symmetric("R", self.units, self.bands)

    @cached_property
    def gram(self) -> sp.ImmutableDenseMatrix:
        return symmetric("Q", self.units, self.bands)

    @cached_property
    def gram_inverse(self) -> sp.ImmutableDenseMatrix:
        size = self.units if self.tokens > 1 else len(self.fields)
        return symmetric("P", size, self.own_laws)

    def gram_inverse_of(self, component: int) -> sp.ImmutableDenseMatrix:
        """P of a 0-based component, of all its fields."""
        if self.tokens > 1:
            return of_tokens(self.gram_inverse, self.tokens)
        size = len(self.fields)
        first = component * size if self.gram_inverse.rows > size else 0
        return sp.ImmutableDenseMatrix(self.gram_inverse[first : first + size, :])

    @cached_property
    def readout(self) -> tuple[sp.Symbol, ...]:
        return vector("v", self.readout_size)

    @cached_property
    def preactivation(self) -> tuple[sp.Symbol, ...]:
        return preactivations(self.units, self.tokens)

    @cached_property
    def whitened(self) -> tuple[sp.Symbol, ...]:
        return vector("w", len(self.fields))

    @cached_property
    def teacher(self) -> tuple[sp.Symbol, ...]:
        return tuple(indexed("t", s) for s in self.teachers)

    @cached_property
    def fields(self) -> tuple[sp.Symbol, ...]:
        noise = (LABEL_NOISE,) if self.label_noise else ()
        return (*self.preactivation, *self.teacher, *noise)

    def over(self, letters: str) -> str:
        """Letters of indices, without those of bands, g and h, where there is one band, and without
        those of tokens, p and q, where a sample is one feature.
        """
        absent = ("" if self.bands > 1 else BANDS) + ("" if self.tokens > 1 else TOKENS)
        return letters.translate(dict.fromkeys(map(ord, absent)))

    def band_shape(self, *sizes: int) -> tuple[int, ...]:
        """The ranges of a band and of other indices, without the first where there is one band."""
        return (self.bands, *sizes) if self.bands > 1 else sizes

    @property
    def overlap_shape(self) -> tuple[int, ...]:
        """([B,] C, r)."""
        return self.band_shape(self.units, self.directions)

    @property
    def gram_shape(self) -> tuple[int, ...]:
        """([B,] C, C)."""
        return self.band_shape(self.units, self.units)

    @cached_property
    def gram_indices(self) -> tuple[tuple[int, ...], ...]:
        """The entries of the Gram matrices that belong to the state, band by band."""
        bands = ((g,) for g in range(self.bands)) if self.bands > 1 else ((),)
        return tuple((*g, *pair) for g in bands for pair in upper_triangle(self.units))

    @cached_property
    def state(self) -> tuple[sp.Symbol, ...]:
        return flatten_state(self.overlap, self.gram_perp, self.readout)


def flatten_state(
    overlap: sp.MatrixBase, gram_perp: sp.MatrixBase, readout: Iterable[sp.Expr]
) -> tuple[sp.Expr, ...]:
    """Concatenate ``overlap`` (row-major), the upper triangle of ``gram_perp`` and ``readout``.

    Bands stand one below the other.  ``sa.State.flatten`` is the numeric twin and follows the
    same order.
    """
    return (
        *(overlap[i, j] for i in range(overlap.shape[0]) for j in range(overlap.shape[1])),
        *(gram_perp[i, j] for i, j in upper_triangles(gram_perp)),
        *readout,
    )


def upper_triangles(matrix: sp.MatrixBase) -> list[tuple[int, int]]:
    """The index pairs of the upper triangles of square matrices that stand one below the other."""
    rows, size = matrix.shape
    starts = range(0, rows, size) if size else ()
    return [(first + i, j) for first in starts for i, j in upper_triangle(size)]


def sum_of_bands(matrix: sp.ImmutableDenseMatrix, rows: int) -> sp.ImmutableDenseMatrix:
    """The sum of matrices of ``rows`` rows that stand one below the other."""
    if matrix.rows == rows:
        return matrix
    parts = (matrix[first : first + rows, :] for first in range(0, matrix.rows, rows))
    total = sp.zeros(rows, matrix.cols)
    for part in parts:
        total += part
    return sp.ImmutableDenseMatrix(total)


def of_tokens(matrix: sp.MatrixBase, tokens: int) -> sp.ImmutableDenseMatrix:
    """The matrix with a block for every token: what is of different tokens is independent."""
    if tokens == 1:
        return sp.ImmutableDenseMatrix(matrix)
    return sp.ImmutableDenseMatrix(sp.diag(*[matrix] * tokens))


def upper_triangle(size: int) -> list[tuple[int, int]]:
    """Return the index pairs (i, j), i <= j, row by row."""
    return [(i, j) for i in range(size) for j in range(i, size)]
