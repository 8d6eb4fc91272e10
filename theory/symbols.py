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


def rectangular(name: str, rows: int, columns: int) -> sp.ImmutableDenseMatrix:
    """Return the ``rows`` x ``columns`` matrix of independent symbols ``name_i_j``."""
    return sp.ImmutableDenseMatrix(rows, columns, lambda i, j: indexed(name, int(i), int(j)))


def symmetric(name: str, size: int) -> sp.ImmutableDenseMatrix:
    """Return the symmetric matrix of symbols ``name_i_j`` with i <= j."""
    return sp.ImmutableDenseMatrix(
        size, size, lambda i, j: indexed(name, int(min(i, j)), int(max(i, j)))
    )


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
    """

    units: int
    directions: int
    readout_size: int
    teachers: tuple[int, ...] = ()
    label_noise: bool = False

    @cached_property
    def overlap(self) -> sp.ImmutableDenseMatrix:
        return rectangular("m", self.units, self.directions)

    @cached_property
    def gram_perp(self) -> sp.ImmutableDenseMatrix:
        return symmetric("R", self.units)

    @cached_property
    def gram(self) -> sp.ImmutableDenseMatrix:
        return symmetric("Q", self.units)

    @cached_property
    def gram_inverse(self) -> sp.ImmutableDenseMatrix:
        return symmetric("P", len(self.fields))

    @cached_property
    def readout(self) -> tuple[sp.Symbol, ...]:
        return vector("v", self.readout_size)

    @cached_property
    def preactivation(self) -> tuple[sp.Symbol, ...]:
        return vector("u", self.units)

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

    @cached_property
    def state(self) -> tuple[sp.Symbol, ...]:
        return flatten_state(self.overlap, self.gram_perp, self.readout)


def flatten_state(
    overlap: sp.MatrixBase, gram_perp: sp.MatrixBase, readout: Iterable[sp.Expr]
) -> tuple[sp.Expr, ...]:
    """Concatenate ``overlap`` (row-major), the upper triangle of ``gram_perp`` and ``readout``.

    ``numerics.State.flatten`` is the numeric twin and follows the same order.
    """
    size = gram_perp.shape[0]
    return (
        *(overlap[i, j] for i in range(overlap.shape[0]) for j in range(overlap.shape[1])),
        *(gram_perp[i, j] for i, j in upper_triangle(size)),
        *readout,
    )


def upper_triangle(size: int) -> list[tuple[int, int]]:
    """Return the index pairs (i, j), i <= j, row by row."""
    return [(i, j) for i in range(size) for j in range(i, size)]
